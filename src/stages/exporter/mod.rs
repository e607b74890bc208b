//! Exporters: printers on stdout, OTLP, and metrics. Each has a thread and a bounded queue of its own, so
//! that none can delay another, the pipeline, or the stop.

pub mod aggregate;
mod duration;
mod headers;
mod hex;
mod internal;
mod json;
mod levels;
pub mod otlp;
mod printer;
mod prometheus;
pub mod queue;
mod text;
mod values;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod metrics_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, bounded};
use tracing::warn;

use crate::config::{BatchConfig, Config, InternalOutput, TracePrinter};
use crate::model::batch::SpanBatch;
use crate::model::living::Living;
use crate::model::time::instant_now;
use crate::telemetry::{Counters, FiguresSource, Stage};
use aggregate::{Aggregator, Way};
use internal::{Internal, Scrapes};
use levels::Levels;
use otlp::{MetricsEncoder, Pusher, SpanExporter, Temporality};
use printer::{Format, Printer};
pub use prometheus::Endpoint;
use prometheus::{Page, Source, StoreSource};
use queue::{DropReason, Limits, Signal, SpanQueue};

/// Bytes of batches that wait for one exporter at most.
const QUEUE_BYTES: usize = 64 << 20;

/// Spans that wait for the aggregator at most: what a core makes in a tenth of a second.
const METRICS_SPANS: usize = 131_072;

/// How long after the deadline an exporter may still account for what it had in hand.
const SETTLE: Duration = Duration::from_millis(200);

/// What exporters have in common with the rest of the agent.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where the memory of batches goes that nobody needs any more.
    pub spares: Sender<SpanBatch>,
    /// Processes that are observed now.
    pub living: Living,
    /// The agent's counters.
    pub counters: Arc<Counters>,
    /// The agent's figures.
    pub figures: FiguresSource,
    /// `host.id`.
    pub host_id: String,
}

/// What takes spans, and what shows metrics.
#[derive(Debug)]
pub struct Exporters {
    /// Each has a queue.
    pub running: Vec<Exporter>,
    /// They stop when dropped.
    pub endpoints: Vec<Endpoint>,
}

/// Starts every exporter that `config` asks for; printers write to `stdout`. Nothing is started when one
/// of them cannot be.
///
/// # Errors
/// When an endpoint cannot be used or a thread cannot be started.
pub fn spawn(config: &Config, stdout: File, around: &Surroundings) -> anyhow::Result<Exporters> {
    let spares = &around.spares;
    let otlp = config.traces.as_ref().map(|traces| {
        let counters = Arc::clone(&around.counters);
        SpanExporter::new(traces, &config.metrics, counters)
            .map(|exporter| (exporter, traces.batch.queue_size))
    });
    let mut exporters = Vec::new();
    if let Some((exporter, spans)) = otlp.transpose()? {
        exporters.push(Exporter::spawn("exporter.otlp", Signal::Traces, spans, spares, |queue| {
            exporter.run(queue)
        })?);
    }
    if let Some(format) = format(config.agent.trace_printer) {
        let printer = Printer::new(format, stdout);
        let spans = BatchConfig::default().queue_size;
        exporters.push(Exporter::spawn(
            "exporter.printer",
            Signal::Traces,
            spans,
            spares,
            |queue| printer.run(queue),
        )?);
    }
    let (aggregator, endpoints) = metrics(config, around)?;
    exporters.extend(aggregator);
    Ok(Exporters { running: exporters, endpoints })
}

/// The aggregator, if metrics of spans go anywhere, and what Prometheus may fetch.
fn metrics(
    config: &Config,
    around: &Surroundings,
) -> anyhow::Result<(Option<Exporter>, Vec<Endpoint>)> {
    let metrics = &config.metrics;
    let mut aggregator = Aggregator::new(metrics);
    let makes_series = metrics.prometheus.is_some() || metrics.push.is_some();
    let endpoints = endpoints(config, &mut aggregator, around)?;
    let pusher = match (&metrics.push, aggregator.view(Way::Otlp)) {
        (Some(push), Some((shared, views))) => {
            let levels = Levels::new(around.living.clone(), Way::Otlp, metrics, &push.output);
            let delta = if push.delta { Temporality::Delta } else { Temporality::Cumulative };
            let exemplars = push.output.exemplars;
            let internal = &config.internal;
            let internal = (internal.output == InternalOutput::Otlp)
                .then(|| Internal::new(internal, Way::Otlp, around, Vec::new()));
            let encoder = MetricsEncoder::new(shared, views, levels, delta, exemplars)
                .with_internal(internal);
            Some(Pusher::start(push, encoder, Arc::clone(&around.counters))?)
        }
        _ => None,
    };
    if !makes_series {
        return Ok((None, endpoints));
    }
    let (living, counters) = (around.living.clone(), Arc::clone(&around.counters));
    let run = move |queue: &SpanQueue| {
        aggregator.run(queue, &living, &counters);
        if let (Some(pusher), Some(deadline)) = (pusher, queue.deadline()) {
            pusher.finish(deadline);
        }
    };
    let (name, spares) = ("exporter.metrics", &around.spares);
    let aggregator = Exporter::spawn(name, Signal::Metrics, METRICS_SPANS, spares, run)?;
    Ok((Some(aggregator), endpoints))
}

