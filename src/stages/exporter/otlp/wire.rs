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

/// Appends a field of 8 bytes.
pub(super) fn fixed64(out: &mut Vec<u8>, field: u8, n: u64) {
    out.push(field << 3 | 1);
    out.extend_from_slice(&n.to_le_bytes());
}

/// Appends a field that is a floating-point number.
pub(super) fn double(out: &mut Vec<u8>, field: u8, n: f64) {
    fixed64(out, field, n.to_bits());
}

/// Appends a field that is a varint.
pub(super) fn number(out: &mut Vec<u8>, field: u8, n: u64) {
    out.push(field << 3);
    varint(out, n);
}

/// Appends a field that is a signed number, small in both directions (`sint32`).
pub(super) fn signed(out: &mut Vec<u8>, field: u8, n: i32) {
    number(out, field, u64::from((n << 1 ^ n >> 31).cast_unsigned()));
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

/// Memory that is large enough for what is written next: nothing grows.
#[derive(Debug)]
pub(super) struct Room<'a> {
    rest: &'a mut [u8],
    /// Bytes of lengths that are written later.
    later: usize,
}

/// A length that is written when its content is there.
#[derive(Debug)]
pub(super) struct Later<'a> {
    field: &'a mut [u8],
    /// Room that was left behind it.
    left: usize,
}

/// Appends to `out` what `write` writes, which is at most `most` bytes.
#[inline(always)]
pub(super) fn append(out: &mut Vec<u8>, most: usize, write: impl FnOnce(&mut Room<'_>)) {
    let at = out.len();
    out.resize(at + most, 0);
    let later = if most < 1 << 14 { 2 } else { LATER };
    let mut room = Room { rest: out.get_mut(at..).unwrap_or_default(), later };
    write(&mut room);
    let left = room.rest.len();
    out.truncate(out.len() - left);
}

impl<'a> Room<'a> {
    /// The next `n` bytes.
    #[inline(always)]
    fn take(&mut self, n: usize) -> &'a mut [u8] {
        let rest = std::mem::take(&mut self.rest);
        debug_assert!(n <= rest.len(), "no room for {n} bytes");
        let (taken, rest) = rest.split_at_mut_checked(n).unwrap_or_default();
        self.rest = rest;
        taken
    }

    /// Appends bytes.
    #[inline(always)]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let to = self.take(bytes.len());
        if to.len() == bytes.len() {
            to.copy_from_slice(bytes);
        }
    }

    /// Appends so many bytes that the compiler knows.
    #[inline(always)]
    pub(super) fn put_all<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some((to, rest)) = std::mem::take(&mut self.rest).split_first_chunk_mut() {
            *to = bytes;
            self.rest = rest;
        }
    }

    /// The next `N` bytes, of which `fill` appends the first so many as it gives; it may write more,
    /// which will be overwritten.
    #[inline(always)]
    pub(super) fn put_front<const N: usize>(&mut self, fill: impl FnOnce(&mut [u8; N]) -> usize) {
        if let Some(to) = self.rest.first_chunk_mut() {
            let n = fill(to);
            self.take(n);
        }
    }

    /// Appends a varint.
    #[inline(always)]
    pub(super) fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.put_all([n.to_le_bytes()[0] | 0x80]);
            n >>= 7;
        }
        self.put_all([n.to_le_bytes()[0]]);
    }

    /// Begins a length-delimited field whose length is not known yet.
    #[inline(always)]
    pub(super) fn begin(&mut self, field: u8) -> Later<'a> {
        self.put_all([field << 3 | 2]);
        let field = self.take(self.later);
        Later { field, left: self.rest.len() }
    }

    /// Ends the field.
    #[inline(always)]
    pub(super) fn end(&mut self, Later { field, left }: Later<'_>) {
        fill(field, (left - self.rest.len()) as u64);
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
