//! Line feeds, eight bytes at a time: most of what a head costs is finding them.

/// Bytes that are looked at together.
const BLOCK: usize = 8;

/// Offsets of the line feeds of some bytes, in order.
#[derive(Debug)]
pub(super) struct LineFeeds<'a> {
    blocks: std::slice::Iter<'a, [u8; BLOCK]>,
    /// Too few for a block.
    rest: &'a [u8],
    /// Where the block ends whose line feeds are given now.
    end: usize,
    /// The highest bit of each of its bytes that is a line feed and was not given yet.
    feeds: u64,
}

impl<'a> LineFeeds<'a> {
    /// Those of `bytes`.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let (blocks, rest) = bytes.as_chunks();
        Self { blocks: blocks.iter(), rest, end: 0, feeds: 0 }
    }

    /// The block that the rest begins.
    #[cold]
    fn last(&mut self) -> Option<[u8; BLOCK]> {
        let rest = std::mem::take(&mut self.rest);
        let mut last = [0; BLOCK];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        (!rest.is_empty()).then_some(last)
    }
}

impl Iterator for LineFeeds<'_> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.feeds == 0 {
            let block = match self.blocks.next() {
                Some(block) => *block,
                None => self.last()?,
            };
            self.feeds = feeds_of(block);
            self.end = self.end.wrapping_add(BLOCK);
        }
        // Of the last byte's bit to that of the line feed.
        let from_end = (self.feeds.trailing_zeros() ^ 63) / u8::BITS;
        self.feeds &= self.feeds.wrapping_sub(1);
        Some(self.end.wrapping_sub(from_end as usize).wrapping_sub(1))
    }
}

/// The highest bit of each byte that is a line feed: with the line feed's bits taken away it is
/// zero, and only then neither it nor its lower bits plus 0x7f have the highest bit.
fn feeds_of(block: [u8; BLOCK]) -> u64 {
    const FEEDS: u64 = u64::from_le_bytes([b'\n'; BLOCK]);
    const LOWER: u64 = u64::from_le_bytes([0x7f; BLOCK]);
    let bytes = u64::from_le_bytes(block) ^ FEEDS;
    !((bytes & LOWER).wrapping_add(LOWER) | bytes | LOWER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_feeds_are_found_wherever_they_stand() {
        for other in [0, b'\n' - 1, b'\n' + 1, b'\n' | 0x80, 0xff] {
            for length in 0..3 * BLOCK + 2 {
                for feed in 0..=length {
                    let mut bytes = vec![other; length];
                    bytes.iter_mut().skip(feed).take(1).for_each(|byte| *byte = b'\n');
                    let found: Vec<usize> = LineFeeds::of(&bytes).collect();
                    let there: Vec<usize> = (feed..length).take(1).collect();
                    assert_eq!(found, there, "{feed} of {length}, else {other}");
                }
                let all: Vec<usize> = LineFeeds::of(&vec![b'\n'; length]).collect();
                assert_eq!(all, (0..length).collect::<Vec<_>>());
            }
        }
    }
}
