//! Attribute values: `Copy`, with text in the owner's arena.

use crate::semconv::AttrKey;

/// A range of bytes in the text arena of the batch (or pending span) that holds the attribute.
/// The bytes are valid UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextRef {
    /// First byte.
    pub at: u32,
    /// Number of bytes.
    pub len: u32,
}

/// One attribute value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttrValue {
    /// A signed integer.
    I64(i64),
    /// A truth value.
    Bool(bool),
    /// One of a known set of texts.
    Static(&'static str),
    /// Text in the arena.
    Text(TextRef),
}

/// Attributes and the text they point into, owned together.
#[derive(Clone, Debug, Default)]
pub struct AttrArena {
    /// Keys and values in the order they were set.
    pub attrs: Vec<(AttrKey, AttrValue)>,
    /// Text of `AttrValue::Text`.
    pub text: Vec<u8>,
}

/// The text behind a reference. An invalid reference gives the empty text.
pub fn text_of(text: &[u8], r: TextRef) -> &str {
    std::str::from_utf8(bytes_of(text, r)).unwrap_or("")
}

/// The same as bytes, for encoders: nobody looks at each of them once more.
pub fn bytes_of(text: &[u8], r: TextRef) -> &[u8] {
    let at = r.at as usize;
    text.get(at..at.saturating_add(r.len as usize)).unwrap_or_default()
}
