//! What becomes of each old name.

use super::super::document::{Content, Entry, Node};
use super::super::keys::REMOVED;
use super::super::layers::Settings;
use super::super::rules::{Plan, features};
use super::super::value::Value;
use super::edits::Edits;

type Step = fn(&Settings, &mut Edits<'_>);

pub(super) const STEPS: &[Step] = &[
    without_effect,
    renamed_feature,
    metric_families,
    labels_of_names,
    propagation,
    selectors,
    names_of_services,
];

/// Not to be decided here: where it stands elsewhere as well, or depends on a variable.
const BY_HAND: &str = "an alias or a placeholder is involved";

/// Names that have no effect any more. What took their place would have one, so that it is not put
/// in.
fn without_effect(_: &Settings, edits: &mut Edits<'_>) {
    for (old, new) in REMOVED {
        let Some((map, entry)) = edits.find(old) else { continue };
        let what = format!("{old} has no effect any more");
        if *old == "discovery.rules" || !edits.is_alone(map, entry) {
            edits.left.push((entry.line, format!("{what}; write {new}")));
        } else {
            edits.remove(map, entry);
            edits
                .done
                .push((entry.line, format!("{what}, and is taken out; what it did is {new}")));
        }
    }
}

/// Every list of features that stands in the document.
const FEATURES: [&str; 3] =
    ["metrics.features", "otel_metrics_export.features", "prometheus_export.features"];

fn renamed_feature(_: &Settings, edits: &mut Edits<'_>) {
    let lists = ["discovery.instrument", "discovery.services"].into_iter();
    let own = lists.filter_map(|path| match &edits.find(path)?.1.value.content {
        Content::List(items) => Some(items),
        _ => None,
    });
    let own = own.flatten().filter_map(|item| below(item, &["metrics", "features"]));
    let common = FEATURES.iter().filter_map(|path| edits.find(path)).map(|(_, e)| &e.value);
    let lists: Vec<&Node> = own.chain(common).collect();
    for list in lists {
        let Content::List(items) = &list.content else { continue };
        for item in items.iter().filter(|item| scalar(item) == Some("application_jvm")) {
            match item.aliased {
                true => edits.left.push((item.line, format!("application_jvm: {BY_HAND}"))),
                false => edits.replace(item.span.clone(), "application_runtime"),
            }
        }
    }
}

/// What stands for a metric family in the document.
struct Families<'a> {
    otlp: Option<(&'a Node, &'a Entry)>,
    prometheus: Option<(&'a Node, &'a Entry)>,
    enable: Option<(&'a Node, &'a Entry)>,
    newest: Option<(&'a Node, &'a Entry)>,
    enabled: bool,
    plan: Plan,
}

impl<'a> Families<'a> {
    fn of(settings: &Settings, edits: &Edits<'a>) -> Self {
        let enabled = settings.at("network.enable").map(|s| &s.value);
        Self {
            otlp: edits.find(FEATURES[1]),
            prometheus: edits.find(FEATURES[2]),
            enable: edits.find("network.enable"),
            newest: edits.find(FEATURES[0]),
            enabled: matches!(enabled, Some(Value::Bool(true))),
            plan: Plan::of(settings),
        }
    }

    fn old(&self) -> impl Iterator<Item = (&'a Node, &'a Entry)> {
        [self.otlp, self.prometheus, self.enable].into_iter().flatten()
    }

    /// Why it is not to be decided here.
    fn by_hand(&self, settings: &Settings, edits: &Edits<'_>) -> Option<(usize, String)> {
        let mut all = self.old().chain(self.newest);
        if let Some((_, entry)) = all.find(|(map, entry)| !edits.is_plain(map, entry)) {
            return Some((entry.line, format!("{}: {BY_HAND}; write metrics.features", entry.key)));
        }
        let counts = features(settings, &self.plan).0.map(|setting| setting.key.path);
        let lists = [(FEATURES[1], self.otlp), (FEATURES[2], self.prometheus)];
        if counts == Some(FEATURES[0])
            && let Some((path, (_, entry))) =
                lists.into_iter().find_map(|(path, list)| Some((path, list?)))
        {
            let why = "counts only where its exporter is set up, which it is not here; write \
                       metrics.features";
            return Some((entry.line, format!("{path} {why}")));
        }
        let (_, enable) = self.enable.filter(|_| self.enabled)?;
        let why = "is the only way to have flows without an exporter of metrics; set \
                   otel_metrics_export.endpoint or prometheus_export.port, and write network in \
                   metrics.features";
        let alone = !self.plan.otlp_metrics && !self.plan.prometheus;
        alone.then(|| (enable.line, format!("network.enable {why}")))
    }
}

