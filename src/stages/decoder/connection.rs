//! One connection: its two streams, its protocol, its open exchanges.

use super::engine::{Ends, Engine};
use super::pair::{Pairing, Phase};
use super::record::{Record, Source, Stamp};
use super::stream::{InProgress, Place, Stream};
use super::verdicts::VerdictUpdate;
use crate::abi::types::event_limit;
use crate::abi::{ConnEnd, ConnOpen, Data};
use crate::model::batch::SpanBatch;
use crate::model::conn::Direction;
use crate::model::ids::{KtimeNs, Tgid};
use crate::protocols::{ConnState, SpanSink};
use crate::telemetry::Counter;

/// How long a gap may stay open before its bytes are given up, in batch time.
pub(super) const GAP_NS: u64 = 250_000_000;
/// How long a message may wait for the other direction, in batch time.
pub(super) const BLOCKED_NS: u64 = 1_000_000_000;
/// How long a closed connection waits for what arrived and was not read yet, in batch time.
pub(super) const CLOSING_NS: u64 = 5_000_000_000;
/// How long a connection that was given up must be silent before it is probed again, here as in
/// the kernel.
const NOTHING_IDLE_NS: u64 = event_limit::IDLE_REOPEN_MS.0 as u64 * 1_000_000;
/// Data records that may fail the probes of a connection seen from its birth.
const PROBES_FROM_BIRTH: u32 = 4;
/// Changes of direction after which a connection that was inside a message has failed the probes,
/// and data records: of a body under way, which may be large.
const TURNS_ADOPTED: u8 = 16;
const PROBES_ADOPTED: u32 = 65_536;

const BOTH: [Direction; 2] = [Direction::Send, Direction::Recv];

/// A connection. Made by its open record; ends by its close record or eviction.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) ends: Ends,
    pub(super) proto: Proto,
    pub(super) streams: [Stream; 2],
    pub(super) pairing: Pairing,
    /// Directions whose kept bytes are worth another look.
    pub(super) retry: [bool; 2],
    /// It is older than its first record: messages may be under way.
    pub(super) adopted: bool,
    /// Its positions are counted by the hooks.
    pub(super) counted: bool,
    /// A unix socket: its end may go unseen.
    unix: bool,
    /// The process that used it last.
    pub(super) owner: Tgid,
    /// Spans that it gave.
    pub(super) spans: u64,
    /// Bytes of it that were lost.
    pub(super) gap_bytes: u64,
    closing: Option<Closing>,
}

/// What the connection carries.
#[derive(Debug)]
pub(super) enum Proto {
    /// Not known yet.
    Undecided(Probes),
    /// This.
    Known(ConnState),
    /// Nothing we know; when its last record came.
    Nothing(KtimeNs),
    /// Something else for good, behind an upgrade.
    Tunnel,
}

/// How much more may fail the probes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probes {
    records: u32,
    turns: u8,
    /// Of the last that failed.
    dir: Option<Direction>,
}

impl Probes {
    const FROM_BIRTH: Self = Self { records: PROBES_FROM_BIRTH, turns: u8::MAX, dir: None };
    const ADOPTED: Self = Self { records: PROBES_ADOPTED, turns: TURNS_ADOPTED, dir: None };

    /// A record of `dir` failed. `false` = that was the last chance.
    pub(super) fn fail(&mut self, dir: Direction) -> bool {
        self.records = self.records.saturating_sub(1);
        if self.dir.replace(dir) != Some(dir) {
            self.turns = self.turns.saturating_sub(1);
        }
        self.records > 0 && self.turns > 0
    }
}

/// A connection whose close record came.
#[derive(Clone, Copy, Debug)]
struct Closing {
    at: KtimeNs,
    finals: [u64; 2],
    /// Batch time of the close record.
    since: KtimeNs,
}

impl Connection {
    /// A connection at its open record.
    pub(super) fn new(open: &ConnOpen<'_>) -> Self {
        let probes = if open.from_birth { Probes::FROM_BIRTH } else { Probes::ADOPTED };
        Self {
            ends: Ends::of(open),
            proto: Proto::Undecided(probes),
            streams: open.start.map(|pos| Stream::at(pos.0)),
            pairing: Pairing::default(),
            retry: [false; 2],
            adopted: !open.from_birth && (open.adopted || open.start.iter().all(|pos| pos.0 > 1)),
            counted: open.counted,
            unix: open.unix,
            owner: Tgid::default(),
            spans: 0,
            gap_bytes: 0,
            closing: None,
        }
    }

