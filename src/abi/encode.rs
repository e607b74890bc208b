//! Records from typed values: the inverse of [`super::decode()`]. Tests, benchmarks and fixtures
//! speak to the decoder through it, so they survive a change of layout.

use super::decode::{ConnEnd, ConnOpen, Data};
use super::types;
use crate::model::conn::Direction;
use crate::model::ids::{ConnId, KtimeNs, Tgid, Tid};

// SAFETY: integers and byte arrays without padding (-Wpadded), so any bit pattern is valid.
unsafe impl plain::Plain for types::event_header {}
// SAFETY: as above.
unsafe impl plain::Plain for types::data_event {}
// SAFETY: as above.
unsafe impl plain::Plain for types::conn_open_event {}
// SAFETY: as above.
unsafe impl plain::Plain for types::conn_end_event {}
// SAFETY: as above.
unsafe impl plain::Plain for types::exec_event {}
// SAFETY: as above.
unsafe impl plain::Plain for types::process_event {}
// SAFETY: as above.
unsafe impl plain::Plain for types::listen_event {}

/// Bytes of `data`'s record, appended to `out`.
pub fn encode_data(data: &Data<'_>, out: &mut Vec<u8>) {
    let mut flags = 0;
    for (set, flag) in [
        (data.eof, types::data_flag::DATA_FLAG_EOF),
        (data.payload_unknown, types::data_flag::DATA_FLAG_PAYLOAD_UNKNOWN),
        (data.pending, types::data_flag::DATA_FLAG_SELECTION_PENDING),
    ] {
        flags |= if set { flag.0 } else { 0 };
    }
    let len = size_of::<types::data_event>() + data.head.len() + data.tail.len();
    let record = types::data_event {
        header: types::event_header {
            tid: data.tid.0,
            losses: data.losses,
            flags: narrow(flags),
            ..header(types::event_kind::EVENT_KIND_DATA, data.ktime, data.conn, data.tgid, len)
        },
        pos: data.pos.0,
        other_pos: data.other_pos.0,
        bytes: data.bytes,
        captured: u16::try_from(data.head.len()).unwrap_or(u16::MAX),
        tail: u8::try_from(data.tail.len()).unwrap_or(u8::MAX),
        direction: match data.dir {
            Direction::Send => 0,
            Direction::Recv => 1,
        },
    };
    out.extend_from_slice(bytes_of(&record));
    out.extend_from_slice(data.head);
    out.extend_from_slice(data.tail);
}

/// Bytes of `open`'s record, appended to `out`.
pub fn encode_open(open: &ConnOpen<'_>, out: &mut Vec<u8>) {
    let mut flags = 0;
    for (set, flag) in [
        (open.from_birth, types::conn_flag::CONN_FLAG_FROM_BIRTH),
        (open.adopted, types::conn_flag::CONN_FLAG_ADOPTED),
        (open.counted, types::conn_flag::CONN_FLAG_OWN_COUNTERS),
    ] {
        flags |= if set { flag.0 } else { 0 };
    }
    let mut record = types::conn_open_event {
        header: types::event_header {
            flags: narrow(flags),
            ..header(
                types::event_kind::EVENT_KIND_CONN_OPEN,
                open.ktime,
                open.conn,
                open.tgid,
                size_of::<types::conn_open_event>(),
            )
        },
        send_pos: open.start[0].0,
        recv_pos: open.start[1].0,
        local_addr: open.local.addr.octets(),
        remote_addr: open.remote.addr.octets(),
        local_port: open.local.port,
        remote_port: open.remote.port,
        family: if open.unix { 1 } else { 2 },
        protocol: 6,
        netns: open.netns,
        ..Default::default()
    };
    for (to, from) in record.unix_path.iter_mut().zip(open.unix_path) {
        *to = *from;
    }
    out.extend_from_slice(bytes_of(&record));
}

/// Bytes of a close record (or shut record), appended to `out`.
pub fn encode_end(kind: types::event_kind, end: &ConnEnd, out: &mut Vec<u8>) {
    let len = size_of::<types::conn_end_event>();
    let record = types::conn_end_event {
        header: header(kind, end.ktime, end.conn, Tgid(0), len),
        send_pos: end.finals[0].0,
        recv_pos: end.finals[1].0,
        send_seen: end.seen[0],
        recv_seen: end.seen[1],
        error: end.error,
        skipped_calls: end.skipped_calls,
    };
    out.extend_from_slice(bytes_of(&record));
}

fn header(
    kind: types::event_kind,
    at: KtimeNs,
    conn: ConnId,
    tgid: Tgid,
    len: usize,
) -> types::event_header {
    types::event_header {
        ktime_ns: at.0,
        conn_id: conn.0,
        tgid: tgid.0,
        tid: Tid::default().0,
        kind: narrow(kind.0),
        flags: 0,
        len: u16::try_from(len).unwrap_or(u16::MAX),
        losses: 0,
    }
}

/// Kinds and flags are 16 bits on the wire.
fn narrow(n: u32) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

fn bytes_of<T: plain::Plain>(record: &T) -> &[u8] {
    // SAFETY: `Plain` types have no padding, so every byte is initialised.
    unsafe { plain::as_bytes(record) }
}
