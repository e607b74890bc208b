//! One request until it is taken or given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::{info, warn};

use super::answer::Outcome;
use super::client::{Client, Signal};
use crate::config::{BackoffConfig, OtlpEndpoint, without_userinfo};
use crate::model::time::{instant_now, ktime_now};
use crate::telemetry::{Counter, Counters, Seldom};

/// What a delivery waits on: the stop.
pub(super) trait Waits {
    /// Until when the exporter may work, once the stop has begun.
    fn deadline(&self) -> Option<Instant>;
    /// Waits until `until` or the stop, whichever is first.
    fn pause(&self, until: Instant);
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The receiver has it, but for so many of its items.
    Taken {
        /// Items that it refused.
        rejected: u64,
    },
    /// The receiver does not want it.
    Refused,
    /// There was no success in time.
    Exhausted,
    /// The agent stops.
    Stopped,
}

/// The way to one endpoint.
#[derive(Debug)]
pub(super) struct Delivery {
    client: Client,
    url: String,
    /// What is sent, in words.
    items: &'static str,
    timeout: Duration,
    backoff: BackoffConfig,
    /// That the endpoint began to fail was said, and that it takes requests again was not.
    said_failing: bool,
    warnings: Warnings,
    counters: Arc<Counters>,
    counts: &'static Counts,
}

/// What is counted of one signal.
#[derive(Debug)]
struct Counts {
    exported: Counter,
    retried: Counter,
    refused: Counter,
    exhausted: Counter,
}

const TRACES: Counts = Counts {
    exported: Counter::TracesExported,
    retried: Counter::TracesRetried,
    refused: Counter::TracesRefused,
    exhausted: Counter::TracesExhausted,
};
const METRICS: Counts = Counts {
    exported: Counter::MetricsExported,
    retried: Counter::MetricsRetried,
    refused: Counter::MetricsRefused,
    exhausted: Counter::MetricsExhausted,
};

/// One kind of message each.
#[derive(Debug, Default)]
struct Warnings {
    failing: Seldom,
    refused: Seldom,
    exhausted: Seldom,
    rejected: Seldom,
}

impl Delivery {
    /// Prepares the client; connects nowhere yet.
    ///
    /// # Errors
    /// When the endpoint, the headers or TLS cannot be used.
    pub(super) fn new(
        endpoint: &OtlpEndpoint,
        signal: Signal,
        backoff: BackoffConfig,
        counters: Arc<Counters>,
    ) -> anyhow::Result<Self> {
        let (items, counts) = match signal {
            Signal::Traces => ("spans", &TRACES),
            Signal::Metrics => ("metrics", &METRICS),
        };
        Ok(Self {
            client: Client::new(endpoint, signal)?,
            url: without_userinfo(&endpoint.url),
            items,
            timeout: endpoint.timeout,
            backoff,
            said_failing: false,
            warnings: Warnings::default(),
            counters,
            counts,
        })
    }

    /// Sends `message`, which holds `number` items, until it is taken or given up. Once the stop has
    /// begun there is one attempt more.
    pub(super) fn deliver(
        &mut self,
        message: &Bytes,
        number: u64,
        waits: &impl Waits,
    ) -> Delivered {
        let begin = instant_now();
        let mut backoff = Backoff::new(self.backoff);
        let body = match self.client.prepare(message) {
            Ok(body) => body,
            Err(error) => {
                self.refused(&format!("{error:#}"), number);
                return Delivered::Refused;
            }
        };
        loop {
            let deadline = waits.deadline();
            let Some(timeout) = self.timeout_until(deadline) else { return Delivered::Stopped };
            let (why, after) = match self.client.send(&body, timeout) {
                Outcome::Accepted { rejected, said } => {
                    return self.accepted(number, rejected.min(number), &said);
                }
                Outcome::Refused(why) => {
                    self.refused(&why, number);
                    return Delivered::Refused;
                }
                Outcome::Retry { .. } if deadline.is_some() => return Delivered::Stopped,
                Outcome::Retry { why, after } => (why, after),
            };
            self.note_failure(&why);
            let wait = backoff.next().max(after);
            let now = instant_now();
            if now.duration_since(begin).saturating_add(wait) > self.backoff.max_elapsed {
                self.exhausted(&why, number);
                return Delivered::Exhausted;
            }
            self.counters.add(self.counts.retried, 1);
            waits.pause(now + wait);
        }
    }

    fn accepted(&mut self, number: u64, rejected: u64, said: &str) -> Delivered {
        self.counters.add(self.counts.exported, number - rejected);
        if std::mem::take(&mut self.said_failing) {
            info!(url = self.url, "the endpoint takes {} again", self.items);
        }
        let (url, items) = (&self.url, self.items);
        if (rejected > 0 || !said.is_empty())
            && let Some(kept_back) = self.warnings.rejected.pass(instant_now())
        {
            match rejected {
                0 => warn!(url, said, kept_back, "the receiver took the {items}, with a warning"),
                _ => warn!(url, rejected, said, kept_back, "the receiver rejected {items}"),
            }
        }
        Delivered::Taken { rejected }
    }

    fn refused(&mut self, error: &str, number: u64) {
        self.counters.add(self.counts.refused, 1);
        if let Some(kept_back) = self.warnings.refused.pass(instant_now()) {
            let items = self.items;
            warn!(url = self.url, error, number, kept_back, "{items} were refused and are dropped");
        }
    }

    fn exhausted(&mut self, error: &str, number: u64) {
        self.counters.add(self.counts.exhausted, 1);
        if let Some(kept_back) = self.warnings.exhausted.pass(instant_now()) {
            let items = self.items;
            warn!(
                url = self.url,
                error, number, kept_back, "no success in time, {items} are dropped"
            );
        }
    }

    /// Tells once that the endpoint fails.
    fn note_failure(&mut self, error: &str) {
        if !self.said_failing
            && let Some(kept_back) = self.warnings.failing.pass(instant_now())
        {
            self.said_failing = true;
            let items = self.items;
            warn!(url = self.url, error, kept_back, "the endpoint takes no {items}; trying again");
        }
    }

    /// How long a request may take now; `None` when the deadline is over.
    fn timeout_until(&self, deadline: Option<Instant>) -> Option<Duration> {
        let Some(deadline) = deadline else { return Some(self.timeout) };
        let left = deadline.saturating_duration_since(instant_now());
        (!left.is_zero()).then(|| left.min(self.timeout))
    }
}

/// Waiting times that grow by half each time, each spread over 50 to 150 % so that many agents do
/// not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    pub(super) interval: Duration,
    max: Duration,
    /// State of a xorshift generator, never 0.
    noise: u64,
}

impl Backoff {
    pub(super) fn new(config: BackoffConfig) -> Self {
        let noise = ktime_now().0 | 1;
        Self { interval: config.initial.min(config.max), max: config.max, noise }
    }

    pub(super) fn next(&mut self) -> Duration {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        let permille = 500 + u32::try_from(self.noise % 1001).unwrap_or(0);
        let wait = self.interval.saturating_mul(permille) / 1000;
        self.interval = (self.interval.saturating_mul(3) / 2).min(self.max);
        wait
    }
}
