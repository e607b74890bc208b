//! Line feeds, a block of bytes at a time: most of what a head costs is finding them.

use wide::u8x16;

/// Bytes that are looked at together.
const BLOCK: usize = 16;

/// Offsets of the line feeds of some bytes, in order.
#[derive(Debug)]
pub(super) struct LineFeeds<'a> {
    blocks: std::slice::Iter<'a, [u8; BLOCK]>,
    /// Too few for a block.
    rest: &'a [u8],
    /// Where the block ends whose line feeds are given now.
    end: usize,
    /// A bit for each of its bytes that is a line feed and was not given yet.
    feeds: u32,
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
        let before = self.feeds.trailing_zeros();
        self.feeds &= self.feeds.wrapping_sub(1);
        Some(self.end.wrapping_sub(BLOCK).wrapping_add(before as usize))
    }
}

/// One bit for each byte that is a line feed.
#[inline(always)]
fn feeds_of(block: [u8; BLOCK]) -> u32 {
    u8x16::from(block).simd_eq(u8x16::splat(b'\n')).to_bitmask()
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
