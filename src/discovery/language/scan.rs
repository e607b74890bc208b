//! Looks for a few byte strings in a part of a file, piece by piece.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use memchr::memmem;

/// Bytes at either end of a part that are looked at. Linkers put what a program is made of in order,
/// and a language's own library last.
const END_MAX: u64 = 4 << 20;
/// Bytes of one file that are looked at.
const FILE_MAX: u64 = 16 << 20;
/// Bytes that are held at a time.
const PIECE: usize = 64 << 10;

/// What is left to look at of a file.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    file: &'a File,
    left: u64,
    piece: Vec<u8>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self { file, left: FILE_MAX, piece: Vec::new() }
    }

    /// Which of `needles` stand in this part of the file, as far as it is looked at. Once the first
    /// of them is found, the others are not looked for.
    pub(super) fn find<const N: usize>(
        &mut self,
        part: Range<u64>,
        needles: [&[u8]; N],
    ) -> [bool; N] {
        let mut found = [false; N];
        let head = part.start..part.end.min(part.start.saturating_add(END_MAX));
        let tail = part.end.saturating_sub(END_MAX).max(head.end)..part.end;
        for end in [head, tail] {
            self.find_in(end, &needles, &mut found);
        }
        found
    }

    fn find_in(&mut self, part: Range<u64>, needles: &[&[u8]], found: &mut [bool]) {
        let longest = needles.iter().map(|needle| needle.len()).max().unwrap_or_default();
        let finders: Vec<_> = needles.iter().map(memmem::Finder::new).collect();
        self.piece.resize(PIECE, 0);
        // The end of the last piece, in which a needle may begin, stands before the next one.
        let (mut at, mut kept) = (part.start, 0);
        while at < part.end && self.left > 0 && !found.first().is_some_and(|first| *first) {
            let Some(room) = self.piece.get_mut(kept..) else { return };
            let wanted = usize::try_from((part.end - at).min(self.left)).unwrap_or(usize::MAX);
            let wanted = wanted.min(room.len());
            let Some(room) = room.get_mut(..wanted) else { return };
            // The file may end before its headers say so.
            let Ok(read @ 1..) = self.file.read_at(room, at) else { return };
            let Some(piece) = self.piece.get(..kept + read) else { return };
            for (finder, found) in finders.iter().zip(found.iter_mut()) {
                *found = *found || finder.find(piece).is_some();
            }
            let end = piece.len();
            let from = end.saturating_sub(longest.saturating_sub(1));
            self.piece.copy_within(from..end, 0);
            kept = end - from;
            at += read as u64;
            self.left -= read as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of zeros with `needle` at `at`.
    fn file_with(needle: &[u8], at: u64, len: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len).unwrap();
        file.write_all_at(needle, at).unwrap();
        file
    }

    #[test]
    fn a_needle_is_found_wherever_pieces_end() {
        let piece = PIECE as u64;
        for at in (0..3).flat_map(|n| (n * piece).saturating_sub(12)..n * piece + 12) {
            let file = file_with(b"needle", at, 4 * piece);
            let part = |from, to| Scan::new(&file).find(from..to, [b"haystack", b"needle"]);
            assert_eq!(part(0, 4 * piece), [false, true], "{at}");
            assert_eq!(part(at, at + 6), [false, true], "{at}");
            assert_eq!(part(at, at + 5), [false, false], "{at}");
            assert_eq!(part(at + 1, u64::MAX), [false, false], "{at}");
        }
    }

    #[test]
    fn of_a_large_part_both_ends_are_looked_at_and_of_a_file_not_more_than_its_bound() {
        let len = 100 << 20;
        for (at, found) in [(END_MAX - 6, true), (50 << 20, false), (len - END_MAX, true)] {
            let file = file_with(b"needle", at, len);
            assert_eq!(Scan::new(&file).find(0..len, [b"needle"]), [found], "{at}");
        }
        let file = file_with(b"needle", len - 6, len);
        let mut scan = Scan::new(&file);
        let mut looks = 0;
        while scan.find(0..len, [b"needle"]) == [true] {
            looks += 1;
        }
        assert_eq!(looks, FILE_MAX / (2 * END_MAX));
        assert_eq!(scan.left, 0);
    }

    #[test]
    fn a_part_that_lies_behind_the_file_or_overflows_holds_nothing() {
        let file = file_with(b"needle", 0, 6);
        for part in [6..12, 1 << 40..1 << 41, u64::MAX - 1..u64::MAX, Range { start: 7, end: 3 }] {
            assert_eq!(Scan::new(&file).find(part.clone(), [b"needle"]), [false], "{part:?}");
        }
    }
}
