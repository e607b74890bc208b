//! The `traceparent` header (W3C Trace Context, levels 1 and 2):
//! `version "-" trace-id "-" parent-id "-" trace-flags`, lower-case hexadecimal.

use crate::model::ids::{SpanId, TraceId};
use crate::protocols::TraceParent;

/// Bytes of a header of version 00, and at least those of a later one.
const LEN: usize = 55;

/// The only flag that every version shares.
const SAMPLED: u8 = 1;

/// Reads the header's value. `None` when it is not valid: version `ff`, ids of zeros only,
/// upper-case digits, another length. A later version may go on behind a `-`.
pub(super) fn read(value: &[u8]) -> Option<TraceParent> {
    let (fields, more) = value.split_at_checked(LEN)?;
    let mut parts = fields.split(|b| *b == b'-');
    let [version] = hex(parts.next()?)?;
    let trace_id = TraceId(hex(parts.next()?)?);
    let parent_id = SpanId(hex(parts.next()?)?);
    let [flags] = hex(parts.next()?)?;
    let goes_on = match version {
        0 => more.is_empty(),
        0xff => false,
        _ => matches!(more, [] | [b'-', ..]),
    };
    if parts.next().is_some() || !goes_on || trace_id.is_none() || parent_id.is_none() {
        return None;
    }
    let flags = if version == 0 { flags } else { flags & SAMPLED };
    Some(TraceParent { trace_id, parent_id, flags })
}

/// Exactly `N` bytes as lower-case hexadecimal.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let mut bytes = [0u8; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (nibble(*high)? << 4) | nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}
