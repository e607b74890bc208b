//! What a configuration means, whatever its settings are called.

use std::collections::BTreeMap;

use super::super::env::Environment;
use super::super::layers::{Remarks, Settings, settle};
use super::super::notice::Problem;
use super::super::rules::{Plan, features};
use super::super::value::Value;
use super::super::{discovery, file};

/// Settings that are looked at together with the older or newer ones, below.
const TOGETHER: [&str; 16] = [
    "metrics.features",
    "otel_metrics_export.features",
    "prometheus_export.features",
    "network.enable",
    "discovery.instrument",
    "discovery.exclude_instrument",
    "discovery.default_exclude_instrument",
    "discovery.services",
    "discovery.exclude_services",
    "discovery.default_exclude_services",
    "executable_path",
    "attributes.kubernetes.resource_labels",
    "attributes.kubernetes.meta_source_labels.service_name",
    "attributes.kubernetes.meta_source_labels.service_namespace",
    "ebpf.context_propagation",
    "environment.auto_target_exe",
];

/// Names and values.
#[derive(Debug)]
pub(super) struct Meaning {
    values: BTreeMap<String, String>,
    valid: bool,
}

impl Meaning {
    /// Of a file.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn of(text: &str, env: &Environment) -> Result<Self, Problem> {
        let mut remarks = Remarks::default();
        let entries = file::entries(text, env, &mut remarks.secrets)?;
        let settings = settle(&entries, env, &mut remarks);
        let plan = Plan::of(&settings);
        let single = settings.all().filter(|s| !TOGETHER.contains(&s.key.path));
        let mut values: BTreeMap<String, String> =
            single.map(|s| (s.key.path.to_owned(), s.value.shown())).collect();
        let mut put = |name: &str, value: String| values.insert(name.to_owned(), value);
        put("what is on", format!("{plan:?}"));
        put("metrics.features", families(&settings, &plan).join(", "));
        put("resource_labels", format!("{:?}", labels(&settings)));
        put("ebpf.context_propagation", propagation(&settings).join(", "));
        put("the selection of processes", selection(&settings));
        Ok(Self { values, valid: remarks.problems.is_empty() })
    }

    /// The first that differs, if this one is valid: what was not has no meaning to keep.
    pub(super) fn differs(&self, other: &Self) -> Option<String> {
        if !self.valid {
            return None;
        }
        let names = self.values.keys().chain(other.values.keys());
        let differs = |name: &&String| self.values.get(*name) != other.values.get(*name);
        let name = names.filter(differs).min().cloned();
        name.or_else(|| (!other.valid).then(|| "its validity".to_owned()))
    }
}

fn families(settings: &Settings, plan: &Plan) -> Vec<String> {
    let (_, names) = features(settings, plan);
    let mut names = names.to_vec();
    let is_on = |name: &String| name.starts_with("network") || name == "all" || name == "*";
    if plan.network && !names.iter().any(is_on) {
        names.push("network".to_owned());
    }
    names
}

/// The older settings put a label in front of the newer one's.
fn labels(settings: &Settings) -> BTreeMap<String, Vec<String>> {
    let mut labels = BTreeMap::new();
    if let Some(Value::Map(entries)) =
        settings.at("attributes.kubernetes.resource_labels").map(|s| &s.value)
    {
        for (name, list) in entries {
            if let Value::List(list) = list {
                labels.insert(name.clone(), list.clone());
            }
        }
    }
    for (old, new) in [("service_name", "service.name"), ("service_namespace", "service.namespace")]
    {
        let path = format!("attributes.kubernetes.meta_source_labels.{old}");
        if let Some(Value::Text(label)) = settings.at(&path).map(|s| &s.value)
            && !label.is_empty()
        {
            labels.entry(new.to_owned()).or_default().insert(0, label.clone());
        }
    }
    labels
}

/// Without what has no effect.
fn propagation(settings: &Settings) -> Vec<String> {
    let written = match settings.at("ebpf.context_propagation").map(|s| &s.value) {
        Some(Value::Text(text)) => text.as_str(),
        _ => "",
    };
    let words = written.split(',').map(str::trim);
    words.filter(|word| !matches!(*word, "" | "ip" | "disabled")).map(str::to_owned).collect()
}

/// Criteria without the names of the lists that they stand in; the built-in exclusions are the same
/// in both dialects.
fn selection(settings: &Settings) -> String {
    let selection = discovery::read(settings, &mut Vec::new()).unwrap_or_default();
    let of = |list: &[crate::model::selector::Selector]| {
        let is_default = |name: &str| {
            let list = name.split('[').next().unwrap_or_default();
            let setting = settings.at(list);
            name.contains("default_exclude") && setting.is_some_and(|s| !settings.is_set(s.key))
        };
        let own = list.iter().filter(|selector| !is_default(&selector.name));
        own.map(|s| format!("{:?} {:?}", s.criteria, s.refinement)).collect::<Vec<_>>()
    };
    format!("{:?} but {:?}", of(&selection.include), of(&selection.exclude))
}
