//! Where protocols write what they learn of an exchange.

use crate::model::attrs::{AttrArena, AttrValue, TextRef};
use crate::model::ids::{SpanId, TraceId};
use crate::model::shown::Shown;
use crate::model::span::SpanStatus;
use crate::semconv::AttrKey;

/// A valid inbound W3C `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// Trace id, not zero.
    pub trace_id: TraceId,
    /// The sender's span, not zero.
    pub parent_id: SpanId,
    /// Trace flags.
    pub flags: u8,
}

/// What is known so far of an exchange. Pooled by the decoder: cleared, never freed.
#[derive(Clone, Debug, Default)]
pub struct PendingAttrs {
    /// Attributes and their text.
    pub arena: AttrArena,
    /// Trace context carried by the request.
    pub traceparent: Option<TraceParent>,
    /// OTLP status so far.
    pub status: SpanStatus,
    /// Texts that were cut: see [`SpanSink::TEXT_MAX`] and [`SpanSink::cut`].
    pub truncated: u32,
}

impl PendingAttrs {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.arena.attrs.clear();
        self.arena.text.clear();
        self.traceparent = None;
        self.status = SpanStatus::Unset;
        self.truncated = 0;
    }
}

/// Writes into a [`PendingAttrs`].
#[derive(Debug)]
pub struct SpanSink<'a> {
    pub(super) pending: &'a mut PendingAttrs,
    /// What it shows, as far as the user decides.
    pub shown: &'a Shown,
}

impl<'a> SpanSink<'a> {
    /// Bytes of one text attribute; the rest is cut and counted.
    pub const TEXT_MAX: usize = 8192;

    /// A sink that writes into `pending`.
    pub fn new(pending: &'a mut PendingAttrs) -> Self {
        Self { pending, shown: Shown::DEFAULT }
    }

    /// The same, where the user decides what it shows.
    #[must_use]
    pub fn showing(self, shown: &'a Shown) -> Self {
        Self { shown, ..self }
    }

    /// Sets an integer.
    pub fn int(&mut self, key: AttrKey, value: i64) {
        self.pending.arena.attrs.push((key, AttrValue::I64(value)));
    }

    /// Sets a truth value.
    pub fn bool(&mut self, key: AttrKey, value: bool) {
        self.pending.arena.attrs.push((key, AttrValue::Bool(value)));
    }

    /// Sets one of a known set of texts.
    pub fn word(&mut self, key: AttrKey, value: &'static str) {
        self.pending.arena.attrs.push((key, AttrValue::Static(value)));
    }

    /// Sets a text from wire bytes. Bytes that are not printable UTF-8 (control bytes, invalid
    /// sequences) become `%XX`, so the text is valid and nothing is lost or invented.
    pub fn text(&mut self, key: AttrKey, wire: &[u8]) {
        let at = self.pending.arena.text.len();
        self.append(wire, at);
        let end = self.pending.arena.text.len();
        self.set_text(key, at, end);
    }

    /// Sets a text made of several wire pieces, each written as [`Self::text`] does.
    pub fn text_concat<'p>(&mut self, key: AttrKey, pieces: impl IntoIterator<Item = &'p [u8]>) {
        let at = self.pending.arena.text.len();
        for piece in pieces {
            self.append(piece, at);
        }
        let end = self.pending.arena.text.len();
        self.set_text(key, at, end);
    }

    /// Takes the request's trace context. Only the first call counts.
    pub fn traceparent(&mut self, tp: TraceParent) {
        self.pending.traceparent.get_or_insert(tp);
    }

    /// Notes that a text of the message ends early, because it was not all there.
    pub fn cut(&mut self) {
        self.pending.truncated = self.pending.truncated.saturating_add(1);
    }

    /// Sets the span's status.
    pub fn status(&mut self, status: SpanStatus) {
        self.pending.status = status;
    }

    fn set_text(&mut self, key: AttrKey, at: usize, end: usize) {
        let text = TextRef {
            at: u32::try_from(at).unwrap_or(u32::MAX),
            len: u32::try_from(end.saturating_sub(at)).unwrap_or(0),
        };
        self.pending.arena.attrs.push((key, AttrValue::Text(text)));
    }

    fn append(&mut self, wire: &[u8], started: usize) {
        let text = &mut self.pending.arena.text;
        let room = Self::TEXT_MAX.saturating_sub(text.len().saturating_sub(started));
        if wire.len() <= room && is_plain(wire) {
            text.extend_from_slice(wire);
            return;
        }
        for chunk in wire.utf8_chunks() {
            for c in chunk.valid().chars() {
                let mut buf = [0u8; 4];
                if c.is_control() {
                    c.encode_utf8(&mut buf).bytes().for_each(|b| push_escaped(text, b));
                } else {
                    text.extend_from_slice(c.encode_utf8(&mut buf).as_bytes());
                }
            }
            chunk.invalid().iter().for_each(|b| push_escaped(text, *b));
        }
        let limit = started.saturating_add(Self::TEXT_MAX);
        if wire.len() > room || text.len() > limit {
            cut_at_char(text, limit);
            self.cut();
        }
    }
}

