//! Runs of programs that did not happen: the kernel does not run a program on a CPU that is inside
//! the same program already (interrupted, or preempted by another task), and counts it
//! (`recursion_misses` of `struct bpf_prog_info`, 5.12+).

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use anyhow::{Context, Result};
use libbpf_rs::ProgramMut;

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
            let mut info = libbpf_sys::bpf_prog_info::default();
            let mut len = u32::try_from(size_of_val(&info)).unwrap_or_default();
            // SAFETY: the descriptor is open while `self` lives, and `info` has `len` bytes.
            let outcome = unsafe {
                libbpf_sys::bpf_prog_get_info_by_fd(fd.as_raw_fd(), &raw mut info, &raw mut len)
            };
            if outcome < 0 {
                return Err(nix::errno::Errno::from_raw(-outcome))
                    .with_context(|| format!("read what the kernel tells of {name}"));
            }
            Ok((name.clone(), info.recursion_misses))
        };
        self.0.iter().map(misses).collect()
    }
}
