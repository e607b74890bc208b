//! The two ends and the two directions of a connection.

use std::fmt;
use std::net::Ipv6Addr;

/// Which way bytes moved, seen from the observed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It sent them.
    Send,
    /// It received them.
    Recv,
}

impl Direction {
    /// The other one.
    pub fn flip(self) -> Self {
        match self {
            Self::Send => Self::Recv,
            Self::Recv => Self::Send,
        }
    }

    /// 0 for send, 1 for receive: index into per-direction arrays.
    pub fn index(self) -> usize {
        match self {
            Self::Send => 0,
            Self::Recv => 1,
        }
    }
}

/// One end of a connection: address (IPv4 as `::ffff:a.b.c.d`) and port in host order.
/// Unix sockets have the unspecified address and port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub addr: Ipv6Addr,
    /// The port, host order.
    pub port: u16,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { addr: Ipv6Addr::UNSPECIFIED, port: 0 }
    }
}

impl Endpoint {
    /// The address as people write it: IPv4 where it is one, nothing for a unix socket.
    pub fn address(&self) -> impl fmt::Display {
        struct Text(Ipv6Addr);
        impl fmt::Display for Text {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if self.0.is_unspecified() { Ok(()) } else { self.0.to_canonical().fmt(f) }
            }
        }
        Text(self.addr)
    }
}

/// Both ends of the connection by role: who asked and who answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnEnds {
    /// The side that sends requests ("peer" in the printers, whatever the direction).
    pub client: Endpoint,
    /// The side that answers ("host" in the printers).
    pub server: Endpoint,
}
