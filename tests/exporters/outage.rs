//! A receiver that is away, hangs, resets, throttles and rejects, one after the other, while spans
//! come in as ever: what is lost is in the account, memory stays bounded, nobody else waits.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;

use obi::stages::exporter::queue::SpanQueue;
use obi::telemetry::Stage;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;

use super::http_sink::{Answer, HttpSink, Received};
use super::*;

/// Spans a second, in so many batches.
const RATE: usize = 2_000;
const BATCHES: u64 = 10;
/// Spans that wait at most, and spans of a request (the contract's defaults).
const QUEUE: u64 = 16_384;
const REQUEST: usize = 4_096;
/// Bytes that the process may grow by meanwhile; the other tests of this program run in it, too.
const GROWTH_MAX: u64 = 128 << 20;

/// The exporters under test, and how many spans they were given.
struct Feed {
    exporters: Vec<Exporter>,
    queues: Vec<Arc<SpanQueue>>,
    given: usize,
}

impl Feed {
    /// Spans as ever for so long, at the end of which nobody but the first exporter lags behind.
    fn go_on(&mut self, seconds: u64) {
        let began = instant_now();
        for batch in 0..seconds * BATCHES {
            let planned = began + Duration::from_millis(batch * 1_000 / BATCHES);
            std::thread::sleep(planned.saturating_duration_since(instant_now()));
            let number = RATE / usize::try_from(BATCHES).unwrap();
            let spans = numbered(self.given, number);
            self.queues.iter().for_each(|queue| queue.push(Arc::clone(&spans)));
            self.given += number;
            let waiting = self.sender().in_flight;
            assert!(waiting <= QUEUE + REQUEST as u64, "{waiting} spans wait");
        }
        let given = self.given as u64;
        eventually("nobody else waits", || {
            self.exporters.iter().skip(1).all(|exporter| exporter.stage().out == given)
        });
    }

    /// The account of the exporter whose receiver is in trouble.
    fn sender(&self) -> Stage {
        self.exporters[0].stage()
    }
}

fn dropped(stage: &Stage, reason: &str) -> u64 {
    stage.drops.iter().find(|(name, _)| *name == reason).map_or(0, |(_, n)| *n)
}

fn rejecting(rejected_spans: i64) -> Answer {
    let partial_success =
        Some(ExportTracePartialSuccess { rejected_spans, error_message: "old".into() });
    let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    Answer::Status("200 OK", body)
}

/// An address that nobody listens on, nor is given by the kernel to a client, who would be connected to
/// itself.
fn nobodys() -> SocketAddr {
    let first = u16::try_from(20_000 + std::process::id() % 10_000).unwrap();
    let mut addresses = (first..32_768).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses.find(|address| TcpListener::bind(address).is_ok()).unwrap()
}

/// Each trouble for a while, and after each the receiver takes spans again: the requests that met it.
fn every_trouble(feed: &mut Feed, sink: &HttpSink) -> Vec<usize> {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let mut trouble = Vec::new();
    for answer in [
        Answer::Hang(Arc::clone(&gate)),
        Answer::Reset,
        Answer::Status("429 Too Many Requests\r\nretry-after: 1", vec![]),
        rejecting(7),
    ] {
        sink.behave(answer);
        let first = sink.received().len();
        feed.go_on(3);
        trouble.push(sink.received().len() - first);
        sink.behave(Answer::ok());
        eventually("it takes up again", || feed.sender().in_flight == 0);
    }
    drop(closed);
    trouble
}

/// After a 429 nothing came for the second that it asked for.
fn assert_respected(received: &[Received]) {
    for pair in received.windows(2) {
        if pair[0].status.starts_with("429") {
            let [first, next] = [pair[0].at.unwrap(), pair[1].at.unwrap()];
            assert!(next.duration_since(first) >= Duration::from_secs(1));
        }
    }
}

/// What did not arrive is what the account names: lost, and rejected.
fn assert_accounted(account: &Stage, received: &[Received], given: u64) -> [u64; 2] {
    let taken = received.iter().filter(|request| request.status.starts_with("200"));
    let arrived: Vec<_> = taken.flat_map(|request| &request.paths).collect();
    let distinct: HashSet<_> = arrived.iter().collect();
    assert_eq!(arrived.len(), distinct.len(), "what was taken was not sent again");
    assert_eq!((account.in_, account.in_flight), (given, 0));
    let rejected = dropped(account, "rejected");
    let gone = dropped(account, "queue_full") + dropped(account, "retries_exhausted");
    assert_eq!(account.out + rejected, arrived.len() as u64, "{account:?}");
    assert_eq!(given - arrived.len() as u64, gone, "{account:?}");
    assert_eq!(account.dropped(), rejected + gone, "nothing for another reason: {account:?}");
    assert!(rejected > 0 && gone > 0, "{account:?}");
    [gone, rejected]
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test that may be longer reads how long")]
fn what_an_outage_costs_is_in_the_account_and_nobody_else_waits() {
    let seconds = std::env::var("OBI_TEST_OUTAGE").map_or(20, |text| text.parse().unwrap());
    let address = nobodys();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let endpoint = format!("http://{address}");
    let vars = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "100ms"),
        ("OTEL_EBPF_BACKOFF_INITIAL_INTERVAL", "20ms"),
        ("OTEL_EBPF_BACKOFF_MAX_INTERVAL", "200ms"),
        ("OTEL_EBPF_BACKOFF_MAX_ELAPSED_TIME", "5s"),
        ("OTEL_EBPF_TRACE_PRINTER", "json"),
        ("OTEL_EBPF_PROMETHEUS_PORT", port.as_str()),
    ];
    let exporters = spawn(&config(&vars), dev_null(), &around()).unwrap().running;
    assert_eq!(exporters.len(), 3);
    let queues = exporters.iter().map(Exporter::queue).collect();
    let mut feed = Feed { exporters, queues, given: 0 };

    feed.go_on(1);
    let before = cardinality::resident();
    feed.go_on(seconds);
    let away = feed.sender();
    assert!(away.out == 0 && away.in_flight > 0, "nobody listens: {away:?}");
    let sink = HttpSink::start_on(TcpListener::bind(address).unwrap(), vec![]);
    feed.go_on(2);
    eventually("it takes up again", || feed.sender().in_flight == 0);

    let trouble = every_trouble(&mut feed, &sink);
    let grown = cardinality::resident().saturating_sub(before);
    feed.go_on(1);
    assert!(trouble.iter().all(|&requests| requests > 0), "each was met: {trouble:?}");

    let given = feed.given as u64;
    let stages: Vec<_> =
        feed.exporters.into_iter().map(|exporter| exporter.join(in_a_while())).collect();
    stages[1..].iter().for_each(|stage| assert_account(stage, given, given, &[]));
    let received = sink.received();
    assert_respected(&received);
    assert!(received.iter().all(|request| request.paths.len() <= REQUEST), "no burst");
    let [gone, rejected] = assert_accounted(&stages[0], &received, given);
    assert!(grown < GROWTH_MAX, "memory grew by {grown} bytes");
    let report = format!(
        "{seconds} s away at {RATE} spans/s: {given} spans, {gone} lost, {rejected} rejected; requests \
         while it hung, reset, throttled, rejected: {trouble:?}; {} KiB more\n",
        grown >> 10
    );
    std::io::Write::write_all(&mut std::io::stdout(), report.as_bytes()).unwrap();
}
