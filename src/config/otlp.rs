//! Where a signal is sent over OTLP, and how it is carried.

use std::path::PathBuf;
use std::time::Duration;

use super::key::Key;
use super::keys::{self, HEADERS, OTLP_ENDPOINT};
use super::layers::Settings;
use super::notice::Problem;
use crate::model::service::parse_pairs;

/// How requests are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protobuf over HTTP/1.1.
    HttpProtobuf,
    /// JSON over HTTP/1.1.
    HttpJson,
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// Whom the agent trusts, and how it shows who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpTls {
    /// Whether a certificate may be wrong.
    pub skip_verify: bool,
    /// Certificates (PEM) that the receiver's is checked by; `None` = the system's.
    pub certificates: Option<PathBuf>,
    /// The agent's own certificate and its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
}

/// A receiver of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpEndpoint {
    /// Where requests go: for HTTP the whole URL, for gRPC scheme and authority.
    pub url: String,
    /// A unix socket that they go through: a path, or `@` and an abstract name.
    pub socket: Option<String>,
    /// How they are carried.
    pub protocol: OtlpProtocol,
    /// Headers of every request, names in lower case.
    pub headers: Vec<(String, String)>,
    /// TLS.
    pub tls: OtlpTls,
    /// How bodies are compressed.
    pub compression: Compression,
    /// How long one request may take.
    pub timeout: Duration,
}

/// Of a request that may take as long as it likes: nobody waits for longer.
const NO_LIMIT: Duration = Duration::from_secs(3600);

/// The settings of one signal.
pub(super) struct Signal {
    pub(super) endpoint: &'static Key,
    pub(super) protocol: &'static Key,
    pub(super) headers: &'static Key,
    pub(super) skip_verify: &'static Key,
    pub(super) certificate: &'static Key,
    pub(super) client_certificate: &'static Key,
    pub(super) client_key: &'static Key,
    pub(super) compression: &'static Key,
    pub(super) timeout: &'static Key,
    /// The path of its receiver.
    pub(super) path: &'static str,
    /// Whether that stands behind every endpoint's path, whatever it is.
    pub(super) always: bool,
}

pub(super) const TRACES: Signal = Signal {
    endpoint: &keys::TRACES_ENDPOINT,
    protocol: &keys::TRACES_PROTOCOL,
    headers: &keys::TRACES_HEADERS,
    skip_verify: &keys::TRACES_SKIP_VERIFY,
    certificate: &keys::TRACES_CERTIFICATE,
    client_certificate: &keys::TRACES_CLIENT_CERTIFICATE,
    client_key: &keys::TRACES_CLIENT_KEY,
    compression: &keys::TRACES_COMPRESSION,
    timeout: &keys::TRACES_TIMEOUT,
    path: "/v1/traces",
    always: true,
};

pub(super) const METRICS: Signal = Signal {
    endpoint: &keys::METRICS_ENDPOINT,
    protocol: &keys::METRICS_PROTOCOL,
    headers: &keys::METRICS_HEADERS,
    skip_verify: &keys::METRICS_SKIP_VERIFY,
    certificate: &keys::METRICS_CERTIFICATE,
    client_certificate: &keys::METRICS_CLIENT_CERTIFICATE,
    client_key: &keys::METRICS_CLIENT_KEY,
    compression: &keys::METRICS_COMPRESSION,
    timeout: &keys::METRICS_TIMEOUT,
    path: "/v1/metrics",
    always: false,
};

