//! The configuration file: read, substituted, parsed.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::document::{self, Content, Entry, Malformed, Node};
use super::env::Environment;
use super::notice::Problem;
use super::secret::{Replaced, Secrets};

/// Bytes of a configuration file: what is larger is none.
const FILE_MAX: u64 = 4 << 20;

/// The text of `path`.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn text(path: &Path) -> Result<String, Problem> {
    let bytes = read_bounded(path).map_err(|e| problem(0, e.to_string()))?;
    let line = |until: usize| {
        bytes.get(..until).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() + 1
    };
    // The parser would take it for the end.
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(problem(
            line(at),
            "holds a NUL byte, which no YAML may: was it written whole?",
        ));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| problem(line(error.valid_up_to()), "holds bytes that are no UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
}

/// What the first document of `text` holds; secrets that it took from variables are added to
/// `secrets`.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn entries(
    text: &str,
    env: &Environment,
    secrets: &mut Secrets,
) -> Result<Vec<Entry>, Problem> {
    let replaced = env.substituted(text);
    secrets.add(&replaced);
    let entries = match document::parse_with(&replaced.text, &replaced.secrets) {
        Ok(None) => Vec::new(),
        Ok(Some(mut node)) => {
            if replaced.shifts_lines() {
                renumber(&mut node, &replaced);
            }
            match node.content {
                Content::Map(entries) => entries,
                _ => return Err(problem(node.line, "must hold a mapping of keys")),
            }
        }
        Err(Malformed { line, why }) => {
            return Err(problem(replaced.written_line(line), secrets.mask(why)));
        }
    };
    if let Some(line) = version_2(&entries) {
        let why = "this is config v2 (`file_format` or `extensions.obi`), which is not supported; \
                   write the flat v1 keys";
        return Err(problem(line, why));
    }
    Ok(entries)
}

/// Gives everything the line that the user finds it in.
fn renumber(node: &mut Node, replaced: &Replaced) {
    node.line = replaced.written_line(node.line);
    match &mut node.content {
        Content::Plain(_) | Content::Quoted(_) => {}
        Content::List(items) => items.iter_mut().for_each(|item| renumber(item, replaced)),
        Content::Map(entries) => {
            for entry in entries {
                entry.line = replaced.written_line(entry.line);
                renumber(&mut entry.value, replaced);
            }
        }
    }
}

fn problem(line: usize, why: impl Into<String>) -> Problem {
    Problem { line, why: why.into() }
}

/// Bytes of the file at `path`, which may be replaced by anything while an agent runs: nothing that
/// is waited for is opened, and nothing without an end is read.
///
/// # Errors
/// Why it cannot be read.
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let nonblocking = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if kind.is_fifo() || kind.is_socket() {
        return Err(io::Error::other("is a pipe or a socket: it must be a file"));
    }
    let mut bytes = Vec::new();
    let read = file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if read as u64 > FILE_MAX {
        return Err(io::Error::other(format!("is larger than {FILE_MAX} bytes")));
    }
    Ok(bytes)
}

/// The line that tells that this is the other format.
fn version_2(entries: &[Entry]) -> Option<usize> {
    let named = |entries: &[Entry], name: &str| entries.iter().position(|e| e.key == name);
    if let Some(entry) = named(entries, "file_format").and_then(|i| entries.get(i)) {
        return Some(entry.line);
    }
    let extensions = named(entries, "extensions").and_then(|i| entries.get(i))?;
    match &extensions.value.content {
        Content::Map(inner) => named(inner, "obi").map(|_| extensions.line),
        _ => None,
    }
}
