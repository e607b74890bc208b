//! Settings that have a better one.

use super::super::key::Key;
use super::super::layers::{Remarks, Setting, Settings};
use super::super::notice::{Notice, NoticeKind, Origin};
use super::super::value::Value;
use super::Plan;

pub(super) fn has_a_better_one(settings: &Settings, _: &Plan, remarks: &mut Remarks) {
    let mut say = |line, name: &str, instead: &str| {
        let text = format!("{name} is deprecated; write {instead}");
        remarks.notices.push(Notice { line, text, kind: NoticeKind::Deprecated });
    };
    for setting in settings.all().filter(|setting| settings.is_set(setting.key)) {
        let Setting { key, value, origin, .. } = setting;
        if !key.instead.is_empty() {
            say(origin.line(), origin.name(key), key.instead);
        } else if let Origin::Variable(name) = origin
            && let Some(newer) = newer(name)
        {
            say(0, name, &newer);
        }
        let fields = |keys: &'static [Key], name: &str| keys.iter().find(|key| key.path == name);
        if let (Value::Items(items), Some(keys)) = (value, key.kind.keys()) {
            for (i, item) in items.iter().enumerate() {
                let old = item.values.iter().filter_map(|(name, _)| fields(keys, name));
                for old in old.filter(|old| !old.instead.is_empty()) {
                    say(item.line, &format!("{}[{i}].{}", key.path, old.path), old.instead);
                }
            }
        }
    }
}

/// The newer name of a variable that has one.
fn newer(name: &str) -> Option<String> {
    Some(match name {
        "OTEL_GO_AUTO_TARGET_EXE" => "OTEL_EBPF_AUTO_TARGET_EXE".to_owned(),
        "OTEL_EBPF_METRIC_FEATURES" => "OTEL_EBPF_METRICS_FEATURES".to_owned(),
        _ => {
            let rest = name.strip_prefix("OTEL_EBPF_NETWORK_")?;
            let moved = rest.starts_with("REVERSE_DNS_") || rest.starts_with("GEOIP_");
            return moved.then(|| format!("OTEL_EBPF_{rest}"));
        }
    })
}
