//! Metrics, as tables: one row each, whether its source exists yet or not. What a row says is what
//! goes out, over OTLP and to Prometheus.

mod application;
mod internal;
mod network;
mod runtime;
mod spans;

#[cfg(test)]
mod tests;

pub use application::{
    HTTP_CLIENT_DURATION, HTTP_CLIENT_REQUEST_SIZE, HTTP_CLIENT_RESPONSE_SIZE,
    HTTP_SERVER_DURATION, HTTP_SERVER_REQUEST_SIZE, HTTP_SERVER_RESPONSE_SIZE,
};
pub use internal::{
    AVOIDED_SERVICES, EVENTS, INSTRUMENTED_PROCESSES, INTERNAL_BUILD_INFO, LEDGER_IN_FLIGHT,
    LEDGER_ITEMS, MAP_ENTRIES, MAP_MAX_ENTRIES, METRIC_EXPORT_ERRORS, METRIC_EXPORTS,
    PROBE_EXECUTIONS, PROBE_LATENCY, PROBE_SECONDS, QUEUE_CAPACITY, SCRAPES, TRACE_EXPORT_ERRORS,
    TRACE_EXPORTS, TRACER_FLUSHES,
};
pub use runtime::{
    PROCESS_CPU_TIME, PROCESS_CPU_UTILIZATION, PROCESS_DISK_IO, PROCESS_MEMORY,
    PROCESS_MEMORY_VIRTUAL, PROCESS_NETWORK_IO,
};
pub use spans::{
    BUILD_INFO, GRAPH_CLIENT, GRAPH_FAILED, GRAPH_SERVER, GRAPH_TOTAL, OF_EVERY_EDGE,
    OF_EVERY_SPAN, SPAN_CALLS, SPAN_CALLS_OTEL, SPAN_DURATION, SPAN_LATENCY, SPAN_REQUEST_SIZE,
    SPAN_RESPONSE_SIZE, TARGET_INFO, TRACES_HOST_INFO, TRACES_TARGET_INFO,
};

/// Attributes that are left out over OTLP where they would be empty; others are there all the same.
pub const LEFT_OUT_WHEN_EMPTY: &[&str] = &[
    "http.request.method",
    "error.type",
    "messaging.system",
    "messaging.operation.type",
    "db.system.name",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "rpc.response.status_code",
    "connection_type",
];

/// Every metric, in the contract's order.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    [application::ROWS, runtime::ROWS, spans::ROWS, network::ROWS, internal::ROWS]
        .into_iter()
        .flatten()
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name over OTLP; empty = not sent.
    pub otel: &'static str,
    /// Name for Prometheus, without the suffixes of a histogram's parts; empty = not shown.
    pub prometheus: &'static str,
    /// What its values are.
    pub instrument: Instrument,
    /// UCUM; empty = none.
    pub unit: &'static str,
    /// Limits of a histogram's buckets.
    pub limits: Limits,
    /// What turns it on.
    pub feature: Feature,
    /// Attributes that it has unless the user says otherwise.
    pub default: &'static [&'static str],
    /// Attributes that it has when the user says so.
    pub optional: &'static [&'static str],
    /// Labels for Prometheus where they are neither the user's choice nor simply the attributes.
    pub labels: Option<&'static [&'static str]>,
    /// Whether `attributes.select` decides about its attributes.
    pub selectable: bool,
    /// What it says, in a few words.
    pub help: &'static str,
    /// What it is made of and is not observed yet; empty = nothing is missing.
    pub missing: &'static str,
}

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrument {
    /// A sum that only grows.
    Counter,
    /// A sum that also shrinks.
    UpDownCounter,
    /// The last value.
    Gauge,
    /// How many values lie between limits.
    Histogram,
}

