//! Headers as attributes: `http.request.header.<name>`, an array of texts.

use super::wire::Room;
use crate::model::batch::SpanBatch;
use crate::model::span::SpanHead;
use crate::semconv::AttrKey;
use crate::stages::exporter::headers::{SIDES, of};
use crate::stages::exporter::values::Values;

/// Bytes that a header takes beside its name and value.
const ROOM: usize = 64;

/// Whether the span has some.
#[inline]
pub(super) fn are_among(values: &Values<'_>) -> bool {
    SIDES.iter().any(|(key, _)| values.get(*key).is_some())
}

/// Bytes that those of `span` take at most, beside their texts.
#[cold]
pub(super) fn room(batch: &SpanBatch, span: &SpanHead) -> usize {
    let is_header = |key: AttrKey| SIDES.iter().any(|(side, _)| *side == key);
    batch.attrs_of(span).filter(|(key, _)| is_header(*key)).count().saturating_mul(ROOM)
}

/// Appends those of `span`, as field 9 of it.
#[cold]
pub(super) fn write(out: &mut Room<'_>, batch: &SpanBatch, span: &SpanHead) {
    for (key, _) in SIDES {
        for (name, values) in of(batch, span, key) {
            let attribute = out.begin(9);
            let whole = out.begin(1);
            out.put(key.name().as_bytes());
            out.put(b".");
            out.put(name.as_bytes());
            out.end(whole);
            let value = out.begin(2);
            let array = out.begin(5);
            for text in values {
                let any = out.begin(1);
                let string = out.begin(1);
                out.put(text.as_bytes());
                out.end(string);
                out.end(any);
            }
            out.end(array);
            out.end(value);
            out.end(attribute);
        }
    }
}
