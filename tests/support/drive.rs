//! Drives a protocol with a story's events: the least that a decoder does. Everything that
//! arrives is parsed as far as it goes; a loss skips to where the protocol finds a start again.

use std::collections::VecDeque;

use obi::model::attrs::{AttrValue, text_of};
use obi::model::span::SpanStatus;
use obi::protocols::{
    ConnState, Direction, Driver, End, ExchangeKey, Input, MessageKind, PendingAttrs, Position,
    Progress, ProtocolKind, SpanSink, Verdict,
};
use obi::semconv::SpanFamily;

use super::story::{Event, From, SpanText, View};

/// Steps that one arrival may cause before we call it a loop.
const MAX_STEPS: usize = 1_000_000;

/// Responses in a row that wait for requests that never come.
const MAX_WAITS: usize = 16;

/// What came of a conversation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The spans in the order of their requests.
    pub(crate) spans: Vec<SpanText>,
    /// What is to be counted, sorted.
    pub(crate) counted: Vec<String>,
    /// Bytes of the connection state's `Debug` text.
    pub(crate) state_text: usize,
}

/// Runs `events` as the process of `view` sees them.
pub(crate) fn run(view: View, events: &[Event]) -> Outcome {
    let mut conn = Conn::default();
    for (n, event) in events.iter().enumerate() {
        let dir = conn.arrive(view, event);
        let followed_by_gap = matches!((event, events.get(n + 1)),
            (Event::Bytes(from, _), Some(Event::Gap(gap, _))) if from == gap);
        if !followed_by_gap {
            conn.pump(dir);
        }
    }
    conn.finish()
}

fn direction(view: View, from: From) -> Direction {
    match (view, from) {
        (View::Client, From::Client) | (View::Server, From::Server) => Direction::Send,
        _ => Direction::Recv,
    }
}

/// A piece of a stream.
enum Piece {
    Bytes(Vec<u8>),
    Gap(u64),
}

/// One direction.
#[derive(Default)]
struct Stream {
    pieces: VecDeque<Piece>,
    /// Position of the first piece, and behind the last one.
    at: u64,
    end: u64,
    /// From which position on the other direction stood where.
    others: VecDeque<(u64, u64)>,
    /// Bytes of which no record came yet, and where the other direction stood then.
    late: VecDeque<(u64, u64)>,
    /// Nothing more of the other direction comes.
    over: bool,
    /// Wire bytes to pass over that have not come yet.
    skip: u64,
    /// Bytes without which parsing goes no further.
    need: usize,
    ended: bool,
    lost: bool,
    blocked: bool,
    /// The message in progress: its exchange, and whether it is a request.
    open: Option<(ExchangeKey, bool)>,
}

/// What is known of an exchange.
struct Exchange {
    key: ExchangeKey,
    answered: bool,
    pending: PendingAttrs,
}

/// Receives messages.
#[derive(Default)]
struct Spans {
    exchanges: Vec<Exchange>,
    counted: Vec<String>,
    last: Option<ExchangeKey>,
}

