//! Which runtime a process has loaded.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use super::{Language, names};

/// Bytes of a process's mappings that are read at most; a line has about 100. While it writes a
/// page of them the kernel holds the lock of the process's memory.
const MAPS_MAX: u64 = 4 << 20;

/// The runtime among the libraries that the process has mapped. Of one that was started through the
/// `loader`, the program itself is among them.
pub(super) fn runtime(ns_tgid: u32, loader: bool) -> Option<Language> {
    let maps = File::open(format!("/proc/{ns_tgid}/maps")).ok()?;
    among(BufReader::with_capacity(16 << 10, maps.take(MAPS_MAX)), loader)
}

fn among(mut maps: impl BufRead, loader: bool) -> Option<Language> {
    let mut best: Option<(usize, Language)> = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        // A process that ends while it is read leaves what was read so far.
        match maps.read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return best.map(|(_, language)| language),
        }
        let Some(base) = base_name(&line) else { continue };
        if loader && let Some(language) = std::str::from_utf8(base).ok().and_then(names::of_program)
        {
            return Some(language);
        }
        if let Some(found) = names::of_library(base)
            && best.is_none_or(|(order, _)| found.0 < order)
        {
            best = Some(found);
        }
    }
}

/// The last part of the path of the file that a line is about. `address perms offset dev inode path`:
/// only the path has slashes.
fn base_name(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b" (deleted)").unwrap_or(line);
    let slash = memchr::memrchr(b'/', line)?;
    line.get(slash + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &str, loader: bool) -> Option<Language> {
        among(lines.as_bytes(), loader)
    }

    const LIBC: &str = "7f00-7f01 r-xp 00000000 fe:01 12  /usr/lib/x86_64-linux-gnu/libc.so.6\n";

    #[test]
    fn a_runtime_is_found_among_mappings_and_a_part_of_a_line_says_nothing() {
        assert_eq!(of(LIBC, false), None);
        let jvm = "7f02-7f03 r--p 0 fe:01 7    /usr/lib/jvm/lib/server/libjvm.so\n";
        assert_eq!(of(&format!("{LIBC}{jvm}{LIBC}"), false), Some(Language::Java));
        let deleted = jvm.replace(".so\n", ".so (deleted)\n");
        assert_eq!(of(&deleted, false), Some(Language::Java));
        assert_eq!(of(jvm.split_at(40).0, false), None);
        assert_eq!(of("7f02-7f03 rw-p 0 00:00 0 [heap]\n\n7f", false), None);
        // A folder of that name is not the library.
        assert_eq!(of("7f02-7f03 r--p 0 fe:01 7 /opt/libjvm.so/plugin\n", false), None);
    }

    #[test]
    fn of_several_runtimes_the_order_of_libraries_decides() {
        let both = |a: &str, b: &str| format!("1-2 r 0 0 1 /l/{a}\n{LIBC}1-2 r 0 0 1 /l/{b}\n");
        for (a, b) in [("libpython3.so", "libjvm.so"), ("libjvm.so", "libpython3.so")] {
            assert_eq!(of(&both(a, b), false), Some(Language::Java));
        }
    }

    #[test]
    fn behind_the_loader_the_program_itself_is_asked() {
        let python = "400-500 r-xp 0 fe:01 9 /usr/bin/python3.11\n";
        assert_eq!(of(python, true), Some(Language::Python));
        assert_eq!(of(python, false), None);
    }

    #[test]
    fn this_process_has_no_runtime_loaded() {
        assert_eq!(runtime(std::process::id(), false), None);
        assert_eq!(runtime(4_000_001, false), None);
    }
}
