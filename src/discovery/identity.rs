//! `service.name` and the other attributes that identify a process.

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

/// What a process says of itself by its environment. Read once: a process may write its title over
/// what it was started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// `OTEL_SERVICE_NAME`.
    name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    attributes: Option<Vec<(String, String)>>,
}

impl Told {
    /// Of a process that runs `image`. What of its environment the kernel did not capture is read
    /// from `/proc`, if it still runs.
    pub(super) fn by(ns_tgid: u32, image: &ProcessImage) -> Self {
        if image.environ_whole {
            return Self::of(&image.environ);
        }
        let environ = procfs::environ(ns_tgid);
        Self::of(if environ.is_empty() { &image.environ } else { &environ })
    }

    fn of(environ: &[u8]) -> Self {
        Self {
            // A value that starts with `$` is an unexpanded reference of some manifest.
            name: variable(environ, "OTEL_SERVICE_NAME").filter(|v| !v.starts_with('$')),
            attributes: variable(environ, "OTEL_RESOURCE_ATTRIBUTES").map(|v| parse_pairs(&v)),
        }
    }
}

/// The rule by which a process has its name, or its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// `OTEL_SERVICE_NAME` in its environment.
    ServiceName,
    /// `OTEL_RESOURCE_ATTRIBUTES` in its environment.
    OwnAttributes,
    /// The same in the agent's.
    AgentsAttributes,
    /// A selector says so.
    Selector,
    /// The executable is called so.
    Executable,
    /// Nothing tells.
    Nothing,
}

/// How a process is called, and by which rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: (String, Rule),
    pub(super) namespace: (String, Rule),
    /// Resource attributes.
    extra: Vec<(String, String)>,
}

impl Named {
    pub(super) fn by(host: &HostFacts, says: &Refinement, exe: &str, told: &Told) -> Self {
        let (extra, by) = match &told.attributes {
            Some(own) => (own.clone(), Rule::OwnAttributes),
            None => (host.resource_attributes.clone(), Rule::AgentsAttributes),
        };
        let attribute = |key: &str| {
            let value = extra.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.clone());
            value.filter(|v| !v.is_empty()).map(|value| (value, by))
        };
        let ruled = |value: &Option<String>, rule| value.clone().map(|value| (value, rule));
        let base = base_name(exe);
        let name = ruled(&told.name, Rule::ServiceName)
            .or_else(|| attribute("service.name"))
            .or_else(|| ruled(&says.name, Rule::Selector))
            .or_else(|| (!base.is_empty()).then(|| (base.to_owned(), Rule::Executable)))
            .unwrap_or_else(|| (UNKNOWN_SERVICE.to_owned(), Rule::Nothing));
        let namespace = attribute("service.namespace")
            .or_else(|| ruled(&says.namespace, Rule::Selector))
            .unwrap_or_else(|| (String::new(), Rule::Nothing));
        Self { name, namespace, extra }
    }

    /// What telemetry sees of the process.
    pub(super) fn service(self, host: &HostFacts, ns_tgid: u32, language: &'static str) -> Service {
        Service {
            name: self.name.0,
            namespace: self.namespace.0,
            instance_id: format!("{}:{ns_tgid}", host.name),
            language,
            host_name: host.name.clone(),
            host_id: host.id.clone(),
            extra: self.extra,
            ..Service::default()
        }
    }
}

/// The last part of an executable's path.
pub(super) fn base_name(exe: &str) -> &str {
    exe.trim_end_matches(" (deleted)").rsplit('/').next().unwrap_or_default()
}

/// The value of `name` in a NUL-separated environment; `None` when unset or empty.
fn variable(environ: &[u8], name: &str) -> Option<String> {
    environ
        .split(|b| *b == 0)
        .filter_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .find(|value| !value.is_empty())
}
