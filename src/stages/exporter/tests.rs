use std::sync::Arc;

use jiff::tz::TimeZone;

use super::queue::{DropReason, Limits, Signal, SpanQueue, Want};
use super::*;
use crate::model::attrs::AttrValue;
use crate::model::batch::SpanBatch;
use crate::model::conn::{ConnEnds, Endpoint};
use crate::model::ids::{KtimeNs, SpanId, TraceId};
use crate::model::service::Service;
use crate::model::span::{NotFor, SpanHead, SpanStatus, SpanTimes, TraceCtx, Unwanted};
use crate::model::time::ClockOffset;
use crate::semconv::{AttrKey, SpanFamily};
use std::time::Duration;

/// What a test sets as an attribute.
#[derive(Clone, Copy)]
pub(super) enum Set<'a> {
    Int(i64),
    Text(&'a str),
    Static(&'static str),
    Bool(bool),
}

/// Adds `span` with `attrs` to `batch`.
pub(super) fn add(batch: &mut SpanBatch, span: SpanHead, attrs: &[(AttrKey, Set<'_>)]) {
    let start = u32::try_from(batch.attrs.len()).unwrap();
    for (key, value) in attrs {
        let value = match value {
            Set::Int(n) => AttrValue::I64(*n),
            Set::Bool(b) => AttrValue::Bool(*b),
            Set::Static(s) => AttrValue::Static(s),
            Set::Text(s) => AttrValue::Text(batch.push_text(s)),
        };
        batch.attrs.push((*key, value));
    }
    let attrs = start..u32::try_from(batch.attrs.len()).unwrap();
    batch.spans.push(SpanHead { attrs, ..span });
}

/// 2026-07-03 14:05:09 UTC.
const SECOND: u64 = 1_783_087_509;

/// The span of the contract's examples.
pub(super) fn basket(family: SpanFamily) -> SpanHead {
    let v4 = |a, b, c, d| std::net::Ipv4Addr::new(a, b, c, d).to_ipv6_mapped();
    SpanHead {
        family,
        times: SpanTimes {
            request_start: KtimeNs(500_120_000),
            start: KtimeNs(500_720_000),
            end: KtimeNs(512_620_000),
        },
        ctx: TraceCtx {
            trace_id: TraceId(0x0af1_c2d3_e4f5_0617_2839_4a5b_6c7d_8e9f_u128.to_be_bytes()),
            span_id: SpanId(0x1122_3344_5566_7788_u64.to_be_bytes()),
            parent_id: SpanId(0x99aa_bbcc_ddee_ff00_u64.to_be_bytes()),
            flags: 1,
            remote: false,
        },
        ends: ConnEnds {
            client: Endpoint { addr: v4(10, 9, 0, 4), port: 51234 },
            server: Endpoint { addr: v4(10, 9, 0, 7), port: 8080 },
        },
        service: 0,
        status: SpanStatus::Unset,
        not_for: NotFor::default(),
        attrs: 0..0,
        added: 0..0,
    }
}

const BASKET: [(AttrKey, Set<'static>); 9] = [
    (AttrKey::HttpRequestMethod, Set::Static("GET")),
    (AttrKey::UrlPath, Set::Text("/basket/17")),
    (AttrKey::HttpRoute, Set::Text("/basket/*")),
    (AttrKey::HttpResponseStatusCode, Set::Int(200)),
    (AttrKey::HttpRequestBodySize, Set::Int(64)),
    (AttrKey::HttpResponseBodySize, Set::Int(310)),
    (AttrKey::ServerAddress, Set::Text("basket")),
    (AttrKey::ClientAddress, Set::Text("web.shop")),
    (AttrKey::ServerPort, Set::Int(8080)),
];

/// An empty batch of the contract's service.
pub(super) fn shop() -> SpanBatch {
    let service = Service {
        name: "basket".into(),
        namespace: "shop".into(),
        language: "go",
        ..Service::default()
    };
    SpanBatch {
        services: vec![Arc::new(service)],
        clock: ClockOffset(i64::try_from(SECOND * 1_000_000_000 - 500_000_000).unwrap()),
        ..SpanBatch::default()
    }
}

fn text_of(batch: &SpanBatch) -> String {
    let mut out = Vec::new();
    for span in &batch.spans {
        text::line(&mut out, batch, span, &TimeZone::UTC).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn json_of(batch: &SpanBatch, indent: bool) -> String {
    let mut out = Vec::new();
    json::array(&mut out, batch, &batch.spans, indent).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_text_line_is_the_contract_s_example() {
    let mut batch = shop();
    add(&mut batch, basket(SpanFamily::HttpServer), &BASKET);
    assert_eq!(
        text_of(&batch),
        "2026-07-03 14:05:09.73259 (12.5ms[11.9ms]) HTTP(subType=0) 200 GET /basket/17(/basket/*) \
         [10.9.0.4 as web.shop:51234]->[10.9.0.7 as basket.shop:8080] contentLen:64B \
         responseLen:310B svc=[shop/basket go] traceparent=[00-0af1c2d3e4f5061728394a5b6c7d8e9f-\
         1122334455667788[99aabbccddeeff00]-01]\n"
    );
}

#[test]
fn the_text_line_of_a_bare_client_span_shows_zeroes_and_its_own_namespace_at_the_peer() {
    let mut batch = shop();
    let mut span = basket(SpanFamily::HttpClient);
    span.ctx.parent_id = SpanId::NONE;
    span.ctx.flags = 0;
    span.times.start = span.times.request_start;
    add(&mut batch, span, &[(AttrKey::ClientAddress, Set::Text("basket"))]);
    let mut none = basket(SpanFamily::HttpServer);
    none.ctx = TraceCtx::default();
    none.ends = ConnEnds::default();
    none.service = 9;
    add(&mut batch, none, &[]);
    assert_eq!(
        text_of(&batch),
        "2026-07-03 14:05:09.73259 (12.5ms[12.5ms]) HTTPClient(subType=0) 0   [10.9.0.4 as \
         basket.shop:51234]->[10.9.0.7 as :8080] contentLen:0B responseLen:0B svc=[shop/basket go] \
         traceparent=[00-0af1c2d3e4f5061728394a5b6c7d8e9f-1122334455667788[0000000000000000]-00]\n\
         2026-07-03 14:05:09.73259 (12.5ms[11.9ms]) HTTP(subType=0) 0   [ as :0]->[ as :0] \
         contentLen:0B responseLen:0B svc=[] traceparent=[]\n"
    );
}

#[test]
fn the_text_line_shows_the_other_side_s_namespace_where_it_is_known() {
    let mut batch = shop();
    let namespace = (AttrKey::PeerNamespace, Set::Text("bank"));
    let client = (AttrKey::ClientAddress, Set::Text("web"));
    add(&mut batch, basket(SpanFamily::HttpServer), &[client, namespace]);
    let cluster = (AttrKey::ServerAddress, Set::Text("pay.bank.svc.cluster.local"));
    let full = (AttrKey::ServicePeerName, Set::Text("pay.bank"));
    let short = (AttrKey::PeerName, Set::Text("pay"));
    add(&mut batch, basket(SpanFamily::HttpClient), &[cluster, full, short, namespace]);
    add(&mut batch, basket(SpanFamily::HttpClient), &[cluster, full]);
    let text = text_of(&batch);
    let hosts = text.lines().map(|line| line.split(['[', ']']).nth(5).unwrap());
    let expected =
        ["10.9.0.7 as .shop:8080", "10.9.0.7 as pay.bank:8080", "10.9.0.7 as pay.bank:8080"];
    assert_eq!(hosts.collect::<Vec<_>>(), expected);
    assert!(text.lines().next().unwrap().contains("[10.9.0.4 as web.bank:51234]"), "{text}");
    let json = json_of(&batch, false);
    assert_eq!(json.matches("\"hostName\":\"pay\"").count(), 1, "{json}");
    assert_eq!(json.matches("\"hostName\":\"pay.bank\"").count(), 1, "{json}");
}

#[test]
fn a_process_whose_name_has_line_ends_writes_no_lines_of_its_own() {
    let mut batch = shop();
    let name = "svc\n2026\u{1b}[31m".to_owned();
    let service = Service { name, namespace: "a\r\nb".to_owned(), ..Service::default() };
    batch.services = vec![Arc::new(service)];
    add(&mut batch, basket(SpanFamily::HttpServer), &[(AttrKey::ServerAddress, Set::Text("x\n"))]);
    let line = text_of(&batch);
    assert_eq!(line.matches(char::is_control).count(), 1, "{line:?}");
    assert!(line.contains("svc=[a%0D%0Ab/svc%0A2026%1B[31m ]"), "{line}");
    assert!(line.contains(" as x%0A.a%0D%0Ab:8080]"), "{line}");
}

#[test]
fn the_odd_suffix_counts_hours_to_twelve() {
    for (hours, suffix) in [(-14, "731255"), (-13, "73155"), (-2, "731255"), (9, "731155")] {
        let mut batch = shop();
        batch.clock.0 += (hours * 3600 - 4) * 1_000_000_000;
        add(&mut batch, basket(SpanFamily::HttpServer), &[]);
        let line = text_of(&batch);
        let shown = line.split_once(" (").unwrap().0.split_once('.').unwrap().1.to_owned();
        assert_eq!(shown, suffix, "{line}");
    }
}

const BASKET_JSON: &str = concat!(
    r#"[{"type":"HTTP","peer":"10.9.0.4","peerPort":"51234","host":"10.9.0.7","hostPort":"8080","#,
    r#""traceID":"0af1c2d3e4f5061728394a5b6c7d8e9f","spanID":"1122334455667788","#,
    r#""parentSpanID":"99aabbccddeeff00","traceFlags":"1","peerName":"web.shop","#,
    r#""hostName":"basket","kind":"SPAN_KIND_SERVER","start":"1783087509000120","#,
    r#""handlerStart":"1783087509000720","end":"1783087509012620","duration":"12.5ms","#,
    r#""durationUSec":"12500","handlerDuration":"11.9ms","handlerDurationUSec":"11900","#,
    r#""attributes":{"clientAddr":"web.shop","contentLen":"64","method":"GET","#,
    r#""responseLen":"310","route":"/basket/*","serverAddr":"basket","serverPort":"8080","#,
    r#""status":"200","url":"/basket/17"}}]"#,
    "\n"
);

#[test]
fn json_has_the_contract_s_keys_in_order_and_every_number_as_text() {
    let mut batch = shop();
    add(&mut batch, basket(SpanFamily::HttpServer), &BASKET);
    assert_eq!(json_of(&batch, false), BASKET_JSON);
}

#[test]
fn json_is_one_array_a_batch_and_absent_values_are_empty_or_zero() {
    let mut batch = shop();
    let mut span = basket(SpanFamily::HttpClient);
    span.ctx.parent_id = SpanId::NONE;
    add(&mut batch, span.clone(), &[]);
    add(&mut batch, span, &[]);
    let json = json_of(&batch, false);
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    let spans = read.as_array().unwrap();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[1]["parentSpanID"], "0000000000000000");
    assert_eq!(spans[1]["kind"], "SPAN_KIND_CLIENT");
    assert_eq!(
        spans[1]["attributes"],
        serde_json::json!({
            "clientAddr": "", "method": "", "serverAddr": "", "serverPort": "0", "status": "0",
            "url": ""
        })
    );
}

#[test]
fn json_escapes_as_go_does_and_stays_what_it_was() {
    let path = "/<a>&\"\\\u{2028}\u{2029}\n\u{8}\u{c}\u{1}\u{7f}ü\u{2027}\u{202a}€";
    let mut batch = shop();
    add(&mut batch, basket(SpanFamily::HttpServer), &[(AttrKey::UrlPath, Set::Text(path))]);
    let json = json_of(&batch, false);
    let escaped =
        "/\\u003ca\\u003e\\u0026\\\"\\\\\\u2028\\u2029\\n\\b\\f\\u0001\u{7f}ü\u{2027}\u{202a}€";
    assert!(json.contains(&format!("\"url\":\"{escaped}\"")), "{json}");
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read[0]["attributes"]["url"], path);
}

#[test]
fn indented_json_is_the_same_document_indented_by_one_blank() {
    let mut batch = shop();
    add(&mut batch, basket(SpanFamily::HttpServer), &BASKET);
    let json = json_of(&batch, true);
    assert!(
        json.starts_with("[\n {\n  \"type\": \"HTTP\",\n  \"peer\": \"10.9.0.4\",\n"),
        "{json}"
    );
    assert!(json.ends_with("   \"url\": \"/basket/17\"\n  }\n }\n]\n"), "{json}");
    let both: [serde_json::Value; 2] =
        [&json, BASKET_JSON].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(both[0], both[1]);
}

/// `n` spans whose paths count up from `first`.
pub(super) fn numbered(first: usize, n: usize) -> Arc<SpanBatch> {
    let mut batch = shop();
    for i in first..first + n {
        let path = i.to_string();
        add(&mut batch, basket(SpanFamily::HttpServer), &[(AttrKey::UrlPath, Set::Text(&path))]);
    }
    Arc::new(batch)
}

fn take(queue: &SpanQueue, spans: usize) -> Vec<String> {
    let mut slices = Vec::new();
    queue.take(Want { spans, linger: Duration::ZERO }, &mut slices);
    let path = |slice: &queue::Slice| -> Vec<String> {
        let spans = slice.spans().iter();
        spans.map(|span| slice.batch.attr_text(span, AttrKey::UrlPath).to_owned()).collect()
    };
    slices.iter().flat_map(path).collect()
}

fn queue(spans: usize) -> SpanQueue {
    SpanQueue::new(Signal::Traces, Limits { spans, bytes: usize::MAX }, bounded(0).0)
}

#[track_caller]
fn assert_account(stage: &Stage, in_: u64, out: u64, drops: &[(&str, u64)], in_flight: u64) {
    let dropped: Vec<_> = stage.drops.iter().copied().filter(|(_, n)| *n > 0).collect();
    assert_eq!(
        (stage.in_, stage.out, dropped.as_slice(), stage.in_flight),
        (in_, out, drops, in_flight)
    );
    assert!(stage.balanced());
}

#[test]
fn a_full_queue_drops_exactly_the_oldest_spans() {
    let queue = queue(5);
    queue.push(numbered(0, 3));
    queue.push(numbered(3, 3));
    assert_account(&queue.stage("q"), 6, 0, &[("queue_full", 1)], 5);
    queue.push(numbered(6, 4));
    assert_account(&queue.stage("q"), 10, 0, &[("queue_full", 5)], 5);
    assert_eq!(take(&queue, 5), ["5", "6", "7", "8", "9"]);
    queue.push(numbered(10, 7));
    assert_eq!(take(&queue, 9), ["12", "13", "14", "15", "16"], "one batch beyond the bound");
    queue.settle(10, &[]);
    assert_account(&queue.stage("q"), 17, 10, &[("queue_full", 7)], 0);
}

#[test]
fn spans_are_taken_in_order_up_to_the_number_wanted() {
    let queue = queue(100);
    queue.push(numbered(0, 3));
    queue.push(numbered(3, 3));
    assert_eq!(take(&queue, 2), ["0", "1"]);
    assert_eq!(take(&queue, 3), ["2", "3", "4"]);
    assert_account(&queue.stage("q"), 6, 0, &[], 6);
    queue.settle(3, &[(DropReason::Refused, 2)]);
    assert_account(&queue.stage("q"), 6, 3, &[("refused", 2)], 1);
}

#[test]
fn a_queue_is_bounded_in_bytes_too() {
    let batch = numbered(0, 10);
    let queue =
        SpanQueue::new(Signal::Traces, Limits { spans: 1000, bytes: 2 * 64 * 1024 }, bounded(0).0);
    let big = |first| {
        let mut big = SpanBatch::clone(&numbered(first, 1));
        big.text.reserve_exact(64 * 1024 - 4096);
        Arc::new(big)
    };
    for first in 0..3 {
        queue.push(big(first));
    }
    assert_account(&queue.stage("q"), 3, 0, &[("queue_bytes", 1)], 2);
    let tiny = SpanQueue::new(Signal::Traces, Limits { spans: 1000, bytes: 1 }, bounded(0).0);
    tiny.push(batch);
    assert_account(&tiny.stage("q"), 10, 0, &[("queue_bytes", 10)], 0);
}

#[test]
fn a_queue_takes_the_spans_of_its_signal_and_names_why_it_leaves_out_the_others() {
    use Unwanted::{IgnoredPath, OwnExporter};
    let (path, own) = (Some(IgnoredPath), Some(OwnExporter));
    let mut batch = SpanBatch::clone(&numbered(0, 8));
    let not_for = [(path, path), (None, path), (own, None), (None, None), (path, None)];
    for (span, (traces, metrics)) in batch.spans.iter_mut().zip(not_for) {
        span.not_for = NotFor { traces, metrics };
    }
    batch.arrange();
    let batch = Arc::new(batch);
    let limits = Limits { spans: 100, bytes: usize::MAX };
    let taken = |signal| {
        let queue = SpanQueue::new(signal, limits, bounded(0).0);
        queue.push(Arc::clone(&batch));
        let mut taken = take(&queue, 100);
        taken.sort();
        queue.settle(taken.len() as u64, &[]);
        (taken, queue.stage("q"))
    };
    let (traces, account) = taken(Signal::Traces);
    assert_eq!(traces, ["1", "3", "5", "6", "7"]);
    assert_account(&account, 8, 5, &[("exported_by_the_service", 1), ("ignored_path", 2)], 0);
    let (metrics, account) = taken(Signal::Metrics);
    assert_eq!(metrics, ["2", "3", "4", "5", "6", "7"]);
    assert_account(&account, 8, 6, &[("ignored_path", 2)], 0);
}

#[test]
fn after_the_stop_has_begun_what_is_queued_comes_out_and_nothing_goes_in() {
    let queue = queue(100);
    queue.push(numbered(0, 3));
    queue.close(instant_now());
    queue.push(numbered(3, 2));
    assert_eq!(take(&queue, 100), ["0", "1", "2"]);
    queue.settle(3, &[]);
    let mut none = Vec::new();
    assert!(!queue.take(Want { spans: 1, linger: Duration::MAX }, &mut none));
    assert!(queue.take_batch().is_none());
    assert!(queue.pause(instant_now() + Duration::from_secs(3600)));
    assert_account(&queue.stage("q"), 5, 3, &[("shutdown", 2)], 0);
}

#[test]
fn ending_counts_what_is_queued_and_held_once() {
    let queue = queue(100);
    queue.push(numbered(0, 4));
    assert_eq!(take(&queue, 1), ["0"]);
    queue.end(DropReason::OutputFailed);
    queue.settle(1, &[]);
    queue.end(DropReason::Shutdown);
    queue.push(numbered(4, 2));
    assert_account(&queue.stage("q"), 6, 0, &[("output_failed", 6)], 0);
}
