//! Metrics are what the spans say, and both are what happened.

use std::collections::BTreeMap;
use std::process::Command;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::agent::Agent;
use crate::collector::Collector;
use crate::load::Load;
use crate::servers::{self, free_port};
use crate::turn::{Need, enter};
use crate::{eventually, report, setting};

/// Samples of a scrape: name and labels, and the value.
fn scrape(port: u16) -> BTreeMap<String, f64> {
    scrape_at(port, "/metrics")
}

fn scrape_at(port: u16, path: &str) -> BTreeMap<String, f64> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let text = servers::run(Command::new("curl").args(["-sf", &url]));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// The sum of a sample over all series whose labels hold `label`.
fn sum(samples: &BTreeMap<String, f64>, name: &str, label: &str) -> f64 {
    let of = |series: &str| series.split('{').next() == Some(name) && series.contains(label);
    samples.iter().filter(|(series, _)| of(series)).map(|(_, value)| value).sum()
}

/// Every path is one of fifty, every tenth fails.
fn fifty(number: u64) -> (&'static str, String, usize) {
    match number % 10 {
        9 => ("GET", format!("/error/{}", number % 50), 0),
        _ => ("POST", format!("/r/{}", number % 50), usize::try_from(number % 300).unwrap()),
    }
}

#[test]
fn metrics_are_the_spans_and_both_are_what_the_client_counted() {
    let name = "metrics_are_the_spans_and_both_are_what_the_client_counted";
    let Some(_turn) = enter(name, &[Need::Command("nginx"), Need::Command("curl")]) else { return };
    let collector = Collector::start();
    let url = collector.url();
    let nginx = servers::nginx(1, None);
    let (port, own) = (nginx.port.to_string(), free_port());
    let mut variables = collector.variables(&url).to_vec();
    let own_port = own.to_string();
    variables.extend([
        ("OTEL_EBPF_OPEN_PORT", port.as_str()),
        ("OTEL_EBPF_PROMETHEUS_PORT", own_port.as_str()),
        ("OTEL_EBPF_METRICS_INTERVAL", "200ms"),
        ("OTEL_EBPF_METRICS_FEATURES", "application,application_span_otel"),
    ]);
    let agent = Agent::start(&variables);
    let requests = setting("OBI_TEST_RATE", 5_000) * setting("OBI_TEST_SECONDS", 5).min(30);
    let load = Load { port: nginx.port, connections: 32, requests, rate: Some(5_000), plan: fifty };
    let client = load.run();
    assert_eq!((client.answered(), client.errors), (requests, 0));
    let all = usize::try_from(requests).unwrap();
    eventually("every span has come", || collector.count() == all);
    eventually("every request is measured", || {
        sum(&scrape(own), "traces_span_metrics_calls_total", "") == requests as f64
    });

    let samples = scrape(own);
    let count = "http_server_request_duration_seconds_count";
    for (status, expected) in &client.by_status {
        let label = format!("http_response_status_code=\"{status}\"");
        assert_eq!(sum(&samples, count, &label), *expected as f64, "{label}");
    }
    let told = collector.told();
    let nanoseconds: u64 = told.iter().map(|span| span.duration).sum();
    let seconds = sum(&samples, "traces_span_metrics_duration_seconds_sum", "");
    assert!((seconds * 1e9 - nanoseconds as f64).abs() < 1.0, "{seconds} s, {nanoseconds} ns");
    let bytes = |attribute: &str| -> f64 {
        told.iter().filter_map(|s| s.attribute(attribute)?.parse::<f64>().ok()).sum()
    };
    for (metric, attribute) in [
        ("http_server_request_body_size_bytes", "http.request.body.size"),
        ("http_server_response_body_size_bytes", "http.response.body.size"),
    ] {
        assert_eq!(sum(&samples, &format!("{metric}_sum"), ""), bytes(attribute), "{metric}");
        assert_eq!(sum(&samples, &format!("{metric}_count"), ""), requests as f64, "{metric}");
    }
    assert_eq!(sum(&samples, "target_info", "service_name=\"nginx\""), 2.0, "master and worker");
    let series = samples.keys().filter(|s| s.starts_with(count)).count();
    report(&format!("{requests} requests, {series} series of their durations"));

    let outcome = agent.stop();
    assert_eq!(outcome.ledger.stage("exporter.metrics").out, requests);
    assert_eq!(last_sent(&collector), (requests, seconds), "the last export, at the stop");
}