/// Whether there is nothing to escape. Eight bytes are looked at together.
fn is_plain(wire: &[u8]) -> bool {
    let (eights, rest) = wire.as_chunks::<8>();
    eights.iter().all(|eight| eight_are_plain(u64::from_le_bytes(*eight)))
        && match wire.last_chunk::<8>() {
            Some(last) => eight_are_plain(u64::from_le_bytes(*last)),
            None => rest.iter().all(|b| matches!(b, b' '..=b'~')),
        }
}

/// Whether each of eight bytes is of `b' '..=b'~'`: a smaller one borrows out of its highest bit, DEL
/// carries into it, and others have it.
fn eight_are_plain(eight: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let smaller = eight.wrapping_sub(EACH.wrapping_mul(0x20)) & !eight;
    (smaller | eight.wrapping_add(EACH) | eight) & EACH.wrapping_mul(0x80) == 0
}

fn push_escaped(text: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |n: u8| HEX.get(usize::from(n & 15)).copied().unwrap_or(b'0');
    text.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
}

/// Shortens `text` to at most `limit` bytes without splitting a character.
fn cut_at_char(text: &mut Vec<u8>, limit: usize) {
    if text.len() <= limit {
        return;
    }
    let mut end = limit;
    while end > 0 && text.get(end).is_some_and(|b| b & 0xC0 == 0x80) {
        end = end.saturating_sub(1);
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(wire: &[u8]) -> (String, u32) {
        let mut pending = PendingAttrs::default();
        SpanSink::new(&mut pending).text(AttrKey::UrlPath, wire);
        (String::from_utf8(pending.arena.text).unwrap(), pending.truncated)
    }

    #[test]
    fn what_is_not_printable_is_escaped_wherever_it_stands() {
        for n in 0..20 {
            let plain = "~".repeat(n) + " ";
            assert_eq!(written(plain.as_bytes()), (plain.clone(), 0));
            for (byte, text) in [(b'\x1f', "%1F"), (b'\x7f', "%7F"), (b'\xff', "%FF")] {
                let wire = [plain.as_bytes(), &[byte], plain.as_bytes()].concat();
                assert_eq!(written(&wire), (format!("{plain}{text}{plain}"), 0));
            }
        }
    }

    #[test]
    fn a_text_beyond_the_bound_is_cut_between_characters_and_counted() {
        let all = "a".repeat(SpanSink::TEXT_MAX);
        assert_eq!(written(all.as_bytes()), (all.clone(), 0));
        assert_eq!(written(format!("{all}b").as_bytes()), (all.clone(), 1));
        let accents = "é".repeat(SpanSink::TEXT_MAX);
        let half = "é".repeat(SpanSink::TEXT_MAX / 2);
        let less = "é".repeat(SpanSink::TEXT_MAX / 2 - 1);
        assert_eq!(written(accents.as_bytes()), (half.clone(), 1));
        assert_eq!(written(format!("a{accents}").as_bytes()), (format!("a{less}"), 1));
    }
}