    /// Takes a data record.
    #[inline]
    pub(super) fn data(&mut self, data: &Data<'_>, engine: &mut Engine, out: &mut SpanBatch) {
        self.owner = data.tgid;
        if let Some(reason) = self.ignores(data, engine) {
            engine.tally.count(reason);
            return;
        }
        let stream = &mut self.streams[data.dir.index()];
        let record = Record::of(data);
        stream.settle_start(record.pos);
        if data.eof {
            stream.ended_at.get_or_insert_with(|| record.end());
            if self.unix {
                // Whoever asked may be gone, and then nothing tells when its requests are given up.
                self.for_each_open(engine, |engine, slot| engine.leave_thread(slot, data.ktime));
            }
        }
        if record.len() == 0 {
            engine.tally.count(Counter::RecordsOut);
        } else if self.streams[data.dir.index()].expects(record.pos) {
            // Nearly always: the next bytes, and nothing else waits.
            engine.tally.count(Counter::RecordsOut);
            let stream = &mut self.streams[data.dir.index()];
            stream.begun = true;
            stream.seen = record.end();
            self.feed(data.dir, record, engine, out);
        } else {
            self.accept(data.dir, &record, engine, out);
        }
        self.settle(engine, out);
    }

    /// Why the record is not looked at, if so.
    #[inline]
    fn ignores(&mut self, data: &Data<'_>, engine: &mut Engine) -> Option<Counter> {
        match &mut self.proto {
            Proto::Tunnel => Some(Counter::RecordTunnel),
            Proto::Nothing(last) => {
                let idle = data.ktime.since(*last);
                *last = (*last).max(data.ktime);
                if idle < NOTHING_IDLE_NS {
                    return Some(Counter::RecordNothing);
                }
                self.probe_anew(engine);
                None
            }
            Proto::Undecided(_) | Proto::Known(_) => None,
        }
    }

    /// Takes what comes next for the middle of a connection of which nothing is known.
    fn probe_anew(&mut self, engine: &mut Engine) {
        self.proto = Proto::Undecided(Probes::ADOPTED);
        self.adopted = true;
        self.streams = [Stream::default(), Stream::default()];
        self.streams.iter_mut().for_each(|s| s.adopt = true);
        // The kernel may not have heard of the old verdict yet.
        engine.verdict(VerdictUpdate::Capture(self.ends.id));
    }

    /// Its process is not observed any more: what is open ends. Should it be observed again,
    /// nothing tells what moved meanwhile. `true` = nothing more will come.
    pub(super) fn leave(&mut self, engine: &mut Engine, out: &mut SpanBatch) -> bool {
        self.finish(engine, out);
        self.probe_anew(engine);
        self.closing.is_some()
    }

    fn accept(
        &mut self,
        dir: Direction,
        record: &Record<'_>,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        let stream = &mut self.streams[dir.index()];
        match stream.place(record) {
            Place::Old => {
                engine.tally.count(Counter::RecordOld);
                engine.tally.add(Counter::OldBytes, record.len());
            }
            Place::Next => {
                engine.tally.count(Counter::RecordsOut);
                self.integrate(dir, *record, engine, out);
                self.take_ready(dir, engine, out);
            }
            Place::Ahead => {
                engine.tally.count(Counter::OutOfOrder);
                stream.keep_ahead(record, engine.now, &mut engine.tally);
                if stream.ahead_full() {
                    self.give_up_gaps(dir, engine, out);
                }
            }
        }
    }

    /// Integrates the waiting records that are not behind a gap any more.
    #[inline]
    fn take_ready(&mut self, dir: Direction, engine: &mut Engine, out: &mut SpanBatch) {
        while let Some(ahead) = self.streams[dir.index()].take_ready() {
            self.accept(dir, &ahead.record(), engine, out);
        }
    }

