//! One request, whatever carries it.

use std::time::Duration;

use bytes::Bytes;

use super::answer::Outcome;
use super::grpc::GrpcClient;
use super::http::HttpClient;
use crate::config::{OtlpEndpoint, OtlpProtocol};

/// A signal, and where its requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
}

/// A client of one endpoint.
#[derive(Debug)]
pub(super) enum Client {
    /// Over HTTP/1.1.
    Http(Box<HttpClient>),
    /// Over gRPC.
    Grpc(Box<GrpcClient>),
}

impl Client {
    /// Prepares it; connects nowhere yet.
    ///
    /// # Errors
    /// When the endpoint, the headers or TLS cannot be used.
    pub(super) fn new(endpoint: &OtlpEndpoint, signal: Signal) -> anyhow::Result<Self> {
        Ok(match endpoint.protocol {
            OtlpProtocol::HttpProtobuf | OtlpProtocol::HttpJson => {
                Self::Http(Box::new(HttpClient::new(endpoint, signal)?))
            }
            OtlpProtocol::Grpc => Self::Grpc(Box::new(GrpcClient::new(endpoint, signal)?)),
        })
    }

    /// What a protobuf message is sent as, as often as need be.
    pub(super) fn prepare(&self, message: &Bytes) -> anyhow::Result<Bytes> {
        match self {
            Self::Http(client) => client.body(message),
            Self::Grpc(_) => Ok(message.clone()),
        }
    }

    /// Sends what was prepared.
    pub(super) fn send(&mut self, body: &Bytes, timeout: Duration) -> Outcome {
        match self {
            Self::Http(client) => client.send(body, timeout),
            Self::Grpc(client) => client.send(body, timeout),
        }
    }
}

/// The error with its causes.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
