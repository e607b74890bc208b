//! Which processes are observed, and what the user calls them.

use std::fmt;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::env::Environment;
use super::layers::{Key, Layers};
use super::value::{Raw, text};

const OPEN_PORT: Key = Key::new("open_port", &["OTEL_EBPF_OPEN_PORT"], "");
const TARGET_EXE: Key = Key::new(
    "environment.auto_target_exe",
    &["OTEL_EBPF_AUTO_TARGET_EXE", "OTEL_GO_AUTO_TARGET_EXE"],
    "",
);
const SERVICE_NAME: Key =
    Key::new("service_name", &["OTEL_SERVICE_NAME", "OTEL_EBPF_SERVICE_NAME"], "");
const SERVICE_NAMESPACE: Key = Key::new("service_namespace", &["OTEL_EBPF_SERVICE_NAMESPACE"], "");

pub(super) const KEYS: &[&Key] = &[&OPEN_PORT, &TARGET_EXE, &SERVICE_NAME, &SERVICE_NAMESPACE];

/// Which processes are observed: all of them, or those that match every criterion set here.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Every process; the criteria are empty then.
    pub everything: bool,
    /// TCP ports: a process that listens on one of them. Empty = no criterion.
    pub ports: PortSet,
    /// Path of the executable.
    pub exe: Option<ExeGlob>,
    /// `service.name` of the selected processes (deprecated by the contract); empty = not set.
    pub service_name: String,
    /// `service.namespace` of the selected processes (deprecated by the contract); empty = not set.
    pub service_namespace: String,
}

impl Selection {
    pub(super) fn read(layers: &mut Layers, env: &Environment) -> Self {
        let expanded = |raw: &Raw| match raw {
            Raw::Env(s) => Ok(env.expand(s)),
            _ => text(raw),
        };
        let exe = layers.get(&TARGET_EXE, |raw| match expanded(raw)? {
            s if s.is_empty() => Ok(None),
            s => ExeGlob::new(&s).map(Some),
        });
        Self {
            everything: false,
            ports: layers.get(&OPEN_PORT, PortSet::parse).unwrap_or_default(),
            exe: exe.flatten(),
            service_name: layers.get(&SERVICE_NAME, expanded).unwrap_or_default(),
            service_namespace: layers.get(&SERVICE_NAMESPACE, text).unwrap_or_default(),
        }
    }

    /// Whether a criterion is set.
    pub(super) fn has_criterion(&self) -> bool {
        !self.ports.is_empty() || self.exe.is_some()
    }
}

/// A set of TCP ports as sorted, disjoint, inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet {
    ranges: Vec<(u16, u16)>,
}

impl PortSet {
    /// Reads a port, a comma list of ports and ranges (`80,443,8000-8999`; a range that ends in 0
    /// is one port), or a YAML sequence of ports.
    fn parse(raw: &Raw) -> Result<Self, String> {
        const ALLOWED: &str = "must be ports between 1 and 65535: a number, a comma list with \
                               ranges such as \"80,443,8000-8999\", or a sequence of numbers";
        let allowed = || ALLOWED.to_owned();
        let ranges = match raw {
            Raw::Env(s) | Raw::Text(s) => {
                s.split(',').map(range).collect::<Option<Vec<_>>>().ok_or_else(allowed)?
            }
            Raw::Int(i) => vec![single(*i).ok_or_else(allowed)?],
            Raw::List(items) => items
                .iter()
                .map(|item| match item {
                    Raw::Int(i) => single(*i),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()
                .ok_or_else(allowed)?,
            _ => return Err(allowed()),
        };
        Ok(Self::from_ranges(ranges))
    }

    fn from_ranges(mut ranges: Vec<(u16, u16)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if u32::from(first) <= u32::from(before.1) + 1 => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }

    /// Whether `port` is in the set.
    pub fn contains(&self, port: u16) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= port);
        after.checked_sub(1).and_then(|i| self.ranges.get(i)).is_some_and(|(_, last)| port <= *last)
    }

    /// Whether no port is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The inclusive ranges, sorted, with gaps between them.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.ranges
    }

    /// Every port, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }
}

fn single(port: i128) -> Option<(u16, u16)> {
    u16::try_from(port).ok().filter(|port| *port != 0).map(|port| (port, port))
}

fn range(s: &str) -> Option<(u16, u16)> {
    let port = |s: &str| s.trim().parse::<u16>().ok().filter(|_| !s.trim().starts_with('+'));
    let (first, last) = match s.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(s)?, 0),
    };
    let last = if last == 0 { first } else { last };
    (first != 0 && first <= last).then_some((first, last))
}

/// A glob over the whole path of an executable. `*` also matches `/`; `?` is one character;
/// `[abc]`, `[a-z]`, `[!abc]`, `{a,b}` and `\` as usual.
#[derive(Clone)]
pub struct ExeGlob {
    pattern: String,
    matcher: GlobMatcher,
}

impl ExeGlob {
    fn new(pattern: &str) -> Result<Self, String> {
        let matcher = GlobBuilder::new(&without_double_stars(pattern))
            .literal_separator(false)
            .backslash_escape(true)
            .empty_alternates(true)
            .build()
            .map_err(|e| format!("must be a glob such as */nginx or {{*/a,*/b}}: {}", e.kind()))?
            .compile_matcher();
        Ok(Self { pattern: pattern.to_owned(), matcher })
    }

    /// Whether the executable at `path` is meant.
    pub fn matches(&self, path: impl AsRef<Path>) -> bool {
        self.matcher.is_match(path)
    }

    /// As the user wrote it.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Debug for ExeGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExeGlob").field(&self.pattern).finish()
    }
}

/// `**` means the same as `*` in the contract's dialect, but has a meaning of its own in globset's
/// (`a/**/b` would match `a/b`).
fn without_double_stars(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let (mut escaped, mut in_class) = (false, false);
    for c in pattern.chars() {
        let repeated = c == '*' && out.ends_with('*') && !escaped && !in_class;
        if !repeated || out.ends_with("\\*") {
            out.push(c);
        }
        in_class = if escaped { in_class } else { c == '[' || (in_class && c != ']') };
        escaped = c == '\\' && !escaped;
    }
    out
}
