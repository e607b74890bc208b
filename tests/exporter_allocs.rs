//! The path from a finished span to bytes on the wire, or to a series, allocates nothing once it is warm.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/allocations.rs"]
mod counting;

use std::sync::Arc;

use counting::allocations;
use crossbeam_channel::bounded;
use obi::config::{Environment, Purpose, RoutesConfig};
use obi::model::attrs::AttrValue;
use obi::model::batch::SpanBatch;
use obi::model::conn::ConnEnds;
use obi::model::living::Living;
use obi::model::service::Service;
use obi::model::span::{NotFor, SpanHead, SpanStatus, SpanTimes, TraceCtx};
use obi::semconv::{AttrKey, SpanFamily};
use obi::stages::decorator::Decorator;
use obi::stages::exporter::aggregate::Aggregator;
use obi::stages::exporter::otlp::encode::Encoder;
use obi::stages::exporter::queue::Slice;
use obi::telemetry::Counters;

fn batch(spans: u32, services: u32) -> Arc<SpanBatch> {
    let service = |n: u32| Arc::new(Service { name: format!("s{n}"), ..Service::default() });
    let mut batch =
        SpanBatch { services: (0..services).map(service).collect(), ..SpanBatch::default() };
    for n in 0..spans {
        let path = batch.push_text("/basket/17?x=y");
        let start = u32::try_from(batch.attrs.len()).unwrap();
        batch.attrs.extend([
            (AttrKey::HttpRequestMethod, AttrValue::Static("GET")),
            (AttrKey::UrlPath, AttrValue::Text(path)),
            (AttrKey::HttpResponseStatusCode, AttrValue::I64(200)),
            (AttrKey::ServerPort, AttrValue::I64(8080)),
        ]);
        batch.spans.push(SpanHead {
            family: if n % 2 == 0 { SpanFamily::HttpServer } else { SpanFamily::HttpClient },
            times: SpanTimes::default(),
            ctx: TraceCtx::default(),
            ends: ConnEnds::default(),
            service: n % services,
            status: SpanStatus::Error,
            not_for: NotFor::default(),
            attrs: start..start + 4,
            added: 0..0,
        });
    }
    Arc::new(batch)
}

/// A batch costs the decorator a few allocations (the memory of the batch itself grows), however
/// many spans are in it.
#[test]
fn decorating_allocates_by_the_batch_not_by_the_span() {
    let decorate = |spans| {
        let counters = Arc::new(Counters::default());
        let (tx, rx) = bounded(1);
        tx.send(SpanBatch::clone(&batch(spans, 3))).unwrap();
        drop(tx);
        let routes = Some(RoutesConfig { wildcard: "*".to_owned(), ..RoutesConfig::default() });
        allocations(move || Decorator::new(counters).with_routes(routes).run(&rx, Vec::new()))
    };
    let (few, many) = (decorate(100), decorate(10_000));
    // Text is the only memory that grows step by step: 1 doubling for each factor of 2.
    assert!(many <= few + 7, "{few} allocations for 100 spans, {many} for 10,000");
}

#[test]
fn aggregating_spans_allocates_nothing_once_warm() {
    let env: Environment = [
        ("OTEL_EBPF_AUTO_TARGET_EXE", "*"),
        ("OTEL_EBPF_PROMETHEUS_PORT", "1"),
        (
            "OTEL_EBPF_METRICS_FEATURES",
            "application,application_span_otel,application_service_graph",
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into_iter()
    .collect();
    let config = obi::config::load(None, &env, Purpose::Observe).unwrap().config;
    let mut aggregator = Aggregator::new(&config.metrics);
    let (living, counters) = (Living::default(), Counters::default());
    let slices = [Slice { batch: batch(1000, 3), range: 0..1000 }];
    let mut record = || aggregator.record(&slices, &living, &counters);
    let cold = allocations(&mut record);
    assert!(cold > 0, "the counter counts");
    assert_eq!(allocations(&mut record), 0);
}

#[test]
fn encoding_a_request_allocates_nothing_once_warm() {
    let slices: Vec<Slice> =
        (0..4).map(|_| Slice { batch: batch(1000, 3), range: 0..1000 }).collect();
    let mut encoder = Encoder::default();
    let mut body = Vec::new();
    let mut encode = || {
        assert_eq!(encoder.encode(&slices, &mut body), 4000);
    };
    let cold = allocations(&mut encode);
    assert!(cold > 0, "the counter counts");
    assert_eq!(allocations(&mut encode), 0);
}
