//! Which metrics there are, and how they leave.

use std::time::Duration;

use super::glob::glob;
use super::keys::{
    CARDINALITY_LIMIT, EXCLUDE_OTEL_INSTRUMENTED, EXEMPLAR_FILTER, METRIC_EXPORT_INTERVAL,
    METRIC_EXPORT_TIMEOUT, TEMPORALITY,
};
use super::layers::Settings;
use super::notice::Problem;
use super::otlp::{METRICS, OtlpEndpoint};
use super::routes;
use super::rules::{self, Plan};
use super::value::Value;
use crate::model::select::{AttributeSelect, Section, canonical, comparable};
use crate::semconv::metrics::Feature;

/// Metrics: what they are, whoever gets them.
#[derive(Clone, Debug, Default)]
pub struct MetricsConfig {
    /// Families that are on, unless a service has others.
    pub features: Vec<Feature>,
    /// Families that only some services have.
    pub features_of_some: Vec<Feature>,
    /// Which attributes they have.
    pub select: AttributeSelect,
    /// What hosts without a name are called.
    pub renames: Renames,
    /// Whether paths become routes.
    pub routes: bool,
    /// Series of one metric of one service at most; the rest is one series more.
    pub series_max: usize,
    /// Span names of one service in span metrics, before the rest is one name; 0 = no limit.
    pub span_names_max: usize,
    /// Whether spans of a process that exports traces by itself make no span metrics either.
    pub no_span_metrics_of_own_exporters: bool,
    /// Where Prometheus fetches them; `None` = nowhere.
    pub prometheus: Option<PrometheusConfig>,
    /// Where they are sent; `None` = nowhere.
    pub push: Option<MetricsPush>,
}

impl MetricsConfig {
    /// Whether any service has the family.
    pub fn makes(&self, feature: Feature) -> bool {
        self.features.contains(&feature) || self.features_of_some.contains(&feature)
    }

    /// Whether a service may have a family by `other`, which nothing is made of by this one.
    pub fn lacks_of(&self, other: &Self) -> bool {
        (self.prometheus.is_some() || self.push.is_some())
            && other.features_of_some.iter().any(|feature| !self.makes(*feature))
    }

    /// Whether span metrics go out.
    pub fn makes_span_metrics(&self) -> bool {
        let of_spans = [Feature::Span, Feature::SpanOtel, Feature::SpanSizes];
        (self.prometheus.is_some() || self.push.is_some())
            && of_spans.into_iter().any(|feature| self.makes(feature))
    }
}

/// Where metrics are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsPush {
    /// The receiver.
    pub endpoint: OtlpEndpoint,
    /// How often.
    pub interval: Duration,
    /// How long all requests of one time may take.
    pub timeout: Duration,
    /// Whether sums count from the last export, not from the beginning.
    pub delta: bool,
    /// What is sent.
    pub output: MetricsOutput,
}

/// What unresolved hosts are called; empty = as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renames {
    /// The own side.
    pub unresolved: String,
    /// A server that is called.
    pub outgoing: String,
    /// A client that calls.
    pub incoming: String,
}

/// Where Prometheus fetches metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusConfig {
    /// TCP port, on every address.
    pub port: u16,
    /// Path.
    pub path: String,
    /// What it gets.
    pub output: MetricsOutput,
}

/// What may differ between the ways out.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsOutput {
    /// Protocols that have metrics; `*` = all.
    pub instrumentations: Vec<String>,
    /// What histograms are.
    pub histograms: Histograms,
    /// How long a series lives without news; zero = for ever.
    pub ttl: Duration,
    /// Whether the service graph has edges from a service to itself.
    pub self_references: bool,
    /// Whether the build that observes is told.
    pub build_info: bool,
    /// Which values have exemplars.
    pub exemplars: ExemplarFilter,
    /// Resource attributes that are labels of `target_info` besides the contract's.
    pub extra_resource: Vec<String>,
    /// Resource attributes that span metrics have besides.
    pub extra_of_spans: Vec<String>,
}

/// Which values have exemplars. A later one lets more pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExemplarFilter {
    /// None.
    #[default]
    AlwaysOff,
    /// Those of sampled traces.
    TraceBased,
    /// All.
    AlwaysOn,
}

