//! Chunked bodies (RFC 9112 section 7.1):
//!
//! ```text
//! chunked-body = *( chunk-size [ chunk-ext ] CRLF chunk-data CRLF )
//!                1*"0" [ chunk-ext ] CRLF *( trailer CRLF ) CRLF
//! ```

use super::head::{MAX_LENGTH, line_content, line_end};
use super::wire;
use crate::protocols::{Input, Malformed, Step};

/// Hexadecimal digits of a chunk size.
const MAX_SIZE_DIGITS: usize = 16;

/// Bytes of a chunk-size line with its extensions.
const MAX_SIZE_LINE: usize = 4096;

/// Bytes of all trailer lines together.
const MAX_TRAILERS: usize = super::MAX_HEAD;

/// What comes next in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// A chunk-size line.
    Size,
    /// The line end behind a chunk's data, of which this many bytes are left.
    DataEnd(u8),
    /// A trailer line or the empty line that ends the body; so many bytes of trailers before it.
    Trailers(u16),
    /// Nothing: the body is over.
    Done,
}

/// What stops the walk over a body.
enum Stop {
    /// The rest of the element is not there yet.
    Short,
    /// A rule is broken.
    Broken(Malformed),
}

impl Chunked {
    /// Follows the body as far as the input allows. Chunk data is passed over without being
    /// looked at, so it may be missing or still to come. Adds the bytes of data to `seen`.
    pub(super) fn step<M>(&mut self, input: Input<'_>, seen: &mut u64) -> Step<M> {
        let mut at = 0usize;
        let stop = loop {
            if *self == Self::Done {
                return Step::Part { consumed: wire(at), last: true };
            }
            let rest = input.bytes.get(at..).unwrap_or_default();
            match self.element(rest, input.missing) {
                Ok((used, data)) => {
                    at = at.saturating_add(used);
                    *seen = seen.saturating_add(data);
                    if *self == Self::DataEnd(2) {
                        let end = wire(at).saturating_add(data);
                        match usize::try_from(end) {
                            Ok(end) if end < input.bytes.len() => at = end,
                            _ => return Step::Part { consumed: end, last: false },
                        }
                    }
                    if at > input.bytes.len() {
                        return Step::Part { consumed: wire(at), last: false };
                    }
                }
                Err(stop) => break stop,
            }
        };
        match stop {
            _ if at > 0 => Step::Part { consumed: wire(at), last: false },
            Stop::Broken(rule) => Step::Invalid(rule),
            Stop::Short if input.missing > 0 => Step::Lost,
            Stop::Short => Step::NeedMore { at_least: input.bytes.len().saturating_add(1) },
        }
    }

    /// Reads one element from the front of `bytes`: its bytes, and the bytes of data behind it.
    fn element(&mut self, bytes: &[u8], missing: u64) -> Result<(usize, u64), Stop> {
        match *self {
            Self::Size => {
                let (used, size) = size_line(bytes)?;
                *self = if size == 0 { Self::Trailers(0) } else { Self::DataEnd(2) };
                Ok((used, size))
            }
            Self::DataEnd(left) => {
                let used = data_end(bytes, left, missing)?;
                let left = usize::from(left).saturating_sub(used);
                *self = match bytes.first() {
                    Some(b'\n') => Self::Size,
                    _ if left == 0 => Self::Size,
                    _ => Self::DataEnd(1),
                };
                Ok((used, 0))
            }
            Self::Trailers(before) => {
                let before = usize::from(before);
                let Some(end) = line_end(bytes, 0) else {
                    let long = before.saturating_add(bytes.len()) > MAX_TRAILERS;
                    return Err(if long {
                        Stop::Broken(Malformed::HeadTooLarge)
                    } else {
                        Stop::Short
                    });
                };
                let so_far = before.saturating_add(end);
                let empty = line_content(bytes.get(..end).unwrap_or_default()).is_empty();
                if so_far > MAX_TRAILERS && !empty {
                    return Err(Stop::Broken(Malformed::HeadTooLarge));
                }
                let so_far = u16::try_from(so_far).unwrap_or(u16::MAX);
                *self = if empty { Self::Done } else { Self::Trailers(so_far) };
                Ok((end, 0))
            }
            Self::Done => Ok((0, 0)),
        }
    }
}

/// Bytes of the line end at the front of `bytes`, of which `left` bytes are due: `CRLF`, or a
/// bare line feed. Where it was not captured it is taken for granted: the next chunk-size line
/// tells.
fn data_end(bytes: &[u8], left: u8, missing: u64) -> Result<usize, Stop> {
    match (bytes, left) {
        ([b'\n', ..], _) => Ok(1),
        ([b'\r', b'\n', ..], 2) => Ok(2),
        ([b'\r'], 2) if missing > 0 => Ok(2),
        ([b'\r'], 2) => Err(Stop::Short),
        ([], _) if missing > 0 => Ok(usize::from(left).min(usize::try_from(missing).unwrap_or(2))),
        ([], _) => Err(Stop::Short),
        _ => Err(Stop::Broken(Malformed::ChunkEnd)),
    }
}

/// Bytes of the chunk-size line at the front of `bytes`, and the size.
fn size_line(bytes: &[u8]) -> Result<(usize, u64), Stop> {
    let broken = Stop::Broken(Malformed::ChunkSize);
    let digits = bytes.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let after = bytes.get(digits);
    if digits > MAX_SIZE_DIGITS || (digits == 0 && after.is_some()) {
        return Err(broken);
    }
    if !matches!(after, None | Some(b'\r' | b'\n' | b';' | b' ' | b'\t')) {
        return Err(broken);
    }
    let Some(end) = line_end(bytes, digits) else {
        return Err(if bytes.len() > MAX_SIZE_LINE { broken } else { Stop::Short });
    };
    let size = bytes.iter().take(digits).try_fold(0u64, |n, b| {
        let digit = char::from(*b).to_digit(16)?;
        n.checked_mul(16)?.checked_add(digit.into()).filter(|n| *n <= MAX_LENGTH)
    });
    size.map(|size| (end, size)).ok_or(broken)
}