/// Number and sum of the durations of spans in the last request with metrics.
fn last_sent(collector: &Collector) -> (u64, f64) {
    let last = collector.metrics().pop().unwrap();
    let scopes = last.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| scope.metrics);
    let durations = metrics.filter(|metric| metric.name == "traces.span.metrics.duration");
    let mut all = (0, 0.0);
    for metric in durations {
        let Some(Data::Histogram(histogram)) = metric.data else { panic!("{metric:?}") };
        for point in histogram.data_points {
            all = (all.0 + point.count, all.1 + point.sum.unwrap());
        }
    }
    all
}

#[test]
fn the_agent_s_own_metrics_are_its_ledger_and_what_the_kernel_tells() {
    let name = "the_agent_s_own_metrics_are_its_ledger_and_what_the_kernel_tells";
    let Some(_turn) = enter(name, &[Need::Command("nginx"), Need::Command("curl")]) else { return };
    let collector = Collector::start();
    let url = collector.url();
    let nginx = servers::nginx(1, None);
    let (port, own) = (nginx.port.to_string(), free_port().to_string());
    let mut variables = collector.variables(&url).to_vec();
    variables.extend([
        ("OTEL_EBPF_OPEN_PORT", port.as_str()),
        ("OTEL_EBPF_PROMETHEUS_PORT", own.as_str()),
        ("OTEL_EBPF_INTERNAL_METRICS_PROMETHEUS_PORT", own.as_str()),
        ("OTEL_EBPF_BPF_METRIC_SCRAPE_INTERVAL", "1ms"),
    ]);
    let agent = Agent::start(&variables);
    let own = own.parse().unwrap();
    let requests = 2_000;
    let load = Load { port: nginx.port, connections: 8, requests, rate: None, plan: fifty };
    let client = load.run();
    assert_eq!((client.answered(), client.errors), (requests, 0));
    let number = requests as f64;
    let mut scrapes = 0;
    let mut read = || {
        scrapes += 1;
        scrape_at(own, "/internal/metrics")
    };
    let exported = |all: &BTreeMap<String, f64>| sum(all, "obi_otel_trace_exports_total", "");
    eventually("every span was taken", || exported(&read()) == number);
    let all = read();
    let items = |stage: &str, flow: &str| {
        let of = |series: &str| {
            series.starts_with("obi_ledger_items_total")
                && series.contains(&format!("stage=\"{stage}\""))
                && series.contains(&format!("flow=\"{flow}\""))
        };
        all.iter().filter(|(series, _)| of(series)).map(|(_, value)| value).sum::<f64>()
    };
    for stage in ["decoder.spans", "decorator.spans", "exporter.otlp", "exporter.metrics"] {
        let (into, out, dropped) =
            (items(stage, "in"), items(stage, "out"), items(stage, "dropped"));
        assert_eq!((into, out, dropped), (number, number, 0.0), "{stage}");
    }
    assert!(items("kernel.calls", "in") >= 2.0 * number);
    assert_eq!(sum(&all, "obi_instrumented_processes", "process_name=\"nginx\""), 2.0);
    assert_eq!(sum(&all, "obi_ebpf_tracer_flushes_sum", ""), number);
    assert!(sum(&all, "obi_ebpf_tracer_flushes_count", "") >= 1.0);
    assert!(sum(&all, "obi_bpf_probe_executions_total", "probe_name=\"obi_") >= 2.0 * number);
    assert!(sum(&all, "obi_bpf_probe_latency_seconds_total", "probe_name=\"obi_") > 0.0);
    let selection = "map_name=\"sel_by_tgid\"";
    assert!(sum(&all, "obi_bpf_map_entries", selection) >= 2.0, "master and worker");
    assert!(sum(&all, "obi_bpf_map_max_entries", selection) >= 1024.0);
    assert_eq!(
        sum(&all, "obi_prometheus_http_requests_total", "path=\"/internal/metrics\""),
        f64::from(scrapes)
    );
    assert!(!scrape(own).keys().any(|series| series.starts_with("obi_ledger")), "another page");
    let outcome = agent.stop();
    assert_eq!(outcome.ledger.stage("exporter.otlp").out, requests);
}
