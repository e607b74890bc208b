//! Routes, names of peers, and which spans, flows and statistics are kept.

use super::super::key::{COUNT, Key, Kind, POSITIVE, SOME_DURATION};

fn is_source(text: &str) -> bool {
    ["dns", "k8s", "kube", "kubernetes", "rdns"].contains(&text.to_lowercase().as_str())
}

const NUMBER: Kind = Kind::Int(i64::MIN, i64::MAX);

/// A condition on an attribute.
const MATCHER: Kind = Kind::Fields(&[
    Key::new("match", Kind::Glob, "", "Keeps what matches."),
    Key::new("not_match", Kind::Glob, "", "Keeps what does not."),
    Key::new("equals", NUMBER, "", "Keeps this number."),
    Key::new("not_equals", NUMBER, "", "Keeps any other number."),
    Key::new("greater_than", NUMBER, "", "Keeps greater numbers."),
    Key::new("greater_equals", NUMBER, "", "Keeps this and greater numbers."),
    Key::new("less_equals", NUMBER, "", "Keeps this and smaller numbers."),
    Key::new("less_than", NUMBER, "", "Keeps smaller numbers."),
]);

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "routes.patterns",
        Kind::List,
        "",
        "Route patterns: `/user/:id`, `/user/{id}`, `/static/*`.",
    )
    .acted(),
    Key::new(
        "routes.ignored_patterns",
        Kind::List,
        "",
        "Paths that are left out, as such patterns.",
    )
    .deprecated("filter.application with not_match on url.path")
    .acted(),
    Key::new(
        "routes.ignore_mode",
        Kind::Word(&["metrics", "traces", "all", ""]),
        "",
        "Signals that they are left out of; all when absent.",
    )
    .deprecated("filter.application with not_match on url.path")
    .acted(),
    Key::new(
        "routes.unmatched",
        Kind::Word(&["unset", "path", "wildcard", "heuristic", "low-cardinality", ""]),
        "heuristic",
        "http.route of a path that no pattern matches; empty means `wildcard`.",
    )
    .acted(),
    Key::new("routes.wildcard_char", Kind::Short(1), "'*'", "What stands for a part that varies.")
    .acted(),
    Key::new(
        "routes.max_path_segment_cardinality",
        COUNT,
        "10",
        "Values that a part of a path has before it varies; 0 = no limit.",
    )
    .acted(),
    Key::new(
        "name_resolver.sources",
        Kind::SomeOf("dns, k8s or rdns", is_source),
        "[k8s]",
        "Where names of addresses come from: `dns` = /etc/hosts and PTR records; `k8s` and `rdns` are \
         not acted on yet. A null for the section: no names at all.",
    )
    .vars(&["OTEL_EBPF_NAME_RESOLVER_SOURCES"])
    .acted(),
    Key::new(
        "name_resolver.cache_len",
        POSITIVE,
        "1024",
        "Addresses that are remembered with the name that DNS has for them, or none.",
    )
    .vars(&["OTEL_EBPF_NAME_RESOLVER_CACHE_LEN"])
    .acted(),
    Key::new(
        "name_resolver.cache_expiry",
        SOME_DURATION,
        "5m",
        "How long; of which nobody could be asked, 30s at most.",
    )
    .vars(&["OTEL_EBPF_NAME_RESOLVER_CACHE_TTL"])
    .acted(),
    Key::new(
        "filter.application",
        Kind::Map(&MATCHER),
        "",
        "Spans that are kept, for traces and metrics: attributes with conditions that must all hold.",
    )
    .acted(),
    Key::new("filter.network", Kind::Map(&MATCHER), "", "The same for flows."),
    Key::new("filter.stats", Kind::Map(&MATCHER), "", "The same for TCP statistics."),
];
