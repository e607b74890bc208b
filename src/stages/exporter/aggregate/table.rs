//! Series of the metrics that share their labels: found by key, recorded in place.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::exemplar::{Exemplar, Exemplars};
use super::label::{Observed, Source};
use super::shape::Shape;
use crate::config::ExemplarFilter;
use crate::model::ids::KtimeNs;
use crate::semconv::metrics::{Feature, Metric};
use crate::semconv::{Measure, SpanFamily};

/// Series of one table at most; what is beyond goes to the overflow series of its service.
pub(crate) const SERIES_MAX: usize = 50_000;

/// Series of what is beyond the limit at most: one a service. A value that needs one more is lost.
const OVERFLOWS_MAX: usize = 4096;

/// What a table holds, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spec {
    /// What turns it on.
    pub(crate) feature: Feature,
    /// Whether that holds for services that say nothing of it.
    pub(crate) common: bool,
    /// Spans that it takes.
    pub(crate) families: Vec<SpanFamily>,
    /// Whether series of different services are never the same.
    pub(crate) per_service: bool,
    /// What makes up the key.
    pub(crate) varied: Vec<Source>,
    /// Its metrics.
    pub(crate) instruments: Vec<Instrument>,
    /// How long a series lives without news, in nanoseconds; 0 = for ever.
    pub(crate) ttl_ns: u64,
    /// Series of one service at most.
    pub(crate) series_max: usize,
    /// Whether calls of a service to itself are left out.
    pub(crate) others_only: bool,
}

/// A metric of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instrument {
    /// What it is called.
    pub(crate) metric: &'static Metric,
    /// What is kept of its values.
    pub(crate) shape: Shape,
    /// What it takes from a span.
    pub(crate) measure: Measure,
}

impl Spec {
    /// Whether the series of both are the same.
    pub(crate) fn is_keyed_as(&self, other: &Self) -> bool {
        let key = |spec: &Self| {
            (spec.feature, spec.per_service, spec.ttl_ns, spec.series_max, spec.others_only)
        };
        key(self) == key(other) && self.families == other.families && self.varied == other.varied
    }
}

impl Instrument {
    /// A sum of values in the metric's unit. Divided, not multiplied: 5,000,000 ns are 0.005 s, and
    /// not a bit more.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 104 days, else the nearest")]
    pub(crate) fn of_sum(&self, sum: u128) -> f64 {
        if self.measure.is_duration() { sum as f64 / 1e9 } else { sum as f64 }
    }
}

/// One series: its key; its values stand in the table.
#[derive(Debug)]
pub(crate) struct Series {
    /// The values of its labels; empty in the series of what is beyond the limit.
    pub(crate) key: Box<[u8]>,
    /// Slot of its service.
    pub(crate) service: u32,
    /// When it began, just before its first value: nanoseconds since 1970, read once, so that it stays
    /// the same whatever becomes of the clock.
    pub(crate) started_unix_ns: u64,
    /// When it last had a value.
    pub(crate) touched: KtimeNs,
    /// Which of the series that stood at this place it is.
    pub(crate) generation: u32,
    /// Whether what is beyond the limit is counted here.
    pub(crate) overflow: bool,
    live: bool,
}

/// The series of a spec.
#[derive(Debug)]
pub(crate) struct Table {
    spec: Spec,
    /// Where each instrument's words begin in a series'.
    offsets: Vec<usize>,
    width: usize,
    index: HashTable<u32>,
    series: Vec<Series>,
    cells: Vec<u64>,
    /// Of each instrument, which histogram it is; `None` = it is none.
    histograms: Vec<Option<usize>>,
    exemplars: Exemplars,
    free: Vec<u32>,
    /// Series of each service, by slot.
    of_service: Vec<u32>,
    hasher: DefaultHashBuilder,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It is in a series that was there.
    Known,
    /// It is the first of its series.
    New,
    /// It is in the series of what is beyond the limit, and that is new.
    FirstOverflow,
    /// It is in the series of what is beyond the limit.
    Overflow,
    /// It is nowhere: there are too many services with such a series.
    Lost,
}

impl Recorded {
    /// Whether a series was made for it.
    pub(crate) fn is_new(self) -> bool {
        matches!(self, Self::New | Self::FirstOverflow)
    }

    /// Whether it is beyond the limit.
    pub(crate) fn is_overflow(self) -> bool {
        matches!(self, Self::Overflow | Self::FirstOverflow | Self::Lost)
    }
}

