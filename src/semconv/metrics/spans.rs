//! What is made of spans of every kind, and what says who they belong to.

use super::{COUNTER, DURATIONS, Feature, GAUGE, Metric, UP_DOWN};
use crate::semconv::Measure;

const SPAN: &[&str] = &[
    "host.id",
    "service.instance.id",
    "service.name",
    "service.namespace",
    "source",
    "span.kind",
    "span.name",
    "status.code",
    "telemetry.sdk.language",
];
const SPAN_LABELS: &[&str] = &[
    "service_name",
    "service_namespace",
    "span_name",
    "status_code",
    "span_kind",
    "instance",
    "job",
    "source",
    "telemetry_sdk_language",
];
const GRAPH: &[&str] =
    &["client", "client_service_namespace", "server", "server_service_namespace", "source"];
const CONNECTION: &[&str] = &["connection_type"];
const GRAPH_LABELS: &[&str] = &[
    "client",
    "client_service_namespace",
    "server",
    "server_service_namespace",
    "source",
    "connection_type",
];
const TARGET_LABELS: &[&str] = &[
    "host_id",
    "host_name",
    "service_name",
    "service_namespace",
    "instance",
    "job",
    "telemetry_sdk_language",
    "telemetry_sdk_name",
    "telemetry_sdk_version",
    "telemetry_distro_name",
    "telemetry_distro_version",
    "source",
    "os_type",
];

/// Duration of spans of every kind.
pub const SPAN_LATENCY: Metric = Metric::new(
    "traces_spanmetrics_latency",
    "traces_spanmetrics_latency",
    DURATIONS,
    "",
    Feature::Span,
)
.with(SPAN)
.labels(SPAN_LABELS)
.help("Duration of spans of every kind.");
/// Spans of every kind.
pub const SPAN_CALLS: Metric = Metric::new(
    "traces_spanmetrics_calls_total",
    "traces_spanmetrics_calls_total",
    COUNTER,
    "",
    Feature::Span,
)
.with(SPAN)
.labels(SPAN_LABELS)
.help("Spans of every kind.");
/// Duration of spans of every kind.
pub const SPAN_DURATION: Metric = Metric::new(
    "traces.span.metrics.duration",
    "traces_span_metrics_duration_seconds",
    DURATIONS,
    "s",
    Feature::SpanOtel,
)
.with(SPAN)
.labels(SPAN_LABELS)
.help("Duration of spans of every kind.");
/// Spans of every kind.
pub const SPAN_CALLS_OTEL: Metric = Metric::new(
    "traces.span.metrics.calls",
    "traces_span_metrics_calls_total",
    COUNTER,
    "",
    Feature::SpanOtel,
)
.with(SPAN)
.labels(SPAN_LABELS)
.help("Spans of every kind.");
/// Bytes of the requests of spans of every kind.
pub const SPAN_REQUEST_SIZE: Metric = Metric::new(
    "traces_spanmetrics_size_total",
    "traces_spanmetrics_size_total",
    COUNTER,
    "",
    Feature::SpanSizes,
)
.with(SPAN)
.labels(SPAN_LABELS)
.help("Bytes of the requests of spans of every kind.");
/// Bytes of the responses of spans of every kind.
pub const SPAN_RESPONSE_SIZE: Metric = Metric::new(
    "traces_spanmetrics_response_size_total",
    "traces_spanmetrics_response_size_total",
    COUNTER,
    "",
    Feature::SpanSizes,
)
.with(SPAN)
.labels(SPAN_LABELS)
.help("Bytes of the responses of spans of every kind.");
/// Who the observed process is.
pub const TARGET_INFO: Metric =
    Metric::new("target.info", "target_info", UP_DOWN, "", Feature::AnyApplication)
        .with_perhaps(
            &[
                "host.id",
                "host.name",
                "instance",
                "job",
                "os.type",
                "service.instance.id",
                "service.name",
                "telemetry.distro.name",
                "telemetry.distro.version",
                "telemetry.sdk.language",
                "telemetry.sdk.name",
                "telemetry.sdk.version",
            ],
            &["service.namespace"],
        )
        .labels(TARGET_LABELS)
        // The words that receivers have for it: they refuse a second metric of that name with others.
        .help("Target metadata");
