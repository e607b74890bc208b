//! Where spans are sent, and how.

use std::time::Duration;

use super::env::Environment;
use super::layers::{Key, Layers};
use super::value::{Raw, boolean, count, duration, one_of, text};
use crate::model::service::parse_pairs;

pub(super) const TRACES_ENDPOINT: Key =
    Key::new("otel_traces_export.endpoint", &["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], "");
pub(super) const ENDPOINT: Key =
    Key::new("environment.otlp_endpoint", &["OTEL_EXPORTER_OTLP_ENDPOINT"], "");
const PROTOCOL: Key = Key::new(
    "otel_traces_export.protocol",
    &["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
    "",
);
const HEADERS: Key = Key {
    secret: true,
    ..Key::new("environment.otlp_headers", &["OTEL_EXPORTER_OTLP_HEADERS"], "")
};
const TRACES_HEADERS: Key = Key {
    secret: true,
    ..Key::new("environment.otlp_traces_headers", &["OTEL_EXPORTER_OTLP_TRACES_HEADERS"], "")
};
const SKIP_VERIFY: Key = Key::new(
    "otel_traces_export.insecure_skip_verify",
    &["OTEL_EBPF_INSECURE_SKIP_VERIFY"],
    "false",
);
const BATCH_MAX_SIZE: Key = Key::new(
    "otel_traces_export.batch_max_size",
    &["OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE"],
    "4096",
);
const QUEUE_SIZE: Key =
    Key::new("otel_traces_export.queue_size", &["OTEL_EBPF_OTLP_TRACES_QUEUE_SIZE"], "16384");
const BATCH_TIMEOUT: Key =
    Key::new("otel_traces_export.batch_timeout", &["OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT"], "15s");
const BACKOFF_INITIAL: Key = Key::new(
    "otel_traces_export.backoff_initial_interval",
    &["OTEL_EBPF_BACKOFF_INITIAL_INTERVAL"],
    "0",
);
const BACKOFF_MAX: Key =
    Key::new("otel_traces_export.backoff_max_interval", &["OTEL_EBPF_BACKOFF_MAX_INTERVAL"], "0");
const BACKOFF_ELAPSED: Key = Key::new(
    "otel_traces_export.backoff_max_elapsed_time",
    &["OTEL_EBPF_BACKOFF_MAX_ELAPSED_TIME"],
    "0",
);
const RESOURCE_ATTRIBUTES: Key =
    Key::new("environment.resource_attributes", &["OTEL_RESOURCE_ATTRIBUTES"], "");

pub(super) const KEYS: &[&Key] = &[
    &TRACES_ENDPOINT,
    &ENDPOINT,
    &PROTOCOL,
    &HEADERS,
    &TRACES_HEADERS,
    &SKIP_VERIFY,
    &BATCH_MAX_SIZE,
    &QUEUE_SIZE,
    &BATCH_TIMEOUT,
    &BACKOFF_INITIAL,
    &BACKOFF_MAX,
    &BACKOFF_ELAPSED,
    &RESOURCE_ATTRIBUTES,
];

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
}

/// Reads the section; `None` when there is no endpoint.
pub(super) fn read(layers: &mut Layers, env: &Environment) -> Option<OtlpConfig> {
    let own = layers.get(&TRACES_ENDPOINT, endpoint).flatten();
    let common = layers.get(&ENDPOINT, endpoint).flatten();
    let protocol = layers.get(&PROTOCOL, protocol).flatten();
    let mut headers = layers.get(&HEADERS, |raw| parse_headers(raw, env)).unwrap_or_default();
    for (name, value) in
        layers.get(&TRACES_HEADERS, |raw| parse_headers(raw, env)).unwrap_or_default()
    {
        headers.retain(|(other, _)| *other != name);
        headers.push((name, value));
    }
    let insecure_skip_verify = layers.get(&SKIP_VERIFY, boolean).unwrap_or_default();
    let batch = read_batch(layers);
    let backoff = read_backoff(layers);
    let specific = own.is_some();
    let endpoint = own.or(common)?;
    let protocol = protocol.unwrap_or_else(|| endpoint.guessed_protocol());
    if insecure_skip_verify && protocol == OtlpProtocol::Grpc && endpoint.scheme == "https" {
        layers.problems.push(format!(
            "{} = true: not supported with gRPC; set {} to http/protobuf",
            SKIP_VERIFY.name(),
            PROTOCOL.name()
        ));
    }
    let url = match protocol {
        OtlpProtocol::Grpc => endpoint.base(),
        OtlpProtocol::HttpProtobuf => endpoint.traces_url(specific),
    };
    Some(OtlpConfig { url, protocol, headers, insecure_skip_verify, batch, backoff })
}

/// `OTEL_RESOURCE_ATTRIBUTES` of the agent itself, in order, placeholders replaced.
pub(super) fn read_resource_attributes(
    layers: &mut Layers,
    env: &Environment,
) -> Vec<(String, String)> {
    layers
        .get(&RESOURCE_ATTRIBUTES, |raw| Ok(parse_pairs(&env.substitute(&text(raw)?))))
        .unwrap_or_default()
}

fn parse_headers(raw: &Raw, env: &Environment) -> Result<Vec<(String, String)>, String> {
    let list = env.substitute(&text(raw)?);
    let pairs = parse_pairs(&list);
    if list.split(',').any(|entry| !entry.trim().is_empty() && !entry.contains('=')) {
        return Err("an entry has no '=': must be name=value pairs, separated by commas".to_owned());
    }
    for (name, value) in &pairs {
        let valid = http::HeaderName::try_from(name).is_ok()
            && http::HeaderValue::try_from(value).is_ok_and(|v| v.to_str().is_ok());
        if !valid {
            return Err(
                "must be name=value pairs, separated by commas, that can stand in an HTTP \
                        header"
                    .to_owned(),
            );
        }
    }
    Ok(pairs.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect())
}

fn read_batch(layers: &mut Layers) -> BatchConfig {
    let defaults = BatchConfig::default();
    let max_size = layers.get(&BATCH_MAX_SIZE, count).unwrap_or(defaults.max_size);
    let queue_size = match layers.get(&QUEUE_SIZE, count).unwrap_or(defaults.queue_size) {
        0 if max_size == 0 => defaults.queue_size,
        0 => max_size.saturating_mul(4),
        n => n,
    };
    if queue_size < max_size.saturating_mul(2) {
        layers.problems.push(format!(
            "{} = {queue_size}: must be at least twice {} ({max_size}), or 0 for four times it",
            QUEUE_SIZE.name(),
            BATCH_MAX_SIZE.name()
        ));
    }
    BatchConfig {
        max_size: if max_size == 0 { usize::MAX } else { max_size },
        queue_size,
        timeout: layers.get(&BATCH_TIMEOUT, duration).unwrap_or(defaults.timeout),
    }
}

fn read_backoff(layers: &mut Layers) -> BackoffConfig {
    let defaults = BackoffConfig::default();
    let mut interval = |key, default| match layers.get(key, duration) {
        None | Some(Duration::ZERO) => default,
        Some(set) => set,
    };
    BackoffConfig {
        initial: interval(&BACKOFF_INITIAL, defaults.initial),
        max: interval(&BACKOFF_MAX, defaults.max),
        max_elapsed: interval(&BACKOFF_ELAPSED, defaults.max_elapsed),
    }
}

/// `None` = to be guessed. `http/json` is accepted and protobuf is sent, as the contract has it.
fn protocol(raw: &Raw) -> Result<Option<OtlpProtocol>, String> {
    match raw {
        Raw::Text(s) if s.is_empty() => Ok(None),
        Raw::Text(s) | Raw::Env(s) if s == "debug" => {
            Err("is not supported yet; to see spans set OTEL_EBPF_TRACE_PRINTER=text".to_owned())
        }
        _ => one_of(
            raw,
            &[
                ("grpc", Some(OtlpProtocol::Grpc)),
                ("http/protobuf", Some(OtlpProtocol::HttpProtobuf)),
                ("http/json", Some(OtlpProtocol::HttpProtobuf)),
            ],
        ),
    }
}

/// `scheme://authority path`.
#[derive(Debug)]
struct Endpoint {
    scheme: String,
    authority: String,
    path: String,
}

/// `None` for the empty text of a YAML file.
fn endpoint(raw: &Raw) -> Result<Option<Endpoint>, String> {
    let written = text(raw)?;
    if written.is_empty() {
        return Ok(None);
    }
    if written.starts_with("unix:") {
        return Err("unix sockets are not supported yet; use http:// or https://".to_owned());
    }
    let allowed = || {
        "must be a URL with scheme and host, such as http://localhost:4318 or https://host:4317"
            .to_owned()
    };
    let url: http::Uri = written.parse().map_err(|_| allowed())?;
    match (url.scheme_str(), url.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) if is_complete(authority) => {
            Ok(Some(Endpoint {
                scheme: scheme.to_owned(),
                authority: authority.as_str().to_owned(),
                path: url.path().to_owned(),
            }))
        }
        _ => Err(allowed()),
    }
}

/// Whether there is a host, and a port between 1 and 65535 if a port is written.
fn is_complete(authority: &http::uri::Authority) -> bool {
    let after_host = authority.as_str().rsplit_once(authority.host()).map_or("", |(_, rest)| rest);
    let port_is_right = after_host.is_empty() || authority.port_u16().is_some_and(|p| p != 0);
    !authority.host().is_empty() && port_is_right
}

impl Endpoint {
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
