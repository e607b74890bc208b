//! What is valid, and not what one would expect.

use super::super::layers::{Remarks, Settings};
use super::super::names;
use super::super::value::{Fields, Value};
use super::{Plan, at, items, map, number, set, text};

/// Bodies are only seen where there is room for them.
pub(super) fn bodies_need_a_buffer(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    let inner = |path: &str| {
        let name = path.strip_prefix("ebpf.payload_extraction.http.")?;
        name.strip_suffix(".enabled").map(str::to_owned)
    };
    let on = settings.all().filter(|setting| setting.value == Value::Bool(true));
    let on: Vec<_> = on.filter_map(|setting| Some((setting, inner(setting.key.path)?))).collect();
    if let (Some((setting, _)), 0) = (on.first(), number(settings, "ebpf.buffer_sizes.http")) {
        let names: Vec<&str> = on.iter().map(|(_, name)| name.as_str()).collect();
        let why = format!(
            "sees no bodies while ebpf.buffer_sizes.http is 0 (of ebpf.payload_extraction.http: {})",
            names.join(", ")
        );
        remarks.surprise(setting, why);
    }
}

pub(super) fn own_interval_beats_the_standard_one(
    settings: &Settings,
    _: &Plan,
    remarks: &mut Remarks,
) {
    if number(settings, "otel_metrics_export.interval") != 0
        && let Some(standard) = set(settings, "environment.metric_export_interval")
    {
        remarks.surprise(standard, "has no effect beside otel_metrics_export.interval");
    }
}

pub(super) fn config_is_printed_in_a_known_form(
    settings: &Settings,
    _: &Plan,
    remarks: &mut Remarks,
) {
    if let Some(setting) = set(settings, "log_config")
        && text(settings, "log_config").is_some_and(|form| !matches!(form, "yaml" | "json"))
    {
        remarks.surprise(setting, "is neither yaml nor json, so that nothing is printed");
    }
}

const FALLS_BACK: &str = "is no ratio from 0 to 1: parentbased_always_on is used";

pub(super) fn sampler_ratio_is_a_number(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    let needs = |name: Option<&str>| name.is_some_and(|name| name.ends_with("traceidratio"));
    let is_no_ratio = |text: &str| !text.is_empty() && text.parse::<f64>().is_err();
    let ratio = text(settings, "otel_traces_export.sampler.arg");
    if needs(text(settings, "otel_traces_export.sampler.name"))
        && ratio.is_some_and(is_no_ratio)
        && let Some(setting) = at(settings, "otel_traces_export.sampler.arg")
    {
        remarks.surprise(setting, FALLS_BACK);
    }
    let own = |fields: &Fields| {
        let text = |name| match fields.get(name) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        needs(text("sampler.name").as_deref())
            && text("sampler.arg").is_some_and(|ratio| is_no_ratio(&ratio))
    };
    for path in ["discovery.instrument", "discovery.services"] {
        for (i, fields) in items(settings, path).iter().enumerate().filter(|(_, f)| own(f)) {
            let text = format!("{path}[{i}].sampler.arg {FALLS_BACK}");
            remarks.surprise_at(fields.line, text);
        }
    }
}

/// A glob is of the whole path: one that begins otherwise matches none.
pub(super) fn globs_are_of_whole_paths(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    let no_path =
        |glob: &str| !glob.is_empty() && !glob.starts_with(['/', '*', '?', '[', '{', '\\']);
    let why =
        |glob: &str| format!("{glob:?} matches no path, which begin with /: write \"*/{glob}\"");
    let plain = "environment.auto_target_exe";
    if let (Some(setting), Some(glob)) = (set(settings, plain), text(settings, plain))
        && no_path(glob)
    {
        remarks.surprise(setting, why(glob));
    }
    for path in ["discovery.instrument", "discovery.exclude_instrument"] {
        for (i, fields) in items(settings, path).iter().enumerate() {
            if let Some(Value::Text(glob)) = fields.get("exe_path")
                && no_path(glob)
            {
                remarks.surprise_at(fields.line, format!("{path}[{i}].exe_path {}", why(glob)));
            }
        }
    }
}

pub(super) fn ratio_has_a_sampler(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    if let (Some(setting), None) = (
        set(settings, "otel_traces_export.sampler.arg"),
        set(settings, "otel_traces_export.sampler.name"),
    ) {
        remarks.surprise(setting, "has no effect without otel_traces_export.sampler.name");
    }
}

/// Nothing else is remembered.
pub(super) fn names_are_remembered_where_dns_is_asked(
    settings: &Settings,
    _: &Plan,
    remarks: &mut Remarks,
) {
    if names::sources(settings).any(names::is_dns) {
        return;
    }
    for path in ["name_resolver.cache_len", "name_resolver.cache_expiry"] {
        if let Some(setting) = set(settings, path) {
            remarks.surprise(setting, "has no effect without dns in name_resolver.sources");
        }
    }
}

pub(super) fn propagation_over_ip_is_gone(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    let written = text(settings, "ebpf.context_propagation").unwrap_or_default();
    if written.split(',').any(|word| word.trim() == "ip")
        && let Some(setting) = set(settings, "ebpf.context_propagation")
    {
        remarks.surprise(setting, "has `ip` in it, which has no effect any more");
    }
}

pub(super) fn groups_of_attributes_are_known(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    const GROUPS: [&str; 1] = ["k8s_app_meta"];
    let path = "attributes.extra_group_attributes";
    let Some(setting) = set(settings, path) else { return };
    let unknown = map(settings, path).iter().filter(|(name, _)| !GROUPS.contains(&name.as_str()));
    for (name, _) in unknown {
        let why =
            format!("has a group {name:?}, which has no effect: {} is there", GROUPS.join(", "));
        remarks.surprise(setting, why);
    }
}
