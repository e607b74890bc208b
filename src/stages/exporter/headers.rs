//! Headers that a span shows: only where the user wants some, so they may cost memory of their own.

use std::collections::BTreeMap;

use crate::model::attrs::AttrValue;
use crate::model::batch::SpanBatch;
use crate::model::span::SpanHead;
use crate::semconv::AttrKey;

/// The attributes that hold headers, and the two fields of the JSON printer.
pub(super) const SIDES: [(AttrKey, &str); 2] = [
    (AttrKey::HttpRequestHeader, "requestHeaders"),
    (AttrKey::HttpResponseHeader, "responseHeaders"),
];

/// Values by name, in the order they were sent.
pub(super) type Headers<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// The headers of `span` that are under `key`.
pub(super) fn of<'a>(batch: &'a SpanBatch, span: &SpanHead, key: AttrKey) -> Headers<'a> {
    let mut headers = Headers::new();
    for (_, value) in batch.attrs_of(span).filter(|(k, _)| *k == key) {
        if let AttrValue::Text(line) = value
            && let Some((name, value)) = batch.text_of(*line).split_once(':')
        {
            headers.entry(name).or_default().push(value);
        }
    }
    headers
}
