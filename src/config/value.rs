//! The contract's value formats: from what was written to a value of the key's kind, and back.

use std::net::IpAddr;

use super::document::{Content, Node};
use super::duration::{go_duration, go_duration_ns};
use super::glob;
use super::key::{Key, Kind};
use super::numbers;
use super::secret::MASK;
use super::table::{Found, Table, similar};
use crate::model::selector::Numbers;

/// A setting's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Nanoseconds.
    Duration(i64),
    Numbers(Numbers),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    List(Vec<String>),
    /// Network, and its name or an empty text.
    Cidrs(Vec<(String, String)>),
    Fields(Fields),
    Items(Vec<Fields>),
    Map(Vec<(String, Self)>),
}

/// What a mapping with keys of its own sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    /// Of the file, counted from 1.
    pub(super) line: usize,
    pub(super) values: Vec<(&'static str, Value)>,
}

impl PartialEq for Fields {
    /// Where it stands makes no difference.
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl Fields {
    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        self.values.iter().find(|(name, _)| *name == path).map(|(_, value)| value)
    }
}

/// What is to be said of a value, where in the file it stands, and of what below the setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) line: usize,
    /// Path below the setting (`[2].exe_path`); empty = the setting itself.
    pub(super) below: String,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The value as written, where it may be shown, and what it must be.
    Wrong(String, String),
    /// A key that is not known there, and the nearest that is.
    UnknownKey(Option<String>),
    /// The same, where it makes the configuration invalid.
    NoSuchKey(Option<String>),
    /// A word in a list that has no effect, and the nearest that has.
    NoEffect(String, Option<String>),
    /// A fraction where a whole number belongs, and what is used.
    CutOff(String, String),
    /// A criterion without a text.
    NoCriterion,
}

/// Reads values of one setting and collects what is to be said of them.
#[derive(Debug)]
pub(super) struct Reader {
    /// The value comes from a variable.
    env: bool,
    /// It is a default: its patterns are right, which a test sees.
    trusted: bool,
    /// Where it stands below the setting.
    below: String,
    pub(super) remarks: Vec<Remark>,
}

impl Reader {
    pub(super) fn new(env: bool) -> Self {
        Self { env, trusted: false, below: String::new(), remarks: Vec::new() }
    }

    pub(super) fn of_default() -> Self {
        Self { trusted: true, ..Self::new(false) }
    }

    /// The value of `node` as `kind` has it; `None` when it is wrong, which is remarked.
    pub(super) fn read(&mut self, kind: Kind, node: &Node) -> Option<Value> {
        match kind {
            Kind::Glob | Kind::Regex if self.trusted => self.read(Kind::Text, node),
            Kind::Fields(keys) => self.fields(keys, node, false).map(Value::Fields),
            Kind::Items(keys) => self.items(keys, node, false),
            Kind::Selectors(keys) => self.items(keys, node, true),
            Kind::Map(kind) => self.map(*kind, node),
            Kind::Cidrs => self.cidrs(node),
            Kind::List
            | Kind::Words(_)
            | Kind::WordsAnyCase(_)
            | Kind::Names(_)
            | Kind::SomeOf(..)
            | Kind::Globs => self.list(kind, node),
            Kind::Pids => {
                self.each(node, |node, env| int(node, env, 0, i64::from(u32::MAX))).map(Value::Ints)
            }
            Kind::Buckets => self.each(node, number).map(Value::Floats),
            Kind::Int(min, max) if !self.env => self.yaml_int(node, min, max).map(Value::Int),
            _ => self.checked(kind, node, scalar(kind, node, self.env)),
        }
    }