impl Table {
    pub(crate) fn new(spec: Spec, exemplars: ExemplarFilter) -> Self {
        let mut number = 0..;
        let mut histogram = |i: &Instrument| (i.shape != Shape::Sum).then(|| number.next())?;
        let histograms: Vec<_> = spec.instruments.iter().map(&mut histogram).collect();
        let mut width = 0;
        let mut offsets = Vec::with_capacity(spec.instruments.len());
        for instrument in &spec.instruments {
            offsets.push(width);
            width += instrument.shape.width();
        }
        let exemplars = Exemplars::new(exemplars, histograms.iter().flatten().count());
        Self {
            spec,
            histograms,
            exemplars,
            offsets,
            width,
            index: HashTable::new(),
            series: Vec::new(),
            cells: Vec::new(),
            free: Vec::new(),
            of_service: Vec::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Records a span whose service has the slot `service`. `key` is memory to work with.
    pub(crate) fn record(
        &mut self,
        of: &Observed<'_>,
        service: u32,
        (now, unix_ns): (KtimeNs, u64),
        key: &mut Vec<u8>,
    ) -> Recorded {
        key.clear();
        for source in &self.spec.varied {
            source.pack(key, of);
        }
        let service = if self.spec.per_service { service } else { 0 };
        let (slot, recorded) = self.slot(key, service, unix_ns);
        let Some(series) = self.series.get_mut(slot) else { return recorded };
        series.touched = now;
        let cells = self.cells.get_mut(slot * self.width..).unwrap_or_default();
        for (n, instrument) in self.spec.instruments.iter().enumerate() {
            let Some(value) = of.measure(instrument.measure) else { continue };
            let offset = self.offsets.get(n).copied().unwrap_or_default();
            if let Some(cells) = cells.get_mut(offset..offset + instrument.shape.width()) {
                instrument.shape.record(cells, value);
            }
            if let Some(Some(histogram)) = self.histograms.get(n) {
                self.exemplars.note(slot, *histogram, value, &of.span.ctx, now);
            }
        }
        recorded
    }

    /// Where the series of `key` stands, made now if there is none.
    fn slot(&mut self, key: &[u8], service: u32, unix_ns: u64) -> (usize, Recorded) {
        if let Some(slot) = self.find(key, service, false) {
            return (slot, Recorded::Known);
        }
        let of_service = self.of_service.get(service as usize).copied().unwrap_or(0) as usize;
        let live = self.series.len() - self.free.len();
        if of_service < self.spec.series_max && live < SERIES_MAX {
            return (self.insert(key, service, false, unix_ns), Recorded::New);
        }
        match self.find(&[], service, true) {
            Some(slot) => (slot, Recorded::Overflow),
            None if live >= SERIES_MAX + OVERFLOWS_MAX => (usize::MAX, Recorded::Lost),
            None => (self.insert(&[], service, true, unix_ns), Recorded::FirstOverflow),
        }
    }

    fn find(&self, key: &[u8], service: u32, overflow: bool) -> Option<usize> {
        let hash = self.hasher.hash_one((key, service, overflow));
        let same = |slot: &u32| {
            self.series.get(*slot as usize).is_some_and(|series| {
                series.service == service && series.overflow == overflow && *series.key == *key
            })
        };
        self.index.find(hash, same).map(|slot| *slot as usize)
    }

    fn insert(&mut self, key: &[u8], service: u32, overflow: bool, unix_ns: u64) -> usize {
        let mut series = Series {
            key: key.into(),
            service,
            started_unix_ns: unix_ns,
            touched: KtimeNs(0),
            generation: 0,
            overflow,
            live: true,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(old) = self.series.get_mut(slot as usize) {
                    series.generation = old.generation.wrapping_add(1);
                    *old = series;
                }
                slot
            }
            None => {
                self.series.push(series);
                self.cells.resize(self.series.len() * self.width, 0);
                u32::try_from(self.series.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.clear_cells(slot as usize);
        let of_service = service as usize;
        if self.of_service.len() <= of_service {
            self.of_service.resize(of_service + 1, 0);
        }
        if let Some(n) = self.of_service.get_mut(of_service) {
            *n += 1;
        }
        let Self { index, series, hasher, .. } = self;
        let hash_of = |s: &Series| hasher.hash_one((&*s.key, s.service, s.overflow));
        let hash = hasher.hash_one((key, service, overflow));
        index.insert_unique(hash, slot, |slot| series.get(*slot as usize).map_or(0, hash_of));
        slot as usize
    }

    /// The exemplars of instrument `n` of the series at `slot`; some are none.
    pub(crate) fn exemplars_of(&self, slot: usize, n: usize) -> &[Exemplar] {
        match self.histograms.get(n) {
            Some(Some(histogram)) => self.exemplars.of(slot, *histogram),
            _ => &[],
        }
    }

    fn clear_cells(&mut self, slot: usize) {
        self.exemplars.clear(slot);
        let cells = self.cells.get_mut(slot * self.width..).unwrap_or_default();
        for (instrument, offset) in self.spec.instruments.iter().zip(&self.offsets) {
            if let Some(cells) = cells.get_mut(*offset..offset + instrument.shape.width()) {
                instrument.shape.clear(cells);
            }
        }
    }

    /// Removes what had no value since `now - ttl`; gives the slots of the services to `gone`, one
    /// for each series.
    pub(crate) fn purge(&mut self, now: KtimeNs, mut gone: impl FnMut(u32)) {
        if self.spec.ttl_ns == 0 {
            return;
        }
        let Self { index, series, free, of_service, hasher, spec, .. } = self;
        for (slot, one) in (0_u32..).zip(series.iter_mut()) {
            if !one.live || now.0.saturating_sub(one.touched.0) <= spec.ttl_ns {
                continue;
            }
            let hash = hasher.hash_one((&*one.key, one.service, one.overflow));
            if let Ok(entry) = index.find_entry(hash, |other| *other == slot) {
                entry.remove();
            }
            one.live = false;
            one.key = Box::default();
            free.push(slot);
            if let Some(n) = of_service.get_mut(one.service as usize) {
                *n = n.saturating_sub(1);
            }
            gone(one.service);
        }
    }

    /// Places that series stand at, taken or not.
    pub(crate) fn slots(&self) -> usize {
        self.series.len()
    }

    /// The series at `slot`, and what was recorded of each instrument.
    pub(crate) fn read(&self, slot: usize) -> Option<(&Series, &[u64])> {
        let series = self.series.get(slot).filter(|series| series.live)?;
        let at = slot * self.width;
        Some((series, self.cells.get(at..at + self.width)?))
    }

    /// The words of instrument `n` among those of a series.
    pub(crate) fn cells_of<'a>(&self, n: usize, cells: &'a [u64]) -> &'a [u64] {
        let (Some(instrument), Some(offset)) = (self.spec.instruments.get(n), self.offsets.get(n))
        else {
            return &[];
        };
        cells.get(*offset..offset + instrument.shape.width()).unwrap_or_default()
    }
}
