//! The agent's own metrics, made of its figures whenever they are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Surroundings;
use super::aggregate::Way;
use super::levels::{Amount, Histogram, Level, build};
use crate::config::InternalConfig;
use crate::model::living::Living;
use crate::semconv::metrics::{
    AVOIDED_SERVICES, EVENTS, INSTRUMENTED_PROCESSES, INTERNAL_BUILD_INFO, LEDGER_IN_FLIGHT,
    LEDGER_ITEMS, Limits, MAP_ENTRIES, MAP_MAX_ENTRIES, METRIC_EXPORT_ERRORS, METRIC_EXPORTS,
    Metric, PROBE_EXECUTIONS, PROBE_LATENCY, PROBE_SECONDS, QUEUE_CAPACITY, SCRAPES,
    TRACE_EXPORT_ERRORS, TRACE_EXPORTS, TRACER_FLUSHES,
};
use crate::telemetry::{
    Counter, Counters, FLUSH_LIMITS, Figures, FiguresSource, MapFigures, ProgramFigures,
};

/// Requests for one page.
#[derive(Debug)]
pub(super) struct Scrapes {
    pub(super) port: u16,
    pub(super) path: String,
    number: AtomicU64,
}

impl Scrapes {
    pub(super) fn of(port: u16, path: &str) -> Arc<Self> {
        Arc::new(Self { port, path: path.to_owned(), number: AtomicU64::new(0) })
    }

    pub(super) fn is_at(&self, port: u16, path: &str) -> bool {
        (self.port, self.path.as_str()) == (port, path)
    }

    pub(super) fn count(&self) {
        self.number.fetch_add(1, Ordering::Relaxed);
    }
}

/// The agent's own metrics for one way out.
#[derive(Debug)]
pub(super) struct Internal {
    way: Way,
    figures: FiguresSource,
    counters: Arc<Counters>,
    living: Living,
    /// Series of services that export by themselves, at most.
    avoided_max: usize,
    scrapes: Vec<Arc<Scrapes>>,
    latencies: Latencies,
    /// The agent's resource.
    pub(super) identity: Vec<(&'static str, String)>,
}

/// What the agent is called among services.
const SERVICE_NAME: &str = "opentelemetry-ebpf-instrumentation";

/// The agent's resource. `host_id` is that of the processes.
fn identity(host_id: &str) -> Vec<(&'static str, String)> {
    // A new one for each run; without /proc, there is none.
    let instance = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    vec![
        ("service.name", SERVICE_NAME.to_owned()),
        ("service.instance.id", instance.trim().to_owned()),
        ("telemetry.sdk.language", "rust".to_owned()),
        ("telemetry.sdk.name", "opentelemetry".to_owned()),
        ("telemetry.sdk.version", "unknown".to_owned()),
        ("telemetry.distro.name", SERVICE_NAME.to_owned()),
        ("telemetry.distro.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("host.id", host_id.to_owned()),
    ]
}

/// A label: its name over OTLP, for Prometheus, and its value.
type Named<'a> = (&'static str, &'static str, &'a str);

impl Internal {
    /// Those that `config` wants, for one way out.
    pub(super) fn new(
        config: &InternalConfig,
        way: Way,
        around: &Surroundings,
        scrapes: Vec<Arc<Scrapes>>,
    ) -> Self {
        Self {
            way,
            figures: around.figures.clone(),
            counters: Arc::clone(&around.counters),
            living: around.living.clone(),
            avoided_max: config.avoided_max,
            scrapes,
            latencies: Latencies::default(),
            identity: identity(&around.host_id),
        }
    }

    /// What holds now, metric by metric.
    pub(super) fn read(&self) -> Vec<Level> {
        let figures = self.figures.read();
        let mut all = vec![self.row(&TRACER_FLUSHES, &[], self.flushes())];
        self.exports(&mut all);
        self.processes(&mut all);
        all.push(self.row(&INTERNAL_BUILD_INFO, &build(), Amount::Int(1)));
        self.programs(&figures.programs, &mut all);
        self.maps(&figures.maps, &mut all);
        for (queue, filled) in &figures.queues {
            let labels = [("subscriber", "subscriber", *queue)];
            all.push(self.row(&QUEUE_CAPACITY, &labels, Amount::Float(*filled)));
        }
        self.ledger(&figures, &mut all);
        if self.way == Way::Prometheus {
            for scrapes in &self.scrapes {
                let port = scrapes.port.to_string();
                let labels = [("", "port", port.as_str()), ("", "path", &scrapes.path)];
                let number = scrapes.number.load(Ordering::Relaxed);
                all.push(self.row(&SCRAPES, &labels, Amount::Int(number)));
            }
        }
        all
    }