/// `network.enable` and the lists of each exporter, put into `metrics.features`.
fn metric_families(settings: &Settings, edits: &mut Edits<'_>) {
    let families = Families::of(settings, edits);
    if families.old().next().is_none() {
        return;
    }
    if let Some(left) = families.by_hand(settings, edits) {
        edits.left.push(left);
        return;
    }
    let mut names: Vec<&str> =
        features(settings, &families.plan).1.iter().map(String::as_str).collect();
    let has_network = |name: &&str| name.starts_with("network") || matches!(*name, "all" | "*");
    let add = families.enabled && !names.iter().any(has_network);
    names.extend(add.then_some("network"));
    for (map, entry) in families.old() {
        edits.remove(map, entry);
    }
    if add || families.otlp.is_some() || families.prometheus.is_some() {
        let names: Vec<&str> = names.into_iter().map(word).collect();
        let list = format!("features: [{}]", names.join(", "));
        match families.newest {
            Some((_, entry)) => edits.replace(entry.span.start..entry.value.span.end, list),
            None => edits.insert("metrics", &list),
        }
    }
}

/// As YAML has it; under its name of today.
fn word(name: &str) -> &str {
    match name {
        "*" => "'*'",
        "application_jvm" => "application_runtime",
        name => name,
    }
}

/// `meta_source_labels` become the first of `resource_labels`.
fn labels_of_names(settings: &Settings, edits: &mut Edits<'_>) {
    const OLD: &str = "attributes.kubernetes.meta_source_labels";
    let Some((map, section)) = edits.find(OLD) else { return };
    let Content::Map(entries) = &section.value.content else { return };
    let newer = edits.find("attributes.kubernetes.resource_labels").is_some();
    let whole = !map.aliased && entries.iter().all(|e| edits.is_plain(&section.value, e));
    if newer || !whole {
        let line = section.line;
        let why = "write its labels in front of those of attributes.kubernetes.resource_labels";
        edits.left.push((line, format!("{OLD}: {why}")));
        return;
    }
    edits.rename(section, "resource_labels");
    for entry in entries {
        let name = match entry.key.as_str() {
            "service_name" => "service.name",
            "service_namespace" => "service.namespace",
            _ => continue,
        };
        let label = edits.written(&entry.value.span).trim();
        if scalar(&entry.value).is_none_or(str::is_empty) {
            edits.remove(&section.value, entry);
            continue;
        }
        let mut labels = vec![label.to_owned()];
        if let Some(Value::Map(all)) =
            settings.at("attributes.kubernetes.resource_labels").map(|s| &s.value)
            && let Some((_, Value::List(list))) = all.iter().find(|(other, _)| other == name)
        {
            labels.extend(list.iter().cloned());
        }
        edits.rename(entry, name);
        edits.replace(entry.value.span.clone(), format!("[{}]", labels.join(", ")));
    }
}

/// `ip` has no effect, and `http` is called `headers`.
fn propagation(_: &Settings, edits: &mut Edits<'_>) {
    let Some((map, entry)) = edits.find("ebpf.context_propagation") else { return };
    let Some(written) = scalar(&entry.value) else { return };
    let words: Vec<&str> = written.split(',').map(str::trim).collect();
    if !words.iter().any(|word| matches!(*word, "ip" | "http")) {
        return;
    }
    if !edits.is_plain(map, entry) {
        edits.left.push((entry.line, format!("ebpf.context_propagation: {BY_HAND}")));
        return;
    }
    let mut kept: Vec<&str> = Vec::new();
    for word in words.into_iter().filter(|word| *word != "ip") {
        let word = if word == "http" { "headers" } else { word };
        if !kept.contains(&word) {
            kept.push(word);
        }
    }
    let kept = if kept.is_empty() { "disabled".to_owned() } else { kept.join(",") };
    edits.replace(entry.value.span.clone(), kept);
}

const LISTS: [(&str, &str); 3] = [
    ("discovery.services", "instrument"),
    ("discovery.exclude_services", "exclude_instrument"),
    ("discovery.default_exclude_services", "default_exclude_instrument"),
];

/// Criteria that are the same in both dialects, and what is no criterion.
const SAME: [&str; 9] = [
    "open_ports",
    "target_pids",
    "containers_only",
    "exports",
    "sampler",
    "routes",
    "metrics",
    "name",
    "namespace",
];

