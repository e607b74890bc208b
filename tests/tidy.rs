//! House rules as tests. Each rule is a function from files to complaints; each has a test that
//! it finds nothing in the tree, and one that it does find a bad snippet.

#![expect(clippy::unwrap_used, reason = "a rule that cannot read the tree fails its test")]

#[path = "tidy/c.rs"]
mod c;
#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/source.rs"]
mod source;

use source::{File, complaint, tree};

/// Lines a file may have before it needs a split.
const MAX_LINES: usize = 600;

/// Everything that may lie at the top of the tree.
const TOP_LEVEL: [&str; 21] = [
    ".ci",
    ".clang-format",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "COMPATIBILITY.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "bpf",
    "build.rs",
    "clippy.toml",
    "configs",
    "manifests",
    "rustfmt.toml",
    "src",
    "tests",
    "vmlinux",
    ".gitattributes",
];

/// What builds and tools leave at the top; none of it is committed.
const TOP_LEVEL_IGNORED: [&str; 3] = [".git", "target", ".deps"];

/// Where unsafe code may stand, and why.
const UNSAFE_ALLOWED: [(&str, &str); 2] = [
    ("src/abi/", "marks the generated record types as plain data"),
    ("src/stages/loader", "writes read-only data of skeletons and holds raw descriptors"),
];

/// Crates that only some folders may name: (prefix of the name, folders, why).
const CRATES_AT_HOME: [(&str, &[&str], &str); 4] = [
    (
        "libbpf_",
        &["src/abi/", "src/stages/loader", "src/stages/reader", "src/commands/doctor"],
        "the kernel's side is behind the loader and the reader; the doctor loads in a dry run",
    ),
    ("kube", &["src/k8s/"], "the cluster is behind the index"),
    ("opentelemetry", &["src/stages/exporter"], "the SDK is an edge, not a measure"),
    ("tonic", &["src/stages/exporter"], "transport is the exporter's"),
];

/// Where asynchronous code may stand: inside one thread's own runtime.
const ASYNC_ALLOWED: [&str; 5] = [
    "src/stages/exporter/otlp",
    "src/stages/exporter/prometheus",
    // Many lookups at a time, each of which may take seconds; no stage waits for them.
    "src/resolver",
    "src/k8s/",
    "src/commands/k8s_cache",
];

/// Generated, or data: no bound on their length.
fn is_data(path: &str) -> bool {
    path.ends_with("vmlinux.h") || path.starts_with("tests/fixtures/")
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn too_long(files: &[File]) -> Vec<String> {
    let long = |f: &&File| f.is_code() && !is_data(&f.path) && f.text.lines().count() > MAX_LINES;
    files
        .iter()
        .filter(long)
        .map(|f| format!("{}: more than {MAX_LINES} lines, split it", f.path))
        .collect()
}

fn unfinished(files: &[File]) -> Vec<String> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!")];
    source::lines(files, |_, line| marks.iter().any(|m| line.contains(m)), "unfinished work")
}

fn stray_unsafe(files: &[File]) -> Vec<String> {
    let home = |path: &str| UNSAFE_ALLOWED.iter().any(|(at, _)| path.starts_with(at));
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.path.starts_with("src/") && f.is_rust()) {
        if !home(&file.path) && source::has_word(&file.code(), "unsafe") {
            found.push(complaint(file, "unsafe code outside the allow-list"));
        }
    }
    found
}

fn foreign_crates(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.path.starts_with("src/") && f.is_rust()) {
        let code = file.code();
        for (name, homes, why) in CRATES_AT_HOME {
            let used = source::paths(&code).any(|p| p.starts_with(name));
            if used && !homes.iter().any(|h| file.path.starts_with(h)) {
                found.push(complaint(file, &format!("names {name}*: {why}")));
            }
        }
    }
    found
}

fn stray_async(files: &[File]) -> Vec<String> {
    let home = |path: &str| ASYNC_ALLOWED.iter().any(|at| path.starts_with(at)) || is_test(path);
    files
        .iter()
        .filter(|f| f.path.starts_with("src/") && f.is_rust() && !home(&f.path))
        .filter(|f| source::has_word(&f.code(), "async") || source::has_word(&f.code(), "block_on"))
        .map(|f| complaint(f, "asynchronous code outside the clients and servers"))
        .collect()
}

/// `allow` is for what a generator wrote; people write `expect` with a reason.
fn bare_allow(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.is_rust()) {
        let code = file.code();
        for (at, _) in code.match_indices("[allow(").chain(code.match_indices("![allow(")) {
            let item: String = code.get(at..).unwrap_or("").lines().take(14).collect();
            if !item.contains("include!") {
                found.push(complaint(file, "allow attribute: use expect with a reason"));
            }
        }
    }
    found
}

fn ignored_without_reason(files: &[File]) -> Vec<String> {
    let mark = concat!("#[ign", "ore]");
    source::lines(files, |f, line| f.is_rust() && line.trim() == mark, "ignored without a reason")
}

