//! Every setting of the contract, one file a section.

mod agent;
mod attributes;
mod discovery;
mod ebpf;
mod export;
mod internal;
mod network;
mod payload;
mod prometheus;
mod spans;
mod standard;

use super::key::{Key, Kind};

pub(super) use agent::{
    AUTO_TARGET_EXE, AUTO_TARGET_LANGUAGE, EXECUTABLE_PATH, FAULT, LEDGER_FILE, LOG_CONFIG,
    LOG_FORMAT, LOG_LEVEL, OPEN_PORT, RUNTIME_DIR, SERVICE_NAME, SERVICE_NAMESPACE,
    SHUTDOWN_TIMEOUT, TARGET_PIDS, TRACE_PRINTER,
};
pub(super) use discovery::{
    DEFAULT_EXCLUDE_INSTRUMENT, DEFAULT_EXCLUDE_SERVICES, EXCLUDE_INSTRUMENT,
    EXCLUDE_OTEL_INSTRUMENTED, EXCLUDE_SERVICES, EXCLUDED_SYSTEM_PATHS, INSTRUMENT, SERVICES,
};
pub(super) use ebpf::FRONT_END;
pub(super) use export::{
    BACKOFF_ELAPSED, BACKOFF_INITIAL, BACKOFF_MAX, BATCH_MAX_SIZE, BATCH_TIMEOUT, METRICS_ENDPOINT,
    METRICS_PROTOCOL, METRICS_SKIP_VERIFY, QUEUE_SIZE, SAMPLER, SAMPLER_ARG, TRACES_ENDPOINT,
    TRACES_PROTOCOL, TRACES_SKIP_VERIFY,
};
pub(super) use standard::{
    CARDINALITY_LIMIT, EXEMPLAR_FILTER, HEADERS, METRIC_EXPORT_INTERVAL, METRIC_EXPORT_TIMEOUT,
    METRICS_CERTIFICATE, METRICS_CLIENT_CERTIFICATE, METRICS_CLIENT_KEY, METRICS_COMPRESSION,
    METRICS_HEADERS, METRICS_TIMEOUT, OTLP_ENDPOINT, RESOURCE_ATTRIBUTES, TEMPORALITY,
    TRACES_CERTIFICATE, TRACES_CLIENT_CERTIFICATE, TRACES_CLIENT_KEY, TRACES_COMPRESSION,
    TRACES_HEADERS, TRACES_TIMEOUT,
};

/// All of them, in the order in which the reference page lists them.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    [
        agent::KEYS,
        discovery::KEYS,
        ebpf::KEYS,
        payload::KEYS,
        export::KEYS,
        prometheus::KEYS,
        attributes::KEYS,
        spans::KEYS,
        network::KEYS,
        internal::KEYS,
        standard::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// Sections that a null switches off, instead of leaving them as they are.
pub(super) const SWITCHED_OFF_BY_NULL: [&str; 2] = ["routes", "name_resolver"];

/// Names that older versions had, and what took their place. They have no effect.
pub(super) const REMOVED: &[(&str, &str)] = &[
    ("ebpf.instrument_gpu", "ebpf.instrument_cuda"),
    ("OTEL_EBPF_INSTRUMENT_GPU", "OTEL_EBPF_INSTRUMENT_CUDA"),
    ("otel_traces_export.max_queue_size", "otel_traces_export.batch_max_size and queue_size"),
    (
        "OTEL_EBPF_OTLP_TRACES_MAX_QUEUE_SIZE",
        "OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE and OTEL_EBPF_OTLP_TRACES_QUEUE_SIZE",
    ),
    ("attributes.host_id.fetch_timeout", "attributes.metadata_retry.timeout"),
    ("OTEL_EBPF_HOST_ID_FETCH_TIMEOUT", "OTEL_EBPF_METADATA_RETRY_TIMEOUT"),
    ("jvm_runtime_metrics.enabled", "application_runtime in metrics.features"),
    ("OBI_JVM_RUNTIME_METRICS_ENABLED", "application_runtime in OTEL_EBPF_METRICS_FEATURES"),
    (
        "ebpf.payload_extraction.http.enrichment.policy.match_order",
        "the order of ebpf.payload_extraction.http.enrichment.rules",
    ),
    (
        "OTEL_EBPF_HTTP_ENRICHMENT_DEFAULT_ACTION",
        "ebpf.payload_extraction.http.enrichment.policy.default_action",
    ),
    (
        "OTEL_EBPF_HTTP_ENRICHMENT_MATCH_ORDER",
        "the order of ebpf.payload_extraction.http.enrichment.rules",
    ),
    ("discovery.rules", "discovery.instrument and discovery.exclude_instrument"),
    ("OTEL_EBPF_CONTEXT_PROPAGATION", "OTEL_EBPF_BPF_CONTEXT_PROPAGATION"),
];

/// What took the place of the oldest selectors.
const REPLACED_BY_INSTRUMENT: &str = "discovery.instrument with exe_path, a glob";

/// Metric families that can be switched on.
const FEATURES: Kind = Kind::Words(&[
    "application",
    "application_span",
    "application_span_otel",
    "application_span_sizes",
    "application_service_graph",
    "application_host",
    "application_runtime",
    "network",
    "network_flow_packets",
    "network_inter_zone",
    "stats",
    "stats_tcp_rtt",
    "stats_tcp_failed_connections",
    "stats_tcp_retransmits",
    "stats_tcp_io",
    "ebpf",
    "all",
    "*",
]);

/// Protocols, as exporters name them.
const INSTRUMENTATIONS: Kind = Kind::Names(&[
    "*",
    "http",
    "grpc",
    "sql",
    "redis",
    "kafka",
    "mqtt",
    "nats",
    "amqp",
    "gpu",
    "mongo",
    "dns",
    "couchbase",
    "genai",
    "memcached",
    "sunrpc",
    "aerospike",
]);

/// Samplers that the contract has.
const SAMPLERS: &[&str] = &[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// How much an exporter's library logs.
const SDK_LOG_LEVEL: Kind = Kind::AnyCase(&["debug", "info", "warn", "error"]);
