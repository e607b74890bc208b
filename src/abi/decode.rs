//! Bytes of one record to a typed event. Pure; any input gives an event or an error.

use std::net::Ipv6Addr;

use plain::Plain;

use super::types;
use crate::model::conn::{Direction, Endpoint};
use crate::model::ids::{ConnId, KtimeNs, StreamPos, Tgid, Tid};
use crate::model::process::{ProcessImage, ProcessRecord};

/// Why a record could not be decoded. One counter each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than its kind's struct.
    Short,
    /// A kind this build does not know.
    Kind,
    /// Lengths inside contradict the record's length.
    Length,
    /// A stream position of [`POSITION_END`] or more.
    Position,
}

/// No connection moves so many bytes (256 TiB); sums of positions below it do not overflow.
const POSITION_END: u64 = 1 << 48;

/// One socket call that moved bytes.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// End of the call.
    pub ktime: KtimeNs,
    /// The connection.
    pub conn: ConnId,
    /// The process that made the call.
    pub tgid: Tgid,
    /// The thread that made the call.
    pub tid: Tid,
    /// Sent or received.
    pub dir: Direction,
    /// Position of the first byte.
    pub pos: StreamPos,
    /// Where the other direction stood at the end of the call.
    pub other_pos: StreamPos,
    /// Bytes moved.
    pub bytes: u32,
    /// Captured front of the call's data.
    pub head: &'a [u8],
    /// Captured end of the call's data; empty when `head` is all of it.
    pub tail: &'a [u8],
    /// Receive returned 0: the peer will send no more.
    pub eof: bool,
    /// The call's buffer could not be proved to belong to the socket.
    pub payload_unknown: bool,
    /// The process was not judged yet.
    pub pending: bool,
    /// Calls and records of the whole host that were lost before, modulo 65,536.
    pub losses: u16,
}

/// First sight of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnOpen<'a> {
    /// When.
    pub ktime: KtimeNs,
    /// The connection.
    pub conn: ConnId,
    /// The process that used it first.
    pub tgid: Tgid,
    /// Our end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
    /// Positions before the first call seen: send, receive.
    pub start: [StreamPos; 2],
    /// Whether both streams were seen from their first byte.
    pub from_birth: bool,
    /// Whether it was there before its process was selected: messages may be under way.
    pub adopted: bool,
    /// Whether positions are counted by the hooks, not by the kernel.
    pub counted: bool,
    /// Whether this is a unix stream socket.
    pub unix: bool,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Path of a unix socket (a leading NUL = abstract); empty otherwise.
    pub unix_path: &'a [u8],
}

/// End of a connection, or of its sending side.
#[derive(Clone, Copy, Debug)]
pub struct ConnEnd {
    /// When.
    pub ktime: KtimeNs,
    /// The connection.
    pub conn: ConnId,
    /// The kernel's final positions: send, receive.
    pub finals: [StreamPos; 2],
    /// Bytes the hooks saw: send, receive.
    pub seen: [u64; 2],
    /// 0 or an errno (a reset, for example).
    pub error: i32,
    /// Calls that a verdict kept out of the ring.
    pub skipped_calls: u32,
}

/// A decoded record.
#[derive(Clone, Debug)]
pub enum RawEvent<'a> {
    /// Bytes moved.
    Data(Data<'a>),
    /// A connection was seen for the first time.
    Open(ConnOpen<'a>),
    /// Our end will send no more.
    Shut(ConnEnd),
    /// The connection is over.
    Close(ConnEnd),
    /// A process changed.
    Process(ProcessRecord),
}

/// Decodes the record of one socket call; `None` for one of another kind.
#[inline]
pub fn decode_data(record: &[u8]) -> Option<Result<Data<'_>, DecodeError>> {
    const KIND: usize = core::mem::offset_of!(types::event_header, kind);
    let kind = record.get(KIND..)?.first_chunk().copied().map(u16::from_ne_bytes)?;
    (u32::from(kind) == types::event_kind::EVENT_KIND_DATA.0).then(|| data(record))
}

