//! Feeds a stream's bytes to the protocol and acts on what it finds.

use super::connection::{Connection, Proto};
use super::engine::{Ends, Engine};
use super::pair::{Pairing, Phase};
use super::record::{Front, Record, Source, Stamp};
use super::stream::InProgress;
use super::verdicts::VerdictUpdate;
use crate::model::batch::SpanBatch;
use crate::model::conn::Direction;
use crate::model::ids::{StreamPos, Tgid};
use crate::protocols::{
    Driver, End, ExchangeKey, Input, Malformed, MessageKind, Position, Progress, ProtocolKind,
    SpanSink, Verdict,
};
use crate::semconv::SpanFamily;
use crate::telemetry::Counter;

/// A body that goes on for more bytes than this is skipped in the kernel.
const SKIP_WORTH_BYTES: u64 = 64 * 1024;

/// What the parser does next with the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Look at the front again.
    Again,
    /// Keep the bytes until more come, or until the other direction moves.
    Keep,
}

impl Connection {
    /// Feeds a record behind the bytes that are kept of its direction.
    #[inline]
    pub(super) fn feed(
        &mut self,
        dir: Direction,
        mut record: Record<'_>,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        let stamp = record.stamp;
        self.drop_before_start(dir, &record, engine);
        if self.streams[dir.index()].kept.is_none() {
            self.drive(dir, &mut record, stamp, engine, out);
            if record.len() == 0 {
                return;
            }
            let mixed = !record.head.is_empty() && !record.tail.is_empty() && record.hole == 0;
            self.keep(dir, &record, engine);
            if !mixed {
                return;
            }
        } else {
            self.keep(dir, &record, engine);
        }
        self.drive_kept(dir, stamp, engine, out);
    }

    fn keep(&mut self, dir: Direction, record: &Record<'_>, engine: &mut Engine) {
        let stream = &mut self.streams[dir.index()];
        let kept = stream.kept.get_or_insert_with(|| engine.pool.take());
        let given_up = kept.push(record, &mut engine.pool);
        engine.tally.add(Counter::BufferFullBytes, given_up);
    }

    fn drive_kept(
        &mut self,
        dir: Direction,
        stamp: Stamp,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        let Some(mut kept) = self.streams[dir.index()].kept.take() else { return };
        self.drive(dir, kept.as_mut(), stamp, engine, out);
        if kept.len() == 0 {
            engine.pool.give(kept);
        } else {
            self.streams[dir.index()].kept = Some(kept);
        }
    }

    /// Looks again at what is kept, and tells the parser of ends, until nothing moves.
    #[inline(always)]
    pub(super) fn settle(&mut self, engine: &mut Engine, out: &mut SpanBatch) {
        let quiet = self.streams.iter().all(|stream| stream.ended_at.is_none());
        if !quiet || self.retry != [false; 2] {
            self.settle_all(engine, out);
        }
    }

    fn settle_all(&mut self, engine: &mut Engine, out: &mut SpanBatch) {
        loop {
            let mut moved = false;
            for dir in [Direction::Recv, Direction::Send] {
                let end_due = self.streams[dir.index()].end_due();
                if !std::mem::take(&mut self.retry[dir.index()]) && !end_due {
                    continue;
                }
                moved = true;
                let stream = &mut self.streams[dir.index()];
                let stamp = match &stream.kept {
                    Some(kept) => kept.stamp(u64::MAX),
                    None => Stamp { at: stream.last, ..Stamp::default() },
                };
                stream.need = 0;
                if stream.kept.is_some() {
                    self.drive_kept(dir, stamp, engine, out);
                } else {
                    let mut nothing = Record::missing(stream.at, 0, stamp);
                    self.drive(dir, &mut nothing, stamp, engine, out);
                }
                let stream = &mut self.streams[dir.index()];
                stream.end_told |= end_due;
            }
            if !moved {
                return;
            }
        }
    }

