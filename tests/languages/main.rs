//! Which language an executable is of, asked of discovery as the agent asks it: whatever the file
//! is, the answer is right or `generic`, and costs a bounded amount of memory and reading.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics when it cannot go on, and reports"
)]

#[path = "../support/elf.rs"]
mod elf;
mod hostile;
#[path = "../support/peak.rs"]
mod peak;
mod processes;
mod remembered;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elf::Image;
use obi::discovery::{Discovery, HostFacts};
use obi::model::ids::{KtimeNs, Tgid};
use obi::model::process::{ProcessFact, ProcessImage, ProcessRecord, ThreadModel};
use obi::model::selector::{Refinement, Selector, Selectors};
use obi::telemetry::{Counter, Counters};
use peak::peak;

/// Heap that the judgement of one executable may take, whatever it is.
const HEAP_MAX: usize = 2 << 20;
/// Bytes that may be read for it.
const READ_MAX: u64 = 20 << 20;
/// Of a file that is larger than that.
const HUGE: u64 = 500 << 20;

/// Discovery of every process.
struct Judge {
    discovery: Discovery,
    counters: Arc<Counters>,
    /// Nobody has such an id.
    tgid: u32,
}

impl Judge {
    fn new() -> Self {
        let counters = Arc::new(Counters::default());
        let every = Selector {
            name: "every process".to_owned(),
            criteria: Vec::new(),
            refinement: Refinement::default(),
        };
        let selectors = Selectors { include: vec![every], exclude: Vec::new() };
        let discovery = Discovery::new(selectors, HostFacts::default(), Arc::clone(&counters));
        Self { discovery, counters, tgid: 4_194_304 }
    }

    fn fact(&mut self, tgid: u32, path: &Path) -> ProcessFact {
        let image = ProcessImage {
            path: Some(path.to_str().unwrap().to_owned()),
            environ: b"A=b\0".to_vec(),
            environ_whole: true,
        };
        let (at, ns_tgid, tgid) = (KtimeNs(1), tgid, Tgid(tgid));
        let decisions = self.discovery.on_record(ProcessRecord::Exec { at, tgid, ns_tgid, image });
        decisions.into_iter().find_map(|decision| decision.fact).unwrap()
    }

    /// The language of a process that ran this and is gone.
    fn of(&mut self, path: &Path) -> &'static str {
        self.tgid += 1;
        self.fact(self.tgid, path).service.unwrap().language
    }

    fn examined(&self) -> u64 {
        self.counters.get(Counter::DiscoveryExecutablesExamined)
    }

    fn known(&self) -> u64 {
        self.counters.get(Counter::DiscoveryExecutablesKnown)
    }
}

/// Bytes that this thread has read from files.
fn read_so_far() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

/// The language of a file, judged within the bounds.
#[track_caller]
fn bounded(path: &Path) -> &'static str {
    let mut judge = Judge::new();
    // What tables allocate once for all processes.
    judge.of(Path::new("/"));
    let before = read_so_far();
    let (language, heap) = peak(|| judge.of(path));
    let read = read_so_far() - before;
    assert!(heap <= HEAP_MAX, "{heap} bytes of heap for {path:?}");
    assert!(read <= READ_MAX, "{read} bytes read of {path:?}");
    language
}

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// The language of an executable with this name.
    #[track_caller]
    fn of(&self, name: &str, image: &Image) -> &'static str {
        bounded(&self.file(name, &image.bytes()))
    }
}

