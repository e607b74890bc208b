//! Bodies of HTTP requests: protobuf as it is, or as JSON, compressed or not.

use std::io::Write as _;

use anyhow::Context as _;
use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;
use serde_json::Value;

use super::client::Signal;
use crate::config::{Compression, OtlpEndpoint, OtlpProtocol};

/// What becomes of a protobuf message before it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    signal: Signal,
    json: bool,
    compression: Compression,
}

impl Body {
    pub(super) fn new(endpoint: &OtlpEndpoint, signal: Signal) -> Self {
        let json = endpoint.protocol == OtlpProtocol::HttpJson;
        Self { signal, json, compression: endpoint.compression }
    }

    pub(super) fn content_type(self) -> &'static str {
        if self.json { "application/json" } else { "application/x-protobuf" }
    }

    pub(super) fn content_encoding(self) -> Option<&'static str> {
        match self.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        }
    }

    /// The body of `message`, which is one of ours.
    ///
    /// # Errors
    /// None that could happen with such.
    pub(super) fn of(self, message: &Bytes) -> anyhow::Result<Bytes> {
        let body = match (self.json, self.signal) {
            (false, _) => message.clone(),
            (true, Signal::Traces) => json::<ExportTraceServiceRequest>(message)?,
            (true, Signal::Metrics) => json::<ExportMetricsServiceRequest>(message)?,
        };
        Ok(match self.compression {
            Compression::None => body,
            Compression::Gzip => {
                let mut to = GzEncoder::new(Vec::new(), Level::fast());
                to.write_all(&body).context("compress a request")?;
                to.finish().context("compress a request")?.into()
            }
            Compression::Zstd => {
                zstd::bulk::compress(&body, 1).context("compress a request")?.into()
            }
        })
    }
}

/// The official JSON form of a message. Who asks for it does not ask for speed.
fn json<M: Message + Default + Serialize>(message: &Bytes) -> anyhow::Result<Bytes> {
    let message = M::decode(message.clone()).context("read a request back")?;
    let mut value = serde_json::to_value(&message).context("write a request as JSON")?;
    leave_out_null(&mut value);
    Ok(serde_json::to_vec(&value).context("write a request as JSON")?.into())
}

/// Takes away fields that are not set: receivers refuse `null` where they want a number.
fn leave_out_null(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(leave_out_null);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_null),
        _ => {}
    }
}
