//! The agent's own metrics: what the table says, by both ways.

use super::*;
use crate::config::{InternalConfig, InternalOutput};
use crate::stages::exporter::Surroundings as Around;
use crate::stages::exporter::internal::{Internal, Scrapes};
use crate::stages::exporter::levels::{Amount, Histogram, Level};
use crate::telemetry::{
    Counter, Counters, Figures, FiguresSource, MapFigures, ProgramFigures, Stage,
};

const CONFIG: InternalConfig = InternalConfig {
    output: InternalOutput::Otlp,
    kernel_interval: Duration::ZERO,
    avoided_max: 3,
};

fn figures(turn: u64) -> Figures {
    Figures {
        stages: vec![Stage {
            name: "decoder.spans",
            in_: 10 * turn,
            out: 7 * turn,
            drops: vec![("held_full", 2 * turn)],
            in_flight: turn,
        }],
        beside: vec![("decoder_gaps".to_owned(), 4)],
        queues: vec![("exporter.otlp", 0.25)],
        programs: vec![ProgramFigures {
            id: 7,
            name: "obi_tp_send".to_owned(),
            kind: "Tracing",
            runs: 10 * turn,
            // 300 ns a run, then 1,500.
            run_ns: if turn == 1 { 3000 } else { 3000 + 10 * 1500 * (turn - 1) },
        }],
        maps: vec![MapFigures {
            id: 9,
            name: "sel_by_tgid".to_owned(),
            kind: "Hash",
            entries: 3,
            max_entries: 100,
        }],
    }
}

fn around() -> Around {
    let living = Living::default();
    for n in 0..5 {
        let service = Service {
            name: format!("s{n}"),
            executable: if n == 0 { "java" } else { "nginx" }.to_owned(),
            ..Service::default()
        };
        service.exports.saw_traces();
        living.set(Tgid(n), Some(Arc::new(service)));
    }
    let counters = Arc::new(Counters::default());
    [0, 7, 90, 50_000].into_iter().for_each(|spans| counters.flushed(spans));
    counters.add(Counter::DecoratorSpansIn, 50_097);
    counters.add(Counter::TracesExported, 50_000);
    counters.add(Counter::TracesRefused, 2);
    Around {
        spares: crossbeam_channel::bounded(0).0,
        living,
        counters,
        figures: FiguresSource::default(),
        host_id: "h".to_owned(),
    }
}

fn read(way: Way) -> Vec<Level> {
    let around = around();
    around.figures.fill(|| figures(1));
    let scrapes = Scrapes::of(9400, "/internal/metrics");
    scrapes.count();
    Internal::new(&CONFIG, way, &around, vec![scrapes]).read()
}

/// The level of a metric whose labels have this value.
fn of<'a>(all: &'a [Level], metric: &metrics::Metric, value: &str) -> &'a Level {
    let named = |level: &&Level| {
        level.metric == metric
            && (value.is_empty() || level.labels.iter().any(|(_, of)| of == value))
    };
    all.iter().find(named).unwrap_or_else(|| panic!("{} {value}", metric.prometheus))
}

#[test]
fn every_row_that_is_live_is_told_with_the_labels_of_the_table() {
    for (way, rows) in [(Way::Otlp, 15), (Way::Prometheus, 17)] {
        let all = read(way);
        let of_table = |metric: &&metrics::Metric| {
            let name = if way == Way::Otlp { metric.otel } else { metric.prometheus };
            metric.feature == Feature::Internal && metric.is_live() && !name.is_empty()
        };
        let ours = [&metrics::LEDGER_ITEMS, &metrics::LEDGER_IN_FLIGHT, &metrics::EVENTS];
        let mut seen = 0;
        for metric in metrics::all().filter(of_table).chain(ours) {
            let level = of(&all, metric, "");
            let mut labels: Vec<&str> = level.labels.iter().map(|(name, _)| &**name).collect();
            let mut expected = match way {
                Way::Otlp => metric.default.to_vec(),
                Way::Prometheus => metric.labels.unwrap().to_vec(),
            };
            labels.sort_unstable();
            expected.sort_unstable();
            assert_eq!(labels, expected, "{}", metric.prometheus);
            assert!(!metric.help.is_empty(), "{}", metric.prometheus);
            seen += 1;
        }
        assert_eq!(seen, rows);
        assert!(all.iter().all(|level| level.metric.feature == Feature::Internal));
    }
}

