//! What all connections share: exchanges, threads, processes, ids, counts; and how an exchange
//! becomes a span.

use super::held::{Held, service_index};
use super::ids::IdGenerator;
use super::kept::KeptPool;
use super::pair::{EXCHANGES_MAX, Exchange, Exchanges};
use super::parents::{Parent, Place, Threads};
use super::processes::{Identity, PROCESSES_MAX, Processes};
use super::record::Stamp;
use super::verdicts::VerdictUpdate;
use crate::abi::ConnOpen;
use crate::model::attrs::AttrValue;
use crate::model::batch::SpanBatch;
use crate::model::conn::{ConnEnds, Direction, Endpoint};
use crate::model::ids::{ConnId, KtimeNs, SpanId, Tgid};
use crate::model::shown::Shown;
use crate::model::span::{NotFor, SpanHead, SpanTimes, TraceCtx};
use crate::protocols::{SpanSink, TraceParent};
use crate::semconv::{AttrKey, SpanKind};
use crate::telemetry::{Counter, Tally};

/// State beside the connections.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) exchanges: Exchanges,
    pub(super) threads: Threads,
    pub(super) processes: Processes,
    pub(super) held: Held,
    pub(super) pool: KeptPool,
    pub(super) tally: Tally,
    pub(super) verdicts: Vec<VerdictUpdate>,
    /// Batch time.
    pub(super) now: KtimeNs,
    ids: IdGenerator,
    /// What no span shows.
    pub(super) shown: Shown,
}

/// Children of one request at most; a call more is a root.
const CHILDREN_MAX: u32 = 10_000;
/// How long after its request a call may end and still be part of it: both ends are read off the same
/// clock, by different CPUs and system calls.
const TOLERANCE_NS: u64 = 1_000_000;

/// What spans need to know of their connection.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    pub(super) id: ConnId,
    pub(super) local: Endpoint,
    pub(super) remote: Endpoint,
    /// Path of a unix socket as text; an abstract name begins with `@`.
    pub(super) unix_path: Option<Box<[u8]>>,
}

impl Ends {
    pub(super) fn of(open: &ConnOpen<'_>) -> Self {
        Self {
            id: open.conn,
            local: open.local,
            remote: open.remote,
            unix_path: (!open.unix_path.is_empty()).then(|| unix_name(open.unix_path)),
        }
    }
}

/// The path as `ss` and `netstat` write it: `@` for the NUL of an abstract name.
fn unix_name(path: &[u8]) -> Box<[u8]> {
    let mut name: Box<[u8]> = path.into();
    if let Some(first) = name.first_mut()
        && *first == 0
    {
        *first = b'@';
    }
    name
}

