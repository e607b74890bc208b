//! OTLP over HTTP/1.1.
//! See <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::answer::{Outcome, accepted, accepted_json, retry_after};
use super::body::Body;
use super::client::{Signal, chain};
use super::connect::{Connector, Version, connector};
use crate::config::OtlpEndpoint;
use crate::model::time::{ClockOffset, ktime_now};

/// A client of one endpoint; keeps its connection. Its runtime runs only while a request does.
#[derive(Debug)]
pub(super) struct HttpClient {
    runtime: Runtime,
    client: Client<HttpsConnector<Connector>, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
}

impl HttpClient {
    /// Bytes of a response that are read.
    const RESPONSE_MAX_BYTES: usize = 64 * 1024;

    pub(super) fn new(endpoint: &OtlpEndpoint, signal: Signal) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the HTTP runtime")?;
        let connector = connector(endpoint, Version::One)?;
        let uri: Uri =
            endpoint.url.parse().with_context(|| format!("endpoint {}", endpoint.url))?;
        let mut headers = HeaderMap::new();
        let body = Body::new(endpoint, signal);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(body.content_type()));
        if let Some(encoding) = body.content_encoding() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
        for (name, value) in &endpoint.headers {
            let key = HeaderName::from_bytes(name.as_bytes())
                .with_context(|| format!("HTTP header {name}"))?;
            // The value may be a secret: it is not named.
            let value = HeaderValue::from_str(value)
                .with_context(|| format!("the value of HTTP header {name}"))?;
            headers.insert(key, value);
        }
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { runtime, client, uri, headers, body })
    }

    /// The body that a message is sent as.
    pub(super) fn body(&self, message: &Bytes) -> anyhow::Result<Bytes> {
        self.body.of(message)
    }

    pub(super) fn send(&mut self, body: &Bytes, timeout: Duration) -> Outcome {
        let mut request = Request::post(self.uri.clone()).body(Full::new(body.clone()));
        if let Ok(request) = &mut request {
            *request.headers_mut() = self.headers.clone();
        }
        let exchange = async {
            let response = self.client.request(request.map_err(anyhow::Error::from)?).await?;
            let (head, body) = response.into_parts();
            // The request was taken even when the response cannot be read to its end.
            let body = Limited::new(body, Self::RESPONSE_MAX_BYTES).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            anyhow::Ok(Response::from_parts(head, body))
        };
        let answer = self.runtime.block_on(async { tokio::time::timeout(timeout, exchange).await });
        match answer {
            Ok(Ok(response)) => judge(&response),
            Ok(Err(error)) => Outcome::Retry { why: chain(&*error), after: Duration::ZERO },
            Err(_) => Outcome::Retry { why: "no answer in time".to_owned(), after: Duration::ZERO },
        }
    }
}

fn judge(response: &Response<Bytes>) -> Outcome {
    let status = response.status();
    let header = |name: HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    match status.as_u16() {
        200..=299 if header(CONTENT_TYPE).starts_with("application/json") => {
            accepted_json(response.body())
        }
        200..=299 => accepted(response.body()),
        429 | 502..=504 => {
            let now = ClockOffset::now().unix_ns(ktime_now());
            let now = Timestamp::from_nanosecond(now.into()).unwrap_or_default();
            let after = retry_after(header(RETRY_AFTER), now);
            Outcome::Retry { why: format!("HTTP status {status}"), after }
        }
        _ => Outcome::Refused(format!("HTTP status {status}")),
    }
}
