//! As many paths as there are requests: memory and series stay bounded, and every value counts.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use obi::stages::decorator::Decorator;

use super::*;

/// Spans of one batch.
const BATCH: usize = 1000;
/// Bytes that the agent may grow by meanwhile: series of one service, batches on their way.
const GROWTH_MAX: u64 = 48 << 20;

/// Paths.
const PATHS: usize = 1_000_000;

/// Words that one can say, each another: no guess tells that they vary.
fn word(mut n: usize) -> String {
    let mut word = String::new();
    for _ in 0..4 {
        word.push(char::from(b"bdfgklmnprst"[n % 12]));
        word.push(char::from(b"aeiou"[n / 12 % 5]));
        n /= 60;
    }
    word
}

/// A batch of spans whose paths `path` makes of their numbers.
fn batch(first: usize, path: impl Fn(usize) -> String) -> SpanBatch {
    let mut batch = (*numbered(first, BATCH)).clone();
    batch.text.clear();
    for (n, (_, value)) in (first..).zip(&mut batch.attrs) {
        let text = path(n);
        let at = u32::try_from(batch.text.len()).unwrap();
        batch.text.extend_from_slice(text.as_bytes());
        let len = u32::try_from(text.len()).unwrap();
        *value = AttrValue::Text(obi::model::attrs::TextRef { at, len });
    }
    batch
}

/// Samples of the number of durations: its labels and value.
fn counts(port: u16) -> Vec<(String, u64)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let sample = |line: &str| {
        let rest = line.strip_prefix("http_server_request_duration_seconds_count{")?;
        let (labels, value) = rest.rsplit_once("} ")?;
        Some((labels.to_owned(), value.trim().parse().unwrap()))
    };
    text.lines().filter_map(sample).collect()
}

/// Resident memory in bytes.
pub(super) fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// What comes of so many paths by one of the ways to make routes: series that are no overflow, values in
/// the overflow, and bytes that memory grew by.
fn measure(unmatched: &str, path: impl Fn(usize) -> String) -> (usize, u64, u64) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("obi.yml");
    let yaml = format!(
        "open_port: 1-65535\nprometheus_export: {{port: {port}}}\nroutes: {{unmatched: {unmatched}}}\n"
    );
    std::fs::write(&file, yaml).unwrap();
    let loaded = obi::config::load(Some(&file), &Environment::default(), Purpose::Observe);
    let config = loaded.unwrap().config;
    let around = around();
    let mut exporters = spawn(&config, dev_null(), &around).unwrap();
    let queue = exporters.running[0].queue();
    let mut decorator =
        Decorator::new(Arc::clone(&around.counters)).with_routes(config.routes.clone());
    let mut before = resident();
    for n in 0..PATHS / BATCH {
        queue.push_when_room(decorator.complete(batch(n * BATCH, &path)));
        if n == 10 {
            // Buffers have their sizes.
            before = resident();
        }
    }
    let spans = PATHS as u64;
    eventually("all are recorded", || queue.stage("metrics").out == spans);
    let grown = resident().saturating_sub(before);
    let counts = counts(port);
    let is_overflow = |labels: &str| labels.contains("otel_metric_overflow=\"true\"");
    let total: u64 = counts.iter().map(|(_, n)| n).sum();
    assert_eq!(total, spans, "every value is in a series");
    let overflow = counts.iter().filter(|(labels, _)| is_overflow(labels));
    let beyond: u64 = overflow.clone().map(|(_, n)| n).sum();
    assert_eq!(around.counters.get(obi::telemetry::Counter::MetricsOverflowed), beyond);
    let series = counts.len() - overflow.count();
    let exporter = exporters.running.remove(0);
    assert_account(&exporter.join(in_a_while()), spans, spans, &[]);
    assert!(grown < GROWTH_MAX, "{unmatched}: memory grew by {grown} bytes");
    (series, beyond, grown)
}

#[test]
fn distinct_paths_without_end_take_bounded_memory_and_few_routes() {
    let id = |n: usize| format!("/shop/items/{n}/reviews/{:x}", n.wrapping_mul(2_654_435_761));
    let named = |n: usize| format!("/shop/{}/{}", word(n), word(n / 7 + 1_000_000));
    let (series, beyond, grown) = measure("path", id);
    assert_eq!((series, beyond), (2000, PATHS as u64 - 2000), "the rest is in the overflow");
    let (routes, none, of_ids) = measure("heuristic", id);
    assert!(routes < 100 && none == 0, "{routes} routes, {none} beyond");
    let (learnt, none, of_words) = measure("low-cardinality", named);
    assert!(learnt < 100 && none == 0, "{learnt} routes, {none} beyond");
    let report = format!(
        "{PATHS} paths: as they are 2000 series and the overflow, {} KiB more; guessed {routes} \
         route, {} KiB; learnt {learnt}, {} KiB\n",
        grown >> 10,
        of_ids >> 10,
        of_words >> 10
    );
    std::io::stdout().write_all(report.as_bytes()).unwrap();
}
