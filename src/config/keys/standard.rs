//! Variables of OpenTelemetry's own that have no YAML key.

use super::super::key::{COUNT, Key, Kind};

pub(in crate::config) const OTLP_ENDPOINT: Key = Key::new(
    "environment.otlp_endpoint",
    Kind::Url,
    "",
    "Where every signal is sent that has no endpoint of its own; over HTTP, the signal's path is put behind.",
)
.vars(&["OTEL_EXPORTER_OTLP_ENDPOINT"])
.acted();
pub(in crate::config) const HEADERS: Key = Key::new(
    "environment.otlp_headers",
    Kind::Pairs,
    "",
    "Headers of every request to a collector.",
)
.vars(&["OTEL_EXPORTER_OTLP_HEADERS"])
.substituted()
.secret()
.acted();
pub(in crate::config) const TRACES_HEADERS: Key = Key::new(
    "environment.otlp_traces_headers",
    Kind::Pairs,
    "",
    "Headers of those that carry spans.",
)
.vars(&["OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
.substituted()
.secret()
.acted();
pub(in crate::config) const RESOURCE_ATTRIBUTES: Key = Key::new(
    "environment.resource_attributes",
    Kind::Text,
    "",
    "Resource attributes of every process that has no such variable itself.",
)
.vars(&["OTEL_RESOURCE_ATTRIBUTES"])
.substituted()
.acted();

const COMPRESSION: Kind = Kind::Word(&["gzip", "none"]);

pub(super) const KEYS: &[Key] = &[
    OTLP_ENDPOINT,
    HEADERS,
    TRACES_HEADERS,
    Key::new(
        "environment.otlp_metrics_headers",
        Kind::Pairs,
        "",
        "Headers of those that carry metrics.",
    )
    .vars(&["OTEL_EXPORTER_OTLP_METRICS_HEADERS"])
    .substituted()
    .secret(),
    RESOURCE_ATTRIBUTES,
    Key::new(
        "environment.metric_export_interval",
        COUNT,
        "60000",
        "Milliseconds between two exports of metrics.",
    )
    .vars(&["OTEL_METRIC_EXPORT_INTERVAL"]),
    Key::new(
        "environment.metric_export_timeout",
        COUNT,
        "30000",
        "Milliseconds that one may take.",
    )
    .vars(&["OTEL_METRIC_EXPORT_TIMEOUT"]),
    Key::new(
        "environment.metrics_exemplar_filter",
        Kind::Word(&["always_on", "always_off", "trace_based"]),
        "trace_based",
        "Which observations have exemplars.",
    )
    .vars(&["OTEL_METRICS_EXEMPLAR_FILTER"]),
    Key::new(
        "environment.metrics_temporality_preference",
        Kind::AnyCase(&["cumulative", "delta", "lowmemory"]),
        "cumulative",
        "Whether metrics are sums since the start or since the last export.",
    )
    .vars(&["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"]),
    Key::new(
        "environment.otlp_certificate",
        Kind::Text,
        "",
        "Certificates that a collector's is checked by (PEM); metrics only.",
    )
    .vars(&["OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"]),
    Key::new(
        "environment.otlp_client_certificate",
        Kind::Text,
        "",
        "The agent's own certificate (PEM); metrics only.",
    )
    .vars(&[
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    ]),
    Key::new("environment.otlp_client_key", Kind::Text, "", "Its key (PEM); metrics only.")
        .vars(&["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"]),
    Key::new("environment.otlp_compression", COMPRESSION, "", "How metrics are compressed.")
        .vars(&["OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"]),
    Key::new(
        "environment.otlp_timeout",
        COUNT,
        "10000",
        "Milliseconds that a request may take; metrics only.",
    )
    .vars(&["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]),
    Key::new(
        "environment.otlp_insecure",
        Kind::Bool,
        "false",
        "gRPC without TLS where the endpoint has no scheme; metrics only.",
    )
    .vars(&["OTEL_EXPORTER_OTLP_METRICS_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"]),
    Key::new("environment.cardinality_limit", COUNT, "", "Series of a metric at most.")
        .vars(&["OTEL_GO_X_CARDINALITY_LIMIT"]),
    Key::new(
        "environment.jvm_tmp_path",
        Kind::Text,
        "",
        "Where Java's attach files are looked for.",
    )
    .vars(&["JVM_TMP_PATH"]),
];
