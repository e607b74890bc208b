//! From what the user wants to tables: which metrics there are, with which labels, and who sees them.

use super::label::{Label, Source};
use super::shape::{Exponential, Shape};
use super::table::{Instrument, Spec};
use crate::config::{Aggregation, ExemplarFilter, Histograms, MetricsConfig, MetricsOutput};
use crate::semconv::metrics::{self, Feature, Limits, Metric};
use crate::semconv::{Measure, SpanFamily};

/// A way out of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Sent over OTLP: who a series belongs to is told by its resource.
    Otlp,
    /// Fetched by Prometheus: by its labels.
    Prometheus,
}

/// What one way out sees of a table.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Index of the table.
    pub(crate) table: usize,
    /// Which of its instruments.
    pub(crate) instruments: Vec<usize>,
    /// The labels of its series, sorted by name.
    pub(crate) labels: Vec<Label>,
}

/// Labels that tell Prometheus whose a series is.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "service.namespace"];

/// Tables of all ways out. Those that want the same share it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What each table holds.
    pub(crate) specs: Vec<Spec>,
    /// Values that have exemplars for any of them.
    pub(crate) exemplars: ExemplarFilter,
}

impl Plan {
    /// Adds what one way out wants; gives what it sees.
    pub(crate) fn add(
        &mut self,
        way: Way,
        config: &MetricsConfig,
        output: &MetricsOutput,
    ) -> Vec<View> {
        self.exemplars = self.exemplars.max(output.exemplars);
        let mut views: Vec<View> = Vec::new();
        let switched_on = |family: &&SpanFamily| {
            let names = &output.instrumentations;
            names.iter().any(|name| name == "*" || name == family.instrumentation())
        };
        let families = SpanFamily::ALL;
        let own = families
            .iter()
            .filter(switched_on)
            .map(|one| (std::slice::from_ref(one), one.measured()));
        let common = [metrics::OF_EVERY_SPAN, metrics::OF_EVERY_EDGE].map(|of| (families, of));
        for (families, measured) in own.chain(common) {
            for (metric, measure) in measured {
                if config.makes(metric.feature) {
                    let (spec, labels) = spec(way, config, output, families, metric);
                    let shape = shape(way, metric, *measure, output);
                    let instrument = Instrument { metric, shape, measure: *measure };
                    self.enter(spec, instrument, labels, &mut views);
                }
            }
        }
        views
    }

    /// Puts an instrument where others have the same series, and where another way out has it already.
    fn enter(
        &mut self,
        spec: Spec,
        instrument: Instrument,
        labels: Vec<Label>,
        views: &mut Vec<View>,
    ) {
        let same = |other: &Spec| other.is_keyed_as(&spec);
        let table = self.specs.iter().position(same).unwrap_or_else(|| {
            self.specs.push(spec);
            self.specs.len() - 1
        });
        let Some(spec) = self.specs.get_mut(table) else { return };
        let there = spec.instruments.iter().position(|other| *other == instrument);
        let instrument = there.unwrap_or_else(|| {
            spec.instruments.push(instrument);
            spec.instruments.len() - 1
        });
        match views.iter_mut().find(|view| view.table == table && view.labels == labels) {
            Some(view) => view.instruments.push(instrument),
            None => views.push(View { table, instruments: vec![instrument], labels }),
        }
    }
}

/// What keys the series of a metric, and the labels that they are shown with.
fn spec(
    way: Way,
    config: &MetricsConfig,
    output: &MetricsOutput,
    families: &[SpanFamily],
    metric: &'static Metric,
) -> (Spec, Vec<Label>) {
    let names = names(way, config, metric);
    // Over OTLP each service has a resource of its own.
    let per_service = way == Way::Otlp || names.contains(&"instance");
    let mut varied = Vec::new();
    let mut labels = Vec::new();
    for name in names {
        let Some(source) = Source::of(name) else { continue };
        let place = (!per_service || !source.is_of_service()).then(|| {
            varied.push(source.clone());
            varied.len() - 1
        });
        labels.push(Label { name: name.into(), source, place });
    }
    if SPANS.contains(&metric.feature) {
        add_said(&mut labels, &output.extra_of_spans);
    }
    let spec = Spec {
        feature: metric.feature,
        common: config.features.contains(&metric.feature),
        families: families.to_vec(),
        per_service,
        varied,
        instruments: Vec::new(),
        ttl_ns: u64::try_from(output.ttl.as_nanos()).unwrap_or(u64::MAX),
        series_max: config.series_max,
        others_only: metric.feature == Feature::ServiceGraph && !output.self_references,
    };
    (spec, labels)
}

/// Features whose metrics have the attributes that the user wants them to have besides.
const SPANS: [Feature; 3] = [Feature::Span, Feature::SpanOtel, Feature::SpanSizes];

/// Adds what services are said to be; a label keeps its place and its meaning.
fn add_said(labels: &mut Vec<Label>, keys: &[String]) {
    for key in keys {
        let spelt = |name: &str| name.replace('.', "_");
        if labels.iter().all(|label| spelt(&label.name) != spelt(key)) {
            let source = Source::Said(key.clone());
            labels.push(Label { name: key.clone().into(), source, place: None });
        }
    }
}

/// The labels of a metric, sorted.
fn names(way: Way, config: &MetricsConfig, metric: &Metric) -> Vec<&'static str> {
    if !metric.selectable {
        let mut names = match metric.labels {
            Some(labels) if way == Way::Prometheus => labels.to_vec(),
            _ => metric.default.iter().chain(metric.optional).copied().collect(),
        };
        names.sort_unstable();
        return names;
    }
    let of_way = OF_PROMETHEUS.into_iter().filter(|_| way == Way::Prometheus);
    let default = metric.default.iter().copied().chain(of_way);
    let default: Vec<&str> =
        default.filter(|name| config.routes || *name != "http.route").collect();
    config.select.choose(metric.otel, &default, metric.optional)
}

/// What is kept of a metric's values.
fn shape(way: Way, metric: &Metric, measure: Measure, output: &MetricsOutput) -> Shape {
    let Histograms { durations, request_sizes, response_sizes, .. } = &output.histograms;
    let unit = if measure.is_duration() { 1e-9 } else { 1.0 };
    let limits = match metric.limits {
        Limits::None => return Shape::Sum,
        Limits::Durations => durations,
        Limits::RequestSizes => request_sizes,
        Limits::ResponseSizes => response_sizes,
        // What has no source yet.
        _ => &Vec::new(),
    };
    match output.histograms.aggregation {
        Aggregation::Exponential { max_size, max_scale } if way == Way::Otlp => {
            Shape::Exponential(Exponential { max_size, max_scale, unit })
        }
        _ => {
            let mut limits: Vec<u64> = limits.iter().map(|limit| in_finest(*limit, unit)).collect();
            limits.sort_unstable();
            limits.dedup();
            Shape::Explicit(limits.into())
        }
    }
}

/// A limit in the finest unit, which no value lies between.
fn in_finest(limit: f64, unit: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let finest = (limit / unit).round() as u64;
    finest
}
