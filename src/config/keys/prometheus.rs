//! Metrics that Prometheus fetches.

use super::super::key::{DURATION, Key, Kind, PORT, POSITIVE, SOME_DURATION};
use super::export::{DURATIONS, GENAI_DURATIONS, ROUND_TRIPS, SIZES, TOKENS};
use super::{FEATURES, INSTRUMENTATIONS};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "prometheus_export.port",
        PORT,
        "0",
        "TCP port that metrics are fetched from; 0 = none.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_PORT"])
    .acted(),
    Key::new(
        "prometheus_export.path",
        Kind::Text,
        "/metrics",
        "Path that metrics are fetched from.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_PATH"])
    .acted(),
    Key::new(
        "prometheus_export.disable_build_info",
        Kind::Bool,
        "false",
        "Leaves out the metric of the build.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_DISABLE_BUILD_INFO"])
    .acted(),
    Key::new(
        "prometheus_export.instrumentations",
        INSTRUMENTATIONS,
        "['*']",
        "Protocols that have metrics.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_INSTRUMENTATIONS"])
    .acted(),
    Key::new(
        "prometheus_export.buckets.duration_histogram",
        Kind::Buckets,
        DURATIONS,
        "Limits of durations, in seconds.",
    )
    .acted(),
    Key::new(
        "prometheus_export.buckets.request_size_histogram",
        Kind::Buckets,
        SIZES,
        "Limits of request bodies, in bytes.",
    )
    .acted(),
    Key::new(
        "prometheus_export.buckets.response_size_histogram",
        Kind::Buckets,
        SIZES,
        "Limits of response bodies, in bytes.",
    )
    .acted(),
    Key::new(
        "prometheus_export.buckets.gen_ai_client_token_usage_histogram",
        Kind::Buckets,
        TOKENS,
        "Limits of token counts.",
    ),
    Key::new(
        "prometheus_export.buckets.gen_ai_client_operation_duration_histogram",
        Kind::Buckets,
        GENAI_DURATIONS,
        "Limits of model calls, in seconds.",
    ),
    Key::new(
        "prometheus_export.buckets.stat_tcp_rtt_histogram",
        Kind::Buckets,
        ROUND_TRIPS,
        "Limits of TCP round trips, in seconds.",
    ),
    Key::new(
        "prometheus_export.native_histogram.bucket_factor",
        Kind::Above(1.0),
        "1.1",
        "How much a bucket of a native histogram is wider than the one before.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_NATIVE_HISTOGRAM_BUCKET_FACTOR"]),
    Key::new(
        "prometheus_export.native_histogram.max_bucket_number",
        Kind::Int(1, u32::MAX as i64),
        "100",
        "Its buckets at most.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_NATIVE_HISTOGRAM_MAX_BUCKET_NUMBER"]),
    Key::new(
        "prometheus_export.native_histogram.min_reset_duration",
        SOME_DURATION,
        "1h",
        "How often it may begin anew.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_NATIVE_HISTOGRAM_MIN_RESET_DURATION"]),
    Key::new("prometheus_export.ttl", DURATION, "5m", "How long a series lives without news.")
        .vars(&["OTEL_EBPF_PROMETHEUS_TTL"])
        .acted(),
    Key::new(
        "prometheus_export.service_cache_size",
        POSITIVE,
        "10000",
        "Services whose span metrics are kept.",
    ),
    Key::new(
        "prometheus_export.allow_service_graph_self_references",
        Kind::Bool,
        "false",
        "Keeps edges of a service to itself.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_ALLOW_SERVICE_GRAPH_SELF_REFERENCES"])
    .acted(),
    Key::new(
        "prometheus_export.exemplar_filter",
        Kind::Word(&["always_on", "always_off", "trace_based"]),
        "",
        "Which observations have exemplars; `always_off` when absent.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_EXEMPLAR_FILTER"])
    .acted(),
    Key::new(
        "prometheus_export.extra_resource_attributes",
        Kind::List,
        "",
        "Resource attributes that `target_info` has besides.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_EXTRA_RESOURCE_ATTRIBUTES"])
    .acted(),
    Key::new(
        "prometheus_export.extra_span_resource_attributes",
        Kind::List,
        "",
        "Resource attributes that span metrics have besides.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_EXTRA_SPAN_RESOURCE_ATTRIBUTES"])
    .acted(),
    Key::new(
        "prometheus_export.features",
        FEATURES,
        "",
        "Metric families of every exporter, where Prometheus fetches them.",
    )
    .vars(&["OTEL_EBPF_PROMETHEUS_FEATURES"])
    .deprecated("metrics.features")
    .acted(),
];