#[test]
fn figures_are_told_as_they_are() {
    let all = read(Way::Prometheus);
    let value = |metric, label| of(&all, metric, label).value.clone();
    assert_eq!(value(&metrics::INSTRUMENTED_PROCESSES, "nginx"), Amount::Int(4));
    assert_eq!(value(&metrics::INSTRUMENTED_PROCESSES, "java"), Amount::Int(1));
    assert_eq!(value(&metrics::TRACE_EXPORTS, ""), Amount::Int(50_000));
    assert_eq!(value(&metrics::TRACE_EXPORT_ERRORS, "refused"), Amount::Int(2));
    assert_eq!(value(&metrics::METRIC_EXPORT_ERRORS, "refused"), Amount::Int(0));
    assert_eq!(value(&metrics::PROBE_EXECUTIONS, "obi_tp_send"), Amount::Int(10));
    assert_eq!(value(&metrics::PROBE_SECONDS, "obi_tp_send"), Amount::Float(3e-6));
    assert_eq!(value(&metrics::MAP_ENTRIES, "sel_by_tgid"), Amount::Int(3));
    assert_eq!(value(&metrics::MAP_MAX_ENTRIES, "sel_by_tgid"), Amount::Int(100));
    assert_eq!(value(&metrics::QUEUE_CAPACITY, "exporter.otlp"), Amount::Float(0.25));
    assert_eq!(value(&metrics::SCRAPES, "9400"), Amount::Int(1));
    assert_eq!(value(&metrics::LEDGER_ITEMS, "in"), Amount::Int(10));
    assert_eq!(value(&metrics::LEDGER_ITEMS, "out"), Amount::Int(7));
    assert_eq!(value(&metrics::LEDGER_ITEMS, "held_full"), Amount::Int(2));
    assert_eq!(value(&metrics::LEDGER_IN_FLIGHT, "decoder.spans"), Amount::Int(1));
    assert_eq!(value(&metrics::EVENTS, "decoder_gaps"), Amount::Int(4));
}

#[test]
fn batches_are_counted_between_the_limits_of_each_way() {
    let histogram = |way| match &of(&read(way), &metrics::TRACER_FLUSHES, "").value {
        Amount::Histogram(histogram) => histogram.clone(),
        other => panic!("{other:?}"),
    };
    let Histogram { limits, counts, sum } = histogram(Way::Prometheus);
    assert_eq!((limits, sum), (Limits::Flushes.for_prometheus(), 50_097.0));
    assert_eq!(counts, [1, 1, 0, 0, 0, 1, 0, 1], "0; 7 up to 10; 90 up to 160; the rest");
    let Histogram { limits, counts, .. } = histogram(Way::Otlp);
    assert_eq!(limits, Limits::Flushes.over_otlp());
    assert_eq!(counts, [1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn services_that_export_by_themselves_are_told_up_to_the_limit() {
    for way in [Way::Prometheus, Way::Otlp] {
        let all = read(way);
        let avoided: Vec<_> =
            all.iter().filter(|level| level.metric == &metrics::AVOIDED_SERVICES).collect();
        assert_eq!(avoided.len(), 3);
        let rest = avoided.last().unwrap();
        assert!(rest.overflow && !avoided[1].overflow);
        assert_eq!(rest.value, Amount::Int(3), "those that have no series of their own");
        assert_eq!(rest.labels.is_empty(), way == Way::Otlp);
    }
}

#[test]
fn over_otlp_they_have_the_agents_resource_and_what_ran_counts_with_its_average() {
    let around = around();
    let turns = std::sync::atomic::AtomicU64::new(0);
    around
        .figures
        .fill(move || figures(turns.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1));
    let internal = Internal::new(&CONFIG, Way::Otlp, &around, Vec::new());
    let both = Both::new(&config(&[]), [&output(), &output()]);
    let mut encoder = both.otlp.with_internal(Some(internal));
    let mut request = Vec::new();
    let mut latencies = Vec::new();
    for _ in 0..2 {
        encoder.collect();
        assert!(encoder.next(&mut request) > 0);
        let decoded = ExportMetricsServiceRequest::decode(&*request).unwrap();
        let [of_agent] = &decoded.resource_metrics[..] else { panic!("{decoded:?}") };
        let resource = &of_agent.resource.as_ref().unwrap().attributes;
        let attribute = |key: &str| resource.iter().find(|kv| kv.key == key).map(text).unwrap();
        assert_eq!(attribute("service.name"), "opentelemetry-ebpf-instrumentation");
        assert_eq!(
            (attribute("host.id"), attribute("service.instance.id").len()),
            ("h".into(), 36)
        );
        let [scope] = &of_agent.scope_metrics[..] else { panic!() };
        assert_eq!(scope.scope.as_ref().unwrap().name, "obi_internal");
        let of = |name: &str| scope.metrics.iter().find(|m| m.name == name).unwrap().clone();
        let Some(Data::Histogram(latency)) = of("obi.bpf.probe.latency").data else { panic!() };
        latencies.push(latency.data_points[0].clone());
        let Some(Data::Sum(items)) = of("obi.ledger.items").data else { panic!() };
        assert!(items.is_monotonic && items.data_points.iter().all(|p| p.start_time_unix_nano > 0));
        let Some(Data::Gauge(queues)) = of("obi.queue.capacity.ratio").data else { panic!() };
        let quarter = number_data_point::Value::AsDouble(0.25);
        assert_eq!(queues.data_points[0].value, Some(quarter));
        let Some(Data::Gauge(avoided)) = of("obi.avoided.services").data else { panic!() };
        let rest = &avoided.data_points.last().unwrap().attributes;
        let [KeyValue { key, .. }] = &rest[..] else { panic!("{rest:?}") };
        assert_eq!((key.as_str(), text(&rest[0]).as_str()), ("otel.metric.overflow", "true"));
    }
    let [first, second] = &latencies[..] else { panic!() };
    assert_eq!(first.explicit_bounds, Limits::ProbeDurations.over_otlp());
    assert_eq!((first.count, first.bucket_counts[1]), (10, 10), "300 ns");
    assert_eq!((second.count, second.bucket_counts[3]), (20, 10), "1.5 µs");
    assert!((second.sum.unwrap() - 18e-6).abs() < 1e-12);
}
