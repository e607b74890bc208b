//! What is generated out of the table of settings: the effective configuration, the commented
//! default file, the reference page, the JSON Schema.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::document::{self, Content, Node};
use super::key::{Key, Kind};
use super::keys;
use super::layers::{Setting, Settings};
use super::notice::Origin;
use super::render::quoted;
use super::secret::{MASK, Secrets};
use super::value::Value;

/// A part of a dotted path that others stand below, or a leaf.
enum Branch<T> {
    Section(String, Vec<Self>),
    Leaf(String, T),
}

/// Dotted paths as a tree, in their order.
fn tree<T: Copy>(paths: &[(&str, T)]) -> Vec<Branch<T>> {
    let mut out: Vec<Branch<T>> = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for (path, leaf) in paths {
        match path.split_once('.') {
            None => out.push(Branch::Leaf((*path).to_owned(), *leaf)),
            Some((head, _)) if done.contains(&head) => {}
            Some((head, _)) => {
                done.push(head);
                let below: Vec<(&str, T)> = paths
                    .iter()
                    .filter_map(|(p, leaf)| Some((p.strip_prefix(head)?.strip_prefix('.')?, *leaf)))
                    .collect();
                out.push(Branch::Section(head.to_owned(), tree(&below)));
            }
        }
    }
    out
}

/// The effective configuration as a YAML file; what exists only in the environment stands in
/// comments. `origin` says behind each setting where it comes from. Secrets are masked.
pub(super) fn effective(
    settings: &Settings,
    file: &str,
    origin: bool,
    secrets: &Secrets,
) -> String {
    let mut out = String::new();
    // What is old and nobody set would only be complained of.
    let told =
        |s: &&Setting| s.key.in_yaml() && (s.key.instead.is_empty() || s.origin != Origin::Default);
    let in_yaml: Vec<(&str, &Setting)> =
        settings.all().filter(told).map(|s| (s.key.path, s)).collect();
    let note = |setting: &Setting| match (&setting.origin, origin) {
        (_, false) => String::new(),
        (Origin::Default, true) => "  # default".to_owned(),
        (Origin::File(line), true) => format!("  # {file}:{line}"),
        (Origin::Variable(name), true) => format!("  # {name}"),
    };
    for name in &settings.off {
        let _infallible = writeln!(out, "{name}: null");
    }
    write_effective(&mut out, 0, &tree(&in_yaml), &note, secrets);
    for setting in settings.all().filter(|s| !s.key.in_yaml()) {
        let value = if setting.secret { MASK.to_owned() } else { setting.value.shown() };
        let _infallible = writeln!(out, "# {}: {value}{}", setting.key.name(), note(setting));
    }
    out
}

fn write_effective(
    out: &mut String,
    depth: usize,
    branches: &[Branch<&Setting>],
    note: &impl Fn(&Setting) -> String,
    secrets: &Secrets,
) {
    let indent = "  ".repeat(depth);
    for branch in branches {
        let _infallible = match branch {
            Branch::Section(name, below) => {
                let _infallible = writeln!(out, "{indent}{name}:");
                write_effective(out, depth + 1, below, note, secrets);
                Ok(())
            }
            Branch::Leaf(name, setting) => {
                let note = note(setting);
                let mask = |text: String| secrets.mask(text);
                match &setting.value {
                    value if setting.secret && !is_masked_in_parts(value, secrets) => {
                        writeln!(out, "{indent}{name}: '{MASK}'{note}")
                    }
                    Value::Items(items) if !items.is_empty() => {
                        let _infallible = writeln!(out, "{indent}{name}:{note}");
                        items.iter().try_for_each(|item| {
                            writeln!(out, "{indent}  - {}", mask(item.shown()))
                        })
                    }
                    Value::Map(entries) if !entries.is_empty() => {
                        let _infallible = writeln!(out, "{indent}{name}:{note}");
                        entries.iter().try_for_each(|(key, value)| {
                            let entry = mask(format!("{}: {}", quoted(key), value.shown()));
                            writeln!(out, "{indent}  {entry}")
                        })
                    }
                    value => writeln!(out, "{indent}{name}: {}{note}", value.shown()),
                }
            }
        };
    }
}

/// The effective configuration as one line of JSON.
pub(super) fn as_json(yaml: &str) -> Option<String> {
    fn value(node: Node) -> Json {
        match node.content {
            Content::Quoted(text) => Json::from(text),
            Content::Plain(text) => {
                serde_json::from_str(&text).unwrap_or_else(|_| Json::from(text))
            }
            Content::List(items) => Json::Array(items.into_iter().map(value).collect()),
            Content::Map(entries) => {
                Json::Object(entries.into_iter().map(|e| (e.key, value(e.value))).collect())
            }
        }
    }
    let root = document::parse(yaml).ok()??;
    Some(format!("{}\n", value(root)))
}

