//! The queue in front of each exporter: bounded in spans and in bytes, drops the oldest, and keeps
//! the exporter's account.
//!
//! Pushing never waits. Everything is counted under one lock, once a batch: what came in, what
//! lies here, what the exporter holds, what went out, and why the rest did not.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::model::attrs::AttrValue;
use crate::model::batch::SpanBatch;
use crate::model::span::{SpanHead, Unwanted};
use crate::model::time::instant_now;
use crate::semconv::AttrKey;
use crate::telemetry::Stage;

/// Why a span did not leave the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum DropReason {
    /// The queue held as many spans as it may, and this was the oldest.
    QueueFull,
    /// The queue held as many bytes as it may, and this was the oldest.
    QueueBytes,
    /// The process exports this signal by itself.
    OwnExporter,
    /// The user does not want its path.
    IgnoredPath,
    /// The user does not want this signal of its service.
    NotExported,
    /// Its trace is not to be sent.
    NotSampled,
    /// The receiver took the request and refused this span (partial success).
    Rejected,
    /// The receiver refused the request for good.
    Refused,
    /// The request was tried until its time was over.
    RetriesExhausted,
    /// The output is gone or failed.
    OutputFailed,
    /// The agent stopped before it could be sent.
    Shutdown,
}

impl DropReason {
    /// All reasons with their names in the ledger.
    const ALL: [(Self, &'static str); 11] = [
        (Self::QueueFull, "queue_full"),
        (Self::QueueBytes, "queue_bytes"),
        (Self::OwnExporter, "exported_by_the_service"),
        (Self::IgnoredPath, "ignored_path"),
        (Self::NotExported, "not_exported"),
        (Self::NotSampled, "not_sampled"),
        (Self::Rejected, "rejected"),
        (Self::Refused, "refused"),
        (Self::RetriesExhausted, "retries_exhausted"),
        (Self::OutputFailed, "output_failed"),
        (Self::Shutdown, "shutdown"),
    ];
}

/// How often a source that waits for room looks again.
const ROOM_POLL: Duration = Duration::from_millis(5);

/// Memory of a batch that is used again.
const SPARE_BYTES_MAX: usize = 4 << 20;

impl From<Unwanted> for DropReason {
    fn from(why: Unwanted) -> Self {
        match why {
            Unwanted::OwnExporter => Self::OwnExporter,
            Unwanted::IgnoredPath => Self::IgnoredPath,
            Unwanted::NotExported => Self::NotExported,
        }
    }
}

/// What the spans of a queue are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Traces, sent or printed.
    Traces,
    /// Metrics.
    Metrics,
}

impl Signal {
    fn unwanted(self, span: &SpanHead) -> Option<Unwanted> {
        match self {
            Self::Traces => span.not_for.traces,
            Self::Metrics => span.not_for.metrics,
        }
    }
}

/// What a queue may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Spans.
    pub spans: usize,
    /// Bytes of the batches they live in.
    pub bytes: usize,
}

/// Spans of a batch.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The batch.
    pub batch: Arc<SpanBatch>,
    /// Which of its spans.
    pub range: Range<usize>,
}

impl Slice {
    /// The spans.
    pub fn spans(&self) -> &[SpanHead] {
        self.batch.spans.get(self.range.clone()).unwrap_or_default()
    }
}

/// When to take spans out, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// At most this many spans, and at once when there are as many.
    pub spans: usize,
    /// Else when the oldest has waited so long.
    pub linger: Duration,
}

/// The queue of one exporter.
#[derive(Debug)]
pub struct SpanQueue {
    signal: Signal,
    limits: Limits,
    state: Mutex<State>,
    changed: Condvar,
    /// Where the memory of batches goes that nobody needs any more.
    spares: Sender<SpanBatch>,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    spans: usize,
    bytes: usize,
    /// Spans at which the exporter wants to be woken; others wait until the oldest has lingered.
    wake_at: usize,
    /// Spans taken out and not settled yet.
    held: u64,
    in_: u64,
    out: u64,
    drops: [u64; DropReason::ALL.len()],
    /// Until when the exporter may work; set by the stop.
    deadline: Option<Instant>,
    /// The exporter is gone: whatever comes is dropped for this reason.
    ended: Option<DropReason>,
}

#[derive(Debug)]
struct Entry {
    slice: Slice,
    bytes: usize,
    since: Instant,
}

impl SpanQueue {
    /// An empty queue. Batches that were handed out and given back leave through `spares`, empty.
    pub fn new(signal: Signal, limits: Limits, spares: Sender<SpanBatch>) -> Self {
        Self { signal, limits, state: Mutex::default(), changed: Condvar::new(), spares }
    }

