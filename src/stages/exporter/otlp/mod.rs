//! OTLP: batches spans into requests, sends them, tries again, accounts for each span.

pub mod encode;
mod grpc;
mod http;
mod keys;
mod resource;
mod tls;
mod wire;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::{info, warn};

use self::grpc::GrpcClient;
use self::http::HttpClient;
use super::queue::{DropReason, Slice, SpanQueue, Want};
use crate::config::{BackoffConfig, BatchConfig, OtlpConfig, OtlpProtocol, without_userinfo};
use crate::model::time::{instant_now, ktime_now};
use crate::telemetry::Seldom;
use encode::Encoder;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("obi/", env!("CARGO_PKG_VERSION"));

/// Memory of a request that is kept for the next one.
const BODY_KEPT_BYTES: usize = 8 << 20;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The receiver has it, but for `rejected` spans.
    Accepted {
        /// Spans it refused.
        rejected: u64,
    },
    /// Perhaps another time, `after` this long at the earliest.
    Retry {
        /// The cause.
        why: String,
        /// What the receiver asked for.
        after: Duration,
    },
    /// Never.
    Refused(String),
}

/// Reads an `ExportTraceServiceResponse`: field 1 is the partial success, its field 1 the number
/// of rejected spans.
fn accepted(response: &[u8]) -> Outcome {
    let mut rest = response;
    let mut rejected = 0;
    while let Some((number, field)) = wire::next_field(&mut rest) {
        let (1, wire::Field::Bytes(mut partial)) = (number, field) else { continue };
        while let Some((number, field)) = wire::next_field(&mut partial) {
            if let (1, wire::Field::Number(n)) = (number, field) {
                rejected = n;
            }
        }
    }
    Outcome::Accepted { rejected }
}

#[derive(Debug)]
enum Client {
    Http(Box<HttpClient>),
    Grpc(Box<GrpcClient>),
}

impl Client {
    fn send(&mut self, body: &Bytes, timeout: Duration) -> Outcome {
        match self {
            Self::Http(client) => client.send(body, timeout),
            Self::Grpc(client) => client.send(body, timeout),
        }
    }
}

/// Whether the exporter goes on.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Continue,
    Stop,
}

/// The exporter of one endpoint.
#[derive(Debug)]
pub(super) struct OtlpExporter {
    client: Client,
    url: String,
    batch: BatchConfig,
    backoff: BackoffConfig,
    encoder: Encoder,
    /// That the endpoint began to fail was said, and that it takes spans again was not.
    said_failing: bool,
    warnings: Warnings,
}

/// One kind of message each.
#[derive(Debug, Default)]
struct Warnings {
    failing: Seldom,
    refused: Seldom,
    exhausted: Seldom,
    rejected: Seldom,
}

impl OtlpExporter {
    /// Prepares the client; connects nowhere yet.
    ///
    /// # Errors
    /// When the endpoint, the headers or TLS cannot be used.
    pub(super) fn new(config: &OtlpConfig) -> anyhow::Result<Self> {
        let client = match config.protocol {
            OtlpProtocol::HttpProtobuf => Client::Http(Box::new(HttpClient::new(config)?)),
            OtlpProtocol::Grpc => Client::Grpc(Box::new(GrpcClient::new(config)?)),
        };
        Ok(Self {
            client,
            url: without_userinfo(&config.url),
            batch: config.batch,
            backoff: config.backoff,
            encoder: Encoder::new(config.sampler),
            said_failing: false,
            warnings: Warnings::default(),
        })
    }

    /// Sends until the queue is closed and empty, or the stop finds the endpoint failing.
    pub(super) fn run(mut self, queue: &SpanQueue) {
        let want = Want { spans: self.batch.max_size, linger: self.batch.timeout };
        let mut slices: Vec<Slice> = Vec::new();
        let mut memory = Vec::new();
        while queue.take(want, &mut slices) {
            let taken: u64 = slices.iter().map(|slice| slice.range.len() as u64).sum();
            let spans = self.encoder.encode(&slices, &mut memory);
            queue.give_back(&mut slices);
            if spans < taken {
                queue.settle(0, &[(DropReason::NotSampled, taken - spans)]);
            }
            if spans == 0 {
                continue;
            }
            let body = Bytes::from(memory);
            if self.deliver(&body, spans, queue) == Next::Stop {
                queue.end(DropReason::Shutdown);
                return;
            }
            // The same memory once more, unless somebody still holds the request.
            memory = body.try_into_mut().map(Vec::from).unwrap_or_default();
            if memory.capacity() > BODY_KEPT_BYTES {
                memory = Vec::new();
            }
        }
    }