    /// Parses as far as the bytes in `source` allow. `now` is the record that came last.
    fn drive<S: Source>(
        &mut self,
        dir: Direction,
        source: &mut S,
        now: Stamp,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        loop {
            let stream = &self.streams[dir.index()];
            let end_due = stream.end_due();
            if source.len() == 0 && !end_due {
                return;
            }
            let next = match &self.proto {
                Proto::Undecided(_) => self.probe(dir, source, engine, out),
                Proto::Known(_) if stream.lost => self.find_again(dir, source, engine, out),
                Proto::Known(_) => self.step(dir, source, now, engine, out),
                Proto::Nothing(_) | Proto::Tunnel => {
                    let rest = source.len();
                    self.advance(dir, source, rest);
                    Next::Keep
                }
            };
            if next == Next::Keep {
                return;
            }
        }
    }

    /// Consumes `n` wire bytes, which may go beyond the source.
    #[inline(always)]
    pub(super) fn advance<S: Source>(&mut self, dir: Direction, source: &mut S, n: u64) {
        let stream = &mut self.streams[dir.index()];
        let here = n.min(source.len());
        if here > 0 {
            stream.last = source.stamp(here - 1).at;
        }
        source.consume(here);
        stream.at = stream.at.saturating_add(n);
        stream.need = 0;
        stream.blocked_since = None;
        let other = dir.flip().index();
        self.retry[other] |= self.streams[other].blocked_since.is_some();
    }

    /// Chooses the protocol of a connection by the bytes at hand.
    fn probe<S: Source>(
        &mut self,
        dir: Direction,
        source: &mut S,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) -> Next {
        if source.len() == 0 {
            return Next::Keep;
        }
        let Front { bytes, missing } = source.front();
        let mut open = false;
        for kind in ProtocolKind::ALL {
            match kind.probe(bytes) {
                Verdict::Yes => {
                    let mut state = kind.new_conn();
                    if self.adopted {
                        // What was under way is as if it had been lost.
                        for dir in [Direction::Send, Direction::Recv] {
                            state.reset(dir);
                            self.streams[dir.index()].lost = true;
                        }
                    }
                    self.proto = Proto::Known(state);
                    self.retry[dir.flip().index()] = true;
                    return Next::Again;
                }
                Verdict::Maybe => open |= missing == 0,
                Verdict::No => {}
            }
        }
        if open && !self.streams[dir.index()].end_due() {
            return Next::Keep;
        }
        let rest = source.len();
        // What comes next may belong to what is missing.
        self.adopted |= missing > 0;
        if self.adopted && missing == 0 {
            self.streams[dir.index()].passed = Some(source.stamp(rest - 1).other);
        }
        self.advance(dir, source, rest);
        if let Proto::Undecided(probes) = &mut self.proto
            && !probes.fail(dir)
        {
            let last = self.streams[dir.index()].last;
            self.give_up(Proto::Nothing(last), Counter::NotAKnownProtocol, engine, out);
        }
        Next::Keep
    }

    /// One step of the protocol.
    #[inline(always)]
    fn step<S: Source>(
        &mut self,
        dir: Direction,
        source: &mut S,
        now: Stamp,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) -> Next {
        let Front { bytes, missing } = source.front();
        let stream = &self.streams[dir.index()];
        let in_message = stream.message.is_some();
        let all = bytes.len() as u64 == source.len();
        let ended = stream.end_due() && all;
        if bytes.len() < stream.need && missing == 0 && !ended {
            return Next::Keep;
        }
        let first = source.stamp(0);
        let input = Input { bytes, missing, ended, at: self.position(dir, first.other) };
        let Proto::Known(state) = &mut self.proto else { return Next::Keep };
        let mut messages = Messages {
            pairing: &mut self.pairing,
            ends: &self.ends,
            first,
            now,
            dir,
            made: None,
            full: false,
            gave_up: false,
            engine,
        };
        let progress = state.step(dir, input, &mut messages);
        let Messages { made, full, gave_up, .. } = messages;
        if full {
            self.give_up_unseen(now, Counter::ExchangesFull, engine, out);
            return Next::Again;
        }
        if gave_up {
            self.emit_over(engine, out);
        }
        match progress {
            Progress::Message { consumed, msg, end } if consumed > 0 => {
                let request = msg == MessageKind::Request;
                let describe_end = end == End::Later;
                let (exchange, other) = (made, now.other);
                let message = InProgress { exchange, request, ends_at: None, describe_end, other };
                self.message(dir, source, consumed, message, engine, out);
            }
            Progress::Part { consumed, last } if consumed > 0 || (last && in_message) => {
                self.part(dir, source, consumed, last, engine, out);
            }
            Progress::Skip { consumed } if consumed > 0 => self.advance(dir, source, consumed),
            Progress::NeedMore { at_least } if missing == 0 => {
                self.wait(dir, source, at_least, ended, engine);
                return Next::Keep;
            }
            Progress::Blocked => {
                self.streams[dir.index()].blocked_since.get_or_insert(engine.now);
                return Next::Keep;
            }
            Progress::Tunnel => self.give_up(Proto::Tunnel, Counter::Tunnels, engine, out),
            Progress::Ambiguous => {
                self.give_up_unseen(now, Counter::PairingAmbiguous, engine, out);
            }
            Progress::Invalid(rule) => self.lose(dir, malformed(rule), now, engine, out),
            // Steps that do not move are losses, too: nothing else ends them.
            _ => self.lose(dir, Counter::StreamsLost, now, engine, out),
        }
        Next::Again
    }

