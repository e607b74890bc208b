//! Attributes of spans as `KeyValue` messages.
//!
//! Nearly all of such a message is known beforehand: it is copied whole from a table, and its lengths
//! and its value are filled in.

use super::wire::{Room, varint_len};
use crate::semconv::AttrKey;

/// Bytes of a message up to its value, with room to spare: this many are copied, whatever the key.
const PREFIX_MAX: usize = 48;
/// The front of an attribute: what stands before its text, or all of it.
const FRONT: usize = 64;
/// Bytes that an attribute may take beside its text.
pub(super) const ROOM: usize = FRONT;
/// A text whose attribute is shorter than 128 bytes, whatever the key: each length takes one byte.
const SHORT: usize = 0x80 - PREFIX_MAX - 2;

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

/// Appends an attribute of text.
#[inline(always)]
pub(super) fn text(out: &mut Room<'_>, key: AttrKey, text: &[u8]) {
    let prefix = prefix_of(key);
    if text.len() >= SHORT {
        return long_text(out, prefix, text);
    }
    let len = text.len().to_le_bytes()[0];
    out.put_front(|front| {
        let at = prefix.begin(front, 2 + len);
        set(front, at, 1 << 3 | 2);
        set(front, at + 1, len);
        at + 2
    });
    out.put(text);
}

/// Appends an attribute that is a number.
#[inline(always)]
pub(super) fn int(out: &mut Room<'_>, key: AttrKey, n: i64) {
    let mut n = n.cast_unsigned();
    out.put_front(|front| {
        let len = varint_len(n);
        let at = prefix_of(key).begin(front, 1 + len.to_le_bytes()[0]);
        set(front, at, 3 << 3);
        for i in 1..len {
            set(front, at + i, n.to_le_bytes()[0] | 0x80);
            n >>= 7;
        }
        set(front, at + len, n.to_le_bytes()[0]);
        at + 1 + len
    });
}

/// Appends an attribute that is a truth value.
pub(super) fn bool(out: &mut Room<'_>, key: AttrKey, b: bool) {
    out.put_front(|front| {
        let at = prefix_of(key).begin(front, 2);
        set(front, at, 2 << 3);
        set(front, at + 1, u8::from(b));
        at + 2
    });
}

#[inline(always)]
fn prefix_of(key: AttrKey) -> &'static Prefix {
    &PREFIXES[key as usize]
}

impl Prefix {
    /// Copies it to the front of an attribute whose value takes `value_len` bytes. Gives where the
    /// value stands.
    #[inline(always)]
    fn begin(&self, front: &mut [u8; FRONT], value_len: u8) -> usize {
        if let Some(to) = front.first_chunk_mut() {
            *to = self.bytes;
        }
        set(front, 1, self.len.to_le_bytes()[0] - 2 + value_len);
        set(front, self.len - 1, value_len);
        self.len
    }
}

/// Changes one byte of a front, which is as long as it needs to be.
#[inline(always)]
fn set(front: &mut [u8; FRONT], at: usize, byte: u8) {
    if let Some(to) = front.get_mut(at % FRONT) {
        *to = byte;
    }
}

/// Appends an attribute of long text.
#[cold]
fn long_text(out: &mut Room<'_>, prefix: &Prefix, text: &[u8]) {
    let key = prefix.bytes.get(2..prefix.len - 1).unwrap_or_default();
    let value_len = 1 + varint_len(text.len() as u64) + text.len();
    out.put_all([9 << 3 | 2]);
    out.varint((key.len() + varint_len(value_len as u64) + value_len) as u64);
    out.put(key);
    out.varint(value_len as u64);
    out.put_all([1 << 3 | 2]);
    out.varint(text.len() as u64);
    out.put(text);
}
