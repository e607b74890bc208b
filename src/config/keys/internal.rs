//! The agent's own metrics and health, and the runtimes that it may change.

use super::super::key::{COUNT, DURATION, Key, Kind, PORT, SOME_DURATION};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "internal_metrics.exporter",
        Kind::Word(&["disabled", "prometheus", "otel"]),
        "disabled",
        "How the agent's own metrics go out.",
    )
    .vars(&["OTEL_EBPF_INTERNAL_METRICS_EXPORTER"])
    .acted(),
    Key::new(
        "internal_metrics.prometheus.port",
        PORT,
        "0",
        "TCP port that they are fetched from, whatever the exporter; 0 = none.",
    )
    .vars(&["OTEL_EBPF_INTERNAL_METRICS_PROMETHEUS_PORT"])
    .acted(),
    Key::new(
        "internal_metrics.prometheus.path",
        Kind::Text,
        "/internal/metrics",
        "Path that they are fetched from.",
    )
    .vars(&["OTEL_EBPF_INTERNAL_METRICS_PROMETHEUS_PATH"])
    .acted(),
    Key::new(
        "internal_metrics.bpf_metric_scrape_interval",
        SOME_DURATION,
        "15s",
        "How often statistics of programs and maps are read.",
    )
    .vars(&["OTEL_EBPF_BPF_METRIC_SCRAPE_INTERVAL"])
    .acted(),
    Key::new(
        "internal_metrics.avoided_services.disabled",
        Kind::Bool,
        "false",
        "Leaves out the metric of services that export telemetry by themselves.",
    )
    .vars(&["OTEL_EBPF_INTERNAL_METRICS_AVOIDED_SERVICES_DISABLED"])
    .acted(),
    Key::new(
        "internal_metrics.avoided_services.limit",
        COUNT,
        "2000",
        "Its series at most; 0 = 2000.",
    )
    .vars(&["OTEL_EBPF_INTERNAL_METRICS_AVOIDED_SERVICES_LIMIT"])
    .acted(),
    Key::new("health_check.port", PORT, "0", "TCP port of `/healthz`; 0 = none.")
        .vars(&["OTEL_EBPF_HEALTH_CHECK_PORT"]),
    Key::new(
        "health_check.listen_address",
        Kind::Ip,
        "127.0.0.1",
        "Its address: `0.0.0.0` where a kubelet asks.",
    )
    .vars(&["OTEL_EBPF_HEALTH_CHECK_LISTEN_ADDRESS"]),
    Key::new(
        "health_check.unix_socket_path",
        Kind::Text,
        "",
        "A unix socket instead, as a path or @name.",
    )
    .vars(&["OTEL_EBPF_HEALTH_CHECK_UNIX_SOCKET_PATH"]),
    Key::new("nodejs.enabled", Kind::Bool, "true", "Puts an agent into Node.js.")
        .vars(&["OTEL_EBPF_NODEJS_ENABLED"]),
    Key::new(
        "nodejs.manual_spans",
        Kind::Bool,
        "false",
        "Tells the spans that a program makes by OpenTelemetry's API.",
    )
    .vars(&["OTEL_EBPF_NODEJS_MANUAL_SPANS"]),
    Key::new("javaagent.enabled", Kind::Bool, "true", "Puts an agent into Java.")
        .vars(&["OTEL_EBPF_JAVAAGENT_ENABLED"]),
    Key::new("javaagent.debug", Kind::Bool, "false", "It logs.")
        .vars(&["OTEL_EBPF_JAVAAGENT_DEBUG"]),
    Key::new("javaagent.debug_instrumentation", Kind::Bool, "false", "It logs what it changes.")
        .vars(&["OTEL_EBPF_JAVAAGENT_DEBUG_INSTRUMENTATION"]),
    Key::new("javaagent.attach_timeout", DURATION, "10s", "How long that may take.")
        .vars(&["OTEL_EBPF_JAVAAGENT_ATTACH_TIMEOUT"]),
    Key::new(
        "jvm_runtime_metrics.sampling_interval",
        SOME_DURATION,
        "1s",
        "How often a JVM's metrics are read.",
    )
    .vars(&["OBI_JVM_RUNTIME_METRICS_SAMPLING_INTERVAL"]),
];
