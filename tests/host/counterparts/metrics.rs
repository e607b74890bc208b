//! Metrics: the Collector's file of them is what the spans come to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use obi::model::batch::SpanBatch;
use obi::model::service::Service;
use serde_json::{Value, json};

use super::batches::{Random, batches, count, services};
use super::model::{self, Key, Row, Series, list};
use super::spans::{hex, text};
use super::{COLLECTOR, Collector, delivered, exporters, push};
use crate::turn::enter;
use crate::{eventually, report};

/// Every family that is made of spans, or of who is observed; span metrics by their newer names.
const FEATURES: &str = "application,application_span_otel,application_span_sizes,\
                                   application_service_graph,application_host";
/// The same by their older names; the contract has them by one of both.
const OLDER_FEATURES: &str = "application,application_span,application_span_sizes,\
                              application_service_graph,application_host";
/// Both, each with what it counts spans by on a page of Prometheus.
pub(super) const FAMILIES: [(&str, &str); 2] = [
    (FEATURES, "traces_span_metrics_calls_total"),
    (OLDER_FEATURES, "traces_spanmetrics_calls_total"),
];
/// The setting that names families.
pub(super) const WANTED: &str = "OTEL_EBPF_METRICS_FEATURES";
/// Metrics go out often, so that there are several requests.
pub(super) const OFTEN: (&str, &str) = ("OTEL_EBPF_METRICS_INTERVAL", "100ms");

/// What the Collector wrote: the points of each series in their order, and what is said of each metric.
#[derive(Default)]
struct Written {
    points: BTreeMap<Key, Vec<Value>>,
    metrics: BTreeMap<String, BTreeSet<String>>,
}

/// What holds for a metric as a whole, as text.
fn about(metric: &Value, kind: &str) -> String {
    let data = &metric[kind];
    let (unit, temporality) = (&metric["unit"], &data["aggregationTemporality"]);
    format!("{kind} unit={unit} temporality={temporality} monotonic={}", data["isMonotonic"])
}

fn written(requests: &[Value]) -> Written {
    let mut all = Written::default();
    for resource in requests.iter().flat_map(|r| r["resourceMetrics"].as_array().unwrap()) {
        assert_eq!(resource["schemaUrl"], "https://opentelemetry.io/schemas/1.41.0");
        let attributes = resource["resource"]["attributes"].as_array().cloned().unwrap_or_default();
        for scope in resource["scopeMetrics"].as_array().unwrap() {
            assert_eq!(scope["scope"], json!({"name": "go.opentelemetry.io/obi"}));
            for metric in scope["metrics"].as_array().unwrap() {
                let name = metric["name"].as_str().unwrap();
                let kinds = ["histogram", "sum", "gauge"];
                let kind = kinds.into_iter().find(|kind| metric.get(kind).is_some()).unwrap();
                all.metrics.entry(name.to_owned()).or_default().insert(about(metric, kind));
                for point in metric[kind]["dataPoints"].as_array().unwrap() {
                    let of_point = point["attributes"].as_array().cloned().unwrap_or_default();
                    let key = (list(attributes.clone()), name.to_owned(), list(of_point));
                    all.points.entry(key).or_default().push(point.clone());
                }
            }
        }
    }
    all
}

/// A number that JSON has as text, as 64-bit integers are; absent = 0.
fn number(value: &Value) -> u64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}

/// What is said of the metrics of spans, and of services, with this temporality.
fn said(rows: &[Row], delta: bool) -> BTreeMap<String, BTreeSet<String>> {
    let of = if delta { 1 } else { 2 };
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows {
        let (kind, monotonic) =
            if row.is_histogram { ("histogram", "null") } else { ("sum", "true") };
        let unit = if row.unit.is_empty() { "null".to_owned() } else { format!("{:?}", row.unit) };
        let about = format!("{kind} unit={unit} temporality={of} monotonic={monotonic}");
        all.insert(row.otel.clone(), BTreeSet::from([about]));
    }
    for (name, about) in [
        ("target.info", "sum unit=null temporality=2 monotonic=null"),
        ("traces.target.info", "sum unit=null temporality=2 monotonic=null"),
        ("traces.host.info", "gauge unit=null temporality=null monotonic=null"),
    ] {
        all.insert(name.to_owned(), BTreeSet::from([about.to_owned()]));
    }
    all
}

