//! `obi record` and `obi replay`: the pipeline cut in two between the reader and the decoder.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufReader, BufWriter};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use crossbeam_channel::{Sender, bounded};
use tracing::info;

use super::wires::{self, BATCHES_MAX};
use super::{accounts, seed, stage};
use crate::abi::recording::{Entry, Recorder, Recording};
use crate::abi::{self, RawBatch, RawEvent};
use crate::config::Config;
use crate::model::batch::SpanBatch;
use crate::model::living::Living;
use crate::model::process::{ProcessFact, ProcessRecord};
use crate::model::time::instant_now;
use crate::stages::decoder::{self, Decoder};
use crate::stages::exporter;
use crate::telemetry::{Counters, FiguresSource, Messages, Stage};

/// Writes what the decoder would have been given. Ends with the reader.
pub(super) struct RecorderStage {
    file: File,
}

impl RecorderStage {
    /// The file at `path`, readable by its owner alone: payloads are private. What it holds is
    /// replaced when the recording begins, not when the start fails.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("create the recording {}", path.display()))?;
        if is_regular(&file) {
            file.set_permissions(Permissions::from_mode(0o600))
                .with_context(|| format!("make the recording {} private", path.display()))?;
        }
        Ok(Self { file })
    }

    pub(super) fn run(self, facts: Vec<ProcessFact>, channels: decoder::Channels) -> Result<()> {
        let context = "write the recording";
        if is_regular(&self.file) {
            self.file.set_len(0).context(context)?;
        }
        let mut recorder = Recorder::new(BufWriter::new(self.file), seed()).context(context)?;
        for fact in &facts {
            recorder.fact(fact).context(context)?;
        }
        let decoder::Channels { batches, recycled, facts, processes, .. } = channels;
        for mut batch in batches {
            for fact in facts.try_iter() {
                recorder.fact(&fact).context(context)?;
            }
            if !batch.is_empty() {
                recorder.batch(&batch).context(context)?;
            }
            tell_discovery(&batch, &processes);
            batch.clear(decoder::BATCH_KEEP_BYTES);
            // A full way back means that the reader has batches enough.
            let _unneeded = recycled.try_send(batch);
        }
        drop(processes);
        for fact in facts {
            recorder.fact(&fact).context(context)?;
        }
        recorder.finish().context("finish the recording")
    }
}

/// Neither a device nor a pipe, whose mode and length are not ours.
fn is_regular(file: &File) -> bool {
    file.metadata().is_ok_and(|m| m.is_file())
}

fn tell_discovery(batch: &RawBatch, processes: &Sender<ProcessRecord>) {
    for record in batch.iter() {
        if let Ok(RawEvent::Process(record)) = abi::decode(record)
            && processes.send(record).is_err()
        {
            tracing::debug!("discovery is gone");
        }
    }
}

/// Runs a recording through decoder, decorator and exporters. Needs neither root nor BPF.
///
/// # Errors
/// When the file is foreign, made by another layout, truncated or damaged; what was whole before
/// the damage has been replayed by then.
pub fn replay(config: &Config, path: &Path, messages: &mut Messages) -> Result<()> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut recording = Recording::open(BufReader::new(file))
        .with_context(|| format!("replay {}", path.display()))?;
    let counters = Arc::new(Counters::default());
    let mut decoder =
        Decoder::new(recording.seed, Arc::clone(&counters)).showing(config.shown.clone());
    // Nobody takes memory back: a replay is over soon.
    let (spares, _) = bounded(0);
    let around = exporter::Surroundings {
        spares,
        living: Living::default(),
        counters: Arc::clone(&counters),
        figures: FiguresSource::default(),
        host_id: String::new(),
    };
    let exporters = exporter::spawn(config, super::stdout()?, &around)?;
    decoder.tell(around.living);
    let outputs = wires::blocking_outputs(&exporters.running);
    let (spans, decorated) = bounded::<SpanBatch>(BATCHES_MAX);
    // Names are not asked for: a replay is the same everywhere.
    let decorator = super::decorator(config, Arc::clone(&counters));
    let decorator = stage("decorator", move || {
        decorator.run(&decorated, outputs);
        Ok(())
    })?;
    let outcome = feed(&mut decoder, &mut recording, &spans);
    let mut out = SpanBatch::default();
    decoder.finish(&mut out);
    send(&spans, out);
    drop(spans);
    let mut failures = Vec::new();
    super::collect("decorator", decorator, &mut failures);
    let deadline = instant_now() + config.agent.shutdown_timeout;
    let exporters: Vec<Stage> = exporters.running.into_iter().map(|e| e.join(deadline)).collect();
    let ledger = accounts::replayed(&counters, decoder.account(), exporters);
    super::settle(config, ledger, messages)?;
    info!(records = counters.get(crate::telemetry::Counter::RecordsIn), "replayed");
    outcome.with_context(|| format!("replay {}", path.display()))
}

fn feed(
    decoder: &mut Decoder,
    recording: &mut Recording<BufReader<File>>,
    spans: &Sender<SpanBatch>,
) -> Result<()> {
    while let Some(entry) = recording.next_entry()? {
        match entry {
            Entry::Fact(fact) => decoder.fact(fact),
            Entry::Batch(batch) => {
                let mut out = SpanBatch::default();
                decoder.decode(&batch, &mut out);
                send(spans, out);
            }
        }
    }
    Ok(())
}

fn send(spans: &Sender<SpanBatch>, batch: SpanBatch) {
    if !batch.spans.is_empty() && spans.send(batch).is_err() {
        tracing::debug!("the decorator is gone");
    }
}
