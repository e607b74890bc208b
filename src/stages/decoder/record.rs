//! What the parser is fed from: one record, or the bytes kept of several.

use super::parents::Thread;
use crate::abi::Data;
use crate::model::ids::{KtimeNs, Tgid, Tid};

/// Who moved bytes, when, and where the other direction stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// End of the call.
    pub(super) at: KtimeNs,
    /// The process.
    pub(super) tgid: Tgid,
    /// The thread.
    pub(super) tid: Tid,
    /// Position of the other direction at the end of the call.
    pub(super) other: u64,
    /// Losses of the whole host before it, modulo 65,536.
    pub(super) losses: u16,
}

impl Stamp {
    /// Who made the call.
    pub(super) fn thread(&self) -> Thread {
        (self.tgid, self.tid)
    }
}

/// Contiguous captured bytes and the wire bytes missing right behind them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Front<'a> {
    /// Captured bytes.
    pub(super) bytes: &'a [u8],
    /// Wire bytes behind them that no capture holds.
    pub(super) missing: u64,
}

/// Wire bytes in order, some of them not captured, each stamped with its record's time.
pub(super) trait Source {
    /// Wire bytes, captured or not.
    fn len(&self) -> u64;
    /// The bytes that can be looked at together.
    fn front(&self) -> Front<'_>;
    /// Stamp of the wire byte at `offset`.
    fn stamp(&self, offset: u64) -> Stamp;
    /// Whether a call begins with the captured byte at `offset` of the front.
    fn begins_call(&self, offset: usize) -> bool;
    /// Forgets `n` wire bytes; at most [`Self::len`].
    fn consume(&mut self, n: u64);
}

/// The part of one record that is not consumed yet: `head`, `hole` bytes, `tail`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// Stream position of the front.
    pub(super) pos: u64,
    /// The front is the call's.
    pub(super) whole: bool,
    /// Captured front.
    pub(super) head: &'a [u8],
    /// Wire bytes not captured behind `head`.
    pub(super) hole: u64,
    /// Captured end.
    pub(super) tail: &'a [u8],
    /// Who and when.
    pub(super) stamp: Stamp,
}

impl<'a> Record<'a> {
    /// The record of one socket call.
    pub(super) fn of(data: &Data<'a>) -> Self {
        let captured = (data.head.len() + data.tail.len()) as u64;
        Self {
            pos: data.pos.0,
            whole: true,
            head: data.head,
            hole: u64::from(data.bytes).saturating_sub(captured),
            tail: data.tail,
            stamp: Stamp {
                at: data.ktime,
                tgid: data.tgid,
                tid: data.tid,
                other: data.other_pos.0,
                losses: data.losses,
            },
        }
    }

    /// `bytes` wire bytes at `pos` of which nothing was captured.
    pub(super) fn missing(pos: u64, bytes: u64, stamp: Stamp) -> Self {
        Self { pos, whole: false, head: &[], hole: bytes, tail: &[], stamp }
    }

    /// Position behind the record.
    pub(super) fn end(&self) -> u64 {
        self.pos.saturating_add(self.len())
    }
}

impl Source for Record<'_> {
    fn len(&self) -> u64 {
        (self.head.len() as u64).saturating_add(self.hole).saturating_add(self.tail.len() as u64)
    }

    fn front(&self) -> Front<'_> {
        if self.head.is_empty() && self.hole == 0 {
            return Front { bytes: self.tail, missing: 0 };
        }
        Front { bytes: self.head, missing: self.hole }
    }

    fn stamp(&self, _: u64) -> Stamp {
        self.stamp
    }

    fn begins_call(&self, offset: usize) -> bool {
        offset == 0 && self.whole
    }

    fn consume(&mut self, n: u64) {
        if n == 0 {
            return;
        }
        self.pos = self.pos.saturating_add(n);
        self.whole = false;
        let rest = cut(&mut self.head, n);
        let from_hole = rest.min(self.hole);
        self.hole -= from_hole;
        cut(&mut self.tail, rest - from_hole);
    }
}

/// Cuts up to `n` bytes off the front and returns how many of `n` are left to cut.
fn cut(bytes: &mut &[u8], n: u64) -> u64 {
    let here = usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = bytes.get(here..).unwrap_or_default();
    n - here as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consuming_walks_through_head_hole_and_tail() {
        let stamp = Stamp::default();
        let mut r = Record { pos: 100, whole: true, head: b"abc", hole: 10, tail: b"yz", stamp };
        assert_eq!((r.len(), r.end()), (15, 115));
        r.consume(2);
        assert_eq!((r.front().bytes, r.front().missing, r.pos), (&b"c"[..], 10, 102));
        r.consume(5);
        assert_eq!((r.front().bytes, r.front().missing), (&b""[..], 6));
        r.consume(7);
        assert_eq!((r.front().bytes, r.front().missing), (&b"z"[..], 0));
        r.consume(1);
        assert_eq!((r.len(), r.pos), (0, 115));
    }
}