    /// Takes back what an exporter needs no more: the last one to do so frees the batch for reuse.
    pub fn give_back(&self, slices: &mut Vec<Slice>) {
        for slice in slices.drain(..) {
            let Some(mut batch) = Arc::into_inner(slice.batch) else { continue };
            if bytes_of(&batch) <= SPARE_BYTES_MAX {
                batch.clear();
                // Whoever fills batches has enough of them, or is gone.
                self.spares.try_send(batch).unwrap_or_default();
            }
        }
    }

    /// Adds the spans of `batch`. Never waits: beyond a limit the oldest spans are dropped.
    pub fn push(&self, batch: Arc<SpanBatch>) {
        if batch.spans.is_empty() {
            return;
        }
        let range = self.wanted(&batch);
        let spans = range.len();
        let bytes = bytes_of(&batch);
        let since = instant_now();
        let mut state = self.lock();
        state.in_ += batch.spans.len() as u64;
        if spans < batch.spans.len() {
            for why in batch.spans.iter().filter_map(|span| self.signal.unwanted(span)) {
                state.count(why.into(), 1);
            }
        }
        if spans == 0 {
            return;
        }
        if let Some(reason) = state.stopped() {
            state.count(reason, spans as u64);
            return;
        }
        let first = state.entries.is_empty();
        state.entries.push_back(Entry { slice: Slice { batch, range }, bytes, since });
        state.spans = state.spans.saturating_add(spans);
        state.bytes = state.bytes.saturating_add(bytes);
        state.drop_oldest_spans(self.limits.spans);
        state.drop_oldest_bytes(self.limits.bytes);
        // Who sleeps until the oldest has lingered need not hear of every batch.
        let news = first || self.is_full(&state, state.wake_at);
        drop(state);
        if news {
            self.changed.notify_all();
        }
    }

    /// Those of a batch's spans that are for this signal: they lie together.
    fn wanted(&self, batch: &SpanBatch) -> Range<usize> {
        let unwanted = |span: &&SpanHead| self.signal.unwanted(span).is_some();
        let first = batch.spans.iter().take_while(unwanted).count();
        let last = batch.spans.iter().rev().take_while(unwanted).count();
        first..batch.spans.len().saturating_sub(last).max(first)
    }

    /// The same, but waits while the queue is half full: for a source that can wait.
    pub fn push_when_room(&self, batch: Arc<SpanBatch>) {
        let mut state = self.lock();
        while state.stopped().is_none()
            && (state.spans >= self.limits.spans / 2 || state.bytes >= self.limits.bytes / 2)
        {
            state = self.wait(state, Some(ROOM_POLL));
        }
        drop(state);
        self.push(batch);
    }

    /// Waits for spans and moves them to `into` (the caller holds them until it settles them).
    /// `false` = the queue is closed and empty, or the exporter was given up.
    pub fn take(&self, want: Want, into: &mut Vec<Slice>) -> bool {
        let mut state = self.lock();
        state.wake_at = want.spans;
        while let Some(wait) = self.until_ready(&state, want) {
            if state.stopped().is_some() {
                return false;
            }
            state = self.wait(state, wait);
        }
        state.move_out(want.spans, into);
        true
    }

    /// Waits for the next batch. `None` as [`Self::take`] gives `false`.
    pub fn take_batch(&self) -> Option<Slice> {
        let mut state = self.lock();
        loop {
            if let Some(slice) = state.pop() {
                state.held += slice.range.len() as u64;
                return Some(slice);
            }
            if state.stopped().is_some() {
                return None;
            }
            state = self.wait(state, None);
        }
    }

    /// Accounts for spans that were taken: `out` were delivered, `dropped` were not.
    pub fn settle(&self, out: u64, dropped: &[(DropReason, u64)]) {
        let mut state = self.lock();
        let all = dropped.iter().fold(out, |sum, (_, n)| sum + n);
        // Spans that the stop gave up were accounted for by it.
        if state.held < all {
            return;
        }
        state.held -= all;
        state.out += out;
        for (reason, n) in dropped {
            state.count(*reason, *n);
        }
    }

    /// Waits until `until` or the stop, whichever is first. `true` = the stop.
    pub fn pause(&self, until: Instant) -> bool {
        let mut state = self.lock();
        while state.stopped().is_none() {
            let left = until.saturating_duration_since(instant_now());
            if left.is_zero() {
                return false;
            }
            state = self.wait(state, Some(left));
        }
        true
    }

