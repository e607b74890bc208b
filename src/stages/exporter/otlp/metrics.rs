//! Writes `ExportMetricsServiceRequest` straight from the store.
//!
//! One `ResourceMetrics` a service. See
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/metrics/v1/metrics.proto>.

use std::collections::HashMap;

use super::encode::write_key_value;
use super::levels;
use super::resource;
use super::wire;
use crate::config::ExemplarFilter;
use crate::model::ids::KtimeNs;
use crate::model::service::Service;
use crate::model::time::{ClockOffset, ktime_now};
use crate::semconv::metrics::{Instrument as Kind, LEFT_OUT_WHEN_EMPTY, Metric};
use crate::stages::exporter::aggregate::{
    Exemplar, Exponential, Instrument, Label, Packed, Series, Shape, Shared, Store, Table, View,
    unpack,
};
use crate::stages::exporter::internal::Internal;
use crate::stages::exporter::levels::{Level, Levels};

/// Bytes from which a request is full; one part more may come on top: below the 4 MiB that a gRPC
/// receiver takes unless told otherwise.
const REQUEST_BYTES: usize = 1 << 20;
/// Series, or levels, that are written in one part: without letting the store go, under one resource.
const PART: usize = 256;

pub(super) const SCHEMA: &[u8] = b"https://opentelemetry.io/schemas/1.41.0";
const SCOPE: &[u8] = b"go.opentelemetry.io/obi";
const INTERNAL_SCOPE: &[u8] = b"obi_internal";

/// Whether sums count from the beginning of a series or from the last export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temporality {
    /// From the beginning.
    Cumulative,
    /// From the last export that was taken.
    Delta,
}

/// The encoder of one exporter.
#[derive(Debug)]
pub(crate) struct MetricsEncoder {
    shared: Shared,
    views: Vec<View>,
    levels: Levels,
    /// The agent's own.
    internal: Option<Internal>,
    /// The levels of this collection that are still to be written.
    levels_left: Vec<Level>,
    internal_left: Vec<Level>,
    /// When the agent began to count, nanoseconds since 1970.
    began_unix_ns: u64,
    temporality: Temporality,
    /// What is to be sent, sorted.
    order: Vec<Entry>,
    /// How much of it was written.
    written: usize,
    /// When this collection was made, and the one before.
    now: KtimeNs,
    before: KtimeNs,
    /// The wall clock's time of it, nanoseconds since 1970.
    unix_ns: u64,
    exemplars: ExemplarFilter,
    /// What was sent of each series, by table and slot, where only the difference is sent.
    sent: HashMap<(usize, usize), Sent>,
    /// The same of the request at hand.
    sending: Vec<((usize, usize), Sent)>,
}

/// A series that is to be sent. Its place may be another's by the time that it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// Slot of its service.
    service: u32,
    view: u32,
    /// Its own slot.
    slot: u32,
    generation: u32,
}

impl Entry {
    /// What is at its place, if it is still there.
    fn read<'a>(&self, table: &'a Table) -> Option<(&'a Series, &'a [u64])> {
        table
            .read(self.slot as usize)
            .filter(|(s, _)| (s.generation, s.service) == (self.generation, self.service))
    }
}

/// A series as it was when it was sent.
#[derive(Debug)]
struct Sent {
    generation: u32,
    /// When a value of each instrument was last sent, nanoseconds since 1970: periods without a gap.
    unix_ns: Box<[u64]>,
    cells: Box<[u64]>,
}

impl MetricsEncoder {
    pub(crate) fn new(
        shared: Shared,
        views: Vec<View>,
        levels: Levels,
        temporality: Temporality,
        exemplars: ExemplarFilter,
    ) -> Self {
        Self {
            shared,
            views,
            levels,
            internal: None,
            levels_left: Vec::new(),
            internal_left: Vec::new(),
            began_unix_ns: ClockOffset::now().unix_ns(ktime_now()),
            temporality,
            order: Vec::new(),
            written: 0,
            now: KtimeNs(0),
            before: KtimeNs(0),
            unix_ns: 0,
            exemplars,
            sent: HashMap::new(),
            sending: Vec::new(),
        }
    }