/// What Prometheus may fetch: a page of series, one of the agent's own metrics, or one of both.
fn endpoints(
    config: &Config,
    aggregator: &mut Aggregator,
    around: &Surroundings,
) -> anyhow::Result<Vec<Endpoint>> {
    let metrics = &config.metrics;
    let mut pages = Vec::new();
    if let (Some(to), Some((shared, views))) =
        (&metrics.prometheus, aggregator.view(Way::Prometheus))
    {
        let levels = Levels::new(around.living.clone(), Way::Prometheus, metrics, &to.output);
        let store = StoreSource::new(shared, views, levels, to.output.exemplars);
        let source = Source { store: Some(store), internal: None };
        pages.push((PROMETHEUS_PORT, Scrapes::of(to.port, &to.path), source));
    }
    if let InternalOutput::Prometheus { port, path } = &config.internal.output {
        if !pages.iter().any(|(_, page, _)| page.is_at(*port, path)) {
            pages.push((INTERNAL_PORT, Scrapes::of(*port, path), Source::default()));
        }
        let all = pages.iter().map(|(_, page, _)| Arc::clone(page)).collect();
        let internal = Internal::new(&config.internal, Way::Prometheus, around, all);
        let page = pages.iter_mut().find(|(_, page, _)| page.is_at(*port, path));
        if let Some((.., source)) = page {
            source.internal = Some(internal);
        }
    }
    let mut by_port = BTreeMap::new();
    for (key, scrapes, source) in pages {
        let (_, pages) = by_port.entry(scrapes.port).or_insert((key, Vec::new()));
        pages.push(Page { scrapes, source: Arc::new(source) });
    }
    by_port.into_iter().map(|(port, (key, pages))| Endpoint::start(port, key, pages)).collect()
}

/// Settings that say which ports are listened on.
const PROMETHEUS_PORT: &str = "prometheus_export.port";
const INTERNAL_PORT: &str = "internal_metrics.prometheus.port";

fn format(printer: TracePrinter) -> Option<Format> {
    match printer {
        TracePrinter::Disabled => None,
        TracePrinter::Counter => Some(Format::Counter),
        TracePrinter::Text => Some(Format::Text),
        TracePrinter::Json => Some(Format::Json { indent: false }),
        TracePrinter::JsonIndent => Some(Format::Json { indent: true }),
    }
}

/// A running exporter.
#[derive(Debug)]
pub struct Exporter {
    name: &'static str,
    queue: Arc<SpanQueue>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Exporter {
    fn spawn(
        name: &'static str,
        signal: Signal,
        spans: usize,
        spares: &Sender<SpanBatch>,
        run: impl FnOnce(&SpanQueue) + Send + 'static,
    ) -> anyhow::Result<Self> {
        let queue =
            Arc::new(SpanQueue::new(signal, Limits { spans, bytes: QUEUE_BYTES }, spares.clone()));
        let (alive, ended) = bounded(0);
        let own = Arc::clone(&queue);
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _alive = alive;
                run(&own);
            })
            .with_context(|| format!("start the thread of {name}"))?;
        Ok(Self { name, queue, ended, thread })
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where to push batches; pushing never blocks.
    pub fn queue(&self) -> Arc<SpanQueue> {
        Arc::clone(&self.queue)
    }

    /// The account so far.
    pub fn stage(&self) -> Stage {
        self.queue.stage(self.name)
    }

    /// Begins the stop: what is queued may still go out until `deadline`.
    pub fn close(&self, deadline: Instant) {
        self.queue.close(deadline);
    }

    /// Waits for the exporter until `deadline`. One that is stuck is left behind, and what it had
    /// not delivered counts as dropped. Gives the final account.
    pub fn join(self, deadline: Instant) -> Stage {
        self.close(deadline);
        // An exporter stops at the deadline by itself; its last account takes a moment.
        let left = deadline.saturating_duration_since(instant_now()) + SETTLE;
        // Nothing is ever sent: either the thread ends or the time is over.
        let timed_out = self.ended.recv_timeout(left).is_err_and(|e| e.is_timeout());
        self.queue.end(DropReason::Shutdown);
        if timed_out {
            warn!(exporter = self.name, "did not stop in time and is left behind");
        } else if self.thread.join().is_err() {
            warn!(exporter = self.name, "ended by a panic");
        }
        self.queue.stage(self.name)
    }
}
