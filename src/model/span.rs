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
    /// The trace began elsewhere: a message brought its id and its flags.
    pub remote: bool,
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

impl SpanStatus {
    /// The word for it in span metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unset => "STATUS_CODE_UNSET",
            Self::Error => "STATUS_CODE_ERROR",
        }
    }
}

/// Why a span is not for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// The process exports that signal by itself.
    OwnExporter,
    /// The user does not want its path.
    IgnoredPath,
    /// The user does not want the signal of its service.
    NotExported,
}

/// Signals that a span is not for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotFor {
    /// Why not for traces.
    pub traces: Option<Unwanted>,
    /// Why not for metrics.
    pub metrics: Option<Unwanted>,
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
    /// Signals that it is not for.
    pub not_for: NotFor,
    /// Range of `SpanBatch::attrs`: what the conversation said.
    pub attrs: Range<u32>,
    /// The same of what was added to it since.
    pub added: Range<u32>,
}