    /// The same, with the agent's own metrics.
    pub(crate) fn with_internal(self, internal: Option<Internal>) -> Self {
        Self { internal, ..self }
    }

    /// The same, with other levels.
    #[cfg(test)]
    pub(crate) fn with_levels(self, levels: Levels) -> Self {
        Self { levels, ..self }
    }

    /// The same, of differences.
    #[cfg(test)]
    pub(crate) fn delta(self) -> Self {
        Self { temporality: Temporality::Delta, ..self }
    }

    /// Begins a collection: what series there are.
    pub(crate) fn collect(&mut self) {
        self.order.clear();
        self.levels_left = self.levels.read();
        self.internal_left = self.internal.as_ref().map(Internal::read).unwrap_or_default();
        let mut store = self.shared.lock();
        // No series of these begins later.
        self.before = self.now;
        (self.written, self.now) = (0, ktime_now());
        self.unix_ns = ClockOffset::now().unix_ns(self.now);
        store.purge(self.now);
        for (n, view) in (0_u32..).zip(&self.views) {
            let Some(table) = store.table(view.table) else { continue };
            for (slot, at) in (0_u32..).zip(0..table.slots()) {
                if let Some((series, _)) = table.read(at) {
                    let Series { service, generation, .. } = *series;
                    self.order.push(Entry { service, view: n, slot, generation });
                }
            }
        }
        self.sent.retain(|(table, slot), sent| {
            let now = store.table(*table).and_then(|table| table.read(*slot));
            now.is_some_and(|(series, _)| series.generation == sent.generation)
        });
        drop(store);
        self.order.sort_unstable();
    }

    /// Replaces `out` by the next request; gives the number of its data points, 0 = there is none.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> u64 {
        out.clear();
        self.sending.clear();
        let mut points = 0;
        let times = [self.began_unix_ns, self.unix_ns];
        while out.len() < REQUEST_BYTES
            && let Some(part) = part_of(&mut self.levels_left)
        {
            points += part.len() as u64;
            levels::write(out, &[], SCOPE, &part, times);
        }
        while out.len() < REQUEST_BYTES
            && let Some(internal) = &self.internal
            && let Some(part) = part_of(&mut self.internal_left)
        {
            points += part.len() as u64;
            levels::write(out, &internal.identity, INTERNAL_SCOPE, &part, times);
        }
        while out.len() < REQUEST_BYTES
            && let Some(Entry { service, .. }) = self.order.get(self.written).copied()
        {
            let rest = self.order.get(self.written..).unwrap_or_default();
            let of_service = rest.iter().take(PART).take_while(|e| e.service == service).count();
            let at = self.written;
            self.written += of_service;
            points += self.write_service(out, service, at);
        }
        points
    }

    /// The last request was taken.
    pub(crate) fn taken(&mut self) {
        self.sent.extend(self.sending.drain(..));
    }

    /// Appends what there is of one service, from `at` in the order up to where it is written.
    fn write_service(&mut self, out: &mut Vec<u8>, service: u32, at: usize) -> u64 {
        let Self { shared, views, order, sent, sending, .. } = self;
        let store = shared.lock();
        let Some(who) = store.services().get(service) else { return 0 };
        let begin = out.len();
        let whole = wire::begin(out, 1);
        let attributes = wire::begin(out, 1);
        for (key, value) in resource::attributes(who, self.levels.resource()) {
            write_key_value(out, 1, key, value);
        }
        wire::end(out, attributes);
        let scope = begin_scope(out, SCOPE);
        let mut writer = Writer {
            store: &store,
            service: who,
            temporality: self.temporality,
            unix_ns: self.unix_ns,
            before: self.before,
            filter: self.exemplars,
            clock: store.clock(),
            sent,
            sending,
            points: 0,
        };
        for series in
            order.get(at..self.written).unwrap_or_default().chunk_by(|a, b| a.view == b.view)
        {
            let view = series.first().and_then(|entry| views.get(entry.view as usize));
            if let Some(view) = view {
                writer.write_view(out, view, series);
            }
        }
        let points = writer.points;
        wire::end(out, scope);
        wire::bytes(out, 3, SCHEMA);
        wire::end(out, whole);
        if points == 0 {
            out.truncate(begin);
        }
        points
    }
}

