//! Drains the ring: copies records into batches, and nothing else.
//!
//! Submits in the kernel are silent. While records flow, the reader sleeps between drains, the
//! shorter the more they were; when the ring is empty it tells the kernel that it sleeps, and the
//! next record wakes it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, Sender};
use libbpf_rs::{MapCore, MapFlags, MapHandle, RingBufferBuilder};

use crate::abi::RawBatch;
use crate::config::Fault;
use crate::model::time::{ClockOffset, ktime_now};
use crate::telemetry::{Counter, Counters, Stage};

/// Pause between two drains while records flow.
const LINGER: Duration = Duration::from_millis(20);
/// The same when the last drain found more than a sixteenth of the ring.
const LINGER_BUSY: Duration = Duration::from_millis(2);
/// Longest sleep on an idle ring: bounds the stop, and lets the decoder's deadlines pass.
const IDLE: Duration = Duration::from_millis(100);
/// A batch is handed on when it holds this many bytes.
const BATCH_BYTES: u32 = 1 << 20;

/// What the reader is connected to. All bounded.
#[derive(Debug)]
pub struct Channels {
    /// Batches to the decoder. Full = the reader waits and the ring absorbs.
    pub batches: Sender<RawBatch>,
    /// Empty batches back from it.
    pub recycled: Receiver<RawBatch>,
}

/// The stage.
#[derive(Debug)]
pub struct Reader {
    ring: MapHandle,
    /// One word: 1 = the reader sleeps, wake it.
    asleep: MapHandle,
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
    /// Test switch: lose one record without a trace.
    lose: Option<Fault>,
}

/// Where drained records go.
struct Sink {
    channels: Channels,
    batch: RawBatch,
    counters: Arc<Counters>,
    lose: Option<Fault>,
    /// Records since last published.
    taken: u64,
    /// Bytes since last asked.
    drained_bytes: usize,
    /// The decoder is gone.
    closed: bool,
}

impl Reader {
    /// A reader of `ring`, which the kernel wakes by the word in `asleep`.
    pub fn new(ring: &MapHandle, asleep: &MapHandle, counters: Arc<Counters>) -> Result<Self> {
        Ok(Self {
            ring: MapHandle::try_from(ring).context("duplicate the ring's descriptor")?,
            asleep: MapHandle::try_from(asleep).context("duplicate a map's descriptor")?,
            stop: Arc::default(),
            counters,
            lose: None,
        })
    }

    /// The reader ends when `stop` is set and the ring is empty.
    #[must_use]
    pub fn stop_with(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    /// Loses one record on purpose, so that a test sees the ledger tell.
    #[must_use]
    pub fn lose_one_record(mut self, fault: Option<Fault>) -> Self {
        self.lose = fault;
        self
    }

    /// Drains until stopped.
    pub fn run(self, channels: Channels) -> Result<()> {
        let sink = RefCell::new(Sink {
            channels,
            batch: RawBatch::default(),
            counters: Arc::clone(&self.counters),
            lose: self.lose,
            taken: 0,
            drained_bytes: 0,
            closed: false,
        });
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&self.ring, |record| {
                sink.borrow_mut().take(record);
                0
            })
            .context("map the ring")?;
        let ring = builder.build().context("map the ring")?;
        let mut idle = 0u32;
        loop {
            // Read before the drain: what was submitted before the stop is drained after it.
            let stop = self.stop.load(Ordering::Acquire);
            let drained = ring.consume_raw();
            let bytes = std::mem::take(&mut sink.borrow_mut().drained_bytes);
            let closed = sink.borrow_mut().flush(drained > 0 || idle > 0);
            if closed || (stop && drained <= 0) {
                return Ok(());
            }
            if drained > 0 {
                idle = 0;
                std::thread::sleep(self.linger(bytes));
            } else if idle == 0 {
                // Tell the kernel, then look once more: a record may have come in between.
                idle = 1;
                self.tell_asleep(1)?;
            } else {
                // Returns at once when the kernel wakes us; the next round drains the rest.
                let woken = ring.poll_raw(IDLE);
                idle = u32::from(woken <= 0);
            }
        }
    }

    /// How long to let records gather after a drain of `bytes`.
    fn linger(&self, bytes: usize) -> Duration {
        let ring = self.ring.max_entries() as usize;
        match bytes {
            _ if self.stop.load(Ordering::Acquire) => Duration::ZERO,
            b if b > ring / 4 => Duration::ZERO,
            b if b > ring / 16 => LINGER_BUSY,
            _ => LINGER,
        }
    }

    fn tell_asleep(&self, word: u32) -> Result<()> {
        self.asleep
            .update(&0u32.to_ne_bytes(), &word.to_ne_bytes(), MapFlags::ANY)
            .context("tell the kernel that the reader sleeps")
    }
}

impl Sink {
    /// The whole cost of the reader per record.
    fn take(&mut self, record: &[u8]) {
        self.taken += 1;
        self.drained_bytes += record.len();
        if self.lose == Some(Fault::Reader) {
            self.lose = None;
            return;
        }
        self.batch.push(record);
        if self.batch.len_bytes() >= BATCH_BYTES {
            self.flush(true);
        }
    }

    /// Hands the batch on. True when nobody takes it any more.
    fn flush(&mut self, even_empty: bool) -> bool {
        self.counters.add(Counter::ReaderRecordsIn, std::mem::take(&mut self.taken));
        if self.batch.is_empty() && !even_empty {
            return self.closed;
        }
        let empty = self.channels.recycled.try_recv().unwrap_or_default();
        let mut batch = std::mem::replace(&mut self.batch, empty);
        batch.drained_at = ktime_now();
        batch.clock = ClockOffset::now();
        let records = batch.len() as u64;
        if self.lose == Some(Fault::DecoderQueue) && batch.pop() {
            self.lose = None;
        }
        match self.channels.batches.send(batch) {
            Ok(()) => self.counters.add(Counter::ReaderRecordsOut, records),
            Err(_) => {
                self.counters.add(Counter::ReaderDecoderGone, records);
                self.closed = true;
            }
        }
        self.closed
    }
}

/// The stage's account. It holds nothing between drains.
pub fn ledger(counters: &Counters) -> Stage {
    Stage {
        name: "reader.records",
        in_: counters.get(Counter::ReaderRecordsIn),
        out: counters.get(Counter::ReaderRecordsOut),
        drops: vec![("decoder_gone", counters.get(Counter::ReaderDecoderGone))],
        in_flight: 0,
    }
}
