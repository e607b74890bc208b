//! Defaults below the file below the environment, leaf by leaf. Each layer's values are read by
//! their keys, so that a mistake is told even where another layer's word counts; which one does,
//! figment decides, for which a value is its number.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use figment::value::{Dict, Map, Value as Leaf};
use figment::{Figment, Metadata, Profile, Provider};

use super::document::{self, Content, Entry, Node};
use super::env::Environment;
use super::key::{Expand, Key, Kind};
use super::keys::{self, SWITCHED_OFF_BY_NULL};
use super::notice::{Notice, Origin, Problem};
use super::secret::{Replaced, Secrets, is_secret_name};
use super::table::{Found, Table};
use super::value::{Reader, Value};

/// A setting, or an entry of one that is a mapping, as a layer has it; `None` = it is wrong.
#[derive(Clone, Debug)]
struct Written {
    value: Option<Value>,
    origin: Origin,
    secret: bool,
}

/// A setting's value, and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) key: &'static Key,
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// Its value, or a part of it, is not to be shown.
    pub(super) secret: bool,
}

/// Every setting that has a value, in the order of the reference page.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    by_path: BTreeMap<&'static str, Setting>,
    /// Sections that are switched off.
    pub(super) off: Vec<&'static str>,
}

/// What there is to say of the layers.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<Notice>,
    /// What must not be found in them.
    pub(super) secrets: Secrets,
}

/// Settings that have a YAML key.
static IN_YAML: LazyLock<Table> =
    LazyLock::new(|| Table::new(keys::all().filter(|key| key.in_yaml())));

/// The lowest layer, which is always the same.
static DEFAULTS: LazyLock<(Figment, Vec<Written>)> = LazyLock::new(|| {
    let mut remarks = Remarks::default();
    let mut layers = Layers { figment: Figment::new(), written: Vec::new(), remarks: &mut remarks };
    layers.add_defaults();
    (layers.figment, layers.written)
});

/// Reads every setting out of `file` (the entries of its document) and `env`.
pub(super) fn settle(file: &[Entry], env: &Environment, remarks: &mut Remarks) -> Settings {
    let (figment, written) = DEFAULTS.clone();
    let mut layers = Layers { figment, written, remarks };
    let off = layers.add_file(file);
    layers.add_environment(env);
    layers.remarks.notices.extend(unknown_variables(env));
    let merged = layers.merged();
    let read = keys::all().filter_map(|key| layers.read(key, &merged));
    let by_path = read.map(|setting| (setting.key.path, setting)).collect();
    Settings { by_path, off }
}

struct Layers<'a> {
    figment: Figment,
    written: Vec<Written>,
    remarks: &'a mut Remarks,
}

