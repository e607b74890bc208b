//! Heads: the start line and the few header lines that matter (RFC 9112 sections 3 to 6).

use memchr::{memchr, memrchr};

use super::lines::LineFeeds;
use super::span::known_method;
use crate::protocols::{Malformed, SpanSink, Verdict};

/// Bytes of a method; a longer word is not a method.
pub(super) const MAX_METHOD: usize = 32;

/// Largest length that a header or a chunk may declare: what an attribute can hold.
pub(super) const MAX_LENGTH: u64 = i64::MAX as u64;

/// A start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartLine<'a> {
    /// `method SP target SP HTTP/1.x`
    Request {
        /// A token.
        method: &'a [u8],
        /// Not empty; may hold any byte but the line end.
        target: &'a [u8],
    },
    /// `HTTP/1.x SP 3DIGIT [SP reason]`
    Response {
        /// 100 to 999.
        status: u16,
    },
}

impl<'a> StartLine<'a> {
    /// Reads a whole line without its line end.
    pub(super) fn read(line: &'a [u8]) -> Result<Self, Malformed> {
        if line.starts_with(b"HTTP/") { response_line(line) } else { request_line(line) }
    }
}

fn request_line(line: &[u8]) -> Result<StartLine<'_>, Malformed> {
    if is_http2_preface(line) {
        return Err(Malformed::StartLine);
    }
    let method = method_of(line)?.ok_or(Malformed::StartLine)?;
    let rest = line.get(method.len().saturating_add(1)..).unwrap_or_default();
    if let [target @ .., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'] = rest
        && !target.is_empty()
    {
        return Ok(StartLine::Request { method, target });
    }
    let Some(space) = memrchr(b' ', rest) else { return Err(Malformed::StartLine) };
    let (target, version) = rest.split_at_checked(space).unwrap_or_default();
    if target.is_empty() || !version.split_first().is_some_and(|(_, v)| is_version(v)) {
        let control = version.iter().any(u8::is_ascii_control);
        return Err(if control { Malformed::ControlByte } else { Malformed::StartLine });
    }
    Ok(StartLine::Request { method, target })
}

/// The method that a request line begins with; `None` when its end is not there.
fn method_of(line: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let bounded = line.get(..=MAX_METHOD).unwrap_or(line);
    // Nearly all are words of capital letters.
    let capitals = bounded.iter().position(|b| !b.is_ascii_uppercase()).unwrap_or_default();
    if capitals > 0 && bounded.get(capitals) == Some(&b' ') {
        return Ok(bounded.get(..capitals));
    }
    match bounded.iter().position(|b| !is_token(*b)).map(|n| (n, bounded.get(n))) {
        Some((n, Some(b' '))) if n > 0 => Ok(bounded.get(..n)),
        Some((_, Some(b))) if b.is_ascii_control() && *b != b'\r' => Err(Malformed::ControlByte),
        Some(_) => Err(Malformed::StartLine),
        None if bounded.len() > MAX_METHOD => Err(Malformed::StartLine),
        None => Ok(None),
    }
}

fn response_line(line: &[u8]) -> Result<StartLine<'_>, Malformed> {
    let Some((version, rest)) = line.split_at_checked(8) else { return Err(Malformed::StartLine) };
    let [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', reason @ ..] = rest else {
        return Err(Malformed::StartLine);
    };
    if !is_version(version) || !matches!(reason, [] | [b' ', ..]) {
        return Err(Malformed::StartLine);
    }
    if reason.contains(&0) {
        return Err(Malformed::ControlByte);
    }
    let status = [a, b, c].iter().fold(0u16, |n, digit| {
        n.saturating_mul(10).saturating_add(u16::from(digit.wrapping_sub(b'0')))
    });
    Ok(StartLine::Response { status })
}

/// Could this first line, whose end is not there yet, become a start line?
pub(super) fn could_start(prefix: &[u8]) -> Result<(), Malformed> {
    let version = prefix.get(..VERSION.len()).unwrap_or(prefix);
    let possible = if VERSION.starts_with(version) {
        response_prefix(prefix)
    } else {
        method_of(prefix)?;
        !is_http2_preface(prefix)
    };
    if possible { Ok(()) } else { Err(Malformed::StartLine) }
}

/// Method and target of a request line whose end is out of sight, where that changes nothing: a
/// text of the target's length is cut anyway. Only of registered methods, because no version tells
/// that it is a request line.
pub(super) fn long_request(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let method = method_of(line).ok()?.filter(|method| known_method(method).is_some())?;
    let target = line.get(method.len().checked_add(1)?..)?;
    let long = target.len() > SpanSink::TEXT_MAX && !target.starts_with(b" ");
    (long && !is_http2_preface(line)).then_some((method, target))
}

