//! Which processes are observed, and what the user calls them.

use std::sync::Arc;

use super::glob::{glob, regex};
use super::key::Key;
use super::keys::{
    AUTO_TARGET_EXE, AUTO_TARGET_LANGUAGE, DEFAULT_EXCLUDE_INSTRUMENT, DEFAULT_EXCLUDE_SERVICES,
    EXCLUDE_INSTRUMENT, EXCLUDE_SERVICES, EXCLUDED_SYSTEM_PATHS, EXECUTABLE_PATH, INSTRUMENT,
    OPEN_PORT, SERVICE_NAME, SERVICE_NAMESPACE, SERVICES, TARGET_PIDS,
};
use super::layers::Settings;
use super::notice::{Notice, NoticeKind};
use super::value::{Fields, Value};
use crate::model::sampler::Sampler;
use crate::model::selector::{Criterion, Numbers, Pattern, Refinement, Selector, Selectors};
use crate::model::service::{RoutePatterns, Signals, Wishes};

/// The dialect that patterns are written in.
type Dialect = fn(&str) -> Result<Pattern, String>;

/// Every process but those that are excluded.
pub(super) fn everything(settings: &Settings) -> Selectors {
    let exclude = [&EXCLUDE_INSTRUMENT, &DEFAULT_EXCLUDE_INSTRUMENT];
    let exclude = exclude.into_iter().flat_map(|key| selectors(settings, key));
    let every = Selector {
        name: "every process".to_owned(),
        criteria: Vec::new(),
        refinement: Refinement::default(),
    };
    Selectors { include: vec![every], exclude: exclude.collect() }
}

/// Which processes are observed; `None` when nothing chooses any.
pub(super) fn read(settings: &Settings, notices: &mut Vec<Notice>) -> Option<Selectors> {
    let own = |key| !items(settings, key).is_empty();
    let by_glob = own(&INSTRUMENT) || own(&EXCLUDE_INSTRUMENT);
    let by_regex = (own(&SERVICES) || own(&EXCLUDE_SERVICES)) && !by_glob;
    let exclude = match by_regex {
        true => [&EXCLUDE_SERVICES, &DEFAULT_EXCLUDE_SERVICES],
        false => [&EXCLUDE_INSTRUMENT, &DEFAULT_EXCLUDE_INSTRUMENT],
    };
    let list = |key: &Key| selectors(settings, key);
    let exclude = exclude.into_iter().flat_map(list).collect();
    let mut include = match by_regex {
        _ if settings.is_set(&TARGET_PIDS) => Vec::new(),
        true => list(&SERVICES),
        false => list(&INSTRUMENT),
    };
    let plain = plain(settings, by_regex, own(&INSTRUMENT));
    include.extend(plain);
    notices.extend(left_aside(settings, by_regex));
    (!include.is_empty()).then_some(Selectors { include, exclude })
}

/// Beginnings of paths of executables whose language is not looked for.
pub(super) fn excluded_system_paths(settings: &Settings) -> Vec<String> {
    match settings.get(&EXCLUDED_SYSTEM_PATHS) {
        Some(Value::List(paths)) => paths.clone(),
        _ => Vec::new(),
    }
}

/// What the settings outside of `discovery` choose.
fn plain(settings: &Settings, by_regex: bool, beside_globs: bool) -> Option<Selector> {
    let number = |key| match settings.get(key) {
        Some(Value::Numbers(numbers)) => Some((key, numbers.clone())),
        _ => None,
    };
    let pattern = |key, dialect: Dialect| Some((key, dialect(settings.text(key)?).ok()?));
    let mut keys: Vec<&Key> = Vec::new();
    let mut criteria = Vec::new();
    if let Some((key, pids)) = number(&TARGET_PIDS) {
        keys.push(key);
        criteria.push(Criterion::TargetPids(pids));
    } else {
        if let Some((key, ports)) = number(&OPEN_PORT) {
            keys.push(key);
            criteria.push(Criterion::OpenPorts(ports));
        }
        let new_exe = pattern(&AUTO_TARGET_EXE, glob).filter(|_| !by_regex);
        let language = pattern(&AUTO_TARGET_LANGUAGE, glob).filter(|_| !by_regex);
        let old = by_regex || !beside_globs && new_exe.is_none() && language.is_none();
        let old_exe = pattern(&EXECUTABLE_PATH, regex).filter(|_| old);
        for (key, exe) in [new_exe, old_exe].into_iter().flatten() {
            keys.push(key);
            criteria.push(Criterion::ExePath(exe));
        }
        if let Some((key, language)) = language {
            keys.push(key);
            criteria.push(Criterion::Languages(language));
        }
    }
    let name = |key: &&Key| settings.setting(key).map(|s| s.origin.name(s.key));
    let names: Vec<&str> = keys.iter().filter_map(name).collect();
    let text = |key| settings.text(key).map(str::to_owned);
    let refinement = Refinement {
        name: text(&SERVICE_NAME),
        namespace: text(&SERVICE_NAMESPACE),
        ..Refinement::default()
    };
    (!criteria.is_empty()).then(|| Selector { name: names.join(" and "), criteria, refinement })
}