impl Layers<'_> {
    fn add_defaults(&mut self) {
        let mut dict = Dict::new();
        for key in keys::all().filter(|key| !key.default.is_empty()) {
            if let Ok(Some(node)) = document::parse(key.default) {
                self.put(&mut dict, key, node, &Origin::Default);
            }
        }
        self.merge("defaults", dict);
    }

    fn add_file(&mut self, file: &[Entry]) -> Vec<&'static str> {
        let mut dict = Dict::new();
        let mut off = Vec::new();
        IN_YAML.walk(file, &mut |found, line| {
            let origin = Origin::File(line);
            match found {
                Found::Setting(key, node) if !node.is_null() => {
                    self.put(&mut dict, key, node.clone(), &origin);
                }
                Found::Setting(key, _)
                    if key.kind.is_emptied_by_null() && !key.default.is_empty() =>
                {
                    let content = match key.kind {
                        Kind::Map(_) => Content::Map(Vec::new()),
                        _ => Content::List(Vec::new()),
                    };
                    let nothing = Node { line, ..Node::nowhere(content) };
                    self.put(&mut dict, key, nothing, &origin);
                }
                Found::Setting(..) => {}
                Found::Empty(path) => {
                    off.extend(SWITCHED_OFF_BY_NULL.iter().copied().filter(|name| *name == path));
                }
                Found::NoMapping(path) => {
                    self.remarks.problems.push(Problem::new(
                        &origin,
                        &path,
                        "must be a mapping of keys",
                    ));
                }
                Found::Unknown(path, nearest) => {
                    self.remarks.notices.push(Notice::unknown(origin, path, nearest));
                }
            }
        });
        self.merge("file", dict);
        off
    }

    fn add_environment(&mut self, env: &Environment) {
        let mut dict = Dict::new();
        for key in keys::all() {
            let set = key.vars.iter().find_map(|var| {
                let text = env.get(var)?;
                let replaced = match key.expand {
                    Expand::No => Replaced { text: text.to_owned(), ..Replaced::default() },
                    Expand::Shell => env.expanded(text),
                    Expand::Placeholders => env.substituted(text),
                };
                (!replaced.text.is_empty()).then_some((*var, replaced))
            });
            if let Some((var, replaced)) = set {
                self.remarks.secrets.add(&replaced);
                let secret = is_secret_name(var) || !replaced.secrets.is_empty();
                let node = Node { secret, ..Node::quoted(replaced.text) };
                self.put(&mut dict, key, node, &Origin::Variable(var));
            }
        }
        self.merge("environment", dict);
    }

    /// Puts what was written for `key` into a layer. Each entry of a mapping is a leaf by itself;
    /// an empty one takes away those of the layers below.
    fn put(&mut self, dict: &mut Dict, key: &'static Key, node: Node, origin: &Origin) {
        match (key.kind, node.content.clone()) {
            (Kind::Map(kind), Content::Map(entries)) if !entries.is_empty() => {
                let mut leaves = Dict::new();
                for mut entry in entries {
                    let origin = match origin {
                        Origin::File(_) => Origin::File(entry.line),
                        other => other.clone(),
                    };
                    let below = format!(".{}", entry.shown());
                    entry.value.secret |= entry.secret;
                    let leaf = self.leaf(key, *kind, &below, &entry.value, origin);
                    leaves.insert(entry.key, leaf);
                }
                insert(dict, key.path, Leaf::from(leaves));
            }
            (_, content) => {
                let node = Node { content, ..node };
                let leaf = self.leaf(key, key.kind, "", &node, origin.clone());
                insert(dict, key.path, leaf);
            }
        }
    }

    /// Reads a value, which stands `below` the setting; gives its number.
    fn leaf(
        &mut self,
        key: &'static Key,
        kind: Kind,
        below: &str,
        node: &Node,
        origin: Origin,
    ) -> Leaf {
        let mut reader = match origin {
            Origin::Default => Reader::of_default(),
            Origin::File(_) => Reader::new(false),
            Origin::Variable(_) => Reader::new(true),
        };
        let value = reader.read(kind, node);
        for remark in reader.remarks {
            let path = format!("{}{below}{}", key.path, remark.below);
            match remark.into_notice(key, path, &origin) {
                Ok(notice) => self.remarks.notices.push(notice),
                Err(problem) => self.remarks.problems.push(problem),
            }
        }
        let secret = key.secret || node.holds_secret();
        self.written.push(Written { value, origin, secret });
        Leaf::from(self.written.len() - 1)
    }

    fn merge(&mut self, name: &'static str, dict: Dict) {
        let figment = std::mem::take(&mut self.figment);
        self.figment = figment.merge(Layer { name, dict });
    }

    fn written(&self, leaf: &Leaf) -> Option<&Written> {
        let number = leaf.to_u128()?;
        self.written.get(usize::try_from(number).ok()?)
    }

    /// What every layer together has, once for all settings.
    fn merged(&self) -> Leaf {
        let profiles = self.figment.data().unwrap_or_default();
        Leaf::from(profiles.into_iter().next().map(|(_, dict)| dict).unwrap_or_default())
    }

    fn read(&self, key: &'static Key, merged: &Leaf) -> Option<Setting> {
        let leaf = merged.find_ref(key.path)?;
        let Leaf::Dict(_, leaves) = leaf else {
            let written = self.written(leaf)?;
            let value = written.value.clone()?;
            let Written { origin, secret, .. } = written;
            return Some(Setting { key, value, origin: origin.clone(), secret: *secret });
        };
        let mut values = Vec::with_capacity(leaves.len());
        let mut origin = Origin::Default;
        let mut secret = false;
        for (name, leaf) in leaves {
            let written = self.written(leaf)?;
            let value = written.value.clone()?;
            // The first of those that the file has.
            let first = origin == Origin::Default || written.origin.line() < origin.line();
            if written.origin != Origin::Default && first {
                origin = written.origin.clone();
            }
            secret |= written.secret;
            values.push((name.clone(), value));
        }
        Some(Setting { key, value: Value::Map(values), origin, secret })
    }
}

