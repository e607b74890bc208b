//! Labels: what a series' attributes are taken from, and how their values make up its key.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use super::table::Spec;
use crate::config::Renames;
use crate::model::service::Service;
use crate::model::span::{SpanHead, SpanStatus};
use crate::semconv::metrics::Feature;
use crate::semconv::{AttrKey, Measure, SpanKind};
use crate::stages::exporter::values::{Value, Values};

/// An attribute of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// Its key over OTLP; for Prometheus, with `_` for `.`.
    pub(crate) name: Cow<'static, str>,
    /// Where its value comes from.
    pub(crate) source: Source,
    /// Where its value stands: in the key of the series, at this place among its values, or in what
    /// the service is.
    pub(crate) place: Option<usize>,
}

/// What an attribute's value is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An attribute of the span.
    Span(AttrKey),
    /// The same, a host: an address, or nothing, is replaced by a word.
    Host(AttrKey),
    /// `service.name`.
    Name,
    /// `service.namespace`.
    Namespace,
    /// `service.instance.id`.
    Instance,
    /// `namespace/name`, or the name alone.
    Job,
    /// `telemetry.sdk.language`.
    Language,
    /// `host.id`.
    HostId,
    /// Another attribute that the service is said to have.
    Said(String),
    /// Always the same.
    Word(&'static str),
    /// The span's name.
    SpanName,
    /// `SPAN_KIND_…`.
    SpanKind,
    /// `STATUS_CODE_…`.
    Status,
    /// A side of the edge in the service graph.
    Node(Side),
    /// Its service's namespace.
    NodeNamespace(Side),
    /// What the edge leads to, if it is not simply a service.
    ConnectionType,
}

/// A side of an edge in the service graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Who asks.
    Client,
    /// Who answers.
    Server,
}

impl Source {
    /// Where the attribute `name` of a metric comes from; `None` = nobody knows it yet.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "service.name" | "service_name" => Self::Name,
            "service.namespace" | "service_namespace" => Self::Namespace,
            "instance" | "service.instance.id" => Self::Instance,
            "job" => Self::Job,
            "telemetry.sdk.language" | "telemetry_sdk_language" => Self::Language,
            "host.id" => Self::HostId,
            "source" => Self::Word("obi"),
            "span.name" | "span_name" => Self::SpanName,
            "span.kind" | "span_kind" => Self::SpanKind,
            "status.code" | "status_code" => Self::Status,
            "client" => Self::Node(Side::Client),
            "server" => Self::Node(Side::Server),
            "client_service_namespace" => Self::NodeNamespace(Side::Client),
            "server_service_namespace" => Self::NodeNamespace(Side::Server),
            "connection_type" => Self::ConnectionType,
            name => match AttrKey::named(name)? {
                key @ (AttrKey::ServerAddress | AttrKey::ClientAddress) => Self::Host(key),
                key => Self::Span(key),
            },
        })
    }

    /// Whether the service alone decides about it.
    pub(crate) fn is_of_service(&self) -> bool {
        match self {
            Self::Name
            | Self::Namespace
            | Self::Instance
            | Self::Job
            | Self::Language
            | Self::HostId
            | Self::Said(_)
            | Self::Word(_) => true,
            Self::Span(_)
            | Self::Host(_)
            | Self::SpanName
            | Self::SpanKind
            | Self::Status
            | Self::Node(_)
            | Self::NodeNamespace(_)
            | Self::ConnectionType => false,
        }
    }

    /// Appends the value of a span to a key.
    pub(crate) fn pack(&self, key: &mut Vec<u8>, of: &Observed<'_>) {
        match self {
            Self::Span(attr) => match of.values.get(*attr) {
                Some(Value::Text(text)) => pack_text(key, text),
                Some(Value::Int(n)) => pack_int(key, n),
                Some(Value::Bool(b)) => pack_text(key, if b { b"true" } else { b"false" }),
                None if attr.is_integer() => pack_int(key, 0),
                None => pack_text(key, b""),
            },
            Self::Host(attr) => pack_text(key, of.host(*attr).0),
            Self::SpanName if of.aggregated => pack_text(key, b"AGGREGATED"),
            Self::SpanName => of.pack_name(key),
            Self::SpanKind => pack_text(key, of.span.family.kind().word().as_bytes()),
            Self::Status => pack_text(key, of.span.status.word().as_bytes()),
            Self::Node(side) => pack_text(key, of.node(*side)),
            Self::NodeNamespace(side) => pack_text(key, of.node_namespace(*side)),
            Self::ConnectionType => pack_text(key, of.connection_type().as_bytes()),
            of_service => {
                if let Some(service) = of.service {
                    of_service.write(service, |text| pack_text(key, text.as_bytes()));
                }
            }
        }
    }

    /// Gives the value that the service alone decides about.
    pub(crate) fn write(&self, service: &Service, mut to: impl FnMut(&str)) {
        match self {
            Self::Name => to(&service.name),
            Self::Namespace => to(&service.namespace),
            Self::Instance => to(&service.instance_id),
            Self::Job => to(&service.job()),
            Self::Language => to(service.language),
            Self::HostId => to(&service.host_id),
            Self::Said(key) => {
                if let Some((_, value)) = service.extra.iter().find(|(name, _)| name == key) {
                    to(value);
                }
            }
            Self::Word(word) => to(word),
            _ => {}
        }
    }
}

