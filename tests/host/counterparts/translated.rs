//! Two ways to Prometheus: over OTLP and the Collector's exporter for it, and by our own page. Both show the
//! same; where they do not, that is the contract, and listed here.

use std::collections::BTreeMap;

use super::batches::{Random, batches, count};
use super::metrics::{FAMILIES, OFTEN, WANTED};
use super::pages::{Series, described, samples};
use super::{COLLECTOR, CURL, Collector, TEXT, delivered, exporters, page, push};
use crate::servers::free_port;
use crate::turn::enter;
use crate::{eventually, report};

/// A series of the Collector as our page has it; `None` = it is the Collector's own. What differs is the
/// contract's: over OTLP, attributes and a resource; for Prometheus, fixed labels.
fn as_ours((name, labels): &Series) -> Option<Series> {
    let mut labels = labels.clone();
    // The Collector says which scope a metric is of, and makes a `target_info` of each resource besides.
    let scope = labels.remove("otel_scope_name");
    if scope.is_none() && name == "target_info" {
        return None;
    }
    assert_eq!(scope.as_deref(), Some("go.opentelemetry.io/obi"), "{name}");
    match name.as_str() {
        // Who is observed is told without a resource: its attributes are those of the series. The fixed
        // labels have neither what the user added to the resource nor `service_instance_id`.
        "target_info" => {
            labels.insert("source".to_owned(), "obi".to_owned());
            labels.remove("service_instance_id");
            labels.remove("team");
        }
        // The same, and job, instance and the host's name are no attributes of this one.
        "traces_target_info" => {
            let instance = labels.remove("service_instance_id").unwrap();
            labels.insert("instance".to_owned(), instance);
            let name = labels["service_name"].clone();
            let job = labels.get("service_namespace").map(|space| format!("{space}/{name}"));
            labels.insert("job".to_owned(), job.unwrap_or(name));
            labels.insert("host_name".to_owned(), "host".to_owned());
            labels.remove("team");
        }
        "traces_host_info" => {
            let id = labels.remove("host_id").unwrap();
            labels.insert("cloud_host_id".to_owned(), id);
        }
        // The Collector says whose resource it is; on the page an edge is of nobody.
        name if name.starts_with("traces_service_graph") => {
            labels.remove("job");
            labels.remove("instance");
        }
        // Here both are attributes; the page has `instance` alone.
        name if name.starts_with("traces_span") => {
            labels.remove("host_id");
            labels.remove("service_instance_id");
        }
        _ => {}
    }
    Some((name.clone(), labels))
}

/// The contract has it for Prometheus alone: which build this is, and which languages are observed.
const OURS_ALONE: &str = "obi_build_info";

#[test]
fn the_collector_shows_to_prometheus_what_our_own_page_shows() {
    let name = "the_collector_shows_to_prometheus_what_our_own_page_shows";
    let Some(_turn) = enter(name, &[COLLECTOR, CURL]) else { return };
    for (features, calls) in FAMILIES {
        show_the_same(features, calls);
    }
}

/// Compares what there is of these families; `calls` counts spans.
fn show_the_same(features: &str, calls: &str) {
    let mut collector = Collector::start();
    let batches = batches(&mut Random::new(11), 12, 60);
    let (spans, port) = (count(&batches), free_port());
    let (endpoint, own_port) = (collector.endpoint("grpc"), port.to_string());
    let variables = [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EBPF_PROMETHEUS_PORT", own_port.as_str()),
        (WANTED, features),
        OFTEN,
    ];
    let exporters = exporters(&variables, &batches);
    push(&exporters, &batches);
    let theirs = || page(collector.prometheus, "/metrics", TEXT);
    let counted = |page: &str| -> f64 {
        samples(page).iter().filter(|((name, _), _)| name == calls).map(|(_, n)| n).sum()
    };
    eventually("the collector shows all of them", || counted(&theirs()) == spans as f64);
    let (ours, theirs) = (page(port, "/metrics", TEXT), theirs());
    let (mut shown, mut translated) = (samples(&ours), BTreeMap::<Series, f64>::new());
    let alone = shown.len();
    shown.retain(|(name, _), _| name != OURS_ALONE);
    assert_eq!(shown.len(), alone - 1, "one language");
    for (series, value) in samples(&theirs) {
        // Edges of several instances come together.
        if let Some(series) = as_ours(&series) {
            *translated.entry(series).or_default() += value;
        }
    }
    let (mut here, there) = (described(&ours), described(&theirs));
    here.remove(OURS_ALONE);
    assert_eq!(here, there, "types and meanings");
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * a.abs();
    for (series, value) in &shown {
        let other = translated.get(series).unwrap_or_else(|| panic!("not there: {series:?}"));
        assert!(near(*value, *other), "{series:?}: {value} here, {other} there");
    }
    assert_eq!(translated.keys().collect::<Vec<_>>(), shown.keys().collect::<Vec<_>>());
    report(&format!("{spans} spans, {} samples on both", shown.len()));
    delivered(exporters, spans);
    collector.end();
}
