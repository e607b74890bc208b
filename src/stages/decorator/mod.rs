//! Decorator: completes spans with what their conversation itself does not say, then shares the
//! batch with every exporter.

mod filter;
mod names;
mod own_exports;
mod routes;
mod waiting;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::config::{DnsConfig, FilterConfig, RoutesConfig};
use crate::model::batch::SpanBatch;
use crate::model::span::{NotFor, Unwanted};
use crate::resolver::{Answer, Resolver};
use crate::telemetry::{Counter, Counters, Stage};
use filter::Filter;
use names::Names;
use own_exports::OwnExporters;
use routes::Routes;

/// Where finished batches go; must not block.
pub type Output = Box<dyn FnMut(Arc<SpanBatch>) + Send>;

/// Most attributes that are added to one span.
const ADDED_MAX: usize = 7;

/// The stage. Lives until the decoder hangs up.
pub struct Decorator {
    names: Names,
    routes: Option<Routes>,
    filter: Option<Filter>,
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
        Self { names: Names::default(), routes: None, filter: None, own_exports: None, counters }
    }

    /// Makes routes of paths.
    pub fn with_routes(self, config: Option<RoutesConfig>) -> Self {
        Self { routes: config.map(Routes::new), ..self }
    }

    /// Leaves addresses as they are, unless there are to be `names`.
    pub fn with_names(self, names: bool) -> Self {
        Self { names: if names { Names::default() } else { Names::none() }, ..self }
    }

    /// Names addresses as `resolver` does, whose answers come with it.
    pub fn with_dns(self, resolver: (Resolver, Receiver<Answer>), config: DnsConfig) -> Self {
        let counters = Arc::clone(&self.counters);
        Self { names: self.names.with_dns(resolver, config, counters), ..self }
    }

    /// Keeps only spans that the user wants.
    pub fn with_filter(self, config: FilterConfig) -> Self {
        Self { filter: Filter::new(config), ..self }
    }

    /// Leaves out spans of processes that are seen to export traces by themselves, if `so`.
    pub fn without_own_exporters(self, so: bool) -> Self {
        Self { own_exports: so.then(OwnExporters::default), ..self }
    }

    /// Decorates batches until the sender is gone.
    pub fn run(mut self, rx: &Receiver<SpanBatch>, mut outputs: Vec<Output>) {
        if let Some(answers) = self.names.answers() {
            return self.run_with_answers(rx, &answers, &mut outputs);
        }
        for batch in rx {
            let batch = self.begin(batch);
            self.hand_on(batch, &mut outputs);
        }
    }

    /// Completes the spans of one batch and shares it, whether names are still to come or not.
    pub fn complete(&mut self, batch: SpanBatch) -> Arc<SpanBatch> {
        let batch = self.begin(batch);
        self.finish(batch)
    }

    fn hand_on(&mut self, batch: SpanBatch, outputs: &mut [Output]) {
        let batch = self.finish(batch);
        for output in outputs {
            output(Arc::clone(&batch));
        }
        self.counters.add(Counter::DecoratorSpansOut, batch.spans.len() as u64);
    }

    /// What a batch tells of processes, in the order in which batches come.
    fn begin(&mut self, mut batch: SpanBatch) -> SpanBatch {
        self.counters.add(Counter::DecoratorSpansIn, batch.spans.len() as u64);
        self.counters.flushed(batch.spans.len());
        if let Some(own_exports) = &mut self.own_exports {
            own_exports.mark(&mut batch);
        }
        leave_out_unwanted(&mut batch);
        batch
    }

    fn finish(&mut self, mut batch: SpanBatch) -> Arc<SpanBatch> {
        self.add_attributes(&mut batch);
        if let Some(filter) = &mut self.filter {
            self.counters.add(Counter::SpansFiltered, filter.apply(&mut batch));
        }
        batch.arrange();
        Arc::new(batch)
    }

    fn add_attributes(&mut self, batch: &mut SpanBatch) {
        self.names.begin();
        batch.attrs.reserve(batch.spans.len().saturating_mul(ADDED_MAX));
        let length = |batch: &SpanBatch| u32::try_from(batch.attrs.len()).unwrap_or(u32::MAX);
        let mut spans = std::mem::take(&mut batch.spans);
        for span in &mut spans {
            let start = length(batch);
            if let Some(routes) = &mut self.routes {
                routes.route(batch, span);
            }
            self.names.name(batch, span);
            span.added = start..length(batch);
        }
        batch.spans = spans;
    }
}

/// Notes which signals of a span the user does not want of its service (`exports` of its selector).
fn leave_out_unwanted(batch: &mut SpanBatch) {
    let SpanBatch { spans, services, .. } = batch;
    if services.iter().all(|service| service.wishes.signals.is_none()) {
        return;
    }
    for span in spans {
        let service = services.get(span.service as usize);
        let Some(signals) = service.and_then(|service| service.wishes.signals) else { continue };
        let NotFor { traces, metrics } = &mut span.not_for;
        for (wanted, not_for) in [(signals.traces, traces), (signals.metrics, metrics)] {
            if !wanted {
                not_for.get_or_insert(Unwanted::NotExported);
            }
        }
    }
}

/// The stage's account. It holds spans that wait for names.
pub fn ledger(counters: &Counters) -> Stage {
    Stage {
        name: "decorator.spans",
        in_: counters.get(Counter::DecoratorSpansIn),
        out: counters.get(Counter::DecoratorSpansOut),
        drops: vec![(Counter::SpansFiltered.reason(), counters.get(Counter::SpansFiltered))],
        in_flight: counters.waiting(),
    }
}