/// A span, as labels see it.
#[derive(Debug)]
pub(crate) struct Observed<'a> {
    /// The span.
    pub(crate) span: &'a SpanHead,
    /// Its attributes.
    pub(super) values: Values<'a>,
    /// Whose it is.
    pub(crate) service: Option<&'a Service>,
    /// Whether its service has too many span names for one more.
    pub(crate) aggregated: bool,
    /// What all of them have in common.
    pub(crate) surroundings: &'a Surroundings,
}

/// What labels need to know beside the span.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// What unresolved hosts are called.
    pub(crate) renames: Renames,
    /// Whether spans of a process that exports traces by itself make no span metrics either.
    pub(crate) no_span_metrics_of_own_exporters: bool,
    /// Names of services that are observed.
    pub(crate) tracked: HashSet<String>,
}

impl<'a> Observed<'a> {
    /// Name of a host, and whether that is a word for one that has none.
    fn host(&self, key: AttrKey) -> (&'a [u8], bool) {
        self.named(key, self.values.text(key))
    }

    /// The same of the side that `key` is about, which is called `text`.
    fn named(&self, key: AttrKey, text: &'a [u8]) -> (&'a [u8], bool) {
        let Renames { unresolved, outgoing, incoming } = &self.surroundings.renames;
        let word = match (key, self.span.family.kind()) {
            (AttrKey::ServerAddress, SpanKind::Client) => outgoing,
            (AttrKey::ClientAddress, SpanKind::Server) => incoming,
            _ => unresolved,
        };
        match text.is_empty() || is_address(text) {
            true if !word.is_empty() => (word.as_bytes(), true),
            _ => (text, false),
        }
    }

    /// The span's name: its parts that are set, joined by blanks.
    pub(super) fn pack_name(&self, key: &mut Vec<u8>) {
        let at = begin_text(key);
        for part in self.span.family.named_by() {
            let text = self.values.text(*part);
            if !text.is_empty() {
                if key.len() > at {
                    key.push(b' ');
                }
                key.extend_from_slice(text);
            }
        }
        end_text(key, at);
    }

    /// The side that is observed itself.
    fn own_side(&self) -> Side {
        match self.span.family.kind() {
            SpanKind::Client => Side::Client,
            SpanKind::Server | SpanKind::Internal => Side::Server,
        }
    }

    /// The other side, and whether its name is only a word for one that has none.
    fn remote(&self) -> (&'a [u8], bool) {
        let (key, names) = match self.own_side() {
            Side::Client => (
                AttrKey::ServerAddress,
                &[AttrKey::PeerName, AttrKey::ServicePeerName, AttrKey::ServerAddress][..],
            ),
            Side::Server => (AttrKey::ClientAddress, &[AttrKey::ClientAddress][..]),
        };
        let mut names = names.iter().map(|name| self.values.text(*name));
        self.named(key, names.find(|name| !name.is_empty()).unwrap_or_default())
    }