    fn checked<T>(&mut self, kind: Kind, node: &Node, read: Result<T, String>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(must) => {
                self.wrong(kind, node, must);
                None
            }
        }
    }

    fn wrong(&mut self, kind: Kind, node: &Node, must: impl Into<String>) {
        self.remark(node.line, What::Wrong(shown(kind, node), must.into()));
    }

    /// A whole number. The fraction of one that has it is cut off, and that is remarked.
    fn yaml_int(&mut self, node: &Node, min: i64, max: i64) -> Option<i64> {
        let read = int(node, false, min, max);
        let whole = match &node.content {
            Content::Plain(text) if read.is_err() => whole_part(text),
            _ => None,
        };
        match whole.filter(|n| (min..=max).contains(n)) {
            Some(n) => {
                let said = if node.secret { MASK.to_owned() } else { n.to_string() };
                self.remark(node.line, What::CutOff(shown(Kind::Text, node), said));
                Some(n)
            }
            None => self.checked(Kind::Int(min, max), node, read),
        }
    }

    fn remark(&mut self, line: usize, what: What) {
        self.remarks.push(Remark { line, below: self.below.clone(), what });
    }

    /// Reads something that stands at `step` below.
    fn below<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.below.len();
        self.below.push_str(step);
        let value = read(self);
        self.below.truncate(length);
        value
    }

    /// The elements of a sequence, or of a variable's comma list.
    fn elements(&mut self, kind: Kind, node: &Node) -> Option<Vec<Node>> {
        match &node.content {
            Content::List(items) => Some(items.clone()),
            Content::Quoted(text) if self.env => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                let secret = node.secret;
                Some(parts.map(|part| Node { secret, ..Node::quoted(part) }).collect())
            }
            _ if node.is_null() => Some(Vec::new()),
            _ => {
                self.wrong(kind, node, "must be a sequence, such as [a, b]");
                None
            }
        }
    }

    fn each<T>(
        &mut self,
        node: &Node,
        read: impl Fn(&Node, bool) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let items = self.elements(Kind::List, node)?;
        let mut values = Vec::with_capacity(items.len());
        let mut whole = true;
        for (i, item) in items.iter().enumerate() {
            let value = read(item, self.env);
            match self.below(&format!("[{i}]"), |this| this.checked(Kind::List, item, value)) {
                Some(value) => values.push(value),
                None => whole = false,
            }
        }
        whole.then_some(values)
    }

    fn list(&mut self, kind: Kind, node: &Node) -> Option<Value> {
        let texts = self.each(node, |item, _| match kind {
            Kind::Words(words) => word(item, words, str::eq),
            Kind::WordsAnyCase(words) => word(item, words, str::eq_ignore_ascii_case),
            Kind::Globs => glob_text(item),
            _ => text(item),
        })?;
        let hidden = |i: usize| match &node.content {
            Content::List(items) => items.get(i).is_some_and(|item| item.secret),
            _ => node.secret,
        };
        for (i, name) in texts.iter().enumerate() {
            let nearest = match kind {
                Kind::Names(names) if !names.contains(&name.as_str()) => {
                    similar(name, names.iter().copied()).map(str::to_owned)
                }
                Kind::SomeOf(must, judge) if !judge(name) => Some(must.to_owned()),
                _ => continue,
            };
            let name = if hidden(i) { MASK.to_owned() } else { name.clone() };
            self.remark(node.line, What::NoEffect(name, nearest));
        }
        Some(Value::List(texts))
    }

    fn cidrs(&mut self, node: &Node) -> Option<Value> {
        let items = self.elements(Kind::Cidrs, node)?;
        let mut networks = Vec::with_capacity(items.len());
        let mut whole = true;
        for (i, item) in items.iter().enumerate() {
            let network = match &item.content {
                Content::Map(_) => self.below(&format!("[{i}]"), |this| {
                    let fields = this.fields(CIDR, item, false)?;
                    let text = |name| match fields.get(name) {
                        Some(Value::Text(text)) => text.clone(),
                        _ => String::new(),
                    };
                    if fields.get("cidr").is_none() {
                        this.wrong(Kind::Cidrs, item, "must have a cidr");
                    }
                    Some((text("cidr"), text("name")))
                }),
                _ => self.below(&format!("[{i}]"), |this| {
                    this.checked(Kind::Cidrs, item, cidr(item))
                        .map(|network| (network, String::new()))
                }),
            };
            whole &= network.is_some();
            networks.extend(network);
        }
        whole.then_some(Value::Cidrs(networks))
    }

    fn map(&mut self, kind: Kind, node: &Node) -> Option<Value> {
        let Content::Map(entries) = &node.content else {
            if node.is_null() {
                return Some(Value::Map(Vec::new()));
            }
            self.wrong(Kind::Text, node, "must be a mapping");
            return None;
        };
        let mut values = Vec::with_capacity(entries.len());
        for entry in entries {
            let read = |this: &mut Self| this.read(kind, &entry.value);
            let value = self.below(&format!(".{}", entry.shown()), read)?;
            values.push((entry.key.clone(), value));
        }
        Some(Value::Map(values))
    }

    fn items(&mut self, keys: &'static [Key], node: &Node, strict: bool) -> Option<Value> {
        let items = self.elements(Kind::Items(keys), node)?;
        let mut read = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let fields = self.below(&format!("[{i}]"), |this| this.fields(keys, item, strict));
            read.extend(fields);
        }
        (read.len() == items.len()).then_some(Value::Items(read))
    }

    fn fields(&mut self, keys: &'static [Key], node: &Node, strict: bool) -> Option<Fields> {
        let Content::Map(entries) = &node.content else {
            self.wrong(Kind::Text, node, "must be a mapping of keys");
            return None;
        };
        let mut fields = Fields { line: node.line, values: Vec::new() };
        let mut whole = true;
        Table::new(keys).walk(entries, &mut |found, line| match found {
            // Not set.
            Found::Setting(key, node) if node.is_null() => {
                if strict && matches!(key.kind, Kind::Glob | Kind::Regex) {
                    self.below(&format!(".{}", key.path), |this| {
                        this.remark(line, What::NoCriterion);
                    });
                }
            }
            Found::Setting(key, node) => {
                let step = format!(".{}", key.path);
                match self.below(&step, |this| this.read(key.kind, node)) {
                    Some(value) => fields.values.push((key.path, value)),
                    None => whole = false,
                }
            }
            Found::Empty(_) => {}
            Found::NoMapping(path) => {
                whole = false;
                let what = What::Wrong(String::new(), "must be a mapping of keys".to_owned());
                self.below(&format!(".{path}"), |this| this.remark(line, what));
            }
            Found::Unknown(path, nearest) => {
                whole &= !strict;
                let what = match strict {
                    true => What::NoSuchKey(nearest),
                    false => What::UnknownKey(nearest),
                };
                self.below(&format!(".{path}"), |this| this.remark(line, what));
            }
        });
        whole.then_some(fields)
    }
}

