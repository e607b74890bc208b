//! What batches come to in metrics: the contract's table, and spans that are known.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use obi::model::batch::SpanBatch;
use obi::model::service::Service;
use obi::model::span::SpanHead;
use obi::semconv::{AttrKey, SpanFamily};
use serde_json::Value;

use super::spans::{int, text};

/// A row of the contract.
pub(super) struct Row {
    pub(super) otel: String,
    pub(super) is_histogram: bool,
    pub(super) unit: String,
    pub(super) limits: Vec<f64>,
    keys: Vec<String>,
}

impl Row {
    pub(super) fn is_duration(&self) -> bool {
        self.is_histogram && !self.otel.ends_with(".size")
    }

    /// A limit in the unit in which values are counted: nanoseconds, or bytes.
    fn finest(&self, limit: f64) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let finest = (if self.is_duration() { limit * 1e9 } else { limit }).round() as u64;
        finest
    }

    /// A sum as it is shown.
    pub(super) fn shown(&self, sum: u128) -> f64 {
        if self.is_duration() { sum as f64 / 1e9 } else { sum as f64 }
    }
}

/// The contract's metrics of these families that are made of spans.
pub(super) fn rows(features: &str) -> Vec<Row> {
    let file = "tests/fixtures/contract/metrics.tsv";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let table = fs::read_to_string(file).unwrap();
    let starts = ["http.", "traces_span", "traces.span", "traces_service_graph"];
    let of_spans = |line: &&str| starts.iter().any(|start| line.starts_with(start));
    let wanted = |line: &&str| {
        let feature = line.split('\t').nth(10).unwrap();
        features.split(',').any(|name| name == feature)
    };
    table.lines().filter(of_spans).filter(wanted).map(row).collect()
}

fn row(line: &str) -> Row {
    let fields: Vec<&str> = line.split('\t').collect();
    let list = |field: &str| -> Vec<String> {
        field.split(',').filter(|item| *item != "-").map(str::to_owned).collect()
    };
    let graph = fields[0].starts_with("traces_service_graph");
    let mut keys = list(fields[7]);
    keys.extend(list(fields[8]).into_iter().filter(|_| graph));
    keys.sort();
    Row {
        otel: fields[0].to_owned(),
        is_histogram: fields[2] == "histogram",
        unit: fields[4].replace('-', ""),
        limits: list(fields[5]).iter().map(|limit| limit.parse().unwrap()).collect(),
        keys,
    }
}

