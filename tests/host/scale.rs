//! Many services with many routes at once: every number is right in each of their series.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::process::Command;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::agent::Agent;
use crate::collector::Collector;
use crate::load::{Connections, Load, Report};
use crate::servers::{self, Server, free_port};
use crate::turn::{Need, app, enter, scratch};
use crate::{eventually, report, setting};

const SERVICES: u64 = 200;
const ROUTES: u64 = 50;
/// Requests a second to all services together.
const RATE: u64 = 5_000;

const METRIC: &str = "http.server.request.duration";
const METRIC_SECONDS: &str = "http_server_request_duration_seconds";

/// Number and nanoseconds of requests by service, route and status.
type Series = BTreeMap<[String; 3], (u64, u64)>;

/// The first segment of the paths of a route; of every tenth, one that is refused.
fn front(route: u64) -> String {
    match route % 10 {
        9 => format!("error{route}"),
        _ => format!("r{route}"),
    }
}

fn routed(number: u64) -> (&'static str, String, usize) {
    ("GET", format!("/{}/{number}", front(number % ROUTES)), 0)
}

/// What each service was asked, without times.
fn asked(requests: u64) -> Series {
    let mut series = Series::new();
    for service in 0..SERVICES {
        for route in 0..ROUTES.min(requests) {
            let status = if route % 10 == 9 { "503" } else { "200" };
            let key = [name(service), format!("/{}/{{id}}", front(route)), status.to_owned()];
            series.insert(key, ((requests - route).div_ceil(ROUTES), 0));
        }
    }
    series
}

fn name(service: u64) -> String {
    format!("shop-{service:03}")
}

/// A service for each number.
fn services() -> Vec<Server> {
    let start = |service| {
        let port = free_port();
        let mut command = Command::new(app("timed"));
        command.arg(port.to_string()).env("OTEL_SERVICE_NAME", name(service));
        Server::start_in(scratch(), port, &mut command)
    };
    (0..SERVICES).map(start).collect()
}

/// Asks all of them at once, each over a connection of its own.
fn ask(services: &[Server], requests: u64) -> Report {
    let load = |service: &Server| {
        let rate = Some(RATE / SERVICES);
        let load = Load { port: service.port, connections: 1, requests, rate, plan: routed };
        load.start(Connections::Kept)
    };
    let running: Vec<_> = services.iter().map(load).collect();
    let mut all = Report::default();
    for load in running {
        let one = load.wait();
        all.elapsed = all.elapsed.max(one.elapsed);
        all.add(one);
    }
    all
}

fn of_spans(collector: &Collector) -> Series {
    let mut series = Series::new();
    for span in collector.told() {
        let of = |key: &str| span.attribute(key).unwrap_or("").to_owned();
        let key = [span.service().to_owned(), of("http.route"), of("http.response.status_code")];
        let (number, nanoseconds) = series.entry(key).or_default();
        *number += 1;
        *nanoseconds += span.duration;
    }
    series
}

fn of_prometheus(port: u16) -> Series {
    let mut series = Series::new();
    let url = format!("http://127.0.0.1:{port}/metrics");
    let text = servers::run(Command::new("curl").args(["-sf", &url]));
    for line in text.lines() {
        let Some(sample) = line.strip_prefix(METRIC_SECONDS) else { continue };
        let (labels, value) = sample.rsplit_once(' ').unwrap();
        let key = || {
            ["service_name", "http_route", "http_response_status_code"]
                .map(|name| label(labels, name))
        };
        if sample.starts_with("_count{") {
            series.entry(key()).or_default().0 = value.parse().unwrap();
        } else if sample.starts_with("_sum{") {
            series.entry(key()).or_default().1 = nanoseconds(value.parse().unwrap());
        }
    }
    series
}

/// The value of a label, which needs no escapes here.
fn label(labels: &str, name: &str) -> String {
    let value = |before: &str| labels.split_once(&format!("{before}{name}=\""));
    let (_, value) =
        value(",").or_else(|| value("{")).unwrap_or_else(|| panic!("no {name}: {labels}"));
    value.split('"').next().unwrap().to_owned()
}

#[expect(clippy::cast_possible_truncation, reason = "no sum of a test is that large")]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

