//! OTLP over HTTP/1.1 with protobuf bodies.
//! See <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error};

use super::{Outcome, USER_AGENT, accepted};
use crate::config::OtlpConfig;

/// A client of one endpoint; keeps its connection.
#[derive(Debug)]
pub(super) struct HttpClient {
    agent: Agent,
    url: String,
    headers: Vec<(String, String)>,
}

impl HttpClient {
    /// Bytes of a response that are read.
    const RESPONSE_MAX_BYTES: u64 = 64 * 1024;

    pub(super) fn new(config: &OtlpConfig) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .disable_verification(config.insecure_skip_verify)
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .user_agent(USER_AGENT)
            .http_status_as_error(false)
            .max_redirects(0)
            // No proxy: only the configuration reads the environment.
            .proxy(None)
            .build()
            .new_agent();
        Self { agent, url: config.url.clone(), headers: config.headers.clone() }
    }

    pub(super) fn send(&self, body: &[u8], timeout: Duration) -> Outcome {
        let mut request =
            self.agent.post(&self.url).header("content-type", "application/x-protobuf");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.config().timeout_global(Some(timeout)).build();
        match request.send(body) {
            Ok(response) => judge(response),
            Err(error @ (Error::BadUri(_) | Error::Http(_))) => Outcome::Refused(error.to_string()),
            Err(error) => Outcome::Retry { why: error.to_string(), after: Duration::ZERO },
        }
    }
}

fn judge(mut response: http::Response<Body>) -> Outcome {
    let status = response.status();
    match status.as_u16() {
        200..=299 => {
            let limited = response.body_mut().with_config().limit(HttpClient::RESPONSE_MAX_BYTES);
            // The request was taken even when the response cannot be read to its end.
            accepted(&limited.read_to_vec().unwrap_or_default())
        }
        429 | 502..=504 => {
            let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
            let after =
                after.and_then(|v| v.parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
            Outcome::Retry { why: format!("HTTP status {status}"), after }
        }
        _ => Outcome::Refused(format!("HTTP status {status}")),
    }
}