/// Writes the metrics of one service.
struct Writer<'a> {
    store: &'a Store,
    service: &'a Service,
    temporality: Temporality,
    unix_ns: u64,
    before: KtimeNs,
    filter: ExemplarFilter,
    clock: ClockOffset,
    sent: &'a HashMap<(usize, usize), Sent>,
    sending: &'a mut Vec<((usize, usize), Sent)>,
    points: u64,
}

/// A data point: its series, and what is said of one of its instruments.
struct Point<'a> {
    series: &'a Series,
    labels: &'a [Label],
    instrument: &'a Instrument,
    cells: &'a [u64],
    exemplars: &'a [Exemplar],
    /// Nanoseconds since 1970.
    since: u64,
}

impl Writer<'_> {
    /// Appends the metrics of a view: the instruments of its table, with these series.
    fn write_view(&mut self, out: &mut Vec<u8>, view: &View, series: &[Entry]) {
        let Some(table) = self.store.table(view.table) else { return };
        for n in &view.instruments {
            let Some(instrument) = table.spec().instruments.get(*n) else { continue };
            let begin = out.len();
            let points = self.points;
            let metric = wire::begin(out, 2);
            write_head(out, instrument.metric);
            let data = wire::begin(out, data_field(instrument));
            for entry in series {
                self.write_series(out, table, view, entry, *n);
            }
            if instrument.metric.instrument != Kind::Gauge {
                wire::number(out, 2, self.temporality.number(instrument.metric.instrument));
            }
            if instrument.metric.instrument == Kind::Counter {
                wire::number(out, 3, 1);
            }
            wire::end(out, data);
            wire::end(out, metric);
            if self.points == points {
                out.truncate(begin);
            }
        }
        if self.temporality == Temporality::Delta {
            self.remember(table, view.table, series);
        }
    }

    fn write_series(
        &mut self,
        out: &mut Vec<u8>,
        table: &Table,
        view: &View,
        entry: &Entry,
        n: usize,
    ) {
        let Some((series, all)) = entry.read(table) else { return };
        let slot = entry.slot as usize;
        let Some(instrument) = table.spec().instruments.get(n) else { return };
        let mut cells = Vec::new();
        let sent = self.sent.get(&(view.table, slot));
        let (cells, since) = match sent.filter(|sent| sent.generation == series.generation) {
            Some(sent) => {
                cells.extend_from_slice(table.cells_of(n, all));
                instrument.shape.subtract(&mut cells, table.cells_of(n, &sent.cells));
                let since = sent.unix_ns.get(n).copied();
                (&*cells, since.unwrap_or(series.started_unix_ns))
            }
            None => (table.cells_of(n, all), series.started_unix_ns),
        };
        if instrument.shape.count(cells) == 0 {
            return;
        }
        self.points += 1;
        let exemplars = table.exemplars_of(slot, n);
        let point = Point { series, labels: &view.labels, instrument, cells, exemplars, since };
        self.write_point(out, &point);
    }

    /// What is sent now is taken off the next time.
    fn remember(&mut self, table: &Table, at: usize, series: &[Entry]) {
        for entry in series {
            let Some((series, cells)) = entry.read(table) else { continue };
            let Series { generation, started_unix_ns, .. } = *series;
            let place = (at, entry.slot as usize);
            let before = self.sent.get(&place).filter(|sent| sent.generation == generation);
            let when = |(n, instrument): (usize, &Instrument)| {
                let count = |cells| instrument.shape.count(table.cells_of(n, cells));
                let had = before.map_or(0, |sent| count(&sent.cells));
                let last = before.and_then(|sent| sent.unix_ns.get(n).copied());
                let last = last.unwrap_or(started_unix_ns);
                if count(cells) > had { self.end_of(last) } else { last }
            };
            let unix_ns = table.spec().instruments.iter().enumerate().map(when).collect();
            self.sending.push((place, Sent { generation, unix_ns, cells: cells.into() }));
        }
    }

    /// The end of a period that began then: now, though the wall clock may have been set back.
    fn end_of(&self, since: u64) -> u64 {
        self.unix_ns.max(since.saturating_add(1))
    }

    fn write_point(&self, out: &mut Vec<u8>, point: &Point<'_>) {
        let data_point = wire::begin(out, 1);
        wire::fixed64(out, 2, point.since);
        wire::fixed64(out, 3, self.end_of(point.since));
        match &point.instrument.shape {
            Shape::Sum => {
                self.write_labels(out, 7, point);
                write_sum(out, point);
            }
            Shape::Explicit(limits) => {
                self.write_labels(out, 9, point);
                write_summary(out, point, (11, 12));
                write_explicit(out, point, limits);
                self.write_exemplars(out, 8, point);
            }
            Shape::Exponential(_) => {
                self.write_labels(out, 1, point);
                write_summary(out, point, (12, 13));
                write_exponential(out, point);
                self.write_exemplars(out, 11, point);
            }
        }
        wire::end(out, data_point);
    }

    /// Those that came since the last collection.
    fn write_exemplars(&self, out: &mut Vec<u8>, field: u8, point: &Point<'_>) {
        let new = |e: &&Exemplar| e.passes(self.filter) && e.at > self.before;
        for exemplar in point.exemplars.iter().filter(new) {
            let begin = wire::begin(out, field);
            wire::fixed64(out, 2, self.clock.unix_ns(exemplar.at));
            wire::double(out, 3, point.instrument.of_sum(u128::from(exemplar.value)));
            wire::bytes(out, 4, &exemplar.span_id.0);
            wire::bytes(out, 5, &exemplar.trace_id.0);
            wire::end(out, begin);
        }
    }

    fn write_labels(&self, out: &mut Vec<u8>, field: u8, point: &Point<'_>) {
        if point.series.overflow {
            write_overflow(out, field);
            return;
        }
        let mut values = unpack(&point.series.key);
        for label in point.labels {
            // Labels are sorted as their values are packed.
            let value = label.place.and_then(|_| values.next());
            match value {
                Some(Packed::Int(n)) => write_int(out, field, &label.name, n),
                Some(Packed::Text(text)) => write_text(out, field, &label.name, text),
                None => {
                    label
                        .source
                        .write(self.service, |text| write_text(out, field, &label.name, text));
                }
            }
        }
    }
}

