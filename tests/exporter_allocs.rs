//! The path from a finished span to bytes on the wire, or to a series, allocates nothing once it is warm.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/allocations.rs"]
mod counting;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use counting::allocations;
use crossbeam_channel::bounded;
use obi::config::{DnsConfig, Environment, Purpose, RoutesConfig};
use obi::model::attrs::AttrValue;
use obi::model::batch::SpanBatch;
use obi::model::conn::ConnEnds;
use obi::model::living::Living;
use obi::model::service::Service;
use obi::model::span::{NotFor, SpanHead, SpanStatus, SpanTimes, TraceCtx};
use obi::resolver::{Resolver, Setup};
use obi::semconv::{AttrKey, SpanFamily};
use obi::stages::decorator::{Decorator, Output};
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

/// Addresses that are known cost nothing: a batch is one allocation, the one that shares it. What the
/// wait for the first answers costs differs by a few from run to run.
#[test]
fn naming_known_addresses_allocates_nothing_once_warm() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup { hosts: dir.path().join("hosts"), ..Setup::default() };
    std::fs::write(&setup.hosts, "10.0.0.1 one.example\n10.0.0.2 two.example\n").unwrap();
    let config = DnsConfig { cache_len: 16, cache_expiry: Duration::from_secs(300) };
    let addresses = ["::ffff:10.0.0.1", "::ffff:10.0.0.2"].map(|text| text.parse().unwrap());
    let one = || {
        let mut batch = SpanBatch::clone(&batch(100, 3));
        for (span, n) in batch.spans.iter_mut().zip(0..) {
            span.ends.client.addr = addresses[n % 2];
            span.ends.server.addr = addresses[1 - n % 2];
        }
        batch.attrs.reserve(1000);
        batch.text.reserve(100_000);
        batch
    };
    let run = |batches: usize| {
        let mut left: Vec<SpanBatch> = (1..batches).map(|_| one()).collect();
        let (tx, rx) = bounded(1);
        tx.send(one()).unwrap();
        let mut tx = Some(tx);
        let (counters, mut named) = (Arc::new(Counters::default()), 0);
        let resolver = Resolver::start(setup.clone()).unwrap();
        let decorator = Decorator::new(counters).with_dns(resolver, config.clone());
        let counted = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&counted);
        // The next batch comes when one is out.
        let output: Output = Box::new(move |batch| {
            let own = |span: &SpanHead| batch.attr_text(span, AttrKey::ServerAddress);
            named += batch.spans.iter().filter(|span| own(span).ends_with(".example")).count();
            seen.store(named, Ordering::Relaxed);
            match left.pop() {
                Some(next) => tx.as_ref().unwrap().send(next).unwrap(),
                None => drop(tx.take()),
            }
        });
        let allocated = allocations(move || decorator.run(&rx, vec![output]));
        assert_eq!(counted.load(Ordering::Relaxed), 100 * batches);
        allocated
    };
    run(2);
    let (few, many) = (run(10), run(60));
    assert!(many.abs_diff(few + 50) <= 8, "{few} allocations for 10 batches, {many} for 60");
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
