//! Deadlines of connections, in batch time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::ids::KtimeNs;

/// A table slot that wants to be looked at when batch time passes a deadline. A connection is
/// queued at most once (it keeps the mark); one that ends leaves its entry until that is due.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BinaryHeap<Reverse<(KtimeNs, u32)>>,
}

impl Timers {
    /// Wakes `slot` when batch time reaches `at`.
    pub(super) fn push(&mut self, at: KtimeNs, slot: u32) {
        self.queue.push(Reverse((at, slot)));
    }

    /// The next slot that is due.
    pub(super) fn pop_due(&mut self, now: KtimeNs) -> Option<u32> {
        let Reverse((at, slot)) = *self.queue.peek()?;
        if at > now {
            return None;
        }
        self.queue.pop();
        Some(slot)
    }
}
