//! The exporters beside what they are made for: an OpenTelemetry Collector (`tests/collector`), Prometheus
//! and its `promtool`.
//!
//! What is sent is known beforehand: batches that are random, the same in every run, or what a load
//! generator counted. What the other side says it got must be that, exactly.

mod batches;
mod live;
mod metrics;
mod model;
mod pages;
mod spans;
mod translated;

use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::bounded;
use nix::sys::signal::Signal;
use obi::config::{Environment, Purpose};
use obi::model::batch::SpanBatch;
use obi::model::ids::Tgid;
use obi::model::living::Living;
use obi::stages::exporter::{Exporters, Surroundings, spawn};
use obi::telemetry::{Counters, FiguresSource};
use serde_json::Value;

use crate::servers::{self, Server, free_port};
use crate::turn::{Need, app, scratch};
use crate::{eventually, patience};

const COLLECTOR: Need = Need::App("collector");
const PROMETHEUS: Need = Need::Command("prometheus");
const CURL: Need = Need::Command("curl");

/// A running OpenTelemetry Collector: it writes what it takes into files, and shows metrics to Prometheus.
struct Collector {
    server: Server,
    grpc: u16,
    http: u16,
    prometheus: u16,
}

impl Collector {
    #[track_caller]
    fn start() -> Self {
        let [grpc, http, prometheus] = [(); 3].map(|()| free_port());
        let dir = scratch();
        let at = dir.path().display();
        let configuration = format!(
            "receivers:\n  otlp:\n    protocols:\n\
             \x20     grpc: {{endpoint: '127.0.0.1:{grpc}'}}\n\
             \x20     http: {{endpoint: '127.0.0.1:{http}'}}\n\
             exporters:\n\
             \x20 file/traces: {{path: {at}/traces}}\n\
             \x20 file/metrics: {{path: {at}/metrics}}\n\
             \x20 prometheus: {{endpoint: '127.0.0.1:{prometheus}', metric_expiration: 1h}}\n\
             service:\n\
             \x20 telemetry: {{metrics: {{level: none}}, logs: {{level: warn}}}}\n\
             \x20 pipelines:\n\
             \x20   traces: {{receivers: [otlp], exporters: [file/traces]}}\n\
             \x20   metrics: {{receivers: [otlp], exporters: [file/metrics, prometheus]}}\n"
        );
        let file = dir.path().join("config.yaml");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new(app("collector"));
        let server = Server::start_in(dir, http, command.arg("--config").arg(file));
        for port in [grpc, prometheus] {
            eventually("the collector listens", || {
                std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
        }
        Self { server, grpc, http, prometheus }
    }

    /// Where it takes this protocol.
    fn endpoint(&self, protocol: &str) -> String {
        let port = if protocol == "grpc" { self.grpc } else { self.http };
        format!("http://127.0.0.1:{port}")
    }

    /// Stops it; what it wrote of a signal, request by request.
    #[track_caller]
    fn end(&mut self) {
        self.server.end(Signal::SIGTERM);
        assert_eq!(self.server.output(), "", "it has nothing to complain about");
    }

    /// What it wrote of a signal, once it ended: one document for each request.
    #[track_caller]
    fn wrote(&self, signal: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.server.file(signal)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

/// A running Prometheus that scrapes one target.
struct Prometheus {
    server: Server,
}

impl Prometheus {
    /// One that fetches from `port` and believes what is said there of jobs and instances.
    #[track_caller]
    fn start(port: u16, path: &str) -> Self {
        let own = free_port();
        let dir = scratch();
        let configuration = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
             scrape_configs:\n- job_name: obi\n  honor_labels: true\n  metrics_path: {path}\n\
             \x20 static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        );
        let file = dir.path().join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{own}"))
            .arg("--log.level=warn");
        Self { server: Server::start_in(dir, own, &mut command) }
    }

    /// The `data` of an answer of its API.
    #[track_caller]
    fn asked(&self, path: &str, parameters: &[&str]) -> Value {
        let mut command = Command::new("curl");
        command.args(["-sfG", &self.server.url(&format!("/api/v1/{path}"))]);
        command.args(parameters.iter().flat_map(|one| ["--data-urlencode", one]));
        let mut answer: Value = serde_json::from_str(&servers::run(&mut command)).unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"].take()
    }

    /// What a query finds now: labels, and the value as it is written.
    #[track_caller]
    fn query(&self, query: &str) -> Vec<(Value, String)> {
        let data = self.asked("query", &[&format!("query={query}")]);
        let Value::Array(found) = &data["result"] else { panic!("{data}") };
        let sample =
            |of: &Value| (of["metric"].clone(), of["value"][1].as_str().unwrap().to_owned());
        found.iter().map(sample).collect()
    }

    /// The one number that a query comes to, if it is there by now.
    #[track_caller]
    fn number(&self, query: &str) -> Option<f64> {
        let found = self.query(query);
        assert!(found.len() < 2, "{query}: {found:?}");
        found.first().map(|(_, value)| value.parse().unwrap())
    }

    /// Why the last scrape failed; empty = it did not.
    #[track_caller]
    fn error(&self) -> String {
        let data = self.asked("targets", &[]);
        data["activeTargets"][0]["lastError"].as_str().unwrap().to_owned()
    }
}

/// The exporters that these settings ask for, in this process, while these services are observed.
fn exporters(variables: &[(&str, &str)], batches: &[Arc<SpanBatch>]) -> Exporters {
    let all = [("OTEL_EBPF_AUTO_TARGET_EXE", "*")];
    let env: Environment =
        all.iter().chain(variables).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let config = obi::config::load(None, &env, Purpose::Observe).unwrap().config;
    let living = Living::default();
    for (n, service) in (1..).zip(batches.iter().flat_map(|batch| &batch.services)) {
        living.set(Tgid(n), Some(Arc::clone(service)));
    }
    // What they complain about stands beside the test's result.
    tracing_subscriber::fmt().with_writer(std::io::stderr).try_init().unwrap_or(());
    let around = Surroundings {
        spares: bounded(0).0,
        living,
        counters: Arc::new(Counters::default()),
        figures: FiguresSource::default(),
        host_id: "h".to_owned(),
    };
    let stdout = File::options().write(true).open("/dev/null").unwrap();
    spawn(&config, stdout, &around).unwrap()
}

/// Gives all batches to all exporters.
fn push(exporters: &Exporters, batches: &[Arc<SpanBatch>]) {
    for exporter in &exporters.running {
        batches.iter().for_each(|batch| exporter.queue().push(Arc::clone(batch)));
    }
}

/// Stops the exporters, which must have delivered everything.
#[track_caller]
fn delivered(exporters: Exporters, spans: usize) {
    for exporter in exporters.running {
        let name = exporter.name();
        let stage = exporter.join(Instant::now() + patience());
        let account = (stage.in_, stage.out, stage.in_flight);
        assert_eq!(account, (spans as u64, spans as u64, 0), "{name}: {:?}", stage.drops);
    }
}

/// A page of metrics, in the format that `accept` asks for.
#[track_caller]
fn page(port: u16, path: &str, accept: &str) -> String {
    let url = format!("http://127.0.0.1:{port}{path}");
    servers::run(Command::new("curl").args(["-sf", "-H", &format!("Accept: {accept}"), &url]))
}

/// How the formats are asked for.
const TEXT: &str = "text/plain";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";