/// The attributes of what is told of a service, and of the host.
fn levels(services: &[Arc<Service>]) -> BTreeSet<Key> {
    let key =
        |name: &str, attributes: Vec<Value>| ("[]".to_owned(), name.to_owned(), list(attributes));
    let mut all = BTreeSet::from([key("traces.host.info", vec![text("host.id", "h")])]);
    for service in services {
        let resource = model::resource(service);
        let with = |without: &str| -> Vec<Value> {
            let left = resource.iter().filter(|(key, _)| key != without);
            left.map(|(key, value)| text(key, value)).collect()
        };
        let identity = [("instance", service.instance_id.clone()), ("job", service.job())];
        let mut target: Vec<Value> = identity.iter().map(|(key, value)| text(key, value)).collect();
        target.extend(with(""));
        all.insert(key("target.info", target));
        let mut traces = with("host.name");
        traces.push(text("source", "obi"));
        traces.extend(service.namespace.is_empty().then(|| text("service.namespace", "")));
        all.insert(key("traces.target.info", traces));
    }
    all
}

/// What the points of a series come to: the last, or the sum of what came in between.
fn total(row: &Row, points: &[Value], delta: bool) -> Series {
    let counted = if delta { points } else { &points[points.len() - 1..] };
    let mut all = Series::default();
    for point in counted {
        all.count += number(&point["count"]);
        if let Some(buckets) = point["bucketCounts"].as_array() {
            all.buckets.resize(buckets.len(), 0);
            all.buckets.iter_mut().zip(buckets).for_each(|(sum, n)| *sum += number(n));
            let limits = point["explicitBounds"].as_array().unwrap();
            let limits: Vec<f64> = limits.iter().map(|limit| limit.as_f64().unwrap()).collect();
            assert_eq!(limits, row.limits);
        }
        // Whole nanoseconds, or bytes.
        let fine = if row.is_duration() { 1e9 } else { 1.0 };
        let sum = ["sum", "asDouble"].iter().find_map(|field| point[field].as_f64());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole")]
        let sum = sum.map_or_else(
            || u128::from(number(&point["asInt"])),
            |sum| (sum * fine).round() as u128,
        );
        all.sum += sum;
    }
    all
}

/// Periods follow one another, and the least and the greatest value are those of the whole series.
fn check_points(row: &Row, points: &[Value], wanted: &Series, delta: bool) {
    let time = |point: &Value, field: &str| number(&point[field]);
    for point in points {
        assert!(time(point, "startTimeUnixNano") < time(point, "timeUnixNano"), "{point}");
    }
    for pair in points.windows(2) {
        let since = if delta { "timeUnixNano" } else { "startTimeUnixNano" };
        assert_eq!(time(&pair[1], "startTimeUnixNano"), time(&pair[0], since), "{}", row.otel);
    }
    if row.is_histogram && (!delta || points.len() == 1) {
        let last = &points[points.len() - 1];
        let range = ["min", "max"].map(|field| last[field].as_f64().unwrap());
        let wanted = [wanted.least, wanted.greatest].map(|n| row.shown(u128::from(n)));
        assert_eq!(range, wanted, "{}", row.otel);
    }
}