/// Variables that look like ours and are not.
fn unknown_variables(env: &Environment) -> Vec<Notice> {
    const OTHERS: [&str; 1] = [super::CONFIG_PATH];
    let known: Vec<&str> = keys::all().flat_map(|key| key.vars).copied().chain(OTHERS).collect();
    let ours = |name: &&str| {
        (name.starts_with("OTEL_EBPF_") || name.starts_with("OBI_")) && !known.contains(name)
    };
    env.names()
        .filter(ours)
        // The companion's, which has an environment of its own.
        .filter(|name| !name.starts_with("OTEL_EBPF_K8S_CACHE_"))
        .map(|name| {
            let nearest = super::table::similar(name, known.iter().copied()).map(str::to_owned);
            Notice::unknown_variable(name.to_owned(), nearest)
        })
        .collect()
}

/// One layer.
struct Layer {
    name: &'static str,
    dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// Puts `leaf` at the dotted path `at`.
fn insert(into: &mut Dict, at: &str, leaf: Leaf) {
    match at.split_once('.') {
        None => {
            into.insert(at.to_owned(), leaf);
        }
        Some((head, rest)) => {
            let inner = into.entry(head.to_owned()).or_insert_with(|| Leaf::from(Dict::new()));
            if let Leaf::Dict(_, inner) = inner {
                insert(inner, rest, leaf);
            }
        }
    }
}

impl Settings {
    /// Takes over those settings of `new` that `which` is true of.
    pub(super) fn adopt(&mut self, new: &Self, which: impl Fn(&Key) -> bool) {
        self.by_path.retain(|_, setting| !which(setting.key));
        let adopted = new.by_path.iter().filter(|(_, setting)| which(setting.key));
        self.by_path.extend(adopted.map(|(path, setting)| (*path, setting.clone())));
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.by_path.get(key.path).map(|setting| &setting.value)
    }

    pub(super) fn setting(&self, key: &Key) -> Option<&Setting> {
        self.at(key.path)
    }

    pub(super) fn at(&self, path: &str) -> Option<&Setting> {
        self.by_path.get(path)
    }

    /// Whether the file or a variable sets it.
    pub(super) fn is_set(&self, key: &Key) -> bool {
        self.setting(key).is_some_and(|setting| setting.origin != Origin::Default)
    }

    /// All of them, in the order of the reference page.
    pub(super) fn all(&self) -> impl Iterator<Item = &Setting> {
        keys::all().filter_map(|key| self.by_path.get(key.path))
    }

    /// Its text; `None` when it is not set or empty.
    pub(super) fn text(&self, key: &Key) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Something is wrong with its value.
    pub(super) fn problem(&self, key: &Key, why: impl std::fmt::Display) -> Problem {
        let Some(Setting { key, value, origin, secret }) = self.setting(key) else {
            return Problem::new(&Origin::Default, key.name(), why);
        };
        let shown = if *secret { String::new() } else { format!(" = {}", value.shown()) };
        let why = format!("{}{shown}: {why}", origin.name(key));
        Problem { line: origin.line(), why }
    }

    pub(super) fn bool(&self, key: &Key) -> bool {
        matches!(self.get(key), Some(Value::Bool(true)))
    }

    pub(super) fn count(&self, key: &Key) -> usize {
        match self.get(key) {
            Some(Value::Int(n)) => usize::try_from(*n).unwrap_or_default(),
            _ => 0,
        }
    }

    pub(super) fn duration(&self, key: &Key) -> std::time::Duration {
        match self.get(key) {
            Some(Value::Duration(ns)) => {
                std::time::Duration::from_nanos(u64::try_from(*ns).unwrap_or_default())
            }
            _ => std::time::Duration::ZERO,
        }
    }
}
