//! What the decoder asks the kernel to leave out.

use crate::model::conn::Direction;
use crate::model::ids::{ConnId, StreamPos};

/// An update of one connection's verdict in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictUpdate {
    /// Records of every call again.
    Capture(ConnId),
    /// No records of this connection until it was idle.
    Nothing(ConnId),
    /// An open record before the next one: the connection is not known (any more).
    Open(ConnId),
    /// No records of calls that lie wholly before this position. It is the position of the
    /// message's last byte, so the call that moves that byte is recorded and ends the span.
    SkipUntil(ConnId, Direction, StreamPos),
}
