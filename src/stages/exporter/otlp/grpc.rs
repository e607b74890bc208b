//! OTLP over gRPC. The messages are encoded already: the codec passes bytes through.
//! See <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>.

use std::error::Error as _;
use std::time::Duration;

use anyhow::Context as _;
use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::{Outcome, USER_AGENT, accepted, chain};
use crate::config::OtlpConfig;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A client of one endpoint; connects when it must. Its runtime runs only while a request does.
#[derive(Debug)]
pub(super) struct GrpcClient {
    runtime: Runtime,
    client: Grpc<Channel>,
    metadata: MetadataMap,
}

impl GrpcClient {
    pub(super) fn new(config: &OtlpConfig) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the gRPC runtime")?;
        let mut endpoint = Endpoint::from_shared(config.url.clone())
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .with_context(|| format!("gRPC endpoint {}", config.url))?;
        if config.url.starts_with("https:") {
            endpoint = endpoint
                .tls_config(ClientTlsConfig::new().with_native_roots())
                .with_context(|| format!("TLS for gRPC endpoint {}", config.url))?;
        }
        let channel = {
            let _entered = runtime.enter();
            endpoint.connect_lazy()
        };
        let mut metadata = MetadataMap::new();
        for (name, value) in &config.headers {
            let key = MetadataKey::from_bytes(name.as_bytes())
                .with_context(|| format!("gRPC metadata key {name}"))?;
            // The value may be a secret: it is not named.
            let value = MetadataValue::try_from(value.as_str())
                .with_context(|| format!("gRPC metadata value of {name}"))?;
            metadata.insert(key, value);
        }
        Ok(Self { runtime, client: Grpc::new(channel), metadata })
    }

    pub(super) fn send(&mut self, body: &Bytes, timeout: Duration) -> Outcome {
        let mut request = Request::new(body.clone());
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(timeout);
        let client = &mut self.client;
        let call = async {
            client.ready().await.map_err(|e| Status::unavailable(chain(&e)))?;
            client.unary(request, PathAndQuery::from_static(EXPORT), RawCodec).await
        };
        let answer = self.runtime.block_on(async { tokio::time::timeout(timeout, call).await });
        match answer {
            Ok(Ok(response)) => accepted(response.get_ref()),
            Ok(Err(status)) => judge(&status),
            Err(_) => Outcome::Retry { why: "no answer in time".to_owned(), after: Duration::ZERO },
        }
    }
}

fn judge(status: &Status) -> Outcome {
    let why = format!("gRPC status {:?}: {}", status.code(), status.message());
    let retryable = matches!(
        status.code(),
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
    );
    // What went wrong below gRPC carries its cause; what the receiver said does not.
    if retryable || status.source().is_some() {
        Outcome::Retry { why, after: Duration::ZERO }
    } else {
        Outcome::Refused(why)
    }
}

#[derive(Clone, Copy, Debug)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }
}