impl Signal {
    /// Reads where it is sent; `None` when there is no endpoint.
    pub(super) fn read(
        &self,
        settings: &Settings,
        problems: &mut Vec<Problem>,
    ) -> Option<OtlpEndpoint> {
        let own = settings.text(self.endpoint).map(Endpoint::of);
        let common = settings.text(&OTLP_ENDPOINT).map(Endpoint::of);
        let mut headers = read_headers(settings, &HEADERS, problems);
        for (name, value) in read_headers(settings, self.headers, problems) {
            headers.retain(|(other, _)| *other != name);
            headers.push((name, value));
        }
        let protocol = match settings.text(self.protocol) {
            Some("grpc") => Some(OtlpProtocol::Grpc),
            Some("http/protobuf") => Some(OtlpProtocol::HttpProtobuf),
            Some("http/json") => Some(OtlpProtocol::HttpJson),
            Some(_) => {
                let why = "is not supported; to see spans, set OTEL_EBPF_TRACE_PRINTER to text";
                problems.push(settings.problem(self.protocol, why));
                return None;
            }
            None => None,
        };
        let specific = own.is_some();
        let endpoint = own.or(common)??;
        let protocol = protocol.unwrap_or_else(|| endpoint.guessed_protocol());
        let url = match protocol {
            OtlpProtocol::Grpc => endpoint.base(),
            OtlpProtocol::HttpProtobuf | OtlpProtocol::HttpJson => self.url(&endpoint, specific),
        };
        let path = |key| settings.text(key).map(PathBuf::from);
        let tls = OtlpTls {
            skip_verify: settings.bool(self.skip_verify),
            certificates: path(self.certificate),
            client: self.client(settings, problems),
        };
        let compression = match settings.text(self.compression) {
            Some("gzip") => Compression::Gzip,
            Some("zstd") => Compression::Zstd,
            _ => Compression::None,
        };
        let timeout = match settings.count(self.timeout) as u64 {
            0 => NO_LIMIT,
            set => Duration::from_millis(set),
        };
        let socket = endpoint.socket;
        Some(OtlpEndpoint { url, socket, protocol, headers, tls, compression, timeout })
    }

    /// The agent's certificate and its key: both or none.
    fn client(
        &self,
        settings: &Settings,
        problems: &mut Vec<Problem>,
    ) -> Option<(PathBuf, PathBuf)> {
        let files = [self.client_certificate, self.client_key].map(|key| settings.text(key));
        match files {
            [Some(certificate), Some(key)] => Some((certificate.into(), key.into())),
            [None, None] => None,
            [Some(_), None] => {
                let why = format!("needs its key: set {}", self.client_key.name());
                problems.push(settings.problem(self.client_certificate, why));
                None
            }
            [None, Some(_)] => {
                let why = format!("needs its certificate: set {}", self.client_certificate.name());
                problems.push(settings.problem(self.client_key, why));
                None
            }
        }
    }

    /// The whole URL. A common endpoint gets the signal's path; one of the signal's own is meant as it
    /// is written, but for spans, whose path is put behind it where it does not end so.
    fn url(&self, endpoint: &Endpoint, specific: bool) -> String {
        let path = endpoint.path.trim_end_matches('/');
        match specific {
            true if self.always => {
                let path = path.strip_suffix(self.path).unwrap_or(path);
                format!("{}{path}{}", endpoint.base(), self.path)
            }
            true if !path.is_empty() => format!("{}{}", endpoint.base(), endpoint.path),
            _ => format!("{}{path}{}", endpoint.base(), self.path),
        }
    }
}

/// Names in lower case.
fn read_headers(
    settings: &Settings,
    key: &Key,
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

/// `scheme://authority path`.
#[derive(Debug)]
struct Endpoint {
    scheme: String,
    authority: String,
    path: String,
    /// A unix socket; the rest is then what a request needs.
    socket: Option<String>,
}

impl Endpoint {
    /// Of a URL that is valid.
    fn of(written: &str) -> Option<Self> {
        if let Some(socket) = written.strip_prefix("unix://") {
            let (scheme, authority) = ("http".to_owned(), "localhost".to_owned());
            return Some(Self { scheme, authority, path: "/".into(), socket: Some(socket.into()) });
        }
        let url: http::Uri = written.parse().ok()?;
        Some(Self {
            scheme: url.scheme_str()?.to_owned(),
            authority: url.authority()?.as_str().to_owned(),
            path: url.path().to_owned(),
            socket: None,
        })
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
}
