//! Prometheus: an HTTP endpoint that it fetches metrics from.

mod exposition;
mod text;

use std::convert::Infallible;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;
use tracing::debug;

#[cfg(test)]
use super::aggregate::{Shared, View};
use super::internal::Scrapes;
#[cfg(test)]
use super::levels::Levels;
use exposition::Exposition;
pub(super) use exposition::{Source, StoreSource};
pub(super) use text::Format;

/// Connections at the same time; one more waits to be accepted.
const CONNECTIONS_MAX: usize = 32;
/// How long a client may take to ask, also for the next time: longer than between two scrapes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(130);

/// The endpoint. Stops when dropped.
#[derive(Debug)]
pub struct Endpoint {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Listens on `port`, which the setting `key` names, and answers from a thread of its own.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub(super) fn start(port: u16, key: &str, pages: Vec<Page>) -> anyhow::Result<Self> {
        let listener = listen(port, key)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the runtime of the Prometheus endpoint")?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener).context("watch the Prometheus port")?
        };
        let site = Arc::new(Site { pages });
        let (stop, stopped) = oneshot::channel();
        let thread = Builder::new()
            .name("exporter.prom".to_owned())
            .spawn(move || runtime.block_on(serve(listener, site, stopped)))
            .context("start the thread of the Prometheus endpoint")?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was printed already, and nothing is lost by it here.
            thread.join().unwrap_or_default();
        }
    }
}

/// On every address; where there is no IPv6, on every IPv4 address.
fn listen(port: u16, key: &str) -> anyhow::Result<TcpListener> {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let listener = TcpListener::bind(any).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
    let listener = listener.with_context(|| {
        format!("{key}: TCP port {port} cannot be listened on; choose another one")
    })?;
    listener.set_nonblocking(true).context("make the Prometheus port non-blocking")?;
    Ok(listener)
}

/// What is served on one port.
#[derive(Debug)]
struct Site {
    pages: Vec<Page>,
}

/// What is served under one path.
#[derive(Debug)]
pub(super) struct Page {
    /// Its path and port, and how often it was asked for.
    pub(super) scrapes: Arc<Scrapes>,
    /// What is on it.
    pub(super) source: Arc<Source>,
}

async fn serve(
    listener: tokio::net::TcpListener,
    site: Arc<Site>,
    mut stopped: oneshot::Receiver<()>,
) {
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    let local = tokio::task::LocalSet::new();
    let accept = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files: the next try may find one closed.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let site = Arc::clone(&site);
            tokio::task::spawn_local(async move {
                let answer = service_fn(|request| std::future::ready(answer(&site, &request)));
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(REQUEST_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), answer);
                if let Err(error) = served.await {
                    debug!(%error, "a connection to the Prometheus endpoint ended");
                }
                drop(place);
            });
        }
    };
    local
        .run_until(async {
            tokio::select! {
                () = accept => {}
                _ = &mut stopped => {}
            }
        })
        .await;
}

type Answer = UnsyncBoxBody<Bytes, Infallible>;

fn answer(site: &Site, request: &Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    let simple = |status: StatusCode, why: &'static str| {
        let mut response =
            Response::new(Full::new(Bytes::from_static(why.as_bytes())).boxed_unsync());
        *response.status_mut() = status;
        response
    };
    let path = request.uri().path();
    let Some(page) = site.pages.iter().find(|page| page.scrapes.path == path) else {
        return Ok(simple(StatusCode::NOT_FOUND, "no such page\n"));
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = simple(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    page.scrapes.count();
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let mut response =
        Response::new(Exposition::new(Arc::clone(&page.source), format).boxed_unsync());
    let content_type = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

/// What a scrape reads, as one text.
#[cfg(test)]
pub(super) fn scraped(shared: Shared, views: Vec<View>, levels: Levels, format: Format) -> String {
    let exemplars = crate::config::ExemplarFilter::TraceBased;
    let store = Some(StoreSource::new(shared, views, levels, exemplars));
    let source = Arc::new(Source { store, internal: None });
    let mut exposition = Exposition::new(source, format);
    let mut all = Vec::new();
    while let Some(piece) = exposition.piece() {
        all.extend(piece);
    }
    String::from_utf8(all).expect("text")
}