    /// Takes the first gap of a direction for lost, and one of the other direction that is no
    /// younger: behind it may stand the requests that the messages here answer. Requests go first.
    fn give_up_gaps(&mut self, dir: Direction, engine: &mut Engine, out: &mut SpanBatch) {
        let other = dir.flip();
        let since = |dir: Direction| self.streams[dir.index()].gap_since;
        if since(other).is_none_or(|gap| Some(gap) > since(dir)) {
            return self.give_up_gap(dir, engine, out);
        }
        let requests = self.pairing.requests(&engine.exchanges).unwrap_or(other);
        self.give_up_gap(requests, engine, out);
        self.give_up_gap(requests.flip(), engine, out);
    }

    /// Takes the first gap of a direction for lost.
    fn give_up_gap(&mut self, dir: Direction, engine: &mut Engine, out: &mut SpanBatch) {
        let Some((bytes, stamp)) = self.streams[dir.index()].gap() else { return };
        engine.tally.count(Counter::Gaps);
        engine.tally.add(Counter::GapBytes, bytes);
        self.gap_bytes = self.gap_bytes.saturating_add(bytes);
        self.pass_missing(dir, bytes, stamp, engine, out);
        self.take_ready(dir, engine, out);
    }

    fn pass_missing(
        &mut self,
        dir: Direction,
        bytes: u64,
        stamp: Stamp,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        let from = self.streams[dir.index()].reached();
        self.integrate(dir, Record::missing(from, bytes, stamp), engine, out);
    }

    /// Appends a record that begins at or before what is wanted next.
    #[inline]
    fn integrate(
        &mut self,
        dir: Direction,
        mut record: Record<'_>,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        let stream = &mut self.streams[dir.index()];
        stream.begun = true;
        let old = stream.seen.saturating_sub(record.pos);
        engine.tally.add(Counter::OldBytes, old);
        record.consume(old.min(record.len()));
        stream.seen = record.end();
        let skipped = stream.at.saturating_sub(record.pos).min(record.len());
        if stream.kept.is_none() && skipped > 0 {
            record.consume(skipped);
            stream.last = record.stamp.at;
        }
        let over = |m: &InProgress| m.ends_at.is_some_and(|end| end <= record.end());
        if stream.message.as_ref().is_some_and(over) {
            self.message_over(dir, record.stamp.at, engine, out);
        }
        if record.len() > 0 {
            self.feed(dir, record, engine, out);
        }
    }

    /// The message in progress in `dir` ended at `at`.
    pub(super) fn message_over(
        &mut self,
        dir: Direction,
        at: KtimeNs,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        if let Some(InProgress { exchange: Some(exchange), request, .. }) =
            self.streams[dir.index()].message.take()
        {
            self.over(exchange, request, at, engine, out);
        }
    }

    /// The request, or the response, of an exchange (slot and number) ended at `at`.
    #[inline(always)]
    pub(super) fn over(
        &mut self,
        (slot, serial): (u32, u64),
        request: bool,
        at: KtimeNs,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        let Some(exchange) = engine.exchanges.get_mut(slot) else { return };
        if exchange.serial != serial {
            return;
        }
        if request {
            exchange.request = Phase::Over;
            if exchange.response == Phase::Awaited {
                exchange.last = exchange.last.max(at);
            }
        } else {
            exchange.response = Phase::Over;
            exchange.last = at;
        }
        let over = exchange.is_over();
        if !request {
            engine.leave_thread(slot, at);
        }
        if over {
            self.emit(slot, None, engine, out);
        }
    }

    /// Hands on every exchange of which nothing more is to be seen.
    pub(super) fn emit_over(&mut self, engine: &mut Engine, out: &mut SpanBatch) {
        while let Some(slot) = self.pairing.first_over(&engine.exchanges) {
            self.emit(slot, None, engine, out);
        }
    }

    /// Hands on one exchange. One without a response ends at `closed`, or with its last byte.
    fn emit(
        &mut self,
        slot: u32,
        closed: Option<KtimeNs>,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        let Some(exchange) = engine.exchanges.get(slot) else { return };
        let mut end = exchange.last;
        match exchange.response {
            Phase::Awaited | Phase::Missing => {
                engine.tally.count(Counter::Unanswered);
                end = closed.unwrap_or(end);
                if let Proto::Known(state) = &self.proto {
                    let Engine { exchanges, shown, .. } = &mut *engine;
                    exchanges.write(slot, |pending| {
                        state.describe_unanswered(&mut SpanSink::new(pending).showing(shown));
                    });
                }
            }
            Phase::Begun => engine.tally.count(Counter::ResponseCut),
            Phase::Over => {}
        }
        self.spans += u64::from(engine.emit(slot, end, &self.ends, out));
        self.pairing.remove(slot, &mut engine.exchanges);
    }

