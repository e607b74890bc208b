//! The whole agent on real traffic, with a Collector and Prometheus behind it: all say what the client
//! counted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::pages::complaints;
use super::{COLLECTOR, CURL, Collector, PROMETHEUS, Prometheus, TEXT, page};
use crate::agent::Agent;
use crate::load::Load;
use crate::servers::{self, free_port};
use crate::turn::{Need, enter};
use crate::{eventually, report, setting};

/// One path in ten fails, one is missing.
fn plan(number: u64) -> (&'static str, String, usize) {
    match number % 10 {
        9 => ("GET", format!("/error/{}", number % 50), 0),
        4 => ("GET", format!("/missing/{}", number % 50), 0),
        _ => ("POST", format!("/r/{}", number % 50), usize::try_from(number % 300).unwrap()),
    }
}

/// The value of an attribute, as text.
fn attribute(of: &Value, key: &str) -> String {
    let all = of["attributes"].as_array().unwrap();
    let found = all.iter().find(|kv| kv["key"] == key).unwrap_or_else(|| panic!("{key}: {of}"));
    let value = &found["value"];
    ["intValue", "stringValue"].iter().find_map(|kind| value[kind].as_str()).unwrap().to_owned()
}

/// Every value below `path` of names.
fn below<'a>(documents: &'a [Value], path: &[&str]) -> Vec<&'a Value> {
    let mut all: Vec<&Value> = documents.iter().collect();
    for name in path {
        all = all
            .into_iter()
            .flat_map(|value| value[name].as_array().into_iter().flatten())
            .collect();
    }
    all
}

/// Requests by status in the Collector's file of spans.
fn by_spans(collector: &Collector) -> BTreeMap<u16, u64> {
    let requests = collector.wrote("traces");
    let mut ids = BTreeSet::new();
    let mut all = BTreeMap::new();
    for span in below(&requests, &["resourceSpans", "scopeSpans", "spans"]) {
        assert!(ids.insert(span["spanId"].to_string()), "twice: {span}");
        let status = attribute(span, "http.response.status_code").parse().unwrap();
        *all.entry(status).or_default() += 1;
    }
    all
}

/// Requests by status in the last values of its file of metrics.
fn by_metrics(collector: &Collector) -> BTreeMap<u16, u64> {
    let requests = collector.wrote("metrics");
    let mut last = BTreeMap::new();
    for metric in below(&requests, &["resourceMetrics", "scopeMetrics", "metrics"]) {
        if metric["name"] == "http.server.request.duration" {
            for point in metric["histogram"]["dataPoints"].as_array().unwrap() {
                last.insert(point["attributes"].to_string(), point.clone());
            }
        }
    }
    let mut all = BTreeMap::new();
    for point in last.values() {
        let status = attribute(point, "http.response.status_code").parse().unwrap();
        let count: u64 = point["count"].as_str().unwrap().parse().unwrap();
        *all.entry(status).or_default() += count;
    }
    all
}

/// Requests by status that Prometheus knows of.
fn by_prometheus(prometheus: &Prometheus) -> BTreeMap<u16, u64> {
    let name = "http_server_request_duration_seconds_count";
    let found = prometheus.query(&format!("sum by (http_response_status_code) ({name})"));
    let parsed = |(labels, value): (Value, String)| {
        let status = labels["http_response_status_code"].as_str().unwrap();
        (status.parse().unwrap(), value.parse().unwrap())
    };
    found.into_iter().map(parsed).collect()
}

#[test]
fn a_collector_and_prometheus_know_what_the_client_counted() {
    let name = "a_collector_and_prometheus_know_what_the_client_counted";
    let needs = [COLLECTOR, PROMETHEUS, CURL, Need::Command("nginx"), Need::Command("promtool")];
    let Some(_turn) = enter(name, &needs) else { return };
    let mut collector = Collector::start();
    let nginx = servers::nginx(1, None);
    let (endpoint, port, own) = (collector.endpoint("grpc"), nginx.port.to_string(), free_port());
    let own_port = own.to_string();
    let agent = Agent::start(&[
        ("OTEL_EBPF_OPEN_PORT", &port),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "50ms"),
        ("OTEL_EBPF_METRICS_INTERVAL", "200ms"),
        ("OTEL_EBPF_METRICS_FEATURES", "application,application_span_otel"),
        ("OTEL_EBPF_PROMETHEUS_PORT", &own_port),
        ("OTEL_EBPF_INTERNAL_METRICS_PROMETHEUS_PORT", &own_port),
    ]);
    let prometheus = Prometheus::start(own, "/metrics");
    let requests = 2_000 * setting("OBI_TEST_SECONDS", 5).min(30);
    let load = Load { port: nginx.port, connections: 16, requests, rate: Some(2_000), plan };
    let client = load.run();
    assert_eq!((client.answered(), client.errors), (requests, 0));
    let by_prometheus = || by_prometheus(&prometheus);
    eventually("Prometheus knows of all", || by_prometheus().values().sum::<u64>() == requests);
    assert_eq!(by_prometheus(), client.by_status);
    let calls = prometheus.number("sum(traces_span_metrics_calls_total)");
    assert_eq!((calls, prometheus.error()), (Some(requests as f64), String::new()));
    let internal = page(own, "/internal/metrics", TEXT);
    assert!(internal.contains("obi_bpf_probe_executions_total{"), "{internal}");
    assert_eq!(complaints(&internal), Vec::<String>::new());
    assert_eq!(complaints(&page(own, "/metrics", TEXT)), Vec::<String>::new());

    let outcome = agent.stop();
    assert_eq!(outcome.ledger.stage("exporter.otlp").out, requests);
    collector.end();
    assert_eq!(by_spans(&collector), client.by_status);
    assert_eq!(by_metrics(&collector), client.by_status);
    report(&format!("{requests} requests, {:?}", client.by_status));
}
