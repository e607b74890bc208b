//! What was there before the agent: processes, listening ports, open connections.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, anyhow};
use libbpf_rs::libbpf_sys;

use super::ladder::Loaded;
use crate::abi::types;
use crate::model::ids::{KtimeNs, Tgid};
use crate::model::process::{ListenerFact, Surroundings, TaskFact};

impl Loaded {
    /// Every process there is.
    pub fn tasks(&self) -> Result<Vec<TaskFact>> {
        tasks(self.skel.progs.obi_it_task.as_fd())
    }

    /// [`Self::tasks`] and [`Self::listeners`] for another thread.
    pub fn look_around(&self) -> Result<impl Fn() -> Result<Surroundings> + Send + use<>> {
        let copy = |program: BorrowedFd<'_>| {
            program.try_clone_to_owned().context("duplicate an iterator's descriptor")
        };
        let tasks = copy(self.skel.progs.obi_it_task.as_fd())?;
        let files = match self.features.sock_from_file {
            true => Some(copy(self.skel.progs.obi_it_file.as_fd())?),
            false => None,
        };
        Ok(move || {
            let listeners = files.as_ref().map(|files| listeners(files.as_fd(), None));
            let (tasks, listeners) = (self::tasks(tasks.as_fd())?, listeners.transpose()?);
            Ok(Surroundings { tasks, listeners })
        })
    }

    /// Every listening TCP socket and its owners; adopts the open connections of selected
    /// processes on the way. `only` limits both to one process (in the agent's PID namespace)
    /// where the kernel can (6.1+). `None` when this kernel has no such iterator (5.10).
    pub fn listeners(&self, only: Option<u32>) -> Result<Option<Vec<ListenerFact>>> {
        if !self.features.sock_from_file {
            return Ok(None);
        }
        listeners(self.skel.progs.obi_it_file.as_fd(), only).map(Some)
    }
}

fn listeners(program: BorrowedFd<'_>, only: Option<u32>) -> Result<Vec<ListenerFact>> {
    let records: Vec<types::listener_record> = iterate(program, only)?;
    let listener = |r: types::listener_record| ListenerFact {
        tgid: Tgid(r.tgid),
        ns_tgid: r.ns_tgid,
        port: r.port,
    };
    Ok(records.into_iter().map(listener).collect())
}

fn tasks(program: BorrowedFd<'_>) -> Result<Vec<TaskFact>> {
    let records: Vec<types::task_record> = iterate(program, None)?;
    let task = |r: types::task_record| TaskFact {
        tgid: Tgid(r.tgid),
        ns_tgid: r.ns_tgid,
        parent: Tgid(r.parent_tgid),
        started: KtimeNs(r.start_ktime_ns),
    };
    Ok(records.into_iter().map(task).collect())
}

/// Runs an iterator program to its end.
fn iterate<T: plain::Plain + Default>(
    program: BorrowedFd<'_>,
    only: Option<u32>,
) -> Result<Vec<T>> {
    read_iterator(program, only)?
        .chunks(size_of::<T>())
        .map(|chunk| {
            let mut record = T::default();
            plain::copy_from_bytes(&mut record, chunk)
                .map_err(|_| anyhow!("an iterator's record was cut short"))?;
            Ok(record)
        })
        .collect()
}

/// Bytes that the iterator program writes. `only` is a tgid in the agent's PID namespace.
fn read_iterator(program: BorrowedFd<'_>, only: Option<u32>) -> Result<Vec<u8>> {
    let mut info = libbpf_sys::bpf_iter_link_info::default();
    let mut opts = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as _,
        ..Default::default()
    };
    if let Some(pid) = only {
        info.task = libbpf_sys::bpf_iter_link_info__bindgen_ty_3 { pid, ..Default::default() };
        opts.iter_info = &raw mut info;
        opts.iter_info_len = u32::try_from(size_of::<libbpf_sys::bpf_iter_link_info>())?;
    }
    // SAFETY: the program's descriptor is open, and `opts` and what it points to outlive the call.
    let link = unsafe {
        libbpf_sys::bpf_link_create(
            program.as_raw_fd(),
            0,
            libbpf_sys::BPF_TRACE_ITER,
            &raw const opts,
        )
    };
    let link = owned(link).context("create the iterator's link")?;
    // SAFETY: the link's descriptor is open.
    let iter = unsafe { libbpf_sys::bpf_iter_create(link.as_raw_fd()) };
    let iter = owned(iter).context("create the iterator")?;
    let mut bytes = Vec::new();
    std::fs::File::from(iter).read_to_end(&mut bytes).context("read the iterator")?;
    Ok(bytes)
}

/// A descriptor that libbpf returned, or its negative errno as an error.
fn owned(fd: i32) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(std::io::Error::from_raw_os_error(-fd).into());
    }
    // SAFETY: libbpf returned this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

// SAFETY: integers without padding (-Wpadded), so any bit pattern is valid.
unsafe impl plain::Plain for types::task_record {}
// SAFETY: as above.
unsafe impl plain::Plain for types::listener_record {}
