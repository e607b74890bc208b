//! Values as they are written.

use super::duration::go_duration;
use super::value::{Fields, Value, without_userinfo};

impl Value {
    /// In YAML's flow style, on one line; of a URL without user and password.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => quoted(&without_userinfo(text)),
            Self::Duration(ns) => go_duration(*ns),
            Self::Numbers(numbers) => quoted(&numbers.to_string()),
            Self::Ints(values) => list(values.iter().map(ToString::to_string)),
            Self::Floats(values) => list(values.iter().map(ToString::to_string)),
            Self::List(texts) => list(texts.iter().map(|text| quoted(&without_userinfo(text)))),
            Self::Cidrs(networks) => {
                list(networks.iter().map(|(cidr, name)| match name.as_str() {
                    "" => quoted(cidr),
                    name => format!("{{cidr: {}, name: {}}}", quoted(cidr), quoted(name)),
                }))
            }
            Self::Fields(fields) => fields.shown(),
            Self::Items(items) => list(items.iter().map(Fields::shown)),
            Self::Map(entries) => {
                map(entries.iter().map(|(name, value)| (quoted(name), value.shown())))
            }
        }
    }
}

impl Fields {
    /// Dotted paths as mappings in each other.
    pub(super) fn shown(&self) -> String {
        fn below(section: &str, values: &[(&'static str, Value)]) -> String {
            let mut seen: Vec<&str> = Vec::new();
            let mut entries = Vec::new();
            for (path, value) in values {
                let Some(rest) = path.strip_prefix(section) else { continue };
                match rest.split_once('.') {
                    None => entries.push((rest.to_owned(), value.shown())),
                    Some((head, _)) if seen.contains(&head) => {}
                    Some((head, _)) => {
                        seen.push(head);
                        entries
                            .push((head.to_owned(), below(&format!("{section}{head}."), values)));
                    }
                }
            }
            map(entries.into_iter())
        }
        below("", &self.values)
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn map(entries: impl Iterator<Item = (String, String)>) -> String {
    let entries: Vec<_> = entries.map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{{}}}", entries.join(", "))
}

/// In double quotes, as JSON and YAML both have them.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
