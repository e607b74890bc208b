//! Where spans are sent, and how.

use std::time::Duration;

use super::keys::{
    BACKOFF_ELAPSED, BACKOFF_INITIAL, BACKOFF_MAX, BATCH_MAX_SIZE, BATCH_TIMEOUT, HEADERS,
    OTLP_ENDPOINT, QUEUE_SIZE, RESOURCE_ATTRIBUTES, SAMPLER, SAMPLER_ARG, TRACES_ENDPOINT,
    TRACES_HEADERS, TRACES_PROTOCOL, TRACES_SKIP_VERIFY,
};
use super::layers::Settings;
use super::notice::Problem;
use crate::model::sampler::Sampler;
use crate::model::service::parse_pairs;

/// How requests are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protobuf over HTTP/1.1.
    HttpProtobuf,
}

/// The size and the pace of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    /// Spans of one request at most; `usize::MAX` = no limit.
    pub max_size: usize,
    /// Spans that wait at most; beyond it the oldest are dropped.
    pub queue_size: usize,
    /// How long a span waits for its request to fill.
    pub timeout: Duration,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { max_size: 4096, queue_size: 16384, timeout: Duration::from_secs(15) }
    }
}

/// How long to wait before a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// Before the first retry.
    pub initial: Duration,
    /// At most.
    pub max: Duration,
    /// After how long the request is given up.
    pub max_elapsed: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(5),
            max: Duration::from_secs(30),
            max_elapsed: Duration::from_secs(300),
        }
    }
}

/// An OTLP destination for spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// Where requests go: for HTTP the whole URL, for gRPC scheme and authority.
    pub url: String,
    /// How they are carried.
    pub protocol: OtlpProtocol,
    /// Headers of every request, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Whether a TLS certificate may be wrong.
    pub insecure_skip_verify: bool,
    /// Size and pace.
    pub batch: BatchConfig,
    /// Retries.
    pub backoff: BackoffConfig,
    /// Which traces are sent.
    pub sampler: Sampler,
}

/// Reads the section; `None` when there is no endpoint.
pub(super) fn read(settings: &Settings, problems: &mut Vec<Problem>) -> Option<OtlpConfig> {
    let own = settings.text(&TRACES_ENDPOINT).map(Endpoint::of);
    let common = settings.text(&OTLP_ENDPOINT).map(Endpoint::of);
    let mut headers = read_headers(settings, &HEADERS, problems);
    for (name, value) in read_headers(settings, &TRACES_HEADERS, problems) {
        headers.retain(|(other, _)| *other != name);
        headers.push((name, value));
    }
    let insecure_skip_verify = settings.bool(&TRACES_SKIP_VERIFY);
    let batch = read_batch(settings, problems);
    let backoff = read_backoff(settings);
    let protocol = match settings.text(&TRACES_PROTOCOL) {
        Some("grpc") => Some(OtlpProtocol::Grpc),
        // JSON stands in the contract, but protobuf is what it sends.
        Some("http/protobuf" | "http/json") => Some(OtlpProtocol::HttpProtobuf),
        Some(_) => {
            let why = "is not supported; to see spans, set OTEL_EBPF_TRACE_PRINTER to text";
            problems.push(settings.problem(&TRACES_PROTOCOL, why));
            return None;
        }
        None => None,
    };
    let specific = own.is_some();
    let deciding = if specific { &TRACES_ENDPOINT } else { &OTLP_ENDPOINT };
    let Some(endpoint) = own.or(common)? else {
        let why = "unix sockets are not supported yet; use http:// or https://";
        problems.push(settings.problem(deciding, why));
        return None;
    };
    let protocol = protocol.unwrap_or_else(|| endpoint.guessed_protocol());
    if insecure_skip_verify && protocol == OtlpProtocol::Grpc && endpoint.scheme == "https" {
        let why =
            "not supported with gRPC; set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL to http/protobuf";
        problems.push(settings.problem(&TRACES_SKIP_VERIFY, why));
    }
    let url = match protocol {
        OtlpProtocol::Grpc => endpoint.base(),
        OtlpProtocol::HttpProtobuf => endpoint.traces_url(specific),
    };
    let text = |key| settings.text(key).unwrap_or_default();
    // What is no ratio is told by the rules, and means every trace, as the contract has it.
    let sampler = Sampler::named(text(&SAMPLER), text(&SAMPLER_ARG)).unwrap_or_default();
    Some(OtlpConfig { url, protocol, headers, insecure_skip_verify, batch, backoff, sampler })
}

