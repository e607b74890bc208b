//! Defaults below the YAML file below the environment, read one setting at a time so that every
//! mistake is reported, not only the first.

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::env::Environment;
use super::value::Raw;
use super::yaml::{YamlFile, insert};

/// One setting: where it may be written, and what it is when it is not.
#[derive(Debug)]
pub(super) struct Key {
    /// Dotted path in the YAML file; paths under `environment.` exist only inside the agent, for
    /// settings that have no YAML key.
    pub(super) path: &'static str,
    /// Environment variables; the first that is set wins.
    pub(super) vars: &'static [&'static str],
    /// Default as an environment variable would hold it; empty = not set.
    pub(super) default: &'static str,
    /// Whether the value must not be shown.
    pub(super) secret: bool,
}

impl Key {
    pub(super) const fn new(
        path: &'static str,
        vars: &'static [&'static str],
        default: &'static str,
    ) -> Self {
        Self { path, vars, default, secret: false }
    }

    /// Whether the key exists in YAML.
    pub(super) fn in_yaml(&self) -> bool {
        !self.path.starts_with("environment.")
    }

    /// The name to tell the user: the first variable, else the YAML key.
    pub(super) fn name(&self) -> &'static str {
        self.vars.first().copied().unwrap_or(self.path)
    }
}

/// The layers, and the problems found so far.
#[derive(Debug)]
pub(super) struct Layers {
    figment: Figment,
    /// Everything that is wrong, one sentence each.
    pub(super) problems: Vec<String>,
}

impl Layers {
    pub(super) fn new(keys: &[&Key], file: YamlFile, env: &Environment) -> Self {
        let defaults = keys.iter().filter(|key| !key.default.is_empty());
        let mut figment = defaults.fold(Figment::new(), |figment, key| {
            figment.merge(Setting { path: key.path, name: DEFAULT, text: key.default })
        });
        figment = figment.merge(file);
        for key in keys {
            let set = key.vars.iter().find_map(|var| env.get(var).map(|text| (var, text)));
            if let Some((name, text)) = set {
                figment = figment.merge(Setting { path: key.path, name, text });
            }
        }
        Self { figment, problems: Vec::new() }
    }

    /// The setting's value. `None` when it is not set or wrong; the latter is a problem, with the
    /// sentence that `parse` gives.
    pub(super) fn get<T>(
        &mut self,
        key: &Key,
        parse: impl FnOnce(&Raw) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.figment.find_value(key.path).ok()?;
        let (origin, yaml) = self.origin(key, &value);
        let raw = Raw::new(&value, yaml);
        match parse(&raw) {
            Ok(value) => Some(value),
            Err(why) if key.secret => {
                self.problems.push(format!("{origin}: {why} (its value is not shown)"));
                None
            }
            Err(why) => {
                self.problems.push(format!("{origin} = {}: {why}", raw.shown()));
                None
            }
        }
    }

    /// Whether the file or the environment sets `key`.
    pub(super) fn is_set(&self, key: &Key) -> bool {
        self.figment.find_metadata(key.path).is_some_and(|m| m.name != DEFAULT)
    }

    /// The variable or the YAML key that decided.
    fn origin(&self, key: &Key, value: &Value) -> (String, bool) {
        match self.figment.get_metadata(value.tag()) {
            Some(Metadata { source: Some(Source::File(file)), .. }) => {
                (format!("{} in {}", key.path, file.display()), true)
            }
            Some(metadata) => (metadata.name.clone().into_owned(), false),
            None => (key.name().to_owned(), false),
        }
    }
}

const DEFAULT: &str = "default";

/// A layer of one setting.
struct Setting<'a> {
    path: &'static str,
    name: &'static str,
    text: &'a str,
}

impl Provider for Setting<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut dict = Dict::new();
        insert(&mut dict, self.path, Value::from(self.text));
        Ok(Profile::Default.collect(dict))
    }
}
