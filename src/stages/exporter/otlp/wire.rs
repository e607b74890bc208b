//! The protobuf wire format, as much as the trace messages need.
//! See <https://protobuf.dev/programming-guides/encoding/>.

/// Bytes that `n` takes as a base-128 varint.
pub(super) fn varint_len(n: u64) -> usize {
    let bits = 64_u32.saturating_sub((n | 1).leading_zeros());
    bits.div_ceil(7) as usize
}

/// Bytes that a length-delimited field of a number below 16 takes.
pub(super) fn delimited_len(content: usize) -> usize {
    1 + varint_len(content as u64) + content
}

/// Appends a varint.
pub(super) fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n.to_le_bytes()[0] | 0x80);
        n >>= 7;
    }
    out.push(n.to_le_bytes()[0]);
}

/// Appends the tag and length of a length-delimited field; its content must follow.
pub(super) fn delimited(out: &mut Vec<u8>, field: u8, content: usize) {
    out.push(field << 3 | 2);
    varint(out, content as u64);
}

/// Appends a field of bytes or text.
pub(super) fn bytes(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    delimited(out, field, content.len());
    out.extend_from_slice(content);
}

/// Bytes of a length that is written later.
const LATER: usize = 5;

/// Begins a length-delimited field whose length is not known yet; gives where it stands.
pub(super) fn begin(out: &mut Vec<u8>, field: u8) -> usize {
    out.extend_from_slice(&[field << 3 | 2, 0, 0, 0, 0, 0]);
    out.len() - LATER
}

/// Ends the field whose length stands at `at`.
pub(super) fn end(out: &mut [u8], at: usize) {
    let length = out.len().saturating_sub(at + LATER);
    if let Some(field) = out.get_mut(at..at + LATER) {
        fill(field, length as u64);
    }
}

/// Writes a varint that takes all of `field`.
fn fill(field: &mut [u8], n: u64) {
    if let [first, second] = field {
        (*first, *second) = (n.to_le_bytes()[0] | 0x80, (n >> 7).to_le_bytes()[0]);
        return;
    }
    let last = field.len().saturating_sub(1);
    for (i, byte) in field.iter_mut().enumerate() {
        let more = if i < last { 0x80 } else { 0 };
        *byte = (n >> (7 * i)).to_le_bytes()[0] & 0x7f | more;
    }
}

/// Memory behind some bytes that is large enough for what is appended next: nothing grows.
#[derive(Debug)]
pub(super) struct Room<'a> {
    out: &'a mut Vec<u8>,
    /// Where the next byte goes.
    at: usize,
    /// Bytes of lengths that are written later.
    later: usize,
}

impl<'a> Room<'a> {
    /// Makes room for `most` bytes behind `out`, and for the table that is copied from.
    pub(super) fn behind(out: &'a mut Vec<u8>, most: usize) -> Self {
        let at = out.len();
        out.resize(at + most, 0);
        Self { out, at, later: if most < 1 << 14 { 2 } else { LATER } }
    }

    /// Gives back the room that was not used.
    pub(super) fn close(self) {
        debug_assert!(self.at <= self.out.len(), "there was room for {}", self.out.len());
        self.out.truncate(self.at);
    }

    /// Appends bytes.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if let Some(to) = self.out.get_mut(self.at..end) {
            to.copy_from_slice(bytes);
        }
        self.at = end;
    }

    /// Appends the first `n` of some bytes; what stands behind them will be overwritten. Gives where
    /// they stand.
    #[inline]
    pub(super) fn put_front<const N: usize>(&mut self, bytes: &[u8; N], n: usize) -> usize {
        let at = self.at;
        if let Some(to) = self.out.get_mut(at..).and_then(|to| to.first_chunk_mut()) {
            *to = *bytes;
        }
        self.at = at + n;
        at
    }

    /// Changes one byte.
    #[inline]
    pub(super) fn set(&mut self, at: usize, byte: u8) {
        if let Some(to) = self.out.get_mut(at) {
            *to = byte;
        }
    }

    /// Appends a varint.
    #[inline]
    pub(super) fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.put(&[n.to_le_bytes()[0] | 0x80]);
            n >>= 7;
        }
        self.put(&[n.to_le_bytes()[0]]);
    }

    /// Begins a length-delimited field whose length is not known yet; gives where that stands.
    pub(super) fn begin(&mut self, field: u8) -> usize {
        self.put(&[field << 3 | 2]);
        let at = self.at;
        self.at += self.later;
        at
    }

    /// Ends the field whose length stands at `at`.
    pub(super) fn end(&mut self, at: usize) {
        let behind = at + self.later;
        let length = self.at.saturating_sub(behind);
        if let Some(field) = self.out.get_mut(at..behind) {
            fill(field, length as u64);
        }
    }
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// A varint.
    Number(u64),
    /// Bytes, text or a message.
    Bytes(&'a [u8]),
    /// Of another type; skipped.
    Other,
}

/// Takes the first field off `message`: its number and value. `None` at the end and when malformed.
pub(super) fn next_field<'a>(message: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let tag = take_varint(message)?;
    let value = match tag & 7 {
        0 => Field::Number(take_varint(message)?),
        2 => {
            let length = usize::try_from(take_varint(message)?).ok()?;
            Field::Bytes(take(message, length)?)
        }
        1 => take(message, 8).map(|_| Field::Other)?,
        5 => take(message, 4).map(|_| Field::Other)?,
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn take<'a>(from: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(n)?;
    *from = rest;
    Some(taken)
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut n = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(from, 1)?.first()?;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_the_length_that_is_announced_and_read_back() {
        for n in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, n);
            assert_eq!(out.len(), varint_len(n), "{n}");
            assert_eq!(take_varint(&mut out.as_slice()), Some(n));
        }
        assert_eq!(take_varint(&mut [0x96, 0x01].as_slice()), Some(150));
        assert_eq!(take_varint(&mut [0x80].as_slice()), None);
        assert_eq!(take_varint(&mut [0xff; 11].as_slice()), None);
    }

    #[test]
    fn fields_of_every_type_are_read_or_skipped() {
        let mut message = vec![0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i'];
        message.extend([0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4, 0x33]);
        let mut rest = message.as_slice();
        assert_eq!(next_field(&mut rest), Some((1, Field::Number(150))));
        assert_eq!(next_field(&mut rest), Some((2, Field::Bytes(b"hi"))));
        assert_eq!(next_field(&mut rest), Some((3, Field::Other)));
        assert_eq!(next_field(&mut rest), Some((4, Field::Other)));
        assert_eq!(next_field(&mut rest), None, "groups are not part of the format any more");
        assert_eq!(next_field(&mut [0x12, 0x05, 1].as_slice()), None, "shorter than announced");
    }
}
