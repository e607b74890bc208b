//! One direction of a connection: records in the order of their positions, whatever the order
//! they came in.

use super::kept::{Kept, KeptPool};
use super::record::{Record, Stamp};
use crate::model::ids::KtimeNs;
use crate::telemetry::{Counter, Tally};

/// Records that wait behind a gap, in one direction.
pub(super) const AHEAD_MAX: usize = 16;
/// Captured bytes of those records.
const AHEAD_BYTES_MAX: usize = 64 * 1024;

/// One direction. Lives in its connection.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Bytes below were seen or given up.
    pub(super) seen: u64,
    /// Position of the next byte the parser wants; beyond `seen` while a body is skipped.
    pub(super) at: u64,
    /// Captured bytes of `at..seen`; `None` = nothing.
    pub(super) kept: Option<Box<Kept>>,
    /// Records beyond `seen`, by position.
    ahead: Vec<Ahead>,
    /// When (batch time) the first record beyond a gap came.
    pub(super) gap_since: Option<KtimeNs>,
    /// When (batch time) the parser began to wait for the other direction.
    pub(super) blocked_since: Option<KtimeNs>,
    /// Waiting for the other direction has been in vain: it is not done again for the message at
    /// hand, nor at all where positions are counted by the hooks.
    pub(super) impatient: bool,
    /// Bytes the parser wants before it is called again.
    pub(super) need: usize,
    /// Framing was lost; see [`crate::protocols::Protocol::resync`].
    pub(super) lost: bool,
    /// It was lost inside a message whose head saw the other direction here. As long as that one
    /// has not moved, nothing else begins.
    pub(super) inside: Option<u64>,
    /// Where the other direction stood at the last bytes that were passed over. Who sends one
    /// message at a time begins none before that one has moved.
    pub(super) passed: Option<u64>,
    /// Position at which it was found and lost again: not a start.
    pub(super) barren_at: Option<u64>,
    /// No message was parsed since the stream was found.
    pub(super) found: bool,
    /// The last message parsed is a request, and the first one since the stream was found: its
    /// exchange, and where the other direction stood. It may have been text.
    pub(super) unsure: Option<(u32, u64, u64)>,
    /// Where the direction ends, once that is known.
    pub(super) ended_at: Option<u64>,
    /// The parser was told of the end.
    pub(super) end_told: bool,
    /// The message whose end is still to come.
    pub(super) message: Option<InProgress>,
    /// Time of the last byte consumed.
    pub(super) last: KtimeNs,
    /// Take the next record's position as the start.
    pub(super) adopt: bool,
    /// A byte was taken: the start is settled.
    pub(super) begun: bool,
}

/// A message whose head was parsed and whose end is still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct InProgress {
    /// Its exchange: slot and number. `None` for a response that answers nobody.
    pub(super) exchange: Option<(u32, u64)>,
    /// Which message of the exchange.
    pub(super) request: bool,
    /// Position behind its last byte, where known.
    pub(super) ends_at: Option<u64>,
    /// The protocol has more to say at its end.
    pub(super) describe_end: bool,
    /// Position of the other direction at its head.
    pub(super) other: u64,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its end was passed already.
    Old,
    /// It continues what was seen.
    Next,
    /// Bytes before it are still to come.
    Ahead,
}

/// A record that came before its time.
#[derive(Debug)]
pub(super) struct Ahead {
    pos: u64,
    whole: bool,
    head: Vec<u8>,
    hole: u64,
    tail: Vec<u8>,
    stamp: Stamp,
}

impl Ahead {
    /// The record.
    pub(super) fn record(&self) -> Record<'_> {
        let Self { pos, hole, stamp, .. } = *self;
        Record { pos, whole: self.whole, head: &self.head, hole, tail: &self.tail, stamp }
    }
}

impl Stream {
    /// A stream whose first byte has position `start`.
    pub(super) fn at(start: u64) -> Self {
        Self { seen: start, at: start, ..Self::default() }
    }

    /// Moves the start to where a record lies that comes first. The connection may have been seen
    /// by a call of the other direction while this one's call, which had moved its bytes already,
    /// was still to be recorded.
    pub(super) fn settle_start(&mut self, pos: u64) {
        if std::mem::take(&mut self.adopt) || (!self.begun && pos < self.seen) {
            (self.seen, self.at) = (pos, pos);
        }
    }

    /// Everything below was seen or is of no interest.
    pub(super) fn reached(&self) -> u64 {
        self.seen.max(self.at)
    }

    /// Whether a record at `pos` is what comes next, with nothing before it that waits, behind it that
    /// came early, or around it that is still to end.
    #[inline]
    pub(super) fn expects(&self, pos: u64) -> bool {
        self.seen == pos
            && self.at == pos
            && self.message.is_none()
            && self.kept.is_none()
            && self.ahead.is_empty()
    }

    /// Where `record` lies.
    pub(super) fn place(&self, record: &Record<'_>) -> Place {
        if record.end() <= self.seen {
            Place::Old
        } else if record.pos <= self.reached() {
            Place::Next
        } else {
            Place::Ahead
        }
    }

