//! A host that talks HTTP/1 on scripted connections.

use std::collections::HashMap;
use std::sync::Arc;

use obi::abi::{ConnEnd, Data, encode_end, types::event_kind};
use obi::model::batch::SpanBatch;
use obi::model::conn::Direction;
use obi::model::ids::{ConnId, StreamPos, Tgid, Tid};
use obi::model::span::SpanHead;
use obi::semconv::AttrKey;
use obi::stages::decoder::{Decoder, VerdictUpdate};
use obi::telemetry::{Counter, Counters};

use crate::support::wire::{TGID, Wire, data, fact};

pub(crate) use Direction::{Recv, Send};

/// A decoder, the records on their way to it, and what came out.
pub(crate) struct Host {
    pub(crate) decoder: Decoder,
    pub(crate) counters: Arc<Counters>,
    pub(crate) wire: Wire,
    pub(crate) out: SpanBatch,
    pub(crate) verdicts: Vec<VerdictUpdate>,
    /// Next position by connection and direction.
    pos: HashMap<(u64, usize), u64>,
    /// Where the other direction stood when bytes moved, by connection, direction and position.
    other: HashMap<(u64, usize, u64), u64>,
    pub(crate) thread: (Tgid, Tid),
    /// Losses of the whole host so far.
    pub(crate) losses: u16,
}

impl Host {
    /// A host whose observed process is known as `svc`.
    pub(crate) fn new() -> Self {
        let mut host = Self::with_unknown_process(1 << 16);
        host.decoder.fact(fact(TGID, "svc"));
        host
    }

    /// A host about whose process nothing is known, with a bounded connection table.
    pub(crate) fn with_unknown_process(connections_max: usize) -> Self {
        let counters = Arc::new(Counters::default());
        Self {
            decoder: Decoder::with_connections_max(1, Arc::clone(&counters), connections_max),
            counters,
            wire: Wire::default(),
            out: SpanBatch::default(),
            verdicts: Vec::new(),
            pos: HashMap::new(),
            other: HashMap::new(),
            thread: (TGID, Tid(TGID.0)),
            losses: 0,
        }
    }

    /// A call of the current thread moves `head`, then `hole` bytes nobody captured, then `tail`.
    pub(crate) fn call(&mut self, conn: u64, dir: Direction, head: &[u8], hole: u32, tail: &[u8]) {
        let bytes = u32::try_from(head.len() + tail.len()).unwrap_or(u32::MAX) + hole;
        let pos = self.reserve(conn, dir, u64::from(bytes));
        let ktime = self.wire.tick();
        self.push(Data { bytes, tail, ..data(ktime, conn, dir, self.at(conn, dir, pos), head) });
    }

    /// The current thread sends or receives `bytes`.
    pub(crate) fn moves(&mut self, conn: u64, dir: Direction, bytes: &str) {
        self.call(conn, dir, bytes.as_bytes(), 0, b"");
    }

    /// Takes the next positions of a stream without a record: a call whose record is late, or
    /// lost. Gives the first.
    pub(crate) fn reserve(&mut self, conn: u64, dir: Direction, bytes: u64) -> u64 {
        let other = self.pos.get(&(conn, dir.flip().index())).copied().unwrap_or(0);
        let pos = self.pos.entry((conn, dir.index())).or_insert(0);
        let at = *pos;
        *pos += bytes;
        self.other.insert((conn, dir.index(), at), other);
        at
    }

    /// A record of the current thread for bytes reserved before.
    pub(crate) fn late(&mut self, conn: u64, dir: Direction, pos: u64, bytes: &str) {
        let ktime = self.wire.tick();
        self.push(data(ktime, conn, dir, self.at(conn, dir, pos), bytes.as_bytes()));
    }

    /// Where both directions stood when bytes moved at `pos` of `dir`.
    fn at(&self, conn: u64, dir: Direction, pos: u64) -> [u64; 2] {
        let mut at = [self.other.get(&(conn, dir.index(), pos)).copied().unwrap_or(0); 2];
        at[dir.index()] = pos;
        at
    }

    fn push(&mut self, data: Data<'_>) {
        let (tgid, tid) = self.thread;
        self.wire.push(&Data { tgid, tid, losses: self.losses, ..data });
    }

    /// An open record where the connection stands now: it was forgotten.
    pub(crate) fn reopen(&mut self, conn: u64) {
        let start = [Send, Recv].map(|dir| StreamPos(self.reserve(conn, dir, 0)));
        self.wire.open_with(conn, |open| {
            (open.start, open.from_birth, open.adopted) = (start, false, true);
        });
    }

    /// The connection's close record, with the positions of everything moved or reserved.
    pub(crate) fn close(&mut self, conn: u64) {
        let finals = [Send, Recv].map(|dir| StreamPos(self.reserve(conn, dir, 0)));
        let ktime = self.wire.tick();
        let end =
            ConnEnd { ktime, conn: ConnId(conn), finals, seen: [0; 2], error: 0, skipped_calls: 0 };
        let mut record = Vec::new();
        encode_end(event_kind::EVENT_KIND_CONN_CLOSE, &end, &mut record);
        self.wire.batch.push(&record);
    }

    /// Receive returns 0.
    pub(crate) fn eof(&mut self, conn: u64) {
        let pos = self.reserve(conn, Recv, 0);
        let ktime = self.wire.tick();
        self.push(Data { eof: true, ..data(ktime, conn, Recv, [0, pos], b"") });
    }

    /// Decodes what is on its way. Batch time is that of the last record.
    pub(crate) fn decode(&mut self) {
        self.decoder.decode(&self.wire.batch, &mut self.out);
        self.verdicts.extend_from_slice(self.decoder.verdicts());
        self.wire.batch.clear(usize::MAX);
        for stage in self.decoder.ledger() {
            assert!(stage.balanced(), "{stage:?}");
        }
    }

    /// Lets `ms` of batch time pass without a record.
    pub(crate) fn pause(&mut self, ms: u64) {
        self.decode();
        self.wire.now_ms += ms - 1;
        self.wire.tick();
        self.decode();
    }

    pub(crate) fn count(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }

    /// Each span as `METHOD path status`, the status `-` when there was no response.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.out.spans.iter().map(|span| self.line(span)).collect()
    }

    fn line(&self, span: &SpanHead) -> String {
        let text = |key| self.out.attr_text(span, key);
        let status = self.out.attr_i64(span, AttrKey::HttpResponseStatusCode);
        let status = status.map_or_else(|| "-".to_owned(), |n| n.to_string());
        format!("{} {} {status}", text(AttrKey::HttpRequestMethod), text(AttrKey::UrlPath))
    }

    /// The span of the request for `path`; there must be exactly one.
    #[track_caller]
    pub(crate) fn span(&self, path: &str) -> &SpanHead {
        let is = |s: &&SpanHead| self.out.attr_text(s, AttrKey::UrlPath) == path;
        let found: Vec<_> = self.out.spans.iter().filter(is).collect();
        assert_eq!(found.len(), 1, "spans of {path} among {:?}", self.lines());
        found[0]
    }

    /// Start and end of a span, in milliseconds of the test's clock.
    pub(crate) fn times(&self, path: &str) -> (u64, u64) {
        let times = self.span(path).times;
        assert_eq!(times.request_start, times.start);
        (times.start.0 / 1_000_000, times.end.0 / 1_000_000)
    }
}

/// A request without a body.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// A response with a body.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
