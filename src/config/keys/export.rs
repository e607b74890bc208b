//! Metrics and traces over OTLP.

use super::super::key::{COUNT, DURATION, Key, Kind, POSITIVE};
use super::{FEATURES, INSTRUMENTATIONS, SAMPLERS, SDK_LOG_LEVEL};

/// `debug` stands in the contract, but only for traces.
const PROTOCOLS: &[&str] = &["grpc", "http/protobuf", "http/json"];
const TRACES_PROTOCOLS: &[&str] = &["grpc", "http/protobuf", "http/json", "debug"];

/// Default limits of histograms, as YAML.
pub(super) const DURATIONS: &str =
    "[0, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]";
pub(super) const SIZES: &str = "[0, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192]";
pub(super) const TOKENS: &str = "[1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, \
                                 16777216, 67108864]";
pub(super) const GENAI_DURATIONS: &str = "[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, \
                                          10.24, 20.48, 40.96, 81.92]";
pub(super) const ROUND_TRIPS: &str =
    "[0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]";

pub(in crate::config) const METRICS_ENDPOINT: Key = Key::new(
    "otel_metrics_export.endpoint",
    Kind::Url,
    "",
    "Where metrics are sent, with the whole path; over HTTP, `/v1/metrics` when it has none.",
)
.vars(&["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"])
.acted();
pub(in crate::config) const METRICS_PROTOCOL: Key = Key::new(
    "otel_metrics_export.protocol",
    Kind::Word(PROTOCOLS),
    "",
    "How; by the port when absent: 4317 means `grpc`, any other `http/protobuf`.",
)
.vars(&["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
.acted();
pub(in crate::config) const METRICS_SKIP_VERIFY: Key = Key::new(
    "otel_metrics_export.insecure_skip_verify",
    Kind::Bool,
    "false",
    "Any TLS certificate is accepted.",
)
.vars(&["OTEL_EBPF_INSECURE_SKIP_VERIFY"])
.acted();
pub(in crate::config) const TRACES_ENDPOINT: Key = Key::new(
    "otel_traces_export.endpoint",
    Kind::Url,
    "",
    "Where spans are sent; over HTTP, `/v1/traces` is put behind a path that does not end so.",
)
.vars(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
.acted();
pub(in crate::config) const TRACES_PROTOCOL: Key = Key::new(
    "otel_traces_export.protocol",
    Kind::Word(TRACES_PROTOCOLS),
    "",
    "How; by the port when absent: 4317 means `grpc`, any other `http/protobuf`.",
)
.vars(&["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
.acted();
pub(in crate::config) const TRACES_SKIP_VERIFY: Key = Key::new(
    "otel_traces_export.insecure_skip_verify",
    Kind::Bool,
    "false",
    "Any TLS certificate is accepted.",
)
.vars(&["OTEL_EBPF_INSECURE_SKIP_VERIFY"])
.acted();
pub(in crate::config) const BATCH_MAX_SIZE: Key = Key::new(
    "otel_traces_export.batch_max_size",
    COUNT,
    "4096",
    "Spans of one request at most; 0 = no limit.",
)
.vars(&["OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE"])
.acted();
pub(in crate::config) const QUEUE_SIZE: Key = Key::new(
    "otel_traces_export.queue_size",
    COUNT,
    "16384",
    "Spans that may wait to be sent: at least twice `batch_max_size`; 0 = four times it.",
)
.vars(&["OTEL_EBPF_OTLP_TRACES_QUEUE_SIZE"])
.acted();
pub(in crate::config) const BATCH_TIMEOUT: Key = Key::new(
    "otel_traces_export.batch_timeout",
    DURATION,
    "15s",
    "How long a span waits for its request to fill.",
)
.vars(&["OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT"])
.acted();
pub(in crate::config) const BACKOFF_INITIAL: Key = Key::new(
    "otel_traces_export.backoff_initial_interval",
    DURATION,
    "0s",
    "How long to wait before the first retry; 0 = 5s.",
)
.vars(&["OTEL_EBPF_BACKOFF_INITIAL_INTERVAL"])
.acted();
pub(in crate::config) const BACKOFF_MAX: Key = Key::new(
    "otel_traces_export.backoff_max_interval",
    DURATION,
    "0s",
    "How long to wait before a retry at most; 0 = 30s.",
)
.vars(&["OTEL_EBPF_BACKOFF_MAX_INTERVAL"])
.acted();
pub(in crate::config) const BACKOFF_ELAPSED: Key = Key::new(
    "otel_traces_export.backoff_max_elapsed_time",
    DURATION,
    "0s",
    "After how long a request is given up; 0 = 5m.",
)
.vars(&["OTEL_EBPF_BACKOFF_MAX_ELAPSED_TIME"])
.acted();

pub(in crate::config) const SAMPLER: Key = Key::new(
    "otel_traces_export.sampler.name",
    Kind::Word(SAMPLERS),
    "",
    "Which traces are sent; `parentbased_always_on` when absent.",
)
.vars(&["OTEL_TRACES_SAMPLER"])
.acted();
pub(in crate::config) const SAMPLER_ARG: Key = Key::new(
    "otel_traces_export.sampler.arg",
    Kind::Text,
    "",
    "The ratio of a sampler that has one, 0 to 1.",
)
.vars(&["OTEL_TRACES_SAMPLER_ARG"])
.acted();

pub(super) const KEYS: &[Key] = &[
    METRICS_ENDPOINT,
    METRICS_PROTOCOL,
    Key::new("otel_metrics_export.interval", DURATION, "0s", "How often; 0 = OTEL_METRIC_EXPORT_INTERVAL.")
        .vars(&["OTEL_EBPF_METRICS_INTERVAL"])
    .acted(),
    METRICS_SKIP_VERIFY,
    Key::new(
        "otel_metrics_export.histogram_aggregation",
        Kind::Word(&["explicit_bucket_histogram", "base2_exponential_bucket_histogram"]),
        "explicit_bucket_histogram",
        "What histograms are.",
    )
    .vars(&["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"])
    .acted(),
    Key::new("otel_metrics_export.exponential_histogram.max_size", Kind::Int(1, i32::MAX as i64), "160", "Buckets of an exponential histogram at most.")
        .vars(&["OTEL_EBPF_METRICS_EXPONENTIAL_HISTOGRAM_MAX_SIZE"])
    .acted(),
    Key::new("otel_metrics_export.exponential_histogram.max_scale", Kind::Int(-10, 20), "20", "Its scale at most.")
        .vars(&["OTEL_EBPF_METRICS_EXPONENTIAL_HISTOGRAM_MAX_SCALE"])
    .acted(),
    Key::new("otel_metrics_export.buckets.duration_histogram", Kind::Buckets, DURATIONS, "Limits of durations, in seconds.")
    .acted(),
    Key::new("otel_metrics_export.buckets.request_size_histogram", Kind::Buckets, SIZES, "Limits of request bodies, in bytes.")
    .acted(),
    Key::new("otel_metrics_export.buckets.response_size_histogram", Kind::Buckets, SIZES, "Limits of response bodies, in bytes.")
    .acted(),
    Key::new("otel_metrics_export.buckets.gen_ai_client_token_usage_histogram", Kind::Buckets, TOKENS, "Limits of token counts."),
    Key::new("otel_metrics_export.buckets.gen_ai_client_operation_duration_histogram", Kind::Buckets, GENAI_DURATIONS, "Limits of model calls, in seconds."),
    Key::new("otel_metrics_export.buckets.stat_tcp_rtt_histogram", Kind::Buckets, ROUND_TRIPS, "Limits of TCP round trips, in seconds."),
    Key::new("otel_metrics_export.reporters_cache_len", COUNT, "256", "Services whose metrics are kept at the same time.")
        .vars(&["OTEL_EBPF_METRICS_REPORT_CACHE_LEN"]),
    Key::new("otel_metrics_export.ttl", DURATION, "5m", "How long a series lives without news.")
        .vars(&["OTEL_EBPF_METRICS_TTL"])
    .acted(),
    Key::new("otel_metrics_export.instrumentations", INSTRUMENTATIONS, "['*']", "Protocols that have metrics.")
        .vars(&["OTEL_EBPF_METRICS_INSTRUMENTATIONS"])
    .acted(),
    Key::new("otel_metrics_export.allow_service_graph_self_references", Kind::Bool, "false", "Keeps edges of a service to itself.")
        .vars(&["OTEL_EBPF_ALLOW_SERVICE_GRAPH_SELF_REFERENCES"])
    .acted(),
    Key::new("otel_metrics_export.extra_span_resource_attributes", Kind::List, "", "Resource attributes that span metrics have besides.")
        .vars(&["OTEL_EBPF_EXTRA_SPAN_RESOURCE_ATTRIBUTES"])
    .acted(),
    Key::new("otel_metrics_export.otel_sdk_log_level", SDK_LOG_LEVEL, "", "How much the exporter logs.")
        .vars(&["OTEL_EBPF_SDK_LOG_LEVEL"]),
    Key::new("otel_metrics_export.features", FEATURES, "", "Metric families of every exporter, where metrics are sent over OTLP.")
        .deprecated("metrics.features")
    .acted(),
    TRACES_ENDPOINT,
    TRACES_PROTOCOL,
    Key::new(
        "otel_traces_export.instrumentations",
        INSTRUMENTATIONS,
        "[http, grpc, sql, redis, kafka, mqtt, nats, amqp, mongo, couchbase, memcached, sunrpc, aerospike]",
        "Protocols that have spans.",
    )
    .vars(&["OTEL_EBPF_TRACES_INSTRUMENTATIONS"]),
    TRACES_SKIP_VERIFY,
    SAMPLER,
    SAMPLER_ARG,
    BATCH_MAX_SIZE,
    QUEUE_SIZE,
    BATCH_TIMEOUT,
    BACKOFF_INITIAL,
    BACKOFF_MAX,
    BACKOFF_ELAPSED,
    Key::new("otel_traces_export.reporters_cache_len", POSITIVE, "256", "Services that are kept at the same time.")
        .vars(&["OTEL_EBPF_TRACES_REPORT_CACHE_LEN"]),
    Key::new("otel_traces_export.otel_sdk_log_level", SDK_LOG_LEVEL, "", "How much the exporter logs.")
        .vars(&["OTEL_EBPF_SDK_LOG_LEVEL"]),
];
