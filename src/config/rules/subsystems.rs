//! What is on, what it needs, and whether this version can do any of it.

use super::super::keys::{OTLP_ENDPOINT, TRACE_PRINTER, TRACES_ENDPOINT};
use super::super::layers::{Remarks, Setting, Settings};
use super::super::value::Value;
use super::{at, is_true, number, set, text};

/// What a configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct Plan {
    /// Processes are chosen.
    pub(in crate::config) application: bool,
    /// Flows are observed.
    pub(in crate::config) network: bool,
    /// TCP statistics are taken.
    pub(in crate::config) stats: bool,
    /// Spans are printed.
    pub(in crate::config) printer: bool,
    /// Spans are sent.
    pub(in crate::config) traces: bool,
    /// Metrics are sent.
    pub(in crate::config) otlp_metrics: bool,
    /// Metrics are fetched.
    pub(in crate::config) prometheus: bool,
}

/// Settings that choose processes.
const SELECTORS: [&str; 7] = [
    "open_port",
    "environment.auto_target_exe",
    "environment.auto_target_language",
    "executable_path",
    "target_pids",
    "discovery.instrument",
    "discovery.services",
];

impl Plan {
    /// What turns what on stands in the contract's section 8.2.
    pub(in crate::config) fn of(settings: &Settings) -> Self {
        let chooses = |path| match at(settings, path).map(|setting| &setting.value) {
            Some(Value::Items(items)) => !items.is_empty(),
            Some(Value::Text(text)) => !text.is_empty(),
            other => other.is_some(),
        };
        let common = settings.text(&OTLP_ENDPOINT).is_some();
        let mut plan = Self {
            application: SELECTORS.iter().any(|path| chooses(path)),
            network: is_true(settings, "network.enable"),
            stats: false,
            printer: settings.text(&TRACE_PRINTER).is_some_and(|printer| printer != "disabled"),
            traces: common || settings.text(&TRACES_ENDPOINT).is_some(),
            otlp_metrics: common || text(settings, "otel_metrics_export.endpoint").is_some(),
            prometheus: number(settings, "prometheus_export.port") != 0,
        };
        let of = |prefix: &str| {
            let (_, features) = features(settings, &plan);
            features.iter().any(|name| name.starts_with(prefix) || is_all(name))
        };
        let (network, stats) = (of("network"), of("stats"));
        plan.network |= plan.has_metrics() && network;
        plan.stats = plan.has_metrics() && stats;
        plan
    }

    fn has_metrics(&self) -> bool {
        self.otlp_metrics || self.prometheus
    }

    /// Whether anything is to be observed.
    pub(in crate::config) fn observes(&self) -> bool {
        self.application || self.network || self.stats
    }

    /// Whether spans, or what is made of them, go anywhere.
    pub(in crate::config) fn exports(&self) -> bool {
        self.printer || self.traces || self.has_metrics()
    }

    /// What it asks for and this version cannot do, if that is everything: an agent that ran on
    /// would do nothing, and nobody would see. Whatever is built next leaves this list.
    pub(in crate::config) fn unable(&self) -> Option<String> {
        let able = self.application && self.exports();
        let missing = [(self.network, "flows (network)"), (self.stats, "TCP statistics (stats)")];
        let missing: Vec<&str> =
            missing.into_iter().filter(|(asked, _)| *asked).map(|(_, name)| name).collect();
        let what = match missing.len() {
            0 => return None,
            _ if able => return None,
            1 => "is",
            _ => "are",
        };
        Some(format!(
            "nothing would be done: {} {what} not there yet, and nothing else is asked for; to see \
             spans, choose processes and set {} to text, or {} to the URL of an OTLP receiver",
            missing.join(", "),
            TRACE_PRINTER.vars.first().unwrap_or(&""),
            OTLP_ENDPOINT.name()
        ))
    }
}

fn is_all(feature: &str) -> bool {
    matches!(feature, "all" | "*")
}

/// Metric families that count, and the setting that says so: the deprecated lists go before the
/// common one (the contract's section 8.3).
pub(in crate::config) fn features<'a>(
    settings: &'a Settings,
    plan: &Plan,
) -> (Option<&'a Setting>, &'a [String]) {
    let old = |path, on| set(settings, path).filter(|_| on);
    let setting = old("otel_metrics_export.features", plan.otlp_metrics)
        .or_else(|| old("prometheus_export.features", plan.prometheus))
        .or_else(|| at(settings, "metrics.features"));
    match setting.map(|setting| &setting.value) {
        Some(Value::List(names)) => (setting, names),
        _ => (setting, &[]),
    }
}

/// `network.enable` turns flows on without asking where they go; statistics have no such switch,
/// so that they always have an exporter.
pub(super) fn flows_need_an_exporter(settings: &Settings, plan: &Plan, remarks: &mut Remarks) {
    if plan.network && !plan.has_metrics() && !is_true(settings, "network.print_flows") {
        let why = "flows go nowhere: at least one exporter is needed; set \
                   otel_metrics_export.endpoint, prometheus_export.port or network.print_flows";
        if let Some(setting) = at(settings, "network.enable") {
            remarks.wrong(settings, setting.key, why);
        }
    }
}

/// Both listed by name are an error; by `all` the older one is left out.
pub(super) fn one_kind_of_span_metrics(settings: &Settings, plan: &Plan, remarks: &mut Remarks) {
    let (Some(setting), names) = features(settings, plan) else { return };
    if !plan.application || !plan.has_metrics() {
        return;
    }
    let has = |name: &str| names.iter().any(|other| other == name);
    if names.iter().any(|name| is_all(name)) {
        let why = "has application_span_otel in it, and leaves out application_span, the older \
                   names of the same metrics";
        remarks.surprise(setting, why);
    } else if has("application_span") && has("application_span_otel") {
        let why = "application_span and application_span_otel are the same metrics by two names; \
                   keep one";
        remarks.wrong(settings, setting.key, why);
    }
}

pub(super) fn internal_metrics_have_one_way_out(
    settings: &Settings,
    plan: &Plan,
    remarks: &mut Remarks,
) {
    let port = number(settings, "internal_metrics.prometheus.port");
    let Some(setting) = at(settings, "internal_metrics.exporter") else { return };
    match text(settings, "internal_metrics.exporter") {
        Some("otel") => {}
        Some("prometheus") if port == 0 && !plan.prometheus => {
            let why = "has no port to be fetched from, and nobody gets the agent's own metrics: set \
                       internal_metrics.prometheus.port";
            return remarks.surprise(setting, why);
        }
        _ => return,
    }
    if port != 0 {
        let why = "cannot be used together with internal_metrics.prometheus.port";
        remarks.wrong(settings, setting.key, format!("{why} ({port})"));
    }
    if !plan.otlp_metrics {
        let why = "needs OTLP metrics: set otel_metrics_export.endpoint";
        remarks.wrong(settings, setting.key, why);
    }
}
