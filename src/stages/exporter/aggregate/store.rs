//! All tables of an agent, and the services that they refer to.

use std::collections::HashSet;

use super::label::{Observed, Surroundings};
use super::names::SpanNames;
use super::plan::Plan;
use super::services::Services;
use super::table::{Recorded, Spec, Table};
use crate::model::batch::SpanBatch;
use crate::model::ids::KtimeNs;
use crate::model::time::ClockOffset;
use crate::semconv::SpanFamily;
use crate::semconv::metrics::Feature;
use crate::stages::exporter::queue::Slice;
use crate::stages::exporter::values::Values;

/// Span metrics whose names are limited.
const LIMITED_NAMES: [Feature; 2] = [Feature::Span, Feature::SpanOtel];

/// What metrics are made of, and read from.
#[derive(Debug)]
pub(crate) struct Store {
    tables: Vec<Table>,
    /// Tables that take spans of a family, by family.
    of_family: Vec<Vec<usize>>,
    services: Services,
    surroundings: Surroundings,
    /// Where span names are labels: how many there are.
    names: Option<SpanNames>,
    /// Slots of the services of the batch at hand, and what their span names are counted by.
    slots: Vec<(u32, u64)>,
    /// The key at hand.
    key: Vec<u8>,
    /// The clock of the last batch.
    clock: ClockOffset,
    /// Values that went to the series of what is beyond a limit.
    overflowed: u64,
}

impl Store {
    /// An empty store with the tables of `plan`; a service has at most so many span names, 0 = no limit.
    pub(crate) fn new(plan: Plan, surroundings: Surroundings, span_names_max: usize) -> Self {
        let Plan { specs, exemplars } = plan;
        let named: Vec<&Spec> =
            specs.iter().filter(|spec| LIMITED_NAMES.contains(&spec.feature)).collect();
        let ttl_ns = named.iter().map(|spec| spec.ttl_ns).max().unwrap_or(0);
        let names = (!named.is_empty()).then(|| SpanNames::new(span_names_max, ttl_ns));
        let takes = |family: &SpanFamily| {
            let of = specs.iter().enumerate().filter(|(_, spec)| spec.families.contains(family));
            of.map(|(n, _)| n).collect()
        };
        let of_family = SpanFamily::ALL.iter().map(takes).collect();
        Self {
            of_family,
            tables: specs.into_iter().map(|spec| Table::new(spec, exemplars)).collect(),
            services: Services::default(),
            surroundings,
            names,
            slots: Vec::new(),
            key: Vec::new(),
            clock: ClockOffset::now(),
            overflowed: 0,
        }
    }

    /// Records the spans of a slice.
    pub(crate) fn record(&mut self, slice: &Slice, now: KtimeNs) {
        let batch: &SpanBatch = &slice.batch;
        self.clock = batch.clock;
        let now = (now, self.clock.unix_ns(now));
        self.slots.clear();
        for service in &batch.services {
            let names = self.names.as_ref().map_or(0, |names| names.service(service));
            self.slots.push((self.services.slot_of(service), names));
        }
        for span in slice.spans() {
            let Some((service, name_key)) = self.slots.get(span.service as usize).copied() else {
                continue;
            };
            let mut observed = Observed {
                span,
                values: Values::of(batch, span),
                service: batch.services.get(span.service as usize).map(|service| &**service),
                aggregated: false,
                surroundings: &self.surroundings,
            };
            if let Some(names) = &mut self.names {
                self.key.clear();
                observed.pack_name(&mut self.key);
                observed.aggregated = names.note(name_key, &self.key, now.0);
            }
            let tables = self.of_family.get(span.family as usize).map_or(&[][..], Vec::as_slice);
            for n in tables {
                let Some(table) = self.tables.get_mut(*n) else { continue };
                if !observed.is_for(table.spec()) {
                    continue;
                }
                match table.record(&observed, service, now, &mut self.key) {
                    Recorded::Known => {}
                    recorded => {
                        self.overflowed += u64::from(recorded.is_overflow());
                        if recorded.is_new() && table.spec().per_service {
                            self.services.acquire(service);
                        }
                    }
                }
            }
        }
    }

    /// These services are observed: calls of them are told by who answers.
    pub(crate) fn track(&mut self, names: HashSet<String>) {
        self.surroundings.tracked = names;
    }

    /// Forgets series that had no news for their time, and services without series.
    pub(crate) fn purge(&mut self, now: KtimeNs) {
        for table in &mut self.tables {
            let per_service = table.spec().per_service;
            table.purge(now, |service| {
                if per_service {
                    self.services.release(service);
                }
            });
        }
        self.services.forget_unused();
    }

    pub(crate) fn table(&self, n: usize) -> Option<&Table> {
        self.tables.get(n)
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// How kernel time becomes wall time.
    pub(crate) fn clock(&self) -> ClockOffset {
        self.clock
    }

    /// Values that went to the series of what is beyond a limit, since this was last asked.
    pub(crate) fn take_overflowed(&mut self) -> u64 {
        std::mem::take(&mut self.overflowed)
    }
}
