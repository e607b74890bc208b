//! Bytes that wait: a message that straddles records, or a response before its request.

use std::collections::VecDeque;

use super::record::{Front, Record, Source, Stamp};

/// Bytes that one direction may keep.
pub(super) const KEPT_MAX: usize = 64 * 1024;
/// Records whose bytes one direction may keep; holes beyond it count for the last one.
const SEGMENTS_MAX: usize = KEPT_MAX;
/// Bytes that all directions together may keep.
pub(super) const KEPT_TOTAL_MAX: usize = 64 * 1024 * 1024;
/// Empty buffers that stay allocated.
const POOL_MAX: usize = 256;
/// Capacity an empty buffer may keep.
const POOL_BYTES: usize = 16 * 1024;

/// Consecutive wire bytes of one direction, with holes. Boxed: most directions have none.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    /// Bytes of `bytes` already consumed.
    from: usize,
    segments: VecDeque<Segment>,
    /// Captured bytes up to the first hole, and that hole.
    lead: (usize, u64),
    len: u64,
    /// Memory accounted for in the pool.
    charged: usize,
}

/// Captured bytes of one record and the hole behind them.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// It begins with the call's first byte.
    whole: bool,
    bytes: usize,
    hole: u64,
    stamp: Stamp,
}

impl Kept {
    /// Memory in use.
    fn cost(&self) -> usize {
        self.bytes.len() + self.segments.len() * size_of::<Segment>()
    }

    /// Appends a record's bytes. Captured bytes beyond the bounds become holes; returns how many.
    pub(super) fn push(&mut self, record: &Record<'_>, pool: &mut KeptPool) -> u64 {
        self.compact();
        let captured = record.head.len() + record.tail.len();
        let room = KEPT_MAX.saturating_sub(self.bytes.len());
        let full = self.segments.len() >= SEGMENTS_MAX - 1;
        if full || captured > room || pool.in_use + captured > KEPT_TOTAL_MAX {
            self.segment(false, &[], record.len(), record.stamp);
            pool.charge(self);
            return captured as u64;
        }
        self.segment(record.whole, record.head, record.hole, record.stamp);
        if !record.tail.is_empty() {
            self.segment(false, record.tail, 0, record.stamp);
        }
        pool.charge(self);
        0
    }

    fn segment(&mut self, whole: bool, bytes: &[u8], hole: u64, stamp: Stamp) {
        if self.lead.1 == 0 {
            self.lead = (self.lead.0 + bytes.len(), hole);
        }
        self.bytes.extend_from_slice(bytes);
        self.len += bytes.len() as u64 + hole;
        let full = self.segments.len() >= SEGMENTS_MAX;
        match self.segments.back_mut() {
            Some(last) if full && bytes.is_empty() => {
                last.hole += hole;
                self.relead();
            }
            _ => self.segments.push_back(Segment { whole, bytes: bytes.len(), hole, stamp }),
        }
    }

    /// Moves the bytes to the front once most of the buffer is consumed.
    fn compact(&mut self) {
        if self.from > 0 && self.from * 2 >= self.bytes.len() {
            self.bytes.drain(..self.from);
            self.from = 0;
        }
    }

    fn relead(&mut self) {
        self.lead = (0, 0);
        for segment in &self.segments {
            self.lead.0 += segment.bytes;
            if segment.hole > 0 {
                self.lead.1 = segment.hole;
                break;
            }
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.from = 0;
        self.segments.clear();
        self.lead = (0, 0);
        self.len = 0;
    }
}

impl Source for Kept {
    fn len(&self) -> u64 {
        self.len
    }

    fn front(&self) -> Front<'_> {
        let bytes = self.bytes.get(self.from..self.from + self.lead.0).unwrap_or_default();
        Front { bytes, missing: self.lead.1 }
    }

    fn stamp(&self, offset: u64) -> Stamp {
        let mut end = 0;
        for segment in &self.segments {
            end += segment.bytes as u64 + segment.hole;
            if offset < end {
                return segment.stamp;
            }
        }
        self.segments.back().map(|s| s.stamp).unwrap_or_default()
    }

    fn begins_call(&self, offset: usize) -> bool {
        let mut at = 0;
        for segment in &self.segments {
            if at >= offset {
                return at == offset && segment.whole;
            }
            at += segment.bytes;
        }
        false
    }

    fn consume(&mut self, mut n: u64) {
        self.len = self.len.saturating_sub(n);
        while n > 0 {
            let Some(first) = self.segments.front_mut() else { break };
            first.whole = false;
            let bytes = usize::try_from(n).unwrap_or(usize::MAX).min(first.bytes);
            let hole = (n - bytes as u64).min(first.hole);
            first.bytes -= bytes;
            first.hole -= hole;
            self.from += bytes;
            n -= bytes as u64 + hole;
            if first.bytes == 0 && first.hole == 0 {
                self.segments.pop_front();
            }
        }
        self.relead();
    }
}