/// Settings that choose processes and are not asked, because others are.
fn left_aside(settings: &Settings, by_regex: bool) -> Vec<Notice> {
    let pids = settings.is_set(&TARGET_PIDS);
    let instrument = !items(settings, &INSTRUMENT).is_empty();
    let newer =
        instrument || settings.is_set(&AUTO_TARGET_EXE) || settings.is_set(&AUTO_TARGET_LANGUAGE);
    let excluded = !items(settings, &EXCLUDE_INSTRUMENT).is_empty();
    let unasked: [(&Key, bool, &str); 7] = [
        (&INSTRUMENT, pids, "target_pids"),
        (&SERVICES, pids, "target_pids"),
        (
            &SERVICES,
            !by_regex && (instrument || excluded),
            "discovery.instrument or exclude_instrument",
        ),
        (&EXCLUDE_SERVICES, !by_regex, "discovery.instrument or exclude_instrument"),
        (&EXECUTABLE_PATH, !by_regex && newer, "discovery.instrument or OTEL_EBPF_AUTO_TARGET_EXE"),
        (&AUTO_TARGET_EXE, by_regex, "discovery.services"),
        (&AUTO_TARGET_LANGUAGE, by_regex, "discovery.services"),
    ];
    let set = |key: &Key| match settings.get(key) {
        Some(Value::Items(items)) => !items.is_empty(),
        _ => settings.is_set(key),
    };
    let unasked = unasked.into_iter().filter(|(key, aside, _)| *aside && set(key));
    unasked
        .filter_map(|(key, _, instead)| {
            let origin = &settings.setting(key)?.origin;
            let text = format!("{} has no effect beside {instead}", origin.name(key));
            Some(Notice { line: origin.line(), text, kind: NoticeKind::Surprise })
        })
        .collect()
}

fn items<'a>(settings: &'a Settings, key: &Key) -> &'a [Fields] {
    match settings.get(key) {
        Some(Value::Items(items)) => items,
        _ => &[],
    }
}

/// The selectors of a list. One without a criterion would choose everything, and is left out.
fn selectors(settings: &Settings, key: &Key) -> Vec<Selector> {
    let selector = |(i, fields): (usize, &Fields)| Selector {
        name: format!("{}[{i}]", key.path),
        criteria: criteria_of(key.path, fields),
        refinement: refinement(fields),
    };
    let all = items(settings, key).iter().enumerate().map(selector);
    all.filter(|selector| !selector.criteria.is_empty()).collect()
}

/// What an entry of the list at `path` asks of a process.
pub(super) fn criteria_of(path: &str, fields: &Fields) -> Vec<Criterion> {
    criteria(fields, if path.ends_with("services") { regex } else { glob })
}

fn criteria(fields: &Fields, dialect: Dialect) -> Vec<Criterion> {
    let mut criteria = Vec::new();
    for (name, value) in &fields.values {
        let name: &'static str = name;
        match value {
            Value::Numbers(ports) => criteria.push(Criterion::OpenPorts(ports.clone())),
            Value::Ints(pids) => {
                let pids = pids.iter().filter_map(|pid| u32::try_from(*pid).ok());
                criteria.push(Criterion::TargetPids(Numbers::new(
                    pids.map(|pid| (pid, pid)).collect(),
                )));
            }
            Value::Bool(true) => criteria.push(Criterion::ContainersOnly),
            Value::Text(text) if !text.is_empty() => {
                criteria.extend(by_text(name, text, fields, dialect));
            }
            Value::Map(labels) => criteria.extend(labels.iter().filter_map(|(label, pattern)| {
                let Value::Text(pattern) = pattern else { return None };
                Some(Criterion::Label(name, label.clone(), dialect(pattern).ok()?))
            })),
            _ => {}
        }
    }
    // What costs a look at the process comes last.
    criteria.sort_by_key(|criterion| match criterion {
        Criterion::TargetPids(_) | Criterion::OpenPorts(_) => 0,
        Criterion::ExePath(_) => 1,
        Criterion::Metadata(..) | Criterion::Label(..) => 2,
        Criterion::ContainersOnly | Criterion::CmdArgs(_) => 3,
        Criterion::Languages(_) => 4,
    });
    criteria
}

fn by_text(name: &'static str, text: &str, fields: &Fields, dialect: Dialect) -> Option<Criterion> {
    match name {
        "exe_path" => dialect(text).ok().map(Criterion::ExePath),
        "exe_path_regexp" if fields.get("exe_path").is_none() => {
            regex(text).ok().map(Criterion::ExePath)
        }
        "cmd_args" => dialect(text).ok().map(Criterion::CmdArgs),
        "languages" => dialect(text).ok().map(Criterion::Languages),
        "container_name" => dialect(text).ok().map(|p| Criterion::Metadata(name, p)),
        _ if name.starts_with("k8s_") => dialect(text).ok().map(|p| Criterion::Metadata(name, p)),
        _ => None,
    }
}

fn refinement(fields: &Fields) -> Refinement {
    let text = |name| match fields.get(name) {
        Some(Value::Text(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let list = |name| match fields.get(name) {
        Some(Value::List(words)) => Some(words.as_slice()),
        _ => None,
    };
    let signals = list("exports").map(|signals| Signals {
        traces: signals.iter().any(|signal| signal == "traces"),
        metrics: signals.iter().any(|signal| signal == "metrics"),
    });
    let sampler = text("sampler.name").map(|name| {
        // What is no ratio is told by the rules.
        Sampler::named(&name, &text("sampler.arg").unwrap_or_default()).unwrap_or_default()
    });
    let patterns = |name| list(name).map(<[String]>::to_vec);
    let routes = [patterns("routes.incoming"), patterns("routes.outgoing")];
    let routes = routes.iter().any(Option::is_some).then(|| {
        let [incoming, outgoing] = routes.map(Option::unwrap_or_default);
        Arc::new(RoutePatterns { incoming, outgoing })
    });
    let features = list("metrics.features").map(|names| super::metrics::features(names).into());
    let wishes = Wishes { signals, sampler, features, routes };
    Refinement { name: text("name"), namespace: text("namespace"), wishes }
}
