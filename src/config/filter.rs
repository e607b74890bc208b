//! Which spans are kept, and what they must not show.

use super::glob::glob;
use super::layers::{Setting, Settings};
use super::notice::Problem;
use super::value::{Fields, Value};
use crate::model::compare::Comparison;
use crate::model::selector::Pattern;
use crate::model::shown::SecretNames;

/// What must hold for a span that is kept: all of it.
pub type FilterConfig = Vec<(String, Condition)>;

/// A condition on an attribute.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Its text matches.
    Matches(Pattern),
    /// It does not.
    Differs(Pattern),
    /// It is a whole number, and each of these holds.
    Numbers(Vec<(Comparison, i64)>),
}

pub(super) const COMPARISONS: [(&str, Comparison); 6] = [
    ("equals", Comparison::Equals),
    ("not_equals", Comparison::NotEquals),
    ("greater_than", Comparison::Greater),
    ("greater_equals", Comparison::GreaterEquals),
    ("less_than", Comparison::Less),
    ("less_equals", Comparison::LessEquals),
];

/// Reads `filter.application`; attributes by their names with dots.
pub(super) fn read(settings: &Settings) -> FilterConfig {
    let Some(Value::Map(rules)) = settings.at("filter.application").map(|s| &s.value) else {
        return Vec::new();
    };
    rules
        .iter()
        .filter_map(|(name, rule)| match rule {
            Value::Fields(fields) => Some((name.replace('_', "."), condition(fields)?)),
            _ => None,
        })
        .collect()
}

/// Of a rule that is one condition, as the rules demand; else `None`.
fn condition(fields: &Fields) -> Option<Condition> {
    let pattern = |clause| match fields.get(clause) {
        Some(Value::Text(text)) if !text.is_empty() => glob(text).ok(),
        _ => None,
    };
    if let Some(pattern) = pattern("match") {
        return Some(Condition::Matches(pattern));
    }
    if let Some(pattern) = pattern("not_match") {
        return Some(Condition::Differs(pattern));
    }
    let number = |(clause, comparison): (&str, Comparison)| match fields.get(clause) {
        Some(Value::Int(n)) => Some((comparison, *n)),
        _ => None,
    };
    let numbers: Vec<_> = COMPARISONS.into_iter().filter_map(number).collect();
    (!numbers.is_empty()).then_some(Condition::Numbers(numbers))
}

/// Reads which parameters' values nothing shows.
pub(super) fn secrets(settings: &Settings, problems: &mut Vec<Problem>) -> SecretNames {
    let mut list = |path| match settings.at(path) {
        Some(Setting { key, value: Value::List(names), .. }) => {
            let long = names.iter().filter(|name| name.len() > SecretNames::NAME_MAX);
            problems.extend(long.map(|_| {
                let why = format!("names have {} bytes at most", SecretNames::NAME_MAX);
                settings.problem(key, why)
            }));
            names.clone()
        }
        _ => Vec::new(),
    };
    SecretNames {
        hidden: list("attributes.sensitive_query_params.add"),
        shown: list("attributes.sensitive_query_params.remove"),
    }
}
