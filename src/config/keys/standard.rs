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

const COMPRESSION: Kind = Kind::Word(&["gzip", "zstd", "none"]);

pub(in crate::config) const METRICS_CERTIFICATE: Key = Key::new(
    "environment.otlp_certificate",
    Kind::Text,
    "",
    "Certificates that a collector's is checked by (PEM), for metrics.",
)
.vars(&["OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"])
.acted();
pub(in crate::config) const METRICS_CLIENT_CERTIFICATE: Key = Key::new(
    "environment.otlp_client_certificate",
    Kind::Text,
    "",
    "The agent's own certificate (PEM), for metrics.",
)
.vars(&["OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"])
.acted();
pub(in crate::config) const METRICS_CLIENT_KEY: Key =
    Key::new("environment.otlp_client_key", Kind::Text, "", "Its key (PEM), for metrics.")
        .vars(&["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"])
        .acted();
pub(in crate::config) const METRICS_COMPRESSION: Key = Key::new(
    "environment.otlp_compression",
    COMPRESSION,
    "",
    "How requests are compressed, for metrics.",
)
.vars(&["OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"])
.acted();
pub(in crate::config) const METRICS_TIMEOUT: Key = Key::new(
    "environment.otlp_timeout",
    COUNT,
    "10000",
    "Milliseconds that a request may take, for metrics.",
)
.vars(&["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"])
.acted();
pub(in crate::config) const TRACES_CERTIFICATE: Key = Key::new(
    "environment.otlp_traces_certificate",
    Kind::Text,
    "",
    "Certificates that a collector's is checked by (PEM), for spans.",
)
.vars(&["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"])
.acted();
pub(in crate::config) const TRACES_CLIENT_CERTIFICATE: Key = Key::new(
    "environment.otlp_traces_client_certificate",
    Kind::Text,
    "",
    "The agent's own certificate (PEM), for spans.",
)
.vars(&["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"])
.acted();
pub(in crate::config) const TRACES_CLIENT_KEY: Key =
    Key::new("environment.otlp_traces_client_key", Kind::Text, "", "Its key (PEM), for spans.")
        .vars(&["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"])
        .acted();
pub(in crate::config) const TRACES_COMPRESSION: Key = Key::new(
    "environment.otlp_traces_compression",
    COMPRESSION,
    "",
    "How requests are compressed, for spans.",
)
.vars(&["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"])
.acted();
pub(in crate::config) const TRACES_TIMEOUT: Key = Key::new(
    "environment.otlp_traces_timeout",
    COUNT,
    "10000",
    "Milliseconds that a request may take, for spans.",
)
.vars(&["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"])
.acted();
pub(in crate::config) const METRICS_HEADERS: Key = Key::new(
    "environment.otlp_metrics_headers",
    Kind::Pairs,
    "",
    "Headers of those that carry metrics.",
)
.vars(&["OTEL_EXPORTER_OTLP_METRICS_HEADERS"])
.substituted()
.secret()
.acted();
pub(in crate::config) const METRIC_EXPORT_INTERVAL: Key = Key::new(
    "environment.metric_export_interval",
    COUNT,
    "60000",
    "Milliseconds between two exports of metrics.",
)
.vars(&["OTEL_METRIC_EXPORT_INTERVAL"])
.acted();
pub(in crate::config) const METRIC_EXPORT_TIMEOUT: Key = Key::new(
    "environment.metric_export_timeout",
    COUNT,
    "30000",
    "Milliseconds that one may take.",
)
.vars(&["OTEL_METRIC_EXPORT_TIMEOUT"])
.acted();
pub(in crate::config) const EXEMPLAR_FILTER: Key = Key::new(
    "environment.metrics_exemplar_filter",
    Kind::Word(&["always_on", "always_off", "trace_based"]),
    "trace_based",
    "Which observations have exemplars.",
)
.vars(&["OTEL_METRICS_EXEMPLAR_FILTER"])
.acted();
pub(in crate::config) const TEMPORALITY: Key = Key::new(
    "environment.metrics_temporality_preference",
    Kind::AnyCase(&["cumulative", "delta", "lowmemory"]),
    "cumulative",
    "Whether metrics are sums since the start or since the last export.",
)
.vars(&["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"])
.acted();
pub(in crate::config) const CARDINALITY_LIMIT: Key = Key::new(
    "environment.cardinality_limit",
    COUNT,
    "2000",
    "Series of a metric of one service at most; the rest is one series more, otel.metric.overflow.",
)
.vars(&["OTEL_GO_X_CARDINALITY_LIMIT"])
.acted();

pub(super) const KEYS: &[Key] = &[
    OTLP_ENDPOINT,
    HEADERS,
    TRACES_HEADERS,
    METRICS_HEADERS,
    RESOURCE_ATTRIBUTES,
    METRIC_EXPORT_INTERVAL,
    METRIC_EXPORT_TIMEOUT,
    EXEMPLAR_FILTER,
    TEMPORALITY,
    METRICS_CERTIFICATE,
    METRICS_CLIENT_CERTIFICATE,
    METRICS_CLIENT_KEY,
    METRICS_COMPRESSION,
    METRICS_TIMEOUT,
    TRACES_CERTIFICATE,
    TRACES_CLIENT_CERTIFICATE,
    TRACES_CLIENT_KEY,
    TRACES_COMPRESSION,
    TRACES_TIMEOUT,
    Key::new(
        "environment.otlp_insecure",
        Kind::Bool,
        "false",
        "gRPC without TLS where the endpoint has no scheme; metrics only.",
    )
    .vars(&["OTEL_EXPORTER_OTLP_METRICS_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"]),
    CARDINALITY_LIMIT,
    Key::new(
        "environment.jvm_tmp_path",
        Kind::Text,
        "",
        "Where Java's attach files are looked for.",
    )
    .vars(&["JVM_TMP_PATH"]),
];