/// Limits of a histogram's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// It is no histogram.
    None,
    /// `buckets.duration_histogram`.
    Durations,
    /// `buckets.request_size_histogram`.
    RequestSizes,
    /// `buckets.response_size_histogram`.
    ResponseSizes,
    /// `buckets.gen_ai_client_token_usage_histogram`.
    Tokens,
    /// `buckets.gen_ai_client_operation_duration_histogram`.
    ModelDurations,
    /// `buckets.stat_tcp_rtt_histogram`.
    RoundTrips,
    /// What an SDK takes by itself over OTLP, `Durations` for Prometheus.
    SdkOrDurations,
    /// What an SDK takes by itself over OTLP, `RequestSizes` for Prometheus.
    SdkOrRequestSizes,
    /// What an SDK takes by itself over OTLP, doubling from 10 to 320 for Prometheus.
    Flushes,
    /// From 100 ns to 5 ms.
    ProbeDurations,
    /// Doubling from half a second to 256 s.
    Lags,
    /// As the Go runtime counts: 161 limits.
    GoTimes,
}

const DURATION_LIMITS: &[f64] =
    &[0., 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1., 2.5, 5., 7.5, 10.];
const SIZE_LIMITS: &[f64] = &[0., 32., 64., 128., 256., 512., 1024., 2048., 4096., 8192.];
/// What an SDK takes for a histogram that nobody gave limits.
const SDK_LIMITS: &[f64] =
    &[0., 5., 10., 25., 50., 75., 100., 250., 500., 750., 1000., 2500., 5000., 7500., 10000.];

const PROBE_LIMITS: &[f64] =
    &[1e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3];

impl Limits {
    /// Limits over OTLP, unless the user says otherwise.
    pub fn over_otlp(self) -> Vec<f64> {
        match self {
            Self::SdkOrDurations | Self::SdkOrRequestSizes | Self::Flushes => SDK_LIMITS.to_vec(),
            other => other.for_prometheus(),
        }
    }

    /// Limits for Prometheus, unless the user says otherwise.
    pub fn for_prometheus(self) -> Vec<f64> {
        let doubled = |from: f64, n: i32| (0..n).map(|i| from * 2_f64.powi(i)).collect();
        match self {
            Self::None => Vec::new(),
            Self::Durations | Self::SdkOrDurations => DURATION_LIMITS.to_vec(),
            Self::RequestSizes | Self::ResponseSizes | Self::SdkOrRequestSizes => {
                SIZE_LIMITS.to_vec()
            }
            Self::Tokens => (0..14).map(|i| 4_f64.powi(i)).collect(),
            Self::ModelDurations => doubled(0.01, 14),
            Self::RoundTrips => {
                vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.]
            }
            Self::Flushes => [0.].into_iter().chain((0..6).map(|i| 10. * 2_f64.powi(i))).collect(),
            Self::ProbeDurations => PROBE_LIMITS.to_vec(),
            Self::Lags => doubled(0.5, 10),
            Self::GoTimes => go_times(),
        }
    }
}

/// Limits of the Go runtime's time histogram (`runtime/histogram.go`): from 64 ns on, four in each
/// power of two up to 2^47 ns. What Go counts lies below a limit, not at it: each is one bit less.
fn go_times() -> Vec<f64> {
    let fine = (0..4_u64).map(|n| n * 64);
    let powers =
        (8..47).flat_map(|power| (0..4_u64).map(move |n| (1 << power) + (n << (power - 2))));
    let limits = fine.chain(powers).chain([1 << 47]);
    #[expect(clippy::cast_precision_loss, reason = "few bits are set")]
    limits.map(|ns| (ns as f64 / 1e9).next_down()).collect()
}

/// A switch of `metrics.features`, or another that turns a metric on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// `application`.
    Application,
    /// `application_span`.
    Span,
    /// `application_span_otel`.
    SpanOtel,
    /// `application_span_sizes`.
    SpanSizes,
    /// `application_service_graph`.
    ServiceGraph,
    /// `application_host`.
    Host,
    /// `application_runtime`.
    Runtime,
    /// `application_process`: ours and Beyla's.
    Process,
    /// `network`.
    Network,
    /// `network_flow_packets`.
    NetworkPackets,
    /// `network_inter_zone`.
    NetworkZones,
    /// `stats_tcp_rtt`.
    StatsRoundTrips,
    /// `stats_tcp_failed_connections`.
    StatsFailed,
    /// `stats_tcp_retransmits`.
    StatsRetransmits,
    /// `stats_tcp_io`.
    StatsIo,
    /// `ebpf`.
    Ebpf,
    /// Any of the span metrics.
    AnySpan,
    /// Any metrics of an application.
    AnyApplication,
    /// `internal_metrics.exporter`.
    Internal,
    /// The service of its own that caches Kubernetes' metadata.
    KubeCache,
}