/// Takes some of the levels that are left.
fn part_of(left: &mut Vec<Level>) -> Option<Vec<Level>> {
    let part = PART.min(left.len());
    (part > 0).then(|| left.drain(..part).collect())
}

impl Temporality {
    /// As the protocol has it; what also shrinks always counts from the beginning.
    pub(super) fn number(self, of: Kind) -> u64 {
        match (self, of) {
            (Self::Delta, Kind::Counter | Kind::Histogram) => 1,
            _ => 2,
        }
    }
}

pub(super) fn begin_scope(out: &mut Vec<u8>, name: &[u8]) -> usize {
    let scope = wire::begin(out, 2);
    wire::delimited(out, 1, wire::delimited_len(name.len()));
    wire::bytes(out, 1, name);
    scope
}

/// Says that a series is of what is beyond a limit.
pub(super) fn write_overflow(out: &mut Vec<u8>, field: u8) {
    let key_value = wire::begin(out, field);
    wire::bytes(out, 1, b"otel.metric.overflow");
    wire::bytes(out, 2, &[2 << 3, 1]);
    wire::end(out, key_value);
}

/// Name, meaning and unit of a `Metric`.
pub(super) fn write_head(out: &mut Vec<u8>, metric: &Metric) {
    wire::bytes(out, 1, metric.otel.as_bytes());
    wire::bytes(out, 2, metric.help.as_bytes());
    if !metric.unit.is_empty() {
        wire::bytes(out, 3, metric.unit.as_bytes());
    }
}