    /// Keeps a record until the gap before it is filled. `now` is batch time. Captured bytes
    /// beyond the bound are given up.
    pub(super) fn keep_ahead(&mut self, record: &Record<'_>, now: KtimeNs, tally: &mut Tally) {
        let kept: usize = self.ahead.iter().map(|a| a.head.len() + a.tail.len()).sum();
        let captured = record.head.len() + record.tail.len();
        let mut ahead = Ahead {
            pos: record.pos,
            whole: record.whole,
            head: Vec::new(),
            hole: record.end() - record.pos,
            tail: Vec::new(),
            stamp: record.stamp,
        };
        if kept + captured <= AHEAD_BYTES_MAX {
            ahead.head.extend_from_slice(record.head);
            ahead.hole = record.hole;
            ahead.tail.extend_from_slice(record.tail);
        } else {
            tally.add(Counter::BufferFullBytes, captured as u64);
        }
        let at = self.ahead.partition_point(|a| a.pos <= record.pos);
        self.ahead.insert(at, ahead);
        self.gap_since.get_or_insert(now);
    }

    /// Records that wait behind a gap.
    pub(super) fn ahead_len(&self) -> usize {
        self.ahead.len()
    }

    /// Whether no more records may wait.
    pub(super) fn ahead_full(&self) -> bool {
        self.ahead.len() >= AHEAD_MAX
    }

    /// The gap before the first waiting record: its bytes, and that record's stamp.
    pub(super) fn gap(&self) -> Option<(u64, Stamp)> {
        let first = self.ahead.first()?;
        Some((first.pos.saturating_sub(self.reached()), first.stamp))
    }

    /// The next waiting record whose gap is filled.
    pub(super) fn take_ready(&mut self) -> Option<Ahead> {
        if self.ahead.first()?.pos > self.reached() {
            return None;
        }
        let ready = self.ahead.remove(0);
        if self.ahead.is_empty() {
            self.gap_since = None;
        }
        Some(ready)
    }

    /// Forgets the waiting records; returns how many.
    pub(super) fn drop_ahead(&mut self) -> u64 {
        let n = self.ahead.len() as u64;
        self.ahead = Vec::new();
        self.gap_since = None;
        n
    }

    /// Whether the parser is to be told that the direction ended.
    pub(super) fn end_due(&self) -> bool {
        !self.end_told && self.at <= self.seen && self.ended_at.is_some_and(|e| e <= self.seen)
    }

    /// Forgets the captured bytes that wait.
    pub(super) fn drop_kept(&mut self, pool: &mut KeptPool) {
        if let Some(kept) = self.kept.take() {
            pool.give(kept);
        }
        self.at = self.reached();
        self.need = 0;
        self.blocked_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(pos: u64, head: &[u8]) -> Record<'_> {
        Record { pos, whole: true, head, hole: 0, tail: b"", stamp: Stamp::default() }
    }

    #[test]
    fn records_are_old_next_or_ahead_by_position() {
        let mut stream = Stream::at(10);
        assert_eq!(stream.place(&record(8, b"ab")), Place::Old);
        assert_eq!(stream.place(&record(8, b"abc")), Place::Next);
        assert_eq!(stream.place(&record(10, b"a")), Place::Next);
        assert_eq!(stream.place(&record(11, b"a")), Place::Ahead);
        stream.at = 20;
        assert_eq!(stream.place(&record(15, b"a")), Place::Next);
        assert_eq!(stream.place(&record(21, b"a")), Place::Ahead);
    }

    #[test]
    fn waiting_records_leave_by_position_when_the_gap_is_filled() {
        let (mut stream, mut tally) = (Stream::at(0), Tally::default());
        stream.keep_ahead(&record(4, b"ef"), KtimeNs(1), &mut tally);
        stream.keep_ahead(&record(2, b"cd"), KtimeNs(2), &mut tally);
        assert_eq!(stream.gap().map(|g| g.0), Some(2));
        assert_eq!(stream.gap_since, Some(KtimeNs(1)));
        assert!(stream.take_ready().is_none());
        (stream.seen, stream.at) = (2, 2);
        assert_eq!(stream.take_ready().unwrap().record().head, b"cd");
        (stream.seen, stream.at) = (4, 4);
        assert_eq!(stream.take_ready().unwrap().record().head, b"ef");
        assert_eq!(stream.gap_since, None);
    }

    #[test]
    fn captured_bytes_beyond_the_bound_become_missing_and_are_counted() {
        let (mut stream, mut tally) = (Stream::at(0), Tally::default());
        let big = vec![b'x'; AHEAD_BYTES_MAX];
        stream.keep_ahead(&record(1, &big), KtimeNs(1), &mut tally);
        stream.keep_ahead(&record(65_537, b"more"), KtimeNs(1), &mut tally);
        assert_eq!(tally.get(Counter::BufferFullBytes), 4);
        (stream.seen, stream.at) = (65_537, 65_537);
        stream.take_ready();
        let last = stream.take_ready().unwrap();
        assert_eq!((last.record().head, last.record().hole), (&b""[..], 4));
    }
}
