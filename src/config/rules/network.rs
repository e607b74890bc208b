//! Flows.

use super::super::glob::regex;
use super::super::layers::{Remarks, Settings};
use super::{Plan, list, set};

/// `/…/` is a regular expression, anything else a name.
pub(super) fn interfaces_are_names_or_expressions(
    settings: &Settings,
    _: &Plan,
    remarks: &mut Remarks,
) {
    for path in ["network.interfaces", "network.exclude_interfaces"] {
        let Some(setting) = set(settings, path) else { continue };
        for (i, written) in list(settings, path).iter().enumerate() {
            let inner = written.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
            if let Some(Err(must)) = inner.map(regex) {
                let name = setting.origin.name(setting.key);
                let shown = if setting.secret { String::new() } else { format!(" = {written}") };
                let why = format!("{name}[{i}]{shown}: {must} between the slashes");
                remarks.wrong_at(setting.origin.line(), why);
            }
        }
    }
}
