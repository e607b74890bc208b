//! Finding the next message after a loss.

use super::MAX_HEAD;
use super::head::{StartLine, is_token, line_content, line_end};

/// Bytes of a target that tell a request line from text.
const LONG_TARGET: usize = 2048;

/// What ends a chunked body without trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Offset in `buf` of the next plausible message start: at the front or behind a line end, a
/// whole start line of the kind that moves in this direction, followed by what looks like a
/// header line, the end of the head, or nothing yet; or the beginning of a request line whose end
/// is out of sight. A request counts with a registered method only: what is left of a body in
/// front of `GET` would make a method of its own.
///
/// `begins` tells at which offsets one may start. `requests` tells the kind, `None` when that is not known yet. When the stream was lost
/// `in_chunked`, a buffer that ends with the last chunk ends the message: its whole length is
/// the start of what comes next.
pub(super) fn find(
    requests: Option<bool>,
    in_chunked: bool,
    buf: &[u8],
    begins: impl Fn(usize) -> bool,
) -> Option<usize> {
    let mut at = 0usize;
    while let Some(end) = line_end(buf, at) {
        if is_start(requests, buf.get(at..end)?) && is_header(buf.get(end..)?) && begins(at) {
            return Some(at);
        }
        at = end;
    }
    if requests != Some(false) && is_long_request(buf.get(at..)?) && begins(at) {
        return Some(at);
    }
    (in_chunked && ends_with_last_chunk(buf)).then_some(buf.len())
}

fn is_start(requests: Option<bool>, line: &[u8]) -> bool {
    if line.len() > MAX_HEAD {
        return false;
    }
    match StartLine::read(line_content(line)) {
        Ok(StartLine::Request { method, .. }) => requests != Some(false) && is_registered(method),
        Ok(StartLine::Response { .. }) => requests != Some(true),
        Err(_) => false,
    }
}

/// Whether `line`, whose end is out of sight, has a method and so much of a target that it can
/// hardly be anything else.
fn is_long_request(line: &[u8]) -> bool {
    let mut words = line.splitn(3, |b| *b == b' ');
    words.next().is_some_and(is_registered)
        && words.next().is_some_and(|target| target.len() >= LONG_TARGET)
        && words.next().is_none()
}

/// The methods of the [IANA registry], and `PURGE`, which caches know.
///
/// [IANA registry]: https://www.iana.org/assignments/http-methods
fn is_registered(method: &[u8]) -> bool {
    #[rustfmt::skip]
    let registered = matches!(
        method,
        b"GET" | b"HEAD" | b"POST" | b"PUT" | b"DELETE" | b"CONNECT" | b"OPTIONS" | b"TRACE"
        | b"PATCH" | b"QUERY" | b"PURGE"
        | b"ACL" | b"BASELINE-CONTROL" | b"BIND" | b"CHECKIN" | b"CHECKOUT" | b"COPY" | b"LABEL"
        | b"LINK" | b"LOCK" | b"MERGE" | b"MKACTIVITY" | b"MKCALENDAR" | b"MKCOL"
        | b"MKREDIRECTREF" | b"MKWORKSPACE" | b"MOVE" | b"ORDERPATCH" | b"PROPFIND"
        | b"PROPPATCH" | b"REBIND" | b"REPORT" | b"SEARCH" | b"UNBIND" | b"UNCHECKOUT"
        | b"UNLINK" | b"UNLOCK" | b"UPDATE" | b"UPDATEREDIRECTREF" | b"VERSION-CONTROL"
    );
    registered
}

/// Whether `rest` begins like a header line or ends the head.
fn is_header(rest: &[u8]) -> bool {
    let name = rest.iter().take_while(|b| is_token(**b)).count();
    match (name, rest.get(name)) {
        (_, None) | (0, Some(b'\r' | b'\n')) => true,
        (0, _) => false,
        (_, Some(b)) => *b == b':',
    }
}

fn ends_with_last_chunk(buf: &[u8]) -> bool {
    buf.strip_suffix(LAST_CHUNK).is_some_and(|data| data.is_empty() || data.ends_with(b"\n"))
}
