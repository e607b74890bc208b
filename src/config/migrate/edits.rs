//! Changes of a document's text by spans: what is not changed stays as it was written.

use std::ops::Range;

use super::super::document::{Content, Entry, Node};

/// A document, and what becomes of it.
#[derive(Debug)]
pub(super) struct Edits<'a> {
    text: &'a str,
    root: &'a Node,
    /// Where placeholders stand.
    placeholders: &'a [Range<usize>],
    edits: Vec<(Range<usize>, String)>,
    /// What was done, and what cannot be: lines with sentences.
    pub(super) done: Vec<(usize, String)>,
    pub(super) left: Vec<(usize, String)>,
}

impl<'a> Edits<'a> {
    pub(super) fn of(text: &'a str, root: &'a Node, placeholders: &'a [Range<usize>]) -> Self {
        Self { text, root, placeholders, edits: Vec::new(), done: Vec::new(), left: Vec::new() }
    }

    /// The entry at `path`, and the mapping that it stands in.
    pub(super) fn find(&self, path: &str) -> Option<(&'a Node, &'a Entry)> {
        let mut map = self.root;
        let mut found = None;
        for name in path.split('.') {
            let Content::Map(entries) = &map.content else { return None };
            let entry = entries.iter().find(|entry| entry.key == name)?;
            found = Some((map, entry));
            map = &entry.value;
        }
        found
    }

    /// Whether the entry stands where it is found, and nowhere else, and holds no placeholder.
    pub(super) fn is_plain(&self, map: &Node, entry: &Entry) -> bool {
        let span = entry.span.start..entry.value.span.end.max(entry.span.end);
        let inside = |place: &Range<usize>| place.start < span.end && span.start < place.end;
        self.is_alone(map, entry) && !self.placeholders.iter().any(inside)
    }

    /// Whether the entry stands where it is found, and nowhere else.
    pub(super) fn is_alone(&self, map: &Node, entry: &Entry) -> bool {
        let span = entry.span.start..entry.value.span.end.max(entry.span.end);
        let is_anchored = self.written(&span).contains('&');
        !map.aliased && !entry.value.aliased && !is_anchored
    }

    /// Gives the key another name.
    pub(super) fn rename(&mut self, entry: &Entry, name: &str) {
        self.edits.push((entry.span.clone(), name.to_owned()));
    }

    /// Writes something else at these bytes.
    pub(super) fn replace(&mut self, span: Range<usize>, text: impl Into<String>) {
        self.edits.push((span, text.into()));
    }

    /// What stands at these bytes.
    pub(super) fn written(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Takes the entry away, with its lines where it has lines of its own.
    pub(super) fn remove(&mut self, map: &Node, entry: &Entry) {
        let span = match self.is_flow(map) {
            true => self.in_flow(map, entry),
            false => self.line_start(entry.span.start)..self.line_end(end_of(entry)),
        };
        self.edits.push((span, String::new()));
    }

    /// Puts `line` into the mapping at the top-level key `section`, which is made where it is not.
    pub(super) fn insert(&mut self, section: &str, line: &str) {
        let flow = format!("{section}: {{{line}}}");
        let Some((_, entry)) = self.find(section) else {
            let at = self.root.span.end;
            return match self.is_flow(self.root) {
                true => self.replace(at - 1..at - 1, format!(", {flow}")),
                false => {
                    let at = self.line_end(at);
                    let lead = if self.text.get(..at).is_some_and(|t| t.ends_with('\n')) {
                        ""
                    } else {
                        "\n"
                    };
                    self.replace(at..at, format!("{lead}{section}:\n  {line}\n"));
                }
            };
        };
        match &entry.value.content {
            Content::Map(entries) if !self.is_flow(&entry.value) => {
                let first = entries.first().map_or(entry.span.end, |first| first.span.start);
                let start = self.line_start(first);
                let indent = self.written(&(start..first)).to_owned();
                self.replace(start..start, format!("{indent}{line}\n"));
            }
            Content::Map(entries) => {
                let at = entry.value.span.start + 1;
                let comma = if entries.is_empty() { "" } else { ", " };
                self.replace(at..at, format!("{line}{comma}"));
            }
            _ => {
                let colon = self.written(&(entry.span.end..self.text.len())).find(':');
                let at = entry.span.end + colon.map_or(0, |i| i + 1);
                self.replace(at..at, format!("\n  {line}"));
            }
        }
    }

    fn is_flow(&self, node: &Node) -> bool {
        self.written(&node.span).starts_with(['{', '['])
    }

    fn in_flow(&self, map: &Node, entry: &Entry) -> Range<usize> {
        let Content::Map(entries) = &map.content else { return 0..0 };
        let at = entries.iter().position(|other| other.span == entry.span).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|i| entries.get(i));
        match (entries.get(at + 1), before) {
            (Some(next), _) => entry.span.start..next.span.start,
            (None, Some(before)) => end_of(before)..end_of(entry),
            (None, None) => entry.span.start..end_of(entry),
        }
    }

    fn line_start(&self, at: usize) -> usize {
        self.written(&(0..at)).rfind('\n').map_or(0, |i| i + 1)
    }

    /// Behind the line feed that ends the line of the byte before `at`.
    fn line_end(&self, at: usize) -> usize {
        let from = at.saturating_sub(1);
        let rest = self.text.get(from..).unwrap_or_default();
        rest.find('\n').map_or(self.text.len(), |i| from + i + 1)
    }

    /// The text as it is now.
    pub(super) fn apply(&self) -> String {
        let mut edits: Vec<_> = self.edits.iter().collect();
        edits.sort_by_key(|(span, _)| (span.start, span.end));
        let mut out = String::with_capacity(self.text.len());
        let mut at = 0;
        for (span, text) in edits {
            // What lies within something that was taken away is gone with it.
            if span.start >= at {
                out.push_str(self.written(&(at..span.start)));
                out.push_str(text);
            }
            at = at.max(span.end);
        }
        out.push_str(self.written(&(at..self.text.len())));
        out
    }
}

/// Where the entry ends.
fn end_of(entry: &Entry) -> usize {
    match entry.value.is_null() && entry.value.span.is_empty() {
        // A colon belongs to it.
        true => entry.span.end + 1,
        false => entry.value.span.end.max(entry.span.end),
    }
}
