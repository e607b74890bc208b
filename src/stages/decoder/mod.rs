//! Raw records to spans: connection table, reassembly, protocol choice, pairing, parents,
//! identity. One thread owns all of it; time is what the batches say.
//!
//! ```text
//! RawBatch -> record -> connection -> stream (order by position) -> protocol (step by step)
//!          -> exchange (request + response) -> process known? -> SpanBatch
//! ```

mod bounded;
mod connection;
mod connections;
mod drive;
mod engine;
mod held;
mod ids;
mod kept;
mod lost;
mod pair;
mod parents;
mod processes;
mod record;
mod run;
mod seen;
mod stream;
mod timers;
mod verdicts;

use std::sync::Arc;

use crate::abi::{self, ConnEnd, ConnOpen, Data, DecodeError, RawBatch, RawEvent};
use crate::model::batch::SpanBatch;
use crate::model::conn::Direction;
use crate::model::ids::{KtimeNs, Tgid};
use crate::model::living::Living;
use crate::model::process::{ProcessFact, ProcessRecord, ThreadModel};
use crate::model::shown::Shown;
use crate::model::time::ClockOffset;
use crate::telemetry::{Counter, Counters, Stage};

use bounded::BoundedMap;
use connection::Connection;
use connections::Connections;
use engine::Engine;
use processes::Identity;
use timers::Timers;

pub use run::{Account, BATCH_KEEP_BYTES, Channels, Question};
pub use seen::Seen;
pub use verdicts::VerdictUpdate;

/// Connections followed at the same time; beyond it the least recently used one ends.
pub const CONNECTIONS_MAX: usize = 65_536;

/// The same with the test's fault.
pub const CONNECTIONS_OF_FAULT: usize = 4;

/// Processes whose unknown payloads are counted each by itself.
const UNKNOWN_PAYLOADS_MAX: usize = 1024;

/// The decoder. Deterministic: the same batches and facts in the same order give the same spans,
/// ids included.
#[derive(Debug)]
pub struct Decoder {
    connections: Connections,
    timers: Timers,
    engine: Engine,
    counters: Arc<Counters>,
    processes: Vec<ProcessRecord>,
    clock: ClockOffset,
    /// Calls whose buffer could not be proved to be theirs, by process.
    unknown_payloads: BoundedMap<Tgid, u64>,
    /// Processes that are not observed any more, and since when: records from before may come.
    left: Vec<(Tgid, KtimeNs)>,
}

impl Decoder {
    /// A decoder whose ids come from `seed`. It publishes its counts once a batch.
    pub fn new(seed: u64, counters: Arc<Counters>) -> Self {
        Self::with_connections_max(seed, counters, CONNECTIONS_MAX)
    }

    /// The same with another bound of the connection table.
    pub fn with_connections_max(seed: u64, counters: Arc<Counters>, max: usize) -> Self {
        Self {
            connections: Connections::new(max.max(1)),
            timers: Timers::default(),
            engine: Engine::new(seed),
            counters,
            processes: Vec::new(),
            clock: ClockOffset::default(),
            unknown_payloads: BoundedMap::new(UNKNOWN_PAYLOADS_MAX),
            left: Vec::new(),
        }
    }

    /// Shows no values of the parameters that these names say.
    #[must_use]
    pub fn showing(mut self, shown: Shown) -> Self {
        self.engine.shown = shown;
        self
    }

    /// Tells `living` from now on which processes are observed.
    pub fn tell(&mut self, living: Living) {
        self.engine.processes.tell(living);
    }

    /// Decodes a batch and appends the spans that are complete to `out`. An empty batch only
    /// lets time pass. Replaces [`Self::verdicts`] and [`Self::process_records`].
    pub fn decode(&mut self, batch: &RawBatch, out: &mut SpanBatch) {
        self.clock = batch.clock;
        out.clock = batch.clock;
        self.engine.now = self.engine.now.max(batch.drained_at);
        self.engine.verdicts.clear();
        self.processes.clear();
        for record in batch.iter() {
            self.record(record, out);
        }
        self.leave(batch.drained_at, out);
        self.pass_time(out);
        self.engine.tally.publish(&self.counters);
    }