impl Engine {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            exchanges: Exchanges::default(),
            threads: Threads::new(EXCHANGES_MAX),
            processes: Processes::new(PROCESSES_MAX),
            held: Held::default(),
            pool: KeptPool::default(),
            tally: Tally::default(),
            verdicts: Vec::new(),
            now: KtimeNs(0),
            ids: IdGenerator::new(seed),
            shown: Shown::default(),
        }
    }

    /// Sends a verdict to the kernel.
    pub(super) fn verdict(&mut self, verdict: VerdictUpdate) {
        self.tally.count(Counter::Verdicts);
        self.verdicts.push(verdict);
    }

    /// Gives the request in `slot`, whose attributes are there, its place in a trace and on its
    /// thread.
    pub(super) fn begin(&mut self, slot: u32, ends: &Ends) {
        let Some(exchange) = self.exchanges.get_mut(slot) else { return };
        let (header, reader) = (exchange.pending.traceparent, exchange.reader);
        let (kind, serial) = (exchange.family.kind(), exchange.serial);
        if let Identity::Known(service) = self.processes.identity(reader.tgid, exchange.start) {
            exchange.service = Some(service);
        }
        let known = exchange.service.is_some();
        let mut parent = None;
        let ctx = match kind {
            SpanKind::Server | SpanKind::Internal => self.server_context(header),
            SpanKind::Client => {
                if let Some(path) = &ends.unix_path {
                    let text = |p: &mut _| SpanSink::new(p).text(AttrKey::ServerAddress, path);
                    self.exchanges.write(slot, text);
                }
                // Before discovery told of its runtime, a process is not believed.
                let request = self.parent_of(reader, known);
                parent = request.map(|request| request.exchange);
                self.client_context(header, request.map(|request| request.ctx))
            }
        };
        let place = Place { exchange: (slot, serial), ctx };
        let on_thread = kind == SpanKind::Server && self.threads.read(reader, place);
        if let Some(exchange) = self.exchanges.get_mut(slot) {
            (exchange.ctx, exchange.parent, exchange.on_thread) = (ctx, parent, on_thread);
        }
    }

    fn server_context(&mut self, header: Option<TraceParent>) -> TraceCtx {
        let span_id = self.ids.span();
        header.map_or_else(|| self.root(span_id), |header| continued(header, span_id))
    }

    fn root(&mut self, span_id: SpanId) -> TraceCtx {
        let trace_id = self.ids.trace();
        TraceCtx { trace_id, span_id, parent_id: SpanId::NONE, flags: 1, remote: false }
    }

    /// The context that the application sent itself counts more than what the thread tells.
    fn client_context(
        &mut self,
        header: Option<TraceParent>,
        parent: Option<TraceCtx>,
    ) -> TraceCtx {
        let span_id = self.ids.span();
        match (header, parent) {
            (None, None) => self.root(span_id),
            (None, Some(parent)) => TraceCtx { span_id, parent_id: parent.span_id, ..parent },
            (Some(h), Some(parent)) if h.trace_id == parent.trace_id => {
                let forwarded = h.parent_id == parent.parent_id;
                TraceCtx {
                    trace_id: h.trace_id,
                    span_id: if forwarded { span_id } else { h.parent_id },
                    parent_id: parent.span_id,
                    flags: h.flags,
                    remote: true,
                }
            }
            (Some(h), _) => continued(h, span_id),
        }
    }

    /// The request on which the caller works; `trusted` = its threads are believed.
    fn parent_of(&mut self, call: Stamp, trusted: bool) -> Option<Place> {
        let (counter, found) = match self.threads.parent(call) {
            Parent::Found(_) if !trusted => (Counter::ParentAmbiguous, None),
            Parent::Found(request) => match self.exchanges.get_mut(request.exchange.0) {
                Some(exchange) if exchange.children < CHILDREN_MAX => {
                    exchange.children += 1;
                    (Counter::ParentFound, Some(request))
                }
                _ => (Counter::ParentFull, None),
            },
            Parent::Ambiguous => (Counter::ParentAmbiguous, None),
            Parent::None => (Counter::ParentNone, None),
        };
        self.tally.count(counter);
        found
    }

    /// The call in `slot` ends at `end`. One that goes on when its request is answered is not part of
    /// it: it is released, to be a root, or what the header says that it carried.
    fn leave_parent(&mut self, slot: u32, end: KtimeNs) {
        let Some(exchange) = self.exchanges.get_mut(slot) else { return };
        let Some((parent, serial)) = exchange.parent.take() else { return };
        let (header, span_id) = (exchange.pending.traceparent, exchange.ctx.span_id);
        let is_inside = match self.exchanges.get_mut(parent) {
            // Its slot was used again since.
            Some(parent) if parent.serial != serial => false,
            None => false,
            Some(parent) => match parent.ended_at() {
                Some(ended) => end.0 <= ended.0.saturating_add(TOLERANCE_NS),
                None => {
                    // Without a response, it goes on as long as its calls.
                    parent.last = parent.last.max(end);
                    true
                }
            },
        };
        let ctx = match header {
            _ if is_inside => return,
            None => self.root(span_id),
            // The application made that span itself, and knows where it belongs.
            Some(header) if header.parent_id == span_id => return,
            Some(header) => continued(header, span_id),
        };
        self.tally.count(Counter::ParentOutlived);
        if let Some(exchange) = self.exchanges.get_mut(slot) {
            exchange.ctx = ctx;
        }
    }

    /// Requests of this process move between threads.
    pub(super) fn distrust_threads(&mut self, tgid: Tgid) {
        if !self.threads.moves(tgid) {
            self.tally.count(Counter::ProcessesFull);
        }
    }

    /// Whether the request in `slot` was answered is not known any more.
    pub(super) fn doubt_thread(&mut self, slot: u32) {
        let Some(exchange) = self.exchanges.get_mut(slot) else { return };
        if exchange.on_thread {
            let Exchange { reader, serial, .. } = *exchange;
            self.threads.unsure(reader.thread(), serial);
        }
    }

    /// The request in `slot` is not worked on any more since `at`.
    pub(super) fn leave_thread(&mut self, slot: u32, at: KtimeNs) {
        let Some(exchange) = self.exchanges.get_mut(slot) else { return };
        if std::mem::take(&mut exchange.on_thread) {
            let Exchange { reader, serial, .. } = *exchange;
            self.threads.done(reader.thread(), serial, at);
        }
    }

    /// Hands on the exchange in `slot` as a span that ends at `end`. The caller frees the slot.
    /// Whether it became a span, now or when its process is known.
    pub(super) fn emit(
        &mut self,
        slot: u32,
        end: KtimeNs,
        ends: &Ends,
        out: &mut SpanBatch,
    ) -> bool {
        self.leave_thread(slot, end);
        self.leave_parent(slot, end);
        let Some(exchange) = self.exchanges.get_mut(slot) else { return false };
        exchange.ended = end.max(exchange.start);
        let service = exchange.service.take();
        let exchange = &*exchange;
        if end < exchange.start {
            self.tally.count(Counter::TimesClamped);
        }
        self.tally.add(Counter::TextsTruncated, u64::from(exchange.pending.truncated));
        let tgid = exchange.reader.tgid;
        let identity = match service {
            Some(service) => Identity::Known(service),
            None => self.processes.identity(tgid, exchange.start),
        };
        match identity {
            Identity::Known(service) => {
                let service = service_index(out, &service);
                write_span(exchange, end, ends, service, out);
                self.tally.count(Counter::SpansOut);
                return true;
            }
            Identity::Refused => self.tally.count(Counter::ProcessRefused),
            Identity::Unknown => match self.held.hold(tgid, exchange.start, self.now) {
                Some(held) => {
                    write_span(exchange, end, ends, 0, held);
                    return true;
                }
                None => self.tally.count(Counter::HeldFull),
            },
        }
        false
    }
}

