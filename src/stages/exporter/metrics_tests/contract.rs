//! What goes out, by both ways, against the contract: name, type, unit, limits, attributes.

#![expect(clippy::print_stdout, reason = "how many metrics were compared is part of the result")]

use std::collections::BTreeSet;

use super::*;
use crate::semconv::metrics::Instrument;

/// A metric as one way shows it.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    kind: String,
    unit: String,
    limits: Vec<f64>,
    keys: BTreeSet<String>,
}

/// Everything that spans are measured by.
fn everything() -> Vec<Feature> {
    Feature::ALL.iter().copied().filter(|feature| feature.is_live()).collect()
}

fn living() -> Living {
    let living = Living::default();
    let service = Service {
        name: "shop".to_owned(),
        namespace: "market".to_owned(),
        instance_id: "h:1".to_owned(),
        host_id: "h".to_owned(),
        host_name: "host".to_owned(),
        language: "go",
        ..Service::default()
    };
    living.set(Tgid(1), Some(Arc::new(service)));
    living
}

/// A server's and a client's span that have everything that a span may have.
fn batch() -> SpanBatch {
    let services = living().all().into_iter().map(|(_, service)| service).collect();
    let mut batch = SpanBatch { services, ..SpanBatch::default() };
    for family in SpanFamily::ALL {
        let mut span = basket(*family);
        span.status = SpanStatus::Error;
        add(
            &mut batch,
            span,
            &[
                (AttrKey::HttpRequestMethod, Set::Static("GET")),
                (AttrKey::HttpRoute, Set::Text("/a/*")),
                (AttrKey::UrlPath, Set::Text("/a/1")),
                (AttrKey::UrlScheme, Set::Static("http")),
                (AttrKey::ServerAddress, Set::Text("db")),
                (AttrKey::ClientAddress, Set::Text("web")),
                (AttrKey::ServerPort, Set::Int(80)),
                (AttrKey::HttpResponseStatusCode, Set::Int(500)),
                (AttrKey::HttpRequestBodySize, Set::Int(10)),
                (AttrKey::HttpResponseBodySize, Set::Int(20)),
            ],
        );
    }
    batch
}

/// What both ways show with this selection of attributes, by name.
fn shown(select: AttributeSelect) -> [BTreeMap<String, Shown>; 2] {
    let config = MetricsConfig { select, ..config(&everything()) };
    let output = MetricsOutput { self_references: true, ..output() };
    let mut both = Both::new(&config, [&output, &output]);
    both.living = living();
    let levels = Levels::new(living(), Way::Otlp, &config, &output);
    both.otlp = both.otlp.with_levels(levels);
    both.record(batch());
    [over_otlp(&mut both), for_prometheus(&both.text(Format::Text))]
}

fn over_otlp(both: &mut Both) -> BTreeMap<String, Shown> {
    let mut all = BTreeMap::new();
    let mut request = Vec::new();
    both.otlp.collect();
    while both.otlp.next(&mut request) > 0 {
        let decoded = ExportMetricsServiceRequest::decode(&*request).unwrap();
        let scopes = decoded.resource_metrics.into_iter().flat_map(|of| of.scope_metrics);
        for metric in scopes.flat_map(|scope| scope.metrics) {
            // Only some edges have one, as another test shows.
            let fixed = |key: &String| key != "connection_type";
            let keys = |of: &[KeyValue]| of.iter().map(|kv| kv.key.clone()).filter(fixed).collect();
            let (kind, limits, keys) = match metric.data.as_ref().unwrap() {
                Data::Histogram(of) => {
                    let point = &of.data_points[0];
                    ("histogram", point.explicit_bounds.clone(), keys(&point.attributes))
                }
                Data::Sum(of) => {
                    let kind = if of.is_monotonic { "counter" } else { "updowncounter" };
                    (kind, Vec::new(), keys(&of.data_points[0].attributes))
                }
                Data::Gauge(of) => ("gauge", Vec::new(), keys(&of.data_points[0].attributes)),
                other => panic!("{other:?}"),
            };
            let shown = Shown { kind: kind.to_owned(), unit: metric.unit, limits, keys };
            all.insert(metric.name, shown);
        }
    }
    all
}

