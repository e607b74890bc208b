//! A batch of spans: one arena for attributes and text, shared by every exporter.

use std::ops::Range;
use std::sync::Arc;

use super::attrs::{AttrValue, TextRef, text_of};
use super::service::Service;
use super::span::{NotFor, SpanHead};
use super::time::ClockOffset;
use crate::semconv::AttrKey;

/// Spans on their way out. Owned by one stage at a time until the decorator shares it.
#[derive(Clone, Debug, Default)]
pub struct SpanBatch {
    /// The spans.
    pub spans: Vec<SpanHead>,
    /// Attributes of all spans; each span has two ranges of them.
    pub attrs: Vec<(AttrKey, AttrValue)>,
    /// Text of all attributes, UTF-8.
    pub text: Vec<u8>,
    /// The services that spans refer to by index.
    pub services: Vec<Arc<Service>>,
    /// How to turn kernel time into wall time.
    pub clock: ClockOffset,
}

impl SpanBatch {
    /// Forgets the spans and keeps the memory.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.attrs.clear();
        self.text.clear();
        self.services.clear();
    }

    /// Sorts the spans so that those for one signal lie together: those for none, for metrics only, for
    /// both, for traces only. Where nothing is unwanted, nothing changes.
    pub fn arrange(&mut self) {
        if self.spans.iter().all(|span| span.not_for == NotFor::default()) {
            return;
        }
        self.spans.sort_by_key(|SpanHead { not_for, .. }| {
            (not_for.traces.is_none(), not_for.traces.is_some() != not_for.metrics.is_some())
        });
    }

    /// Attributes of `span`, in the order they were set.
    pub fn attrs_of(
        &self,
        span: &SpanHead,
    ) -> impl DoubleEndedIterator<Item = &(AttrKey, AttrValue)> {
        let part = |of: &Range<u32>| {
            self.attrs.get(of.start as usize..of.end as usize).unwrap_or_default()
        };
        part(&span.attrs).iter().chain(part(&span.added))
    }

    /// The last value set for `key` on `span`.
    pub fn attr(&self, span: &SpanHead, key: AttrKey) -> Option<AttrValue> {
        self.attrs_of(span).rev().find(|(k, _)| *k == key).map(|(_, v)| *v)
    }

    /// The text value of `key` on `span`; empty when absent or not text.
    pub fn attr_text(&self, span: &SpanHead, key: AttrKey) -> &str {
        match self.attr(span, key) {
            Some(AttrValue::Static(s)) => s,
            Some(AttrValue::Text(r)) => self.text_of(r),
            _ => "",
        }
    }

    /// The integer value of `key` on `span`.
    pub fn attr_i64(&self, span: &SpanHead, key: AttrKey) -> Option<i64> {
        match self.attr(span, key) {
            Some(AttrValue::I64(n)) => Some(n),
            _ => None,
        }
    }

    /// The text behind `r`.
    pub fn text_of(&self, r: TextRef) -> &str {
        text_of(&self.text, r)
    }

    /// Appends `s` to the arena. The arena is bounded by the batch's size, far below 4 GiB.
    pub fn push_text(&mut self, s: &str) -> TextRef {
        self.push_bytes(s.as_bytes())
    }

    /// Appends text that is known to be UTF-8.
    pub fn push_bytes(&mut self, text: &[u8]) -> TextRef {
        let at = self.text.len();
        self.text.extend_from_slice(text);
        self.text_since(at)
    }

    /// What was appended to the arena since it was `at` bytes long.
    pub fn text_since(&self, at: usize) -> TextRef {
        TextRef {
            at: u32::try_from(at).unwrap_or(u32::MAX),
            len: u32::try_from(self.text.len().saturating_sub(at)).unwrap_or(0),
        }
    }

    /// The service of `span`.
    pub fn service(&self, span: &SpanHead) -> Option<&Arc<Service>> {
        self.services.get(span.service as usize)
    }
}