/// See [`crate::protocols::Protocol::probe`].
pub(super) fn probe(head: &[u8]) -> Verdict {
    let line = match head {
        [b'\r' | b'\n', rest @ ..] => rest.trim_ascii_start(),
        _ => head,
    };
    let bounded = line.get(..super::MAX_HEAD).unwrap_or(line);
    match memchr(b'\n', bounded).and_then(|n| bounded.get(..n)) {
        _ if line.is_empty() => Verdict::Maybe,
        Some(line) if StartLine::read(without_cr(line)).is_ok() => Verdict::Yes,
        Some(_) => Verdict::No,
        None if long_request(bounded).is_some() => Verdict::Yes,
        None if bounded.len() == super::MAX_HEAD => Verdict::No,
        None if could_start(bounded).is_ok() => Verdict::Maybe,
        None => Verdict::No,
    }
}

/// What a response begins with, but for its minor version.
pub(super) const VERSION: &[u8] = b"HTTP/1.";

/// RFC 9113 section 3.4: no request of HTTP/1 begins so, whatever follows.
fn is_http2_preface(line: &[u8]) -> bool {
    line.first() == Some(&b'P') && line.starts_with(b"PRI * HTTP/2")
}

fn is_version(v: &[u8]) -> bool {
    matches!(v, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'])
}

/// Whether bytes that begin like `HTTP/1.` go on like a status line.
fn response_prefix(prefix: &[u8]) -> bool {
    prefix.iter().enumerate().all(|(n, b)| match n {
        0..=6 => VERSION.get(n) == Some(b),
        7 | 10 | 11 => b.is_ascii_digit(),
        9 => matches!(b, b'1'..=b'9'),
        8 => *b == b' ',
        12 => matches!(b, b' ' | b'\r'),
        _ => true,
    })
}

/// `tchar` of RFC 9110 section 5.6.2.
pub(super) fn is_token(b: u8) -> bool {
    matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z'
        | b'^'..=b'z' | b'|' | b'~')
}

/// A line without the carriage return before its line feed.
pub(super) fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Offset behind the first line feed at or after `at`.
pub(super) fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    let n = memchr(b'\n', bytes.get(at..)?)?;
    Some(at.saturating_add(n).saturating_add(1))
}

/// A line without its line end.
#[inline]
pub(super) fn line_content(line: &[u8]) -> &[u8] {
    without_cr(line.strip_suffix(b"\n").unwrap_or(line))
}

/// Offset behind the empty line that ends a head, searched from `from` on.
pub(super) fn find_end(bytes: &[u8], mut from: usize) -> Option<usize> {
    while let Some(end) = line_end(bytes, from) {
        let before = bytes.get(..end.saturating_sub(1)).unwrap_or_default();
        if before.ends_with(b"\n") || before.ends_with(b"\n\r") {
            return Some(end);
        }
        from = end;
    }
    None
}

/// What the header says about the body's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Length {
    /// No `Content-Length`.
    #[default]
    Absent,
    /// One, or several that agree.
    Declared(u64),
    /// No number, too large, or several that differ.
    Broken,
}

/// What the header says about the body's coding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Coding {
    /// No `Transfer-Encoding`.
    #[default]
    Absent,
    /// The last coding is `chunked`.
    Chunked,
    /// The last coding is another one: only the end of the connection ends the body.
    Other,
}

/// A field that counts only when it is there exactly once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Once<'a> {
    /// Not there.
    #[default]
    Absent,
    /// Once.
    Value(&'a [u8]),
    /// Several times.
    Repeated,
}

/// The header lines that matter. Everything else in a head is passed over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    /// `Content-Length`.
    pub(super) length: Length,
    /// `Transfer-Encoding`.
    pub(super) coding: Coding,
    /// The first `Host`.
    pub(super) host: Option<&'a [u8]>,
    /// `traceparent`.
    pub(super) traceparent: Once<'a>,
    /// Whether there is an `Upgrade`.
    pub(super) upgrade: bool,
    /// A line names the body's length or coding and has white space before its colon: receivers
    /// disagree on what it means (RFC 9112 section 5.1).
    pub(super) doubtful: bool,
}

impl<'a> Fields<'a> {
    /// Reads header lines from offset `at` on, whose line feeds are `feeds`. Gives what was found
    /// and the offset behind the empty line, `None` when it is not in `bytes`. A line that is not
    /// there whole is not read.
    pub(super) fn read(
        bytes: &'a [u8],
        mut at: usize,
        feeds: LineFeeds<'_>,
    ) -> (Self, Option<usize>) {
        let mut fields = Self::default();
        for feed in feeds {
            let end = feed.wrapping_add(1);
            match bytes.get(at) {
                Some(b'\n') => return (fields, Some(end)),
                Some(b'\r') if feed == at.wrapping_add(1) => return (fields, Some(end)),
                Some(first) => {
                    // Others are of no interest, and neither is a line that continues one of them.
                    if let Some(name) = Name::at(*first, bytes, at) {
                        if matches!(bytes.get(end), Some(b' ' | b'\t')) {
                            continue;
                        }
                        fields.take(name, bytes.get(at..end).unwrap_or_default());
                    }
                }
                None => {}
            }
            at = end;
        }
        (fields, None)
    }

