//! Metrics: collected from time to time, and sent as often as the receiver needs to take them.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::client::Signal;
use super::delivery::{Delivered, Delivery, Waits};
use super::metrics::MetricsEncoder;
use crate::config::{BackoffConfig, MetricsPush};
use crate::model::time::instant_now;
use crate::telemetry::Counters;

/// Sends metrics from a thread of its own.
#[derive(Debug)]
pub(in crate::stages::exporter) struct Pusher {
    stop: Sender<Instant>,
    thread: JoinHandle<()>,
}

impl Pusher {
    /// Prepares the client and starts the thread; connects nowhere yet.
    ///
    /// # Errors
    /// When the endpoint, the headers or TLS cannot be used.
    pub(in crate::stages::exporter) fn start(
        config: &MetricsPush,
        encoder: MetricsEncoder,
        counters: Arc<Counters>,
    ) -> anyhow::Result<Self> {
        // What is not taken until the next time is part of what is sent then.
        let backoff = BackoffConfig {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(10),
            max_elapsed: config.timeout,
        };
        let delivery = Delivery::new(&config.endpoint, Signal::Metrics, backoff, counters)?;
        let (stop, stopped) = bounded(1);
        let interval = config.interval;
        let thread = Builder::new()
            .name("exporter.push".to_owned())
            .spawn(move || Loop { delivery, encoder, stopped }.run(interval))
            .context("start the thread that sends metrics")?;
        Ok(Self { stop, thread })
    }

    /// Sends what there is once more, until `deadline` at most.
    pub(in crate::stages::exporter) fn finish(self, deadline: Instant) {
        // It may have ended by a panic, which was printed.
        self.stop.send(deadline).unwrap_or_default();
        self.thread.join().unwrap_or_default();
    }
}

struct Loop {
    delivery: Delivery,
    encoder: MetricsEncoder,
    stopped: Receiver<Instant>,
}

impl Loop {
    fn run(mut self, interval: Duration) {
        let mut next = instant_now() + interval;
        loop {
            match self.stopped.recv_deadline(next) {
                Err(RecvTimeoutError::Timeout) => {
                    let stop =
                        Stop { channel: &self.stopped, deadline: std::cell::Cell::new(None) };
                    send(&mut self.delivery, &mut self.encoder, &stop);
                    if let Some(deadline) = stop.deadline.get() {
                        return self.last(deadline);
                    }
                    next = (next + interval).max(instant_now());
                }
                Ok(deadline) => return self.last(deadline),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn last(mut self, deadline: Instant) {
        let stop = Stop { channel: &self.stopped, deadline: std::cell::Cell::new(Some(deadline)) };
        send(&mut self.delivery, &mut self.encoder, &stop);
    }
}

/// Sends what there is now.
fn send(delivery: &mut Delivery, encoder: &mut MetricsEncoder, stop: &Stop<'_>) {
    encoder.collect();
    let mut memory = Vec::new();
    while let points @ 1.. = encoder.next(&mut memory) {
        let body = Bytes::from(memory);
        match delivery.deliver(&body, points, stop) {
            Delivered::Taken { .. } => encoder.taken(),
            Delivered::Refused => {}
            // The rest would wait for as long again.
            Delivered::Exhausted | Delivered::Stopped => return,
        }
        memory = body.try_into_mut().map(Vec::from).unwrap_or_default();
    }
}

/// Whether the agent stops, and until when.
struct Stop<'a> {
    channel: &'a Receiver<Instant>,
    deadline: std::cell::Cell<Option<Instant>>,
}

impl Waits for Stop<'_> {
    fn deadline(&self) -> Option<Instant> {
        self.deadline.get()
    }

    fn pause(&self, until: Instant) {
        if let Ok(deadline) = self.channel.recv_deadline(until) {
            self.deadline.set(Some(deadline));
        }
    }
}
