//! An OTLP/HTTP receiver of a few lines that does what it is told, request by request.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nix::libc::linger;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Linger;
use obi::model::time::instant_now;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;

/// What to do with one request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Answer with this status line, header lines and body.
    Status(&'static str, Vec<u8>),
    /// Keep the connection and say nothing until told to go on.
    Hang(Arc<Mutex<()>>),
    /// Close the connection.
    Close,
    /// Reset the connection.
    Reset,
}

impl Answer {
    pub(crate) fn ok() -> Self {
        Self::Status("200 OK", Vec::new())
    }
}

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    pub(crate) line: String,
    /// When.
    pub(crate) at: Option<Instant>,
    /// The status line that it was answered with, if it was.
    pub(crate) status: &'static str,
    pub(crate) headers: Vec<String>,
    /// `url.path` of every span.
    pub(crate) paths: Vec<String>,
    pub(crate) resources: usize,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// Whether a header line is there.
    pub(crate) fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|line| line == header)
    }
}

/// Listens until the test ends.
pub(crate) struct HttpSink {
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
}

/// What all connections share.
struct Shared {
    answers: Mutex<VecDeque<Answer>>,
    /// The answer when there is no other.
    otherwise: Mutex<Answer>,
    received: Mutex<Vec<Received>>,
}

impl Shared {
    /// Notes a request, and what to do with it.
    fn take(&self, mut request: Received) -> Answer {
        let next = self.answers.lock().unwrap().pop_front();
        let answer = next.unwrap_or_else(|| self.otherwise.lock().unwrap().clone());
        if let Answer::Status(status, _) = &answer {
            request.status = status;
        }
        request.at = Some(instant_now());
        self.received.lock().unwrap().push(request);
        answer
    }
}

impl HttpSink {
    /// Answers requests in the order of `answers`, then with 200.
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), answers)
    }

    /// The same on a listener of the caller's.
    pub(crate) fn start_on(listener: TcpListener, answers: Vec<Answer>) -> Self {
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            answers: Mutex::new(answers.into()),
            otherwise: Mutex::new(Answer::ok()),
            received: Mutex::default(),
        });
        let of_all = Arc::clone(&shared);
        std::thread::Builder::new()
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    let shared = Arc::clone(&of_all);
                    std::thread::Builder::new().spawn(move || serve(stream, &shared)).unwrap();
                }
            })
            .unwrap();
        Self { endpoint, shared }
    }

    /// Answers like this from now on.
    pub(crate) fn behave(&self, answer: Answer) {
        *self.shared.otherwise.lock().unwrap() = answer;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The paths of all spans in all requests.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.received().into_iter().flat_map(|request| request.paths).collect()
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(&stream);
    while let Some(request) = read_request(&mut reader) {
        match shared.take(request) {
            Answer::Status(status, body) => respond(&stream, status, &body),
            Answer::Hang(until) => {
                drop(until.lock().unwrap());
                respond(&stream, "200 OK", &[]);
            }
            Answer::Close => {
                drop(stream.shutdown(Shutdown::Both));
                return;
            }
            Answer::Reset => {
                // Nothing lingers: the close is a reset.
                setsockopt(&stream, Linger, &linger { l_onoff: 1, l_linger: 0 }).unwrap();
                return;
            }
        }
    }
}

fn respond(mut stream: &TcpStream, status: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
    // The client may be gone: that is what some tests are about.
    drop(stream.write_all(&[head.as_bytes(), body].concat()));
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    })?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let plain = |name: &str| lines.iter().any(|line| line.starts_with(name));
    let is_spans = lines.first().is_some_and(|line| line.contains("/v1/traces"))
        && plain("content-type: application/x-protobuf")
        && !plain("content-encoding");
    let mut received = if is_spans { read_body(&body) } else { Received::default() };
    received.body = body;
    received.line = lines.remove(0);
    received.headers = lines;
    Some(received)
}

/// What a body holds.
pub(crate) fn read_body(body: &[u8]) -> Received {
    let request = ExportTraceServiceRequest::decode(body).expect("a valid request");
    let spans = request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
    let path = |span: &opentelemetry_proto::tonic::trace::v1::Span| {
        let path = span.attributes.iter().find(|a| a.key == "url.path")?;
        match path.value.as_ref()?.value.as_ref()? {
            Value::StringValue(s) => Some(s.clone()),
            _ => None,
        }
    };
    Received {
        paths: spans.filter_map(path).collect(),
        resources: request.resource_spans.len(),
        ..Received::default()
    }
}