/// Lists of regular expressions. Where there is none in them, only their names change.
fn selectors(_: &Settings, edits: &mut Edits<'_>) {
    let old: Vec<_> = LISTS.iter().filter_map(|(p, n)| Some((*p, *n, edits.find(p)?))).collect();
    let mut by_hand = Vec::new();
    for (path, new, (map, entry)) in &old {
        if map.aliased || entry.value.aliased {
            by_hand.push((entry.line, format!("{path}: {BY_HAND}; write discovery.{new}")));
        }
        let Content::List(items) = &entry.value.content else { continue };
        for (i, item) in items.iter().enumerate() {
            let Content::Map(fields) = &item.content else { continue };
            for field in fields.iter().filter(|field| !SAME.contains(&field.key.as_str())) {
                let name = if field.key == "exe_path_regexp" { "exe_path" } else { &field.key };
                let glob = scalar(&field.value).and_then(glob_of);
                let hint = glob.map(|glob| format!(", perhaps '{glob}'")).unwrap_or_default();
                by_hand.push((
                    field.line,
                    format!(
                        "{path}[{i}].{} is a regular expression; write it as a glob{hint}, in {name} \
                         of discovery.{new}",
                        field.key
                    ),
                ));
            }
        }
    }
    if let Some((_, entry)) = edits.find("executable_path") {
        let glob = scalar(&entry.value).and_then(glob_of);
        let hint = glob.map(|glob| format!(", perhaps '{glob}'")).unwrap_or_default();
        let why = format!("write it as a glob{hint}, in exe_path of discovery.instrument");
        by_hand.push((entry.line, format!("executable_path is a regular expression; {why}")));
    }
    let newer = ["discovery.instrument", "discovery.exclude_instrument"];
    let beside = newer.iter().find(|path| edits.find(path).is_some());
    let asked = old.iter().any(|(path, ..)| !path.contains("default"));
    for (path, new, (_, entry)) in old.iter().filter(|_| by_hand.is_empty()) {
        match beside {
            Some(beside) => {
                let why = format!("{path} has no effect beside {beside}; take it out");
                edits.left.push((entry.line, why));
            }
            None if !asked => {
                let why =
                    format!("{path} has no effect here; take it out, or write discovery.{new}");
                edits.left.push((entry.line, why));
            }
            None => edits.rename(entry, new),
        }
    }
    edits.left.extend(by_hand);
}

/// What a service is called, its own environment says.
fn names_of_services(_: &Settings, edits: &mut Edits<'_>) {
    const NAME: &str = "set OTEL_SERVICE_NAME in the environment of the observed process";
    const NAMESPACE: &str = "set service.namespace in OTEL_RESOURCE_ATTRIBUTES in the environment of the observed process";
    let top = [("service_name", NAME), ("service_namespace", NAMESPACE)];
    for (path, advice) in top {
        if let Some((_, entry)) = edits.find(path) {
            edits.left.push((entry.line, format!("{path} has no new name; {advice}")));
        }
    }
    for path in ["discovery.instrument", "discovery.services"] {
        let Some((_, entry)) = edits.find(path) else { continue };
        let Content::List(items) = &entry.value.content else { continue };
        for (i, item) in items.iter().enumerate() {
            let Content::Map(fields) = &item.content else { continue };
            for (name, advice) in [("name", NAME), ("namespace", NAMESPACE)] {
                for field in fields.iter().filter(|field| field.key == name) {
                    let why = format!("{path}[{i}].{name} has no new name; {advice}");
                    edits.left.push((field.line, why));
                }
            }
        }
    }
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.content {
        Content::Plain(text) | Content::Quoted(text) => Some(text),
        _ => None,
    }
}

fn below<'a>(node: &'a Node, path: &[&str]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, name| match &node.content {
        Content::Map(entries) => entries.iter().find(|e| e.key == *name).map(|e| &e.value),
        _ => None,
    })
}

/// The glob that means the same, where the expression is plain: literal text, `.*`, `^`, `$`.
fn glob_of(regex: &str) -> Option<String> {
    let (anchored, rest) = match regex.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, regex),
    };
    let (rest, ended) = match rest.strip_suffix('$').filter(|rest| !rest.ends_with('\\')) {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let mut glob = if anchored { String::new() } else { "*".to_owned() };
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '.' if chars.next_if_eq(&'*').is_some() => glob.push('*'),
            '\\' => glob.push(chars.next().filter(|c| matches!(c, '.' | '-' | '/' | '+'))?),
            c if c.is_alphanumeric() || "/-_ @:,=".contains(c) => glob.push(c),
            _ => return None,
        }
    }
    if !ended {
        glob.push('*');
    }
    while glob.contains("**") {
        glob = glob.replace("**", "*");
    }
    Some(glob)
}
