//! The contract's value formats: from what was written to a value of the key's kind, and back.

use std::net::IpAddr;

use super::document::{Content, Node};
use super::glob;
use super::key::{Key, Kind};
use super::numbers;
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
            _ => self.checked(node, scalar(kind, node, self.env)),
        }
    }

    fn checked<T>(&mut self, node: &Node, read: Result<T, String>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(must) => {
                self.wrong(node, must);
                None
            }
        }
    }

    fn wrong(&mut self, node: &Node, must: impl Into<String>) {
        self.remark(node.line, What::Wrong(shown(node), must.into()));
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
    fn elements(&mut self, node: &Node) -> Option<Vec<Node>> {
        match &node.content {
            Content::List(items) => Some(items.clone()),
            Content::Quoted(text) if self.env => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(parts.map(Node::quoted).collect())
            }
            _ if node.is_null() => Some(Vec::new()),
            _ => {
                self.wrong(node, "must be a sequence, such as [a, b]");
                None
            }
        }
    }

    fn each<T>(
        &mut self,
        node: &Node,
        read: impl Fn(&Node, bool) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let items = self.elements(node)?;
        let mut values = Vec::with_capacity(items.len());
        let mut whole = true;
        for (i, item) in items.iter().enumerate() {
            let value = read(item, self.env);
            match self.below(&format!("[{i}]"), |this| this.checked(item, value)) {
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
        for name in &texts {
            let nearest = match kind {
                Kind::Names(names) if !names.contains(&name.as_str()) => {
                    similar(name, names.iter().copied()).map(str::to_owned)
                }
                Kind::SomeOf(must, judge) if !judge(name) => Some(must.to_owned()),
                _ => continue,
            };
            self.remark(node.line, What::NoEffect(name.clone(), nearest));
        }
        Some(Value::List(texts))
    }

    fn cidrs(&mut self, node: &Node) -> Option<Value> {
        let items = self.elements(node)?;
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
                        this.wrong(item, "must have a cidr");
                    }
                    Some((text("cidr"), text("name")))
                }),
                _ => self.below(&format!("[{i}]"), |this| {
                    this.checked(item, cidr(item)).map(|network| (network, String::new()))
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
            self.wrong(node, "must be a mapping");
            return None;
        };
        let mut values = Vec::with_capacity(entries.len());
        for entry in entries {
            let read = |this: &mut Self| this.read(kind, &entry.value);
            let value = self.below(&format!(".{}", entry.key), read)?;
            values.push((entry.key.clone(), value));
        }
        Some(Value::Map(values))
    }

    fn items(&mut self, keys: &'static [Key], node: &Node, strict: bool) -> Option<Value> {
        let items = self.elements(node)?;
        let mut read = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let fields = self.below(&format!("[{i}]"), |this| this.fields(keys, item, strict));
            read.extend(fields);
        }
        (read.len() == items.len()).then_some(Value::Items(read))
    }

    fn fields(&mut self, keys: &'static [Key], node: &Node, strict: bool) -> Option<Fields> {
        let Content::Map(entries) = &node.content else {
            self.wrong(node, "must be a mapping of keys");
            return None;
        };
        let mut fields = Fields { line: node.line, values: Vec::new() };
        let mut whole = true;
        Table::new(keys).walk(entries, &mut |found, line| match found {
            // Not set.
            Found::Setting(_, node) if node.is_null() => {}
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
    let list = words.join(", ");
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
pub(super) fn shown(node: &Node) -> String {
    match &node.content {
        Content::Quoted(text) => format!("{:?}", without_userinfo(text)),
        Content::Plain(text) => without_userinfo(text),
        Content::List(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        Content::Map(_) => "a mapping".to_owned(),
    }
}

/// The text without the `user:password@` of a URL.
pub fn without_userinfo(s: &str) -> String {
    let Some((scheme, rest)) = s.split_once("://") else { return s.to_owned() };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    path.map_or_else(|| format!("{scheme}://{host}"), |p| format!("{scheme}://{host}/{p}"))
}
/// Nanoseconds of a duration in Go's notation: `[-+]?` then `0` or a sequence of decimal numbers,
/// each with a unit (`ns us µs μs ms s m h`). `None` when malformed or beyond 292 years. See
/// <https://pkg.go.dev/time#ParseDuration>.
pub(super) fn go_duration_ns(s: &str) -> Option<i64> {
    let (negative, mut rest) = match s.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, s.strip_prefix('+').unwrap_or(s)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    loop {
        let (whole, after) = digits(rest)?;
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after)?,
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit_ns, after) = unit(after)?;
        total = total.checked_add(scaled(whole, fraction, unit_ns)?)?;
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// Splits leading digits off; the result may be empty.
fn digits(s: &str) -> Option<(&str, &str)> {
    s.split_at_checked(s.bytes().take_while(u8::is_ascii_digit).count())
}

fn unit(s: &str) -> Option<(i128, &str)> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("\u{b5}s", 1_000),
        ("\u{3bc}s", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    UNITS.iter().find_map(|(name, ns)| s.strip_prefix(name).map(|rest| (*ns, rest)))
}

/// `whole.fraction` of `unit_ns`; digits of the fraction beyond a nanosecond are cut.
fn scaled(whole: &str, fraction: &str, unit_ns: i128) -> Option<i128> {
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut ns = whole.checked_mul(unit_ns)?;
    let (mut numerator, mut denominator): (i128, i128) = (0, 1);
    for digit in fraction.bytes().take(18) {
        numerator = numerator * 10 + i128::from(digit - b'0');
        denominator *= 10;
    }
    ns = ns.checked_add(numerator * unit_ns / denominator)?;
    Some(ns)
}

/// A duration as Go writes it (`1m30s`, `1.5s`, `300ms`, `0s`), without loss.
pub(super) fn go_duration(ns: i64) -> String {
    let mut out = if ns < 0 { "-".to_owned() } else { String::new() };
    let ns = ns.unsigned_abs();
    let fraction = |value: u64, unit: u64, name: &str| {
        let (whole, rest) = (value / unit, value % unit);
        let digits = unit.ilog10() as usize;
        let text = format!("{whole}.{rest:0digits$}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        format!("{text}{name}")
    };
    match ns {
        0 => out.push_str("0s"),
        1..1_000 => out.push_str(&format!("{ns}ns")),
        1_000..1_000_000 => out.push_str(&fraction(ns, 1_000, "us")),
        1_000_000..1_000_000_000 => out.push_str(&fraction(ns, 1_000_000, "ms")),
        _ => {
            let seconds = ns / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            if hours > 0 {
                out.push_str(&format!("{hours}h"));
            }
            if minutes > 0 {
                out.push_str(&format!("{minutes}m"));
            }
            let rest = ns - (hours * 3600 + minutes * 60) * 1_000_000_000;
            if rest > 0 {
                out.push_str(&fraction(rest, 1_000_000_000, "s"));
            }
        }
    }
    out
}
