//! The agent's own metrics.

use std::time::Duration;

use super::layers::Settings;
use super::metrics::{duration, int, is_true, text};

/// The agent's own metrics: who gets them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalConfig {
    /// The way that they go.
    pub output: InternalOutput,
    /// How long what was read of programs and maps is good.
    pub kernel_interval: Duration,
    /// Services at most that are told to export by themselves; one more is one for the rest. 0 = none
    /// is told.
    pub avoided_max: usize,
}

/// A way for the agent's own metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InternalOutput {
    /// Nobody gets them.
    #[default]
    Disabled,
    /// Prometheus fetches them.
    Prometheus {
        /// TCP port, on every address; that of `prometheus_export` is shared.
        port: u16,
        /// Path.
        path: String,
    },
    /// They are sent where metrics are sent.
    Otlp,
}

impl InternalConfig {
    /// Whether anybody gets them.
    pub fn is_on(&self) -> bool {
        self.output != InternalOutput::Disabled
    }
}

/// Series of services that export by themselves, where the user says 0.
const AVOIDED_MAX: usize = 2000;

pub(super) fn read(settings: &Settings) -> InternalConfig {
    let port =
        |section| u16::try_from(int(settings, &format!("{section}.port"))).unwrap_or_default();
    let own = port("internal_metrics.prometheus");
    let output = match text(settings, "internal_metrics.exporter").as_str() {
        "otel" => InternalOutput::Otlp,
        // The port alone is enough.
        exporter if exporter == "prometheus" || own != 0 => {
            let path = text(settings, "internal_metrics.prometheus.path");
            match [own, port("prometheus_export")].into_iter().find(|port| *port != 0) {
                Some(port) => {
                    let path = format!("/{}", path.trim_start_matches('/'));
                    InternalOutput::Prometheus { port, path }
                }
                // The rules say so.
                None => InternalOutput::Disabled,
            }
        }
        _ => InternalOutput::Disabled,
    };
    let limit = int(settings, "internal_metrics.avoided_services.limit");
    InternalConfig {
        output,
        kernel_interval: duration(settings, "internal_metrics.bpf_metric_scrape_interval"),
        avoided_max: match usize::try_from(limit).unwrap_or_default() {
            _ if is_true(settings, "internal_metrics.avoided_services.disabled") => 0,
            0 => AVOIDED_MAX,
            set => set,
        },
    }
}
