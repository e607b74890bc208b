//! The kernel's tables as the rest of the agent uses them.

use anyhow::{Context, Result, anyhow};
use libbpf_rs::{ErrorKind, MapCore, MapFlags, MapHandle};

use super::misses::Programs;
use super::skel::agent::AgentSkel;
use crate::abi::types;
use crate::model::conn::Direction;
use crate::model::ids::{ConnId, KtimeNs, StreamPos, Tgid};
use crate::model::selector::Numbers;

/// Handles of the maps; they outlive nothing: every map goes with the last handle and program.
#[derive(Debug)]
pub struct KernelMaps {
    /// Records to user space.
    pub ring: MapHandle,
    /// The reader's word that it sleeps.
    pub reader_state: MapHandle,
    verdicts: MapHandle,
    selection: MapHandle,
    judged: MapHandle,
    ports: MapHandle,
    stats: MapHandle,
    programs: Programs,
}

impl KernelMaps {
    pub(super) fn new(skel: &AgentSkel<'_>, programs: Programs) -> Result<Self> {
        let m = &skel.maps;
        let duplicate = "duplicate a map's descriptor";
        Ok(Self {
            ring: MapHandle::try_from(&m.events).context(duplicate)?,
            reader_state: MapHandle::try_from(&m.reader_state).context(duplicate)?,
            verdicts: MapHandle::try_from(&m.verdict_by_conn).context(duplicate)?,
            selection: MapHandle::try_from(&m.sel_by_tgid).context(duplicate)?,
            judged: MapHandle::try_from(&m.judged_by_tgid).context(duplicate)?,
            ports: MapHandle::try_from(&m.port_bitmap).context(duplicate)?,
            stats: MapHandle::try_from(&m.hook_stats).context(duplicate)?,
            programs,
        })
    }

    /// A second set of handles, for another thread.
    pub fn try_clone(&self) -> Result<Self> {
        let duplicate = "duplicate a map's descriptor";
        Ok(Self {
            ring: MapHandle::try_from(&self.ring).context(duplicate)?,
            reader_state: MapHandle::try_from(&self.reader_state).context(duplicate)?,
            verdicts: MapHandle::try_from(&self.verdicts).context(duplicate)?,
            selection: MapHandle::try_from(&self.selection).context(duplicate)?,
            judged: MapHandle::try_from(&self.judged).context(duplicate)?,
            ports: MapHandle::try_from(&self.ports).context(duplicate)?,
            stats: MapHandle::try_from(&self.stats).context(duplicate)?,
            programs: self.programs.try_clone()?,
        })
    }

    /// Handles of the programs.
    pub(super) fn programs(&self) -> Result<Programs> {
        self.programs.try_clone()
    }