    fn node(&self, side: Side) -> &'a [u8] {
        if side != self.own_side() {
            return self.remote().0;
        }
        let key = match side {
            Side::Client => AttrKey::ClientAddress,
            Side::Server => AttrKey::ServerAddress,
        };
        match (self.values.text(key), self.service) {
            (b"", Some(service)) => service.name.as_bytes(),
            (text, _) => self.named(key, text).0,
        }
    }

    /// The other side's, as far as it is known; that of one without a name counts as the own one.
    fn node_namespace(&self, side: Side) -> &'a [u8] {
        let other = self.values.text(AttrKey::PeerNamespace);
        match self.service {
            Some(service) if side == self.own_side() || other.is_empty() && self.remote().1 => {
                service.namespace.as_bytes()
            }
            _ => other,
        }
    }

    fn connection_type(&self) -> &'static str {
        if self.own_side() == Side::Client && !self.is_tracked() { "virtual_node" } else { "" }
    }

    /// Whether the other side is a service that is observed too, or one that nobody can name.
    fn is_tracked(&self) -> bool {
        let (name, is_word) = self.remote();
        let name = std::str::from_utf8(name).unwrap_or_default();
        is_word
            || name.is_empty()
            || is_address(name.as_bytes())
            || self.surroundings.tracked.contains(name)
    }

    /// Whether a table takes it: what the process exports by itself is not told a second time.
    pub(super) fn is_for(&self, table: &Spec) -> bool {
        let exports = self.service.map(|service| &service.exports);
        let features = self.service.and_then(|service| service.wishes.features.as_ref());
        if !features.map_or(table.common, |features| features.contains(&table.feature)) {
            return false;
        }
        match table.feature {
            Feature::Application => !exports.is_some_and(|exports| exports.metrics()),
            Feature::Span | Feature::SpanOtel | Feature::SpanSizes => {
                !self.surroundings.no_span_metrics_of_own_exporters
                    || !exports.is_some_and(|exports| exports.traces())
            }
            _ => !table.others_only || !self.is_self_reference(),
        }
    }

    /// Whether a service calls itself, as far as addresses and namespaces tell.
    fn is_self_reference(&self) -> bool {
        let other = self.values.text(AttrKey::PeerNamespace);
        let own = self.service.map_or("", |service| service.namespace.as_str());
        self.span.ends.client.addr == self.span.ends.server.addr
            && (other.is_empty() || other == own.as_bytes())
    }

    /// What a metric takes from it; `None` = nothing.
    pub(crate) fn measure(&self, measure: Measure) -> Option<u64> {
        let Self { span, .. } = self;
        let duration = span.times.end.0.saturating_sub(span.times.request_start.0);
        let client = self.own_side() == Side::Client;
        match measure {
            Measure::Duration => Some(duration),
            Measure::Attribute(key) => self.bytes(key),
            Measure::RequestBytes => self.bytes(span.family.text_columns().request_bytes),
            Measure::ResponseBytes => self.bytes(span.family.text_columns().response_bytes),
            Measure::Calls => Some(1),
            Measure::ClientDuration => client.then_some(duration),
            Measure::ServerDuration => (!client).then_some(duration),
            Measure::Edges => (!client || !self.is_tracked()).then_some(1),
            Measure::Failures => (span.status == SpanStatus::Error).then_some(1),
        }
    }

    fn bytes(&self, key: AttrKey) -> Option<u64> {
        match self.values.get(key)? {
            Value::Int(n) => Some(u64::try_from(n).unwrap_or(0)),
            Value::Text(_) | Value::Bool(_) => None,
        }
    }
}

/// Whether a text is an IP address. Most are names, and show it in their first bytes.
fn is_address(text: &[u8]) -> bool {
    let hex = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    text.iter().take(3).all(hex)
        && std::str::from_utf8(text).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
}

/// A value in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packed<'a> {
    /// UTF-8.
    Text(&'a str),
    /// A whole number.
    Int(i64),
}

const TEXT: u8 = 1;
const INT: u8 = 2;

fn pack_text(key: &mut Vec<u8>, text: &[u8]) {
    let at = begin_text(key);
    key.extend_from_slice(text);
    end_text(key, at);
}

/// Begins a text; gives where it stands.
fn begin_text(key: &mut Vec<u8>) -> usize {
    key.extend_from_slice(&[TEXT, 0, 0, 0, 0]);
    key.len()
}

/// Ends the text that stands at `at`: its length is written in front of it.
fn end_text(key: &mut [u8], at: usize) {
    let length = u32::try_from(key.len() - at).unwrap_or(0);
    if let Some(place) = key.get_mut(at - 4..at) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

fn pack_int(key: &mut Vec<u8>, n: i64) {
    key.push(INT);
    key.extend_from_slice(&n.to_le_bytes());
}

/// The values of a key, in their order.
pub(crate) fn unpack(mut key: &[u8]) -> impl Iterator<Item = Packed<'_>> {
    std::iter::from_fn(move || {
        let (tag, rest) = key.split_first()?;
        match *tag {
            INT => {
                let (n, rest) = rest.split_first_chunk()?;
                key = rest;
                Some(Packed::Int(i64::from_le_bytes(*n)))
            }
            _ => {
                let (len, rest) = rest.split_first_chunk()?;
                let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
                key = rest;
                Some(Packed::Text(std::str::from_utf8(text).unwrap_or_default()))
            }
        }
    })
}
