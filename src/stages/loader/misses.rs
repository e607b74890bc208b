//! Runs of programs that did not happen: the kernel does not run a program on a CPU that is inside
//! the same program already (interrupted, or preempted by another task), and counts it
//! (`recursion_misses` of `struct bpf_prog_info`, 5.12+).

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use anyhow::{Context, Result};
use libbpf_rs::{ProgramMut, ProgramType};

use super::figures::kind_of;
use crate::telemetry::ProgramFigures;

/// Handles of loaded programs.
#[derive(Debug)]
pub(super) struct Programs(Vec<(String, OwnedFd)>);

impl Programs {
    /// Handles of those that are loaded.
    pub(super) fn of(programs: &[&ProgramMut<'_>]) -> Result<Self> {
        let loaded = programs.iter().filter(|program| program.autoload());
        let handle = |program: &&ProgramMut<'_>| {
            let fd = program.as_fd().try_clone_to_owned();
            let fd = fd.context("duplicate a program's descriptor")?;
            Ok((program.name().to_string_lossy().into_owned(), fd))
        };
        loaded.map(handle).collect::<Result<_>>().map(Self)
    }

    /// A second set of handles, for another thread.
    pub(super) fn try_clone(&self) -> Result<Self> {
        let copy = |(name, fd): &(String, OwnedFd)| {
            let fd = fd.try_clone().context("duplicate a program's descriptor")?;
            Ok((name.clone(), fd))
        };
        self.0.iter().map(copy).collect::<Result<_>>().map(Self)
    }

    /// Runs that each program missed; 0 on kernels that do not tell.
    pub(super) fn recursion_misses(&self) -> Result<Vec<(String, u64)>> {
        let misses = |(name, fd): &(String, OwnedFd)| {
            let info = info(fd).with_context(|| format!("read what the kernel tells of {name}"))?;
            Ok((name.clone(), info.recursion_misses))
        };
        self.0.iter().map(misses).collect()
    }

    /// How often each program ran, and how long. What cannot be read is left out.
    pub(super) fn figures(&self) -> Vec<ProgramFigures> {
        let figures = |(name, fd): &(String, OwnedFd)| {
            let info = info(fd).ok()?;
            Some(ProgramFigures {
                id: info.id,
                name: name.clone(),
                kind: kind_of(ProgramType::from(info.type_)),
                runs: info.run_cnt,
                run_ns: info.run_time_ns,
            })
        };
        self.0.iter().filter_map(figures).collect()
    }
}

fn info(program: &OwnedFd) -> Result<libbpf_sys::bpf_prog_info, nix::errno::Errno> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut len = u32::try_from(size_of_val(&info)).unwrap_or_default();
    // SAFETY: the descriptor is open while it is borrowed, and `info` has `len` bytes.
    let outcome = unsafe {
        libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut len)
    };
    if outcome < 0 { Err(nix::errno::Errno::from_raw(-outcome)) } else { Ok(info) }
}
