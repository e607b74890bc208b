//! What was seen of one process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Decoder;
use super::connection::{Connection, Proto};
use crate::model::ids::Tgid;

/// What was seen of one process so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Connections that are open, by what they carry.
    pub open: BTreeMap<String, u64>,
    /// Connections that are over.
    pub over: u64,
    /// Spans of its requests and calls.
    pub spans: u64,
    /// Bytes of its connections that were lost before they were read.
    pub gap_bytes: u64,
    /// Calls whose bytes could not be read: io_uring, a foreign ABI, recvmmsg with a timeout.
    pub unknown_payloads: u64,
}

impl Decoder {
    /// What was seen of these processes. A connection counts for the one that used it last.
    pub fn seen(&self, tgids: &[Tgid]) -> Vec<Seen> {
        let mut all: Vec<Seen> = tgids.iter().map(|tgid| self.seen_before(*tgid)).collect();
        let connections = self.connections.used().filter_map(|slot| self.connections.get(slot));
        for connection in connections {
            for (_, seen) in tgids.iter().zip(&mut all).filter(|(t, _)| **t == connection.owner) {
                *seen.open.entry(connection.verdict().to_owned()).or_default() += 1;
                seen.spans += connection.spans;
                seen.gap_bytes = seen.gap_bytes.saturating_add(connection.gap_bytes);
            }
        }
        all
    }

    fn seen_before(&self, tgid: Tgid) -> Seen {
        let past = self.engine.processes.past(tgid);
        Seen {
            over: past.connections,
            spans: past.spans,
            gap_bytes: past.gap_bytes,
            unknown_payloads: self.unknown_payloads.get(&tgid).copied().unwrap_or_default(),
            ..Seen::default()
        }
    }
}

impl Connection {
    /// What it carries, in a word or a few.
    fn verdict(&self) -> &'static str {
        match &self.proto {
            Proto::Undecided(_) => "not recognised yet",
            Proto::Known(state) => state.kind().name(),
            Proto::Nothing(_) => "no protocol that is known",
            Proto::Tunnel => "tunnel",
        }
    }
}