/// Decodes one record.
pub fn decode(record: &[u8]) -> Result<RawEvent<'_>, DecodeError> {
    let header: types::event_header = head_of(record)?;
    if usize::from(header.len) > record.len() {
        return Err(DecodeError::Length);
    }
    match types::event_kind(u32::from(header.kind)) {
        types::event_kind::EVENT_KIND_DATA => data(record).map(RawEvent::Data),
        types::event_kind::EVENT_KIND_CONN_OPEN => open(record).map(RawEvent::Open),
        types::event_kind::EVENT_KIND_CONN_SHUT => end(record).map(RawEvent::Shut),
        types::event_kind::EVENT_KIND_CONN_CLOSE => end(record).map(RawEvent::Close),
        types::event_kind::EVENT_KIND_PROC_EXEC => exec(record).map(RawEvent::Process),
        types::event_kind::EVENT_KIND_PROC_FORK => fork(record).map(RawEvent::Process),
        types::event_kind::EVENT_KIND_PROC_EXIT => Ok(RawEvent::Process(ProcessRecord::Exit {
            at: KtimeNs(header.ktime_ns),
            tgid: Tgid(header.tgid),
        })),
        types::event_kind::EVENT_KIND_LISTEN => listen(record).map(RawEvent::Process),
        _ => Err(DecodeError::Kind),
    }
}

/// The fixed part of a record, copied because a batch does not keep records aligned.
fn head_of<T: Plain + Default>(record: &[u8]) -> Result<T, DecodeError> {
    let mut head = T::default();
    plain::copy_from_bytes(&mut head, record).map_err(|_| DecodeError::Short)?;
    Ok(head)
}

#[inline]
fn data(record: &[u8]) -> Result<Data<'_>, DecodeError> {
    let e: types::data_event = head_of(record)?;
    if usize::from(e.header.len) > record.len() {
        return Err(DecodeError::Length);
    }
    let flags = u32::from(e.header.flags);
    let payload = record.get(size_of::<types::data_event>()..).ok_or(DecodeError::Short)?;
    let captured = usize::from(e.captured);
    let head = payload.get(..captured).ok_or(DecodeError::Length)?;
    let tail = payload.get(captured..captured + usize::from(e.tail)).ok_or(DecodeError::Length)?;
    if head.len() + tail.len() > e.bytes as usize {
        return Err(DecodeError::Length);
    }
    let dir = match types::data_direction(u32::from(e.direction)) {
        types::data_direction::DATA_DIRECTION_SEND => Direction::Send,
        types::data_direction::DATA_DIRECTION_RECV => Direction::Recv,
        _ => return Err(DecodeError::Kind),
    };
    Ok(Data {
        ktime: KtimeNs(e.header.ktime_ns),
        conn: ConnId(e.header.conn_id),
        tgid: Tgid(e.header.tgid),
        tid: Tid(e.header.tid),
        dir,
        pos: position(e.pos)?,
        // Before its first byte, a direction whose FIN is under way stands at -1.
        other_pos: position(e.other_pos).unwrap_or_default(),
        bytes: e.bytes,
        head,
        tail,
        eof: flags & types::data_flag::DATA_FLAG_EOF.0 != 0,
        payload_unknown: flags & types::data_flag::DATA_FLAG_PAYLOAD_UNKNOWN.0 != 0,
        pending: flags & types::data_flag::DATA_FLAG_SELECTION_PENDING.0 != 0,
        losses: e.header.losses,
    })
}

fn position(pos: u64) -> Result<StreamPos, DecodeError> {
    if pos < POSITION_END { Ok(StreamPos(pos)) } else { Err(DecodeError::Position) }
}