    fn row(&self, metric: &'static Metric, labels: &[Named<'_>], value: Amount) -> Level {
        let label = |(otlp, prometheus, value): &Named<'_>| {
            let name = if self.way == Way::Otlp { *otlp } else { *prometheus };
            (name.to_owned(), (*value).to_owned())
        };
        Level { metric, labels: labels.iter().map(label).collect(), overflow: false, value }
    }

    /// Batches by their number of spans.
    fn flushes(&self) -> Amount {
        let limits = match self.way {
            Way::Otlp => Limits::Flushes.over_otlp(),
            Way::Prometheus => Limits::Flushes.for_prometheus(),
        };
        let mut counts = vec![0; limits.len() + 1];
        for (n, count) in self.counters.flushes().into_iter().enumerate() {
            let limit = FLUSH_LIMITS.get(n).map_or(f64::INFINITY, |limit| as_f64(*limit));
            let bucket = limits.partition_point(|other| *other < limit);
            if let Some(cell) = counts.get_mut(bucket) {
                *cell += count;
            }
        }
        let sum = as_f64(self.counters.get(Counter::DecoratorSpansIn));
        Amount::Histogram(Histogram { limits, counts, sum })
    }

    fn exports(&self, all: &mut Vec<Level>) {
        let signals = [
            (
                [&METRIC_EXPORTS, &METRIC_EXPORT_ERRORS],
                Counter::MetricsExported,
                [Counter::MetricsRetried, Counter::MetricsRefused, Counter::MetricsExhausted],
            ),
            (
                [&TRACE_EXPORTS, &TRACE_EXPORT_ERRORS],
                Counter::TracesExported,
                [Counter::TracesRetried, Counter::TracesRefused, Counter::TracesExhausted],
            ),
        ];
        for ([exports, errors], exported, failed) in signals {
            all.push(self.row(exports, &[], self.counted(exported)));
            all.extend(failed.into_iter().map(|counter| {
                let labels = [("obi.error", "error", counter.reason())];
                self.row(errors, &labels, self.counted(counter))
            }));
        }
    }

    fn counted(&self, counter: Counter) -> Amount {
        Amount::Int(self.counters.get(counter))
    }

    /// Who is observed, and who exports a signal by itself.
    fn processes(&self, all: &mut Vec<Level>) {
        let mut by_executable = BTreeMap::<String, u64>::new();
        let mut avoided = BTreeSet::new();
        for (_, service) in self.living.all() {
            *by_executable.entry(service.executable.clone()).or_default() += 1;
            let signals =
                [(service.exports.metrics(), "metrics"), (service.exports.traces(), "traces")];
            for (_, signal) in signals.into_iter().filter(|(exports, _)| *exports) {
                avoided.insert((service.name.clone(), service.namespace.clone(), signal));
            }
        }
        all.extend(by_executable.iter().map(|(executable, number)| {
            let labels = [("process.executable.name", "process_name", executable.as_str())];
            self.row(&INSTRUMENTED_PROCESSES, &labels, Amount::Int(*number))
        }));
        self.avoided(&avoided, all);
    }

    fn avoided(&self, services: &BTreeSet<(String, String, &str)>, all: &mut Vec<Level>) {
        // The series of the rest is one of them.
        let shown = match services.len() > self.avoided_max {
            true => self.avoided_max.saturating_sub(1),
            false => services.len(),
        };
        let level = |[name, namespace, signal]: [&str; 3], overflow: bool, number: usize| {
            let mut level = Level {
                overflow,
                ..self.row(
                    &AVOIDED_SERVICES,
                    &[
                        ("service.name", "service_name", name),
                        ("service.namespace", "service_namespace", namespace),
                        ("telemetry.type", "telemetry_type", signal),
                    ],
                    Amount::Int(number as u64),
                )
            };
            match self.way {
                Way::Prometheus => {
                    level.labels.push(("otel_metric_overflow".to_owned(), overflow.to_string()));
                }
                Way::Otlp if overflow => level.labels.clear(),
                Way::Otlp => {}
            }
            level
        };
        let each = services.iter().take(shown);
        all.extend(each.map(|(name, space, signal)| level([name, space, signal], false, 1)));
        if self.avoided_max > 0 && shown < services.len() {
            all.push(level([""; 3], true, services.len() - shown));
        }
    }

    fn programs(&self, programs: &[ProgramFigures], all: &mut Vec<Level>) {
        let row = |metric, program: &ProgramFigures, value| {
            let ProgramFigures { id, name, kind, .. } = program;
            let labels = [
                ("bpf.probe.id", "probe_id", &*id.to_string()),
                ("bpf.probe.type", "probe_type", kind),
                ("bpf.probe.name", "probe_name", name),
            ];
            self.row(metric, &labels, value)
        };
        match self.way {
            Way::Otlp => all.extend(programs.iter().map(|program| {
                row(&PROBE_LATENCY, program, Amount::Histogram(self.latencies.of(program)))
            })),
            Way::Prometheus => {
                let runs = |program: &ProgramFigures| Amount::Int(program.runs);
                let seconds = |program: &ProgramFigures| Amount::Float(seconds(program.run_ns));
                all.extend(programs.iter().map(|p| row(&PROBE_EXECUTIONS, p, runs(p))));
                all.extend(programs.iter().map(|p| row(&PROBE_SECONDS, p, seconds(p))));
            }
        }
    }

    fn maps(&self, maps: &[MapFigures], all: &mut Vec<Level>) {
        let row = |metric, map: &MapFigures, value| {
            let labels = [
                ("bpf.map.id", "map_id", &*map.id.to_string()),
                ("bpf.map.name", "map_name", &map.name),
                ("bpf.map.type", "map_type", map.kind),
            ];
            self.row(metric, &labels, Amount::Int(value))
        };
        all.extend(maps.iter().map(|map| row(&MAP_ENTRIES, map, map.entries)));
        all.extend(maps.iter().map(|map| row(&MAP_MAX_ENTRIES, map, map.max_entries)));
    }

    fn ledger(&self, figures: &Figures, all: &mut Vec<Level>) {
        for stage in &figures.stages {
            let flows = [("in", "", stage.in_), ("out", "", stage.out)];
            let drops = stage.drops.iter().map(|(reason, n)| ("dropped", *reason, *n));
            all.extend(flows.into_iter().chain(drops).map(|(flow, reason, n)| {
                let labels = [
                    ("obi.ledger.stage", "stage", stage.name),
                    ("obi.ledger.flow", "flow", flow),
                    ("obi.ledger.reason", "reason", reason),
                ];
                self.row(&LEDGER_ITEMS, &labels, Amount::Int(n))
            }));
        }
        all.extend(figures.stages.iter().map(|stage| {
            let labels = [("obi.ledger.stage", "stage", stage.name)];
            self.row(&LEDGER_IN_FLIGHT, &labels, Amount::Int(stage.in_flight))
        }));
        all.extend(figures.beside.iter().map(|(event, n)| {
            self.row(&EVENTS, &[("obi.event", "event", event.as_str())], Amount::Int(*n))
        }));
    }
}

