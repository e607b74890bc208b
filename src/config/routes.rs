//! Routes: paths with few values.

use super::layers::Settings;
use super::value::Value;

/// How paths become routes, and which are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutesConfig {
    /// Patterns whose text is the route of what they match.
    pub patterns: Vec<String>,
    /// Patterns of paths that are left out.
    pub ignored: Vec<String>,
    /// Whether these are left out of traces.
    pub ignore_traces: bool,
    /// Whether these are left out of metrics.
    pub ignore_metrics: bool,
    /// What becomes of a path that no pattern matches.
    pub unmatched: Unmatched,
    /// What stands for a segment that varies.
    pub wildcard: String,
    /// Values of a segment before it varies; 0 = no limit.
    pub segments_max: usize,
}

/// What becomes of a path that no pattern matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// It has no route.
    Unset,
    /// The path is the route.
    Path,
    /// The route is `/**`.
    Wildcard,
    /// Segments that look as if they varied are replaced.
    #[default]
    Heuristic,
    /// The same, and those that have had too many values.
    LowCardinality,
}

/// Whether the section is switched off.
pub(super) fn is_off(settings: &Settings) -> bool {
    settings.off.contains(&"routes")
}

/// Reads the section; `None` = it is switched off.
pub(super) fn read(settings: &Settings) -> Option<RoutesConfig> {
    if is_off(settings) {
        return None;
    }
    let text = |path| match settings.at(path).map(|setting| &setting.value) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let list = |path| match settings.at(path).map(|setting| &setting.value) {
        Some(Value::List(list)) => list.clone(),
        _ => Vec::new(),
    };
    let mode = text("routes.ignore_mode").unwrap_or_default();
    Some(RoutesConfig {
        unmatched: match text("routes.unmatched")? {
            "unset" => Unmatched::Unset,
            "path" => Unmatched::Path,
            "wildcard" | "" => Unmatched::Wildcard,
            "low-cardinality" => Unmatched::LowCardinality,
            _ => Unmatched::Heuristic,
        },
        patterns: list("routes.patterns"),
        ignored: list("routes.ignored_patterns"),
        ignore_traces: mode != "metrics",
        ignore_metrics: mode != "traces",
        wildcard: text("routes.wildcard_char").unwrap_or("*").to_owned(),
        segments_max: match settings.at("routes.max_path_segment_cardinality").map(|s| &s.value) {
            Some(Value::Int(n)) => usize::try_from(*n).unwrap_or_default(),
            _ => 0,
        },
    })
}
