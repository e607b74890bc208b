//! A stream that was lost, and how it is found again.

use super::connection::{Connection, Proto};
use super::drive::Next;
use super::engine::Engine;
use super::pair::{Exchange, Pairing, Phase};
use super::record::{Front, Record, Source, Stamp};
use super::stream::InProgress;
use crate::model::batch::SpanBatch;
use crate::model::conn::Direction;
use crate::telemetry::Counter;

/// Captured bytes of a lost stream that are kept to find a start that straddles records.
const LOST_KEEP_BYTES: usize = 4096;

impl Connection {
    /// After a loss a message usually starts with a record. What was kept before such a record
    /// was no start.
    pub(super) fn drop_before_start(
        &mut self,
        dir: Direction,
        record: &Record<'_>,
        engine: &mut Engine,
    ) {
        let Proto::Known(state) = &self.proto else { return };
        let stream = &mut self.streams[dir.index()];
        let Some(kept) = stream.kept.as_ref().filter(|_| stream.lost) else { return };
        let turned = kept.stamp(u64::MAX).other != record.stamp.other;
        let begins = |offset| stream.inside.is_some() || record.begins_call(offset) && turned;
        if state.resync(dir, record.head, &begins) != Some(0) {
            return;
        }
        let Some(mut kept) = stream.kept.take() else { return };
        let before = kept.len();
        engine.tally.add(Counter::LostBytes, before);
        self.advance(dir, kept.as_mut(), before);
        engine.pool.give(kept);
    }

    /// Looks for the next message in a stream that was lost.
    pub(super) fn find_again<S: Source>(
        &mut self,
        dir: Direction,
        source: &mut S,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) -> Next {
        if source.len() == 0 {
            return Next::Keep;
        }
        let Proto::Known(state) = &self.proto else { return Next::Keep };
        self.may_hide_a_request(dir, source.stamp(0), engine);
        let Front { bytes, missing } = source.front();
        let stream = &self.streams[dir.index()];
        let begins = |offset: usize| {
            let before = match offset.checked_sub(1) {
                Some(before) => Some(source.stamp(before as u64).other),
                None => stream.passed,
            };
            let turned = before != Some(source.stamp(offset as u64).other);
            // Behind a message that was answered early, its rest and the next one come together.
            stream.inside.is_some() || source.begins_call(offset) && turned
        };
        let found = state.resync(dir, bytes, &begins);
        let barren = found == Some(0) && stream.barren_at == Some(stream.at);
        let last = source.stamp((bytes.len() as u64).saturating_sub(1));
        let inside = found != Some(bytes.len()) && self.is_inside(dir, last.other, engine);
        let Some(offset) = found.filter(|_| !barren && !inside) else {
            let all = missing == 0 && bytes.len() as u64 == source.len();
            if all && !barren && !inside && bytes.len() <= LOST_KEEP_BYTES {
                return Next::Keep;
            }
            let passed = bytes.len() as u64 + missing;
            let call = (!bytes.is_empty()).then_some(last.other);
            engine.tally.add(Counter::LostBytes, passed);
            let stream = &mut self.streams[dir.index()];
            stream.passed = call.or(stream.passed);
            self.advance(dir, source, passed);
            return Next::Again;
        };
        engine.tally.count(Counter::StreamsFound);
        engine.tally.add(Counter::LostBytes, offset as u64);
        self.advance(dir, source, offset as u64);
        let stream = &mut self.streams[dir.index()];
        (stream.lost, stream.found) = (false, true);
        (stream.inside, stream.passed) = (None, None);
        let last = stream.last;
        self.message_over(dir, last, engine, out);
        Next::Again
    }

    /// What a call moved in a direction that is not followed may have been a request.
    fn may_hide_a_request(&self, dir: Direction, call: Stamp, engine: &mut Engine) {
        let asks = self.pairing.requests(&engine.exchanges) == Some(Direction::Send);
        if dir == Direction::Recv && !asks {
            engine.threads.read_unseen(call.thread());
        }
    }

    /// Whether what a call moved in a lost direction, while the other one stood at `other`, still
    /// belongs to the message in which it was lost: nobody has answered it (or asked anew) since.
    fn is_inside(&self, dir: Direction, other: u64, engine: &Engine) -> bool {
        let stream = &self.streams[dir.index()];
        let more_to_answer = || {
            let Some((slot, serial)) = stream.message.as_ref().and_then(|m| m.exchange) else {
                return false;
            };
            let same = engine.exchanges.get(slot).is_some_and(|e| e.serial == serial);
            !same || Pairing::after(slot, &engine.exchanges).is_some()
        };
        stream.inside == Some(other)
            && !self.position(dir, other).other_to_come
            && !more_to_answer()
    }

    /// What follows the request that was found behind a loss, and is not answered, is no message:
    /// then neither was that.
    fn take_back(&mut self, dir: Direction, now: Stamp, engine: &mut Engine) {
        let stream = &mut self.streams[dir.index()];
        let Some((slot, serial, other)) = stream.unsure.take() else { return };
        let is_same = |e: &Exchange| e.serial == serial && e.response == Phase::Awaited;
        if stream.message.is_some()
            || now.other != other
            || !engine.exchanges.get(slot).is_some_and(is_same)
        {
            return;
        }
        stream.passed = Some(other);
        engine.tally.count(Counter::SpanTakenBack);
        engine.leave_thread(slot, now.at);
        self.pairing.remove(slot, &mut engine.exchanges);
    }

    /// The framing of a direction cannot be followed any more.
    pub(super) fn lose(
        &mut self,
        dir: Direction,
        why: Counter,
        now: Stamp,
        engine: &mut Engine,
        out: &mut SpanBatch,
    ) {
        engine.tally.count(why);
        if why != Counter::StreamsLost {
            self.take_back(dir, now, engine);
        }
        if let Some(message) = &mut self.streams[dir.index()].message {
            // What was counted so far is not its size.
            message.describe_end = false;
        }
        self.may_hide_a_request(dir, now, engine);
        if dir == Direction::Send {
            // An answer that is not followed may be the last thing done for its request.
            self.for_each_open(engine, Engine::doubt_thread);
        }
        let stream = &mut self.streams[dir.index()];
        stream.lost = true;
        // Where requests are pipelined, another may follow any. An answer to nobody is followed by
        // nothing either, as long as nobody asks.
        let first = |m: &&InProgress| m.exchange.map(|(slot, _)| slot) == self.pairing.oldest();
        stream.inside = stream.message.as_ref().filter(first).map(|m| m.other);
        stream.barren_at = stream.found.then_some(stream.at);
        stream.blocked_since = None;
        let last = stream.last;
        let request = stream.message.as_ref().is_some_and(|m| m.request);
        if let Proto::Known(state) = &mut self.proto {
            state.reset(dir);
        }
        if request {
            // Its answer does not depend on where it ended.
            self.message_over(dir, last, engine, out);
        }
    }
}