    /// Takes what discovery concluded of a process. Spans that waited for it leave with the next
    /// batch.
    pub fn fact(&mut self, fact: ProcessFact) {
        match fact.threads {
            ThreadModel::Moves => self.engine.distrust_threads(fact.tgid),
            ThreadModel::MayStay => {}
        }
        if fact.left {
            self.left.push((fact.tgid, fact.since));
        }
        self.engine.processes.fact(fact);
        self.engine.held.told();
    }

    /// Ends what is open of processes that are not observed any more, when all that was recorded of
    /// them is decoded.
    fn leave(&mut self, now: KtimeNs, out: &mut SpanBatch) {
        let left: Vec<Tgid> =
            self.left.extract_if(.., |(_, since)| *since <= now).map(|(tgid, _)| tgid).collect();
        if left.is_empty() {
            return;
        }
        for slot in self.connections.used() {
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            if left.contains(&connection.owner) {
                let over = connection.leave(&mut self.engine, out);
                self.after(slot, over);
            }
        }
        left.iter().for_each(|tgid| self.engine.threads.forget(*tgid));
    }

    /// The end of all input: what is open ends, what waits is dropped and counted.
    pub fn finish(&mut self, out: &mut SpanBatch) {
        out.clock = self.clock;
        for slot in self.connections.used() {
            self.end(slot, out);
        }
        self.engine.now = KtimeNs(u64::MAX);
        self.engine.held.told();
        let Engine { held, processes, tally, now, .. } = &mut self.engine;
        held.release(processes, *now, out, tally);
        self.engine.tally.publish(&self.counters);
    }

    /// What the kernel is to be asked after the last batch.
    pub fn verdicts(&self) -> &[VerdictUpdate] {
        &self.engine.verdicts
    }

    /// Process records of the last batch, for discovery to judge.
    pub fn process_records(&self) -> &[ProcessRecord] {
        &self.processes
    }

    /// Calls that moved bytes out of (or into) memory that could not be proved to be theirs, by
    /// process: io_uring, a foreign ABI. Their bytes are missing from spans.
    pub fn unknown_payloads(&self) -> Vec<(String, u64)> {
        let name = |tgid: Tgid| match self.engine.processes.identity(tgid, self.engine.now) {
            Identity::Known(service) => format!("{} ({})", service.name, tgid.0),
            Identity::Refused | Identity::Unknown => format!("({})", tgid.0),
        };
        let mut all: Vec<_> =
            self.unknown_payloads.iter().map(|(tgid, n)| (name(*tgid), *n)).collect();
        all.sort();
        all
    }

    /// The account of records and of spans.
    pub fn ledger(&self) -> [Stage; 2] {
        let tally = &self.engine.tally;
        let waiting = self.connections.used().filter_map(|slot| self.connections.get(slot));
        let waiting = waiting.map(Connection::records_waiting).sum();
        let open = self.engine.exchanges.open() + self.engine.held.len();
        [
            Stage::from_tally(
                "decoder.records",
                tally,
                [Counter::RecordsIn, Counter::RecordsOut],
                &[
                    Counter::RecordShort,
                    Counter::RecordKind,
                    Counter::RecordLength,
                    Counter::RecordPosition,
                    Counter::RecordWithoutOpen,
                    Counter::RecordOld,
                    Counter::RecordNothing,
                    Counter::RecordTunnel,
                ],
                waiting,
            ),
            Stage::from_tally(
                "decoder.spans",
                tally,
                [Counter::SpansIn, Counter::SpansOut],
                &[
                    Counter::ProcessRefused,
                    Counter::ProcessUnknown,
                    Counter::HeldFull,
                    Counter::ExchangeNoRoom,
                    Counter::SpanTakenBack,
                ],
                open as u64,
            ),
        ]
    }

    fn record(&mut self, record: &[u8], out: &mut SpanBatch) {
        self.engine.tally.count(Counter::RecordsIn);
        if let Some(Ok(data)) = abi::decode_data(record) {
            return self.data(&data, out);
        }
        match abi::decode(record) {
            Ok(RawEvent::Data(data)) => self.data(&data, out),
            Ok(RawEvent::Open(open)) => self.open(&open, out),
            Ok(RawEvent::Shut(end)) => self.shut(&end, out),
            Ok(RawEvent::Close(end)) => self.close(&end, out),
            Ok(RawEvent::Process(process)) => {
                self.engine.tally.count(Counter::RecordsOut);
                self.engine.processes.record(&process, self.engine.now);
                if let ProcessRecord::Exec { tgid, .. } | ProcessRecord::Exit { tgid, .. } =
                    &process
                {
                    self.engine.threads.forget(*tgid);
                }
                self.processes.push(process);
            }
            Err(error) => self.engine.tally.count(match error {
                DecodeError::Short => Counter::RecordShort,
                DecodeError::Kind => Counter::RecordKind,
                DecodeError::Length => Counter::RecordLength,
                DecodeError::Position => Counter::RecordPosition,
            }),
        }
    }

