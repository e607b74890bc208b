//! An OTLP/gRPC receiver of a few lines that answers with the statuses it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
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
    // A message is preceded by a flag and its length.
    let mut received = read_body(&body[5..]);
    received.line = head.uri.path().to_owned();
    received.headers =
        head.headers.iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
    log.lock().unwrap().push(received);
    let status = statuses.lock().unwrap().pop_front().unwrap_or(0);
    let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    if status == 0 {
        stream.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.into());
    if status != 0 && !details.is_empty() {
        trailers.insert("grpc-status-details-bin", HeaderValue::from_static(details));
    }
    stream.send_trailers(trailers).unwrap();
}
