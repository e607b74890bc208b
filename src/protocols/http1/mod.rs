//! HTTP/1.0 and HTTP/1.1 ([RFC 9112], [RFC 9110]).
//!
//! ```text
//! message     = start-line CRLF *( field-line CRLF ) CRLF [ body ]
//! start-line  = method SP target SP "HTTP/1." DIGIT        (a request)
//!             | "HTTP/1." DIGIT SP 3DIGIT [ SP reason ]    (a response)
//! ```
//!
//! Each direction is a state machine over borrowed bytes: a head, then a body that ends where
//! RFC 9112 section 6.3 says. Requests are numbered; a response carries the number of the request
//! it answers (see [`exchanges`]). Nothing is allocated for a message.
//!
//! We watch and do not serve: what a server would refuse is still a request, and its answer tells
//! what the server thought of it. So a head is described as far as it can be read, and only what
//! makes its end uncertain loses the stream, until [`resync`] finds the next start line.
//!
//! | what comes | outcome |
//! | --- | --- |
//! | any token of at most 32 bytes as method | as sent |
//! | a version other than `HTTP/1.x`, or none (HTTP/0.9) | `start_line` |
//! | a control byte in the method, the version or (NUL only) the reason | `control_byte` |
//! | control bytes, invalid UTF-8 or spaces in the target | kept, escaped in the text |
//! | empty lines before a head | passed over |
//! | a line feed without carriage return | ends the line |
//! | a folded line | continues the value; behind the start line it is passed over |
//! | a line without a name or with white space before its colon | passed over; `header_line` behind the head when it names the body's length or coding |
//! | a head of more than [`MAX_HEAD`] bytes | described from these, then `head_too_large` |
//! | `Content-Length` with `Transfer-Encoding` | the latter decides |
//! | several `Content-Length` that agree | one |
//! | several that differ, or one that is no number or above `i64::MAX` | described, then `content_length` |
//! | a last coding other than `chunked` | a request is lost behind its head, a response goes on until the end |
//! | a chunk size without digits, of more than 16, or above `i64::MAX` | `chunk_size` |
//! | a chunk that does not end where its size says | `chunk_end` |
//! | chunk extensions (to 4 KiB), trailers (to [`MAX_HEAD`]) | passed over |
//! | a body behind HEAD, 204, 304, 1xx | there is none, whatever the header says |
//! | 1xx but 101 | passed over |
//! | a response that was read before a request was sent | does not answer it |
//! | a response to a request that was not seen | its body is as its head says, unless another response follows that (`HEAD`) |
//! | behind a loss, a response to one of several requests under way | `ambiguous`: see [`exchanges`] |
//! | behind a loss, a start line in the middle of a call, or before the other side has moved | text, unless requests were pipelined or the message lost was answered early |
//! | behind a loss, a request that is followed by anything before its answer begins | text |
//! | behind a loss, a request of a method that is not registered | passed over |
//! | 101, or 2xx behind CONNECT | the exchange is whole; then [`Step::Tunnel`] |
//! | bytes behind CONNECT or `Upgrade` before the answer | wait for it |
//! | more than [`MAX_IN_FLIGHT`] requests without answer | `too_many_in_flight` |
//! | a request line without an end, cut behind [`SpanSink::TEXT_MAX`] bytes of target and a registered method | described: the rest of the target would be cut anyway |
//! | a head cut by bytes that were not captured | described from what is there when its start line is, then lost |
//! | chunk data and the line end behind it not captured | no matter |
//! | other framing of a chunked body not captured | lost; found by a start line, or by a buffer that ends with the last chunk |
//! | a repeated or invalid `traceparent` | as if it were not there |
//!
//! [RFC 9112]: https://www.rfc-editor.org/rfc/rfc9112
//! [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110

mod body;
mod exchanges;
mod head;
mod lines;
mod resync;
mod side;
mod span;
mod target;
#[cfg(test)]
mod tests;
mod traceparent;

