//! Span families: what kind a span is, which attributes leave the agent, how printers show it.

use super::attrs::AttrKey;
use super::metrics::{self, Metric};

/// OTLP span kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// Internal to the process.
    Internal,
    /// Answers a request.
    Server,
    /// Makes a request.
    Client,
}

impl SpanKind {
    /// The word for it in span metrics and printers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Internal => "SPAN_KIND_INTERNAL",
            Self::Server => "SPAN_KIND_SERVER",
            Self::Client => "SPAN_KIND_CLIENT",
        }
    }
}

/// When an attribute is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Always; text defaults to the empty string, numbers to 0.
    Always,
    /// Only when set and not empty.
    IfKnown,
}

/// A row of the event-type table: everything downstream asks the family, never the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanFamily {
    /// HTTP request answered by the observed process.
    HttpServer,
    /// HTTP request made by the observed process.
    HttpClient,
}

/// What a metric takes from a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// From the request's start to its end, in nanoseconds.
    Duration,
    /// The same, of a client's span.
    ClientDuration,
    /// The same, of any other span.
    ServerDuration,
    /// An attribute that is a whole number; a span without it is not measured.
    Attribute(AttrKey),
    /// Bytes of the request, where they are known.
    RequestBytes,
    /// Bytes of the response, where they are known.
    ResponseBytes,
    /// That there was one.
    Calls,
    /// That it failed.
    Failures,
    /// That somebody asked: told by who answers, or by who asks where nobody observes the answer.
    Edges,
}

impl Measure {
    /// Whether it only counts.
    pub fn is_count(self) -> bool {
        matches!(self, Self::Calls | Self::Failures | Self::Edges)
    }

    /// Whether it is a time.
    pub fn is_duration(self) -> bool {
        matches!(self, Self::Duration | Self::ClientDuration | Self::ServerDuration)
    }
}

/// Sources of the columns of the text printer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextColumns {
    /// Protocol status; 0 when absent.
    pub status: AttrKey,
    /// Method or operation.
    pub method: AttrKey,
    /// Path or target.
    pub path: AttrKey,
    /// Shown in parentheses behind the path when set.
    pub route: AttrKey,
    /// Bytes of the request.
    pub request_bytes: AttrKey,
    /// Bytes of the response.
    pub response_bytes: AttrKey,
}

impl SpanFamily {
    /// Every family.
    pub const ALL: &'static [Self] = &[Self::HttpServer, Self::HttpClient];

