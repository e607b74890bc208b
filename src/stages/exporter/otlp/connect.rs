//! Connections: TCP or a unix socket, with TLS or without.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Context as _;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tower_service::Service;

use super::tls;
use crate::config::OtlpEndpoint;

/// Versions of HTTP that TLS offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// Connects to `endpoint`.
///
/// # Errors
/// When TLS cannot be used.
pub(super) fn connector(
    endpoint: &OtlpEndpoint,
    version: Version,
) -> anyhow::Result<HttpsConnector<Connector>> {
    let uri: Uri = endpoint.url.parse().with_context(|| format!("endpoint {}", endpoint.url))?;
    let base = match &endpoint.socket {
        Some(path) => Connector::Unix(match path.strip_prefix('@') {
            Some(name) => format!("\0{name}"),
            None => path.clone(),
        }),
        None => {
            let mut tcp = HttpConnector::new();
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            Connector::Tcp(tcp)
        }
    };
    let needed = uri.scheme_str() == Some("https");
    let builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls::config(needed, &endpoint.tls)?)
        .https_or_http();
    Ok(match version {
        Version::One => builder.enable_http1().wrap_connector(base),
        Version::Two => builder.enable_http2().wrap_connector(base),
    })
}

/// What lies below TLS.
#[derive(Clone, Debug)]
pub(super) enum Connector {
    /// By name and port.
    Tcp(HttpConnector),
    /// Always to this path; an abstract name begins with a zero byte.
    Unix(String),
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Tcp(tcp) => {
                let connecting = tcp.call(uri);
                Box::pin(async move { Ok(Stream::Tcp(connecting.await?)) })
            }
            Self::Unix(path) => {
                let path = path.clone();
                Box::pin(
                    async move { Ok(Stream::Unix(TokioIo::new(UnixStream::connect(path).await?))) },
                )
            }
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    /// Over TCP.
    Tcp(TokioIo<TcpStream>),
    /// Over a unix socket.
    Unix(TokioIo<UnixStream>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Tcp(stream) => stream.connected(),
            Self::Unix(_) => Connected::new(),
        }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, to),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, to),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, from),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
