//! An OTLP/gRPC receiver of a few lines that answers with the statuses it is told.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};

use crate::http_sink::{Received, read_body};

type Log = Arc<Mutex<Vec<Received>>>;
type Statuses = Arc<Mutex<VecDeque<u32>>>;

/// Listens until the test ends.
pub(crate) struct GrpcSink {
    pub(crate) endpoint: String,
    received: Log,
}

impl GrpcSink {
    /// Answers requests with `statuses` in order, then with 0 (OK).
    pub(crate) fn start(statuses: &[u32]) -> Self {
        Self::start_detailing(statuses, "")
    }

    /// The same; what is not OK has these details (a `google.rpc.Status` in base64), unless empty.
    pub(crate) fn start_detailing(statuses: &[u32], details: &'static str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Log::default();
        let statuses: Statuses = Arc::new(Mutex::new(statuses.iter().copied().collect()));
        let log = Arc::clone(&received);
        std::thread::Builder::new()
            .spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(accept(listener, statuses, details, log));
            })
            .unwrap();
        Self { endpoint, received }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn accept(
    listener: std::net::TcpListener,
    statuses: Statuses,
    details: &'static str,
    log: Log,
) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let (statuses, log) = (Arc::clone(&statuses), Arc::clone(&log));
        tokio::spawn(async move {
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                let (statuses, log) = (Arc::clone(&statuses), Arc::clone(&log));
                tokio::spawn(answer(request, respond, statuses, details, log));
            }
        });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    statuses: Statuses,
    details: &'static str,
    log: Log,
) {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(chunk)) = stream.data().await {
        body.extend_from_slice(&chunk);
        stream.flow_control().release_capacity(chunk.len()).unwrap();
    }
    // A message is preceded by a flag, whether it is compressed, and its length.
    let (is_compressed, mut message) = (body[0] == 1, body[5..].to_vec());
    if is_compressed {
        let packed = std::mem::take(&mut message);
        GzDecoder::new(&*packed).read_to_end(&mut message).unwrap();
    }
    let mut received = read_body(&message);
    received.line = head.uri.path().to_owned();
    received.headers =
        head.headers.iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
    log.lock().unwrap().push(received);
    let status = statuses.lock().unwrap().pop_front().unwrap_or(0);
    let mut response = Response::builder().header("content-type", "application/grpc");
    let mut answer = vec![0; 5];
    if is_compressed {
        // As Go's servers do: the answer is compressed as the request was.
        response = response.header("grpc-encoding", "gzip");
        let empty = GzEncoder::new(Vec::new(), Compression::fast()).finish().unwrap();
        answer = [&[1, 0, 0, 0, u8::try_from(empty.len()).unwrap()][..], &empty].concat();
    }
    let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
    if status == 0 {
        stream.send_data(Bytes::from(answer), false).unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.into());
    if status != 0 && !details.is_empty() {
        trailers.insert("grpc-status-details-bin", HeaderValue::from_static(details));
    }
    stream.send_trailers(trailers).unwrap();
}
