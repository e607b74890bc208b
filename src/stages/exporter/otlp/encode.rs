//! Writes `ExportTraceServiceRequest` straight from span batches, into memory that is used again.
//!
//! One `ResourceSpans` a service, in it one `ScopeSpans` with an empty scope for every span. See
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/trace/v1/trace.proto>.
//!
//! A message stands behind its length. Instead of writing it elsewhere and copying it, room is left
//! for the length, which is written when it is known: a varint may have more bytes than it needs.

use super::headers;
use super::keys;
use super::resource::Resources;
use super::wire::{self, Room};
use crate::model::batch::SpanBatch;
use crate::model::sampler::Sampler;
use crate::model::select::AttributeSelect;
use crate::model::span::{SpanHead, SpanStatus};
use crate::semconv::{AttrKey, Presence, SpanFamily, SpanKind};
use crate::stages::exporter::queue::Slice;
use crate::stages::exporter::values::{Value, Values};

/// The encoder of one exporter.
#[derive(Debug)]
pub struct Encoder {
    resources: Resources,
    /// The attributes of each family's spans.
    exported: Vec<Vec<(AttrKey, Presence)>>,
    sampler: Sampler,
    /// Whether spans say that nobody else is to make span metrics of them.
    skip_span_metrics: bool,
    /// Every span of the request: slot of its resource, slice, index in the slice's batch.
    order: Vec<(u32, u32, u32)>,
    /// Slot of each service of the batch at hand, and which of its traces are sent.
    slots: Vec<(u32, Sampler)>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new(Sampler::default(), &AttributeSelect::default(), false)
    }
}

