//! Exporters against receivers that misbehave: every span is delivered or accounted for by name.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod cardinality;
mod grpc_sink;
mod http_sink;
mod metrics;
mod otlp;
mod outage;
mod printers;
mod tls;

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use obi::config::{Config, Environment, Purpose};
use obi::model::attrs::AttrValue;
use obi::model::batch::SpanBatch;
use obi::model::conn::ConnEnds;
use obi::model::ids::{KtimeNs, SpanId, TraceId};
use obi::model::living::Living;
use obi::model::service::Service;
use obi::model::span::{NotFor, SpanHead, SpanStatus, SpanTimes, TraceCtx};
use obi::model::time::instant_now;
use obi::semconv::{AttrKey, SpanFamily};
use obi::stages::exporter::{Exporter, Surroundings, spawn};
use obi::telemetry::{Counters, FiguresSource, Stage};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The configuration that `vars` make, for every process.
fn config(vars: &[(&str, &str)]) -> Config {
    let all = [("OTEL_EBPF_AUTO_TARGET_EXE", "*")];
    let env: Environment =
        all.iter().chain(vars).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    obi::config::load(None, &env, Purpose::Observe).expect("a valid configuration").config
}

/// The only exporter that `vars` ask for, on `stdout`.
fn start(vars: &[(&str, &str)], stdout: File) -> Exporter {
    let mut exporters = spawn(&config(vars), stdout, &around()).expect("exporters start").running;
    assert_eq!(exporters.len(), 1);
    exporters.remove(0)
}

/// Nobody takes the memory of batches.
fn around() -> Surroundings {
    Surroundings {
        spares: bounded(0).0,
        living: Living::default(),
        counters: Arc::new(Counters::default()),
        figures: FiguresSource::default(),
        host_id: String::new(),
    }
}

fn dev_null() -> File {
    File::options().write(true).open("/dev/null").unwrap()
}

/// `n` spans whose paths count up from `first`.
fn numbered(first: usize, n: usize) -> Arc<SpanBatch> {
    let service = Service { name: "s".into(), language: "generic", ..Service::default() };
    let mut batch = SpanBatch { services: vec![Arc::new(service)], ..SpanBatch::default() };
    for i in first..first + n {
        let path = batch.push_text(&i.to_string());
        let start = u32::try_from(batch.attrs.len()).unwrap();
        batch.attrs.push((AttrKey::UrlPath, AttrValue::Text(path)));
        batch.spans.push(SpanHead {
            family: SpanFamily::HttpServer,
            times: SpanTimes { request_start: KtimeNs(1), start: KtimeNs(1), end: KtimeNs(2) },
            ctx: TraceCtx {
                trace_id: TraceId([1; 16]),
                span_id: SpanId([2; 8]),
                ..TraceCtx::default()
            },
            ends: ConnEnds::default(),
            service: 0,
            status: SpanStatus::Unset,
            not_for: NotFor::default(),
            attrs: start..start + 1,
            added: 0..0,
        });
    }
    Arc::new(batch)
}

/// The paths of `numbered(first, n)`.
fn paths(first: usize, n: usize) -> Vec<String> {
    (first..first + n).map(|i| i.to_string()).collect()
}

fn in_a_while() -> Instant {
    instant_now() + PATIENCE
}

#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = in_a_while();
    while !condition() {
        assert!(instant_now() < deadline, "{what} did not happen in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[track_caller]
fn assert_account(stage: &Stage, in_: u64, out: u64, drops: &[(&str, u64)]) {
    let dropped: Vec<_> = stage.drops.iter().copied().filter(|(_, n)| *n > 0).collect();
    assert_eq!((stage.in_, stage.out, dropped.as_slice(), stage.in_flight), (in_, out, drops, 0));
    assert!(stage.balanced());
}
