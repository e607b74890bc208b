//! Where spans are sent, and how.

use std::time::Duration;

use super::keys::{
    BACKOFF_ELAPSED, BACKOFF_INITIAL, BACKOFF_MAX, BATCH_MAX_SIZE, BATCH_TIMEOUT, QUEUE_SIZE,
    RESOURCE_ATTRIBUTES, SAMPLER, SAMPLER_ARG,
};
use super::layers::Settings;
use super::notice::Problem;
use super::otlp::{OtlpEndpoint, TRACES};
use crate::model::sampler::Sampler;
use crate::model::service::parse_pairs;

/// The size and the pace of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    /// Spans of one request at most; `usize::MAX` = no limit.
    pub max_size: usize,
    /// Spans that wait at most; beyond it the oldest are dropped.
    pub queue_size: usize,
    /// How long a span waits for its request to fill.
    pub timeout: Duration,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { max_size: 4096, queue_size: 16384, timeout: Duration::from_secs(15) }
    }
}

/// How long to wait before a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// Before the first retry.
    pub initial: Duration,
    /// At most.
    pub max: Duration,
    /// After how long the request is given up.
    pub max_elapsed: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(5),
            max: Duration::from_secs(30),
            max_elapsed: Duration::from_secs(300),
        }
    }
}

/// Where spans are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracesConfig {
    /// The receiver.
    pub endpoint: OtlpEndpoint,
    /// Size and pace.
    pub batch: BatchConfig,
    /// Retries.
    pub backoff: BackoffConfig,
    /// Which traces are sent.
    pub sampler: Sampler,
}

/// Reads the section; `None` when there is no endpoint.
pub(super) fn read(settings: &Settings, problems: &mut Vec<Problem>) -> Option<TracesConfig> {
    let endpoint = TRACES.read(settings, problems);
    let batch = read_batch(settings, problems);
    let backoff = read_backoff(settings);
    let text = |key| settings.text(key).unwrap_or_default();
    // What is no ratio is told by the rules, and means every trace, as the contract has it.
    let sampler = Sampler::named(text(&SAMPLER), text(&SAMPLER_ARG)).unwrap_or_default();
    Some(TracesConfig { endpoint: endpoint?, batch, backoff, sampler })
}

/// `OTEL_RESOURCE_ATTRIBUTES` of the agent itself, in order.
pub(super) fn read_resource_attributes(settings: &Settings) -> Vec<(String, String)> {
    settings.text(&RESOURCE_ATTRIBUTES).map(parse_pairs).unwrap_or_default()
}

fn read_batch(settings: &Settings, problems: &mut Vec<Problem>) -> BatchConfig {
    let max_size = settings.count(&BATCH_MAX_SIZE);
    let queue_size = match settings.count(&QUEUE_SIZE) {
        0 if max_size == 0 => BatchConfig::default().queue_size,
        0 => max_size.saturating_mul(4),
        n => n,
    };
    if queue_size < max_size.saturating_mul(2) {
        let why = format!(
            "must be at least twice otel_traces_export.batch_max_size ({max_size}), or 0 for four \
             times it"
        );
        problems.push(settings.problem(&QUEUE_SIZE, why));
    }
    BatchConfig {
        max_size: if max_size == 0 { usize::MAX } else { max_size },
        queue_size,
        timeout: settings.duration(&BATCH_TIMEOUT),
    }
}

fn read_backoff(settings: &Settings) -> BackoffConfig {
    let defaults = BackoffConfig::default();
    let interval = |key, default| match settings.duration(key) {
        Duration::ZERO => default,
        set => set,
    };
    BackoffConfig {
        initial: interval(&BACKOFF_INITIAL, defaults.initial),
        max: interval(&BACKOFF_MAX, defaults.max),
        max_elapsed: interval(&BACKOFF_ELAPSED, defaults.max_elapsed),
    }
}