fn for_prometheus(text: &str) -> BTreeMap<String, Shown> {
    let mut all = BTreeMap::<String, Shown>::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(of) = line.strip_prefix("# TYPE ") {
            let (of, kind) = of.split_once(' ').unwrap();
            name = of.to_owned();
            all.insert(name.clone(), Shown { kind: kind.to_owned(), ..Shown::default() });
        } else if !line.starts_with('#') {
            let shown = all.get_mut(&name).unwrap();
            let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
            // No value of the test has a comma or an equals sign in it.
            for label in labels.unwrap().0.split(',') {
                let (label, value) = label.split_once('=').unwrap();
                match (label, value.trim_matches('"')) {
                    ("le", "+Inf") => {}
                    ("le", limit) => {
                        let limit = limit.parse().unwrap();
                        if !shown.limits.contains(&limit) {
                            shown.limits.push(limit);
                        }
                    }
                    (label, _) => drop(shown.keys.insert(label.to_owned())),
                }
            }
        }
    }
    all
}

/// What the table says of a metric with these attributes, by both ways.
fn expected(metric: &metrics::Metric, names: &BTreeSet<String>) -> [Shown; 2] {
    let (otel, prometheus) = match metric.instrument {
        Instrument::Counter => ("counter", "counter"),
        Instrument::UpDownCounter => ("updowncounter", "gauge"),
        Instrument::Gauge => ("gauge", "gauge"),
        Instrument::Histogram => ("histogram", "histogram"),
    };
    let fixed = metric.labels.filter(|_| !metric.selectable);
    let labels: BTreeSet<String> = match fixed {
        Some(labels) => labels.iter().map(|label| (*label).to_owned()).collect(),
        None => ["instance", "job", "service_namespace"]
            .into_iter()
            .map(ToOwned::to_owned)
            .chain(names.iter().map(|name| name.replace('.', "_")))
            .collect(),
    };
    [
        Shown {
            kind: otel.to_owned(),
            unit: metric.unit.to_owned(),
            limits: metric.limits.over_otlp(),
            keys: names.iter().filter(|name| *name != "connection_type").cloned().collect(),
        },
        Shown {
            kind: prometheus.to_owned(),
            unit: String::new(),
            limits: metric.limits.for_prometheus(),
            keys: labels,
        },
    ]
}

/// Compares every metric that spans are measured by; gives how many there are.
fn compare(select: AttributeSelect, with_optional: bool) -> usize {
    let [otlp, prometheus] = shown(select);
    let of_spans =
        |metric: &&metrics::Metric| metric.is_live() && metric.feature != Feature::Internal;
    let mut compared = 0;
    let mut known = [BTreeSet::new(), BTreeSet::new()];
    for metric in metrics::all().filter(of_spans) {
        // What is optional without being chosen is there where it is known, as it is here.
        let optional = metric.optional.iter().filter(|_| with_optional || !metric.selectable);
        let names = metric.default.iter().chain(optional).map(|name| (*name).to_owned()).collect();
        let [sent, fetched] = expected(metric, &names);
        if !metric.otel.is_empty() {
            assert_eq!(otlp.get(metric.otel), Some(&sent), "{}", metric.otel);
            known[0].insert(metric.otel);
        }
        assert_eq!(prometheus.get(metric.prometheus), Some(&fetched), "{}", metric.prometheus);
        known[1].insert(metric.prometheus);
        compared += 1;
    }
    for (all, known) in [otlp, prometheus].iter().zip(&known) {
        let others: Vec<_> = all.keys().filter(|name| !known.contains(name.as_str())).collect();
        assert!(others.is_empty(), "not of the contract: {others:?}");
    }
    compared
}

#[test]
fn every_metric_goes_out_by_both_ways_as_the_contract_has_it() {
    let everything = Section {
        metrics: Pattern::new("*".to_owned(), |_| true),
        include: vec![Pattern::new("*".to_owned(), |_| true)],
        exclude: Vec::new(),
    };
    let all = AttributeSelect::new(vec![("*".to_owned(), everything)]);
    let by_default = compare(AttributeSelect::default(), false);
    assert_eq!(compare(all, true), by_default);
    println!("metrics of spans and services: {by_default} compared, each by default and in full");
}