impl Encoder {
    /// An encoder of the traces that `sampler` takes, with the attributes that `select` leaves; a service may
    /// have a sampler of its own. If `skip_span_metrics`, every span, and every resource, says that its span
    /// metrics are made already (`span.metrics.skip`).
    pub fn new(sampler: Sampler, select: &AttributeSelect, skip_span_metrics: bool) -> Self {
        let chosen = select.choose("traces", SpanFamily::CHOSEN_BY_DEFAULT, &[]);
        let left_out = |name: &&str| !chosen.contains(name);
        let left_out: Vec<&str> =
            SpanFamily::CHOSEN_BY_DEFAULT.iter().copied().filter(left_out).collect();
        let attributes = |family: &SpanFamily| {
            let all = family.exported().iter().copied();
            all.filter(|(key, _)| !left_out.contains(&key.name())).collect()
        };
        Self {
            resources: Resources::new(select.resource().clone(), skip_span_metrics),
            exported: SpanFamily::ALL.iter().map(attributes).collect(),
            sampler,
            skip_span_metrics,
            order: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// Replaces `out` by the request that holds the spans of `slices` whose traces are sampled; gives
    /// their number.
    pub fn encode(&mut self, slices: &[Slice], out: &mut Vec<u8>) -> u64 {
        out.clear();
        self.sort_by_resource(slices);
        for group in self.order.chunk_by(|a, b| a.0 == b.0) {
            let resource = group.first().map_or(&[][..], |(slot, ..)| self.resources.bytes(*slot));
            let resource_spans = wire::begin(out, 1);
            wire::bytes(out, 1, resource);
            for (_, slice, span) in group {
                let Some(slice) = slices.get(*slice as usize) else { continue };
                if let Some(span) = slice.batch.spans.get(*span as usize) {
                    let exported = self.exported.get(span.family as usize);
                    let exported = exported.map_or(&[][..], Vec::as_slice);
                    write_scope(out, &slice.batch, span, exported, self.skip_span_metrics);
                }
            }
            wire::end(out, resource_spans);
        }
        self.order.len() as u64
    }

    /// Fills `order`: grouped by resource, else as the spans came.
    fn sort_by_resource(&mut self, slices: &[Slice]) {
        self.order.clear();
        self.resources.make_room();
        for (index, slice) in (0_u32..).zip(slices) {
            self.slots.clear();
            for service in &slice.batch.services {
                let sampler = service.wishes.sampler.unwrap_or(self.sampler);
                self.slots.push((self.resources.slot_of(service), sampler));
            }
            let first = u32::try_from(slice.range.start).unwrap_or(u32::MAX);
            for (span, head) in (first..).zip(slice.spans()) {
                let slot = self.slots.get(head.service as usize).copied();
                let (slot, sampler) = slot.unwrap_or((Resources::NONE, self.sampler));
                if sampler.samples(&head.ctx) {
                    self.order.push((slot, index, span));
                }
            }
        }
        self.order.sort_unstable();
    }
}

/// Bytes of a span beside its attributes, at most: ids, times, tags, lengths.
const FIXED_BYTES: usize = 160 + 1 + SKIP_SPAN_METRICS.len();

/// `span.metrics.skip` = true as a `KeyValue`, behind its length.
pub(super) const SKIP_SPAN_METRICS: [u8; 24] = *b"\x17\x0a\x11span.metrics.skip\x12\x02\x10\x01";

/// Appends the span in a scope of its own.
fn write_scope(
    out: &mut Vec<u8>,
    batch: &SpanBatch,
    span: &SpanHead,
    exported: &[(AttrKey, Presence)],
    skip: bool,
) {
    let values = Values::of(batch, span);
    // The name repeats texts.
    let attributes = exported.len().saturating_mul(keys::ROOM);
    let headers = if headers::are_among(&values) { headers::room(batch, span) } else { 0 };
    let most = FIXED_BYTES
        .saturating_add(attributes)
        .saturating_add(headers)
        .saturating_add(values.text_bytes * 2);
    wire::append(out, most, |room| {
        let scope_spans = room.begin(2);
        room.put_all([0x0a, 0]);
        let whole = room.begin(2);
        write_span(room, batch, span, &values, exported);
        if skip {
            room.put_all([9 << 3 | 2]);
            room.put_all(SKIP_SPAN_METRICS);
        }
        room.end(whole);
        room.end(scope_spans);
    });
}

fn write_span(
    out: &mut Room<'_>,
    batch: &SpanBatch,
    span: &SpanHead,
    values: &Values<'_>,
    exported: &[(AttrKey, Presence)],
) {
    let times = &span.times;
    let first = times.request_start.min(times.start);
    out.put_all([1 << 3 | 2, 16]);
    out.put_all(span.ctx.trace_id.0);
    out.put_all([2 << 3 | 2, 8]);
    out.put_all(span.ctx.span_id.0);
    if !span.ctx.parent_id.is_none() {
        out.put_all([4 << 3 | 2, 8]);
        out.put_all(span.ctx.parent_id.0);
    }
    write_name(out, values, span);
    out.put_all([6 << 3, kind(span.family.kind())]);
    out.put_all([7 << 3 | 1]);
    out.put_all(batch.clock.unix_ns(first).to_le_bytes());
    out.put_all([8 << 3 | 1]);
    out.put_all(batch.clock.unix_ns(times.end).to_le_bytes());
    for (key, presence) in exported {
        match values.get(*key) {
            Some(Value::Text(b"")) | None if *presence == Presence::IfKnown => {}
            Some(Value::Text(text)) => keys::text(out, *key, text),
            Some(Value::Int(n)) => keys::int(out, *key, n),
            Some(Value::Bool(b)) => keys::bool(out, *key, b),
            None if key.is_integer() => keys::int(out, *key, 0),
            None => keys::text(out, *key, b""),
        }
    }
    if headers::are_among(values) {
        headers::write(out, batch, span);
    }
    match span.status {
        SpanStatus::Unset => {}
        SpanStatus::Error => out.put_all([15 << 3 | 2, 2, 3 << 3, 2]),
    }
}

/// The parts of the name that are set, joined by blanks.
fn write_name(out: &mut Room<'_>, values: &Values<'_>, span: &SpanHead) {
    let name = out.begin(5);
    let mut between: &[u8] = b"";
    for key in span.family.named_by() {
        let part = values.text(*key);
        if !part.is_empty() {
            out.put(std::mem::replace(&mut between, b" "));
            out.put(part);
        }
    }
    out.end(name);
}

fn kind(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
    }
}

/// Appends a `KeyValue` as field `field`.
pub(super) fn write_key_value(out: &mut Vec<u8>, field: u8, key: &str, value: &str) {
    let value_len = wire::delimited_len(value.len());
    let length = wire::delimited_len(key.len()) + wire::delimited_len(value_len);
    wire::delimited(out, field, length);
    wire::bytes(out, 1, key.as_bytes());
    wire::delimited(out, 2, value_len);
    wire::bytes(out, 1, value.as_bytes());
}