    /// Reads one line, which may have this name, with its line end and its continuation lines.
    #[inline(never)]
    fn take(&mut self, name: Name, line: &'a [u8]) {
        match name {
            Name::Host => {
                let host = || rest_of(line, b"host").and_then(value_of);
                self.host = self.host.or_else(host);
            }
            Name::ContentLength => {
                let rest = rest_of(line, b"content-length");
                if let Some(value) = rest.and_then(|rest| self.framing_value(rest)) {
                    self.length = self.length.and(value);
                }
            }
            Name::TransferEncoding => {
                let rest = rest_of(line, b"transfer-encoding");
                if let Some(value) = rest.and_then(|rest| self.framing_value(rest)) {
                    let last = value.rsplit(|b| *b == b',').next().unwrap_or_default();
                    let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
                    self.coding = if chunked { Coding::Chunked } else { Coding::Other };
                }
            }
            Name::Traceparent => {
                if let Some(value) = rest_of(line, b"traceparent").and_then(value_of) {
                    self.traceparent = match self.traceparent {
                        Once::Absent => Once::Value(value),
                        Once::Value(_) | Once::Repeated => Once::Repeated,
                    };
                }
            }
            Name::Upgrade => {
                self.upgrade |= rest_of(line, b"upgrade").and_then(value_of).is_some();
            }
        }
    }

    /// The value behind the name of a line that decides where the body ends.
    fn framing_value(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let colon = rest.trim_ascii_start();
        let value = colon.strip_prefix(b":")?.trim_ascii();
        self.doubtful |= colon.len() != rest.len();
        Some(value)
    }
}

/// Names of the lines that are read.
#[derive(Clone, Copy, Debug)]
enum Name {
    Host,
    ContentLength,
    TransferEncoding,
    Traceparent,
    Upgrade,
}

impl Name {
    /// What the line at `at`, which begins with `first`, may be, by where its name ends.
    #[inline(always)]
    fn at(first: u8, bytes: &[u8], at: usize) -> Option<Self> {
        let ends = |name: &[u8]| {
            matches!(bytes.get(at.wrapping_add(name.len())), Some(b':' | b'\t'..=b' '))
        };
        match first | 0x20 {
            b'h' if ends(b"host") => Some(Self::Host),
            b'c' if ends(b"content-length") => Some(Self::ContentLength),
            b't' if ends(b"traceparent") => Some(Self::Traceparent),
            b't' if ends(b"transfer-encoding") => Some(Self::TransferEncoding),
            b'u' if ends(b"upgrade") => Some(Self::Upgrade),
            _ => None,
        }
    }
}

impl Length {
    /// This and what one more `Content-Length` says: a number, or a list of equal ones
    /// (RFC 9112 section 6.3).
    fn and(self, value: &[u8]) -> Self {
        if let (Self::Absent, Some(n)) = (self, decimal(value)) {
            return Self::Declared(n);
        }
        value.split(|b| *b == b',').fold(self, |sum, item| {
            match (sum, decimal(item.trim_ascii())) {
                (Self::Absent, Some(n)) => Self::Declared(n),
                (Self::Declared(m), Some(n)) if m == n => sum,
                _ => Self::Broken,
            }
        })
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, b| {
        let digit = b.wrapping_sub(b'0');
        let n = n.checked_mul(10)?.checked_add(digit.into())?;
        (digit < 10 && n <= MAX_LENGTH).then_some(n)
    })
}

/// Names and values of header lines. One that is continued, or that is not there whole, is left out, as
/// is one whose name is none.
pub(super) fn header_lines(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let (line, after) = rest.split_at_checked(line_end(rest, 0)?)?;
        rest = after;
        Some((line, matches!(after.first(), Some(b' ' | b'\t'))))
    })
    .filter_map(|(line, continued)| {
        let colon = memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        let is_name = !name.is_empty() && name.iter().all(|b| is_token(*b));
        (is_name && !continued).then_some((name, value_of(value)?))
    })
}

/// The value, where a colon stands right behind the name.
fn value_of(rest: &[u8]) -> Option<&[u8]> {
    Some(rest.strip_prefix(b":")?.trim_ascii())
}

/// What follows in `line` when it begins with the small letters and hyphens of `name`, in any case.
#[inline]
fn rest_of<'a, const N: usize>(line: &'a [u8], name: &[u8; N]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_first_chunk::<N>()?;
    // All bytes are looked at together: the bit of the case counts for hyphens only.
    let differ = start.iter().zip(name).fold(0, |differ, (byte, name)| {
        let case = if name.is_ascii_lowercase() { 0x20 } else { 0 };
        differ | ((byte ^ name) & !case)
    });
    (differ == 0).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lines_are_names_and_values_and_what_is_doubtful_is_left_out() {
        let lines = b"Host: a\r\nX-Id:1\r\nX-Empty:  \r\nno colon\r\n: nameless\r\nX-White : 1\r\n\
            X-Folded: 1\r\n 2\r\nX-Last: a:b\t\r\n\r\nX-Cut: 1";
        let found: Vec<_> = header_lines(lines)
            .map(|(name, value)| [name, value].map(|bytes| String::from_utf8_lossy(bytes)))
            .collect();
        assert_eq!(found, [["Host", "a"], ["X-Id", "1"], ["X-Empty", ""], ["X-Last", "a:b"]]);
    }
}
