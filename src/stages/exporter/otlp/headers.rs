//! Headers as attributes: `http.request.header.<name>`, an array of texts.

use super::wire::Room;
use crate::model::batch::SpanBatch;
use crate::model::span::SpanHead;
use crate::stages::exporter::headers::{SIDES, of};

/// Bytes that a header takes beside its name and value.
pub(super) const ROOM: usize = 64;

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