impl ExemplarFilter {
    /// Whether a value of a trace that is sampled, or is not, has one.
    pub fn passes(self, sampled: bool) -> bool {
        match self {
            Self::AlwaysOff => false,
            Self::TraceBased => sampled,
            Self::AlwaysOn => true,
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "always_on" => Self::AlwaysOn,
            "trace_based" => Self::TraceBased,
            _ => Self::AlwaysOff,
        }
    }
}

/// What histograms are.
#[derive(Clone, Debug, PartialEq)]
pub struct Histograms {
    /// Their kind.
    pub aggregation: Aggregation,
    /// Limits of durations, in seconds, ascending.
    pub durations: Vec<f64>,
    /// Limits of request bodies, in bytes, ascending.
    pub request_sizes: Vec<f64>,
    /// Limits of response bodies, in bytes, ascending.
    pub response_sizes: Vec<f64>,
}

/// A kind of histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Limits that are given.
    Explicit,
    /// Limits that are powers of a base.
    Exponential {
        /// Buckets at most.
        max_size: u32,
        /// The finest scale.
        max_scale: i32,
    },
}

/// Reads what metrics are, and who gets them.
pub(super) fn read(settings: &Settings, plan: &Plan, problems: &mut Vec<Problem>) -> MetricsConfig {
    let text = |path| text(settings, path);
    MetricsConfig {
        features: chosen_features(settings, plan),
        features_of_some: Vec::new(),
        select: select(settings, problems),
        renames: Renames {
            unresolved: text("attributes.rename_unresolved_hosts"),
            outgoing: text("attributes.rename_unresolved_hosts_outgoing"),
            incoming: text("attributes.rename_unresolved_hosts_incoming"),
        },
        routes: !routes::is_off(settings),
        series_max: match settings.count(&CARDINALITY_LIMIT) {
            0 => usize::MAX,
            set => set,
        },
        span_names_max: usize::try_from(int(settings, "attributes.metric_span_names_limit"))
            .unwrap_or_default(),
        no_span_metrics_of_own_exporters: settings.bool(&EXCLUDE_OTEL_INSTRUMENTED)
            && is_true(settings, "discovery.exclude_otel_instrumented_services_span_metrics"),
        prometheus: plan.prometheus.then(|| PrometheusConfig {
            port: u16::try_from(int(settings, "prometheus_export.port")).unwrap_or_default(),
            path: format!("/{}", text("prometheus_export.path").trim_start_matches('/')),
            output: output(
                settings,
                "prometheus_export",
                Aggregation::Explicit,
                ExemplarFilter::named(&text("prometheus_export.exemplar_filter")),
            ),
        }),
        push: push(settings, problems),
    }
}

/// How often metrics are sent at most.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Buckets of an exponential histogram at most, whatever is set: two hold every value, and more than
/// these cost every series their memory.
const BUCKETS_MAX: i64 = 1024;

/// How often metrics are sent where both settings are 0, as an SDK has it.
const MINUTE: Duration = Duration::from_secs(60);

fn push(settings: &Settings, problems: &mut Vec<Problem>) -> Option<MetricsPush> {
    const SECTION: &str = "otel_metrics_export";
    let endpoint = METRICS.read(settings, problems)?;
    let own = duration(settings, "otel_metrics_export.interval");
    let standard = Duration::from_millis(settings.count(&METRIC_EXPORT_INTERVAL) as u64);
    let aggregation = match text(settings, "otel_metrics_export.histogram_aggregation").as_str() {
        "base2_exponential_bucket_histogram" => {
            let max_size = int(settings, "otel_metrics_export.exponential_histogram.max_size");
            let scale = int(settings, "otel_metrics_export.exponential_histogram.max_scale");
            Aggregation::Exponential {
                max_size: u32::try_from(max_size.clamp(2, BUCKETS_MAX)).unwrap_or(2),
                max_scale: i32::try_from(scale).unwrap_or_default(),
            }
        }
        _ => Aggregation::Explicit,
    };
    let temporality = settings.text(&TEMPORALITY).unwrap_or_default().to_lowercase();
    let interval = [own, standard].into_iter().find(|set| !set.is_zero()).unwrap_or(MINUTE);
    let mut output = output(
        settings,
        SECTION,
        aggregation,
        ExemplarFilter::named(settings.text(&EXEMPLAR_FILTER).unwrap_or_default()),
    );
    if !output.ttl.is_zero() {
        // What is not sent yet does not go.
        output.ttl = output.ttl.max(interval.saturating_mul(2));
    }
    Some(MetricsPush {
        endpoint,
        interval: interval.max(INTERVAL_MIN),
        timeout: Duration::from_millis(settings.count(&METRIC_EXPORT_TIMEOUT) as u64),
        delta: matches!(temporality.as_str(), "delta" | "lowmemory"),
        output,
    })
}