/// Exemplars name spans that are there, with their values; gives how many there are.
fn check_exemplars(row: &Row, points: &[Value], spans: &HashMap<String, u64>) -> usize {
    let all = points.iter().filter_map(|point| point["exemplars"].as_array()).flatten();
    let all = all.inspect(|exemplar| {
        let ids = ["traceId", "spanId"].map(|id| exemplar[id].as_str().unwrap());
        let duration = spans.get(&ids.concat()).expect("an exemplar is of a span");
        if row.is_duration() {
            let value = exemplar["asDouble"].as_f64().unwrap();
            assert_eq!(value, row.shown(u128::from(*duration)), "{}", row.otel);
        }
    });
    all.count()
}

/// Durations of spans by their trace's and their own id.
fn durations(batches: &[Arc<SpanBatch>]) -> HashMap<String, u64> {
    let spans = batches.iter().flat_map(|batch| &batch.spans);
    spans
        .map(|span| {
            let ids = hex(&span.ctx.trace_id.0) + &hex(&span.ctx.span_id.0);
            (ids, span.times.end.0 - span.times.request_start.0)
        })
        .collect()
}

/// Holds what was written against what the spans come to; gives numbers of series and exemplars.
fn compare(
    written: &Written,
    rows: &[Row],
    batches: &[Arc<SpanBatch>],
    delta: bool,
) -> (usize, usize) {
    let (wanted, spans) = (model::expected(rows, batches), durations(batches));
    assert_eq!(written.metrics, said(rows, delta));
    let of_services = levels(&services());
    let mut exemplars = 0;
    for (key, points) in &written.points {
        let Some(row) = rows.iter().find(|row| row.otel == key.1) else {
            assert!(of_services.contains(key), "{key:?}");
            assert!(points.iter().all(|point| point["asInt"] == "1"), "{points:?}");
            continue;
        };
        let wanted = wanted.get(key).unwrap_or_else(|| panic!("no span made {key:?}"));
        check_points(row, points, wanted, delta);
        exemplars += check_exemplars(row, points, &spans);
        let got = total(row, points, delta);
        let mut wanted = Series { least: 0, greatest: 0, ..wanted.clone() };
        if !row.is_histogram {
            wanted.count = 0;
        }
        assert_eq!(got, wanted, "{key:?}");
    }
    let keys: BTreeSet<&Key> = wanted.keys().chain(&of_services).collect();
    assert_eq!(written.points.keys().collect::<BTreeSet<_>>(), keys);
    (wanted.len(), exemplars)
}

#[test]
fn a_collector_gets_the_metrics_that_the_spans_come_to_by_each_protocol() {
    let name = "a_collector_gets_the_metrics_that_the_spans_come_to_by_each_protocol";
    let Some(_turn) = enter(name, &[COLLECTOR]) else { return };
    let mut random = Random::new(7);
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        for (temporality, features) in [("cumulative", FEATURES), ("delta", OLDER_FEATURES)] {
            let mut collector = Collector::start();
            let batches = batches(&mut random, 12, 60);
            let endpoint = collector.endpoint(protocol);
            let preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
            let variables = [
                ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint.as_str()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                (preference, temporality),
                (WANTED, features),
                OFTEN,
            ];
            let exporters = exporters(&variables, &batches);
            let file = collector.server.file("metrics");
            for part in batches.chunks(4) {
                let before = exporters.running[0].stage().out;
                push(&exporters, part);
                let all = before + count(part) as u64;
                eventually("they are counted", || exporters.running[0].stage().out == all);
                let size = || std::fs::metadata(&file).map_or(0, |file| file.len());
                let had = size();
                eventually("the collector wrote something more", || size() > had);
            }
            delivered(exporters, count(&batches));
            collector.end();
            let requests = collector.wrote("metrics");
            let delta = temporality == "delta";
            let (written, rows) = (written(&requests), model::rows(features));
            let (series, exemplars) = compare(&written, &rows, &batches, delta);
            assert!(exemplars > 0);
            report(&format!(
                "{protocol}, {temporality}: {} requests, {series} series, {exemplars} exemplars",
                requests.len()
            ));
        }
    }
}