/// `OTEL_RESOURCE_ATTRIBUTES` of the agent itself, in order.
pub(super) fn read_resource_attributes(settings: &Settings) -> Vec<(String, String)> {
    settings.text(&RESOURCE_ATTRIBUTES).map(parse_pairs).unwrap_or_default()
}

/// Names in lower case.
fn read_headers(
    settings: &Settings,
    key: &super::key::Key,
    problems: &mut Vec<Problem>,
) -> Vec<(String, String)> {
    let pairs = settings.text(key).map(parse_pairs).unwrap_or_default();
    let valid = |(name, value): &(String, String)| {
        http::HeaderName::try_from(name).is_ok()
            && http::HeaderValue::try_from(value).is_ok_and(|v| v.to_str().is_ok())
    };
    if !pairs.iter().all(valid) {
        let why = "must be name=value pairs, separated by commas, that can stand in an HTTP header";
        problems.push(settings.problem(key, why));
    }
    pairs.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()
}

fn read_batch(settings: &Settings, problems: &mut Vec<Problem>) -> BatchConfig {
    let max_size = settings.count(&BATCH_MAX_SIZE);
    let queue_size = match settings.count(&QUEUE_SIZE) {
        0 if max_size == 0 => BatchConfig::default().queue_size,
        0 => max_size.saturating_mul(4),
        n => n,
    };
    if queue_size < max_size.saturating_mul(2) {
        let why = format!(
            "must be at least twice otel_traces_export.batch_max_size ({max_size}), or 0 for four \
             times it"
        );
        problems.push(settings.problem(&QUEUE_SIZE, why));
    }
    BatchConfig {
        max_size: if max_size == 0 { usize::MAX } else { max_size },
        queue_size,
        timeout: settings.duration(&BATCH_TIMEOUT),
    }
}

fn read_backoff(settings: &Settings) -> BackoffConfig {
    let defaults = BackoffConfig::default();
    let interval = |key, default| match settings.duration(key) {
        Duration::ZERO => default,
        set => set,
    };
    BackoffConfig {
        initial: interval(&BACKOFF_INITIAL, defaults.initial),
        max: interval(&BACKOFF_MAX, defaults.max),
        max_elapsed: interval(&BACKOFF_ELAPSED, defaults.max_elapsed),
    }
}

/// `scheme://authority path`.
#[derive(Debug)]
struct Endpoint {
    scheme: String,
    authority: String,
    path: String,
}

impl Endpoint {
    /// Of a URL that is valid; `None` = it is a unix socket.
    fn of(written: &str) -> Option<Self> {
        let url: http::Uri = written.parse().ok()?;
        Some(Self {
            scheme: url.scheme_str()?.to_owned(),
            authority: url.authority()?.as_str().to_owned(),
            path: url.path().to_owned(),
        })
        .filter(|endpoint| endpoint.scheme != "unix")
    }

    fn guessed_protocol(&self) -> OtlpProtocol {
        if self.authority.rsplit_once(':').is_some_and(|(_, port)| port.ends_with("4317")) {
            OtlpProtocol::Grpc
        } else {
            OtlpProtocol::HttpProtobuf
        }
    }

    fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The path `/v1/traces` stands behind every endpoint; a signal-specific one may hold it
    /// already.
    fn traces_url(&self, specific: bool) -> String {
        const SUFFIX: &str = "/v1/traces";
        let path = self.path.trim_end_matches('/');
        let path = if specific { path.strip_suffix(SUFFIX).unwrap_or(path) } else { path };
        format!("{}{path}{SUFFIX}", self.base())
    }
}
