//! What one core can do: records to spans, to OTLP bytes, and to the series of metrics.
//!
//! Before the timings, the allocations of each path are counted: a warm decoder allocates
//! nothing, the whole pipeline by the batch.

#[path = "../support/allocations.rs"]
mod counting;
#[path = "../support/wire.rs"]
mod wire;

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;

use counting::allocations;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use obi::config::Purpose;
use obi::model::batch::SpanBatch;
use obi::model::conn::Direction;
use obi::model::living::Living;
use obi::stages::decoder::Decoder;
use obi::stages::decorator::Decorator;
use obi::stages::exporter::aggregate::Aggregator;
use obi::stages::exporter::otlp::encode::Encoder;
use obi::stages::exporter::queue::Slice;
use obi::telemetry::Counters;
use wire::{TGID, Wire, data, fact};

const REQUEST: &[u8] = b"GET /api/items/42?full=1 HTTP/1.1\r\nHost: shop.example\r\n\
    User-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: text/plain\r\n\
    Content-Length: 12\r\nConnection: keep-alive\r\n\r\nhello, world";
/// About what the reader hands on in one batch under load (1 MiB of records).
const EXCHANGES: u64 = 2_000;
/// Connections over which they are spread.
const CONNECTIONS: [u64; 2] = [100, 1000];

/// Keep-alive exchanges on many connections, one record a message. Every batch goes on where
/// the one before ended.
struct Traffic {
    wire: Wire,
    connections: u64,
    turns: u64,
}

impl Traffic {
    /// The connections open in the first batch.
    fn new(connections: u64) -> Self {
        let mut wire = Wire::default();
        (0..connections).for_each(|conn| wire.open(conn));
        Self { wire, connections, turns: 0 }
    }

    fn next_batch(&mut self) {
        for n in 0..EXCHANGES {
            let (conn, turn) = (n % self.connections, self.turns + n / self.connections);
            let mut pos = [RESPONSE, REQUEST].map(|message| turn * message.len() as u64);
            let ktime = self.wire.tick();
            self.wire.push(&data(ktime, conn, Direction::Recv, pos, REQUEST));
            pos[Direction::Recv.index()] += REQUEST.len() as u64;
            let ktime = self.wire.tick();
            self.wire.push(&data(ktime, conn, Direction::Send, pos, RESPONSE));
        }
        self.turns += EXCHANGES / self.connections;
    }

    fn clear(&mut self) {
        self.wire.batch.clear(usize::MAX);
    }
}

/// The stages of one agent that exports to one endpoint, without their threads.
struct Pipeline {
    decoder: Decoder,
    decorator: Decorator,
    encoder: Encoder,
    body: Vec<u8>,
    aggregator: Aggregator,
    living: Living,
    counters: Counters,
}

impl Pipeline {
    fn new() -> Self {
        let counters = Arc::new(Counters::default());
        let mut decoder = Decoder::new(1, Arc::clone(&counters));
        decoder.fact(fact(TGID, "svc"));
        let env = [("OTEL_EBPF_AUTO_TARGET_EXE", "*"), ("OTEL_EBPF_PROMETHEUS_PORT", "1")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = obi::config::load(None, &env.into_iter().collect(), Purpose::Observe);
        let Ok(obi::config::Loaded { config, .. }) = config else {
            panic!("a valid configuration")
        };
        Self {
            decoder,
            decorator: Decorator::new(counters).with_routes(config.routes),
            encoder: Encoder::default(),
            body: Vec::new(),
            aggregator: Aggregator::new(&config.metrics),
            living: Living::default(),
            counters: Counters::default(),
        }
    }

    fn spans(&mut self, traffic: &Traffic, out: &mut SpanBatch) {
        out.clear();
        self.decoder.decode(&traffic.wire.batch, out);
        assert_eq!(out.spans.len() as u64, EXCHANGES);
    }

    fn otlp(&mut self, traffic: &Traffic) {
        let mut out = SpanBatch::default();
        self.spans(traffic, &mut out);
        let batch = self.decorator.complete(out);
        let range = 0..batch.spans.len();
        self.encoder.encode(&[Slice { batch, range }], &mut self.body);
        black_box(&self.body);
    }

    fn series(&mut self, traffic: &Traffic) {
        let mut out = SpanBatch::default();
        self.spans(traffic, &mut out);
        let batch = self.decorator.complete(out);
        let range = 0..batch.spans.len();
        self.aggregator.record(&[Slice { batch, range }], &self.living, &self.counters);
    }
}

/// Allocations an exchange of `work`, warm.
fn per_exchange(connections: u64, mut work: impl FnMut(&mut Pipeline, &Traffic)) -> f64 {
    let (mut traffic, mut pipeline) = (Traffic::new(connections), Pipeline::new());
    let (mut counted, mut batches) = (0, 0);
    for turn in 0..20 {
        traffic.next_batch();
        let of_batch = allocations(|| work(&mut pipeline, &traffic));
        if turn >= 10 {
            counted += of_batch;
            batches += 1;
        }
        traffic.clear();
    }
    counted as f64 / (batches * EXCHANGES) as f64
}

fn print_allocations(path: &str, connections: u64, allocations: f64) {
    let line = format!("{path}/{connections}: {allocations:.4} allocations per exchange\n");
    // A benchmark whose output is gone has nobody to tell.
    std::io::stdout().write_all(line.as_bytes()).unwrap_or_default();
}

fn bench(c: &mut Criterion, path: &str, mut work: impl FnMut(&mut Pipeline, &Traffic)) {
    for connections in CONNECTIONS {
        print_allocations(path, connections, per_exchange(connections, &mut work));
        let mut group = c.benchmark_group(path);
        group.throughput(Throughput::Elements(EXCHANGES));
        let (mut traffic, mut pipeline) = (Traffic::new(connections), Pipeline::new());
        traffic.next_batch();
        work(&mut pipeline, &traffic);
        let id = BenchmarkId::from_parameter(connections);
        let traffic = std::cell::RefCell::new(traffic);
        group.bench_function(id, |b| {
            b.iter_batched(
                || {
                    let mut traffic = traffic.borrow_mut();
                    traffic.clear();
                    traffic.next_batch();
                },
                |()| work(&mut pipeline, &traffic.borrow()),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

fn records_to_spans(c: &mut Criterion) {
    let mut out = SpanBatch::default();
    bench(c, "records to spans", |pipeline, traffic| pipeline.spans(traffic, &mut out));
}

fn records_to_otlp(c: &mut Criterion) {
    bench(c, "records to OTLP", Pipeline::otlp);
}

fn records_to_series(c: &mut Criterion) {
    bench(c, "records to series", Pipeline::series);
}

criterion_group!(benches, records_to_spans, records_to_otlp, records_to_series);
criterion_main!(benches);
