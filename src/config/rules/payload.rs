//! What is read out of HTTP messages, and what is written into logs.

use super::super::layers::{Remarks, Settings};
use super::super::value::{Fields, Value};
use super::{Plan, at, items, text};

const RULES: &str = "ebpf.payload_extraction.http.enrichment.rules";

/// The log enricher's two fields.
pub(super) fn log_fields_differ(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    let trace = text(settings, "ebpf.log_enricher.field_names.trace_id");
    if trace.is_some()
        && trace == text(settings, "ebpf.log_enricher.field_names.span_id")
        && let Some(setting) = at(settings, "ebpf.log_enricher.field_names.span_id")
    {
        remarks.wrong(settings, setting.key, "must differ from the name of the trace's field");
    }
}

/// The contract asks for it, but what it describes starts without.
pub(super) fn annotated_services_are_named(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    let path = "ebpf.log_enricher.services";
    let unnamed = |fields: &&Fields| fields.get("service").is_none();
    let all = items(settings, path).iter().enumerate();
    for (i, fields) in all.filter(|(_, fields)| unnamed(fields)) {
        remarks.surprise_at(fields.line, format!("{path}[{i}] has no service, and so no effect"));
    }
}

/// A rule of enrichment, as far as it is written.
struct Rule<'a> {
    fields: &'a Fields,
    action: &'a str,
    kind: &'a str,
}

impl Rule<'_> {
    fn has(&self, field: &str) -> bool {
        match self.fields.get(field) {
            Some(Value::List(texts)) => !texts.is_empty(),
            Some(Value::Bool(value)) => *value,
            other => other.is_some(),
        }
    }

    fn status(&self, comparison: &str) -> Option<i64> {
        match self.fields.get(&format!("match.response_status_code.{comparison}")) {
            Some(Value::Int(status)) => Some(*status),
            _ => None,
        }
    }

    /// What is wrong, the first that is.
    fn wrong(&self) -> Option<&'static str> {
        let paths = self.has("match.obfuscation_json_paths");
        let crossed = |least: &str, most: &str, open: i64| {
            let bounds = self.status(least).zip(self.status(most));
            bounds.is_some_and(|(least, most)| least > most - open)
        };
        Some(match (self.kind, self.action) {
            ("headers", _) if !self.has("match.patterns") => {
                "match.patterns must name at least one header"
            }
            ("headers", _) if paths => {
                "match.obfuscation_json_paths is for rules of type body only"
            }
            ("body", _) if self.has("match.patterns") => {
                "match.patterns is for rules of type headers only"
            }
            ("body", _) if self.has("match.case_sensitive") => {
                "match.case_sensitive is for rules of type headers only"
            }
            ("body", "obfuscate") if !paths => {
                "match.obfuscation_json_paths must say what is obfuscated"
            }
            ("body", "include" | "exclude") if paths => {
                "match.obfuscation_json_paths is for the action obfuscate only"
            }
            _ if crossed("greater_equals", "less_equals", 0) => {
                "no status is at least match.response_status_code.greater_equals and at most \
                 less_equals"
            }
            _ if crossed("greater_than", "less_than", 1) => {
                "no status is above match.response_status_code.greater_than and below less_than"
            }
            _ => return None,
        })
    }
}

pub(super) fn enrichment_rules_hold_together(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    for (i, fields) in items(settings, RULES).iter().enumerate() {
        let word = |name| match fields.get(name) {
            Some(Value::Text(word)) => word.as_str(),
            _ => "",
        };
        let rule = Rule { fields, action: word("action"), kind: word("type") };
        // The contract asks for them, but what it describes starts without.
        for name in ["action", "type", "scope"].into_iter().filter(|name| word(name).is_empty()) {
            let text = format!("{RULES}[{i}] has no {name}, and so no effect");
            remarks.surprise_at(fields.line, text);
        }
        if rule.kind == "body" {
            let text = format!("{RULES}[{i}] has no effect yet: no span shows bodies");
            remarks.surprise_at(fields.line, text);
        }
        if rule.has("obfuscation_string") && !matches!(rule.action, "obfuscate" | "") {
            let only = "has no effect: it is for the action obfuscate";
            let text = format!("{RULES}[{i}].obfuscation_string {only}");
            remarks.surprise_at(fields.line, text);
        }
        if let Some(why) = rule.wrong() {
            remarks.wrong_at(fields.line, format!("{RULES}[{i}]: {why}"));
        }
    }
}
