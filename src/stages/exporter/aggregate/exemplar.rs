//! Exemplars: values with the trace that they were seen in. Of each histogram, the last one of each of
//! a few magnitudes is kept.

use crate::config::ExemplarFilter;
use crate::model::ids::{KtimeNs, SpanId, TraceId};
use crate::model::span::TraceCtx;

/// Exemplars of one histogram of one series at most.
const OF_HISTOGRAM: usize = 4;

/// A value that was seen in a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exemplar {
    /// In the finest unit.
    pub(crate) value: u64,
    /// When it was recorded; 0 = there is none.
    pub(crate) at: KtimeNs,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    sampled: bool,
}

/// The exemplars of all series of a table; none at all where nobody wants them.
#[derive(Debug)]
pub(super) struct Exemplars {
    filter: ExemplarFilter,
    /// Histograms of a series.
    histograms: usize,
    all: Vec<Exemplar>,
}

impl Exemplar {
    /// Whether `filter` lets it pass.
    pub(crate) fn passes(&self, filter: ExemplarFilter) -> bool {
        self.at.0 > 0 && filter.passes(self.sampled)
    }
}

impl Exemplars {
    pub(super) fn new(filter: ExemplarFilter, histograms: usize) -> Self {
        let histograms = if filter == ExemplarFilter::AlwaysOff { 0 } else { histograms };
        Self { filter, histograms, all: Vec::new() }
    }

    /// The series at `slot` begins.
    pub(super) fn clear(&mut self, slot: usize) {
        let of_series = self.histograms * OF_HISTOGRAM;
        let begin = slot * of_series;
        if self.all.len() < begin + of_series {
            self.all.resize(begin + of_series, Exemplar::default());
        }
        if let Some(old) = self.all.get_mut(begin..begin + of_series) {
            old.fill(Exemplar::default());
        }
    }

    /// A value of histogram `n` of the series at `slot`.
    pub(super) fn note(&mut self, slot: usize, n: usize, value: u64, ctx: &TraceCtx, at: KtimeNs) {
        let sampled = ctx.flags & 1 == 1;
        if n >= self.histograms || !self.filter.passes(sampled) {
            return;
        }
        let magnitude = (u64::BITS - value.leading_zeros()) as usize % OF_HISTOGRAM;
        let place = (slot * self.histograms + n) * OF_HISTOGRAM + magnitude;
        if let Some(place) = self.all.get_mut(place) {
            let TraceCtx { trace_id, span_id, .. } = *ctx;
            *place = Exemplar { value, at, trace_id, span_id, sampled };
        }
    }

    /// Those of histogram `n` of the series at `slot`; some are none.
    pub(super) fn of(&self, slot: usize, n: usize) -> &[Exemplar] {
        let begin = (slot * self.histograms + n) * OF_HISTOGRAM;
        match n < self.histograms {
            true => self.all.get(begin..begin + OF_HISTOGRAM).unwrap_or_default(),
            false => &[],
        }
    }
}
