//! Which spans, flows and statistics are kept.

use super::super::layers::{Remarks, Settings};
use super::super::table::similar;
use super::super::value::{Fields, Value};
use super::{Plan, at, map};

/// What is filtered, and the attributes that it has.
const FILTERS: [(&str, Attributes); 3] = [
    ("filter.application", Attributes { names: &[OF_SPANS], families: FAMILIES_OF_SPANS }),
    ("filter.network", Attributes { names: &[OF_ENDS, OF_FLOWS], families: &[] }),
    ("filter.stats", Attributes { names: &[OF_ENDS, OF_STATISTICS], families: &[] }),
];

/// Names, with dots for underscores.
#[derive(Clone, Copy)]
struct Attributes {
    names: &'static [&'static [&'static str]],
    /// Beginnings of names of which not every one is known.
    families: &'static [&'static str],
}

const OF_SPANS: &[&str] = &[
    "client",
    "client.address",
    "client.port",
    "cuda.memcpy.kind",
    "direction",
    "error.type",
    "http.request.body.size",
    "http.request.method",
    "http.response.body.size",
    "http.response.status.code",
    "http.route",
    "instance",
    "job",
    "name",
    "peer.service",
    "server",
    "server.address",
    "server.port",
    "span.kind",
    "span.name",
    "status.code",
    "target.instance",
    "url.full",
    "url.path",
    "url.query",
    "url.scheme",
    "user.agent.original",
];
const FAMILIES_OF_SPANS: &[&str] = &[
    "aws.",
    "client.service.",
    "cloud.",
    "container.",
    "db.",
    "deployment.",
    "dns.",
    "elasticsearch.",
    "gen.ai.",
    "gpu.",
    "graphql.",
    "host.",
    "jsonrpc.",
    "k8s.",
    "mcp.",
    "messaging.",
    "network.",
    "onc.rpc.",
    "openai.",
    "os.",
    "process.",
    "rpc.",
    "server.service.",
    "service.",
    "telemetry.",
];
/// Of flows and statistics: their two ends.
const OF_ENDS: &[&str] = &[
    "dst.address",
    "dst.asn",
    "dst.cidr",
    "dst.country",
    "dst.name",
    "dst.port",
    "dst.zone",
    "host.id",
    "k8s.cluster.name",
    "k8s.dst.name",
    "k8s.dst.namespace",
    "k8s.dst.node.ip",
    "k8s.dst.node.name",
    "k8s.dst.owner.name",
    "k8s.dst.owner.type",
    "k8s.dst.type",
    "k8s.src.name",
    "k8s.src.namespace",
    "k8s.src.node.ip",
    "k8s.src.node.name",
    "k8s.src.owner.name",
    "k8s.src.owner.type",
    "k8s.src.type",
    "obi.ip",
    "service.name",
    "service.namespace",
    "service.peer.name",
    "service.peer.namespace",
    "src.address",
    "src.asn",
    "src.cidr",
    "src.country",
    "src.name",
    "src.port",
    "src.zone",
];
const OF_FLOWS: &[&str] = &[
    "client.port",
    "direction",
    "iface",
    "iface.direction",
    "network.protocol.name",
    "network.type",
    "server.port",
    "transport",
];
const OF_STATISTICS: &[&str] = &["network.io.direction", "network.tcp.handshake.role", "reason"];

/// Each condition on an attribute: the setting, the attribute, what is asked of it.
fn matchers(settings: &Settings) -> impl Iterator<Item = (&'static str, &str, &Fields)> {
    FILTERS.into_iter().flat_map(|(path, _)| {
        map(settings, path).iter().filter_map(move |(name, matcher)| match matcher {
            Value::Fields(fields) => Some((path, name.as_str(), fields)),
            _ => None,
        })
    })
}

/// A glob, or numbers.
pub(super) fn matchers_are_one_condition(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    for (path, name, fields) in matchers(settings) {
        let globs = ["match", "not_match"].map(|clause| match fields.get(clause) {
            Some(Value::Text(glob)) => !glob.is_empty(),
            _ => false,
        });
        let numeric = fields.values.iter().any(|(_, value)| matches!(value, Value::Int(_)));
        let why = match (globs, numeric) {
            ([false, false], false) => {
                "must have a condition: match, not_match, or numbers such as equals"
            }
            ([true, true], _) => "match and not_match exclude each other",
            ([true, _] | [_, true], true) => "globs and numbers exclude each other",
            _ => continue,
        };
        remarks.wrong_at(fields.line, format!("{path}.{name}: {why}"));
    }
}

/// As far as names are known.
pub(super) fn attributes_are_known(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    for (path, name, fields) in matchers(settings) {
        let Some((_, known)) = FILTERS.iter().find(|(other, _)| *other == path) else { continue };
        let dotted = name.replace('_', ".");
        let in_family = known.families.iter().any(|family| dotted.starts_with(family));
        let mut names = known.names.iter().copied().flatten().copied();
        if in_family || names.clone().any(|known| known == dotted) {
            continue;
        }
        // A secret may stand where a name belongs.
        let hidden = at(settings, path).is_some_and(|setting| setting.secret);
        let hint = match similar(&dotted, &mut names) {
            Some(nearest) if !hidden => format!("; did you mean {nearest}?"),
            _ => String::new(),
        };
        let why = format!("{path}.{name}: there is no such attribute here{hint}");
        remarks.wrong_at(fields.line, why);
    }
}
