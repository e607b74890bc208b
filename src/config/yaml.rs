//! The YAML file: read, substituted, parsed, and sorted into settings and notices.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map};
use figment::{Metadata, Profile, Provider, Source};
use serde::Deserialize as _;
use serde_yaml::Value;

use super::env::Environment;
use super::known;

/// The settings of a file that we act on, as a layer, and what there is to say of the rest.
#[derive(Debug, Default)]
pub(super) struct YamlFile {
    path: PathBuf,
    settings: Dict,
    /// Keys that are set and not acted on: path, and whether the contract knows them.
    pub(super) ignored: Vec<(String, bool)>,
    /// What makes the file unusable.
    pub(super) problems: Vec<String>,
}

/// Bytes of a configuration file: what is larger is none.
const FILE_MAX: u64 = 4 << 20;

fn read_bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_MAX {
        return Err(std::io::Error::other(format!("is larger than {FILE_MAX} bytes")));
    }
    Ok(text)
}

impl YamlFile {
    /// Reads the first document of `path`. `acted` are the paths of the settings we act on.
    pub(super) fn read(path: &Path, env: &Environment, acted: &[&str]) -> Self {
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        let text = match read_bounded(path) {
            Ok(text) => text,
            Err(e) => {
                file.problems.push(format!("config file {}: {e}", path.display()));
                return file;
            }
        };
        match parse(&env.substitute(&text)) {
            Ok(Value::Null) => {}
            Ok(Value::Mapping(root)) if is_version_2(&root) => file.problems.push(format!(
                "config file {}: this is config v2 (`file_format` or `extensions.obi`), which is not \
                 supported; write the flat v1 keys",
                path.display()
            )),
            Ok(root @ Value::Mapping(_)) => file.walk("", root, acted),
            Ok(_) => file
                .problems
                .push(format!("config file {}: must hold a mapping of keys", path.display())),
            Err(e) => file.problems.push(format!("config file {}: {e}", path.display())),
        }
        file
    }

    fn walk(&mut self, at: &str, value: Value, acted: &[&str]) {
        if acted.contains(&at) {
            self.set(at, &value);
        } else if known::covers(at) {
            self.ignored.push((at.to_owned(), true));
        } else if at.is_empty() || is_section(at, acted) {
            self.walk_section(at, value, acted);
        } else {
            self.ignored.push((at.to_owned(), false));
        }
    }

    fn walk_section(&mut self, at: &str, value: Value, acted: &[&str]) {
        match value {
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    let key = match key {
                        Value::String(s) => s,
                        other => {
                            serde_yaml::to_string(&other).unwrap_or_default().trim().to_owned()
                        }
                    };
                    let dotted = key.contains('.');
                    let path = if at.is_empty() { key } else { format!("{at}.{key}") };
                    if dotted {
                        // Not a path: the contract's own key names hold no dots.
                        self.ignored.push((path, false));
                    } else {
                        self.walk(&path, value, acted);
                    }
                }
            }
            // An empty section changes nothing, except where it switches a stage off.
            Value::Null if acted.iter().any(|key| is_below(key, at)) => {}
            Value::Null => self.ignored.push((at.to_owned(), true)),
            _ => self
                .problems
                .push(format!("{at} in {}: must be a mapping of keys", self.path.display())),
        }
    }

    /// A null changes nothing.
    fn set(&mut self, at: &str, value: &Value) {
        if value.is_null() {
            return;
        }
        match figment::value::Value::serialize(value) {
            Ok(value) => insert(&mut self.settings, at, value),
            Err(e) => self.problems.push(format!("{at} in {}: {e}", self.path.display())),
        }
    }
}

impl Provider for YamlFile {
    fn metadata(&self) -> Metadata {
        Metadata::from("YAML file", Source::File(self.path.clone()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.settings.clone()))
    }
}

/// Puts `value` at the dotted path `at`.
pub(super) fn insert(into: &mut Dict, at: &str, value: figment::value::Value) {
    match at.split_once('.') {
        None => {
            into.insert(at.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = into
                .entry(head.to_owned())
                .or_insert_with(|| figment::value::Value::from(Dict::new()));
            if let figment::value::Value::Dict(_, inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// The first document, with anchors and merge keys resolved. Duplicate keys are an error.
fn parse(text: &str) -> Result<Value, serde_yaml::Error> {
    let Some(document) = serde_yaml::Deserializer::from_str(text).next() else {
        return Ok(Value::Null);
    };
    let mut value = Value::deserialize(document)?;
    value.apply_merge()?;
    Ok(value)
}

fn is_version_2(root: &serde_yaml::Mapping) -> bool {
    root.contains_key("file_format") || root.get("extensions").and_then(|e| e.get("obi")).is_some()
}

fn is_section(at: &str, acted: &[&str]) -> bool {
    acted.iter().chain(known::KEYS).any(|key| is_below(key, at))
}

/// Whether `key` lies below the section `at`.
fn is_below(key: &str, at: &str) -> bool {
    key.strip_prefix(at).is_some_and(|rest| rest.starts_with('.'))
}
