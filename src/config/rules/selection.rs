//! Selectors.

use super::super::discovery;
use super::super::layers::{Remarks, Settings};
use super::super::value::Value;
use super::{Plan, items};

/// What the contract checks; in the built-in exclusions an entry without a criterion chooses
/// nothing.
const CHECKED: [&str; 4] = [
    "discovery.instrument",
    "discovery.exclude_instrument",
    "discovery.services",
    "discovery.exclude_services",
];
const UNCHECKED: [&str; 2] =
    ["discovery.default_exclude_instrument", "discovery.default_exclude_services"];

pub(super) fn selectors_have_criteria(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    for path in CHECKED.into_iter().chain(UNCHECKED) {
        for (i, fields) in items(settings, path).iter().enumerate() {
            let name = format!("{path}[{i}]");
            for (field, _) in fields.values.iter().filter(|(_, value)| is_empty(value)) {
                let text = format!("{name}.{field} is empty, so that it is no criterion");
                remarks.surprise_at(fields.line, text);
            }
            for (field, label) in fields.values.iter().flat_map(|(f, v)| empty_labels(f, v)) {
                let text = format!("{name}.{field}.{label} is empty: any value matches");
                remarks.surprise_at(fields.line, text);
            }
            match discovery::criteria_of(path, fields).is_empty() {
                true if CHECKED.contains(&path) => {
                    let must = "must have a criterion, such as exe_path or open_ports";
                    remarks.wrong_at(fields.line, format!("{name}: {must}"));
                }
                true => {
                    let text = format!("{name} has no criterion, and so no effect");
                    remarks.surprise_at(fields.line, text);
                }
                false => {}
            }
        }
    }
}

/// What `${NAME}` of a variable that is not set leaves behind.
fn is_empty(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.is_empty())
}

fn empty_labels<'a>(
    field: &'static str,
    value: &'a Value,
) -> impl Iterator<Item = (&'static str, &'a str)> {
    let labels = match value {
        Value::Map(labels) => labels.as_slice(),
        _ => &[],
    };
    let empty = labels.iter().filter(|(_, pattern)| is_empty(pattern));
    empty.map(move |(label, _)| (field, label.as_str()))
}
