//! One aggregator, two encoders: what Prometheus reads is what is sent over OTLP.

mod contract;
mod internal;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point};
use prost::Message as _;

use super::aggregate::{Plan, Shared, Store, Surroundings, Way};
use super::levels::Levels;
use super::otlp::{MetricsEncoder, Temporality};
use super::prometheus::{Format, scraped};
use super::queue::Slice;
use super::tests::{Set, add, basket};
use crate::config::{
    Aggregation, ExemplarFilter, Histograms, MetricsConfig, MetricsOutput, Renames,
};
use crate::model::batch::SpanBatch;
use crate::model::ids::{KtimeNs, Tgid};
use crate::model::living::Living;
use crate::model::select::{AttributeSelect, Section, canonical, comparable};
use crate::model::selector::Pattern;
use crate::model::service::{Service, Wishes};
use crate::model::span::{SpanHead, SpanStatus};
use crate::model::time::ktime_now;
use crate::semconv::metrics::{self, Feature, Limits};
use crate::semconv::{AttrKey, SpanFamily};

const FEATURES: [Feature; 4] =
    [Feature::Application, Feature::SpanOtel, Feature::SpanSizes, Feature::ServiceGraph];

fn output() -> MetricsOutput {
    MetricsOutput {
        instrumentations: vec!["*".to_owned()],
        histograms: Histograms {
            aggregation: Aggregation::Explicit,
            durations: Limits::Durations.for_prometheus(),
            request_sizes: Limits::RequestSizes.for_prometheus(),
            response_sizes: Limits::ResponseSizes.for_prometheus(),
        },
        ttl: Duration::from_secs(300),
        self_references: false,
        build_info: true,
        exemplars: ExemplarFilter::TraceBased,
        extra_resource: Vec::new(),
        extra_of_spans: Vec::new(),
    }
}

fn config(features: &[Feature]) -> MetricsConfig {
    MetricsConfig {
        features: features.to_vec(),
        renames: Renames {
            unresolved: "unresolved".to_owned(),
            outgoing: "outgoing".to_owned(),
            incoming: "incoming".to_owned(),
        },
        routes: true,
        series_max: 2000,
        span_names_max: 100,
        ..MetricsConfig::default()
    }
}

/// What Prometheus reads after this batch.
pub(super) fn page(batch: &Arc<SpanBatch>) -> String {
    let both = Both::new(&config(&FEATURES), [&output(), &output()]);
    both.record((**batch).clone());
    both.text(Format::Text)
}

/// A store with both ways out.
struct Both {
    shared: Shared,
    otlp: MetricsEncoder,
    views: Vec<super::aggregate::View>,
    config: MetricsConfig,
    output: MetricsOutput,
    living: Living,
}

impl Both {
    fn new(config: &MetricsConfig, [otlp, prometheus]: [&MetricsOutput; 2]) -> Self {
        let mut plan = Plan::default();
        let views = plan.add(Way::Prometheus, config, prometheus);
        let sent = plan.add(Way::Otlp, config, otlp);
        let surroundings =
            Surroundings { renames: config.renames.clone(), ..Surroundings::default() };
        let shared = Shared::new(Store::new(plan, surroundings, config.span_names_max));
        let levels = Levels::new(Living::default(), Way::Otlp, config, otlp);
        let otlp = MetricsEncoder::new(
            shared.clone(),
            sent,
            levels,
            Temporality::Cumulative,
            ExemplarFilter::TraceBased,
        );
        Self {
            shared,
            otlp,
            views,
            config: config.clone(),
            output: prometheus.clone(),
            living: Living::default(),
        }
    }

    fn record(&self, batch: SpanBatch) {
        let range = 0..batch.spans.len();
        self.shared.lock().record(&Slice { batch: Arc::new(batch), range }, ktime_now());
    }

    fn text(&self, format: Format) -> String {
        let levels = Levels::new(self.living.clone(), Way::Prometheus, &self.config, &self.output);
        scraped(self.shared.clone(), self.views.clone(), levels, format)
    }

