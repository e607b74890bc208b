//! A span: a fixed head plus attributes that live in its batch.

use std::ops::Range;

use super::conn::ConnEnds;
use super::ids::{KtimeNs, SpanId, TraceId};
use crate::semconv::SpanFamily;

/// When things happened. `request_start <= start <= end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanTimes {
    /// When the request arrived (includes queue time where it is known).
    pub request_start: KtimeNs,
    /// When its handling began.
    pub start: KtimeNs,
    /// When the last byte of the response moved.
    pub end: KtimeNs,
}

/// Trace context of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceCtx {
    /// The trace it belongs to; never zero in a finished span.
    pub trace_id: TraceId,
    /// Its own id; never zero in a finished span.
    pub span_id: SpanId,
    /// Its parent; zero = root.
    pub parent_id: SpanId,
    /// W3C trace flags; bit 0 = sampled.
    pub flags: u8,
}

/// OTLP status of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing to say.
    #[default]
    Unset,
    /// The operation failed by the convention's rules.
    Error,
}

/// Fixed part of a span. Attributes are `batch.attrs[attrs]` and, behind these, `batch.attrs[added]`.
#[derive(Clone, Debug)]
pub struct SpanHead {
    /// Which row of the semantic-convention tables describes it.
    pub family: SpanFamily,
    /// Its times.
    pub times: SpanTimes,
    /// Its place in a trace.
    pub ctx: TraceCtx,
    /// The connection's ends.
    pub ends: ConnEnds,
    /// Index into `SpanBatch::services`.
    pub service: u32,
    /// OTLP status.
    pub status: SpanStatus,
    /// Range of `SpanBatch::attrs`: what the conversation said.
    pub attrs: Range<u32>,
    /// The same of what was added to it since.
    pub added: Range<u32>,
}
