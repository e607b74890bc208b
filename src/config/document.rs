//! A YAML document as a tree that knows its lines. Values stay the text that was written: what
//! type it has, the key decides.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::secret::MASK;

/// How deep a document may nest. The contract's deepest key has eight levels.
const DEPTH_MAX: usize = 64;
/// Values of a document, those that aliases repeat included.
const NODES_MAX: usize = 100_000;

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Counted from 1; 0 = it stands in no file.
    pub(super) line: usize,
    /// Its bytes in the text, those of an anchor's name or a tag excepted.
    pub(super) span: Range<usize>,
    /// A secret is a part of it, that of what stands below excepted.
    pub(super) secret: bool,
    /// An alias or a merge key put it here: its bytes stand elsewhere.
    pub(super) aliased: bool,
    pub(super) content: Content,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Text in quotes or as a block (`|`, `>`): text whatever it says.
    Quoted(String),
    /// Text without quotes: a number, a truth value or nothing, where the key wants one.
    Plain(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order it was written. No two keys are equal.
    Map(Vec<Entry>),
}

/// A key of a mapping with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Of the key.
    pub(super) line: usize,
    /// Bytes of the key.
    pub(super) span: Range<usize>,
    /// A secret is a part of the key.
    pub(super) secret: bool,
    pub(super) value: Node,
}

impl Entry {
    /// The key, if it may be shown.
    pub(super) fn shown(&self) -> &str {
        if self.secret { MASK } else { &self.key }
    }
}

impl Node {
    /// Something that stands in no file.
    pub(super) fn nowhere(content: Content) -> Self {
        Self { line: 0, span: 0..0, secret: false, aliased: false, content }
    }

    /// Text that stands in no file.
    pub(super) fn quoted(text: impl Into<String>) -> Self {
        Self::nowhere(Content::Quoted(text.into()))
    }

    /// Whether a secret is a part of it, or of what stands below.
    pub(super) fn holds_secret(&self) -> bool {
        self.secret
            || match &self.content {
                Content::List(items) => items.iter().any(Self::holds_secret),
                Content::Map(entries) => entries.iter().any(|e| e.secret || e.value.holds_secret()),
                _ => false,
            }
    }

    /// Marks it, and what stands below, as put here by an alias.
    fn mark_aliased(&mut self) {
        self.aliased = true;
        match &mut self.content {
            Content::List(items) => items.iter_mut().for_each(Self::mark_aliased),
            Content::Map(entries) => entries.iter_mut().for_each(|e| e.value.mark_aliased()),
            _ => {}
        }
    }

    /// Whether it is YAML's null.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Plain(text) if is_null(text))
    }
}

fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null" | "Null" | "NULL")
}

/// Why a text is no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) why: String,
}

/// The first document of `text`, with aliases and merge keys resolved; `None` when it is empty.
///
/// # Errors
/// What is not YAML, two equal keys in a mapping, and what is larger than the bounds.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Malformed> {
    parse_with(text, &[])
}

/// The same, where secrets stand at these bytes.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_with(text: &str, secrets: &[Range<usize>]) -> Result<Option<Node>, Malformed> {
    let mut builder = Builder {
        events: Parser::new_from_str(text),
        places: Places::of(text),
        secrets,
        anchors: HashMap::new(),
        nodes: 0,
        depth: 0,
    };
    loop {
        match builder.next()? {
            Some((Event::StreamStart | Event::Nothing | Event::DocumentStart(_), _)) => {}
            Some((Event::StreamEnd | Event::DocumentEnd, _)) | None => return Ok(None),
            Some((event, span)) => {
                let node = builder.node(event, span)?;
                return Ok((!node.is_null()).then_some(node));
            }
        }
    }
}

/// From lines and columns to bytes.
struct Places<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    /// Line, column and byte that were asked for last: the next ones mostly lie behind.
    last: (usize, usize, usize),
}