/// A network with a name.
const CIDR: &[Key] = &[
    Key::new("cidr", Kind::Such("a network such as 10.0.0.0/8", is_cidr), "", "The network."),
    Key::new("name", Kind::Text, "", "What it is called."),
];

fn scalar(kind: Kind, node: &Node, env: bool) -> Result<Value, String> {
    Ok(match kind {
        Kind::Bool => Value::Bool(boolean(node, env)?),
        Kind::Int(min, max) => Value::Int(int(node, env, min, max)?),
        Kind::Above(least) => match number(node, env)? {
            n if n > least => Value::Float(n),
            _ => return Err(format!("must be a number above {least}")),
        },
        Kind::Duration(least) => Value::Duration(duration(node, env, least)?),
        Kind::Word(words) => Value::Text(word(node, words, str::eq)?),
        Kind::AnyCase(words) => Value::Text(word(node, words, str::eq_ignore_ascii_case)?),
        Kind::Short(max) => match text(node)? {
            text if text.chars().count() <= max => Value::Text(text),
            _ => return Err(format!("must be at most {max} characters long")),
        },
        Kind::Such(must, judge) => Value::Text(such(node, must, judge)?),
        Kind::Url => Value::Text(such(node, URL, is_url)?),
        Kind::Ip => {
            let is_ip = |text: &str| text.is_empty() || text.parse::<IpAddr>().is_ok();
            Value::Text(such(node, "an IP address", is_ip)?)
        }
        Kind::Glob => Value::Text(glob_text(node)?),
        Kind::Regex => {
            let pattern = text(node)?;
            glob::regex(&pattern)?;
            Value::Text(pattern)
        }
        Kind::Numbers(max) => Value::Numbers(numbers::read(node, max)?),
        Kind::Pairs => match text(node)? {
            list if list.split(',').all(|pair| pair.trim().is_empty() || pair.contains('=')) => {
                Value::Text(list)
            }
            _ => return Err("must be name=value pairs, separated by commas".to_owned()),
        },
        _ => Value::Text(text(node)?),
    })
}

