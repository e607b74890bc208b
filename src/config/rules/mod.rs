//! What must hold between settings, and what may surprise in how they act together: one small
//! function a rule. Of one setting alone, its kind says what it takes (`keys/`).

mod acted;
mod deprecated;
mod filter;
mod network;
mod payload;
mod selection;
mod subsystems;
mod surprises;
mod template;

pub(super) use subsystems::{Plan, features};

use super::key::Key;
use super::keys;
use super::layers::{Remarks, Setting, Settings};
use super::notice::{Notice, NoticeKind, Problem};
use super::value::{Fields, Value};

type Rule = fn(&Settings, &Plan, &mut Remarks);

/// In the order of the contract's section 4. What it lists besides is decided by the kind of a
/// single setting, or needs the kernel (Cilium beside `network.source: tc`), or the file that a
/// setting names (GeoIP databases), and belongs to whoever opens it.
const RULES: &[Rule] = &[
    payload::log_fields_differ,
    payload::annotated_services_are_named,
    selection::selectors_have_criteria,
    payload::enrichment_rules_hold_together,
    subsystems::flows_need_an_exporter,
    subsystems::one_kind_of_span_metrics,
    subsystems::internal_metrics_have_one_way_out,
    filter::matchers_are_one_condition,
    filter::attributes_are_known,
    network::interfaces_are_names_or_expressions,
    template::service_name_template_is_whole,
    surprises::config_is_printed_in_a_known_form,
    surprises::bodies_need_a_buffer,
    surprises::own_interval_beats_the_standard_one,
    surprises::sampler_ratio_is_a_number,
    surprises::ratio_has_a_sampler,
    surprises::globs_are_of_whole_paths,
    surprises::propagation_over_ip_is_gone,
    surprises::groups_of_attributes_are_known,
    surprises::names_are_remembered_where_dns_is_asked,
    deprecated::has_a_better_one,
    acted::is_acted_on,
];

/// Asks every rule.
pub(super) fn check(settings: &Settings, plan: &Plan, remarks: &mut Remarks) {
    RULES.iter().for_each(|rule| rule(settings, plan, remarks));
}

/// Whether something else than spans is set up. Who does that does not mean every process.
pub(super) fn asks_for_other(settings: &Settings) -> bool {
    let mut set = settings.all().filter(|setting| settings.is_set(setting.key));
    set.any(|setting| acted::subsystem(setting.key).is_some())
}

/// What stands in a setting at `path`; a path that no setting has is a mistake that tests see.
fn at<'a>(settings: &'a Settings, path: &'static str) -> Option<&'a Setting> {
    debug_assert!(keys::all().any(|key| key.path == path), "{path}");
    settings.at(path)
}

/// The same, if the file or a variable sets it.
fn set<'a>(settings: &'a Settings, path: &'static str) -> Option<&'a Setting> {
    at(settings, path).filter(|setting| settings.is_set(setting.key))
}

fn is_true(settings: &Settings, path: &'static str) -> bool {
    matches!(at(settings, path).map(|s| &s.value), Some(Value::Bool(true)))
}

fn number(settings: &Settings, path: &'static str) -> i64 {
    match at(settings, path).map(|s| &s.value) {
        Some(Value::Int(n) | Value::Duration(n)) => *n,
        _ => 0,
    }
}

/// Its text, if it has one.
fn text<'a>(settings: &'a Settings, path: &'static str) -> Option<&'a str> {
    match at(settings, path).map(|s| &s.value) {
        Some(Value::Text(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn list<'a>(settings: &'a Settings, path: &'static str) -> &'a [String] {
    match at(settings, path).map(|s| &s.value) {
        Some(Value::List(texts)) => texts,
        _ => &[],
    }
}

fn items<'a>(settings: &'a Settings, path: &'static str) -> &'a [Fields] {
    match at(settings, path).map(|s| &s.value) {
        Some(Value::Items(items)) => items,
        _ => &[],
    }
}

fn map<'a>(settings: &'a Settings, path: &'static str) -> &'a [(String, Value)] {
    match at(settings, path).map(|s| &s.value) {
        Some(Value::Map(entries)) => entries,
        _ => &[],
    }
}

impl Remarks {
    /// Something is wrong with `setting`, as a whole.
    fn wrong(&mut self, settings: &Settings, key: &Key, why: impl std::fmt::Display) {
        self.problems.push(settings.problem(key, why));
    }

    /// Something is wrong at `line`.
    fn wrong_at(&mut self, line: usize, why: String) {
        self.problems.push(Problem { line, why });
    }

    /// `setting` does not do what one would expect; `why` follows its name.
    fn surprise(&mut self, setting: &Setting, why: impl std::fmt::Display) {
        let (line, name) = (setting.origin.line(), setting.origin.name(setting.key));
        self.surprise_at(line, format!("{name} {why}"));
    }

    fn surprise_at(&mut self, line: usize, text: String) {
        self.notices.push(Notice { line, text, kind: NoticeKind::Surprise });
    }
}