/// Whether only parts of the value are secret, and can be found in it.
fn is_masked_in_parts(value: &Value, secrets: &Secrets) -> bool {
    let shown = value.shown();
    matches!(value, Value::Items(_) | Value::Map(_)) && secrets.mask(shown.clone()) != shown
}

/// Every setting with what it means, commented out.
pub(super) fn default_file() -> String {
    let keys: Vec<(&str, &Key)> =
        keys::all().filter(|key| key.in_yaml()).map(|key| (key.path, key)).collect();
    let mut out = "## Every setting with its default, commented out: take away the # of what you change, and of\n\
                   ## the sections above it. Each may also be set by the variables that stand with it.\n\
                   ## Written by `obi config defaults`.\n"
        .to_owned();
    write_defaults(&mut out, 0, &tree(&keys));
    out
}

fn write_defaults(out: &mut String, depth: usize, branches: &[Branch<&Key>]) {
    let indent = "  ".repeat(depth);
    for branch in branches {
        let _infallible = match branch {
            Branch::Section(name, below) => {
                let _infallible = writeln!(out, "\n#{indent}{name}:");
                write_defaults(out, depth + 1, below);
                Ok(())
            }
            Branch::Leaf(name, key) => {
                let vars = match key.vars {
                    [] => String::new(),
                    vars => format!(" [{}]", vars.join(", ")),
                };
                let default = if key.default.is_empty() { "" } else { key.default };
                writeln!(
                    out,
                    "\n#{indent}# {}{vars}{}\n#{indent}{name}: {default}",
                    key.doc,
                    state(key)
                )
            }
        };
    }
}

fn state(key: &Key) -> String {
    let mut out = String::new();
    if !key.instead.is_empty() {
        let _infallible = write!(out, " Deprecated: {}.", key.instead);
    }
    if !key.acted {
        out.push_str(" Not acted on yet.");
    }
    if key.live && key.in_yaml() {
        out.push_str(" Changes without a restart.");
    }
    out
}

/// The reference page.
pub(super) fn reference() -> String {
    let mut out = "# Settings\n\nEvery setting, by its YAML key; the variables besides it set it, too, the \
                   first that is set. Defaults stand below the file, the file below the environment. \
                   Written by `obi config reference`.\n"
        .to_owned();
    let mut section = "";
    let (in_yaml, beside): (Vec<&Key>, Vec<&Key>) = keys::all().partition(|key| key.in_yaml());
    for key in in_yaml.into_iter().chain(beside) {
        let own = key.path.split('.').next().unwrap_or_default();
        let own = if key.path.contains('.') { own } else { "the agent" };
        if own != section {
            section = own;
            let title = if own == "environment" { "only in the environment" } else { own };
            let _infallible = write!(
                out,
                "\n## {title}\n\n| key | variables | values | default | meaning |\n| --- | --- | --- | --- | --- |\n"
            );
        }
        write_row(&mut out, key.path, key);
        if let Kind::Items(keys) | Kind::Selectors(keys) = key.kind {
            for below in keys {
                write_row(&mut out, &format!("{}[].{}", key.path, below.path), below);
            }
        }
    }
    out
}

fn write_row(out: &mut String, path: &str, key: &Key) {
    let vars: Vec<String> = key.vars.iter().map(|var| format!("`{var}`")).collect();
    let default = match key.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let path = if key.in_yaml() { format!("`{path}`") } else { String::new() };
    let cells =
        [path, vars.join(" "), values(key.kind), default, format!("{}{}", key.doc, state(key))];
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    let _infallible = writeln!(out, "| {} |", cells.join(" | "));
}

/// What values it takes, in words.
fn values(kind: Kind) -> String {
    let words = |words: &[&str]| {
        let quoted: Vec<String> =
            words.iter().filter(|w| !w.is_empty()).map(|w| format!("`{w}`")).collect();
        quoted.join(", ")
    };
    match kind {
        Kind::Bool => "`true`, `false`".to_owned(),
        Kind::Int(i64::MIN, i64::MAX) => "whole number".to_owned(),
        Kind::Int(min, i64::MAX) => format!("whole number from {min}"),
        Kind::Int(min, max) => format!("whole number, {min} to {max}"),
        Kind::Above(least) => format!("number above {least}"),
        Kind::Duration(1) => "duration above 0".to_owned(),
        Kind::Duration(_) => "duration".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Short(max) => format!("text of at most {max} characters"),
        Kind::Word(list) | Kind::AnyCase(list) => words(list),
        Kind::Such(must, _) => must.to_owned(),
        Kind::Url => "URL".to_owned(),
        Kind::Ip => "IP address".to_owned(),
        Kind::Glob => "glob".to_owned(),
        Kind::Regex => "regular expression".to_owned(),
        Kind::Numbers(_) => "numbers and ranges".to_owned(),
        Kind::Pids => "sequence of numbers".to_owned(),
        Kind::Buckets => "sequence of numbers".to_owned(),
        Kind::List => "sequence".to_owned(),
        Kind::Words(list) | Kind::WordsAnyCase(list) | Kind::Names(list) => {
            format!("sequence of {}", words(list))
        }
        Kind::SomeOf(must, _) => format!("sequence of {must}"),
        Kind::Globs => "sequence of globs".to_owned(),
        Kind::Cidrs => "sequence of networks".to_owned(),
        Kind::Pairs => "`name=value` pairs".to_owned(),
        Kind::Fields(_) => "mapping".to_owned(),
        Kind::Items(_) | Kind::Selectors(_) => "sequence of mappings".to_owned(),
        Kind::Map(inner) => format!("mapping of names to: {}", values(*inner)),
    }
}