/// What the section `of` says of a way out.
fn output(
    settings: &Settings,
    of: &str,
    aggregation: Aggregation,
    exemplars: ExemplarFilter,
) -> MetricsOutput {
    let at = |name: &str| format!("{of}.{name}");
    let list = |name: &str| match settings.at(&at(name)).map(|s| &s.value) {
        Some(Value::List(names)) => names.clone(),
        _ => Vec::new(),
    };
    MetricsOutput {
        instrumentations: list("instrumentations"),
        extra_resource: list("extra_resource_attributes"),
        extra_of_spans: list("extra_span_resource_attributes"),
        histograms: Histograms {
            aggregation,
            durations: limits(settings, &at("buckets.duration_histogram")),
            request_sizes: limits(settings, &at("buckets.request_size_histogram")),
            response_sizes: limits(settings, &at("buckets.response_size_histogram")),
        },
        ttl: duration(settings, &at("ttl")),
        build_info: !is_true(settings, &at("disable_build_info")),
        exemplars,
        self_references: is_true(settings, &at("allow_service_graph_self_references")),
    }
}

/// The families that hold for all services.
fn chosen_features(settings: &Settings, plan: &Plan) -> Vec<Feature> {
    let (_, names) = rules::features(settings, plan);
    features(names)
}

/// Families by name; `all` leaves out the older names of the span metrics.
pub(super) fn features(names: &[String]) -> Vec<Feature> {
    if names.iter().any(|name| matches!(name.as_str(), "all" | "*")) {
        return Feature::ALL.iter().copied().filter(|f| *f != Feature::Span).collect();
    }
    let mut features: Vec<Feature> =
        names.iter().flat_map(|name| Feature::named(name)).copied().collect();
    features.sort_unstable();
    features.dedup();
    features
}

fn select(settings: &Settings, problems: &mut Vec<Problem>) -> AttributeSelect {
    let Some(setting) = settings.at("attributes.select") else { return AttributeSelect::default() };
    let Value::Map(sections) = &setting.value else { return AttributeSelect::default() };
    let mut patterns_wrong = Vec::new();
    let mut pattern =
        |text: &str| glob(text).map_err(|why| patterns_wrong.push(format!("{text}: {why}"))).ok();
    let mut read = |fields: &Value, name: &str| -> Vec<_> {
        let Value::Fields(fields) = fields else { return Vec::new() };
        match fields.get(name) {
            Some(Value::List(globs)) => {
                globs.iter().filter_map(|glob| pattern(&comparable(glob))).collect()
            }
            _ => Vec::new(),
        }
    };
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for (name, fields) in sections {
        let (include, exclude) = (read(fields, "include"), read(fields, "exclude"));
        match glob(&canonical(name)) {
            Ok(metrics) => all.push((canonical(name), Section { metrics, include, exclude })),
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    problems.extend(
        patterns_wrong.into_iter().chain(wrong).map(|why| settings.problem(setting.key, why)),
    );
    AttributeSelect::new(all)
}

pub(super) fn is_true(settings: &Settings, path: &str) -> bool {
    settings.at(path).is_some_and(|setting| setting.value == Value::Bool(true))
}

pub(super) fn text(settings: &Settings, path: &str) -> String {
    match settings.at(path).map(|setting| &setting.value) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

pub(super) fn int(settings: &Settings, path: &str) -> i64 {
    match settings.at(path).map(|setting| &setting.value) {
        Some(Value::Int(n)) => *n,
        _ => 0,
    }
}

pub(super) fn duration(settings: &Settings, path: &str) -> Duration {
    match settings.at(path).map(|setting| &setting.value) {
        Some(Value::Duration(ns)) => Duration::from_nanos(u64::try_from(*ns).unwrap_or_default()),
        _ => Duration::ZERO,
    }
}

fn limits(settings: &Settings, path: &str) -> Vec<f64> {
    match settings.at(path).map(|setting| &setting.value) {
        Some(Value::Floats(limits)) => limits.clone(),
        _ => Vec::new(),
    }
}
