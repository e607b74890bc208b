//! Attributes of spans as `KeyValue` messages.
//!
//! Nearly all of such a message is known beforehand: it is copied whole from a table, and its lengths
//! and its value are filled in.

use super::encode::Value;
use super::wire::{Room, delimited_len, varint_len};
use crate::semconv::AttrKey;

/// Bytes of a message up to its value, with room to spare: this many are copied, whatever the key.
const PREFIX_MAX: usize = 48;
/// Bytes that an attribute may take beside its text.
pub(super) const ROOM: usize = PREFIX_MAX + 16;

/// `KeyValue` as field 9 of a span, up to the `AnyValue`; both lengths are 0.
struct Prefix {
    bytes: [u8; PREFIX_MAX],
    len: usize,
}

static PREFIXES: [Prefix; AttrKey::ALL.len()] = {
    let mut all = [const { Prefix { bytes: [0; PREFIX_MAX], len: 0 } }; AttrKey::ALL.len()];
    let mut n = 0;
    while n < all.len() {
        all[n] = prefix(AttrKey::ALL[n].name().as_bytes());
        n += 1;
    }
    all
};

/// Does not compile for a key that is too long.
const fn prefix(key: &[u8]) -> Prefix {
    let mut bytes = [0; PREFIX_MAX];
    (bytes[0], bytes[2], bytes[3]) = (9 << 3 | 2, 1 << 3 | 2, key.len().to_le_bytes()[0]);
    let mut n = 0;
    while n < key.len() {
        bytes[4 + n] = key[n];
        n += 1;
    }
    bytes[4 + n] = 2 << 3 | 2;
    Prefix { bytes, len: 4 + n + 2 }
}

/// Appends an attribute.
pub(super) fn write(out: &mut Room<'_>, key: AttrKey, value: Value<'_>) {
    let Some(prefix) = PREFIXES.get(key as usize) else { return };
    let value_len = match value {
        Value::Text(text) => delimited_len(text.len()),
        Value::Bool(_) => 2,
        Value::Int(n) => 1 + varint_len(n.cast_unsigned()),
    };
    let length = prefix.len - 2 + value_len;
    match u8::try_from(length) {
        Ok(length @ ..=0x7f) => {
            let at = out.put_front(&prefix.bytes, prefix.len);
            out.set(at + 1, length);
            out.set(at + prefix.len - 1, value_len.to_le_bytes()[0]);
        }
        _ => {
            let key = prefix.bytes.get(2..prefix.len - 1).unwrap_or_default();
            out.put(&[9 << 3 | 2]);
            out.varint((length + varint_len(value_len as u64) - 1) as u64);
            out.put(key);
            out.varint(value_len as u64);
        }
    }
    match value {
        Value::Text(text) => {
            out.put(&[1 << 3 | 2]);
            out.varint(text.len() as u64);
            out.put(text);
        }
        Value::Bool(b) => out.put(&[2 << 3, u8::from(b)]),
        Value::Int(n) => {
            out.put(&[3 << 3]);
            out.varint(n.cast_unsigned());
        }
    }
}