    /// Sends `body`, which holds `spans`, until it is taken or given up. Once the stop has begun
    /// there is one attempt more.
    fn deliver(&mut self, body: &Bytes, spans: u64, queue: &SpanQueue) -> Next {
        let begin = instant_now();
        let mut backoff = Backoff::new(self.backoff);
        loop {
            let deadline = queue.deadline();
            let Some(timeout) = timeout_until(deadline) else { return Next::Stop };
            match self.client.send(body, timeout) {
                Outcome::Accepted { rejected } => {
                    self.settle_accepted(spans, rejected.min(spans), queue);
                    return Next::Continue;
                }
                Outcome::Refused(error) => {
                    if let Some(kept_back) = self.warnings.refused.pass(instant_now()) {
                        warn!(
                            url = self.url,
                            error, spans, kept_back, "spans were refused and are dropped"
                        );
                    }
                    queue.settle(0, &[(DropReason::Refused, spans)]);
                    return Next::Continue;
                }
                Outcome::Retry { .. } if deadline.is_some() => return Next::Stop,
                Outcome::Retry { why, after } => {
                    self.note_failure(&why);
                    let wait = backoff.next().max(after);
                    let now = instant_now();
                    if now.duration_since(begin).saturating_add(wait) > self.backoff.max_elapsed {
                        if let Some(kept_back) = self.warnings.exhausted.pass(now) {
                            warn!(
                                url = self.url,
                                error = why,
                                spans,
                                kept_back,
                                "no success in time, spans are dropped"
                            );
                        }
                        queue.settle(0, &[(DropReason::RetriesExhausted, spans)]);
                        return Next::Continue;
                    }
                    queue.pause(now + wait);
                }
            }
        }
    }

    fn settle_accepted(&mut self, spans: u64, rejected: u64, queue: &SpanQueue) {
        if std::mem::take(&mut self.said_failing) {
            info!(url = self.url, "the endpoint takes spans again");
        }
        if rejected > 0
            && let Some(kept_back) = self.warnings.rejected.pass(instant_now())
        {
            warn!(url = self.url, spans = rejected, kept_back, "the receiver rejected spans");
        }
        queue.settle(spans.saturating_sub(rejected), &[(DropReason::Rejected, rejected)]);
    }

    /// Tells once that the endpoint fails.
    fn note_failure(&mut self, why: &str) {
        if !self.said_failing
            && let Some(kept_back) = self.warnings.failing.pass(instant_now())
        {
            self.said_failing = true;
            warn!(
                url = self.url,
                error = why,
                kept_back,
                "the endpoint takes no spans; trying again, the oldest will be dropped when the \
                 queue is full"
            );
        }
    }
}

/// The error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// How long a request may take now; `None` when the deadline is over.
fn timeout_until(deadline: Option<Instant>) -> Option<Duration> {
    let Some(deadline) = deadline else { return Some(REQUEST_TIMEOUT) };
    let left = deadline.saturating_duration_since(instant_now());
    (!left.is_zero()).then(|| left.min(REQUEST_TIMEOUT))
}

/// Waiting times that grow by half each time, each spread over 50 to 150 % so that many agents do
/// not come back together.
#[derive(Debug)]
struct Backoff {
    interval: Duration,
    max: Duration,
    /// State of a xorshift generator, never 0.
    noise: u64,
}

impl Backoff {
    fn new(config: BackoffConfig) -> Self {
        let noise = ktime_now().0 | 1;
        Self { interval: config.initial.min(config.max), max: config.max, noise }
    }

    fn next(&mut self) -> Duration {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        let permille = 500 + u32::try_from(self.noise % 1001).unwrap_or(0);
        let wait = self.interval.saturating_mul(permille) / 1000;
        self.interval = (self.interval.saturating_mul(3) / 2).min(self.max);
        wait
    }
}