    /// The switch that turns its spans and metrics off: a name of `instrumentations`.
    pub fn instrumentation(self) -> &'static str {
        match self {
            Self::HttpServer | Self::HttpClient => "http",
        }
    }

    /// Metrics of its own, and what they take.
    pub fn measured(self) -> &'static [(&'static Metric, Measure)] {
        const REQUEST: Measure = Measure::Attribute(AttrKey::HttpRequestBodySize);
        const RESPONSE: Measure = Measure::Attribute(AttrKey::HttpResponseBodySize);
        match self {
            Self::HttpServer => &[
                (&metrics::HTTP_SERVER_DURATION, Measure::Duration),
                (&metrics::HTTP_SERVER_REQUEST_SIZE, REQUEST),
                (&metrics::HTTP_SERVER_RESPONSE_SIZE, RESPONSE),
            ],
            Self::HttpClient => &[
                (&metrics::HTTP_CLIENT_DURATION, Measure::Duration),
                (&metrics::HTTP_CLIENT_REQUEST_SIZE, REQUEST),
                (&metrics::HTTP_CLIENT_RESPONSE_SIZE, RESPONSE),
            ],
        }
    }

    /// The attributes whose values, those that are set, joined by a blank, are the span's name.
    pub fn named_by(self) -> &'static [AttrKey] {
        match self {
            Self::HttpServer | Self::HttpClient => {
                &[AttrKey::HttpRequestMethod, AttrKey::HttpRoute]
            }
        }
    }

    /// Sources of the text printer's columns.
    pub fn text_columns(self) -> TextColumns {
        match self {
            Self::HttpServer | Self::HttpClient => TextColumns {
                status: AttrKey::HttpResponseStatusCode,
                method: AttrKey::HttpRequestMethod,
                path: AttrKey::UrlPath,
                route: AttrKey::HttpRoute,
                request_bytes: AttrKey::HttpRequestBodySize,
                response_bytes: AttrKey::HttpResponseBodySize,
            },
        }
    }

    /// Attribute that holds the path that its route is made of, if it has one.
    pub fn routed_by(self) -> Option<AttrKey> {
        match self {
            Self::HttpServer | Self::HttpClient => Some(AttrKey::UrlPath),
        }
    }

    /// Attribute that holds the remote host's name as the request itself gives it, if any.
    pub fn host_named_by(self) -> Option<AttrKey> {
        match self {
            Self::HttpServer | Self::HttpClient => Some(AttrKey::HttpHost),
        }
    }

    /// OTLP span kind.
    pub fn kind(self) -> SpanKind {
        match self {
            Self::HttpServer => SpanKind::Server,
            Self::HttpClient => SpanKind::Client,
        }
    }

    /// Type shown by the printers.
    pub fn printed(self) -> &'static str {
        match self {
            Self::HttpServer => "HTTP",
            Self::HttpClient => "HTTPClient",
        }
    }

    /// Attributes of spans that the section `traces` of `attributes.select` decides about, and that are
    /// there unless it says otherwise.
    pub const CHOSEN_BY_DEFAULT: &'static [&'static str] = &["url.query"];

    /// Attributes of the OTLP span, in order.
    pub fn exported(self) -> &'static [(AttrKey, Presence)] {
        use Presence::{Always, IfKnown};
        match self {
            Self::HttpServer => &[
                (AttrKey::HttpResponseStatusCode, IfKnown),
                (AttrKey::ClientAddress, Always),
                (AttrKey::ServerAddress, Always),
                (AttrKey::ServerPort, Always),
                (AttrKey::HttpRequestBodySize, IfKnown),
                (AttrKey::HttpResponseBodySize, IfKnown),
                (AttrKey::HttpRequestMethod, IfKnown),
                (AttrKey::UrlPath, IfKnown),
                (AttrKey::UrlScheme, IfKnown),
                (AttrKey::HttpRoute, IfKnown),
                (AttrKey::UrlQuery, IfKnown),
                (AttrKey::HttpResponseObserved, IfKnown),
            ],
            Self::HttpClient => &[
                (AttrKey::HttpResponseStatusCode, IfKnown),
                (AttrKey::UrlFull, Always),
                (AttrKey::UrlScheme, Always),
                (AttrKey::ServerAddress, Always),
                (AttrKey::ServicePeerName, Always),
                (AttrKey::ServerPort, Always),
                (AttrKey::HttpRequestBodySize, IfKnown),
                (AttrKey::HttpResponseBodySize, IfKnown),
                (AttrKey::HttpRequestMethod, IfKnown),
                (AttrKey::UrlQuery, IfKnown),
                (AttrKey::HttpResponseObserved, IfKnown),
            ],
        }
    }

    /// Keys of the `attributes` map of the JSON printer, sorted, each with its source.
    pub fn printed_attributes(self) -> &'static [(&'static str, AttrKey)] {
        match self {
            Self::HttpServer => &[
                ("clientAddr", AttrKey::ClientAddress),
                ("contentLen", AttrKey::HttpRequestBodySize),
                ("method", AttrKey::HttpRequestMethod),
                ("responseLen", AttrKey::HttpResponseBodySize),
                ("route", AttrKey::HttpRoute),
                ("serverAddr", AttrKey::ServerAddress),
                ("serverPort", AttrKey::ServerPort),
                ("status", AttrKey::HttpResponseStatusCode),
                ("url", AttrKey::UrlPath),
            ],
            Self::HttpClient => &[
                ("clientAddr", AttrKey::ClientAddress),
                ("method", AttrKey::HttpRequestMethod),
                ("serverAddr", AttrKey::ServerAddress),
                ("serverPort", AttrKey::ServerPort),
                ("status", AttrKey::HttpResponseStatusCode),
                ("url", AttrKey::UrlPath),
            ],
        }
    }
}