/// Text. A number or a truth value without quotes is the text that was written.
fn text(node: &Node) -> Result<String, String> {
    match &node.content {
        _ if node.is_null() => Ok(String::new()),
        Content::Quoted(text) | Content::Plain(text) => Ok(text.clone()),
        Content::List(_) | Content::Map(_) => Err("must be text".to_owned()),
    }
}

fn such(node: &Node, must: &str, judge: impl Fn(&str) -> bool) -> Result<String, String> {
    text(node).ok().filter(|text| judge(text)).ok_or_else(|| format!("must be {must}"))
}

/// One of `words`, as they spell it.
fn word(node: &Node, words: &[&str], same: fn(&str, &str) -> bool) -> Result<String, String> {
    let wanted = text(node)?;
    if let Some(word) = words.iter().find(|word| same(word, &wanted)) {
        return Ok((*word).to_owned());
    }
    let list: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
    let list = list.join(", ");
    Err(match similar(&wanted, words.iter().copied()) {
        Some(nearest) => format!("must be one of {list}; did you mean {nearest}?"),
        None => format!("must be one of {list}"),
    })
}

fn glob_text(node: &Node) -> Result<String, String> {
    let pattern = text(node)?;
    glob::glob(&pattern)?;
    Ok(pattern)
}

/// A truth value: in YAML also the words of YAML 1.1, in a variable what Go's `ParseBool` takes.
fn boolean(node: &Node, env: bool) -> Result<bool, String> {
    let text = text(node).unwrap_or_default();
    let (yes, no): (&[&str], &[&str]) = match env {
        true => {
            (&["1", "t", "T", "TRUE", "true", "True"], &["0", "f", "F", "FALSE", "false", "False"])
        }
        false => (
            &["true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"],
            &["false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"],
        ),
    };
    match text.as_str() {
        text if yes.contains(&text) => Ok(true),
        text if no.contains(&text) => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A whole number: in YAML decimal, hexadecimal, octal or binary, with `_` between digits.
fn int(node: &Node, env: bool, min: i64, max: i64) -> Result<i64, String> {
    let must = || match (min, max) {
        (0, i64::MAX) => "must be a whole number, 0 or more".to_owned(),
        (1, i64::MAX) => "must be a whole number above 0".to_owned(),
        (i64::MIN, i64::MAX) => "must be a whole number".to_owned(),
        (min, i64::MAX) => format!("must be a whole number, {min} or more"),
        (min, max) => format!("must be a whole number from {min} to {max}"),
    };
    let text = text(node).unwrap_or_default();
    let parsed = if env { text.parse().ok() } else { yaml_int(&text) };
    parsed.filter(|n| (min..=max).contains(n)).ok_or_else(must)
}

fn yaml_int(text: &str) -> Option<i64> {
    let digits = text.replace('_', "");
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let of = |prefix: [&str; 2], radix| {
        let rest = digits.strip_prefix(prefix[0]).or_else(|| digits.strip_prefix(prefix[1]))?;
        Some(i64::from_str_radix(rest, radix).ok())
    };
    let octal = || (digits.len() > 1).then(|| of(["0", "0"], 8)).flatten();
    let magnitude = of(["0x", "0X"], 16)
        .or_else(|| of(["0o", "0O"], 8))
        .or_else(|| of(["0b", "0B"], 2))
        .or_else(octal)
        .unwrap_or_else(|| digits.parse().ok())?;
    Some(if negative { -magnitude } else { magnitude })
}

fn number(node: &Node, _env: bool) -> Result<f64, String> {
    let text = text(node).unwrap_or_default().replace('_', "");
    let parsed = text.parse::<f64>().ok().filter(|n| n.is_finite());
    parsed.ok_or_else(|| "must be a number".to_owned())
}

/// What stands before the point of a number that has one.
fn whole_part(text: &str) -> Option<i64> {
    let number: f64 = text.contains('.').then(|| text.replace('_', "").parse().ok())??;
    // Of greater numbers not every digit is known.
    let exact = number.is_finite() && number.abs() < 9_007_199_254_740_992.0;
    exact.then(|| format!("{:.0}", number.trunc()).parse().ok())?
}

/// Nanoseconds. A bare `0` is only accepted in the environment.
fn duration(node: &Node, env: bool, least: i64) -> Result<i64, String> {
    let must = match least {
        i64::MIN => "must be a duration with a unit, such as 300ms, 5s or 1m30s".to_owned(),
        0 => "must be a duration with a unit, 0s or more, such as 300ms, 5s or 1m30s".to_owned(),
        1 => "must be a duration with a unit, above 0s, such as 300ms, 5s or 1m30s".to_owned(),
        least => format!("must be a duration with a unit, of {} or more", go_duration(least)),
    };
    let text = text(node).unwrap_or_default();
    let bare = text == "0" && !env;
    let ns = if bare { None } else { go_duration_ns(&text) };
    ns.filter(|ns| *ns >= least).ok_or(must)
}

const URL: &str = "a URL with scheme and host, such as http://localhost:4318, https://host:4317 or \
                   unix:///path";

/// Empty = not set.
fn is_url(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    // Of sun_path, with the NUL that ends a path.
    match text.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => path.len() <= 107,
        Some(name) => name.strip_prefix('@').is_some_and(|name| (1..=107).contains(&name.len())),
        None => text.parse::<http::Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(is_complete)
        }),
    }
}

