//! The configuration file: read, substituted, parsed.

use std::io::Read as _;
use std::path::Path;

use super::document::{self, Content, Entry, Malformed};
use super::env::Environment;
use super::notice::Problem;
use super::secret::Secrets;

/// Bytes of a configuration file: what is larger is none.
const FILE_MAX: u64 = 4 << 20;

/// The text of `path`.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn text(path: &Path) -> Result<String, Problem> {
    read_bounded(path).map_err(|e| problem(0, e.to_string()))
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
        Ok(Some(node)) => match node.content {
            Content::Map(entries) => entries,
            _ => return Err(problem(node.line, "must hold a mapping of keys")),
        },
        Err(Malformed { line, why }) => return Err(problem(line, secrets.mask(why))),
    };
    if let Some(line) = version_2(&entries) {
        let why = "this is config v2 (`file_format` or `extensions.obi`), which is not supported; \
                   write the flat v1 keys";
        return Err(problem(line, why));
    }
    Ok(entries)
}

fn problem(line: usize, why: impl Into<String>) -> Problem {
    Problem { line, why: why.into() }
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_MAX {
        return Err(std::io::Error::other(format!("is larger than {FILE_MAX} bytes")));
    }
    Ok(text)
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
