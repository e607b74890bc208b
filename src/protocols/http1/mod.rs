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
//! | behind a loss, a start line in the middle of a call | text, unless requests were pipelined or the message lost was answered early |
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
mod resync;
mod span;
mod target;
#[cfg(test)]
mod tests;
mod traceparent;

use super::{Direction, End, Input, Malformed, Position, Protocol, Role, SpanSink, Step, Verdict};
use crate::semconv::{AttrKey, SpanFamily};
use body::Chunked;
use exchanges::{Answer, Asked, Exchanges, View};
use head::{Coding, Fields, Length, Once, StartLine};

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

/// One direction of a connection.
#[derive(Debug, Default)]
struct Side {
    state: State,
    /// Bytes of the incomplete head at hand in which its end was not found.
    scanned: usize,
    /// Bytes of body seen of the message at hand, where its head did not tell the length.
    seen: Option<u64>,
    loss: Loss,
    /// What comes behind this request may belong to a tunnel: its answer decides.
    undecided: Option<u64>,
}

/// What the next byte of a direction belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A head, or empty lines before it.
    #[default]
    Head,
    /// A chunked body.
    Chunked(Chunked),
    /// A body that the end of the connection ends.
    UntilEnd,
    /// A body, or none: the request may have been `HEAD`.
    InDoubt { framing: Framing, length: u64 },
    /// A message whose end cannot be found, for a broken rule or for want of bytes.
    Broken(Option<Malformed>),
}

/// How the head of a message announces its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Of known length.
    Length,
    /// In chunks.
    Chunked,
    /// Until the connection ends.
    UntilEnd,
}

/// Whether a direction's stream was lost and no head was found since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Loss {
    /// It was not.
    #[default]
    None,
    /// It was.
    Lost,
    /// It was, in the middle of a chunked body.
    InChunked,
}

/// A parsed head.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// A request's.
    Request(Request<'a>),
    /// A response's.
    Response(Response),
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
    body: Option<u64>,
}

/// A response's head.
#[derive(Clone, Copy, Debug)]
pub struct Response {
    dir: Direction,
    exchange: u64,
    status: u16,
    body: Option<u64>,
}

/// A head as far as it is there.
#[derive(Debug)]
struct HeadRead<'a> {
    /// Not even its first line is all there.
    line_cut: bool,
    fields: Fields<'a>,
    /// Its bytes with the empty line, or those that are there.
    bytes: usize,
    /// Why its end is not there, if so.
    cut: Option<State>,
}

/// What follows a head.
#[derive(Debug)]
struct Body {
    /// Bytes of it, where the head tells.
    length: u64,
    /// What the span says of its size, where the head tells.
    size: Option<u64>,
    /// What comes behind head and `length`; [`State::Head`] when the message is over there.
    then: State,
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

    fn parse<'a>(conn: &mut Http1Conn, dir: Direction, input: Input<'a>) -> Step<Message<'a>> {
        if conn.tunnel {
            return Step::Tunnel;
        }
        let side = conn.side(dir);
        match side.state {
            State::Head => {
                let step = conn.parse_head(dir, input);
                if matches!(step, Step::Lost | Step::Invalid(_)) && conn.requests == Some(dir) {
                    conn.exchanges.lost_behind(input.at);
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
        let Some(first) = head::line_end(bytes, 0) else {
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
        let (fields, end) = Fields::read(bytes, first);
        if unfinished && end.is_none() {
            side.scanned = bytes.len();
            return starved(input);
        }
        let cut = if end.is_some() { None } else { cut };
        let head = HeadRead { line_cut: false, fields, bytes: end.unwrap_or(bytes.len()), cut };
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
                let head = HeadRead { line_cut: true, fields, bytes: bytes.len(), cut };
                self.request(dir, input.at, method, target, &head)
            }
            None => outcome,
        }
    }

    fn request<'a>(
        &mut self,
        dir: Direction,
        at: Position,
        method: &'a [u8],
        target: &'a [u8],
        head: &HeadRead<'a>,
    ) -> Step<Message<'a>> {
        if *self.requests.get_or_insert(dir) != dir {
            return Step::Invalid(Malformed::StartLine);
        }
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
        let msg = Request { dir, exchange, method, target, cut, host, traceparent, body };
        Step::Message { consumed, msg: Message::Request(msg), end }
    }

    fn response<'a>(
        &mut self,
        dir: Direction,
        at: Position,
        status: u16,
        head: &HeadRead<'a>,
    ) -> Step<Message<'a>> {
        let requests = *self.requests.get_or_insert_with(|| dir.flip());
        if requests == dir {
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
        let msg = Response { dir, exchange, status, body };
        Step::Message { consumed, msg: Message::Response(msg), end }
    }
}

