//! The channels between the stages. Every bound is named here.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::abi::RawBatch;
use crate::config::Fault;
use crate::discovery::{self, Request};
use crate::model::batch::SpanBatch;
use crate::model::process::LoaderOrder;
use crate::stages::decoder::Question;
use crate::stages::decorator::Output;
use crate::stages::exporter::Exporter;
use crate::stages::{decoder, reader};

/// Batches between two stages. Full = the sender waits; the ring absorbs.
pub(super) const BATCHES_MAX: usize = 8;
/// Process records, decisions and facts under way. Full = the sender waits.
const PROCESS_QUEUE_MAX: usize = 1024;

/// Each stage's ends.
pub(super) struct Wires {
    pub(super) reader: reader::Channels,
    pub(super) decoder: decoder::Channels,
    pub(super) decorator: Receiver<SpanBatch>,
    pub(super) discovery: discovery::Channels,
    pub(super) loader: Receiver<LoaderOrder>,
    /// The exporters' end: empty batches for the decoder.
    pub(super) spares: Sender<SpanBatch>,
    /// Whoever asks the decoder for its account, or what it saw.
    pub(super) ask_decoder: Sender<Question>,
    /// Whoever hands discovery another configuration, or asks why.
    pub(super) ask_discovery: Sender<Request>,
}

impl Wires {
    pub(super) fn new() -> Self {
        let (batches, batches_in) = bounded::<RawBatch>(BATCHES_MAX);
        let (recycled, recycled_in) = bounded(BATCHES_MAX);
        let (spans, spans_in) = bounded(BATCHES_MAX);
        let (spares, spares_in) = bounded(BATCHES_MAX);
        let (processes, processes_in) = bounded(PROCESS_QUEUE_MAX);
        let (facts, facts_in) = bounded(PROCESS_QUEUE_MAX);
        let (orders, orders_in) = bounded(PROCESS_QUEUE_MAX);
        let (ask_decoder, questions) = bounded(1);
        let (ask_discovery, requests) = bounded(1);
        Self {
            reader: reader::Channels { batches, recycled: recycled_in },
            decoder: decoder::Channels {
                batches: batches_in,
                recycled,
                facts: facts_in,
                processes,
                spans,
                spares: spares_in,
                questions,
            },
            spares,
            decorator: spans_in,
            discovery: discovery::Channels {
                records: processes_in,
                requests,
                loader: orders,
                decoder: facts,
            },
            loader: orders_in,
            ask_decoder,
            ask_discovery,
        }
    }
}

/// Every exporter's queue as an output of the decorator. With the test's fault, each loses one
/// span on the way.
pub(super) fn outputs(exporters: &[Exporter], fault: Option<Fault>) -> Vec<Output> {
    exporters
        .iter()
        .map(|exporter| {
            let queue = exporter.queue();
            let mut lose = fault == Some(Fault::Exporter);
            Box::new(move |mut batch: Arc<SpanBatch>| {
                if std::mem::take(&mut lose) {
                    Arc::make_mut(&mut batch).spans.pop();
                }
                queue.push(batch);
            }) as Output
        })
        .collect()
}

/// The same for a replay, which waits for its exporters instead of losing spans.
pub(super) fn blocking_outputs(exporters: &[Exporter]) -> Vec<Output> {
    exporters
        .iter()
        .map(|exporter| {
            let queue = exporter.queue();
            Box::new(move |batch: Arc<SpanBatch>| queue.push_when_room(batch)) as Output
        })
        .collect()
}