fn of_otlp(collector: &Collector) -> Series {
    let mut series = Series::new();
    let all = collector.metrics().into_iter().flat_map(|request| request.resource_metrics);
    for resource in all {
        let of = resource.resource.unwrap().attributes;
        let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
        for metric in metrics.filter(|metric| metric.name == METRIC) {
            let Some(Data::Histogram(histogram)) = metric.data else { panic!("{metric:?}") };
            let service = text(&of, "service.name");
            for point in histogram.data_points {
                let [route, status] = ["http.route", "http.response.status_code"]
                    .map(|key| text(&point.attributes, key));
                let value = (point.count, nanoseconds(point.sum.unwrap()));
                let twice = series.insert([service.clone(), route, status], value);
                assert_eq!(twice, None, "one point of each series, in one export");
            }
        }
    }
    series
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let value = attributes.iter().find(|attribute| attribute.key == key);
    match value.and_then(|attribute| attribute.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{key}: {other:?}"),
    }
}

/// Holds two sides to be equal, and shows the first difference: they have ten thousand entries.
#[track_caller]
fn assert_same<V: PartialEq + Debug>(
    what: &str,
    left: &BTreeMap<[String; 3], V>,
    right: &BTreeMap<[String; 3], V>,
) {
    let differs = |key: &&[String; 3]| left.get(*key) != right.get(*key);
    let differing: Vec<_> = left.keys().chain(right.keys()).filter(differs).collect();
    let first = differing.first().map(|key| (key, left.get(*key), right.get(*key)));
    assert!(differing.is_empty(), "{what}: {} differ, as {first:?}", differing.len());
}

fn numbers(series: &Series) -> BTreeMap<[String; 3], u64> {
    series.iter().map(|(key, (number, _))| (key.clone(), *number)).collect()
}

/// What the servers say of themselves: requests, refused ones, nanoseconds.
fn own_log(services: &mut [Server]) -> [u64; 3] {
    let mut sum = [0; 3];
    for service in services {
        service.quit();
        let line = service.output();
        let told: Vec<u64> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert_eq!(told.len(), 3, "{line}");
        sum.iter_mut().zip(told).for_each(|(sum, one)| *sum += one);
    }
    sum
}

#[test]
fn ten_thousand_series_of_two_hundred_services_are_the_spans_and_the_truth() {
    let name = "ten_thousand_series_of_two_hundred_services_are_the_spans_and_the_truth";
    let Some(_turn) = enter(name, &[Need::App("timed"), Need::Command("curl")]) else { return };
    let mut services = services();
    let collector = Collector::start();
    let url = collector.url();
    let dir = scratch();
    let file = dir.path().join("obi.yml");
    let patterns: Vec<_> = (0..ROUTES).map(|route| format!("'/{}/{{id}}'", front(route))).collect();
    std::fs::write(&file, format!("routes: {{patterns: [{}]}}\n", patterns.join(", "))).unwrap();
    let own = free_port();
    let own_port = own.to_string();
    let mut variables = collector.variables(&url).to_vec();
    variables.extend([
        ("OTEL_EBPF_CONFIG_PATH", file.to_str().unwrap()),
        ("OTEL_EBPF_AUTO_TARGET_EXE", "*/timed"),
        ("OTEL_EBPF_PROMETHEUS_PORT", own_port.as_str()),
        // One export, at the stop.
        ("OTEL_EBPF_METRICS_INTERVAL", "1h"),
    ]);
    let agent = Agent::start(&variables);
    let each = setting("OBI_TEST_SECONDS", 30).min(30) * RATE / SERVICES;
    let mut client = ask(&services, each);
    let requests = each * SERVICES;
    assert_eq!((client.answered(), client.errors), (requests, 0));
    let all = usize::try_from(requests).unwrap();
    eventually("every span has come", || collector.count() == all);

    let spans = of_spans(&collector);
    assert_same("spans and what was asked", &numbers(&spans), &numbers(&asked(each)));
    let mut scraped = Series::new();
    eventually("every request is measured", || {
        scraped = of_prometheus(own);
        scraped.values().map(|(number, _)| number).sum::<u64>() == requests
    });
    assert_same("Prometheus and spans", &scraped, &spans);
    let outcome = agent.stop();
    assert_same("OTLP and spans", &of_otlp(&collector), &spans);
    assert_eq!(outcome.ledger.drops(), (0, String::new()));

    let [answered, refused, handled] = own_log(&mut services);
    assert_eq!((answered, refused), (requests, client.by_status[&503]));
    let of_spans: u64 = spans.values().map(|(_, nanoseconds)| nanoseconds).sum();
    report(&format!(
        "{requests} requests, {} series; spans {} ms, handlers' own log {} ms; client: {}",
        spans.len(),
        of_spans / 1_000_000,
        handled / 1_000_000,
        client.line()
    ));
}