use super::{Direction, Input, Malformed, Position, Protocol, Role, SpanSink, Step, Verdict};
use crate::semconv::{AttrKey, SpanFamily};
use exchanges::{Answer, Asked, Exchanges, View};
use head::{Fields, Once, StartLine};
use lines::LineFeeds;
use side::{Body, HeadRead, Loss, Side, State, starved, wire};

pub use exchanges::MAX_IN_FLIGHT;

/// Bytes of a head that are looked at. A longer one is described from these.
pub const MAX_HEAD: usize = 32_768;

/// HTTP/1.
#[derive(Debug)]
pub struct Http1;

/// State of one connection. A few words for each direction, and five for each of at most
/// [`MAX_IN_FLIGHT`] requests.
#[derive(Debug, Default)]
pub struct Http1Conn {
    send: Side,
    recv: Side,
    /// The direction in which requests move, once a start line told.
    requests: Option<Direction>,
    exchanges: Exchanges,
    /// An upgrade or a `CONNECT` was granted.
    tunnel: bool,
}

/// A parsed head.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// A request's.
    Request(Request<'a>),
    /// A response's.
    Response(Response<'a>),
}

/// A request's head.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    dir: Direction,
    exchange: u64,
    method: &'a [u8],
    target: &'a [u8],
    /// The target goes on.
    cut: bool,
    host: Option<&'a [u8]>,
    traceparent: Once<'a>,
    /// Its header lines.
    lines: &'a [u8],
    body: Option<u64>,
}

/// A response's head.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    dir: Direction,
    exchange: u64,
    status: u16,
    /// Its header lines.
    lines: &'a [u8],
    body: Option<u64>,
}

impl Protocol for Http1 {
    const NAME: &'static str = "http1";
    type Conn = Http1Conn;
    type Msg<'a> = Message<'a>;
    type Key = u64;
    const IN_ORDER: bool = true;

    fn probe(head: &[u8]) -> Verdict {
        head::probe(head)
    }

    #[inline(always)]
    fn parse<'a>(conn: &mut Http1Conn, dir: Direction, input: Input<'a>) -> Step<Message<'a>> {
        if conn.tunnel {
            return Step::Tunnel;
        }
        let side = conn.side(dir);
        match side.state {
            State::Head => {
                let step = conn.parse_head(dir, input);
                match step {
                    Step::Lost if conn.requests == Some(dir) => {
                        conn.exchanges.lost_behind(input.at);
                    }
                    Step::Invalid(_) if conn.requests == Some(dir) => {
                        let asks = !conn.exchanges.text_behind(input.at);
                        conn.requests = conn.requests.filter(|_| asks);
                    }
                    _ => {}
                }
                step
            }
            State::Chunked(chunked) => side.pass_chunked(chunked, input),
            State::UntilEnd => side.pass_until_end(input),
            State::InDoubt { framing, length } => side.settle_doubt(framing, length, input),
            State::Broken(Some(rule)) => Step::Invalid(rule),
            State::Broken(None) => Step::Lost,
        }
    }

    fn reset(conn: &mut Http1Conn, dir: Direction) {
        let side = conn.side(dir);
        side.loss = match (side.state, side.loss) {
            (State::Chunked(_), _) | (State::Head, Loss::InChunked) => Loss::InChunked,
            _ => Loss::Lost,
        };
        side.state = State::Head;
        side.scanned = 0;
        side.undecided = None;
        if conn.requests != Some(dir.flip()) {
            conn.exchanges.requests_lost();
        }
    }

    fn resync(
        conn: &Http1Conn,
        dir: Direction,
        buf: &[u8],
        begins: &dyn Fn(usize) -> bool,
    ) -> Option<usize> {
        let requests = conn.requests.map(|requests| requests == dir);
        let in_chunked = conn.side_ref(dir).loss == Loss::InChunked;
        resync::find(requests, in_chunked, buf, |at| conn.exchanges.are_pipelined() || begins(at))
    }

    fn unblock(conn: &mut Http1Conn, dir: Direction) {
        conn.side(dir).undecided = None;
    }

    fn role(msg: &Message<'_>) -> Role<u64> {
        match msg {
            Message::Request(request) => Role::Request(request.exchange),
            Message::Response(response) => Role::Response(response.exchange),
        }
    }

    fn family(dir: Direction) -> SpanFamily {
        match dir {
            Direction::Recv => SpanFamily::HttpServer,
            Direction::Send => SpanFamily::HttpClient,
        }
    }

    #[inline]
    fn describe(_: &mut Http1Conn, msg: &Message<'_>, span: &mut SpanSink<'_>) {
        span::describe(msg, span);
    }

    fn describe_end(
        conn: &mut Http1Conn,
        dir: Direction,
        request: bool,
        to_come: u64,
        span: &mut SpanSink<'_>,
    ) {
        if let Some(bytes) = conn.side_ref(dir).seen {
            span::describe_body(request, bytes.saturating_sub(to_come), span);
        }
    }

    fn describe_unanswered(span: &mut SpanSink<'_>) {
        span.bool(AttrKey::HttpResponseObserved, false);
        span.settle_headers(None, []);
    }
}