impl<'a> Places<'a> {
    fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(i, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(i + 1) != Some(&b'\n'),
            _ => false,
        });
        let lines = [0].into_iter().chain(ends.map(|(i, _)| i + 1)).collect();
        Self { text, lines, last: (0, 0, 0) }
    }

    fn byte(&mut self, at: Marker) -> usize {
        let (line, column) = (at.line(), at.col());
        let Some(start) = line.checked_sub(1).and_then(|line| self.lines.get(line)) else {
            return self.text.len();
        };
        let (from, done) = match self.last {
            (last, columns, byte) if last == line && columns <= column => (byte, columns),
            _ => (*start, 0),
        };
        let rest = self.text.get(from..).unwrap_or_default();
        let within = rest.char_indices().nth(column - done).map_or(rest.len(), |(i, _)| i);
        self.last = (line, column, from + within);
        from + within
    }

    /// Behind the quote that ends what begins with one at `start`; the parser's own span goes on to
    /// the end of a comment.
    fn end_of_quoted(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        let mut bytes = rest.bytes().enumerate().peekable();
        let quote = bytes.next().map(|(_, byte)| byte);
        while let Some((i, byte)) = bytes.next() {
            match byte {
                b'\\' if quote == Some(b'"') => {
                    bytes.next();
                }
                b'\'' if quote == Some(byte) && bytes.peek().is_some_and(|(_, b)| *b == byte) => {
                    bytes.next();
                }
                _ if quote == Some(byte) => return start + i + 1,
                _ => {}
            }
        }
        self.text.len()
    }

    /// Where a collection ends: behind its bracket, or behind the last of its values.
    fn end(&mut self, end: Span, start: usize, last: Option<usize>) -> usize {
        let at = self.byte(end.start);
        let is = |at, brackets: &str| {
            self.text.get(at..).is_some_and(|rest| rest.starts_with(|c| brackets.contains(c)))
        };
        match is(start, "[{") && is(at, "]}") {
            true => at + 1,
            false => last.unwrap_or(at).max(start),
        }
    }

    fn span(&mut self, span: Span) -> Range<usize> {
        let start = self.byte(span.start);
        start..self.byte(span.end).max(start)
    }
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    places: Places<'a>,
    /// Bytes of secrets.
    secrets: &'a [Range<usize>],
    /// Nodes that aliases may name.
    anchors: HashMap<usize, Node>,
    nodes: usize,
    depth: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Malformed> {
        match self.events.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                let line = error.marker().line();
                Err(Malformed { line, why: format!("this is not YAML: {}", error.info()) })
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Malformed> {
        let line = span.start.line();
        self.count(1, line)?;
        let mut span = self.places.span(span);
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
                    span.end = self.places.end_of_quoted(span.start);
                }
                (scalar(text, style, tag), anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(line, &mut span)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(line, &mut span)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, line),
            _ => return Err(Malformed { line, why: "a value is missing".to_owned() }),
        };
        let secret =
            matches!(content, Content::Plain(_) | Content::Quoted(_)) && self.is_secret(&span);
        let node = Node { line, span, secret, aliased: false, content };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<Node, Malformed> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Malformed {
                line,
                why: "this alias stands inside what it names".to_owned(),
            });
        };
        let mut node = node.clone();
        self.count(size(&node), line)?;
        node.mark_aliased();
        Ok(node)
    }

    fn is_secret(&self, span: &Range<usize>) -> bool {
        self.secrets.iter().any(|secret| secret.start < span.end && span.start < secret.end)
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), Malformed> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return Err(Malformed { line, why: format!("more than {NODES_MAX} values") });
        }
        Ok(())
    }

    fn enter(&mut self, line: usize) -> Result<(), Malformed> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Malformed { line, why: format!("nested more than {DEPTH_MAX} deep") });
        }
        Ok(())
    }

    fn list(&mut self, line: usize, all: &mut Range<usize>) -> Result<Content, Malformed> {
        self.enter(line)?;
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                let last = items.last().map(|item: &Node| item.span.end);
                all.end = self.places.end(span, all.start, last);
                break;
            }
            items.push(self.node(event, span)?);
        }
        self.depth -= 1;
        Ok(Content::List(items))
    }

    fn map(&mut self, line: usize, all: &mut Range<usize>) -> Result<Content, Malformed> {
        self.enter(line)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        let mut merged = Vec::new();
        let mut last = None;
        while let Some((event, span)) = self.next()? {
            if event == Event::MappingEnd {
                all.end = self.places.end(span, all.start, last);
                break;
            }
            let key = self.node(event, span)?;
            let Some((event, span)) = self.next()? else { break };
            let behind = self.places.span(span).end;
            let value = self.node(event, span)?;
            last = Some(if value.aliased { behind } else { value.span.end.max(key.span.end) });
            let (Content::Plain(name) | Content::Quoted(name)) = key.content else {
                return Err(Malformed { line: key.line, why: "a key must be text".to_owned() });
            };
            if name == "<<" {
                merged.push(value);
            } else if let Some(first) = lines.insert(name.clone(), key.line) {
                let name = if key.secret { MASK } else { &name };
                let why = format!("{name} stands twice in this mapping, first on line {first}");
                return Err(Malformed { line: key.line, why });
            } else {
                let (line, span, secret) = (key.line, key.span, key.secret);
                entries.push(Entry { key: name, line, span, secret, value });
            }
        }
        for mut value in merged {
            value.mark_aliased();
            merge(&mut entries, &mut lines, value)?;
        }
        self.depth -= 1;
        Ok(Content::Map(entries))
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<Cow<'_, Tag>>) -> Content {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    match style {
        ScalarStyle::Plain if !is_text => Content::Plain(text.into_owned()),
        _ => Content::Quoted(text.into_owned()),
    }
}

/// Puts in the entries that a merge key (`<<`) brings, but for those that are there
/// (<https://yaml.org/type/merge.html>).
fn merge(
    entries: &mut Vec<Entry>,
    lines: &mut HashMap<String, usize>,
    value: Node,
) -> Result<(), Malformed> {
    let line = value.line;
    match value.content {
        Content::Map(others) => {
            for other in others {
                if !lines.contains_key(&other.key) {
                    lines.insert(other.key.clone(), other.line);
                    entries.push(other);
                }
            }
            Ok(())
        }
        Content::List(items) if items.iter().all(|i| matches!(i.content, Content::Map(_))) => {
            items.into_iter().try_for_each(|item| merge(entries, lines, item))
        }
        _ => Err(Malformed { line, why: "<< must name a mapping, or a list of them".to_owned() }),
    }
}