impl HeadRead<'_> {
    /// RFC 9112 section 6.3 for a request.
    fn request_body(&self) -> Body {
        self.body(State::Broken(None), Body::NONE)
    }

    /// RFC 9112 section 6.3 for a response that may have a body.
    fn response_body(&self) -> Body {
        self.body(State::UntilEnd, Body::of(State::UntilEnd))
    }

    /// The body when the header decides: `uncoded_end` is what comes when the last coding is not
    /// `chunked`, `untold` the body of which nothing is said.
    fn body(&self, uncoded_end: State, untold: Body) -> Body {
        if let Some(cut) = self.cut {
            return Body { length: 0, size: self.declared(), then: cut };
        }
        if self.fields.doubtful {
            return Body::of(State::Broken(Some(Malformed::HeaderLine)));
        }
        match (self.fields.coding, self.fields.length) {
            (Coding::Chunked, _) => Body::of(State::Chunked(Chunked::Size)),
            (Coding::Other, _) => Body::of(uncoded_end),
            (Coding::Absent, Length::Absent) => untold,
            (Coding::Absent, Length::Broken) => {
                Body::of(State::Broken(Some(Malformed::ContentLength)))
            }
            (Coding::Absent, Length::Declared(bytes)) => {
                Body { length: bytes, size: Some(bytes), then: State::Head }
            }
        }
    }

    /// No body whatever the header says; its size is what the header says where that `counts`.
    fn no_body(&self, counts: bool) -> Body {
        let size = self.declared().filter(|_| counts).unwrap_or(0);
        Body { length: 0, size: Some(size), then: self.cut.unwrap_or_default() }
    }

    /// RFC 9112 section 6.3 for a response that has a body as its head says, or none.
    fn body_in_doubt(&self) -> Body {
        let body = self.response_body();
        let framing = match body.then {
            State::Head if body.length > 0 => Framing::Length,
            State::Chunked(_) => Framing::Chunked,
            State::UntilEnd => Framing::UntilEnd,
            _ => return body,
        };
        Body::of(State::InDoubt { framing, length: body.length })
    }

    fn declared(&self) -> Option<u64> {
        match (self.fields.coding, self.fields.length) {
            (Coding::Absent, Length::Declared(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

impl Body {
    /// Nothing follows.
    const NONE: Self = Self { length: 0, size: Some(0), then: State::Head };

    /// A body whose size its end tells.
    fn of(then: State) -> Self {
        Self { length: 0, size: None, then }
    }
}

impl Side {
    /// Starts a message. Gives the wire bytes of it that are known, what its span says of the
    /// body's size, and whether it is over with these bytes.
    fn begin(&mut self, head: &HeadRead<'_>, body: Body) -> (u64, Option<u64>, End) {
        self.state = body.then;
        self.scanned = 0;
        self.loss = Loss::None;
        self.seen = if body.size.is_none() { Some(0) } else { None };
        let end = if body.then == State::Head { End::Here } else { End::Later };
        (wire(head.bytes).saturating_add(body.length), body.size, end)
    }

    /// Passes over a head that starts no message.
    fn pass_over<M>(&mut self, head: &HeadRead<'_>, then: State) -> Step<M> {
        self.scanned = 0;
        self.state = head.cut.unwrap_or(then);
        Step::Skip { consumed: wire(head.bytes) }
    }

    /// A body in chunks.
    fn pass_chunked<M>(&mut self, mut chunked: Chunked, input: Input<'_>) -> Step<M> {
        let step = chunked.step(input, self.seen.get_or_insert(0));
        let over = matches!(step, Step::Part { last: true, .. });
        self.state = if over { State::Head } else { State::Chunked(chunked) };
        step
    }

    /// Behind a head with `framing` comes its body, or the next response where there is none.
    fn settle_doubt<M>(&mut self, framing: Framing, length: u64, input: Input<'_>) -> Step<M> {
        if input.bytes.is_empty() && !input.ended {
            return starved(input);
        }
        if input.bytes.is_empty() || input.bytes.starts_with(head::VERSION) {
            self.state = State::Head;
            return Step::Part { consumed: 0, last: true };
        }
        if head::VERSION.starts_with(input.bytes) && !input.ended {
            return starved(input);
        }
        match framing {
            Framing::Length => {
                self.state = State::Head;
                Step::Part { consumed: length, last: true }
            }
            Framing::Chunked => self.pass_chunked(Chunked::Size, input),
            Framing::UntilEnd => {
                self.state = State::UntilEnd;
                self.pass_until_end(input)
            }
        }
    }

    /// A body that the end of the connection ends.
    fn pass_until_end<M>(&mut self, input: Input<'_>) -> Step<M> {
        let consumed = wire(input.bytes.len()).saturating_add(input.missing);
        if consumed == 0 && !input.ended {
            return starved(input);
        }
        self.seen = Some(self.seen.unwrap_or(0).saturating_add(consumed));
        if input.ended {
            self.state = State::Head;
        }
        Step::Part { consumed, last: input.ended }
    }
}

/// The input ends in the middle of something.
fn starved<M>(input: Input<'_>) -> Step<M> {
    if input.missing > 0 {
        return Step::Lost;
    }
    Step::NeedMore { at_least: input.bytes.len().saturating_add(1) }
}

fn wire(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