impl Http1Conn {
    fn side(&mut self, dir: Direction) -> &mut Side {
        match dir {
            Direction::Send => &mut self.send,
            Direction::Recv => &mut self.recv,
        }
    }

    fn side_ref(&self, dir: Direction) -> &Side {
        match dir {
            Direction::Send => &self.send,
            Direction::Recv => &self.recv,
        }
    }

    /// A head, or what stands before it.
    #[inline(always)]
    fn parse_head<'a>(&mut self, dir: Direction, input: Input<'a>) -> Step<Message<'a>> {
        if self.side_ref(dir).undecided.is_some_and(|n| n >= self.exchanges.oldest()) {
            return if input.bytes.is_empty() { starved(input) } else { Step::Blocked };
        }
        match input.bytes {
            [b'\r', b'\n', ..] => return Step::Skip { consumed: 2 },
            [b'\n', ..] => return Step::Skip { consumed: 1 },
            [] | [b'\r'] => return starved(input),
            _ => {}
        }
        let bounded = input.bytes.get(..MAX_HEAD);
        let bytes = bounded.unwrap_or(input.bytes);
        let mut feeds = LineFeeds::of(bytes);
        let Some(first) = feeds.next().map(|feed| feed.saturating_add(1)) else {
            return self.unfinished_line(dir, bytes, input);
        };
        let line = head::line_content(bytes.get(..first).unwrap_or_default());
        let start = match StartLine::read(line) {
            Ok(start) => start,
            Err(rule) => return Step::Invalid(rule),
        };
        let side = self.side(dir);
        let cut = match bounded {
            Some(_) => Some(State::Broken(Some(Malformed::HeadTooLarge))),
            None if input.missing > 0 => Some(State::Broken(None)),
            None => None,
        };
        let unfinished = cut.is_none();
        if unfinished && side.scanned > first && head::find_end(bytes, side.scanned).is_none() {
            side.scanned = bytes.len();
            return starved(input);
        }
        let (fields, end) = Fields::read(bytes, first, feeds);
        if unfinished && end.is_none() {
            side.scanned = bytes.len();
            return starved(input);
        }
        let cut = if end.is_some() { None } else { cut };
        let size = end.unwrap_or(bytes.len());
        let lines = bytes.get(first..size).unwrap_or_default();
        let head = HeadRead { line_cut: false, lines, fields, bytes: size, cut };
        match start {
            StartLine::Request { method, target } => {
                self.request(dir, input.at, method, target, &head)
            }
            StartLine::Response { status } => self.response(dir, input.at, status, &head),
        }
    }

    /// The input ends in a start line; `bytes` is as much of it as may be looked at.
    fn unfinished_line<'a>(
        &mut self,
        dir: Direction,
        bytes: &'a [u8],
        input: Input<'a>,
    ) -> Step<Message<'a>> {
        if let Err(rule) = head::could_start(bytes) {
            return Step::Invalid(rule);
        }
        let (cut, outcome) = match bytes.len() {
            MAX_HEAD.. => (Some(Malformed::HeadTooLarge), Step::Invalid(Malformed::HeadTooLarge)),
            _ if input.missing > 0 => (None, Step::Lost),
            _ => return starved(input),
        };
        match head::long_request(bytes) {
            Some((method, target)) => {
                let cut = Some(State::Broken(cut));
                let fields = Fields::default();
                let head = HeadRead { line_cut: true, lines: b"", fields, bytes: bytes.len(), cut };
                self.request(dir, input.at, method, target, &head)
            }
            None => outcome,
        }
    }

    #[inline(always)]
    fn request<'a>(
        &mut self,
        dir: Direction,
        at: Position,
        method: &'a [u8],
        target: &'a [u8],
        head: &HeadRead<'a>,
    ) -> Step<Message<'a>> {
        if self.requests.is_some_and(|requests| requests != dir) || self.exchanges.is_text(at) {
            return Step::Invalid(Malformed::StartLine);
        }
        self.requests = Some(dir);
        let asked = match method {
            b"HEAD" => Asked::Head,
            b"CONNECT" => Asked::Connect,
            _ => Asked::Plain,
        };
        let Some(exchange) = self.exchanges.ask(asked, at) else {
            let rule = Malformed::TooManyInFlight;
            return self.side(dir).pass_over(head, State::Broken(Some(rule)));
        };
        let may_tunnel = asked == Asked::Connect || head.fields.upgrade;
        let side = self.side(dir);
        side.undecided = may_tunnel.then_some(exchange);
        let (consumed, body, end) = side.begin(head, head.request_body());
        let Fields { host, traceparent, .. } = head.fields;
        let cut = head.line_cut;
        let lines = head.lines;
        let msg = Request { dir, exchange, method, target, cut, host, traceparent, lines, body };
        Step::Message { consumed, msg: Message::Request(msg), end }
    }

    #[inline(always)]
    fn response<'a>(
        &mut self,
        dir: Direction,
        at: Position,
        status: u16,
        head: &HeadRead<'a>,
    ) -> Step<Message<'a>> {
        // One that answers nobody may be a quote, and does not tell who asks.
        if self.requests == Some(dir) {
            return Step::Invalid(Malformed::StartLine);
        }
        if std::mem::take(&mut self.side(dir).loss) != Loss::None {
            self.exchanges.found(at.own);
        }
        if status < 200 && status != 101 {
            return self.side(dir).pass_over(head, State::Head);
        }
        let view = match dir {
            Direction::Send => View::Server,
            Direction::Recv => View::Client,
        };
        let (exchange, asked) = match self.exchanges.answer(view, at) {
            Answer::To(exchange, asked) => (exchange, asked),
            Answer::Wait => return Step::Blocked,
            Answer::Ambiguous => return Step::Ambiguous,
        };
        let granted = asked == Asked::Connect && (200..300).contains(&status);
        self.tunnel = status == 101 || granted;
        let body = match (asked, status) {
            _ if self.tunnel => Body::NONE,
            (_, 204) => head.no_body(false),
            (Asked::Head, _) | (_, 304) => head.no_body(true),
            (Asked::Unseen, _) => head.body_in_doubt(),
            _ => head.response_body(),
        };
        let (consumed, body, end) = self.side(dir).begin(head, body);
        let msg = Response { dir, exchange, status, lines: head.lines, body };
        Step::Message { consumed, msg: Message::Response(msg), end }
    }
}
