//! The agent's own.

use super::{COUNTER, Feature, GAUGE, Instrument, Limits, Metric, UP_DOWN, histogram};

const MAP: &[&str] = &["bpf.map.id", "bpf.map.name", "bpf.map.type"];
const MAP_LABELS: &[&str] = &["map_id", "map_name", "map_type"];
const PROBE_LABELS: &[&str] = &["probe_id", "probe_type", "probe_name"];
const BUILD_LABELS: &[&str] = &["goarch", "goos", "goversion", "version", "revision"];

/// Of the internal metrics: by its name over OTLP and for Prometheus.
const fn own(
    otel: &'static str,
    prometheus: &'static str,
    kind: (Instrument, Limits),
    unit: &'static str,
) -> Metric {
    Metric::new(otel, prometheus, kind, unit, Feature::Internal).labels(&[])
}

/// Spans that the decoder hands on together.
pub const TRACER_FLUSHES: Metric =
    own("obi.ebpf.tracer.flushes", "obi_ebpf_tracer_flushes", histogram(Limits::Flushes), "1")
        .help("Spans that the decoder handed on together.");
/// Data points that OTLP receivers took.
pub const METRIC_EXPORTS: Metric =
    own("obi.otel.metric.exports", "obi_otel_metric_exports_total", COUNTER, "")
        .help("Data points that OTLP receivers took.");
/// Requests with metrics that failed.
pub const METRIC_EXPORT_ERRORS: Metric =
    own("obi.otel.metric.export.errors", "obi_otel_metric_export_errors_total", COUNTER, "")
        .with(&["obi.error"])
        .labels(&["error"])
        .help("Requests with metrics that failed.");
/// Spans that OTLP receivers took.
pub const TRACE_EXPORTS: Metric =
    own("obi.otel.trace.exports", "obi_otel_trace_exports_total", COUNTER, "")
        .help("Spans that OTLP receivers took.");
/// Requests with spans that failed.
pub const TRACE_EXPORT_ERRORS: Metric =
    own("obi.otel.trace.export.errors", "obi_otel_trace_export_errors_total", COUNTER, "")
        .with(&["obi.error"])
        .labels(&["error"])
        .help("Requests with spans that failed.");
/// Processes that are observed now.
pub const INSTRUMENTED_PROCESSES: Metric =
    own("obi.instrumented.processes", "obi_instrumented_processes", UP_DOWN, "")
        .with(&["process.executable.name"])
        .labels(&["process_name"])
        .help("Processes that are observed now.");
/// Services that export a signal by themselves.
pub const AVOIDED_SERVICES: Metric = own("obi.avoided.services", "obi_avoided_services", GAUGE, "")
    .with(&["service.name", "service.namespace", "telemetry.type"])
    .labels(&["service_name", "service_namespace", "telemetry_type", "otel_metric_overflow"])
    .help("Services that export a signal by themselves.");
/// Which build this is.
pub const INTERNAL_BUILD_INFO: Metric =
    own("obi.internal.build.info", "obi_internal_build_info", GAUGE, "")
        .with(&["obi.goarch", "obi.goos", "obi.goversion", "obi.revision", "obi.version"])
        .labels(BUILD_LABELS)
        .help("Which build this is.");
/// How long the agent's programs run in the kernel.
pub const PROBE_LATENCY: Metric =
    own("obi.bpf.probe.latency", "", histogram(Limits::ProbeDurations), "s")
        .with(&["bpf.probe.id", "bpf.probe.name", "bpf.probe.type"])
        .help("How long a program of the agent runs in the kernel, on average between two reads.");
/// Entries in the agent's maps.
pub const MAP_ENTRIES: Metric = own("obi.bpf.map.entries", "obi_bpf_map_entries", GAUGE, "")
    .with(MAP)
    .labels(MAP_LABELS)
    .help("Entries in a map of the agent.");
/// Entries that they may have.
pub const MAP_MAX_ENTRIES: Metric =
    own("obi.bpf.map.max_entries", "obi_bpf_map_max_entries", GAUGE, "")
        .with(MAP)
        .labels(MAP_LABELS)
        .help("Entries that a map of the agent may have.");
/// How full the queues in front of the exporters are.
pub const QUEUE_CAPACITY: Metric =
    own("obi.queue.capacity.ratio", "obi_queue_capacity_ratio", GAUGE, "1")
        .with(&["subscriber"])
        .labels(&["subscriber"])
        .help("How full the queue in front of an exporter is.");
