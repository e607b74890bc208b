//! `service.name` and the other attributes that identify a process.

use std::sync::Arc;

use super::procfs;
use crate::model::process::ProcessImage;
use crate::model::selector::Refinement;
use crate::model::service::{Service, parse_pairs};

/// `service.name` of a process whose executable is not known (semantic conventions, "Service").
const UNKNOWN_SERVICE: &str = "unknown_service";

/// Facts of the host, read once at start.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// `host.name`.
    pub name: String,
    /// `host.id`: the machine id; empty when the host has none.
    pub id: String,
    /// Resource attributes for processes that define none (`OTEL_RESOURCE_ATTRIBUTES` of the
    /// agent itself, as the contract has it).
    pub resource_attributes: Vec<(String, String)>,
}

impl HostFacts {
    /// Reads them.
    pub fn read(resource_attributes: Vec<(String, String)>) -> Self {
        let name = nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .iter()
            .find_map(|path| std::fs::read_to_string(path).ok())
            .map(|id| id.trim().to_owned())
            .unwrap_or_default();
        Self { name, id, resource_attributes }
    }
}

/// The identity of the process. What of its environment the kernel did not capture is read from
/// `/proc`, if it still runs.
pub(super) fn service_of(
    host: &HostFacts,
    refinement: &Refinement,
    ns_tgid: u32,
    exe: &str,
    image: &ProcessImage,
    language: &'static str,
) -> Arc<Service> {
    let from_proc;
    let environ = if image.environ_whole {
        &image.environ
    } else {
        from_proc = procfs::environ(ns_tgid);
        if from_proc.is_empty() { &image.environ } else { &from_proc }
    };
    // A value that starts with `$` is an unexpanded reference of some manifest.
    let name = variable(environ, "OTEL_SERVICE_NAME").filter(|v| !v.starts_with('$'));
    let own = variable(environ, "OTEL_RESOURCE_ATTRIBUTES").map(|v| parse_pairs(&v));
    let extra = own.unwrap_or_else(|| host.resource_attributes.clone());
    let attribute = |key: &str| {
        extra.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.clone()).filter(|v| !v.is_empty())
    };
    let base = exe.trim_end_matches(" (deleted)").rsplit('/').next().unwrap_or_default();
    Arc::new(Service {
        name: name
            .or_else(|| attribute("service.name"))
            .or_else(|| refinement.name.clone())
            .or_else(|| (!base.is_empty()).then(|| base.to_owned()))
            .unwrap_or_else(|| UNKNOWN_SERVICE.to_owned()),
        namespace: attribute("service.namespace")
            .or_else(|| refinement.namespace.clone())
            .unwrap_or_default(),
        instance_id: format!("{}:{ns_tgid}", host.name),
        language,
        host_name: host.name.clone(),
        host_id: host.id.clone(),
        extra,
    })
}

/// The value of `name` in a NUL-separated environment; `None` when unset or empty.
fn variable(environ: &[u8], name: &str) -> Option<String> {
    environ
        .split(|b| *b == 0)
        .filter_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .find(|value| !value.is_empty())
}