/// Who the process is whose spans are measured.
pub const TRACES_TARGET_INFO: Metric =
    Metric::new("traces.target.info", "traces_target_info", UP_DOWN, "", Feature::AnySpan)
        .with(&[
            "host.id",
            "os.type",
            "service.instance.id",
            "service.name",
            "service.namespace",
            "source",
            "telemetry.distro.name",
            "telemetry.distro.version",
            "telemetry.sdk.language",
            "telemetry.sdk.name",
            "telemetry.sdk.version",
        ])
        .labels(TARGET_LABELS)
        .help("Who the process is whose spans are measured.");
/// The host whose processes are observed.
pub const TRACES_HOST_INFO: Metric =
    Metric::new("traces.host.info", "traces_host_info", GAUGE, "", Feature::Host)
        .with(&["host.id"])
        .labels(&["cloud_host_id"])
        .help("The host whose processes are observed.");
/// Duration of requests between services, as the client sees it.
pub const GRAPH_CLIENT: Metric = Metric::new(
    "traces_service_graph_request_client",
    "traces_service_graph_request_client_seconds",
    DURATIONS,
    "s",
    Feature::ServiceGraph,
)
.with_perhaps(GRAPH, CONNECTION)
.labels(GRAPH_LABELS)
.help("Duration of requests between services, as the client sees it.");
/// Duration of requests between services, as the server sees it.
pub const GRAPH_SERVER: Metric = Metric::new(
    "traces_service_graph_request_server",
    "traces_service_graph_request_server_seconds",
    DURATIONS,
    "s",
    Feature::ServiceGraph,
)
.with_perhaps(GRAPH, CONNECTION)
.labels(GRAPH_LABELS)
.help("Duration of requests between services, as the server sees it.");
/// Requests between services that failed.
pub const GRAPH_FAILED: Metric = Metric::new(
    "traces_service_graph_request_failed_total",
    "traces_service_graph_request_failed_total",
    COUNTER,
    "",
    Feature::ServiceGraph,
)
.with_perhaps(GRAPH, CONNECTION)
.labels(GRAPH_LABELS)
.help("Requests between services that failed.");
/// Requests between services.
pub const GRAPH_TOTAL: Metric = Metric::new(
    "traces_service_graph_request_total",
    "traces_service_graph_request_total",
    COUNTER,
    "",
    Feature::ServiceGraph,
)
.with_perhaps(GRAPH, CONNECTION)
.labels(GRAPH_LABELS)
.help("Requests between services.");
/// The build that observes, by language of what it observes.
pub const BUILD_INFO: Metric =
    Metric::new("", "obi_build_info", GAUGE, "", Feature::AnyApplication)
        .labels(&["goarch", "goos", "goversion", "version", "revision", "target_lang"])
        .help("The build that observes, by language of what it observes.");
pub(super) const ROWS: &[Metric] = &[
    SPAN_LATENCY,
    SPAN_CALLS,
    SPAN_DURATION,
    SPAN_CALLS_OTEL,
    SPAN_REQUEST_SIZE,
    SPAN_RESPONSE_SIZE,
    TARGET_INFO,
    TRACES_TARGET_INFO,
    TRACES_HOST_INFO,
    GRAPH_CLIENT,
    GRAPH_SERVER,
    GRAPH_FAILED,
    GRAPH_TOTAL,
    BUILD_INFO,
];

/// Metrics of spans of every family, and what they take.
pub const OF_EVERY_SPAN: &[(&Metric, Measure)] = &[
    (&SPAN_LATENCY, Measure::Duration),
    (&SPAN_CALLS, Measure::Calls),
    (&SPAN_DURATION, Measure::Duration),
    (&SPAN_CALLS_OTEL, Measure::Calls),
    (&SPAN_REQUEST_SIZE, Measure::RequestBytes),
    (&SPAN_RESPONSE_SIZE, Measure::ResponseBytes),
];

/// Metrics of the service graph, and what they take.
pub const OF_EVERY_EDGE: &[(&Metric, Measure)] = &[
    (&GRAPH_CLIENT, Measure::ClientDuration),
    (&GRAPH_SERVER, Measure::ServerDuration),
    (&GRAPH_FAILED, Measure::Failures),
    (&GRAPH_TOTAL, Measure::Edges),
];