    /// Takes a shut record: we will send no more.
    pub(super) fn shut(&mut self, end: &ConnEnd, engine: &mut Engine, out: &mut SpanBatch) {
        let send = Direction::Send.index();
        self.streams[send].ended_at.get_or_insert(end.finals[send].0);
        self.settle(engine, out);
    }

    /// Takes the close record. `true` = nothing more will come and all is handed on.
    pub(super) fn close(
        &mut self,
        end: &ConnEnd,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) -> bool {
        let finals = end.finals.map(|pos| pos.0);
        for (stream, end) in self.streams.iter_mut().zip(finals) {
            stream.ended_at.get_or_insert(end);
            if std::mem::take(&mut stream.adopt) {
                (stream.seen, stream.at) = (end, end);
            }
        }
        // Nobody works on the open requests any more.
        self.for_each_open(engine, |engine, slot| engine.leave_thread(slot, end.ktime));
        self.closing = Some(Closing { at: end.ktime, finals, since: engine.now });
        self.settle(engine, out);
        self.close_if_complete(engine, out)
    }

    /// Does something to each open exchange.
    pub(super) fn for_each_open(&self, engine: &mut Engine, act: impl Fn(&mut Engine, u32)) {
        let mut at = self.pairing.oldest();
        while let Some(slot) = at {
            act(engine, slot);
            at = Pairing::after(slot, &engine.exchanges);
        }
    }

    /// Finishes a closed connection whose last byte was seen. `true` = it is finished.
    pub(super) fn close_if_complete(&mut self, engine: &mut Engine, out: &mut SpanBatch) -> bool {
        let Some(closing) = self.closing else { return false };
        let ignored = matches!(self.proto, Proto::Nothing(_) | Proto::Tunnel);
        let complete = self.streams.iter().zip(closing.finals).all(|(s, end)| s.reached() >= end);
        if complete || ignored {
            self.finish(engine, out);
        }
        complete || ignored
    }

