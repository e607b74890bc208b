//! Which language runtime an executable carries, as far as its sections tell.

use std::fs::File;
use std::io::BufReader;

use object::read::ReadCache;
use object::read::elf::{ElfFile64, FileHeader as _};

use crate::model::process::ThreadModel;

/// A runtime that matters to tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    /// Go: requests are goroutines, which move between threads.
    Go,
    /// Anything else.
    Other,
}

impl Runtime {
    /// `telemetry.sdk.language`.
    pub(super) fn language(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Other => "generic",
        }
    }

    /// Whether its threads tell what they work on.
    pub(super) fn threads(self) -> ThreadModel {
        match self {
            Self::Go => ThreadModel::Moves,
            Self::Other => ThreadModel::MayStay,
        }
    }
}

/// The runtime of a running process's executable, or of the file at `path` when the process is
/// gone. Reads the section names only.
pub(super) fn of_executable(ns_tgid: u32, path: &str) -> Runtime {
    let file = File::open(format!("/proc/{ns_tgid}/exe")).or_else(|_| File::open(path));
    match file.map(is_go) {
        Ok(Ok(true)) => Runtime::Go,
        // A script, a damaged or unreadable file: nothing is known of it.
        Ok(Ok(false) | Err(_)) | Err(_) => Runtime::Other,
    }
}

/// Every Go linker writes one of these sections, stripped or not.
const GO_SECTIONS: [&[u8]; 3] = [b".gopclntab", b".go.buildinfo", b".note.go.buildid"];

fn is_go(file: File) -> object::Result<bool> {
    let cache = ReadCache::new(BufReader::new(file));
    let elf = ElfFile64::<object::Endianness, _>::parse(&cache)?;
    let sections = elf.elf_header().sections(elf.endian(), &cache)?;
    for section in sections.iter() {
        if GO_SECTIONS.contains(&sections.section_name(elf.endian(), section)?) {
            return Ok(true);
        }
    }
    Ok(false)
}