/// How long programs ran, by their number: the kernel keeps the sum, so that what ran between two reads
/// counts with its average.
#[derive(Debug, Default)]
struct Latencies(Mutex<BTreeMap<u32, Latency>>);

#[derive(Debug)]
struct Latency {
    runs: u64,
    run_ns: u64,
    histogram: Histogram,
}

impl Latencies {
    fn of(&self, program: &ProgramFigures) -> Histogram {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let latency = all.entry(program.id).or_insert_with(|| {
            let limits = Limits::ProbeDurations.over_otlp();
            let counts = vec![0; limits.len() + 1];
            Latency { runs: 0, run_ns: 0, histogram: Histogram { limits, counts, sum: 0.0 } }
        });
        let runs = program.runs.saturating_sub(latency.runs);
        let run_ns = program.run_ns.saturating_sub(latency.run_ns);
        (latency.runs, latency.run_ns) = (program.runs, program.run_ns);
        if let Some(average) = run_ns.checked_div(runs) {
            let average = seconds(average);
            let Histogram { limits, counts, sum } = &mut latency.histogram;
            if let Some(cell) = counts.get_mut(limits.partition_point(|limit| *limit < average)) {
                *cell += runs;
            }
            *sum += seconds(run_ns);
        }
        latency.histogram.clone()
    }
}

fn seconds(ns: u64) -> f64 {
    as_f64(ns) / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn as_f64(n: u64) -> f64 {
    n as f64
}
