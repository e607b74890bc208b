//! What the kernel tells of the agent's programs and maps.

use std::os::fd::{FromRawFd as _, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use libbpf_rs::skel::Skel as _;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType, ProgramType};
use tracing::warn;

use super::ladder::Loaded;
use super::misses::Programs;
use crate::model::time::instant_now;
use crate::telemetry::{MapFigures, ProgramFigures};

/// Entries that one call counts.
const BATCH: u32 = 4096;

/// Reads figures of programs and maps, not more often than it is told. While it lives, the kernel keeps
/// statistics of every program on the host, which costs each run some tens of nanoseconds.
#[derive(Debug)]
pub struct KernelFigures {
    programs: Programs,
    maps: Vec<MapHandle>,
    interval: Duration,
    last: Mutex<Option<(Instant, Known)>>,
    /// Statistics end with the descriptor.
    _statistics: Option<OwnedFd>,
}

/// Programs and maps as they were read.
type Known = (Vec<ProgramFigures>, Vec<MapFigures>);

impl Loaded {
    /// Figures that are good for `interval`.
    ///
    /// # Errors
    /// When descriptors cannot be duplicated.
    pub fn figures(&self, interval: Duration) -> Result<KernelFigures> {
        let maps = self.skel.object().maps().filter(|map| is_counted(map.map_type()));
        let handle = |map| MapHandle::try_from(&map).context("duplicate a map's descriptor");
        Ok(KernelFigures {
            programs: self.maps.programs()?,
            maps: maps.map(handle).collect::<Result<_>>()?,
            interval,
            last: Mutex::default(),
            _statistics: keep_statistics(),
        })
    }
}

impl KernelFigures {
    /// Those of now, or of the last time, if it is not long ago. What cannot be read is left out.
    pub fn read(&self) -> Known {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = instant_now();
        match &*last {
            Some((at, known)) if now.duration_since(*at) < self.interval => known.clone(),
            _ => {
                let programs = self.programs.figures();
                let maps = self.maps.iter().filter_map(|map| figures_of(map).ok()).collect();
                let known = (programs, maps);
                *last = Some((now, known.clone()));
                known
            }
        }
    }
}

/// Whether one can tell how many entries such a map has.
fn is_counted(kind: MapType) -> bool {
    matches!(kind, MapType::Hash | MapType::LruHash)
}

fn figures_of(map: &MapHandle) -> Result<MapFigures> {
    let info = map.info().context("read what the kernel tells of a map")?;
    let entries = match map.lookup_batch(BATCH, MapFlags::ANY, MapFlags::ANY) {
        Ok(entries) => entries.count(),
        // Before 5.6.
        Err(_) => map.keys().count(),
    };
    Ok(MapFigures {
        id: info.info.id,
        name: map.name().to_string_lossy().into_owned(),
        kind: match map.map_type() {
            MapType::Hash => "Hash",
            MapType::LruHash => "LRUHash",
            _ => "Other",
        },
        entries: entries as u64,
        max_entries: u64::from(map.max_entries()),
    })
}

/// The name of a program's type.
pub(super) fn kind_of(program: ProgramType) -> &'static str {
    match program {
        ProgramType::Kprobe => "Kprobe",
        ProgramType::Tracing => "Tracing",
        _ => "Other",
    }
}

/// Makes the kernel (5.8+) count runs and their time while the descriptor is open.
fn keep_statistics() -> Option<OwnedFd> {
    // SAFETY: takes a number and gives a descriptor or an error.
    let fd = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
    if fd < 0 {
        let error = nix::errno::Errno::from_raw(-fd);
        warn!(
            %error,
            "the kernel keeps no statistics of programs for us (bpf_enable_stats: Linux 5.8 and \
             CAP_SYS_ADMIN): probe executions and latencies stay 0 unless kernel.bpf_stats_enabled is set"
        );
        return None;
    }
    // SAFETY: the descriptor is new, and nobody else's.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}
