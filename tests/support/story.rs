//! Reads stories: the format is described in `tests/fixtures/README.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::Chars;

/// Who sent bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// The side that connected: `>`.
    Client,
    /// The side that accepted: `<`.
    Server,
}

/// Whose process is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// The client's.
    Client,
    /// The server's.
    Server,
}

/// Something that happens on the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// One call sends these bytes.
    Bytes(From, Vec<u8>),
    /// So many bytes behind what that side sent were not captured.
    Gap(From, u64),
    /// That side sends its next so many bytes here, and their records come later.
    Late(From, u64),
    /// That side sends no more.
    End(From),
}

/// The attributes of a span as text, with `status` and `traceparent` among them.
pub(crate) type SpanText = BTreeMap<String, String>;

/// A story.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    /// File name without its ending.
    pub(crate) name: String,
    /// What happens.
    pub(crate) events: Vec<Event>,
    /// Expected spans: lines that hold for both views, the server's and the client's.
    blocks: Vec<Block>,
    /// Expected counts, sorted.
    pub(crate) counted: Vec<String>,
}

type Block = Vec<(Option<View>, String, String)>;

impl Story {
    /// Every story in `tests/fixtures/<folder>`, by name. Panics when there is none.
    pub(crate) fn all(folder: &str) -> Vec<Self> {
        let mut paths = files(&format!("tests/fixtures/{folder}"));
        paths.retain(|path| path.extension().is_some_and(|e| e == "story"));
        assert!(!paths.is_empty(), "no stories in {folder}");
        paths.iter().map(|path| Self::load(path)).collect()
    }

    /// The events with those bytes that are event `n` moved by two calls, `at` bytes by the first.
    pub(crate) fn split(&self, n: usize, at: usize) -> Vec<Event> {
        let mut events = self.events.clone();
        if let Event::Bytes(from, bytes) = &self.events[n] {
            let (front, back) = bytes.split_at(at);
            events.splice(n..=n, [front, back].map(|half| Event::Bytes(*from, half.to_vec())));
        }
        events
    }

    fn load(path: &Path) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self::read(&name, &text).unwrap_or_else(|e| panic!("{}:{e}", path.display()))
    }

    /// Reads a story; an error starts with the number of its line.
    pub(crate) fn read(name: &str, text: &str) -> Result<Self, String> {
        let mut story = Self { name: name.into(), events: vec![], blocks: vec![], counted: vec![] };
        let (mut in_block, mut sourced, mut expects) = (false, false, false);
        for (n, line) in text.lines().enumerate() {
            let at = |e: String| format!("{}: {e}", n + 1);
            let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
            let expected = matches!(mark, "=" | "=s" | "=c");
            expects |= expected;
            sourced |= rest.starts_with("source:");
            if expected && rest == "none" {
                in_block = false;
                continue;
            }
            if expected {
                let line = expectation(mark, rest).map_err(at)?;
                match story.blocks.last_mut().filter(|_| in_block) {
                    Some(block) => block.push(line),
                    None => story.blocks.push(vec![line]),
                }
            } else if mark == "%" {
                story.counted.push(rest.trim().into());
            } else {
                story.events.extend(events(mark, rest).map_err(at)?);
            }
            in_block = expected;
        }
        story.counted.sort();
        match (sourced, expects) {
            (false, _) => Err("1: no `# source:` line".into()),
            (_, false) => Err("1: no `=` line: expected spans are not optional".into()),
            _ => Ok(story),
        }
    }

    /// The spans expected in `view`.
    pub(crate) fn spans(&self, view: View) -> Vec<SpanText> {
        self.blocks.iter().map(|block| span_text(block, view)).collect()
    }

    /// Bytes that both sides sent.
    pub(crate) fn bytes(&self) -> usize {
        let len = |event: &Event| if let Event::Bytes(_, bytes) = event { bytes.len() } else { 0 };
        self.events.iter().map(len).sum()
    }
}

/// The files of a folder of the project, by name. Panics when there is none.
pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    assert!(!paths.is_empty(), "{} is empty", dir.display());
    paths.sort();
    paths
}

fn expectation(mark: &str, rest: &str) -> Result<(Option<View>, String, String), String> {
    let view = match mark {
        "=s" => Some(View::Server),
        "=c" => Some(View::Client),
        _ => None,
    };
    let (key, value) = rest.split_once(':').ok_or("`= key: value` has no colon")?;
    Ok((view, key.trim().into(), value.trim().into()))
}