    /// Enters a process that was there before the agent. What the kernel has entered since it was
    /// looked at is newer, and stays.
    pub(super) fn enter_first(&self, tgid: Tgid, selected: bool) -> Result<()> {
        match self.enter(tgid, judged(selected), MapFlags::NO_EXIST) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            entered => entered.with_context(|| entry_of(tgid)),
        }
    }

    /// Observes the process whatever it was judged before.
    pub(super) fn select(&self, tgid: Tgid) -> Result<()> {
        self.enter(tgid, judged(true), MapFlags::ANY).with_context(|| entry_of(tgid))
    }

    /// Never observes the process, whatever else says.
    pub fn deny(&self, tgid: Tgid) -> Result<()> {
        self.enter(tgid, types::selection_state::SELECTION_DENIED, MapFlags::ANY)
            .with_context(|| entry_of(tgid))
    }

    /// Answers what the kernel asked at `since`: whether the process is observed.
    pub(super) fn judge(&self, tgid: Tgid, since: KtimeNs, selected: bool) -> Result<()> {
        let state = judged(selected).0;
        let value = types::judgement { since_ns: since.0, state, ..Default::default() };
        self.judged
            .update(&tgid.0.to_ne_bytes(), bytes_of(&value), MapFlags::ANY)
            .with_context(|| format!("enter the judgement of tgid {}", tgid.0))?;
        // What was asked may have been overwritten by `change`, which cannot look and write at once.
        match self.selection_of(tgid)? {
            Some(entry) if entry.since_ns < since.0 && is_final(&entry, !selected) => {
                self.overwrite(tgid, &entry, selected)
            }
            _ => Ok(()),
        }
    }

    /// Observes a process that was judged before, or observes it no more. One of which the kernel
    /// asks just now stays as it is: the answer is under way, and by the same configuration.
    pub(super) fn change(&self, tgid: Tgid, selected: bool) -> Result<()> {
        match self.selection_of(tgid)? {
            None if selected => self.enter_first(tgid, true),
            None => Ok(()),
            Some(entry) if is_final(&entry, !selected) || self.is_judged(tgid, &entry)? => {
                self.overwrite(tgid, &entry, selected)
            }
            Some(_) => Ok(()),
        }
    }

    fn selection_of(&self, tgid: Tgid) -> Result<Option<types::selection>> {
        lookup(&self.selection, tgid).with_context(|| entry_of(tgid))
    }

    /// Whether user space has answered what the kernel asked.
    fn is_judged(&self, tgid: Tgid, entry: &types::selection) -> Result<bool> {
        let judged: Option<types::judgement> =
            lookup(&self.judged, tgid).with_context(|| entry_of(tgid))?;
        let pending = entry.state == types::selection_state::SELECTION_PENDING.0;
        Ok(pending && judged.is_some_and(|judged| judged.since_ns == entry.since_ns))
    }

    fn overwrite(&self, tgid: Tgid, entry: &types::selection, selected: bool) -> Result<()> {
        let entry = types::selection { state: judged(selected).0, ..*entry };
        match self.selection.update(&tgid.0.to_ne_bytes(), bytes_of(&entry), MapFlags::EXIST) {
            // It ended meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            written => written.with_context(|| entry_of(tgid)),
        }
    }

    /// Takes back the answer to a process that ended. Not an error when there is none.
    pub(super) fn forget_judgement(&self, tgid: Tgid) {
        if let Err(error) = self.judged.delete(&tgid.0.to_ne_bytes()) {
            tracing::trace!(tgid = tgid.0, %error, "judgement was gone already");
        }
    }

    fn enter(
        &self,
        tgid: Tgid,
        state: types::selection_state,
        flags: MapFlags,
    ) -> libbpf_rs::Result<()> {
        let value = types::selection { state: state.0, ..Default::default() };
        self.selection.update(&tgid.0.to_ne_bytes(), bytes_of(&value), flags)
    }

    /// Fills the bitmap of ports that a selector asks for, over what was in it.
    pub(super) fn set_ports(&self, ports: &Numbers) -> Result<()> {
        let mut words = vec![0u64; types::event_limit::PORT_BITMAP_WORDS.0 as usize];
        for port in ports.ranges().iter().flat_map(|(first, last)| *first..=*last) {
            if let Some(word) = words.get_mut(port as usize >> 6) {
                *word |= 1 << (port & 63);
            }
        }
        for (index, word) in (0u32..).zip(words) {
            self.ports
                .update(&index.to_ne_bytes(), &word.to_ne_bytes(), MapFlags::ANY)
                .context("fill the port bitmap")?;
        }
        Ok(())
    }

    /// Records of every call of this connection.
    pub fn want_all(&self, conn: ConnId) {
        self.set_verdict(conn, types::verdict::default());
    }

    /// No records of this connection until it was idle.
    pub fn want_nothing(&self, conn: ConnId) {
        let mode = types::verdict_mode::VERDICT_NOTHING.0;
        self.set_verdict(conn, types::verdict { mode, ..Default::default() });
    }

    /// An open record of this connection before its next one.
    pub fn want_open(&self, conn: ConnId) {
        let mode = types::verdict_mode::VERDICT_OPEN.0;
        self.set_verdict(conn, types::verdict { mode, ..Default::default() });
    }

    /// No records of calls in `dir` that lie wholly before `until`.
    pub fn skip_until(&self, conn: ConnId, dir: Direction, until: StreamPos) {
        let mut verdict = types::verdict::default();
        if let Some(skip) = verdict.skip_until.get_mut(dir.index()) {
            *skip = until.0;
        }
        self.set_verdict(conn, verdict);
    }

    /// A verdict only saves work: without it the connection keeps the default budget.
    fn set_verdict(&self, conn: ConnId, verdict: types::verdict) {
        let key = conn.0.to_ne_bytes();
        if let Err(error) = self.verdicts.update(&key, bytes_of(&verdict), MapFlags::ANY) {
            tracing::debug!(conn = conn.0, %error, "verdict not entered");
        }
    }

    /// The kernel side's counters, summed over CPUs.
    pub fn stats(&self) -> Result<HookStats> {
        let per_cpu = self
            .stats
            .lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY)
            .context("read the hook counters")?
            .unwrap_or_default();
        let missed = self.programs.recursion_misses()?;
        let mut sums = HookStats { missed, ..HookStats::default() };
        for cells in &per_cpu {
            for (sum, cell) in sums.cells.iter_mut().zip(cells.chunks_exact(8)) {
                *sum += cell.try_into().map(u64::from_ne_bytes).unwrap_or_default();
            }
        }
        Ok(sums)
    }
}

/// What the kernel side counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookStats {
    /// By `enum hook_stat`.
    cells: [u64; types::hook_stat::HOOK_STAT_COUNT.0 as usize],
    /// Runs that each program missed because the CPU was inside it already.
    pub missed: Vec<(String, u64)>,
}

impl HookStats {
    /// One of them.
    pub fn get(&self, cell: types::hook_stat) -> u64 {
        self.cells.get(cell.0 as usize).copied().unwrap_or_default()
    }
}

fn judged(selected: bool) -> types::selection_state {
    if selected {
        types::selection_state::SELECTION_SELECTED
    } else {
        types::selection_state::SELECTION_REFUSED
    }
}

fn entry_of(tgid: Tgid) -> String {
    format!("enter tgid {} into the selection table", tgid.0)
}

/// Whether an entry says for good that the process is observed (`selected`), or that it is not.
fn is_final(entry: &types::selection, selected: bool) -> bool {
    entry.state == judged(selected).0
}

/// The entry of a process in one of the tables.
fn lookup<T: plain::Plain + Default>(map: &MapHandle, tgid: Tgid) -> Result<Option<T>> {
    let Some(bytes) = map.lookup(&tgid.0.to_ne_bytes(), MapFlags::ANY)? else { return Ok(None) };
    let mut value = T::default();
    plain::copy_from_bytes(&mut value, &bytes).map_err(|_| anyhow!("an entry is cut short"))?;
    Ok(Some(value))
}

// SAFETY: integers without padding (-Wpadded), any bit pattern is valid.
unsafe impl plain::Plain for types::selection {}
// SAFETY: as above.
unsafe impl plain::Plain for types::judgement {}
// SAFETY: as above.
unsafe impl plain::Plain for types::verdict {}

fn bytes_of<T: plain::Plain>(value: &T) -> &[u8] {
    // SAFETY: `Plain` types here have no padding (-Wpadded), so every byte is initialised.
    unsafe { plain::as_bytes(value) }
}