    /// Begins the stop: nothing more comes in, and the exporter may work until `deadline`.
    pub fn close(&self, deadline: Instant) {
        self.lock().deadline.get_or_insert(deadline);
        self.changed.notify_all();
    }

    /// Until when the exporter may work, once the stop has begun.
    pub fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    /// Drops what lies here and what is held, and everything that comes later.
    pub fn end(&self, reason: DropReason) {
        let mut state = self.lock();
        let left = state.spans as u64 + state.held;
        state.count(reason, left);
        state.entries.clear();
        (state.spans, state.bytes, state.held) = (0, 0, 0);
        state.ended.get_or_insert(reason);
        drop(state);
        self.changed.notify_all();
    }

    /// How full it is, from 0 to 1.
    pub fn filled(&self) -> f64 {
        let state = self.lock();
        let part = |of: usize, max: usize| of as f64 / max.max(1) as f64;
        part(state.spans, self.limits.spans).max(part(state.bytes, self.limits.bytes))
    }

    /// The exporter's account.
    pub fn stage(&self, name: &'static str) -> Stage {
        let state = self.lock();
        Stage {
            name,
            in_: state.in_,
            out: state.out,
            drops: DropReason::ALL
                .iter()
                .zip(state.drops)
                .map(|((_, reason), n)| (*reason, n))
                .collect(),
            in_flight: state.entries.iter().map(|e| e.slice.range.len() as u64).sum::<u64>()
                + state.held,
        }
    }

    /// How long to wait until `want` is met: `Some(None)` = until something changes; `None` = it
    /// is met.
    fn until_ready(&self, state: &State, want: Want) -> Option<Option<Duration>> {
        let Some(oldest) = state.entries.front() else { return Some(None) };
        if self.is_full(state, want.spans) || state.deadline.is_some() {
            return None;
        }
        let left = want.linger.saturating_sub(instant_now().duration_since(oldest.since));
        (!left.is_zero()).then_some(Some(left))
    }

    /// Whether there are as many spans as wanted. A queue that cannot hold more must not wait for more.
    fn is_full(&self, state: &State, wanted: usize) -> bool {
        state.spans >= wanted.min(self.limits.spans / 2) || state.bytes >= self.limits.bytes / 2
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match limit {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stopped(&self) -> Option<DropReason> {
        self.ended.or_else(|| self.deadline.map(|_| DropReason::Shutdown))
    }

    fn count(&mut self, reason: DropReason, n: u64) {
        if let Some(cell) = self.drops.get_mut(reason as usize) {
            *cell += n;
        }
    }

    fn pop(&mut self) -> Option<Slice> {
        let entry = self.entries.pop_front()?;
        self.spans = self.spans.saturating_sub(entry.slice.range.len());
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some(entry.slice)
    }

    /// Takes up to `n` of the oldest spans off the front batch.
    fn pop_spans(&mut self, n: usize) -> Option<Slice> {
        let front = self.entries.front_mut()?;
        if front.slice.range.len() <= n {
            return self.pop();
        }
        let cut = front.slice.range.start.saturating_add(n);
        let batch = Arc::clone(&front.slice.batch);
        let range = front.slice.range.start..cut;
        front.slice.range.start = cut;
        self.spans = self.spans.saturating_sub(n);
        Some(Slice { batch, range })
    }

    fn move_out(&mut self, most: usize, into: &mut Vec<Slice>) {
        let mut room = most;
        while room > 0 {
            let Some(slice) = self.pop_spans(room) else { break };
            room = room.saturating_sub(slice.range.len());
            self.held += slice.range.len() as u64;
            into.push(slice);
        }
    }

    fn drop_oldest_spans(&mut self, limit: usize) {
        while let excess @ 1.. = self.spans.saturating_sub(limit) {
            let Some(dropped) = self.pop_spans(excess) else { break };
            self.count(DropReason::QueueFull, dropped.range.len() as u64);
        }
    }

    fn drop_oldest_bytes(&mut self, limit: usize) {
        while self.bytes > limit {
            let Some(dropped) = self.pop() else { break };
            self.count(DropReason::QueueBytes, dropped.range.len() as u64);
        }
    }
}

/// Memory that a batch keeps from being freed.
fn bytes_of(batch: &SpanBatch) -> usize {
    let heads = batch.spans.capacity().saturating_mul(size_of::<SpanHead>());
    let attrs = batch.attrs.capacity().saturating_mul(size_of::<(AttrKey, AttrValue)>());
    heads.saturating_add(attrs).saturating_add(batch.text.capacity())
}
