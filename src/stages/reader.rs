//! Drains the ring: copies records into batches, and nothing else.
//!
//! Submits in the kernel are silent. While records flow, the reader lets them gather, until a time
//! is over or the ring fills up; when the ring is empty, the next record wakes it. In both cases it
//! says so in one word before it sleeps, and whoever wakes it takes the word back.

use std::cell::RefCell;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, Sender};
use libbpf_rs::{MapCore, MapFlags, MapHandle, RingBufferBuilder};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::abi::{RawBatch, types};
use crate::config::Fault;
use crate::model::time::{ClockOffset, ktime_now};
use crate::telemetry::{Counter, Counters, Stage};

/// Longest pause between two drains while records flow; a ring that fills up ends it sooner.
const LINGER: Duration = Duration::from_millis(200);
/// Longest sleep on an idle ring: bounds the stop, and lets the decoder's deadlines pass.
const IDLE: Duration = Duration::from_millis(200);
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
    /// One word: how the reader sleeps.
    sleep: MapHandle,
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
    /// The decoder is gone.
    closed: bool,
}

impl Reader {
    /// A reader of `ring`, which the kernel wakes by the word in `sleep`.
    pub fn new(ring: &MapHandle, sleep: &MapHandle, counters: Arc<Counters>) -> Result<Self> {
        Ok(Self {
            ring: MapHandle::try_from(ring).context("duplicate the ring's descriptor")?,
            sleep: MapHandle::try_from(sleep).context("duplicate a map's descriptor")?,
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
        let wake_ups = WakeUps::of(&self.ring)?;
        let mut idle = false;
        loop {
            // Read before the drain: what was submitted before the stop is drained after it.
            let stop = self.stop.load(Ordering::Acquire);
            let drained = ring.consume_raw();
            let lingers = drained > 0 && !stop;
            if lingers {
                // Tell the kernel, then drain again: a ring that filled up before tells nobody.
                self.tell(types::reader_sleep::READER_LINGERS)?;
                ring.consume_raw();
            }
            let closed = sink.borrow_mut().flush(drained > 0 || idle);
            if closed || (stop && drained <= 0) {
                return Ok(());
            }
            if lingers {
                idle = false;
                wake_ups.wait(LINGER)?;
            } else if stop {
                // What came meanwhile is drained at once.
            } else if !idle {
                // Tell the kernel, then look once more: a record may have come in between.
                idle = true;
                self.tell(types::reader_sleep::READER_IDLE)?;
            } else {
                idle = !wake_ups.wait(IDLE)?;
            }
        }
    }

    fn tell(&self, sleep: types::reader_sleep) -> Result<()> {
        self.sleep
            .update(&0u32.to_ne_bytes(), &sleep.0.to_ne_bytes(), MapFlags::ANY)
            .context("tell the kernel how the reader sleeps")
    }
}

/// Wake-ups of the ring, whether or not there are records in it (libbpf's own poll returns at once
/// if there are).
struct WakeUps(Epoll);

impl WakeUps {
    fn of(ring: &MapHandle) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("wait for the ring")?;
        let edges = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0);
        epoll.add(ring.as_fd(), edges).context("wait for the ring")?;
        Ok(Self(epoll))
    }

    /// Whether the kernel woke us before `time` was over.
    fn wait(&self, time: Duration) -> Result<bool> {
        let timeout = EpollTimeout::try_from(time).context("a pause of the reader")?;
        match self.0.wait(&mut [EpollEvent::empty()], timeout) {
            Ok(woken) => Ok(woken > 0),
            Err(Errno::EINTR) => Ok(true),
            Err(error) => Err(error).context("wait for the ring"),
        }
    }
}

impl Sink {
    /// The whole cost of the reader per record.
    fn take(&mut self, record: &[u8]) {
        self.taken += 1;
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