impl Driver for Spans {
    fn request(
        &mut self,
        key: ExchangeKey,
        _: SpanFamily,
        describe: impl FnOnce(&mut SpanSink<'_>),
    ) {
        let mut pending = PendingAttrs::default();
        describe(&mut SpanSink::new(&mut pending));
        self.exchanges.push(Exchange { key, answered: false, pending });
        self.last = Some(key);
    }

    fn response(&mut self, key: ExchangeKey, _: bool, describe: impl FnOnce(&mut SpanSink<'_>)) {
        self.last = Some(key);
        match self.exchanges.iter_mut().find(|e| e.key == key) {
            Some(exchange) => {
                assert!(!exchange.answered, "two responses for {key:?}");
                exchange.answered = true;
                describe(&mut SpanSink::new(&mut exchange.pending));
            }
            None => self.counted.push("orphan".into()),
        }
    }
}

#[derive(Default)]
struct Conn {
    /// `None` until a protocol is recognised.
    state: Option<ConnState>,
    /// No protocol is.
    foreign: bool,
    /// The connection became something else.
    silent: bool,
    send: Stream,
    recv: Stream,
    spans: Spans,
}

impl Conn {
    fn stream(&mut self, dir: Direction) -> &mut Stream {
        match dir {
            Direction::Send => &mut self.send,
            Direction::Recv => &mut self.recv,
        }
    }

    fn arrive(&mut self, view: View, event: &Event) -> Direction {
        match event {
            Event::Bytes(from, bytes) => {
                let dir = direction(view, *from);
                let other = self.stream(dir.flip()).sent();
                self.stream(dir).push(bytes, other);
                dir
            }
            Event::Gap(from, n) => {
                let dir = direction(view, *from);
                self.stream(dir).gap(*n);
                dir
            }
            Event::Late(from, n) => {
                let dir = direction(view, *from);
                let other = self.stream(dir.flip()).sent();
                self.stream(dir).late.push_back((*n, other));
                dir
            }
            Event::End(from) => {
                let dir = direction(view, *from);
                self.stream(dir).ended = true;
                dir
            }
        }
    }

    /// Parses what has come in `dir`, then what was blocked in the other direction.
    fn pump(&mut self, dir: Direction) {
        if self.state.is_none() {
            self.recognise(dir);
        }
        let Some(mut state) = self.state.take() else { return };
        let mut steps = 0usize;
        for dir in [dir, dir.flip(), dir, dir.flip()] {
            while !self.silent && self.advance(&mut state, dir) {
                steps += 1;
                assert!(steps < MAX_STEPS, "no progress");
            }
        }
        self.state = Some(state);
    }

    fn recognise(&mut self, dir: Direction) {
        let Some(Piece::Bytes(head)) = self.stream(dir).pieces.front() else { return };
        let verdicts = ProtocolKind::ALL.iter().map(|kind| (*kind, kind.probe(head)));
        for (kind, verdict) in verdicts.collect::<Vec<_>>() {
            match verdict {
                Verdict::Yes if !self.foreign => self.state = Some(kind.new_conn()),
                Verdict::No => self.foreign = true,
                Verdict::Yes | Verdict::Maybe => {}
            }
        }
    }

    /// One step; whether another may follow.
    fn advance(&mut self, state: &mut ConnState, dir: Direction) -> bool {
        let (stream, opposite) = match dir {
            Direction::Send => (&mut self.send, &self.recv),
            Direction::Recv => (&mut self.recv, &self.send),
        };
        stream.apply_skip();
        if stream.lost {
            return self.find_start(state, dir);
        }
        let mut input = stream.input();
        input.at.other_to_come = !stream.over && opposite.next() < input.at.other;
        let unchanged = input.missing == 0 && !input.ended && input.bytes.len() < stream.need;
        let nothing = input.bytes.is_empty() && input.missing == 0;
        if unchanged || (nothing && !(input.ended && stream.open.is_some())) {
            return false;
        }
        let progress = state.step(dir, input, &mut self.spans);
        self.apply(state, dir, progress)
    }

    fn apply(&mut self, state: &mut ConnState, dir: Direction, progress: Progress) -> bool {
        let last = self.spans.last;
        let stream = self.stream(dir);
        stream.need = 0;
        stream.blocked = false;
        match progress {
            Progress::Message { consumed, msg, end } => {
                let request = msg == MessageKind::Request;
                assert!(consumed > 0, "a message of no bytes");
                stream.skip = consumed;
                stream.open = last.filter(|_| end == End::Later).map(|key| (key, request));
            }
            Progress::Part { consumed, last } => {
                assert!(consumed > 0 || last, "a part of no bytes");
                stream.skip = consumed;
                if last {
                    self.end_message(state, dir);
                }
            }
            Progress::Skip { consumed } => {
                assert!(consumed > 0, "skipped no bytes");
                stream.skip = consumed;
            }
            Progress::NeedMore { at_least } => {
                assert!(at_least > stream.input().bytes.len(), "needs what it has");
                stream.need = at_least;
                return false;
            }
            Progress::Blocked => {
                stream.blocked = true;
                return false;
            }
            Progress::Invalid(rule) => self.lose(state, dir, rule.name()),
            Progress::Lost => self.lose(state, dir, "lost"),
            Progress::Tunnel => {
                self.silent = true;
                self.spans.counted.push("tunnel".into());
                return false;
            }
            Progress::Ambiguous => {
                self.silent = true;
                self.spans.counted.push("ambiguous".into());
                return false;
            }
        }
        true
    }

    fn lose(&mut self, state: &mut ConnState, dir: Direction, why: &str) {
        self.spans.counted.push(why.into());
        state.reset(dir);
        let stream = self.stream(dir);
        // What was counted so far is not its size.
        stream.open = None;
        stream.lost = true;
    }

    /// Looks for a start after a loss; whether one was found.
    fn find_start(&mut self, state: &mut ConnState, dir: Direction) -> bool {
        let stream = self.stream(dir);
        let input = stream.input();
        if let Some(at) = state.resync(dir, input.bytes, &|_| true) {
            stream.lost = false;
            stream.skip = at as u64;
            self.end_message(state, dir);
            return true;
        }
        let missing = input.missing > 0;
        if missing {
            stream.skip = input.bytes.len() as u64 + input.missing;
        }
        missing
    }

    fn end_message(&mut self, state: &mut ConnState, dir: Direction) {
        let Some((key, request)) = self.stream(dir).open.take() else { return };
        self.stream(dir).apply_skip();
        let to_come = self.stream(dir).skip;
        if let Some(exchange) = self.spans.exchanges.iter_mut().find(|e| e.key == key) {
            state.describe_end(dir, request, to_come, &mut SpanSink::new(&mut exchange.pending));
        }
    }

    /// Nothing more comes: what was waited for will not come either.
    fn finish(mut self) -> Outcome {
        for dir in [Direction::Send, Direction::Recv].repeat(MAX_WAITS) {
            let Some(state) = self.state.as_mut() else { break };
            let blocked = match dir {
                Direction::Send => self.send.blocked,
                Direction::Recv => self.recv.blocked,
            };
            if blocked {
                state.unblock(dir);
                self.stream(dir).over = true;
                self.pump(dir);
            }
        }
        let state_text = self.state.as_ref().map_or(0, |state| format!("{state:?}").len());
        if let Some(mut state) = self.state.take() {
            self.end_message(&mut state, Direction::Send);
            self.end_message(&mut state, Direction::Recv);
            for exchange in self.spans.exchanges.iter_mut().filter(|e| !e.answered) {
                state.describe_unanswered(&mut SpanSink::new(&mut exchange.pending));
            }
        }
        self.spans.counted.sort();
        Outcome {
            spans: self.spans.exchanges.iter().map(|e| text(&e.pending)).collect(),
            counted: self.spans.counted,
            state_text,
        }
    }
}

impl Stream {
    /// Bytes arrive, sent when the other direction stood at `other` unless they are late.
    fn push(&mut self, bytes: &[u8], other: u64) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let (n, other) = self.take_late(bytes.len() as u64).unwrap_or((u64::MAX, other));
            let n = usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
            let (here, behind) = bytes.split_at(n);
            self.others.push_back((self.end, other));
            self.end += here.len() as u64;
            match self.pieces.back_mut() {
                Some(Piece::Bytes(buf)) => buf.extend_from_slice(here),
                _ => self.pieces.push_back(Piece::Bytes(here.to_vec())),
            }
            bytes = behind;
        }
    }

