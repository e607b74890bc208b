//! The agent's own figures at one moment, for whoever shows them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::ledger::Stage;

/// Figures of one moment; those of different stages are not of the same instant.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// What each stage took, handed on and dropped.
    pub stages: Vec<Stage>,
    /// What was counted beside, by name.
    pub beside: Vec<(String, u64)>,
    /// How full each exporter's queue is, from 0 to 1.
    pub queues: Vec<(&'static str, f64)>,
    /// The programs in the kernel.
    pub programs: Vec<ProgramFigures>,
    /// The maps in the kernel.
    pub maps: Vec<MapFigures>,
}

/// What the kernel tells of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramFigures {
    /// The kernel's number of it.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its type, by the kernel's name.
    pub kind: &'static str,
    /// How often it ran since statistics are kept.
    pub runs: u64,
    /// How long it ran.
    pub run_ns: u64,
}

/// What the kernel tells of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapFigures {
    /// The kernel's number of it.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its type, by the kernel's name.
    pub kind: &'static str,
    /// Entries that it has.
    pub entries: u64,
    /// Entries that it may have.
    pub max_entries: u64,
}

type Read = Box<dyn Fn() -> Figures + Send + Sync>;

/// Where figures are read. Whoever shows them starts before all that is counted runs: until then,
/// there are none.
#[derive(Clone, Default)]
pub struct FiguresSource(Arc<OnceLock<Read>>);

impl fmt::Debug for FiguresSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FiguresSource").field(&self.0.get().is_some()).finish()
    }
}

impl FiguresSource {
    /// Figures are read by `read` from now on. The first one stays.
    pub fn fill(&self, read: impl Fn() -> Figures + Send + Sync + 'static) {
        let _first_stays = self.0.set(Box::new(read));
    }

    /// Figures of this moment.
    pub fn read(&self) -> Figures {
        self.0.get().map_or_else(Figures::default, |read| read())
    }
}
