//! The pages that Prometheus fetches: what it keeps of them is what they say, and `promtool` finds nothing
//! wrong with them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;

use obi::model::batch::SpanBatch;
use obi::semconv::{AttrKey, SpanFamily};
use serde_json::Value;

use super::batches::{Random, batches, count};
use super::metrics::{FAMILIES, WANTED};
use super::{CURL, OPEN_METRICS, PROMETHEUS, Prometheus, TEXT, delivered, exporters, page, push};
use crate::servers::free_port;
use crate::turn::{Need, enter, scratch};
use crate::{eventually, report};

/// A series: its name and its labels; an empty label is as good as none.
pub(super) type Series = (String, BTreeMap<String, String>);

/// The series of a page in either format, and their values.
pub(super) fn samples(page: &str) -> BTreeMap<Series, f64> {
    let mut all = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let at = line.find(['{', ' ']).unwrap();
        let (name, mut rest) = line.split_at(at);
        let mut labels = BTreeMap::new();
        while rest.starts_with(['{', ',']) && !rest.starts_with("{}") {
            let (label, quoted) = rest.trim_start_matches(['{', ',']).split_once("=\"").unwrap();
            let (value, left) = unquoted(quoted);
            labels.insert(label.to_owned(), value);
            rest = left;
        }
        let value = rest.trim_start_matches(['{', '}', ' ']).split(' ').next().unwrap();
        let series = known_as(name, labels);
        assert_eq!(all.insert(series, value.parse().expect(line)), None, "twice: {line}");
    }
    all
}

/// A quoted value up to its end, and what follows.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return (value, chars.as_str()),
            '\\' => match chars.next().unwrap() {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    panic!("a value without an end: {text}");
}

/// The same series whoever writes it: without empty labels, limits as numbers.
pub(super) fn known_as(name: &str, mut labels: BTreeMap<String, String>) -> Series {
    labels.retain(|_, value| !value.is_empty());
    if let Some(limit) = labels.get_mut("le") {
        *limit = limit.parse::<f64>().unwrap().to_string();
    }
    (name.to_owned(), labels)
}

/// Name, type and meaning of each metric of a page.
pub(super) fn described(page: &str) -> BTreeMap<String, (String, String)> {
    let mut all: BTreeMap<String, (String, String)> = BTreeMap::new();
    for line in page.lines() {
        let Some((what, rest)) = line.strip_prefix("# ").and_then(|of| of.split_once(' ')) else {
            continue;
        };
        let (name, text) = rest.split_once(' ').unwrap();
        let of = all.entry(name.to_owned()).or_default();
        match what {
            "TYPE" => of.0 = text.to_owned(),
            "HELP" => of.1 = text.to_owned(),
            other => panic!("{other}: {line}"),
        }
    }
    all
}

/// What `promtool` has against a page, line by line.
pub(super) fn complaints(page: &str) -> Vec<String> {
    let dir = scratch();
    let file = dir.path().join("page");
    fs::write(&file, page).unwrap();
    let mut command = Command::new("promtool");
    let output = command.args(["check", "metrics"]).stdin(File::open(&file).unwrap()).output();
    let output = output.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said: Vec<String> = String::from_utf8(said).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(output.status.success(), said.is_empty(), "{said:?}");
    said
}

/// What Prometheus adds for each target that it fetches from.
const OF_PROMETHEUS: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_post_metric_relabeling",
    "scrape_samples_scraped",
    "scrape_series_added",
];

/// All that Prometheus keeps of its target now. What has no labels `job` and `instance` got those of the
/// target.
fn kept(prometheus: &Prometheus, port: u16) -> BTreeMap<Series, f64> {
    let target = format!("127.0.0.1:{port}");
    let mut all = BTreeMap::new();
    for (labels, value) in prometheus.query("{__name__!=\"\"}") {
        let mut labels: BTreeMap<String, String> = serde_json::from_value(labels).unwrap();
        let name = labels.remove("__name__").unwrap();
        labels.retain(|label, value| match label.as_str() {
            "job" => value != "obi",
            "instance" => *value != target,
            _ => true,
        });
        if !OF_PROMETHEUS.contains(&name.as_str()) {
            all.insert(known_as(&name, labels), value.parse().unwrap());
        }
    }
    all
}

/// Requests to servers by route, as Prometheus has them.
fn asked_for(prometheus: &Prometheus) -> BTreeMap<String, f64> {
    let count = "http_server_request_duration_seconds_count";
    let found = prometheus.query(&format!("sum by (http_route) ({count})"));
    let route = |labels: &Value| labels["http_route"].as_str().unwrap_or_default().to_owned();
    found.iter().map(|(labels, n)| (route(labels), n.parse().unwrap())).collect()
}

/// The same as they were put in.
fn routes(batches: &[Arc<SpanBatch>]) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for batch in batches {
        for span in batch.spans.iter().filter(|span| span.family == SpanFamily::HttpServer) {
            let route = batch.attr_text(span, AttrKey::HttpRoute).to_owned();
            *all.entry(route).or_default() += 1.0;
        }
    }
    all
}

#[test]
fn prometheus_keeps_exactly_what_the_page_says() {
    let name = "prometheus_keeps_exactly_what_the_page_says";
    let promtool = Need::Command("promtool");
    let Some(_turn) = enter(name, &[PROMETHEUS, promtool, CURL]) else { return };
    for (features, calls) in FAMILIES {
        keeps(features, calls);
    }
}

/// Compares what there is of these families; `calls` counts spans.
fn keeps(features: &str, calls: &str) {
    let batches = batches(&mut Random::new(3), 12, 60);
    let spans = count(&batches);
    let port = free_port();
    let own_port = port.to_string();
    let variables = [
        ("OTEL_EBPF_PROMETHEUS_PORT", own_port.as_str()),
        ("OTEL_EBPF_PROMETHEUS_EXEMPLAR_FILTER", "trace_based"),
        (WANTED, features),
    ];
    let exporters = exporters(&variables, &batches);
    let prometheus = Prometheus::start(port, "/metrics");
    push(&exporters, &batches);
    eventually("they are counted", || exporters.running[0].stage().out == spans as u64);
    let calls = format!("sum({calls})");
    eventually("Prometheus knows of all", || prometheus.number(&calls) == Some(spans as f64));
    assert_eq!(prometheus.error(), "");
    assert_eq!(asked_for(&prometheus), routes(&batches));

    let text = page(port, "/metrics", TEXT);
    let open = page(port, "/metrics", OPEN_METRICS);
    assert!(open.ends_with("# EOF\n") && open.contains(" # {traceID="), "with exemplars");
    let (kept, shown) = (kept(&prometheus, port), samples(&open));
    for (series, value) in &shown {
        assert_eq!(kept.get(series), Some(value), "{series:?}");
    }
    assert_eq!(kept.len(), shown.len());
    assert_eq!(samples(&text), shown, "both formats say the same");

    let metadata = prometheus.asked("metadata", &[]);
    let mut metadata: BTreeMap<String, Vec<BTreeMap<String, String>>> =
        serde_json::from_value(metadata).unwrap();
    for (name, (kind, help)) in described(&open) {
        let [of] = &metadata.remove(&name).unwrap()[..] else { panic!("{name}") };
        assert_eq!((&of["type"], &of["help"]), (&kind, &help), "{name}");
    }
    assert!(metadata.is_empty(), "{metadata:?}");
    assert_eq!(complaints(&text), Vec::<String>::new());
    report(&format!("{spans} spans, {} series", shown.len()));
    delivered(exporters, spans);
}
