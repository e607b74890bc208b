//! What executables said of themselves.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use super::elf::{self, Evidence};
use crate::telemetry::{Counter, Counters};

/// Entries of the young half, and of the old one. An executable has one for the file and, if its
/// linker named it, one for that.
pub(super) const EXECUTABLES_MAX: usize = 4_096;

/// What tells an executable from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// The file. Its time of change is there besides that of its contents because layers of images
    /// carry times of their own, often the same for every file.
    File { dev: u64, ino: u64, size: u64, mtime: (i64, i64), ctime: (i64, i64) },
    /// What its linker wrote: one executable in the images of many containers. Its size tells a
    /// stripped copy from a whole one.
    Build { id: Box<[u8]>, size: u64 },
}

impl Key {
    fn of_file(file: &Metadata) -> Self {
        Self::File {
            dev: file.dev(),
            ino: file.ino(),
            size: file.size(),
            mtime: (file.mtime(), file.mtime_nsec()),
            ctime: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// A bounded memory: when the young half is full it becomes the old one, and what was not asked for
/// since goes.
#[derive(Debug)]
pub(super) struct Cache {
    young: HashMap<Key, Evidence>,
    old: HashMap<Key, Evidence>,
    counters: Arc<Counters>,
}

impl Cache {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), counters }
    }

    /// What the file says of itself.
    pub(super) fn evidence(&mut self, file: &File) -> Evidence {
        let Ok(metadata) = file.metadata() else { return Evidence::default() };
        let this_file = Key::of_file(&metadata);
        if let Some(evidence) = self.known(&this_file) {
            self.counters.add(Counter::DiscoveryExecutablesKnown, 1);
            return evidence;
        }
        let build = elf::build_id(file).map(|id| Key::Build { id, size: metadata.size() });
        let evidence = match build.as_ref().and_then(|build| self.known(build)) {
            Some(evidence) => {
                self.counters.add(Counter::DiscoveryExecutablesKnown, 1);
                evidence
            }
            None => {
                self.counters.add(Counter::DiscoveryExecutablesExamined, 1);
                super::examine(file)
            }
        };
        for key in [Some(this_file), build].into_iter().flatten() {
            self.remember(key, evidence);
        }
        evidence
    }

    fn known(&mut self, key: &Key) -> Option<Evidence> {
        if let Some(evidence) = self.young.get(key) {
            return Some(*evidence);
        }
        let (key, evidence) = self.old.remove_entry(key)?;
        self.remember(key, evidence);
        Some(evidence)
    }

    fn remember(&mut self, key: Key, evidence: Evidence) {
        if self.young.len() >= EXECUTABLES_MAX {
            let gone = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.counters.add(Counter::DiscoveryExecutablesForgotten, gone.len() as u64);
        }
        self.young.insert(key, evidence);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(ino: u64) -> Key {
        Key::File { dev: 1, ino, size: 2, mtime: (3, 4), ctime: (5, 6) }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_asked_for_stays() {
        let mut cache = Cache::new(Arc::new(Counters::default()));
        let max = EXECUTABLES_MAX as u64;
        cache.remember(key(0), Evidence { cxx: true, ..Evidence::default() });
        for ino in 1..5 * max {
            cache.remember(key(ino), Evidence::default());
            assert!(cache.len() <= 2 * EXECUTABLES_MAX);
            if ino % (max / 2) == 0 {
                assert!(cache.known(&key(0)).unwrap().cxx, "{ino}");
            }
        }
        assert!(cache.known(&key(5 * max - 1)).is_some());
        assert!(cache.known(&key(1)).is_none());
        let forgotten = cache.counters.get(Counter::DiscoveryExecutablesForgotten);
        assert!(forgotten >= 2 * max, "{forgotten}");
    }
}
