//! OTLP over HTTP and gRPC.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use obi::model::time::instant_now;
use obi::stages::exporter::{Exporter, spawn};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;

use super::grpc_sink::GrpcSink;
use super::http_sink::{Answer, HttpSink};
use super::{
    around, assert_account, config, dev_null, eventually, in_a_while, numbered, paths, start,
};

/// Sends at once and tries again soon, for a long time.
const QUICK: [(&str, &str); 3] = [
    ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "1ms"),
    ("OTEL_EBPF_BACKOFF_INITIAL_INTERVAL", "1ms"),
    ("OTEL_EBPF_BACKOFF_MAX_INTERVAL", "2ms"),
];

fn otlp(endpoint: &str, vars: &[(&str, &str)]) -> Exporter {
    let endpoint = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)];
    start(&[&QUICK[..], &endpoint, vars].concat(), dev_null())
}

/// Sends 3 spans to a sink that answers with `answers`.
fn send_three(answers: Vec<Answer>, vars: &[(&str, &str)]) -> (HttpSink, Exporter) {
    let sink = HttpSink::start(answers);
    let exporter = otlp(&sink.endpoint, vars);
    exporter.queue().push(numbered(0, 3));
    eventually("the account is settled", || exporter.stage().in_flight == 0);
    (sink, exporter)
}

#[test]
fn spans_arrive_once_with_the_headers_and_the_path_of_the_contract() {
    let vars = [("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a b")];
    let (sink, exporter) = send_three(vec![], &vars);
    assert_account(&exporter.join(in_a_while()), 3, 3, &[]);
    let received = sink.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].line, "POST /v1/traces HTTP/1.1");
    assert_eq!((received[0].paths.clone(), received[0].resources), (paths(0, 3), 1));
    for header in ["content-type: application/x-protobuf", "x-key: a b"] {
        assert!(received[0].headers.iter().any(|h| h == header), "{:?}", received[0].headers);
    }
}

#[test]
fn what_may_pass_is_tried_again_until_it_does() {
    for trouble in [
        Answer::Status("503 Service Unavailable", vec![]),
        Answer::Status("502 Bad Gateway", vec![]),
        Answer::Status("504 Gateway Timeout", vec![]),
        Answer::Status("429 Too Many Requests\r\nretry-after: 0", vec![]),
        Answer::Close,
    ] {
        let (sink, exporter) = send_three(vec![trouble.clone(), trouble.clone()], &[]);
        assert_account(&exporter.join(in_a_while()), 3, 3, &[]);
        let received = sink.received();
        assert_eq!(received.len(), 3, "{trouble:?}");
        assert!(received.iter().all(|request| request.paths == paths(0, 3)));
    }
}

#[test]
fn what_is_refused_for_good_is_dropped_and_counted() {
    for status in ["400 Bad Request", "401 Unauthorized", "500 Internal Server Error", "302 Found"]
    {
        let (sink, exporter) = send_three(vec![Answer::Status(status, vec![])], &[]);
        assert_account(&exporter.join(in_a_while()), 3, 0, &[("refused", 3)]);
        assert_eq!(sink.received().len(), 1, "{status}");
    }
}

#[test]
fn spans_that_the_receiver_rejects_are_counted() {
    let partial_success =
        Some(ExportTracePartialSuccess { rejected_spans: 2, error_message: "old".into() });
    let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let (_sink, exporter) = send_three(vec![Answer::Status("200 OK", body)], &[]);
    assert_account(&exporter.join(in_a_while()), 3, 1, &[("rejected", 2)]);
    let body = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"}}"#.to_vec();
    let answer = Answer::Status("200 OK\r\ncontent-type: application/json", body);
    let json = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")];
    let (_sink, exporter) = send_three(vec![answer], &json);
    assert_account(&exporter.join(in_a_while()), 3, 1, &[("rejected", 2)]);
}