/// The resource of a service, in the contract's order.
pub(super) fn resource(service: &Service) -> Vec<(String, String)> {
    let mut all = vec![
        ("service.name", service.name.as_str()),
        ("telemetry.sdk.language", service.language),
        ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.version", "unknown"),
        ("telemetry.distro.name", "opentelemetry-ebpf-instrumentation"),
        ("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
        ("host.name", &service.host_name),
        ("host.id", &service.host_id),
        ("os.type", "linux"),
    ];
    if !service.namespace.is_empty() {
        all.push(("service.namespace", &service.namespace));
    }
    all.push(("service.instance.id", &service.instance_id));
    all.extend(service.extra.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    all.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A series: the resource's attributes, the metric's name, and the attributes of the series.
pub(super) type Key = (String, String, String);

/// Its values, in nanoseconds or bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    pub(super) count: u64,
    pub(super) sum: u128,
    pub(super) buckets: Vec<u64>,
    pub(super) least: u64,
    pub(super) greatest: u64,
}

/// A span, as metrics see it.
struct Seen<'a> {
    batch: &'a SpanBatch,
    span: &'a SpanHead,
    service: &'a Service,
    /// Names of services that are observed.
    tracked: &'a [String],
}

impl Seen<'_> {
    fn is_client(&self) -> bool {
        self.span.family == SpanFamily::HttpClient
    }

    fn text(&self, key: AttrKey) -> String {
        self.batch.attr_text(self.span, key).to_owned()
    }

    /// A host by name; `None` = it has none.
    fn host(&self, key: AttrKey) -> Option<String> {
        Self::named(self.text(key))
    }

    fn named(name: String) -> Option<String> {
        let nameless = name.is_empty() || name.parse::<std::net::IpAddr>().is_ok();
        (!nameless).then_some(name)
    }

    fn host_word(&self, key: AttrKey) -> String {
        let word = match (key, self.is_client()) {
            (AttrKey::ServerAddress, true) => "outgoing",
            (AttrKey::ClientAddress, false) => "incoming",
            _ => "unresolved",
        };
        self.host(key).unwrap_or_else(|| word.to_owned())
    }

    fn peer(&self) -> AttrKey {
        if self.is_client() { AttrKey::ServerAddress } else { AttrKey::ClientAddress }
    }

    /// The name of a side, and the namespace that is known of it.
    fn side(&self, client: bool) -> (String, String) {
        if client == self.is_client() {
            let key = if client { AttrKey::ClientAddress } else { AttrKey::ServerAddress };
            let name = match self.text(key).is_empty() {
                true => self.service.name.clone(),
                false => self.host_word(key),
            };
            return (name, self.service.namespace.clone());
        }
        match self.remote() {
            Some(name) => (name, String::new()),
            None => (self.host_word(self.peer()), self.service.namespace.clone()),
        }
    }

    /// What the other side is called, if it has a name.
    fn remote(&self) -> Option<String> {
        let peer = self.text(AttrKey::ServicePeerName);
        if self.is_client() && !peer.is_empty() {
            Self::named(peer)
        } else {
            self.host(self.peer())
        }
    }

    fn asks_a_stranger(&self) -> bool {
        let stranger = |name: String| !self.tracked.contains(&name);
        self.is_client() && self.remote().is_some_and(stranger)
    }

    fn name(&self) -> String {
        let parts = [AttrKey::HttpRequestMethod, AttrKey::HttpRoute].map(|key| self.text(key));
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// An attribute as the Collector writes it.
    fn attribute(&self, key: &str) -> Option<Value> {
        let number = |of| self.batch.attr_i64(self.span, of).unwrap_or(0);
        let value = match key {
            "http.response.status_code" => {
                return Some(int(key, number(AttrKey::HttpResponseStatusCode)));
            }
            "server.port" => return Some(int(key, number(AttrKey::ServerPort))),
            "http.request.method" => self.text(AttrKey::HttpRequestMethod),
            "http.route" => self.text(AttrKey::HttpRoute),
            "url.scheme" => self.text(AttrKey::UrlScheme),
            "server.address" => self.host_word(AttrKey::ServerAddress),
            "client.address" => self.host_word(AttrKey::ClientAddress),
            "service.name" => self.service.name.clone(),
            "service.namespace" => self.service.namespace.clone(),
            "service.instance.id" => self.service.instance_id.clone(),
            "telemetry.sdk.language" => self.service.language.to_owned(),
            "host.id" => self.service.host_id.clone(),
            "source" => "obi".to_owned(),
            "span.name" => self.name(),
            "span.kind" if self.is_client() => "SPAN_KIND_CLIENT".to_owned(),
            "span.kind" => "SPAN_KIND_SERVER".to_owned(),
            "status.code" => self.span.status.word().to_owned(),
            "client" => self.side(true).0,
            "server" => self.side(false).0,
            "client_service_namespace" => self.side(true).1,
            "server_service_namespace" => self.side(false).1,
            "connection_type" if self.asks_a_stranger() => "virtual_node".to_owned(),
            "connection_type" => String::new(),
            other => panic!("{other} is not known to the test"),
        };
        let left_out = ["http.request.method", "connection_type"].contains(&key);
        (!value.is_empty() || !left_out).then(|| text(key, &value))
    }

    /// What a metric takes from it; `None` = nothing.
    fn measured(&self, metric: &str) -> Option<u64> {
        let client = self.is_client();
        let duration = self.span.times.end.0 - self.span.times.request_start.0;
        let bytes = |key| self.batch.attr_i64(self.span, key).map(|n| u64::try_from(n).unwrap());
        let (request, response) = (AttrKey::HttpRequestBodySize, AttrKey::HttpResponseBodySize);
        match metric {
            "http.server.request.duration" | "traces_service_graph_request_server" if client => {
                None
            }
            "http.server.request.body.size" | "http.server.response.body.size" if client => None,
            "http.client.request.duration" | "traces_service_graph_request_client" if !client => {
                None
            }
            "http.client.request.body.size" | "http.client.response.body.size" if !client => None,
            "http.server.request.body.size"
            | "http.client.request.body.size"
            | "traces_spanmetrics_size_total" => bytes(request),
            "http.server.response.body.size"
            | "http.client.response.body.size"
            | "traces_spanmetrics_response_size_total" => bytes(response),
            "traces_spanmetrics_calls_total" | "traces.span.metrics.calls" => Some(1),
            "traces_service_graph_request_failed_total" => {
                (self.span.status.word() == "STATUS_CODE_ERROR").then_some(1)
            }
            "traces_service_graph_request_total" => {
                (!client || self.asks_a_stranger()).then_some(1)
            }
            "http.server.request.duration"
            | "http.client.request.duration"
            | "traces_spanmetrics_latency"
            | "traces.span.metrics.duration"
            | "traces_service_graph_request_client"
            | "traces_service_graph_request_server" => Some(duration),
            other => panic!("{other} is not known to the test"),
        }
    }
}

/// Every series of these metrics over OTLP that these spans come to.
pub(super) fn expected(rows: &[Row], batches: &[Arc<SpanBatch>]) -> BTreeMap<Key, Series> {
    let services = batches.iter().flat_map(|batch| &batch.services);
    let tracked: Vec<String> = services.map(|service| service.name.clone()).collect();
    let mut all = BTreeMap::new();
    for batch in batches {
        for span in &batch.spans {
            let service = batch.service(span).unwrap();
            let seen = Seen { batch, span, service, tracked: &tracked };
            let resource = resource(service);
            let resource = list(resource.iter().map(|(key, value)| text(key, value)));
            for row in rows {
                if let Some(value) = seen.measured(&row.otel) {
                    let attributes = list(row.keys.iter().filter_map(|key| seen.attribute(key)));
                    let key = (resource.clone(), row.otel.clone(), attributes);
                    add(all.entry(key).or_default(), row, value);
                }
            }
        }
    }
    all
}

fn add(series: &mut Series, row: &Row, value: u64) {
    let Series { count, sum, buckets, least, greatest } = series;
    *least = if *count == 0 { value } else { value.min(*least) };
    *greatest = value.max(*greatest);
    *count += 1;
    *sum += u128::from(value);
    if row.is_histogram {
        buckets.resize(row.limits.len() + 1, 0);
        buckets[row.limits.partition_point(|limit| row.finest(*limit) < value)] += 1;
    }
}

/// Attributes as text, to be compared.
pub(super) fn list(attributes: impl IntoIterator<Item = Value>) -> String {
    Value::Array(attributes.into_iter().collect()).to_string()
}
