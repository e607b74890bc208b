//! The tree as text, and the little parsing the rules need.

use std::fs;
use std::path::Path;

/// A text file of the project; `path` is relative to its top, with forward slashes.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_c(&self) -> bool {
        self.path.ends_with(".h") || self.path.ends_with(".c")
    }

    /// Whether people maintain it line by line.
    pub(crate) fn is_code(&self) -> bool {
        let ends = [".rs", ".h", ".c", ".sh", ".py", ".js", ".go", ".story"];
        ends.iter().any(|e| self.path.ends_with(e))
    }

    /// The text with comments and the insides of string literals blanked out.
    pub(crate) fn code(&self) -> String {
        strip(&self.text)
    }
}

pub(crate) fn complaint(file: &File, what: &str) -> String {
    format!("{}: {what}", file.path)
}

/// One complaint for each line of each file that `bad` says is bad.
pub(crate) fn lines(files: &[File], bad: impl Fn(&File, &str) -> bool, what: &str) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            if bad(file, line) {
                found.push(format!("{}:{}: {what}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    found
}

/// Every text file people write: sources, scripts, configuration, documents.
pub(crate) fn tree() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "bpf", "tests", "configs", "manifests", ".ci"] {
        walk(root, &root.join(folder), &mut files);
    }
    for entry in top_level_entries() {
        if root.join(&entry).is_file() && entry != "Cargo.lock" && entry != ".git" {
            read(root, &root.join(entry), &mut files);
        }
    }
    files
}

pub(crate) fn top_level_entries() -> Vec<String> {
    let entries = fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap();
            if name != "__pycache__" && name != "target" && name != "corpus" {
                walk(root, &path, files);
            }
        } else {
            read(root, &path, files);
        }
    }
}

fn read(root: &Path, path: &Path, files: &mut Vec<File>) {
    // A file that is no text (a corpus entry, a recorded stream) has no lines to judge.
    let Ok(text) = fs::read_to_string(path) else { return };
    let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    files.push(File { path, text });
}

/// Blanks comments and the insides of string and byte literals. Good for Rust and C as this
/// project writes them; raw strings keep their text when they hold quotes.
fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |n| n + 2),
            '\'' if rest.starts_with("'\"'") => 3,
            '"' => {
                out.push_str("\"\"");
                string_length(rest)
            }
            _ => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = rest.get(skip..).unwrap_or("");
    }
    out
}

/// Bytes of the string literal at the front of `text`, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words of the code, with what follows each.
fn words(code: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = code;
    std::iter::from_fn(move || {
        let start = rest.find(is_word)?;
        let from = rest.get(start..)?;
        let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
        rest = from.get(end..)?;
        Some((from.get(..end)?, rest))
    })
}

pub(crate) fn has_word(code: &str, word: &str) -> bool {
    words(code).any(|(w, _)| w == word)
}

/// First segments of the paths in `code`: `a` of `a::b`.
pub(crate) fn paths(code: &str) -> impl Iterator<Item = &str> {
    words(code).filter(|(_, after)| after.starts_with("::")).map(|(word, _)| word)
}

/// Every path below `crate::`, cut at two segments, groups spread out:
/// `crate::{a, b::{c, d}}` gives `a`, `b::c`, `b::d`.
pub(crate) fn crate_paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("crate::") {
        let part_of_word = rest.get(..at).and_then(|s| s.chars().last()).is_some_and(is_word);
        rest = rest.get(at + "crate::".len()..).unwrap_or("");
        if !part_of_word {
            branch(rest, "", &mut found);
        }
    }
    found
}

/// Reads one use-tree at the front of `text`; returns what follows it.
fn branch<'a>(text: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            match rest.strip_prefix('}') {
                Some(after) => return after,
                None if rest.is_empty() => return rest,
                None => rest = branch(rest, prefix, found),
            }
        }
    }
    let end = text.find(|c| !is_word(c) && c != '*').unwrap_or(text.len()).max(1);
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    let rest = skip_rename(rest);
    match rest.strip_prefix("::") {
        Some(deeper) if !deeper.starts_with('<') => branch(deeper, &path, found),
        _ => {
            found.push(path);
            rest
        }
    }
}

fn skip_rename(rest: &str) -> &str {
    let Some(named) = rest.trim_start().strip_prefix("as ") else { return rest };
    named.trim_start().trim_start_matches(is_word)
}

#[test]
fn code_has_no_comments_and_no_text() {
    let file = File::new("a.rs", "a(\"x // \\\" y\"); // unsafe\nb /* c */ d '\"' e");
    assert_eq!(file.code(), "a(\"\"); \nb  d  e");
}

#[test]
fn paths_below_the_crate_are_spread_out() {
    let code = "use crate::{abi, model::{ids::X, time as t}, config::*};\nf(crate::k8s::index::<u8>()); xcrate::no";
    let want = ["abi", "model::ids::X", "model::time", "config::*", "k8s::index"];
    assert_eq!(crate_paths(code), want);
}
