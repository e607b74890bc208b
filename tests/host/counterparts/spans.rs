//! Spans: the Collector's file of them is what was sent.

use std::sync::Arc;

use obi::model::batch::SpanBatch;
use obi::model::service::Service;
use obi::model::span::{SpanHead, SpanStatus};
use obi::semconv::{AttrKey, SpanFamily};
use serde_json::{Value, json};

use super::batches::{Random, batches, count};
use super::{COLLECTOR, Collector, delivered, exporters, push};
use crate::report;
use crate::turn::enter;

/// Names of attributes, their keys, and whether they are there only when they are known.
type Listed = [(&'static str, AttrKey, bool)];

const OF_SERVER: &Listed = &[
    ("http.response.status_code", AttrKey::HttpResponseStatusCode, true),
    ("client.address", AttrKey::ClientAddress, false),
    ("server.address", AttrKey::ServerAddress, false),
    ("server.port", AttrKey::ServerPort, false),
    ("http.request.body.size", AttrKey::HttpRequestBodySize, true),
    ("http.response.body.size", AttrKey::HttpResponseBodySize, true),
    ("http.request.method", AttrKey::HttpRequestMethod, true),
    ("url.path", AttrKey::UrlPath, true),
    ("url.scheme", AttrKey::UrlScheme, true),
    ("http.route", AttrKey::HttpRoute, true),
    ("url.query", AttrKey::UrlQuery, true),
    ("obi.http.response.observed", AttrKey::HttpResponseObserved, true),
];
const OF_CLIENT: &Listed = &[
    ("http.response.status_code", AttrKey::HttpResponseStatusCode, true),
    ("url.full", AttrKey::UrlFull, false),
    ("url.scheme", AttrKey::UrlScheme, false),
    ("server.address", AttrKey::ServerAddress, false),
    ("service.peer.name", AttrKey::ServicePeerName, false),
    ("server.port", AttrKey::ServerPort, false),
    ("http.request.body.size", AttrKey::HttpRequestBodySize, true),
    ("http.response.body.size", AttrKey::HttpResponseBodySize, true),
    ("http.request.method", AttrKey::HttpRequestMethod, true),
    ("url.query", AttrKey::UrlQuery, true),
    ("obi.http.response.observed", AttrKey::HttpResponseObserved, true),
];
const NUMBERS: [AttrKey; 4] = [
    AttrKey::HttpResponseStatusCode,
    AttrKey::ServerPort,
    AttrKey::HttpRequestBodySize,
    AttrKey::HttpResponseBodySize,
];

pub(super) fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

pub(super) fn int(key: &str, value: i64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(batch: &SpanBatch, span: &SpanHead) -> Vec<Value> {
    let listed = match span.family {
        SpanFamily::HttpServer => OF_SERVER,
        SpanFamily::HttpClient => OF_CLIENT,
    };
    let mut all = Vec::new();
    for (name, key, optional) in listed {
        if *key == AttrKey::HttpResponseObserved {
            let observed = batch.attr(span, *key);
            all.extend(observed.map(|_| json!({"key": name, "value": {"boolValue": false}})));
        } else if NUMBERS.contains(key) {
            let known = batch.attr_i64(span, *key).or_else(|| (!optional).then_some(0));
            all.extend(known.map(|n| int(name, n)));
        } else {
            let value = batch.attr_text(span, *key);
            if !value.is_empty() || !optional {
                all.push(text(name, value));
            }
        }
    }
    all
}

fn resource(service: &Service) -> Vec<Value> {
    let mut all = super::model::resource(service);
    all.push(("otel.scope.name".to_owned(), "go.opentelemetry.io/obi".to_owned()));
    all.iter().map(|(key, value)| text(key, value)).collect()
}

/// What the Collector must write of one span.
fn expected(batch: &SpanBatch, span: &SpanHead) -> Value {
    let parts = [AttrKey::HttpRequestMethod, AttrKey::HttpRoute];
    let parts = parts.map(|key| batch.attr_text(span, key));
    let name = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let unix_ns = |ktime: u64| (i128::from(ktime) + i128::from(batch.clock.0)).to_string();
    let mut fields = json!({
        "traceId": hex(&span.ctx.trace_id.0),
        "spanId": hex(&span.ctx.span_id.0),
        "kind": if span.family == SpanFamily::HttpServer { 2 } else { 3 },
        "startTimeUnixNano": unix_ns(span.times.request_start.0),
        "endTimeUnixNano": unix_ns(span.times.end.0),
        "attributes": attributes(batch, span),
        "status": {},
    });
    if !span.ctx.parent_id.is_none() {
        fields["parentSpanId"] = json!(hex(&span.ctx.parent_id.0));
    }
    if !name.is_empty() {
        fields["name"] = json!(name);
    }
    if span.status == SpanStatus::Error {
        fields["status"] = json!({"code": 2});
    }
    json!({
        "resource": {"attributes": resource(batch.service(span).unwrap())},
        "scope": {},
        "span": fields,
    })
}

/// All spans in what the Collector wrote, each with its resource and scope.
fn written(requests: &[Value]) -> Vec<Value> {
    let mut all = Vec::new();
    for resource in requests.iter().flat_map(|r| r["resourceSpans"].as_array().unwrap()) {
        for scope in resource["scopeSpans"].as_array().unwrap() {
            for span in scope["spans"].as_array().unwrap() {
                let (resource, scope) = (&resource["resource"], &scope["scope"]);
                all.push(json!({"resource": resource, "scope": scope, "span": span}));
            }
        }
    }
    all
}

fn sorted(mut all: Vec<Value>) -> Vec<Value> {
    all.sort_by_key(|value| value["span"]["spanId"].as_str().unwrap().to_owned());
    all
}

#[test]
fn a_collector_gets_every_span_as_it_is_by_each_protocol() {
    let name = "a_collector_gets_every_span_as_it_is_by_each_protocol";
    let Some(_turn) = enter(name, &[COLLECTOR]) else { return };
    let mut collector = Collector::start();
    let mut random = Random::new(0x5eed);
    let mut sent: Vec<Arc<SpanBatch>> = Vec::new();
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        for compression in ["none", "gzip", "zstd"] {
            let batches = batches(&mut random, 20, 40);
            let endpoint = collector.endpoint(protocol);
            let exporters = exporters(
                &[
                    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                    ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
                    ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "1ms"),
                ],
                &batches,
            );
            push(&exporters, &batches);
            delivered(exporters, count(&batches));
            sent.extend(batches);
        }
    }
    collector.end();
    let all = sent.iter().flat_map(|batch| batch.spans.iter().map(|span| expected(batch, span)));
    let (wanted, got) = (sorted(all.collect()), sorted(written(&collector.wrote("traces"))));
    for (wanted, got) in wanted.iter().zip(&got) {
        assert_eq!(got, wanted);
    }
    assert_eq!(got.len(), wanted.len());
    report(&format!("{} spans by three protocols and three compressions", got.len()));
}
