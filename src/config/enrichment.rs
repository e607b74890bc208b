//! Which headers spans show.

use super::filter::COMPARISONS;
use super::glob::glob;
use super::layers::{Setting, Settings};
use super::value::{Fields, Value};
use crate::model::selector::Pattern;
use crate::model::shown::{Action, HeaderRule, HeaderRules};

/// Reads `ebpf.payload_extraction.http.enrichment`, of which only rules about headers have an effect.
pub(super) fn headers(settings: &Settings) -> HeaderRules {
    let at = |name: &str| settings.at(&format!("ebpf.payload_extraction.http.enrichment.{name}"));
    let value = |name| at(name).map(|setting: &Setting| &setting.value);
    if !matches!(value("enabled"), Some(Value::Bool(true))) {
        return HeaderRules::default();
    }
    let instead = word(value("policy.obfuscation_string"));
    let rules = match value("rules") {
        Some(Value::Items(rules)) => rules.as_slice(),
        _ => &[],
    };
    HeaderRules {
        rules: rules.iter().filter_map(|fields| rule(fields, instead)).collect(),
        otherwise: action(word(value("policy.default_action.headers")), instead)
            .unwrap_or_default(),
    }
}

fn word(value: Option<&Value>) -> &str {
    match value {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

fn action(word: &str, instead: &str) -> Option<Action> {
    Some(match word {
        "include" => Action::Include,
        "exclude" => Action::Exclude,
        "obfuscate" => Action::Obfuscate(instead.to_owned()),
        _ => return None,
    })
}

/// A rule about headers that says what it does to which message; others have no effect.
fn rule(fields: &Fields, instead: &str) -> Option<HeaderRule> {
    let instead = match word(fields.get("obfuscation_string")) {
        "" => instead,
        own => own,
    };
    let action = action(word(fields.get("action")), instead)?;
    let scope = word(fields.get("scope"));
    if word(fields.get("type")) != "headers" || scope.is_empty() {
        return None;
    }
    let case_sensitive = matches!(fields.get("match.case_sensitive"), Some(Value::Bool(true)));
    let list = |name| match fields.get(name) {
        Some(Value::List(texts)) => texts.as_slice(),
        _ => &[],
    };
    let patterns = |name, in_small: bool| -> Vec<Pattern> {
        let written = |text: &String| {
            if in_small { glob(&text.to_ascii_lowercase()) } else { glob(text) }
        };
        list(name).iter().filter_map(|text| written(text).ok()).collect()
    };
    let number = |(name, how)| match fields.get(&format!("match.response_status_code.{name}")) {
        Some(Value::Int(n)) => Some((how, *n)),
        _ => None,
    };
    Some(HeaderRule {
        action,
        requests: scope != "response",
        responses: scope != "request",
        names: patterns("match.patterns", !case_sensitive),
        case_sensitive,
        paths: patterns("match.url_path_patterns", false),
        methods: list("match.methods").iter().map(|method| method.to_ascii_uppercase()).collect(),
        status: COMPARISONS.into_iter().filter_map(number).collect(),
    })
}
