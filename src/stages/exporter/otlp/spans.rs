//! Spans: batches of the queue as requests, each accounted for.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::client::Signal;
use super::delivery::{Delivered, Delivery, Waits};
use super::encode::Encoder;
use crate::config::{BatchConfig, MetricsConfig, TracesConfig};
use crate::stages::exporter::queue::{DropReason, Slice, SpanQueue, Want};
use crate::telemetry::Counters;

/// Memory of a request that is kept for the next one.
const BODY_KEPT_BYTES: usize = 8 << 20;

/// The exporter of one endpoint.
#[derive(Debug)]
pub(in crate::stages::exporter) struct SpanExporter {
    delivery: Delivery,
    batch: BatchConfig,
    encoder: Encoder,
}

impl Waits for SpanQueue {
    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }

    fn pause(&self, until: Instant) {
        self.pause(until);
    }
}

impl SpanExporter {
    /// Prepares the client; connects nowhere yet.
    ///
    /// # Errors
    /// When the endpoint, the headers or TLS cannot be used.
    pub(in crate::stages::exporter) fn new(
        config: &TracesConfig,
        metrics: &MetricsConfig,
        counters: Arc<Counters>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            delivery: Delivery::new(&config.endpoint, Signal::Traces, config.backoff, counters)?,
            batch: config.batch,
            encoder: Encoder::new(config.sampler, &metrics.select, metrics.makes_span_metrics()),
        })
    }

    /// Sends until the queue is closed and empty, or the stop finds the endpoint failing.
    pub(in crate::stages::exporter) fn run(mut self, queue: &SpanQueue) {
        let want = Want { spans: self.batch.max_size, linger: self.batch.timeout };
        let mut slices: Vec<Slice> = Vec::new();
        let mut memory = Vec::new();
        while queue.take(want, &mut slices) {
            let taken: u64 = slices.iter().map(|slice| slice.range.len() as u64).sum();
            let spans = self.encoder.encode(&slices, &mut memory);
            queue.give_back(&mut slices);
            if spans < taken {
                queue.settle(0, &[(DropReason::NotSampled, taken - spans)]);
            }
            if spans == 0 {
                continue;
            }
            let body = Bytes::from(memory);
            match self.delivery.deliver(&body, spans, queue) {
                Delivered::Taken { rejected } => {
                    queue.settle(spans - rejected, &[(DropReason::Rejected, rejected)]);
                }
                Delivered::Refused => queue.settle(0, &[(DropReason::Refused, spans)]),
                Delivered::Exhausted => queue.settle(0, &[(DropReason::RetriesExhausted, spans)]),
                Delivered::Stopped => {
                    queue.end(DropReason::Shutdown);
                    return;
                }
            }
            // The same memory once more, unless somebody still holds the request.
            memory = body.try_into_mut().map(Vec::from).unwrap_or_default();
            if memory.capacity() > BODY_KEPT_BYTES {
                memory = Vec::new();
            }
        }
    }
}