fn size(node: &Node) -> usize {
    match &node.content {
        Content::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Content::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.value)).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `path: text`, as deep as the document goes.
    fn flat(text: &str) -> Vec<String> {
        fn walk(at: &str, node: &Node, out: &mut Vec<String>) {
            match &node.content {
                Content::Quoted(text) => out.push(format!("{}{at} = {text:?}", node.line)),
                Content::Plain(text) => out.push(format!("{}{at} = {text}", node.line)),
                Content::List(items) => {
                    for (i, item) in items.iter().enumerate() {
                        walk(&format!("{at}[{i}]"), item, out);
                    }
                }
                Content::Map(entries) => {
                    for entry in entries {
                        walk(&format!("{at}.{}", entry.key), &entry.value, out);
                    }
                }
            }
        }
        let mut out = Vec::new();
        walk("", &parse(text).unwrap().unwrap(), &mut out);
        out
    }

    fn refused(text: &str) -> String {
        let Malformed { line, why } = parse(text).unwrap_err();
        format!("{line}: {why}")
    }

    #[test]
    fn text_and_lines_are_kept_as_written() {
        let text = "a: 007\nb:\n  - 1.10\n  - \"on\"\nc: {d: yes, e: |\n  x\n}\n";
        let text = text.replace(", e: |\n  x\n}", "}");
        assert_eq!(flat(&text), ["1.a = 007", "3.b[0] = 1.10", "4.b[1] = \"on\"", "5.c.d = yes"]);
        assert_eq!(flat("a: !!str 5\nb: ~\nc:\n"), ["1.a = \"5\"", "2.b = ~", "3.c = ~"]);
    }

    #[test]
    fn bytes_of_keys_and_values_are_known() {
        fn walk(text: &str, node: &Node, out: &mut Vec<String>) {
            match &node.content {
                Content::List(items) => items.iter().for_each(|item| walk(text, item, out)),
                Content::Map(entries) => entries.iter().for_each(|entry| {
                    let value = &entry.value.span;
                    let at = |span: &Range<usize>| text.get(span.clone()).unwrap();
                    out.push(format!("{}={}", at(&entry.span), at(value)));
                    walk(text, &entry.value, out);
                }),
                _ => {}
            }
        }
        let text = "q: 'a ''b' # c\n\"\\\"\" : \"c\\\\\" # d\n# ü\nä: [x, 'y z'] # ü\n\"b\": &a {c: !!str 1}\r\nd: |\n  ü\ne: ü: 1\n";
        let text = text.replace("e: ü: 1", "e: ü");
        let mut out = Vec::new();
        walk(&text, &parse(&text).unwrap().unwrap(), &mut out);
        assert_eq!(out[..2], ["q='a ''b'", "\"\\\"\"=\"c\\\\\""]);
        assert_eq!(out[2..], ["ä=[x, 'y z']", "\"b\"={c: !!str 1}", "c=1", "d=ü\n", "e=ü"]);
    }

    #[test]
    fn aliases_and_merge_keys_are_resolved() {
        let text = "x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: [*x]\n";
        let expected =
            ["1.x.a = 1", "1.x.b = 2", "4.y.b = 3", "1.y.a = 1", "1.z[0].a = 1", "1.z[0].b = 2"];
        assert_eq!(flat(text), expected);
        assert_eq!(refused("a: &a [*a]\n"), "1: this alias stands inside what it names");
        assert_eq!(refused("b:\n  <<: 5\n"), "2: << must name a mapping, or a list of them");
    }

    #[test]
    fn only_the_first_document_counts_and_an_empty_one_is_none() {
        assert_eq!(flat("a: 1\n---\na: 2\n"), ["1.a = 1"]);
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse("# nothing\n"), Ok(None));
        assert_eq!(parse("---\n...\n"), Ok(None));
    }

    #[test]
    fn what_is_too_large_or_said_twice_is_refused() {
        assert_eq!(
            refused("a: 1\nb: 2\na: 3\n"),
            "3: a stands twice in this mapping, first on line 1"
        );
        let deep = format!("a: {}{}", "[".repeat(70), "]".repeat(70));
        assert_eq!(refused(&deep), "1: nested more than 64 deep");
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (last, next) in ["ab", "bc", "cd", "de", "ef", "fg"].map(|s| s.split_at(1)) {
            bomb += &format!("{next}: &{next} [*{last},*{last},*{last},*{last},*{last},*{last}]\n");
        }
        assert!(refused(&bomb).ends_with("more than 100000 values"), "{}", refused(&bomb));
        assert!(refused("a: [1\nb: 2\n").contains("this is not YAML"));
    }
}
