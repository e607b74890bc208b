//! Records for the decoder, out of plain values, with a clock of our own.

use std::net::Ipv4Addr;
use std::sync::Arc;

use obi::abi::{ConnOpen, Data, RawBatch, encode_data, encode_open};
use obi::model::conn::{Direction, Endpoint};
use obi::model::ids::{ConnId, KtimeNs, StreamPos, Tgid, Tid};
use obi::model::process::ProcessFact;
use obi::model::service::Service;

/// The observed process and its thread.
pub(crate) const TGID: Tgid = Tgid(100);

/// A batch in the making. Every record gets a time of its own, one millisecond after the last.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) batch: RawBatch,
    pub(crate) now_ms: u64,
    record: Vec<u8>,
}

impl Wire {
    /// A connection opens; both streams start at 0.
    pub(crate) fn open(&mut self, conn: u64) {
        self.open_with(conn, |_| ());
    }

    /// The same, changed by `change`.
    pub(crate) fn open_with(&mut self, conn: u64, change: impl FnOnce(&mut ConnOpen<'_>)) {
        let mut open = ConnOpen {
            ktime: self.tick(),
            conn: ConnId(conn),
            tgid: TGID,
            local: Endpoint { addr: Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped(), port: 8080 },
            remote: Endpoint { addr: Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped(), port: 40_000 },
            start: [StreamPos(0); 2],
            from_birth: true,
            adopted: false,
            counted: false,
            unix: false,
            netns: 1,
            unix_path: &[],
        };
        change(&mut open);
        self.record.clear();
        encode_open(&open, &mut self.record);
        self.batch.push(&self.record);
    }

    /// A call moves bytes: see [`data`].
    pub(crate) fn push(&mut self, data: &Data<'_>) {
        self.record.clear();
        encode_data(data, &mut self.record);
        self.batch.push(&self.record);
    }

    /// The next time.
    pub(crate) fn tick(&mut self) -> KtimeNs {
        self.now_ms += 1;
        let now = KtimeNs(self.now_ms * 1_000_000);
        self.batch.drained_at = now;
        now
    }
}

/// A call of the observed process that moves `head`, all of it captured. `pos` is where both
/// directions (send, receive) stood before.
pub(crate) fn data(
    ktime: KtimeNs,
    conn: u64,
    dir: Direction,
    pos: [u64; 2],
    head: &[u8],
) -> Data<'_> {
    Data {
        ktime,
        conn: ConnId(conn),
        tgid: TGID,
        tid: Tid(TGID.0),
        dir,
        pos: StreamPos(pos[dir.index()]),
        other_pos: StreamPos(pos[dir.flip().index()]),
        bytes: u32::try_from(head.len()).unwrap_or(u32::MAX),
        head,
        tail: &[],
        eof: false,
        payload_unknown: false,
        pending: false,
        losses: 0,
    }
}

/// The observed process is `name` since ever.
pub(crate) fn fact(tgid: Tgid, name: &str) -> ProcessFact {
    let service = Service { name: name.to_owned(), ..Service::default() };
    ProcessFact {
        tgid,
        since: KtimeNs(0),
        service: Some(Arc::new(service)),
        threads: obi::model::process::ThreadModel::default(),
        left: false,
    }
}
