//! The attributes of one span by key, for encoders.

use crate::model::attrs::{AttrValue, bytes_of};
use crate::model::batch::SpanBatch;
use crate::model::span::SpanHead;
use crate::semconv::AttrKey;

/// A value as it goes out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// UTF-8.
    Text(&'a [u8]),
    /// A truth value.
    Bool(bool),
    /// A number.
    Int(i64),
}

/// The attributes of one span by key: looked for once, not once for every key that is exported.
#[derive(Debug)]
pub(super) struct Values<'a> {
    text: &'a [u8],
    /// The last value of each key.
    by_key: [Option<AttrValue>; AttrKey::ALL.len()],
    /// Bytes of all texts.
    pub(super) text_bytes: usize,
}

impl<'a> Values<'a> {
    /// The attributes of `span`.
    pub(super) fn of(batch: &'a SpanBatch, span: &SpanHead) -> Self {
        let mut by_key = [None; AttrKey::ALL.len()];
        let mut text_bytes = 0usize;
        for (key, value) in batch.attrs_of(span) {
            if let Some(slot) = by_key.get_mut(*key as usize) {
                *slot = Some(*value);
            }
            text_bytes = text_bytes.saturating_add(match value {
                AttrValue::Text(r) => r.len as usize,
                AttrValue::Static(s) => s.len(),
                AttrValue::I64(_) | AttrValue::Bool(_) => 0,
            });
        }
        Self { text: &batch.text, by_key, text_bytes }
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: AttrKey) -> Option<Value<'a>> {
        Some(match (*self.by_key.get(key as usize)?)? {
            AttrValue::I64(n) => Value::Int(n),
            AttrValue::Bool(b) => Value::Bool(b),
            AttrValue::Static(s) => Value::Text(s.as_bytes()),
            AttrValue::Text(r) => Value::Text(bytes_of(self.text, r)),
        })
    }

    /// The text of `key`; empty when it is absent or no text.
    pub(super) fn text(&self, key: AttrKey) -> &'a [u8] {
        match self.get(key) {
            Some(Value::Text(text)) => text,
            _ => b"",
        }
    }
}
