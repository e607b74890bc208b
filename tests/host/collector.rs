//! An OTLP/HTTP receiver in a thread of the test: it decodes what it gets, with the official
//! messages.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

/// Where the agent posts spans.
const TRACES: &str = "/v1/traces";
/// Where it posts metrics.
const METRICS: &str = "/v1/metrics";

/// A span with the process it is of.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) is_server: bool,
    pub(crate) has_parent: bool,
    /// From start to end, in nanoseconds.
    pub(crate) duration: u64,
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Told {
    pub(crate) fn service(&self) -> &str {
        self.of_resource("service.name")
    }

    pub(crate) fn of_resource(&self, key: &str) -> &str {
        self.resource.get(key).map_or("", String::as_str)
    }

    pub(crate) fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }

    pub(crate) fn path(&self) -> &str {
        self.attribute("url.path").unwrap_or("")
    }
}

/// Runs until the test process ends.
pub(crate) struct Collector {
    pub(crate) port: u16,
    all: Arc<All>,
    clients: Arc<Mutex<Vec<u16>>>,
}

/// What came.
#[derive(Default)]
struct All {
    told: Mutex<Vec<Told>>,
    metrics: Mutex<Vec<ExportMetricsServiceRequest>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let all = Arc::new(All::default());
        let clients = Arc::new(Mutex::new(Vec::new()));
        let (taken, from) = (Arc::clone(&all), Arc::clone(&clients));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, all) = (stream.unwrap(), Arc::clone(&taken));
                from.lock().unwrap().push(stream.peer_addr().unwrap().port());
                std::thread::spawn(move || while take(&stream, &all).is_some() {});
            }
        });
        Self { port, all, clients }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What came so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.all.told.lock().unwrap().clone()
    }

    /// How much came so far.
    pub(crate) fn count(&self) -> usize {
        self.all.told.lock().unwrap().len()
    }

    /// The requests with metrics that came so far.
    pub(crate) fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        self.all.metrics.lock().unwrap().clone()
    }

    /// The ports of those that connected so far.
    pub(crate) fn clients(&self) -> Vec<u16> {
        self.clients.lock().unwrap().clone()
    }

    /// What is to be set so that an agent exports here at once.
    pub(crate) fn variables<'a>(&self, url: &'a str) -> [(&'a str, &'a str); 3] {
        assert_eq!(url, self.url());
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "50ms"),
        ]
    }
}

/// Takes one request and answers it; `None` at the end of the connection.
fn take(stream: &TcpStream, all: &All) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let header = line.trim_end().to_ascii_lowercase();
        match header.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            _ if header.is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    match path.as_str() {
        TRACES => {
            let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            all.told.lock().unwrap().extend(tell(request));
        }
        METRICS => {
            let request = ExportMetricsServiceRequest::decode(body.as_slice()).unwrap();
            all.metrics.lock().unwrap().push(request);
        }
        _ => {}
    }
    let mut out = stream;
    out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()
}

fn tell(request: ExportTraceServiceRequest) -> Vec<Told> {
    let mut all = Vec::new();
    for of_process in request.resource_spans {
        let resource = flat(of_process.resource.unwrap_or_default().attributes);
        for span in of_process.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            all.push(Told {
                is_server: span.kind == SpanKind::Server as i32,
                has_parent: !span.parent_span_id.is_empty(),
                duration: span.end_time_unix_nano - span.start_time_unix_nano,
                resource: resource.clone(),
                attributes: flat(span.attributes),
            });
        }
    }
    all
}

fn flat(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |kv: KeyValue| match kv.value.and_then(|v| v.value) {
        Some(Value::StringValue(text)) => (kv.key, text),
        Some(Value::IntValue(n)) => (kv.key, n.to_string()),
        other => (kv.key, format!("{other:?}")),
    };
    attributes.into_iter().map(text).collect()
}