    /// Series as Prometheus reads them: name and labels, and the value.
    fn scraped(&self) -> BTreeMap<String, String> {
        let text = self.text(Format::Text);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut all = BTreeMap::new();
        for line in lines {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(all.insert(series.to_owned(), value.to_owned()), None, "twice: {series}");
        }
        all
    }

    /// The same as it is sent, with the names that Prometheus has for it.
    fn sent(&mut self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let mut request = Vec::new();
        self.otlp.collect();
        while self.otlp.next(&mut request) > 0 {
            let decoded = ExportMetricsServiceRequest::decode(&*request).unwrap();
            for resource in decoded.resource_metrics {
                let of = resource.resource.unwrap().attributes;
                for metric in resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                    spell(&metric, &of, &mut all);
                }
            }
        }
        all
    }
}

fn text(value: &KeyValue) -> String {
    match value.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(n) => n.to_string(),
        Value::BoolValue(b) => b.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Writes a metric as Prometheus would be shown it.
fn spell(metric: &Metric, resource: &[KeyValue], all: &mut BTreeMap<String, String>) {
    let row = metrics::all().find(|row| row.otel == metric.name).unwrap();
    assert_eq!(metric.unit, row.unit);
    let of = |key: &str| resource.iter().find(|kv| kv.key == key).map(text).unwrap_or_default();
    let labels = |attributes: &[KeyValue]| {
        let mut labels: BTreeMap<String, String> =
            attributes.iter().map(|kv| (kv.key.replace('.', "_"), text(kv))).collect();
        let namespace = of("service.namespace");
        let job = if namespace.is_empty() {
            of("service.name")
        } else {
            format!("{namespace}/{}", of("service.name"))
        };
        if row.feature == Feature::ServiceGraph {
            labels.entry("connection_type".to_owned()).or_default();
        } else {
            labels.insert("instance".to_owned(), of("service.instance.id"));
            labels.insert("job".to_owned(), job);
            labels.insert("service_namespace".to_owned(), namespace);
        }
        labels.retain(|name, _| !["host_id", "service_instance_id"].contains(&name.as_str()));
        labels
    };
    let series = |suffix: &str, labels: &BTreeMap<String, String>, le: Option<String>| {
        let labels = labels.iter().map(|(name, value)| format!("{name}=\"{value}\""));
        let labels: Vec<String> = labels.chain(le.map(|le| format!("le=\"{le}\""))).collect();
        format!("{}{suffix}{{{}}}", row.prometheus, labels.join(","))
    };
    match metric.data.as_ref().unwrap() {
        Data::Histogram(histogram) => {
            assert_eq!(histogram.aggregation_temporality, 2);
            for point in &histogram.data_points {
                let labels = labels(&point.attributes);
                let mut cumulative = 0;
                let limits = point.explicit_bounds.iter().map(f64::to_string);
                for (limit, n) in limits.chain(["+Inf".to_owned()]).zip(&point.bucket_counts) {
                    cumulative += n;
                    all.insert(series("_bucket", &labels, Some(limit)), cumulative.to_string());
                }
                assert_eq!(point.count, cumulative);
                assert!(point.start_time_unix_nano < point.time_unix_nano);
                all.insert(series("_sum", &labels, None), point.sum.unwrap().to_string());
                all.insert(series("_count", &labels, None), point.count.to_string());
            }
        }
        Data::Sum(sum) => {
            assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
            for point in &sum.data_points {
                let value = match point.value.unwrap() {
                    number_data_point::Value::AsInt(n) => n.to_string(),
                    number_data_point::Value::AsDouble(n) => n.to_string(),
                };
                all.insert(series("", &labels(&point.attributes), None), value);
            }
        }
        other => panic!("{other:?}"),
    }
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

fn services() -> Vec<Arc<Service>> {
    let service = |n: u32, namespace: &str| {
        Arc::new(Service {
            name: format!("service-{}", n / 2),
            namespace: namespace.to_owned(),
            instance_id: format!("host:{n}"),
            language: "go",
            ..Service::default()
        })
    };
    vec![service(0, ""), service(1, ""), service(2, "shop"), service(3, "shop")]
}

/// Spans with values that differ, some odd, and the sums of their durations.
fn random_batch(random: &mut Random, spans: u64) -> (SpanBatch, u128) {
    let mut batch = SpanBatch { services: services(), ..SpanBatch::default() };
    let mut sum = 0;
    for _ in 0..spans {
        let family =
            if random.below(2) == 0 { SpanFamily::HttpServer } else { SpanFamily::HttpClient };
        let mut span = basket(family);
        span.service = u32::try_from(random.below(4)).unwrap();
        let magnitude = random.below(34);
        let duration = random.below(2 << magnitude);
        span.times.end = KtimeNs(span.times.request_start.0 + duration);
        sum += u128::from(duration);
        span.status = if random.below(4) == 0 { SpanStatus::Error } else { SpanStatus::Unset };
        let status = 200 + i64::try_from(random.below(3)).unwrap() * 150;
        let mut attrs = vec![
            (AttrKey::HttpRequestMethod, Set::Text(random.pick(&["GET", "POST", "BREW"]))),
            (AttrKey::HttpRoute, Set::Text(random.pick(&["/a", "/b/*", "", "/q"]))),
            (
                AttrKey::ServerAddress,
                Set::Text(random.pick(&["service-0", "10.0.0.1", "", "fe80::1"])),
            ),
            (AttrKey::ClientAddress, Set::Text(random.pick(&["web", "10.0.0.2", "face"]))),
            (AttrKey::ServerPort, Set::Int(i64::try_from(random.below(2)).unwrap() + 80)),
            (AttrKey::UrlScheme, Set::Static("http")),
            (AttrKey::HttpRequestBodySize, Set::Int(i64::try_from(random.below(9000)).unwrap())),
        ];
        if random.below(5) > 0 {
            attrs.push((AttrKey::HttpResponseStatusCode, Set::Int(status)));
            attrs.push((
                AttrKey::HttpResponseBodySize,
                Set::Int(i64::try_from(random.below(100)).unwrap()),
            ));
        }
        add(&mut batch, span, &attrs);
    }
    (batch, sum)
}

/// The sum of all values of a sample, over its series.
fn total(all: &BTreeMap<String, String>, sample: &str) -> f64 {
    let of = all.iter().filter(|(series, _)| series.split('{').next() == Some(sample));
    of.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

#[test]
fn prometheus_reads_what_is_sent_over_otlp_and_both_are_what_happened() {
    let mut random = Random(1);
    let output = output();
    let mut both = Both::new(&config(&FEATURES), [&output, &output]);
    let (mut spans, mut nanoseconds) = (0, 0);
    for _ in 0..20 {
        let n = random.below(200) + 1;
        let (batch, sum) = random_batch(&mut random, n);
        both.record(batch);
        spans += n;
        nanoseconds += sum;
    }
    let (scraped, sent) = (both.scraped(), both.sent());
    // The service graph's labels do not tell one instance of a service from another.
    let is_graph = |series: &String| series.starts_with("traces_service_graph");
    let without = |all: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        all.iter().filter(|(s, _)| !is_graph(s)).map(|(s, v)| (s.clone(), v.clone())).collect()
    };
    assert_eq!(without(&scraped), without(&sent));
    assert!(scraped.keys().any(is_graph) && sent.keys().any(is_graph));
    let served = total(&scraped, "http_server_request_duration_seconds_count");
    let asked = total(&scraped, "http_client_request_duration_seconds_count");
    assert_eq!(served + asked, spans as f64);
    assert_eq!(total(&scraped, "traces_span_metrics_calls_total"), spans as f64);
    let seconds = total(&scraped, "traces_span_metrics_duration_seconds_sum");
    assert!((seconds - nanoseconds as f64 / 1e9).abs() < 1e-6, "{seconds} {nanoseconds}");
    assert_eq!(total(&scraped, "traces_service_graph_request_server_seconds_count"), served);
}