/// Whether there is a host, and a port between 1 and 65535 if a port is written.
fn is_complete(authority: &http::uri::Authority) -> bool {
    let after_host = authority.as_str().rsplit_once(authority.host()).map_or("", |(_, rest)| rest);
    let port_is_right = after_host.is_empty() || authority.port_u16().is_some_and(|p| p != 0);
    !authority.host().is_empty() && port_is_right
}

fn cidr(node: &Node) -> Result<String, String> {
    such(node, "a network such as 10.0.0.0/8", is_cidr)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most && !text.contains('+'))
}

/// What was written, as an error message shows it.
fn shown(kind: Kind, node: &Node) -> String {
    match &node.content {
        _ if node.secret => MASK.to_owned(),
        Content::Quoted(text) => format!("{:?}", may_be_shown(kind, text)),
        Content::Plain(text) => may_be_shown(kind, text),
        Content::List(items) => {
            let items: Vec<String> = items.iter().map(|item| shown(kind, item)).collect();
            format!("[{}]", items.join(", "))
        }
        Content::Map(_) => "a mapping".to_owned(),
    }
}

/// What is meant to be a URL may be none, and have a user all the same.
fn may_be_shown(kind: Kind, text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) if matches!(kind, Kind::Url) && !text.contains("://") => host.to_owned(),
        _ => without_userinfo(text),
    }
}

/// The text without the `user:password@` of a URL: without everything before its last `@`, for a
/// password may hold anything.
pub fn without_userinfo(s: &str) -> String {
    let at = |(scheme, rest): (&str, &str)| {
        // `unix://@name` is a socket's name.
        let rest = if scheme == "unix" { "" } else { rest };
        let (_, host) = rest.rsplit_once('@')?;
        Some(format!("{scheme}://{host}"))
    };
    s.split_once("://").and_then(at).unwrap_or_else(|| s.to_owned())
}