    /// When the connection wants to be looked at next, in batch time.
    pub(super) fn deadline(&self) -> Option<KtimeNs> {
        let waits = |stream: &Stream| stream.gap_since.is_some() || stream.blocked_since.is_some();
        if self.closing.is_none() && !self.streams.iter().any(waits) {
            return None;
        }
        let after = |since: Option<KtimeNs>, ns| since.map(|t| KtimeNs(t.0.saturating_add(ns)));
        let [send, recv] = &self.streams;
        let deadlines = [
            after(send.gap_since, GAP_NS),
            after(send.blocked_since, BLOCKED_NS),
            after(recv.gap_since, GAP_NS),
            after(recv.blocked_since, BLOCKED_NS),
            after(self.closing.map(|c| c.since), CLOSING_NS),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Gives up what waited too long. `true` = the connection is finished.
    pub(super) fn expire(&mut self, engine: &mut Engine, out: &mut SpanBatch) -> bool {
        let past = |since: Option<KtimeNs>, ns| since.is_some_and(|t| engine.now.since(t) >= ns);
        if past(self.closing.map(|c| c.since), CLOSING_NS) {
            self.finish(engine, out);
            return true;
        }
        let due = BOTH.map(|dir| {
            let stream = &self.streams[dir.index()];
            (past(stream.gap_since, GAP_NS), past(stream.blocked_since, BLOCKED_NS))
        });
        for (dir, (gap, blocked)) in BOTH.into_iter().zip(due) {
            if gap {
                self.give_up_gaps(dir, engine, out);
            }
            if blocked {
                self.unblock(dir);
            }
        }
        self.settle(engine, out);
        self.close_if_complete(engine, out)
    }

    fn unblock(&mut self, dir: Direction) {
        let stream = &mut self.streams[dir.index()];
        stream.blocked_since = None;
        stream.impatient = true;
        self.retry[dir.index()] = true;
        if let Proto::Known(state) = &mut self.proto {
            state.unblock(dir);
        }
    }

    /// Nothing more will be seen of the connection: what is missing is missing, what is open
    /// ends. Counts the bytes that the kernel moved and no record told of.
    pub(super) fn finish(&mut self, engine: &mut Engine, out: &mut SpanBatch) {
        let closing = self.closing;
        for dir in BOTH {
            while self.streams[dir.index()].ahead_len() > 0 {
                self.give_up_gap(dir, engine, out);
            }
            if let Some(Closing { at, finals, .. }) = closing {
                let unseen =
                    finals[dir.index()].saturating_sub(self.streams[dir.index()].reached());
                if unseen > 0 && matches!(self.proto, Proto::Undecided(_) | Proto::Known(_)) {
                    engine.tally.add(Counter::UnseenBytes, unseen);
                    let stamp = Stamp { at, ..Stamp::default() };
                    self.pass_missing(dir, unseen, stamp, engine, out);
                }
            }
        }
        self.settle(engine, out);
        // Each turn moves at least the message that waits.
        while self.streams.iter().any(|s| s.blocked_since.is_some()) {
            let waiting = self.streams.each_ref().map(|s| s.at);
            for dir in BOTH {
                if self.streams[dir.index()].blocked_since.is_some() {
                    self.unblock(dir);
                }
            }
            self.settle(engine, out);
            if waiting == self.streams.each_ref().map(|s| s.at) {
                break;
            }
        }
        self.end_all(closing.map(|c| c.at), engine, out);
    }

    /// Ends every open exchange and forgets what waits.
    fn end_all(&mut self, closed: Option<KtimeNs>, engine: &mut Engine, out: &mut SpanBatch) {
        for dir in BOTH {
            self.describe_cut(dir, engine);
            let stream = &mut self.streams[dir.index()];
            if let Some(kept) = &stream.kept {
                stream.last = stream.last.max(kept.stamp(u64::MAX).at);
            }
            stream.drop_kept(&mut engine.pool);
            let last = stream.last;
            let Some((slot, serial)) = stream.message.take().and_then(|m| m.exchange) else {
                continue;
            };
            if let Some(exchange) = engine.exchanges.get_mut(slot)
                && exchange.serial == serial
                && exchange.response != Phase::Over
            {
                exchange.last = exchange.last.max(last);
            }
        }
        while let Some(slot) = self.pairing.oldest() {
            self.emit(slot, closed, engine, out);
        }
    }

    /// Lets the protocol describe a message that ends before its time.
    pub(super) fn describe_cut(&mut self, dir: Direction, engine: &mut Engine) {
        let Proto::Known(state) = &mut self.proto else { return };
        let stream = &mut self.streams[dir.index()];
        let to_come = stream.at.saturating_sub(stream.seen);
        let Some(message) = &mut stream.message else { return };
        if std::mem::take(&mut message.describe_end) {
            describe_end(state, dir, to_come, message, engine);
        }
    }

    /// The connection carries nothing we follow: what is open ends, the kernel is told, and
    /// records that are still on their way are dropped.
    pub(super) fn give_up(
        &mut self,
        proto: Proto,
        why: Counter,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        engine.tally.count(why);
        self.end_all(None, engine, out);
        let dropped = match proto {
            Proto::Tunnel => Counter::RecordTunnel,
            _ => Counter::RecordNothing,
        };
        self.proto = proto;
        self.retry = [false; 2];
        for stream in &mut self.streams {
            engine.tally.add(dropped, stream.drop_ahead());
        }
        engine.verdict(VerdictUpdate::Nothing(self.ends.id));
    }

    /// Records that wait behind gaps.
    pub(super) fn records_waiting(&self) -> u64 {
        self.streams.iter().map(|s| s.ahead_len() as u64).sum()
    }
}

/// Lets the protocol write what it knows at the end of `message`, of whose bytes `to_come` were
/// announced and did not move.
fn describe_end(
    state: &mut ConnState,
    dir: Direction,
    to_come: u64,
    message: &InProgress,
    engine: &mut Engine,
) {
    let Some((slot, serial)) = message.exchange else { return };
    if engine.exchanges.get(slot).is_some_and(|e| e.serial == serial) {
        engine.exchanges.write(slot, |pending| {
            state.describe_end(dir, message.request, to_come, &mut SpanSink::new(pending));
        });
    }
}
