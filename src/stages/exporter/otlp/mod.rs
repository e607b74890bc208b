//! OTLP: spans and metrics as requests, sent, tried again, and accounted for.

mod answer;
mod body;
mod client;
mod connect;
mod delivery;
pub mod encode;
mod grpc;
mod headers;
mod http;
mod keys;
mod levels;
mod metrics;
mod push;
mod resource;
mod spans;
mod tls;
mod wire;

#[cfg(test)]
mod tests;

pub(super) use metrics::{MetricsEncoder, Temporality};
pub(super) use push::Pusher;
pub(super) use resource::attributes as resource_of;
pub(super) use spans::SpanExporter;

const USER_AGENT: &str = concat!("obi/", env!("CARGO_PKG_VERSION"));