/// Buffers not in use, and the memory of those in use.
#[derive(Debug, Default)]
pub(super) struct KeptPool {
    #[expect(clippy::vec_box, reason = "boxes move between streams and the pool unopened")]
    free: Vec<Box<Kept>>,
    in_use: usize,
}

impl KeptPool {
    /// An empty buffer.
    pub(super) fn take(&mut self) -> Box<Kept> {
        self.free.pop().unwrap_or_default()
    }

    /// Takes a buffer back; whatever it held is forgotten.
    pub(super) fn give(&mut self, mut kept: Box<Kept>) {
        self.in_use = self.in_use.saturating_sub(std::mem::take(&mut kept.charged));
        if self.free.len() < POOL_MAX {
            kept.clear();
            kept.bytes.shrink_to(POOL_BYTES);
            kept.segments.shrink_to(POOL_BYTES / size_of::<Segment>());
            self.free.push(kept);
        }
    }

    fn charge(&mut self, kept: &mut Kept) {
        let cost = kept.cost();
        self.in_use = (self.in_use + cost).saturating_sub(kept.charged);
        kept.charged = cost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::KtimeNs;

    fn record(ms: u64, head: &[u8], hole: u64) -> Record<'_> {
        let stamp = Stamp { at: KtimeNs(ms), ..Stamp::default() };
        Record { pos: 0, whole: true, head, hole, tail: b"", stamp }
    }

    #[test]
    fn the_front_reaches_to_the_first_hole() {
        let (mut kept, mut pool) = (Kept::default(), KeptPool::default());
        kept.push(&record(1, b"ab", 0), &mut pool);
        kept.push(&Record { tail: b"yz", ..record(2, b"cd", 5) }, &mut pool);
        kept.push(&record(3, b"ef", 0), &mut pool);
        assert_eq!((kept.front().bytes, kept.front().missing, kept.len()), (&b"abcd"[..], 5, 13));
        let stamps = [0, 1, 2, 8, 10, 11, 12].map(|at| kept.stamp(at).at.0);
        assert_eq!(stamps, [1, 1, 2, 2, 2, 3, 3]);
        kept.consume(3);
        assert_eq!((kept.front().bytes, kept.front().missing), (&b"d"[..], 5));
        kept.consume(3);
        assert_eq!((kept.front().bytes, kept.front().missing), (&b""[..], 3));
        kept.consume(3);
        assert_eq!((kept.front().bytes, kept.front().missing), (&b"yzef"[..], 0));
        kept.consume(4);
        assert_eq!(kept.len(), 0);
    }

    #[test]
    fn captured_bytes_beyond_the_bound_become_a_hole() {
        let (mut kept, mut pool) = (Kept::default(), KeptPool::default());
        let big = vec![b'x'; KEPT_MAX];
        assert_eq!(kept.push(&record(1, &big, 0), &mut pool), 0);
        assert_eq!(kept.push(&record(2, b"more", 6), &mut pool), 4);
        assert_eq!(kept.front().missing, 10);
        assert_eq!(kept.len(), KEPT_MAX as u64 + 10);
    }

    #[test]
    fn all_buffers_together_are_bounded_and_given_back() {
        let mut pool = KeptPool::default();
        let big = vec![b'x'; KEPT_MAX];
        let mut all = Vec::new();
        while pool.in_use + KEPT_MAX <= KEPT_TOTAL_MAX {
            let mut kept = pool.take();
            assert_eq!(kept.push(&record(1, &big, 0), &mut pool), 0);
            all.push(kept);
        }
        let mut last = pool.take();
        assert_eq!(last.push(&record(1, &big, 0), &mut pool), KEPT_MAX as u64);
        all.push(last);
        all.into_iter().for_each(|mut kept| {
            kept.consume(10);
            pool.give(kept);
        });
        assert_eq!(pool.in_use, 0);
        assert_eq!(pool.free.len(), POOL_MAX);
        assert_eq!(pool.take().len(), 0);
    }

    #[test]
    fn records_without_payload_do_not_grow_without_bound() {
        let (mut kept, mut pool) = (Kept::default(), KeptPool::default());
        for n in 0..SEGMENTS_MAX as u64 + 10 {
            kept.push(&record(n, b"", 1), &mut pool);
        }
        assert_eq!(kept.segments.len(), SEGMENTS_MAX);
        assert_eq!(kept.len(), SEGMENTS_MAX as u64 + 10);
    }
}
