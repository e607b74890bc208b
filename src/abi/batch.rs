//! Raw records, copied once out of the ring.

use std::ops::Range;

use super::types;
use crate::model::ids::KtimeNs;
use crate::model::time::ClockOffset;

/// Records of one drain of the ring, in ring order. Recycled: cleared, never freed.
#[derive(Clone, Debug, Default)]
pub struct RawBatch {
    bytes: Vec<u8>,
    samples: Vec<Range<u32>>,
    /// When the ring was drained: "now" for every deadline the decoder keeps.
    pub drained_at: KtimeNs,
    /// Kernel time to wall time, taken at the drain.
    pub clock: ClockOffset,
}

impl RawBatch {
    /// An empty batch of a drain at `at`.
    pub fn drained(at: KtimeNs, clock: ClockOffset) -> Self {
        Self { drained_at: at, clock, ..Self::default() }
    }

    /// Appends one record, without the room behind it that the kernel reserved and did not use. The
    /// whole cost of the reader per record.
    pub fn push(&mut self, sample: &[u8]) {
        const LEN: usize = std::mem::offset_of!(types::event_header, len);
        let len = sample.get(LEN..LEN + 2).and_then(|n| n.try_into().ok()).map(u16::from_ne_bytes);
        let used = len.and_then(|len| sample.get(..usize::from(len))).unwrap_or(sample);
        let at = self.len_bytes();
        self.bytes.extend_from_slice(used);
        self.samples.push(at..self.len_bytes());
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Bytes of all records; a batch is cut by the reader far below 4 GiB.
    pub fn len_bytes(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// The records in ring order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.samples
            .iter()
            .map(|r| self.bytes.get(r.start as usize..r.end as usize).unwrap_or_default())
    }

    /// Removes the last record; used by the fault switch of the tests.
    pub fn pop(&mut self) -> bool {
        let Some(last) = self.samples.pop() else { return false };
        self.bytes.truncate(last.start as usize);
        true
    }

    /// Forgets the records and keeps the memory, up to `keep_bytes`.
    pub fn clear(&mut self, keep_bytes: usize) {
        self.samples.clear();
        self.bytes.clear();
        self.bytes.shrink_to(keep_bytes);
    }
}
