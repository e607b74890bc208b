//! Who a span belongs to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::sampler::Sampler;
use crate::semconv::metrics::Feature;

/// Identity of one process as telemetry sees it. Immutable once published, but for what the process
/// is seen to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `service.name`.
    pub name: String,
    /// `service.namespace`; empty = none.
    pub namespace: String,
    /// `service.instance.id`: `<hostname>:<pid>`.
    pub instance_id: String,
    /// Base name of the executable.
    pub executable: String,
    /// `telemetry.sdk.language`.
    pub language: &'static str,
    /// `host.name`.
    pub host_name: String,
    /// `host.id`.
    pub host_id: String,
    /// Further resource attributes (`OTEL_RESOURCE_ATTRIBUTES`), in order; a later one wins.
    pub extra: Vec<(String, String)>,
    /// What the user wants of its telemetry, where that is not what holds for all.
    pub wishes: Wishes,
    /// What it exports by itself.
    pub exports: OwnExports,
}

/// What the user wants of one service's telemetry; `None` = what holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Signals that go out.
    pub signals: Option<Signals>,
    /// Which of its traces.
    pub sampler: Option<Sampler>,
    /// Families of its metrics.
    pub features: Option<Arc<[Feature]>>,
    /// What its routes are, where the common patterns do not tell.
    pub routes: Option<Arc<RoutePatterns>>,
}

impl Wishes {
    /// These; where they say nothing, `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            signals: self.signals.or(other.signals),
            sampler: self.sampler.or(other.sampler),
            features: self.features.or(other.features),
            routes: self.routes.or(other.routes),
        }
    }

    /// Whether nothing goes out.
    pub fn are_silence(&self) -> bool {
        self.signals == Some(Signals { traces: false, metrics: false })
    }

    /// Whether metrics go out.
    pub fn metrics(&self) -> bool {
        self.signals.is_none_or(|signals| signals.metrics)
    }
}

/// Signals that go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    /// Spans.
    pub traces: bool,
    /// Metrics.
    pub metrics: bool,
}

/// Patterns that are routes of what they match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutePatterns {
    /// Of server spans.
    pub incoming: Vec<String>,
    /// Of client spans.
    pub outgoing: Vec<String>,
}

/// Signals that a process was seen to export over OTLP by itself. Sticky. Says nothing of who the
/// process is, so that any two are equal.
#[derive(Debug, Default)]
pub struct OwnExports {
    traces: AtomicBool,
    metrics: AtomicBool,
}

impl OwnExports {
    /// Whether it exports traces.
    pub fn traces(&self) -> bool {
        self.traces.load(Ordering::Relaxed)
    }

    /// It exports traces. `true` = that is new.
    pub fn saw_traces(&self) -> bool {
        !self.traces.swap(true, Ordering::Relaxed)
    }

    /// Whether it exports metrics.
    pub fn metrics(&self) -> bool {
        self.metrics.load(Ordering::Relaxed)
    }

    /// It exports metrics. `true` = that is new.
    pub fn saw_metrics(&self) -> bool {
        !self.metrics.swap(true, Ordering::Relaxed)
    }
}

impl Clone for OwnExports {
    fn clone(&self) -> Self {
        Self { traces: AtomicBool::new(self.traces()), metrics: AtomicBool::new(self.metrics()) }
    }
}

impl PartialEq for OwnExports {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for OwnExports {}

/// `k=v,k=v` with blanks around keys and values cut; entries with an empty key or value are
/// skipped. The form of `OTEL_RESOURCE_ATTRIBUTES`, whoever's environment it stands in.
pub fn parse_pairs(list: &str) -> Vec<(String, String)> {
    list.split(',')
        .filter_map(|entry| entry.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
        .collect()
}

/// Values of `telemetry.sdk.language` in the contract.
const LANGUAGES: [&str; 10] =
    ["go", "java", "dotnet", "python", "ruby", "nodejs", "rust", "php", "cpp", "generic"];

impl Service {
    /// The name that Prometheus has for a service: `namespace/name`, or the name alone.
    pub fn job(&self) -> String {
        match self.namespace.as_str() {
            "" => self.name.clone(),
            namespace => format!("{namespace}/{}", self.name),
        }
    }

    /// The contract's word for a language; `generic` for one it does not have.
    pub fn language_named(name: &str) -> &'static str {
        LANGUAGES.into_iter().find(|l| *l == name).unwrap_or("generic")
    }
}
