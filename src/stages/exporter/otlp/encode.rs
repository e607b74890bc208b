//! Writes `ExportTraceServiceRequest` straight from span batches, into memory that is used again.
//!
//! One `ResourceSpans` a service, in it one `ScopeSpans` with an empty scope for every span. See
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/trace/v1/trace.proto>.

use super::resource::Resources;
use super::wire;
use crate::model::attrs::{AttrValue, bytes_of};
use crate::model::batch::SpanBatch;
use crate::model::span::{SpanHead, SpanStatus};
use crate::semconv::{AttrKey, Presence, SpanKind};
use crate::stages::exporter::queue::Slice;

/// The encoder of one exporter.
#[derive(Debug, Default)]
pub struct Encoder {
    resources: Resources,
    /// Every span of the request: slot of its resource, slice, index in the slice's batch.
    order: Vec<(u32, u32, u32)>,
    /// Slot of each service of the batch at hand.
    slots: Vec<u32>,
    /// The `ScopeSpans` of one resource.
    scopes: Vec<u8>,
    /// One span.
    span: Vec<u8>,
}

impl Encoder {
    /// Replaces `out` by the request that holds the spans of `slices`.
    pub fn encode(&mut self, slices: &[Slice], out: &mut Vec<u8>) {
        out.clear();
        self.sort_by_resource(slices);
        let order = std::mem::take(&mut self.order);
        for group in order.chunk_by(|a, b| a.0 == b.0) {
            self.scopes.clear();
            for (_, slice, span) in group {
                let Some(slice) = slices.get(*slice as usize) else { continue };
                if let Some(span) = slice.batch.spans.get(*span as usize) {
                    self.scope(&slice.batch, span);
                }
            }
            let resource = group.first().map_or(&[][..], |(slot, ..)| self.resources.bytes(*slot));
            let length = wire::delimited_len(resource.len()) + self.scopes.len();
            wire::delimited(out, 1, length);
            wire::bytes(out, 1, resource);
            out.extend_from_slice(&self.scopes);
        }
        self.order = order;
    }

    /// Fills `order`: grouped by resource, else as the spans came.
    fn sort_by_resource(&mut self, slices: &[Slice]) {
        self.order.clear();
        self.resources.make_room();
        for (index, slice) in (0_u32..).zip(slices) {
            self.slots.clear();
            for service in &slice.batch.services {
                self.slots.push(self.resources.slot_of(service));
            }
            for (span, head) in (0_u32..).zip(&slice.batch.spans) {
                if slice.range.contains(&(span as usize)) {
                    let slot = self.slots.get(head.service as usize).copied();
                    self.order.push((slot.unwrap_or(Resources::NONE), index, span));
                }
            }
        }
        self.order.sort_unstable();
    }

    /// Appends the span in a scope of its own to `scopes`.
    fn scope(&mut self, batch: &SpanBatch, span: &SpanHead) {
        const EMPTY_SCOPE: [u8; 2] = [0x0a, 0];
        self.span.clear();
        write_span(&mut self.span, batch, span);
        let length = EMPTY_SCOPE.len() + wire::delimited_len(self.span.len());
        wire::delimited(&mut self.scopes, 2, length);
        self.scopes.extend_from_slice(&EMPTY_SCOPE);
        wire::bytes(&mut self.scopes, 2, &self.span);
    }
}

fn write_span(out: &mut Vec<u8>, batch: &SpanBatch, span: &SpanHead) {
    const STATUS_ERROR: [u8; 2] = [0x18, 2];
    let times = &span.times;
    let first = times.request_start.min(times.start);
    wire::bytes(out, 1, &span.ctx.trace_id.0);
    wire::bytes(out, 2, &span.ctx.span_id.0);
    if !span.ctx.parent_id.is_none() {
        wire::bytes(out, 4, &span.ctx.parent_id.0);
    }
    let values = Values::of(batch, span);
    write_name(out, &values, span);
    wire::number(out, 6, kind(span.family.kind()));
    wire::fixed64(out, 7, batch.clock.unix_ns(first));
    wire::fixed64(out, 8, batch.clock.unix_ns(times.end));
    for (key, presence) in span.family.exported() {
        if let Some(value) = exported(&values, *key, *presence) {
            write_key_value(out, 9, key.name(), value);
        }
    }
    match span.status {
        SpanStatus::Unset => {}
        SpanStatus::Error => wire::bytes(out, 15, &STATUS_ERROR),
    }
}

/// The parts of the name that are set, joined by blanks.
fn write_name(out: &mut Vec<u8>, values: &Values<'_>, span: &SpanHead) {
    let parts = || {
        let keys = span.family.named_by().iter();
        keys.map(|key| values.text(*key)).filter(|part| !part.is_empty())
    };
    let length = parts().map(|part| part.len() + 1).sum::<usize>().saturating_sub(1);
    if length == 0 {
        return;
    }
    wire::delimited(out, 5, length);
    for (i, part) in parts().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(part);
    }
}

fn kind(kind: SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
    }
}

/// A value as it goes out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// UTF-8.
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
}

/// The attributes of one span by key: looked for once, not once for every key that is exported.
struct Values<'a> {
    text: &'a [u8],
    /// The last value of each key.
    by_key: [Option<AttrValue>; AttrKey::ALL.len()],
}

impl<'a> Values<'a> {
    fn of(batch: &'a SpanBatch, span: &SpanHead) -> Self {
        let mut by_key = [None; AttrKey::ALL.len()];
        for (key, value) in batch.attrs_of(span) {
            if let Some(slot) = by_key.get_mut(*key as usize) {
                *slot = Some(*value);
            }
        }
        Self { text: &batch.text, by_key }
    }

    fn get(&self, key: AttrKey) -> Option<Value<'a>> {
        Some(match (*self.by_key.get(key as usize)?)? {
            AttrValue::I64(n) => Value::Int(n),
            AttrValue::Bool(b) => Value::Bool(b),
            AttrValue::Static(s) => Value::Text(s.as_bytes()),
            AttrValue::Text(r) => Value::Text(bytes_of(self.text, r)),
        })
    }

    /// The text of `key`; empty when it is absent or no text.
    fn text(&self, key: AttrKey) -> &'a [u8] {
        match self.get(key) {
            Some(Value::Text(text)) => text,
            _ => b"",
        }
    }
}

fn exported<'a>(values: &Values<'a>, key: AttrKey, presence: Presence) -> Option<Value<'a>> {
    match (values.get(key), presence) {
        (Some(Value::Text(b"")) | None, Presence::IfKnown) => None,
        (Some(value), _) => Some(value),
        (None, Presence::Always) if key.is_integer() => Some(Value::Int(0)),
        (None, Presence::Always) => Some(Value::Text(b"")),
    }
}

/// Appends a `KeyValue` as field `field`.
pub(super) fn write_key_value(out: &mut Vec<u8>, field: u8, key: &str, value: Value<'_>) {
    let value_len = match value {
        Value::Text(s) => wire::delimited_len(s.len()),
        Value::Bool(_) => 2,
        Value::Int(n) => 1 + wire::varint_len(n.cast_unsigned()),
    };
    let length = wire::delimited_len(key.len()) + wire::delimited_len(value_len);
    wire::delimited(out, field, length);
    wire::bytes(out, 1, key.as_bytes());
    wire::delimited(out, 2, value_len);
    match value {
        Value::Text(s) => wire::bytes(out, 1, s),
        Value::Bool(b) => wire::number(out, 2, u64::from(b)),
        Value::Int(n) => wire::number(out, 3, n.cast_unsigned()),
    }
}