fn machine_paths(files: &[File]) -> Vec<String> {
    let roots = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    // `/proc/1/root/…` and `{pid}/root/…` are no such path.
    let starts = |line: &str, at: usize| {
        let before = line.get(..at).and_then(|s| s.chars().last());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-{}$/*".contains(c))
    };
    let bad =
        |line: &str| roots.iter().any(|r| line.match_indices(r).any(|(at, _)| starts(line, at)));
    source::lines(files, |_, line| bad(line), "path of one machine")
}

fn top_level(entries: &[String]) -> Vec<String> {
    let known = |e: &str| TOP_LEVEL.contains(&e) || TOP_LEVEL_IGNORED.contains(&e);
    entries
        .iter()
        .filter(|e| !known(e))
        .map(|e| format!("{e}: does not belong at the top of the tree"))
        .collect()
}

fn missing_documents(entries: &[String]) -> Vec<String> {
    ["README.md", "ARCHITECTURE.md", "COMPATIBILITY.md", "CHANGELOG.md", "LICENSE"]
        .iter()
        .filter(|d| !entries.iter().any(|e| e == **d))
        .map(|d| format!("{d} is missing"))
        .collect()
}

/// Fails with every complaint; passes only if there was something to look at.
#[track_caller]
fn clean(rule: impl Fn(&[File]) -> Vec<String>) {
    let files = tree();
    assert!(files.iter().any(|f| f.path == "src/lib.rs"), "the tree was not read");
    let found = rule(&files);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Asserts that `rule` complains about a file with this text, and not about the good one.
#[track_caller]
fn catches(rule: impl Fn(&[File]) -> Vec<String>, path: &str, bad: &str, good: &str) {
    assert_eq!(rule(&[File::new(path, bad)]).len(), 1, "{path} with {bad:?} must be caught");
    assert_eq!(rule(&[File::new(path, good)]), Vec::<String>::new(), "{path} with {good:?}");
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    clean(too_long);
    catches(too_long, "src/a.rs", &"x\n".repeat(MAX_LINES + 1), &"x\n".repeat(MAX_LINES));
    let data = File::new("tests/fixtures/http1/a.story", &"x\n".repeat(MAX_LINES + 1));
    assert_eq!(too_long(&[data]), Vec::<String>::new());
}

#[test]
fn nothing_is_left_for_later() {
    clean(unfinished);
    catches(unfinished, "bpf/a.h", concat!("/* TO", "DO: x */"), "/* done */");
    catches(unfinished, "src/a.rs", concat!("todo", "!()"), "mastodon!()");
}

#[test]
fn unsafe_code_stands_only_where_its_reason_is_listed() {
    clean(stray_unsafe);
    catches(stray_unsafe, "src/model/a.rs", "unsafe { x() }", "// unsafe\n#![deny(unsafe_code)]");
    let home = File::new("src/abi/decode.rs", "unsafe impl Plain for X {}");
    assert_eq!(stray_unsafe(&[home]), Vec::<String>::new());
}

#[test]
fn a_crate_is_named_only_by_the_modules_that_own_its_edge() {
    clean(foreign_crates);
    catches(
        foreign_crates,
        "src/app.rs",
        "use libbpf_rs::Map;",
        "// libbpf_rs::Map\nlet kube = 1;",
    );
    catches(foreign_crates, "src/stages/decoder/a.rs", "kube::Client::new()", "fn f() {}");
    let home = File::new("src/stages/reader.rs", "use libbpf_rs::RingBuffer;");
    assert_eq!(foreign_crates(&[home]), Vec::<String>::new());
}

#[test]
fn stages_are_synchronous() {
    clean(stray_async);
    catches(stray_async, "src/stages/reader.rs", "async fn f() {}", "fn asynchronous() {}");
}

#[test]
fn lints_are_expected_with_a_reason_and_never_just_allowed() {
    clean(bare_allow);
    let generated = "#[allow(\n    missing_docs,\n)]\nmod skel {\n    include!(\"x\");\n}";
    catches(bare_allow, "src/a.rs", "#[allow(dead_code)]\nfn f() {}", generated);
}

#[test]
fn no_test_is_ignored_without_a_reason() {
    clean(ignored_without_reason);
    let bad = concat!("#[ign", "ore]\nfn f() {}");
    catches(ignored_without_reason, "src/a.rs", bad, "#[ignore = \"needs a GPU\"]\nfn f() {}");
}

#[test]
fn nothing_names_a_folder_of_one_machine() {
    clean(machine_paths);
    let bad = concat!("cp /ro", "ot/x /tmp");
    catches(machine_paths, "tests/scripts/a.sh", bad, "cat /proc/1/root/x");
}

#[test]
fn the_top_of_the_tree_holds_what_is_prescribed() {
    let entries = source::top_level_entries();
    assert_eq!(top_level(&entries), Vec::<String>::new());
    assert_eq!(top_level(&["notes.txt".into(), "src".into()]).len(), 1);
}

#[test]
fn the_documents_are_there() {
    assert_eq!(missing_documents(&source::top_level_entries()), Vec::<String>::new());
    assert_eq!(missing_documents(&["README.md".into()]).len(), 4);
}