/// Field of a `Metric` that holds such data.
fn data_field(of: &Instrument) -> u8 {
    match (&of.shape, of.metric.instrument) {
        (Shape::Explicit(_), _) => 9,
        (Shape::Exponential(_), _) => 10,
        (Shape::Sum, Kind::Gauge) => 5,
        (Shape::Sum, _) => 7,
    }
}

fn write_sum(out: &mut Vec<u8>, point: &Point<'_>) {
    let sum = Shape::sum(point.cells);
    match i64::try_from(sum) {
        // Sizes are floating-point numbers in the contract.
        Ok(n) if point.instrument.measure.is_count() => {
            wire::fixed64(out, 6, n.cast_unsigned());
        }
        _ => wire::double(out, 4, point.instrument.of_sum(sum)),
    }
}

/// Number, sum, the least and the greatest value; these two are in fields of their own.
fn write_summary(out: &mut Vec<u8>, point: &Point<'_>, (min, max): (u8, u8)) {
    let Point { instrument, cells, series, since, .. } = point;
    wire::fixed64(out, 4, instrument.shape.count(cells));
    wire::double(out, 5, instrument.of_sum(Shape::sum(cells)));
    // They are of the whole series.
    if *since == series.started_unix_ns {
        let (least, greatest) = Shape::range(cells);
        wire::double(out, min, instrument.of_sum(u128::from(least)));
        wire::double(out, max, instrument.of_sum(u128::from(greatest)));
    }
}

fn write_explicit(out: &mut Vec<u8>, point: &Point<'_>, limits: &[u64]) {
    let counts = point.instrument.shape.buckets(point.cells);
    let limit = |limit: &u64| point.instrument.of_sum(u128::from(*limit));
    write_buckets(out, counts, limits.iter().map(limit));
}

pub(super) fn write_buckets(
    out: &mut Vec<u8>,
    counts: &[u64],
    limits: impl ExactSizeIterator<Item = f64>,
) {
    wire::delimited(out, 6, counts.len() * 8);
    counts.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
    wire::delimited(out, 7, limits.len() * 8);
    limits.for_each(|limit| out.extend_from_slice(&limit.to_bits().to_le_bytes()));
}

fn write_exponential(out: &mut Vec<u8>, point: &Point<'_>) {
    let buckets = Exponential::buckets(point.cells);
    wire::signed(out, 6, buckets.scale);
    wire::fixed64(out, 7, buckets.zeros);
    let positive = wire::begin(out, 8);
    wire::signed(out, 1, buckets.offset);
    let counts = wire::begin(out, 2);
    buckets.counts.iter().for_each(|count| wire::varint(out, *count));
    wire::end(out, counts);
    wire::end(out, positive);
}

fn write_text(out: &mut Vec<u8>, field: u8, key: &str, value: &str) {
    if !value.is_empty() || !LEFT_OUT_WHEN_EMPTY.contains(&key) {
        write_key_value(out, field, key, value);
    }
}

fn write_int(out: &mut Vec<u8>, field: u8, key: &str, value: i64) {
    let key_value = wire::begin(out, field);
    wire::bytes(out, 1, key.as_bytes());
    let any = wire::begin(out, 2);
    wire::number(out, 3, value.cast_unsigned());
    wire::end(out, any);
    wire::end(out, key_value);
}