/// Appends the exchange's span; attributes and texts are copied into the batch's arena.
fn write_span(from: &Exchange, end: KtimeNs, ends: &Ends, service: u32, to: &mut SpanBatch) {
    let start = to.attrs.len();
    let base = u32::try_from(to.text.len()).unwrap_or(u32::MAX);
    to.text.extend_from_slice(&from.pending.arena.text);
    to.attrs.extend_from_slice(&from.pending.arena.attrs);
    for (_, value) in to.attrs.iter_mut().skip(start) {
        if let AttrValue::Text(text) = value {
            text.at = text.at.saturating_add(base);
        }
    }
    let (client, server) = match from.dir {
        Direction::Send => (ends.local, ends.remote),
        Direction::Recv => (ends.remote, ends.local),
    };
    to.spans.push(SpanHead {
        family: from.family,
        times: SpanTimes { request_start: from.start, start: from.start, end: end.max(from.start) },
        ctx: from.ctx,
        ends: ConnEnds { client, server },
        service,
        status: from.pending.status,
        not_for: NotFor::default(),
        attrs: u32::try_from(start).unwrap_or(u32::MAX)
            ..u32::try_from(to.attrs.len()).unwrap_or(u32::MAX),
        added: 0..0,
    });
}

/// The context of a span that continues the trace that a message brought.
fn continued(header: TraceParent, span_id: SpanId) -> TraceCtx {
    TraceCtx {
        trace_id: header.trace_id,
        span_id,
        parent_id: header.parent_id,
        flags: header.flags,
        remote: true,
    }
}
