//! Identifiers and positions. Each is a number of its own kind; nothing converts silently.

/// Nanoseconds of `CLOCK_MONOTONIC`, as `bpf_ktime_get_ns` gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct KtimeNs(pub u64);

impl KtimeNs {
    /// Nanoseconds from `earlier` to `self`; 0 when `earlier` is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One connection for as long as the kernel knows it: the socket cookie, or the CPU-stamped
/// counter where the cookie helper does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ConnId(pub u64);

/// Thread group id (what users call the PID) in the initial PID namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Tgid(pub u32);

/// Thread id in the initial PID namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Tid(pub u32);

/// Byte position in one direction of a connection's stream, 64 bits, the first byte is 0 (1 for
/// the sending side of a connection that this host opened).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct StreamPos(pub u64);

/// W3C trace id; all zero = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct TraceId(pub [u8; 16]);

/// W3C span (parent) id; all zero = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// No trace.
    pub const NONE: Self = Self([0; 16]);
    /// Whether this is the all-zero id.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl SpanId {
    /// No span.
    pub const NONE: Self = Self([0; 8]);
    /// Whether this is the all-zero id.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}