fn span_text(block: &Block, view: View) -> SpanText {
    let mut span = SpanText::new();
    let defaults = [("url.scheme", "http"), ("http.request.body.size", "0"), ("status", "unset")];
    span.extend(defaults.map(|(key, value)| (key.to_string(), value.to_string())));
    let lines = block.iter().filter(|(v, ..)| v.is_none_or(|v| v == view));
    span.extend(lines.map(|(_, key, value)| (key.clone(), value.clone())));
    if span.contains_key("http.response.status_code") {
        span.entry("http.response.body.size".into()).or_insert_with(|| "0".into());
    }
    // `none` = the attribute is not there.
    span.retain(|_, value| value != "none");
    span
}

fn events(mark: &str, rest: &str) -> Result<Vec<Event>, String> {
    match mark {
        "" => Ok(vec![]),
        _ if mark.starts_with('#') => Ok(vec![]),
        "~" | "?" => {
            let (from, n) = rest.split_once(' ').ok_or("`~ > BYTES` or `? > BYTES`")?;
            let n = n.trim().parse().map_err(|e| format!("length {n:?}: {e}"))?;
            let from = side(from)?;
            Ok(vec![if mark == "~" { Event::Gap(from, n) } else { Event::Late(from, n) }])
        }
        "!" if rest == "close" => Ok(vec![Event::End(From::Client), Event::End(From::Server)]),
        "!" => Ok(vec![Event::End(side(rest.trim())?)]),
        _ => Ok(vec![Event::Bytes(side(mark)?, bytes(rest)?)]),
    }
}

fn side(mark: &str) -> Result<From, String> {
    match mark {
        ">" => Ok(From::Client),
        "<" => Ok(From::Server),
        _ => Err(format!("{mark:?} is no side")),
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = vec![];
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (piece, behind) = unescape(quoted)?;
            let (times, behind) = repetition(behind)?;
            out.extend(piece.repeat(times));
            rest = behind.trim_start();
        } else {
            let (pair, behind) = rest.split_at_checked(2).ok_or("half a hexadecimal byte")?;
            out.push(u8::from_str_radix(pair, 16).map_err(|e| format!("{pair:?}: {e}"))?);
            rest = behind.trim_start();
        }
    }
    Ok(out)
}

/// The bytes up to the closing quote, and the text behind it.
fn unescape(text: &str) -> Result<(Vec<u8>, &str), String> {
    let mut out = vec![];
    let mut chars = text.chars();
    loop {
        match chars.next().ok_or("no closing quote")? {
            '"' => return Ok((out, chars.as_str())),
            '\\' => out.push(escaped(&mut chars)?),
            c => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
}

/// The byte of an escape whose backslash is read.
fn escaped(chars: &mut Chars<'_>) -> Result<u8, String> {
    Ok(match chars.next() {
        Some('r') => b'\r',
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('0') => 0,
        Some('\\') => b'\\',
        Some('"') => b'"',
        Some('x') => {
            let hex: String = chars.by_ref().take(2).collect();
            u8::from_str_radix(&hex, 16).map_err(|e| format!("\\x{hex}: {e}"))?
        }
        other => return Err(format!("escape {other:?}")),
    })
}

/// How often a text counts, and what is behind its `*n`.
fn repetition(text: &str) -> Result<(usize, &str), String> {
    let Some(rest) = text.strip_prefix('*') else { return Ok((1, text)) };
    let (digits, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    Ok((digits.parse().map_err(|e| format!("repetition {digits:?}: {e}"))?, rest))
}

/// What differs between the spans of a story and those that came out; `None` when nothing does.
pub(crate) fn difference(expected: &[SpanText], found: &[SpanText]) -> Option<String> {
    if expected == found {
        return None;
    }
    let mut text = format!("expected {} spans, found {}\n", expected.len(), found.len());
    let empty = SpanText::new();
    for n in 0..expected.len().max(found.len()) {
        let want = expected.get(n).unwrap_or(&empty);
        let have = found.get(n).unwrap_or(&empty);
        for (key, value) in want {
            if have.get(key) != Some(value) {
                let found = have.get(key);
                let _ = writeln!(text, "span {n}: {key}: expected {value:?}, found {found:?}");
            }
        }
        for (key, value) in have.iter().filter(|(key, _)| !want.contains_key(*key)) {
            let _ = writeln!(text, "span {n}: {key}: not expected, found {value:?}");
        }
    }
    Some(text)
}