    fn open(&mut self, open: &ConnOpen<'_>, out: &mut SpanBatch) {
        self.engine.tally.count(Counter::RecordsOut);
        if self.connections.find(open.conn).is_some() {
            // Two CPUs announced the same connection at once; ids are never used again.
            return self.engine.tally.count(Counter::ConnectionsAnnouncedTwice);
        }
        while self.connections.is_full() {
            let Some(oldest) = self.connections.oldest() else { break };
            self.engine.tally.count(Counter::ConnectionsEvicted);
            self.end(oldest, out);
        }
        self.engine.tally.count(Counter::ConnectionsOpened);
        self.connections.insert(Connection::new(open));
    }

    fn data(&mut self, data: &Data<'_>, out: &mut SpanBatch) {
        if data.payload_unknown {
            self.engine.tally.count(Counter::PayloadUnknown);
            if let Some(n) = self.unknown_payloads.get_or_insert(data.tgid, || 0) {
                *n += 1;
            }
        }
        let Some((slot, connection)) = self.connections.use_now(data.conn) else {
            self.engine.tally.count(Counter::RecordWithoutOpen);
            if data.dir == Direction::Recv {
                self.engine.threads.read_unseen((data.tgid, data.tid));
            }
            if data.bytes > 0
                && self.engine.verdicts.last() != Some(&VerdictUpdate::Open(data.conn))
            {
                self.engine.verdict(VerdictUpdate::Open(data.conn));
            }
            return;
        };
        connection.data(data, &mut self.engine, out);
        let complete = connection.close_if_complete(&mut self.engine, out);
        self.after(slot, complete);
    }

    fn shut(&mut self, end: &ConnEnd, out: &mut SpanBatch) {
        let Some((slot, connection)) = self.connections.use_now(end.conn) else {
            return self.engine.tally.count(Counter::RecordWithoutOpen);
        };
        connection.shut(end, &mut self.engine, out);
        self.engine.tally.count(Counter::RecordsOut);
        self.after(slot, false);
    }

    fn close(&mut self, end: &ConnEnd, out: &mut SpanBatch) {
        let Some((slot, connection)) = self.connections.use_now(end.conn) else {
            return self.engine.tally.count(Counter::RecordWithoutOpen);
        };
        let complete = connection.close(end, &mut self.engine, out);
        self.engine.tally.count(Counter::RecordsOut);
        self.engine.tally.count(Counter::ConnectionsClosed);
        self.after(slot, complete);
    }

    /// Forgets a connection that is complete; else sees to its deadline.
    fn after(&mut self, slot: u32, complete: bool) {
        if complete {
            self.forget(slot);
        } else if let Some(deadline) = self.connections.arm(slot) {
            self.timers.push(deadline, slot);
        }
    }

    /// Ends a connection before its time.
    fn end(&mut self, slot: u32, out: &mut SpanBatch) {
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.finish(&mut self.engine, out);
        }
        self.forget(slot);
    }

    /// Forgets a connection that is over, but what it came to.
    fn forget(&mut self, slot: u32) {
        if let Some(Connection { owner, spans, gap_bytes, .. }) = self.connections.get(slot) {
            self.engine.processes.connection_over(*owner, *spans, *gap_bytes);
        }
        self.connections.remove(slot);
    }

    fn pass_time(&mut self, out: &mut SpanBatch) {
        while let Some(slot) = self.timers.pop_due(self.engine.now) {
            self.connections.disarm(slot);
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            let complete = connection.expire(&mut self.engine, out);
            self.after(slot, complete);
        }
        let Engine { held, processes, tally, now, .. } = &mut self.engine;
        processes.expire(*now);
        tally.add(Counter::ProcessesFull, std::mem::take(&mut processes.refused_room));
        held.release(processes, *now, out, tally);
    }
}
