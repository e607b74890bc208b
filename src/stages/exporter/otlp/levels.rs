//! Writes metrics that are no sums of spans as `ResourceMetrics`.

use super::encode::write_key_value;
use super::metrics::{SCHEMA, Temporality, begin_scope, write_buckets, write_head, write_overflow};
use super::wire;
use crate::semconv::metrics::{Instrument as Kind, Metric};
use crate::stages::exporter::levels::{Amount, Histogram, Level};

/// Appends `levels` under the resource `identity`; `times`, in nanoseconds since 1970, are when the
/// agent began to count, and now. Counters count from that beginning, always.
pub(super) fn write(
    out: &mut Vec<u8>,
    identity: &[(&str, String)],
    scope: &[u8],
    levels: &[Level],
    times: [u64; 2],
) {
    let whole = wire::begin(out, 1);
    let resource = wire::begin(out, 1);
    identity.iter().for_each(|(key, value)| write_key_value(out, 1, key, value));
    wire::end(out, resource);
    let scope = begin_scope(out, scope);
    for of_metric in levels.chunk_by(|a, b| a.metric.otel == b.metric.otel) {
        if let Some(metric) = of_metric.first().map(|level| level.metric) {
            write_metric(out, metric, of_metric, times);
        }
    }
    wire::end(out, scope);
    wire::bytes(out, 3, SCHEMA);
    wire::end(out, whole);
}

fn write_metric(out: &mut Vec<u8>, metric: &Metric, levels: &[Level], times: [u64; 2]) {
    let field = wire::begin(out, 2);
    write_head(out, metric);
    let data = wire::begin(out, data_field(metric.instrument));
    levels.iter().for_each(|level| write_point(out, level, times));
    if metric.instrument != Kind::Gauge {
        wire::number(out, 2, Temporality::Cumulative.number(metric.instrument));
    }
    if metric.instrument == Kind::Counter {
        wire::number(out, 3, 1);
    }
    wire::end(out, data);
    wire::end(out, field);
}

/// Field of a `Metric` that holds such data.
fn data_field(kind: Kind) -> u8 {
    match kind {
        Kind::Gauge => 5,
        Kind::Histogram => 9,
        Kind::Counter | Kind::UpDownCounter => 7,
    }
}

fn write_point(out: &mut Vec<u8>, level: &Level, [began, now]: [u64; 2]) {
    let kind = level.metric.instrument;
    let point = wire::begin(out, 1);
    if matches!(kind, Kind::Counter | Kind::Histogram) {
        wire::fixed64(out, 2, began);
    }
    wire::fixed64(out, 3, now);
    let attributes = if kind == Kind::Histogram { 9 } else { 7 };
    level.labels.iter().for_each(|(key, value)| write_key_value(out, attributes, key, value));
    if level.overflow {
        write_overflow(out, attributes);
    }
    match &level.value {
        Amount::Int(n) => wire::fixed64(out, 6, *n),
        Amount::Float(n) => wire::double(out, 4, *n),
        Amount::Histogram(Histogram { limits, counts, sum }) => {
            wire::fixed64(out, 4, counts.iter().sum());
            wire::double(out, 5, *sum);
            write_buckets(out, counts, limits.iter().copied());
        }
    }
    wire::end(out, point);
}