/// An address nobody listens on.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn an_endpoint_that_stays_away_costs_the_spans_when_their_time_is_over() {
    for protocol in ["http/protobuf", "grpc"] {
        let vars = [
            ("OTEL_EBPF_BACKOFF_MAX_ELAPSED_TIME", "20ms"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ];
        let exporter = otlp(&nobody(), &vars);
        exporter.queue().push(numbered(0, 3));
        eventually("the spans are given up", || exporter.stage().in_flight == 0);
        assert_account(&exporter.join(in_a_while()), 3, 0, &[("retries_exhausted", 3)]);
    }
}

#[test]
fn the_stop_does_not_wait_for_an_endpoint_that_is_away() {
    let vars =
        [("OTEL_EBPF_BACKOFF_INITIAL_INTERVAL", "1h"), ("OTEL_EBPF_BACKOFF_MAX_INTERVAL", "1h")];
    let endpoint = nobody();
    let vars =
        [&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str())], &vars[..], &QUICK[..1]]
            .concat();
    let exporter = start(&vars, dev_null());
    exporter.queue().push(numbered(0, 3));
    assert_account(&exporter.join(in_a_while()), 3, 0, &[("shutdown", 3)]);
}

#[test]
fn a_hanging_endpoint_is_left_behind_at_the_deadline() {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let sink = HttpSink::start(vec![Answer::Hang(Arc::clone(&gate))]);
    let exporter = otlp(&sink.endpoint, &[]);
    exporter.queue().push(numbered(0, 3));
    eventually("the request arrives", || sink.received().len() == 1);
    exporter.queue().push(numbered(3, 4));
    let stage = exporter.join(instant_now() + Duration::from_millis(50));
    assert_account(&stage, 7, 0, &[("shutdown", 7)]);
    drop(closed);
}

#[test]
fn while_a_request_hangs_the_queue_keeps_the_newest_and_sends_them_after() {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let sink = HttpSink::start(vec![Answer::Hang(Arc::clone(&gate))]);
    let vars = [
        ("OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE", "10"),
        ("OTEL_EBPF_OTLP_TRACES_QUEUE_SIZE", "20"),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "1h"),
    ];
    let endpoint = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", sink.endpoint.as_str())];
    let exporter = start(&[&endpoint[..], &vars].concat(), dev_null());
    exporter.queue().push(numbered(0, 10));
    eventually("the request arrives", || sink.received().len() == 1);
    for first in (10..43).step_by(11) {
        exporter.queue().push(numbered(first, 11));
    }
    assert_eq!(exporter.stage().in_flight, 10 + 20);
    drop(closed);
    eventually("all is sent", || exporter.stage().in_flight == 0);
    assert_account(&exporter.join(in_a_while()), 43, 30, &[("queue_full", 13)]);
    assert_eq!(sink.paths(), [paths(0, 10), paths(23, 20)].concat());
    let sizes: Vec<_> = sink.received().iter().map(|request| request.paths.len()).collect();
    assert_eq!(sizes, [10, 10, 10]);
}

#[test]
fn spans_wait_for_a_full_request_and_the_stop_sends_the_rest() {
    let sink = HttpSink::start(vec![]);
    let vars = [
        ("OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE", "10"),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "1h"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", sink.endpoint.as_str()),
    ];
    let exporter = start(&vars, dev_null());
    exporter.queue().push(numbered(0, 4));
    exporter.queue().push(numbered(4, 4));
    exporter.queue().push(numbered(8, 4));
    eventually("a full request is sent", || exporter.stage().out == 10);
    assert_eq!(exporter.stage().in_flight, 2);
    assert_account(&exporter.join(in_a_while()), 12, 12, &[]);
    assert_eq!(sink.paths(), paths(0, 12));
}

