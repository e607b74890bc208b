//! OTLP over gRPC. The messages are encoded already: the codec passes bytes through.
//! See <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>.

use std::error::Error as _;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use bytes::{Buf as _, BufMut as _, Bytes};
use http::Uri;
use http::uri::PathAndQuery;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tower_service::Service;

use super::USER_AGENT;
use super::answer::{Outcome, accepted, retry_info};
use super::client::{Signal, chain};
use super::connect::{Connector, Stream, Version, connector};
use crate::config::{Compression, OtlpEndpoint};

/// A client of one endpoint; connects when it must. Its runtime runs only while a request does.
#[derive(Debug)]
pub(super) struct GrpcClient {
    runtime: Runtime,
    client: Grpc<Channel>,
    path: PathAndQuery,
    metadata: MetadataMap,
}

impl GrpcClient {
    pub(super) fn new(config: &OtlpEndpoint, signal: Signal) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the gRPC runtime")?;
        let uri: Uri =
            config.url.parse().with_context(|| format!("gRPC endpoint {}", config.url))?;
        // The connector knows the way; TLS is its own.
        let plain = config.url.replacen("https:", "http:", 1);
        let endpoint = Endpoint::from_shared(plain)
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .with_context(|| format!("gRPC endpoint {}", config.url))?
            .origin(uri.clone());
        let to = To { connector: connector(config, Version::Two)?, uri };
        let channel = {
            let _entered = runtime.enter();
            endpoint.connect_with_connector_lazy(to)
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
        let path = PathAndQuery::from_static(match signal {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        });
        let client = Grpc::new(channel);
        // A receiver answers as it is asked.
        let encoding = match config.compression {
            Compression::None => None,
            Compression::Gzip => Some(CompressionEncoding::Gzip),
            Compression::Zstd => Some(CompressionEncoding::Zstd),
        };
        let client = match encoding {
            None => client,
            Some(encoding) => client.send_compressed(encoding).accept_compressed(encoding),
        };
        Ok(Self { runtime, client, path, metadata })
    }

    pub(super) fn send(&mut self, body: &Bytes, timeout: Duration) -> Outcome {
        let mut request = Request::new(body.clone());
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(timeout);
        let (client, path) = (&mut self.client, self.path.clone());
        let call = async {
            client.ready().await.map_err(|e| Status::unavailable(chain(&e)))?;
            client.unary(request, path, RawCodec).await
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
    let throttled = retry_info(status.details());
    let retryable = retryable || status.code() == Code::ResourceExhausted && throttled.is_some();
    // What went wrong below gRPC carries its cause; what the receiver said does not.
    if retryable || status.source().is_some() {
        Outcome::Retry { why, after: throttled.unwrap_or_default() }
    } else {
        Outcome::Refused(why)
    }
}

/// Connects to one endpoint, whatever it is asked for.
#[derive(Clone, Debug)]
struct To {
    connector: HttpsConnector<Connector>,
    uri: Uri,
}

impl Service<Uri> for To {
    type Response = MaybeHttpsStream<Stream>;
    type Error = <HttpsConnector<Connector> as Service<Uri>>::Error;
    type Future = <HttpsConnector<Connector> as Service<Uri>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        self.connector.call(self.uri.clone())
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
