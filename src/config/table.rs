//! Finds the settings of a table in a document.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::document::{Content, Entry, Node};
use super::key::Key;

/// Unknown keys of a document of which it is guessed what was meant: who has more of them has no
/// typing errors, but another kind of file.
const GUESSES: usize = 100;

/// Settings by path.
#[derive(Debug)]
pub(super) struct Table {
    keys: BTreeMap<&'static str, &'static Key>,
}

/// Something that stands in a document.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A setting.
    Setting(&'static Key, &'a Node),
    /// A section (its path) without anything in it: a null.
    Empty(String),
    /// A section that is no mapping.
    NoMapping(String),
    /// A key that the table does not have, and the nearest one that it has.
    Unknown(String, Option<String>),
}

impl Table {
    pub(super) fn new(keys: impl IntoIterator<Item = &'static Key>) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.path, key)).collect() }
    }

    /// Calls `found` with everything that the mapping `entries` holds, and the line of its key.
    pub(super) fn walk<'a>(&self, entries: &'a [Entry], found: &mut impl FnMut(Found<'a>, usize)) {
        let mut guesses = GUESSES;
        self.walk_section("", entries, &mut guesses, found);
    }

    fn walk_section<'a>(
        &self,
        section: &str,
        entries: &'a [Entry],
        guesses: &mut usize,
        found: &mut impl FnMut(Found<'a>, usize),
    ) {
        for entry @ Entry { key, line, value, .. } in entries {
            let path = join(section, key);
            let unknown = |nearest: Option<String>| match entry.secret {
                true => Found::Unknown(join(section, entry.shown()), None),
                false => Found::Unknown(path.clone(), nearest),
            };
            // A dot in a key makes no path: no key of the contract has one.
            if key.contains('.') {
                found(unknown(self.dotted(section, key)), *line);
            } else if let Some(setting) = self.keys.get(path.as_str()) {
                found(Found::Setting(setting, value), *line);
            } else if !self.has_section(&path) {
                let nearest = guesses.checked_sub(1).and_then(|left| {
                    *guesses = left;
                    self.nearest(section, key)
                });
                found(unknown(nearest), *line);
            } else if let Content::Map(entries) = &value.content {
                self.walk_section(&path, entries, guesses, found);
            } else if value.is_null() {
                found(Found::Empty(path), *line);
            } else {
                found(Found::NoMapping(path), *line);
            }
        }
    }

    fn has_section(&self, path: &str) -> bool {
        let below = format!("{path}.");
        let from = (Bound::Included(below.as_str()), Bound::Unbounded);
        self.keys.range::<str, _>(from).next().is_some_and(|(key, _)| key.starts_with(&below))
    }

    /// The key that was probably meant by `key` in `section`: one of the same section with a
    /// similar name, else one of that very name in another.
    fn nearest(&self, section: &str, key: &str) -> Option<String> {
        let siblings = self.keys.keys().filter_map(|path| {
            let rest = if section.is_empty() {
                path
            } else {
                path.strip_prefix(section)?.strip_prefix('.')?
            };
            rest.split('.').next()
        });
        let similar = similar(key, siblings).map(|name| join(section, name));
        similar.or_else(|| {
            let suffix = format!(".{key}");
            let same = |path: &&&str| path.ends_with(&suffix) || **path == key;
            self.keys.keys().find(same).map(|path| (*path).to_owned())
        })
    }

    /// What stands for a key that was written with dots.
    fn dotted(&self, section: &str, key: &str) -> Option<String> {
        let path = join(section, key);
        self.keys.contains_key(path.as_str()).then(|| path.replace('.', ": {") + ": …")
    }
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// The name that differs least from `name`, where that is not much.
pub(super) fn similar<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let bare = |name: &str| name.to_lowercase().replace(['-', '_'], "");
    let wanted = bare(name);
    names
        .map(|other| (strsim::damerau_levenshtein(&wanted, &bare(other)), other))
        .filter(|(distance, _)| *distance <= 1 + wanted.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}
