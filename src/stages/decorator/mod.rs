//! Decorator: completes spans with what their conversation itself does not say, then shares the
//! batch with every exporter.

mod names;
mod own_exports;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::model::batch::SpanBatch;
use crate::telemetry::{Counter, Counters, Stage};
use names::Names;
use own_exports::OwnExporters;

/// Where finished batches go; must not block.
pub type Output = Box<dyn FnMut(Arc<SpanBatch>) + Send>;

/// The stage. Lives until the decoder hangs up.
pub struct Decorator {
    names: Names,
    /// Spans of a process that exports traces by itself are left out.
    own_exports: Option<OwnExporters>,
    counters: Arc<Counters>,
}

impl fmt::Debug for Decorator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decorator").finish_non_exhaustive()
    }
}

impl Decorator {
    /// A decorator that counts into `counters`.
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { names: Names::default(), own_exports: None, counters }
    }

    /// Leaves out spans of processes that are seen to export traces by themselves, if `so`.
    pub fn without_own_exporters(self, so: bool) -> Self {
        Self { own_exports: so.then(OwnExporters::default), ..self }
    }

    /// Decorates batches until the sender is gone.
    pub fn run(mut self, rx: &Receiver<SpanBatch>, mut outputs: Vec<Output>) {
        for batch in rx {
            let batch = self.complete(batch);
            for output in &mut outputs {
                output(Arc::clone(&batch));
            }
            self.counters.add(Counter::DecoratorSpansOut, batch.spans.len() as u64);
        }
    }

    /// Completes the spans of one batch and shares it.
    pub fn complete(&mut self, mut batch: SpanBatch) -> Arc<SpanBatch> {
        self.counters.add(Counter::DecoratorSpansIn, batch.spans.len() as u64);
        if let Some(own_exports) = &mut self.own_exports {
            let dropped = own_exports.leave_out(&mut batch);
            self.counters.add(Counter::SpansOfOwnExporter, dropped);
        }
        self.names.complete(&mut batch);
        Arc::new(batch)
    }
}

/// The stage's account. It holds nothing between batches.
pub fn ledger(counters: &Counters) -> Stage {
    Stage {
        name: "decorator.spans",
        in_: counters.get(Counter::DecoratorSpansIn),
        out: counters.get(Counter::DecoratorSpansOut),
        drops: vec![(
            Counter::SpansOfOwnExporter.reason(),
            counters.get(Counter::SpansOfOwnExporter),
        )],
        in_flight: 0,
    }
}