fn open(record: &[u8]) -> Result<ConnOpen<'_>, DecodeError> {
    let e: types::conn_open_event = head_of(record)?;
    let flags = u32::from(e.header.flags);
    let at = core::mem::offset_of!(types::conn_open_event, unix_path);
    let path = record.get(at..at + e.unix_path.len()).ok_or(DecodeError::Short)?;
    Ok(ConnOpen {
        ktime: KtimeNs(e.header.ktime_ns),
        conn: ConnId(e.header.conn_id),
        tgid: Tgid(e.header.tgid),
        local: Endpoint { addr: Ipv6Addr::from(e.local_addr), port: e.local_port },
        remote: Endpoint { addr: Ipv6Addr::from(e.remote_addr), port: e.remote_port },
        start: [position(e.send_pos)?, position(e.recv_pos)?],
        from_birth: flags & types::conn_flag::CONN_FLAG_FROM_BIRTH.0 != 0,
        adopted: flags & types::conn_flag::CONN_FLAG_ADOPTED.0 != 0,
        counted: flags & types::conn_flag::CONN_FLAG_OWN_COUNTERS.0 != 0,
        unix: i32::from(e.family) == nix::libc::AF_UNIX,
        netns: e.netns,
        unix_path: unix_path(path),
    })
}

/// The used part of `sun_path`: an abstract name keeps its leading NUL.
fn unix_path(path: &[u8]) -> &[u8] {
    let from = usize::from(path.first() == Some(&0));
    let len = path.iter().skip(from).take_while(|b| **b != 0).count();
    match len {
        0 => &[],
        _ => path.get(..from + len).unwrap_or_default(),
    }
}

fn end(record: &[u8]) -> Result<ConnEnd, DecodeError> {
    let e: types::conn_end_event = head_of(record)?;
    Ok(ConnEnd {
        ktime: KtimeNs(e.header.ktime_ns),
        conn: ConnId(e.header.conn_id),
        finals: [StreamPos(e.send_pos), StreamPos(e.recv_pos)],
        seen: [e.send_seen, e.recv_seen],
        error: e.error,
        skipped_calls: e.skipped_calls,
    })
}

fn exec(record: &[u8]) -> Result<ProcessRecord, DecodeError> {
    let e: Box<types::exec_event> = Box::new(head_of(record)?);
    Ok(ProcessRecord::Exec {
        at: KtimeNs(e.header.ktime_ns),
        tgid: Tgid(e.header.tgid),
        ns_tgid: e.ns_tgid,
        image: image(&e.image)?,
    })
}

fn image(image: &types::process_image) -> Result<ProcessImage, DecodeError> {
    let mut path = Vec::new();
    for component in image.path.iter().take(usize::from(image.components)).rev() {
        let len = component.iter().position(|b| *b == 0).unwrap_or(component.len());
        path.push(b'/');
        path.extend_from_slice(component.get(..len).unwrap_or_default());
    }
    let environ = image.environ.get(..image.environ_len as usize).ok_or(DecodeError::Length)?;
    Ok(ProcessImage {
        path: (image.path_truncated == 0).then(|| String::from_utf8_lossy(&path).into_owned()),
        environ: whole_entries(environ, image.environ_truncated == 0).to_vec(),
        environ_whole: image.environ_truncated == 0,
    })
}

/// The entries of an environment that are there to their end.
fn whole_entries(environ: &[u8], whole: bool) -> &[u8] {
    let last = environ.iter().rposition(|b| *b == 0);
    if whole { environ } else { environ.get(..last.unwrap_or(0)).unwrap_or_default() }
}

fn fork(record: &[u8]) -> Result<ProcessRecord, DecodeError> {
    let e: types::process_event = head_of(record)?;
    Ok(ProcessRecord::Fork {
        at: KtimeNs(e.header.ktime_ns),
        parent: Tgid(e.header.tgid),
        child: Tgid(e.child_tgid),
        child_ns_tgid: e.ns_tgid,
    })
}

fn listen(record: &[u8]) -> Result<ProcessRecord, DecodeError> {
    let e: Box<types::listen_event> = Box::new(head_of(record)?);
    Ok(ProcessRecord::Listen {
        at: KtimeNs(e.header.ktime_ns),
        tgid: Tgid(e.header.tgid),
        ns_tgid: e.ns_tgid,
        port: e.port,
        image: image(&e.image)?,
    })
}