    /// The connection goes on with messages that nobody looks at. The threads of a server that
    /// reads them tell nothing any more.
    fn give_up_unseen(
        &mut self,
        now: Stamp,
        why: Counter,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        if self.pairing.requests(&engine.exchanges) != Some(Direction::Send) {
            engine.distrust_threads(now.tgid);
        }
        self.give_up(Proto::Nothing(now.at), why, engine, out);
    }

    /// Where the next byte of `dir` lies, whose call saw the other direction at `other`.
    pub(super) fn position(&self, dir: Direction, other: u64) -> Position {
        let (stream, opposite) = (&self.streams[dir.index()], &self.streams[dir.flip().index()]);
        // The call that revealed the connection may have overtaken one of the other direction.
        let overtaken = !self.adopted && !opposite.begun && opposite.at > 1;
        // A count that hooks keep leaves out sends whose hook has not run yet.
        let uncounted = self.counted && dir == Direction::Recv;
        let to_come = !opposite.adopt && (opposite.at < other || overtaken || uncounted);
        Position { own: stream.at, other, other_to_come: to_come && !stream.impatient }
    }

    /// The parser wants more bytes than there are.
    fn wait<S: Source>(
        &mut self,
        dir: Direction,
        source: &mut S,
        at_least: usize,
        ended: bool,
        engine: &mut Engine,
    ) {
        self.streams[dir.index()].need = at_least;
        if ended {
            // More will not come: an incomplete message stays one.
            let rest = source.len();
            engine.tally.add(Counter::LostBytes, rest);
            self.advance(dir, source, rest);
            self.streams[dir.index()].end_told = true;
        }
    }

    /// A message's head was parsed.
    #[inline(always)]
    fn message<S: Source>(
        &mut self,
        dir: Direction,
        source: &mut S,
        consumed: u64,
        mut message: InProgress,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        let here = consumed <= source.len();
        let whole = !message.describe_end;
        self.advance(dir, source, consumed);
        let stream = &mut self.streams[dir.index()];
        let found = std::mem::take(&mut stream.found) && message.request;
        stream.unsure = match message.exchange {
            Some((slot, serial)) if found => Some((slot, serial, message.other)),
            _ => None,
        };
        stream.impatient &= self.counted;
        if whole && here {
            stream.message = None;
            let last = stream.last;
            if let Some(exchange) = message.exchange {
                self.over(exchange, message.request, last, engine, out);
            }
            return;
        }
        message.ends_at = whole.then_some(stream.at);
        stream.message = Some(message);
        self.skip_in_kernel(dir, engine);
    }

    /// More of the message in progress.
    fn part<S: Source>(
        &mut self,
        dir: Direction,
        source: &mut S,
        consumed: u64,
        last: bool,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        let here = consumed <= source.len();
        self.advance(dir, source, consumed);
        if last {
            self.describe_cut(dir, engine);
            let stream = &mut self.streams[dir.index()];
            let at = stream.last;
            if let Some(message) = &mut stream.message {
                message.ends_at = Some(stream.at);
            }
            if here {
                self.message_over(dir, at, engine, out);
            }
        }
        self.skip_in_kernel(dir, engine);
    }

