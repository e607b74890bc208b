//! Which language a process is written in.
//!
//! What is asked, in this order; the first answer counts:
//! 1. the executable itself (`elf.rs`): Go, a runtime that it is or carries, Rust;
//! 2. its name (`names.rs`): `python3.11`, `php-fpm8.2`;
//! 3. the runtime that it is linked with;
//! 4. the runtime that the process has loaded by now (`maps.rs`): Apache with `libphp.so`;
//! 5. the name of a host of runtimes that has loaded none yet: `uwsgi`;
//! 6. whether it is C++. Nothing tells C from other languages without a runtime: generic.
//!
//! Only what the file says is remembered (`cache.rs`): the name belongs to a path, and what is loaded
//! to a process.

mod cache;
mod elf;
mod maps;
mod names;
mod scan;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;

use crate::model::process::ThreadModel;
use crate::telemetry::Counters;
use cache::Cache;
use elf::Evidence;

/// A language that the contract has a word for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// Requests are goroutines, which move between threads.
    Go,
    /// The JVM, and what GraalVM compiled.
    Java,
    /// .NET, in any of its forms, and Mono.
    Dotnet,
    /// Python.
    Python,
    /// Ruby.
    Ruby,
    /// Node.js, Deno and Bun.
    Nodejs,
    /// Rust.
    Rust,
    /// PHP.
    Php,
    /// C++.
    Cpp,
    /// C, shells, whatever the contract has no word for, and what is not known.
    #[default]
    Generic,
}

impl Language {
    /// `telemetry.sdk.language`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Java => "java",
            Self::Dotnet => "dotnet",
            Self::Python => "python",
            Self::Ruby => "ruby",
            Self::Nodejs => "nodejs",
            Self::Rust => "rust",
            Self::Php => "php",
            Self::Cpp => "cpp",
            Self::Generic => "generic",
        }
    }

    /// Whether something tells it: these two are what is left when nothing does.
    pub(super) fn is_certain(self) -> bool {
        !matches!(self, Self::Cpp | Self::Generic)
    }
}

/// What is concluded of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) language: Language,
    /// Whether its threads tell what they work on. It is the executable that decides, whether or
    /// not the user wants to hear of its language.
    pub(super) threads: ThreadModel,
}

/// The judge of languages.
#[derive(Debug)]
pub(super) struct Languages {
    /// Beginnings of paths of executables whose language is not looked for.
    pub(super) excluded: Vec<String>,
    cache: RefCell<Cache>,
}

impl Languages {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { excluded: Vec::new(), cache: RefCell::new(Cache::new(counters)) }
    }

    /// Judges a process by what it is now; when it is gone, by the file at `exe`.
    pub(super) fn of(&self, ns_tgid: u32, exe: &str) -> Verdict {
        let exe = exe.trim_end_matches(" (deleted)");
        let evidence = match open(ns_tgid, exe) {
            Some(file) => self.cache.borrow_mut().evidence(&file),
            None => Evidence::default(),
        };
        let threads = match evidence.own {
            Some(Language::Go) => ThreadModel::Moves,
            _ => ThreadModel::MayStay,
        };
        let prefixes = self.excluded.iter().filter(|prefix| !prefix.is_empty());
        let language = match prefixes.into_iter().any(|prefix| exe.starts_with(prefix)) {
            true => Language::Generic,
            false => conclude(evidence, exe, |loader| maps::runtime(ns_tgid, loader)),
        };
        Verdict { language, threads }
    }
}

/// Weighs what is known. `loaded` tells what the process has loaded; it is told whether the
/// executable is only the loader of another one.
fn conclude(
    evidence: Evidence,
    exe: &str,
    loaded: impl FnOnce(bool) -> Option<Language>,
) -> Language {
    let name = exe.rsplit('/').next().unwrap_or_default();
    let runtime = || match names::embeds_at_most(name) {
        true => None,
        false => evidence.linked.or_else(|| loaded(names::is_loader(name))),
    };
    evidence
        .own
        .or_else(|| names::of_program(name))
        .or_else(runtime)
        .or_else(|| names::of_host(name))
        .unwrap_or(if evidence.cxx { Language::Cpp } else { Language::Generic })
}

/// The executable that the process runs, even if it was deleted or lies in another mount namespace;
/// else the file at `path`, which may be anything by now.
fn open(ns_tgid: u32, path: &str) -> Option<File> {
    if let Ok(file) = File::open(format!("/proc/{ns_tgid}/exe")) {
        return Some(file);
    }
    // Opening a FIFO would wait for a writer.
    let nonblocking = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).ok()?;
    file.metadata().is_ok_and(|m| m.is_file()).then_some(file)
}

/// What a file says of itself. A script says who runs it.
fn examine(file: &File) -> Evidence {
    elf::evidence(file)
        .unwrap_or_else(|| Evidence { linked: of_script(file), ..Evidence::default() })
}

/// Bytes of a script that the kernel itself looks at (`BINPRM_BUF_SIZE`).
const SHEBANG_MAX: usize = 256;

/// The language of a script by its interpreter: `#!/usr/bin/env -S VAR=x python3 -u` is Python.
fn of_script(file: &File) -> Option<Language> {
    let mut head = [0; SHEBANG_MAX];
    let read = file.read_at(&mut head, 0).ok()?;
    let line = head.get(..read)?.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or_default());
    let interpreter = match words.next()? {
        "env" => words.find(|word| !word.starts_with('-') && !word.contains('='))?,
        interpreter => interpreter,
    };
    names::of_program(interpreter)
}