/// JSON Schema (draft 2020-12) of the file.
pub(super) fn schema() -> Json {
    let keys: Vec<(&str, &Key)> =
        keys::all().filter(|key| key.in_yaml()).map(|key| (key.path, key)).collect();
    let mut schema = object(&tree(&keys));
    if let Json::Object(top) = &mut schema {
        top.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        top.insert("title".to_owned(), json!("obi"));
    }
    schema
}

fn object(branches: &[Branch<&Key>]) -> Json {
    let mut properties = Map::new();
    for branch in branches {
        match branch {
            Branch::Section(name, below) => properties.insert(name.clone(), object(below)),
            Branch::Leaf(name, key) => properties.insert(name.clone(), leaf(key)),
        };
    }
    json!({"type": ["object", "null"], "properties": properties, "additionalProperties": false})
}

fn leaf(key: &Key) -> Json {
    let mut schema = of_kind(key.kind);
    if let Json::Object(fields) = &mut schema {
        let vars = match key.vars {
            [] => String::new(),
            vars => format!(" [{}]", vars.join(", ")),
        };
        fields.insert("description".to_owned(), json!(format!("{}{vars}{}", key.doc, state(key))));
        if !key.instead.is_empty() {
            fields.insert("deprecated".to_owned(), json!(true));
        }
        if !key.default.is_empty()
            && matches!(key.kind, Kind::Word(_) | Kind::Text | Kind::Duration(_))
        {
            fields.insert("default".to_owned(), json!(key.default.trim_matches('\'')));
        }
    }
    schema
}

fn of_kind(kind: Kind) -> Json {
    let words = |list: &[&str]| json!({"type": ["string", "null"], "enum": list});
    let array = |items: Json| json!({"type": ["array", "null"], "items": items});
    let fields = |keys: &'static [Key]| {
        let keys: Vec<(&str, &Key)> = keys.iter().map(|key| (key.path, key)).collect();
        object(&tree(&keys))
    };
    // A value that is put in by `${NAME}` is text to a schema.
    match kind {
        Kind::Bool => json!({"type": ["boolean", "string", "null"]}),
        Kind::Int(min, max) => {
            let mut schema = json!({"type": ["integer", "string", "null"]});
            if let Json::Object(fields) = &mut schema {
                if min > i64::MIN {
                    fields.insert("minimum".to_owned(), json!(min));
                }
                if max < i64::MAX {
                    fields.insert("maximum".to_owned(), json!(max));
                }
            }
            schema
        }
        Kind::Above(least) => {
            json!({"type": ["number", "string", "null"], "exclusiveMinimum": least})
        }
        Kind::Word(list) if list.contains(&"true") => {
            json!({"enum": [true, false, "true", "false", "autodetect", null]})
        }
        Kind::Word(list) => words(list),
        Kind::Numbers(_) => json!({
            "type": ["integer", "string", "array", "null"],
            "items": {"type": "integer"},
        }),
        Kind::Pids => array(json!({"type": "integer"})),
        Kind::Buckets => array(json!({"type": "number"})),
        Kind::Words(list) => array(json!({"enum": list})),
        Kind::List | Kind::WordsAnyCase(_) | Kind::Names(_) | Kind::SomeOf(..) | Kind::Globs => {
            array(json!({"type": ["string", "number", "boolean"]}))
        }
        Kind::Cidrs => array(json!({"type": ["string", "object"]})),
        Kind::Fields(keys) => fields(keys),
        Kind::Items(keys) | Kind::Selectors(keys) => array(fields(keys)),
        Kind::Map(inner) => {
            json!({"type": ["object", "null"], "additionalProperties": of_kind(*inner)})
        }
        _ => json!({"type": ["string", "number", "boolean", "null"]}),
    }
}