fn needing(libraries: &[&'static str]) -> Image {
    Image { needed: libraries.to_vec(), ..Image::default() }
}

fn exporting(symbols: &[&'static str]) -> Image {
    Image { exports: symbols.to_vec(), ..Image::default() }
}

const APPHOST: [u8; 32] = [
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32,
    0x13, 0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
];

/// A note of Go's linker.
fn go_note() -> Image {
    let note = Some(("Go", 4, b"abcdefgh/ijklmnop".to_vec()));
    Image { note, no_sections: true, ..Image::default() }
}

/// Files that tell by themselves, and of which language they are.
fn telling() -> Vec<(&'static str, Image)> {
    let section = Image::with_section;
    vec![
        ("go", section(".gopclntab", b"x")),
        ("go", section(".go.buildinfo", b"x")),
        ("go", go_note()),
        ("java", section(".svm_heap", b"x")),
        ("java", exporting(&["other", "JNI_CreateJavaVM"])),
        ("java", needing(&["libz.so.1", "libjli.so", "libc.so.6"])),
        ("dotnet", section("__managedcode", b"x")),
        ("dotnet", section(".data", &[b"12345".as_slice(), &APPHOST].concat())),
        ("dotnet", exporting(&["DotNetRuntimeInfo"])),
        ("python", exporting(&["a", "Py_BytesMain", "b"])),
        ("python", needing(&["libpython3.11.so.1.0"])),
        ("python", section("pydata", b"x")),
        ("ruby", needing(&["libruby-3.1.so.3.1"])),
        ("nodejs", exporting(&["napi_create_function"])),
        ("nodejs", section(".bun", b"x")),
        ("nodejs", needing(&["libnode.so.108", "libstdc++.so.6"])),
        ("php", needing(&["libphp8.2.so"])),
        ("php", exporting(&["php_request_startup"])),
        ("rust", section(".comment", b"GCC: (Debian) 12\0rustc version 1.90.0 (x)\0")),
        ("rust", section(".rodata", b"/rustc/0123456789/library/std/src/panicking.rs")),
        ("rust", section(".strtab", b"\0main\0rust_eh_personality\0")),
        ("cpp", needing(&["libstdc++.so.6", "libc.so.6"])),
        ("cpp", needing(&["libc++.so.1"])),
        ("cpp", section(".rodata", b"N10__cxxabiv117__class_type_infoE")),
        ("cpp", section(".strtab", b"\0__gxx_personality_v0\0")),
        ("generic", needing(&["libc.so.6"])),
        ("generic", Image::default()),
    ]
}

#[test]
fn an_executable_tells_its_language_whatever_it_is_called_and_built_for() {
    let scratch = Scratch::new();
    for (language, image) in telling() {
        for (is_32_bit, is_big_endian) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let image = Image { is_32_bit, is_big_endian, ..image.clone() };
            assert_eq!(scratch.of("app", &image), language, "{image:?}");
        }
    }
}

#[test]
fn go_moves_between_threads_and_everything_else_may_stay() {
    let scratch = Scratch::new();
    for (language, image) in telling() {
        let mut judge = Judge::new();
        let fact = judge.fact(4_194_305, &scratch.file("app", &image.bytes()));
        let moves = if language == "go" { ThreadModel::Moves } else { ThreadModel::MayStay };
        assert_eq!(fact.threads, moves, "{language}");
    }
}

#[test]
fn the_file_outranks_its_name_and_its_name_what_it_is_linked_with() {
    let scratch = Scratch::new();
    let rust = Image::with_section(".comment", b"rustc version 1.90.0");
    let go = Image::with_section(".gopclntab", b"x");
    // Programs are called node for many reasons.
    assert_eq!(scratch.of("node", &rust), "rust");
    assert_eq!(scratch.of("node", &go), "go");
    // Deno is written in Rust, Bun in part, a bundled server carries Node's runtime.
    let sections = vec![(".comment", b"rustc version 1.90.0".to_vec())];
    let exports = vec!["napi_create_function"];
    assert_eq!(scratch.of("app", &Image { sections, exports, ..Image::default() }), "nodejs");
    let cxx = needing(&["libstdc++.so.6"]);
    for (name, language) in [
        ("node", "nodejs"),
        ("python3.11", "python"),
        ("python3.13t", "python"),
        ("ruby3.1", "ruby"),
        ("php-fpm8.2", "php"),
        ("dotnet", "dotnet"),
        ("java", "java"),
        ("uwsgi-core", "python"),
        ("node_exporter", "cpp"),
        ("nodemon", "cpp"),
        ("javac-like", "cpp"),
        // The contract has no word for Erlang; its virtual machine's language is not the answer.
        ("beam.smp", "generic"),
    ] {
        assert_eq!(scratch.of(name, &cxx), language, "{name}");
    }
    assert_eq!(scratch.of("uwsgi", &needing(&["libphp.so"])), "php");
    assert_eq!(scratch.of("gdb", &needing(&["libpython3.11.so.1.0"])), "generic");
    assert_eq!(scratch.of("gdb2", &needing(&["libpython3.11.so.1.0"])), "python");
}

#[test]
fn a_script_is_of_the_language_that_runs_it() {
    let scratch = Scratch::new();
    for (line, language) in [
        ("#!/usr/bin/python3\nprint()", "python"),
        ("#! /usr/bin/env -S A=b ruby -w\n", "ruby"),
        ("#!/usr/bin/env node", "nodejs"),
        ("#!/bin/sh\nexec python3", "generic"),
        ("#!", "generic"),
        ("#!/usr/bin/env\n", "generic"),
        ("python3\n", "generic"),
        ("", "generic"),
    ] {
        assert_eq!(bounded(&scratch.file("script", line.as_bytes())), language, "{line:?}");
    }
    let endless = [b"#!/".as_slice(), &[b'x'; 1 << 20]].concat();
    assert_eq!(bounded(&scratch.file("script", &endless)), "generic");
}

#[test]
fn what_is_no_file_is_left_alone() {
    let scratch = Scratch::new();
    assert_eq!(bounded(&scratch.at("missing")), "generic");
    assert_eq!(bounded(&scratch.at("missing/python3")), "python");
    assert_eq!(bounded(&scratch.at("python3 (deleted)")), "python");
    assert_eq!(bounded(scratch.0.path()), "generic");
    assert_eq!(bounded(Path::new("/dev/zero")), "generic");
    // Nobody will ever write into it.
    nix::unistd::mkfifo(&scratch.at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(bounded(&scratch.at("fifo")), "generic");
    symlink("loop", scratch.at("loop")).unwrap();
    assert_eq!(bounded(&scratch.at("loop")), "generic");
}
