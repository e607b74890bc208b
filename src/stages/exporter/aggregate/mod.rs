//! Metrics: spans become series once, for every way out.
//!
//! The aggregator is an exporter like any other: a thread with a bounded queue. It records into the
//! store; whoever sends or shows metrics reads them there, a few series at a time, so that recording
//! never waits for long.

mod exemplar;
mod label;
mod names;
mod plan;
mod services;
mod shape;
mod store;
mod table;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use exemplar::Exemplar;
pub(crate) use label::{Label, Packed, Surroundings, unpack};
pub(crate) use plan::{Plan, View, Way};
pub(crate) use shape::{Exponential, Shape};
pub(crate) use store::Store;
pub(crate) use table::{Instrument, Series, Table};

use super::queue::{Slice, SpanQueue, Want};
use crate::config::MetricsConfig;
use crate::model::ids::KtimeNs;
use crate::model::living::Living;
use crate::model::time::ktime_now;
use crate::telemetry::{Counter, Counters};

/// The store, shared by the aggregator and the ways out.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<Store>>);

impl Shared {
    pub(crate) fn new(store: Store) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    /// The store; whoever holds it lets it go soon.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Spans that are recorded without letting the store go.
const TURN: usize = 1024;
/// How long spans may gather.
const LINGER: Duration = Duration::from_millis(100);
/// How often series are looked at that have no news, and who is observed.
const LOOK_NS: u64 = 1_000_000_000;

/// Makes series of spans.
#[derive(Debug)]
pub struct Aggregator {
    shared: Shared,
    /// What Prometheus sees.
    prometheus: Option<Vec<View>>,
    /// What is sent.
    push: Option<Vec<View>>,
    /// When it was last looked for what is old.
    looked: KtimeNs,
}

impl Aggregator {
    /// One that makes what `config` wants, for each way out that it names.
    pub fn new(config: &MetricsConfig) -> Self {
        let mut plan = Plan::default();
        let output = config.prometheus.as_ref().map(|to| &to.output);
        let prometheus = output.map(|output| plan.add(Way::Prometheus, config, output));
        let output = config.push.as_ref().map(|to| &to.output);
        let push = output.map(|output| plan.add(Way::Otlp, config, output));
        let surroundings = Surroundings {
            renames: config.renames.clone(),
            no_span_metrics_of_own_exporters: config.no_span_metrics_of_own_exporters,
            tracked: HashSet::new(),
        };
        let store = Store::new(plan, surroundings, config.span_names_max);
        let shared = Shared::new(store);
        Self { shared, prometheus, push, looked: KtimeNs(0) }
    }

    /// The store, and what of it a way out sees, if there is that way.
    pub(crate) fn view(&mut self, way: Way) -> Option<(Shared, Vec<View>)> {
        let views = match way {
            Way::Otlp => self.push.take(),
            Way::Prometheus => self.prometheus.take(),
        };
        Some((self.shared.clone(), views?))
    }

    /// Records the spans of `slices`.
    pub fn record(&mut self, slices: &[Slice], living: &Living, counters: &Counters) {
        let now = ktime_now();
        let mut store = self.shared.lock();
        // Before the first span counts: who answers it may be observed.
        if now.0.saturating_sub(self.looked.0) > LOOK_NS {
            store.purge(now);
            store.track(living.all().into_iter().map(|(_, s)| s.name.clone()).collect());
            self.looked = now;
        }
        slices.iter().for_each(|slice| store.record(slice, now));
        counters.add(Counter::MetricsOverflowed, store.take_overflowed());
    }

    /// Records spans until the queue is closed and empty.
    pub(crate) fn run(mut self, queue: &SpanQueue, living: &Living, counters: &Counters) {
        let want = Want { spans: TURN, linger: LINGER };
        let mut slices: Vec<Slice> = Vec::new();
        while queue.take(want, &mut slices) {
            let spans = slices.iter().map(|slice| slice.range.len() as u64).sum();
            self.record(&slices, living, counters);
            queue.give_back(&mut slices);
            queue.settle(spans, &[]);
        }
    }
}
