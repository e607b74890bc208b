//! Attribute keys. A new attribute is one row here.

macro_rules! attr_keys {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal ),+ $(,)?) => {
        /// An attribute's key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum AttrKey { $( $(#[$doc])* $variant ),+ }

        impl AttrKey {
            /// Every key, in the table's order.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),+ ];

            /// The key of this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|key| key.name() == name)
            }

            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name ),+ }
            }
        }
    };
}

impl AttrKey {
    /// Whether values are integers: what an absent one is exported as (0, not the empty text).
    pub fn is_integer(self) -> bool {
        matches!(
            self,
            Self::HttpResponseStatusCode
                | Self::HttpRequestBodySize
                | Self::HttpResponseBodySize
                | Self::ServerPort
        )
    }
}

attr_keys! {
    /// Request method; `_OTHER` is not used: the contract keeps the method as sent.
    HttpRequestMethod = "http.request.method",
    /// Final status code; absent when the response was not observed.
    HttpResponseStatusCode = "http.response.status_code",
    /// Declared request length, else bytes seen.
    HttpRequestBodySize = "http.request.body.size",
    /// Declared response length, else bytes seen.
    HttpResponseBodySize = "http.response.body.size",
    /// `false` when the response could not be observed; otherwise absent.
    HttpResponseObserved = "obi.http.response.observed",
    /// Low-cardinality path.
    HttpRoute = "http.route",
    /// Host of the request's target or `Host` header, without port: internal, decides names.
    HttpHost = "obi.http.host",
    /// Absolute path without the query.
    UrlPath = "url.path",
    /// Query without `?`.
    UrlQuery = "url.query",
    /// Full URL (client) or path and query when the host is not known.
    UrlFull = "url.full",
    /// `http` or `https`.
    UrlScheme = "url.scheme",
    /// Name or address of the side that answers.
    ServerAddress = "server.address",
    /// Port of the side that answers.
    ServerPort = "server.port",
    /// Name or address of the side that asks.
    ClientAddress = "client.address",
    /// Name of the remote service of a client span.
    ServicePeerName = "service.peer.name",
    /// `name:value` of a request's header that the user wants to see, one attribute each: goes out as
    /// `http.request.header.<name>` with all its values.
    HttpRequestHeader = "http.request.header",
    /// The same of a response.
    HttpResponseHeader = "http.response.header",
    /// `name:value` of a request's header of which its response decides whether it is shown: internal.
    HttpHeaderNoted = "obi.http.request.header",
    /// The same without the namespace behind it, where there is one: internal.
    PeerName = "obi.peer.name",
    /// Namespace of the service at the other side, where it is known: internal.
    PeerNamespace = "obi.peer.namespace",
}
