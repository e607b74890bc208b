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

/// Appends a field of a varint type.
pub(super) fn number(out: &mut Vec<u8>, field: u8, n: u64) {
    out.push(field << 3);
    varint(out, n);
}

/// Appends a `fixed64` field.
pub(super) fn fixed64(out: &mut Vec<u8>, field: u8, n: u64) {
    out.push(field << 3 | 1);
    out.extend_from_slice(&n.to_le_bytes());
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