    fn gap(&mut self, n: u64) {
        let mut left = n;
        while let Some((n, _)) = self.take_late(left) {
            left -= n;
        }
        self.end += n;
        self.pieces.push_back(Piece::Gap(n));
    }

    /// Up to `n` of the bytes that are late, and where the other direction stood.
    fn take_late(&mut self, n: u64) -> Option<(u64, u64)> {
        let (late, other) = self.late.front_mut()?;
        let (n, other) = (n.min(*late), *other);
        *late -= n;
        if *late == 0 {
            self.late.pop_front();
        }
        (n > 0).then_some((n, other))
    }

    /// Position behind the last byte that was sent.
    fn sent(&self) -> u64 {
        self.end + self.late.iter().map(|(n, _)| n).sum::<u64>()
    }

    /// Position of the next byte to parse.
    fn next(&self) -> u64 {
        self.at + self.skip
    }

    /// The bytes at the front, and the gap behind them.
    fn input(&self) -> Input<'_> {
        let mut pieces = self.pieces.iter().peekable();
        let bytes = match pieces.peek() {
            Some(Piece::Bytes(bytes)) => {
                pieces.next();
                bytes.as_slice()
            }
            _ => &[],
        };
        let mut missing = 0;
        while let Some(Piece::Gap(n)) = pieces.peek() {
            missing += n;
            pieces.next();
        }
        let other = self.others.front().map_or(0, |(_, other)| *other);
        let at = Position { own: self.at, other, other_to_come: false };
        Input { bytes, missing, ended: self.ended && pieces.peek().is_none(), at }
    }

    fn apply_skip(&mut self) {
        self.skip_pieces();
        while self.others.get(1).is_some_and(|(from, _)| *from <= self.at) {
            self.others.pop_front();
        }
    }

    fn skip_pieces(&mut self) {
        while self.skip > 0 {
            let Some(front) = self.pieces.front_mut() else { return };
            let left = match front {
                Piece::Bytes(bytes) => {
                    let n = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                    bytes.drain(..n);
                    self.skip -= n as u64;
                    self.at += n as u64;
                    bytes.len() as u64
                }
                Piece::Gap(gap) => {
                    let n = self.skip.min(*gap);
                    *gap -= n;
                    self.skip -= n;
                    self.at += n;
                    *gap
                }
            };
            if left == 0 {
                self.pieces.pop_front();
            }
        }
    }
}

/// A span as a story writes it.
fn text(pending: &PendingAttrs) -> SpanText {
    let mut span = SpanText::new();
    for (key, value) in &pending.arena.attrs {
        let value = match value {
            AttrValue::I64(n) => n.to_string(),
            AttrValue::Bool(b) => b.to_string(),
            AttrValue::Static(s) => (*s).to_string(),
            AttrValue::Text(r) => text_of(&pending.arena.text, *r).to_string(),
        };
        let before = span.insert(key.name().to_string(), value);
        assert_eq!(before, None, "{} was written twice", key.name());
    }
    let status = match pending.status {
        SpanStatus::Unset => "unset",
        SpanStatus::Error => "error",
    };
    span.insert("status".into(), status.into());
    if let Some(tp) = pending.traceparent {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let (trace, parent) = (hex(&tp.trace_id.0), hex(&tp.parent_id.0));
        span.insert("traceparent".into(), format!("{trace}-{parent}-{:02x}", tp.flags));
    }
    span
}