    /// Asks the kernel to leave out a body of which nothing is needed but its end.
    fn skip_in_kernel(&self, dir: Direction, engine: &mut Engine) {
        let stream = &self.streams[dir.index()];
        if stream.at.saturating_sub(stream.seen) > SKIP_WORTH_BYTES {
            let last_byte = StreamPos(stream.at - 1);
            engine.verdict(VerdictUpdate::SkipUntil(self.ends.id, dir, last_byte));
        }
    }
}

/// Receives the messages of one step.
struct Messages<'a> {
    pairing: &'a mut Pairing,
    ends: &'a Ends,
    engine: &'a mut Engine,
    /// The record that held the message's first byte.
    first: Stamp,
    /// The record that completed the head.
    now: Stamp,
    dir: Direction,
    /// The exchange of the message.
    made: Option<(u32, u64)>,
    /// There was no room for the exchange.
    full: bool,
    /// Exchanges were given up.
    gave_up: bool,
}

impl Driver for Messages<'_> {
    #[inline(always)]
    fn request(
        &mut self,
        key: ExchangeKey,
        family: SpanFamily,
        describe: impl FnOnce(&mut SpanSink<'_>),
    ) {
        self.engine.tally.count(Counter::SpansIn);
        let Some(slot) = self.engine.exchanges.open_one(key, family) else {
            self.engine.tally.count(Counter::ExchangeNoRoom);
            self.full = true;
            return;
        };
        let Engine { exchanges, shown, .. } = &mut *self.engine;
        exchanges.write(slot, |pending| describe(&mut SpanSink::new(pending).showing(shown)));
        if let Some(exchange) = self.engine.exchanges.get_mut(slot) {
            exchange.dir = self.dir;
            exchange.start = self.first.at;
            exchange.last = self.now.at;
            // Where the end of a gap completed the head, no call did.
            exchange.reader = if self.now.tgid == Tgid(0) { self.first } else { self.now };
            self.made = Some((slot, exchange.serial));
        }
        self.engine.begin(slot, self.ends);
        self.pairing.push(slot, &mut self.engine.exchanges);
    }

    #[inline(always)]
    fn response(
        &mut self,
        key: ExchangeKey,
        in_order: bool,
        describe: impl FnOnce(&mut SpanSink<'_>),
    ) {
        let Some(slot) = self.pairing.answered_by(key, &self.engine.exchanges) else {
            self.engine.tally.count(Counter::ResponseWithoutRequest);
            return;
        };
        if in_order {
            self.gave_up = self.pairing.give_up_before(slot, &mut self.engine.exchanges);
        }
        let Engine { exchanges, shown, .. } = &mut *self.engine;
        exchanges.write(slot, |pending| describe(&mut SpanSink::new(pending).showing(shown)));
        let Some(exchange) = self.engine.exchanges.get_mut(slot) else { return };
        exchange.response = Phase::Begun;
        exchange.last = exchange.last.max(self.first.at);
        self.made = Some((slot, exchange.serial));
        let reader = exchange.reader;
        if self.dir == Direction::Send && reader.thread() != self.first.thread() {
            self.engine.distrust_threads(reader.tgid);
        }
    }
}

fn malformed(rule: Malformed) -> Counter {
    match rule {
        Malformed::StartLine => Counter::InvalidStartLine,
        Malformed::ControlByte => Counter::InvalidControlByte,
        Malformed::HeaderLine => Counter::InvalidHeaderLine,
        Malformed::HeadTooLarge => Counter::InvalidHeadTooLarge,
        Malformed::ContentLength => Counter::InvalidContentLength,
        Malformed::ChunkSize => Counter::InvalidChunkSize,
        Malformed::ChunkEnd => Counter::InvalidChunkEnd,
        Malformed::TooManyInFlight => Counter::InvalidTooManyInFlight,
    }
}