/// How often the agent's programs ran.
pub const PROBE_EXECUTIONS: Metric = own("", "obi_bpf_probe_executions_total", COUNTER, "")
    .labels(PROBE_LABELS)
    .help("How often a program of the agent ran in the kernel.");
/// How long they ran.
pub const PROBE_SECONDS: Metric = own("", "obi_bpf_probe_latency_seconds_total", COUNTER, "")
    .labels(PROBE_LABELS)
    .help("How long a program of the agent ran in the kernel.");
/// How often Prometheus asked.
pub const SCRAPES: Metric = own("", "obi_prometheus_http_requests_total", COUNTER, "")
    .labels(&["port", "path"])
    .help("Requests for metrics.");

/// Not of the contract: what every stage took, handed on and dropped.
pub const LEDGER_ITEMS: Metric = own("obi.ledger.items", "obi_ledger_items_total", COUNTER, "")
    .with(&["obi.ledger.flow", "obi.ledger.reason", "obi.ledger.stage"])
    .labels(&["stage", "flow", "reason"])
    .help("What a stage took (in), handed on (out) and dropped, and why: in = out + dropped + in flight.");
/// Not of the contract: what lies inside the stages.
pub const LEDGER_IN_FLIGHT: Metric = own("obi.ledger.in_flight", "obi_ledger_in_flight", GAUGE, "")
    .with(&["obi.ledger.stage"])
    .labels(&["stage"])
    .help("What lies inside a stage now.");
/// Not of the contract: what is counted beside the ledger.
pub const EVENTS: Metric = own("obi.events", "obi_events_total", COUNTER, "")
    .with(&["obi.event"])
    .labels(&["event"])
    .help("What the agent counted beside its ledger.");

pub(super) const ROWS: &[Metric] = &[
    TRACER_FLUSHES,
    METRIC_EXPORTS,
    METRIC_EXPORT_ERRORS,
    TRACE_EXPORTS,
    TRACE_EXPORT_ERRORS,
    INSTRUMENTED_PROCESSES,
    own("obi.instrumentation.errors", "obi_instrumentation_errors_total", COUNTER, "")
        .with(&["error.type", "process.executable.name"])
        .labels(&["process_name", "error_type"])
        .missing("probes inside processes"),
    AVOIDED_SERVICES,
    INTERNAL_BUILD_INFO,
    PROBE_LATENCY,
    MAP_ENTRIES,
    MAP_MAX_ENTRIES,
    own(
        "obi.kube.cache.forward.lag",
        "obi_kube_cache_forward_lag_seconds",
        histogram(Limits::Lags),
        "s",
    )
    .missing("the cache of Kubernetes' metadata"),
    own(
        "obi.bpf.network.ignored.packets",
        "obi_bpf_network_ignored_packets_total",
        COUNTER,
        "{packet}",
    )
    .missing("network flows"),
    own("obi.bpf.network.packets", "obi_bpf_network_packets_total", COUNTER, "{packet}")
        .missing("network flows"),
    QUEUE_CAPACITY,
    PROBE_EXECUTIONS,
    PROBE_SECONDS,
    SCRAPES,
    Metric::new(
        "",
        "bpf_probe_latency_seconds",
        histogram(Limits::ProbeDurations),
        "",
        Feature::Ebpf,
    )
    .labels(PROBE_LABELS)
    .missing("programs of others"),
    Metric::new("", "bpf_map_entries_total", COUNTER, "", Feature::Ebpf)
        .labels(&["map_id", "map_name", "map_type", "max_entries"])
        .missing("maps of others"),
    cache("obi_kube_cache_informer_events_total", COUNTER, &["type"]),
    cache("obi_kube_cache_connected_clients", GAUGE, &[]),
    cache("obi_kube_cache_client_messages_total", COUNTER, &["status"]),
    cache("obi_kube_cache_internal_build_info", GAUGE, BUILD_LABELS),
    cache("obi_informer_receive_lag_seconds", histogram(Limits::Lags), &[]),
];

/// Of the service that caches Kubernetes' metadata.
const fn cache(
    prometheus: &'static str,
    kind: (Instrument, Limits),
    labels: &'static [&'static str],
) -> Metric {
    Metric::new("", prometheus, kind, "", Feature::KubeCache)
        .labels(labels)
        .missing("the cache of Kubernetes' metadata")
}