#[test]
fn grpc_carries_the_same_spans_and_tries_again_what_may_pass() {
    const UNAVAILABLE: u32 = 14;
    let sink = GrpcSink::start(&[UNAVAILABLE, UNAVAILABLE]);
    let vars = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "X-Key=secret"),
    ];
    let exporter = otlp(&sink.endpoint, &vars);
    exporter.queue().push(numbered(0, 3));
    eventually("the account is settled", || exporter.stage().in_flight == 0);
    exporter.queue().push(numbered(3, 2000));
    assert_account(&exporter.join(in_a_while()), 2003, 2003, &[]);
    let received = sink.received();
    assert_eq!(received.len(), 4);
    assert_eq!(received[2].paths, paths(0, 3));
    assert_eq!(received[3].paths, paths(3, 2000));
    let head = &received[0];
    assert_eq!(head.line, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    assert!(head.headers.iter().any(|h| h == "x-key: secret"), "{:?}", head.headers);
}

#[test]
fn grpc_takes_an_answer_that_is_compressed_as_the_request_was() {
    let sink = GrpcSink::start(&[]);
    let vars =
        [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
    let exporter = otlp(&sink.endpoint, &vars);
    exporter.queue().push(numbered(0, 3));
    assert_account(&exporter.join(in_a_while()), 3, 3, &[]);
    let received = sink.received();
    assert!(received[0].has("grpc-encoding: gzip"), "{:?}", received[0].headers);
    assert_eq!(received[0].paths, paths(0, 3));
}

#[test]
fn grpc_requests_that_are_refused_for_good_are_dropped_and_counted() {
    const INVALID_ARGUMENT: u32 = 3;
    const RESOURCE_EXHAUSTED: u32 = 8;
    for status in [INVALID_ARGUMENT, RESOURCE_EXHAUSTED] {
        let sink = GrpcSink::start(&[status]);
        let exporter = otlp(&sink.endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        exporter.queue().push(numbered(0, 3));
        eventually("the account is settled", || exporter.stage().in_flight == 0);
        assert_account(&exporter.join(in_a_while()), 3, 0, &[("refused", 3)]);
    }
}

#[test]
fn a_receiver_that_throttles_over_grpc_is_asked_again_when_it_says_so() {
    const RESOURCE_EXHAUSTED: u32 = 8;
    // A RetryInfo of 1 ms.
    const SOON: &str =
        "CAgSBGZ1bGwaMgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIGCgQQwIQ9";
    let sink = GrpcSink::start_detailing(&[RESOURCE_EXHAUSTED, RESOURCE_EXHAUSTED], SOON);
    let exporter = otlp(&sink.endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    exporter.queue().push(numbered(0, 3));
    eventually("the account is settled", || exporter.stage().in_flight == 0);
    assert_account(&exporter.join(in_a_while()), 3, 3, &[]);
    assert_eq!(sink.received().len(), 3);
}

#[test]
fn no_exporter_delays_another() {
    let sink = HttpSink::start(vec![]);
    let vars = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", sink.endpoint.as_str()),
        ("OTEL_EBPF_TRACE_PRINTER", "text"),
    ];
    let (reader, writer) = std::io::pipe().unwrap();
    let stdout = std::fs::File::from(std::os::fd::OwnedFd::from(writer));
    let exporters =
        spawn(&config(&[&QUICK[..], &vars].concat()), stdout, &around()).unwrap().running;
    assert_eq!(exporters.len(), 2);
    for first in (0..4000).step_by(1000) {
        let batch = numbered(first, 1000);
        exporters.iter().for_each(|exporter| exporter.queue().push(Arc::clone(&batch)));
    }
    eventually("all is sent while stdout is stuck", || exporters[0].stage().out == 4000);
    assert!(exporters[1].stage().in_flight > 0);
    drop(reader);
    let accounts: Vec<_> =
        exporters.into_iter().map(|exporter| exporter.join(in_a_while())).collect();
    assert_account(&accounts[0], 4000, 4000, &[]);
    assert!(accounts[1].balanced());
    assert_eq!(sink.paths(), paths(0, 4000));
}
