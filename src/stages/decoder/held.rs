//! Finished spans whose process was not judged yet.

use super::processes::{Identity, Processes};
use crate::model::attrs::AttrValue;
use crate::model::batch::SpanBatch;
use crate::model::ids::{KtimeNs, Tgid};
use crate::model::service::Service;
use crate::model::span::SpanHead;
use crate::telemetry::{Counter, Tally};
use std::sync::Arc;

/// Spans held at the same time.
pub(super) const HELD_MAX: usize = 4096;
/// How long a span waits, in batch time.
pub(super) const HELD_NS: u64 = 5_000_000_000;

/// Spans in the order they finished, with whom they wait for.
#[derive(Debug, Default)]
pub(super) struct Held {
    spans: SpanBatch,
    waits: Vec<Wait>,
    /// Filled while spans leave, then swapped in: keeps the arena without gaps.
    next: (SpanBatch, Vec<Wait>),
    /// A fact came since the last release.
    told: bool,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    tgid: Tgid,
    at: KtimeNs,
    until: KtimeNs,
}

impl Held {
    /// Spans held now.
    pub(super) fn len(&self) -> usize {
        self.waits.len()
    }

    /// A fact came: somebody may be released.
    pub(super) fn told(&mut self) {
        self.told = true;
    }

    /// Where a span is put whose process `tgid` is not known; `None` when there is no room.
    pub(super) fn hold(&mut self, tgid: Tgid, at: KtimeNs, now: KtimeNs) -> Option<&mut SpanBatch> {
        if self.waits.len() >= HELD_MAX {
            return None;
        }
        self.waits.push(Wait { tgid, at, until: KtimeNs(now.0.saturating_add(HELD_NS)) });
        Some(&mut self.spans)
    }

    /// Hands on the spans whose process is known by now and drops those that were refused or
    /// waited too long.
    pub(super) fn release(
        &mut self,
        processes: &Processes,
        now: KtimeNs,
        out: &mut SpanBatch,
        tally: &mut Tally,
    ) {
        let due = self.waits.first().is_some_and(|w| w.until <= now);
        let told = std::mem::take(&mut self.told);
        if !due && !told {
            return;
        }
        let (next, next_waits) = &mut self.next;
        for (wait, span) in self.waits.iter().zip(&self.spans.spans) {
            match processes.identity(wait.tgid, wait.at) {
                Identity::Known(service) => {
                    let service = service_index(out, &service);
                    copy_span(&self.spans, span, service, out);
                    tally.count(Counter::SpansOut);
                }
                Identity::Refused => tally.count(Counter::ProcessRefused),
                Identity::Unknown if wait.until <= now => tally.count(Counter::ProcessUnknown),
                Identity::Unknown => {
                    copy_span(&self.spans, span, 0, next);
                    next_waits.push(*wait);
                }
            }
        }
        std::mem::swap(&mut self.spans, next);
        std::mem::swap(&mut self.waits, next_waits);
        next.clear();
        next_waits.clear();
    }
}

/// Index of `service` in the batch, which is added when absent. Batches name few services.
pub(super) fn service_index(out: &mut SpanBatch, service: &Arc<Service>) -> u32 {
    let at = out.services.iter().rposition(|s| Arc::ptr_eq(s, service));
    let at = at.unwrap_or_else(|| {
        out.services.push(Arc::clone(service));
        out.services.len() - 1
    });
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Copies `span` of `from` with its attributes and texts.
fn copy_span(from: &SpanBatch, span: &SpanHead, service: u32, to: &mut SpanBatch) {
    let start = u32::try_from(to.attrs.len()).unwrap_or(u32::MAX);
    for (key, value) in from.attrs_of(span) {
        let value = match value {
            AttrValue::Text(r) => AttrValue::Text(to.push_text(from.text_of(*r))),
            other => *other,
        };
        to.attrs.push((*key, value));
    }
    let end = u32::try_from(to.attrs.len()).unwrap_or(u32::MAX);
    to.spans.push(SpanHead { attrs: start..end, added: 0..0, service, ..span.clone() });
}