impl Feature {
    /// Those of `metrics.features`.
    pub const ALL: &'static [Self] = &[
        Self::Application,
        Self::Span,
        Self::SpanOtel,
        Self::SpanSizes,
        Self::ServiceGraph,
        Self::Host,
        Self::Runtime,
        Self::Process,
        Self::Network,
        Self::NetworkPackets,
        Self::NetworkZones,
        Self::StatsRoundTrips,
        Self::StatsFailed,
        Self::StatsRetransmits,
        Self::StatsIo,
        Self::Ebpf,
    ];

    /// Whether any metric of it is measured by now.
    pub fn is_live(self) -> bool {
        all().any(|metric| metric.feature == self && metric.is_live())
    }

    /// What a word of `metrics.features` turns on.
    pub fn named(name: &str) -> &'static [Self] {
        match name {
            "application" => &[Self::Application],
            "application_span" => &[Self::Span],
            "application_span_otel" => &[Self::SpanOtel],
            "application_span_sizes" => &[Self::SpanSizes],
            "application_service_graph" => &[Self::ServiceGraph],
            "application_host" => &[Self::Host],
            "application_runtime" => &[Self::Runtime],
            "application_process" => &[Self::Process],
            "network" => &[Self::Network],
            "network_flow_packets" => &[Self::NetworkPackets],
            "network_inter_zone" => &[Self::NetworkZones],
            "stats" => {
                &[Self::StatsRoundTrips, Self::StatsFailed, Self::StatsRetransmits, Self::StatsIo]
            }
            "stats_tcp_rtt" => &[Self::StatsRoundTrips],
            "stats_tcp_failed_connections" => &[Self::StatsFailed],
            "stats_tcp_retransmits" => &[Self::StatsRetransmits],
            "stats_tcp_io" => &[Self::StatsIo],
            "ebpf" => &[Self::Ebpf],
            _ => &[],
        }
    }
}

impl Metric {
    const fn new(
        otel: &'static str,
        prometheus: &'static str,
        (instrument, limits): (Instrument, Limits),
        unit: &'static str,
        feature: Feature,
    ) -> Self {
        Self {
            otel,
            prometheus,
            instrument,
            unit,
            limits,
            feature,
            default: &[],
            optional: &[],
            labels: None,
            selectable: false,
            help: "",
            missing: "",
        }
    }

    /// Has these attributes.
    const fn with(self, default: &'static [&'static str]) -> Self {
        Self { default, ..self }
    }

    /// Has these attributes, and those where they are known.
    const fn with_perhaps(
        self,
        default: &'static [&'static str],
        optional: &'static [&'static str],
    ) -> Self {
        Self { default, optional, ..self }
    }

    /// Has these attributes unless the user says otherwise, and may have those.
    const fn selected(
        self,
        default: &'static [&'static str],
        optional: &'static [&'static str],
    ) -> Self {
        Self { default, optional, selectable: true, ..self }
    }

    /// Has these labels for Prometheus.
    const fn labels(self, labels: &'static [&'static str]) -> Self {
        Self { labels: Some(labels), ..self }
    }

    /// Says this.
    const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    /// Is made of what is not observed yet.
    const fn missing(self, missing: &'static str) -> Self {
        Self { missing, ..self }
    }

    /// Whether it is measured by now.
    pub fn is_live(&self) -> bool {
        self.missing.is_empty()
    }
}

const COUNTER: (Instrument, Limits) = (Instrument::Counter, Limits::None);
const UP_DOWN: (Instrument, Limits) = (Instrument::UpDownCounter, Limits::None);
const GAUGE: (Instrument, Limits) = (Instrument::Gauge, Limits::None);
const DURATIONS: (Instrument, Limits) = (Instrument::Histogram, Limits::Durations);

const fn histogram(limits: Limits) -> (Instrument, Limits) {
    (Instrument::Histogram, limits)
}
