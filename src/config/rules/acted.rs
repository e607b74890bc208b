//! Settings that are set and not acted on.

use super::super::key::Key;
use super::super::layers::{Remarks, Setting, Settings};
use super::super::names;
use super::super::notice::{Notice, NoticeKind, Origin};
use super::super::value::Value;
use super::{Plan, features, set};
use crate::semconv::metrics::Feature;

/// Sections that are one subject: what of them is not acted on is said in one sentence.
const SUBSYSTEMS: [&str; 5] =
    ["metrics.", "otel_metrics_export.", "prometheus_export.", "network.", "stats."];

/// Whether the setting is about another output than spans.
pub(super) fn subsystem(key: &Key) -> Option<&'static str> {
    SUBSYSTEMS.into_iter().find(|section| key.path.starts_with(section))
}

pub(super) fn is_acted_on(settings: &Settings, plan: &Plan, remarks: &mut Remarks) {
    let mut say = |line, name: &str, which: &[String]| {
        let which = match which {
            [] => String::new(),
            names => format!(": {}", names.join(", ")),
        };
        let text = format!("{name} is accepted but not acted on yet{which}");
        remarks.notices.push(Notice { line, text, kind: NoticeKind::NotActedOn });
    };
    let (setting, names) = features(settings, plan);
    let later = not_live(names);
    if let (Some(Setting { key, origin, .. }), [_, ..]) = (setting, later.as_slice()) {
        say(origin.line(), origin.name(key), &later);
    }
    let path = "name_resolver.sources";
    let others: Vec<String> = names::sources(settings)
        .filter(|source| !names::is_dns(source))
        .map(str::to_owned)
        .collect();
    if let (Some(Setting { key, origin, .. }), [_, ..]) = (set(settings, path), &*others) {
        say(origin.line(), origin.name(key), &others);
    }
    let is_set = |setting: &&Setting| settings.is_set(setting.key);
    for section in SUBSYSTEMS {
        let of: Vec<&Setting> = settings
            .all()
            .filter(is_set)
            .filter(|s| !s.key.acted && subsystem(s.key) == Some(section))
            .collect();
        let line = of.iter().map(|s| s.origin.line()).filter(|line| *line > 0).min();
        match of.as_slice() {
            [] => {}
            [one] => say(one.origin.line(), one.origin.name(one.key), &[]),
            several => {
                let names: Vec<String> = several.iter().map(|s| short(s, section)).collect();
                say(line.unwrap_or(0), section.trim_end_matches('.'), &names);
            }
        }
    }
    for setting in settings.all().filter(is_set).filter(|s| subsystem(s.key).is_none()) {
        let Setting { key, value, origin, .. } = setting;
        if !key.acted {
            say(origin.line(), origin.name(key), &[]);
        } else if let (Value::Items(items), Some(keys)) = (value, key.kind.keys()) {
            for (i, item) in items.iter().enumerate() {
                let unheard = |name: &str| keys.iter().any(|k| k.path == name && !k.acted);
                for (name, _) in item.values.iter().filter(|(name, _)| unheard(name)) {
                    say(item.line, &format!("{}[{i}].{name}", key.path), &[]);
                }
                let features = item.values.iter().find(|(name, _)| *name == "metrics.features");
                if let Some((_, Value::List(names))) = features
                    && let later @ [_, ..] = &*not_live(names)
                {
                    say(item.line, &format!("{}[{i}].metrics.features", key.path), later);
                }
            }
        }
    }
}

/// Families of which no metric is measured yet.
fn not_live(names: &[String]) -> Vec<String> {
    let later = names.iter().filter(|name| {
        let of_name = Feature::named(name);
        !of_name.is_empty() && !of_name.iter().any(|feature| feature.is_live())
    });
    later.cloned().collect()
}

/// A variable by its name, a key by what it is called in its section.
fn short(setting: &Setting, section: &str) -> String {
    match &setting.origin {
        Origin::Variable(name) => (*name).to_owned(),
        _ => setting.key.path.strip_prefix(section).unwrap_or(setting.key.path).to_owned(),
    }
}
