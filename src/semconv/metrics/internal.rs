//! The agent's own.

use super::{COUNTER, Feature, GAUGE, Limits, Metric, UP_DOWN, histogram};

const MAP: &[&str] = &["bpf.map.id", "bpf.map.name", "bpf.map.type"];
const MAP_LABELS: &[&str] = &["map_id", "map_name", "map_type"];
const PROBE_LABELS: &[&str] = &["probe_id", "probe_type", "probe_name"];
const BUILD_LABELS: &[&str] = &["goarch", "goos", "goversion", "version", "revision"];

pub(super) const ROWS: &[Metric] = &[
    Metric::new(
        "obi.ebpf.tracer.flushes",
        "obi_ebpf_tracer_flushes",
        histogram(Limits::Flushes),
        "1",
        Feature::Internal,
    )
    .labels(&[])
    .missing("the agent's own figures"),
    Metric::new(
        "obi.otel.metric.exports",
        "obi_otel_metric_exports_total",
        COUNTER,
        "",
        Feature::Internal,
    )
    .labels(&[])
    .missing("the agent's own figures"),
    Metric::new(
        "obi.otel.metric.export.errors",
        "obi_otel_metric_export_errors_total",
        COUNTER,
        "",
        Feature::Internal,
    )
    .with(&["obi.error"])
    .labels(&["error"])
    .missing("the agent's own figures"),
    Metric::new(
        "obi.otel.trace.exports",
        "obi_otel_trace_exports_total",
        COUNTER,
        "",
        Feature::Internal,
    )
    .labels(&[])
    .missing("the agent's own figures"),
    Metric::new(
        "obi.otel.trace.export.errors",
        "obi_otel_trace_export_errors_total",
        COUNTER,
        "",
        Feature::Internal,
    )
    .with(&["obi.error"])
    .labels(&["error"])
    .missing("the agent's own figures"),
    Metric::new(
        "obi.instrumented.processes",
        "obi_instrumented_processes",
        UP_DOWN,
        "",
        Feature::Internal,
    )
    .with(&["process.executable.name"])
    .labels(&["process_name"])
    .missing("the agent's own figures"),
    Metric::new(
        "obi.instrumentation.errors",
        "obi_instrumentation_errors_total",
        COUNTER,
        "",
        Feature::Internal,
    )
    .with(&["error.type", "process.executable.name"])
    .labels(&["process_name", "error_type"])
    .missing("the agent's own figures"),
    Metric::new("obi.avoided.services", "obi_avoided_services", GAUGE, "", Feature::Internal)
        .with(&["service.name", "service.namespace", "telemetry.type"])
        .labels(&["service_name", "service_namespace", "telemetry_type", "otel_metric_overflow"])
        .missing("the agent's own figures"),
    Metric::new("obi.internal.build.info", "obi_internal_build_info", GAUGE, "", Feature::Internal)
        .with(&["obi.goarch", "obi.goos", "obi.goversion", "obi.revision", "obi.version"])
        .labels(BUILD_LABELS)
        .missing("the agent's own figures"),
    Metric::new(
        "obi.bpf.probe.latency",
        "",
        histogram(Limits::ProbeDurations),
        "s",
        Feature::Internal,
    )
    .with(&["bpf.probe.id", "bpf.probe.name", "bpf.probe.type"])
    .labels(&[])
    .missing("the agent's own figures"),
    Metric::new("obi.bpf.map.entries", "obi_bpf_map_entries", GAUGE, "", Feature::Internal)
        .with(MAP)
        .labels(MAP_LABELS)
        .missing("the agent's own figures"),
    Metric::new("obi.bpf.map.max_entries", "obi_bpf_map_max_entries", GAUGE, "", Feature::Internal)
        .with(MAP)
        .labels(MAP_LABELS)
        .missing("the agent's own figures"),
    Metric::new(
        "obi.kube.cache.forward.lag",
        "obi_kube_cache_forward_lag_seconds",
        histogram(Limits::Lags),
        "s",
        Feature::Internal,
    )
    .labels(&[])
    .missing("the agent's own figures"),
    Metric::new(
        "obi.bpf.network.ignored.packets",
        "obi_bpf_network_ignored_packets_total",
        COUNTER,
        "{packet}",
        Feature::Internal,
    )
    .labels(&[])
    .missing("the agent's own figures"),
    Metric::new(
        "obi.bpf.network.packets",
        "obi_bpf_network_packets_total",
        COUNTER,
        "{packet}",
        Feature::Internal,
    )
    .labels(&[])
    .missing("the agent's own figures"),
    Metric::new(
        "obi.queue.capacity.ratio",
        "obi_queue_capacity_ratio",
        GAUGE,
        "1",
        Feature::Internal,
    )
    .with(&["subscriber"])
    .labels(&["subscriber"])
    .missing("the agent's own figures"),
    Metric::new("", "obi_bpf_probe_executions_total", COUNTER, "", Feature::Internal)
        .labels(PROBE_LABELS)
        .missing("the agent's own figures"),
    Metric::new("", "obi_bpf_probe_latency_seconds_total", COUNTER, "", Feature::Internal)
        .labels(PROBE_LABELS)
        .missing("the agent's own figures"),
    Metric::new("", "obi_prometheus_http_requests_total", COUNTER, "", Feature::Internal)
        .labels(&["port", "path"])
        .missing("the agent's own figures"),
    Metric::new(
        "",
        "bpf_probe_latency_seconds",
        histogram(Limits::ProbeDurations),
        "",
        Feature::Ebpf,
    )
    .labels(PROBE_LABELS)
    .missing("the agent's own figures"),
    Metric::new("", "bpf_map_entries_total", COUNTER, "", Feature::Ebpf)
        .labels(&["map_id", "map_name", "map_type", "max_entries"])
        .missing("the agent's own figures"),
    Metric::new("", "obi_kube_cache_informer_events_total", COUNTER, "", Feature::KubeCache)
        .labels(&["type"])
        .missing("the cache of Kubernetes' metadata"),
    Metric::new("", "obi_kube_cache_connected_clients", GAUGE, "", Feature::KubeCache)
        .labels(&[])
        .missing("the cache of Kubernetes' metadata"),
    Metric::new("", "obi_kube_cache_client_messages_total", COUNTER, "", Feature::KubeCache)
        .labels(&["status"])
        .missing("the cache of Kubernetes' metadata"),
    Metric::new("", "obi_kube_cache_internal_build_info", GAUGE, "", Feature::KubeCache)
        .labels(BUILD_LABELS)
        .missing("the cache of Kubernetes' metadata"),
    Metric::new(
        "",
        "obi_informer_receive_lag_seconds",
        histogram(Limits::Lags),
        "",
        Feature::KubeCache,
    )
    .labels(&[])
    .missing("the cache of Kubernetes' metadata"),
];
