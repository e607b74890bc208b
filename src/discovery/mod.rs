//! Which processes are observed and what they are called.
//!
//! The kernel reports processes as they change; discovery judges each once by the configured
//! selectors and tells the loader (who enters it into the kernel's table) and the decoder (who
//! needs its identity). Nothing is polled.

mod identity;
mod procfs;
mod runtime;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::model::ids::{KtimeNs, Tgid};
use crate::model::process::{
    ListenerFact, ProcessEvent, ProcessFact, ProcessImage, ProcessRecord, Surroundings, TaskFact,
    ThreadModel,
};
use crate::telemetry::{Counter, Counters};
pub use identity::HostFacts;
pub use procfs::listeners_from_proc;

/// Processes that are remembered at most; beyond, a process is refused and counted.
pub const PROCESSES_MAX: usize = 65_536;

/// The host's first process.
const INIT: Tgid = Tgid(1);

/// A question about a path.
pub type PathTest = Box<dyn Fn(&str) -> bool + Send>;

/// Which processes are meant. A process is selected when it fulfils every criterion that is set.
pub struct Selectors {
    /// Every process; no criterion is set then.
    pub everything: bool,
    /// It listens on one of these TCP ports. Empty = no criterion.
    pub ports: Vec<RangeInclusive<u16>>,
    /// The path of its executable fulfils this. `None` = no criterion.
    pub exe: Option<PathTest>,
    /// `service.name` where the process names none; empty = its executable's name.
    pub service_name: String,
    /// `service.namespace` where the process names none.
    pub service_namespace: String,
}

impl fmt::Debug for Selectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selectors").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl Selectors {
    fn has_port(&self, port: u16) -> bool {
        self.ports.iter().any(|range| range.contains(&port))
    }
}

/// What discovery knows of one process.
#[derive(Clone, Debug, Default)]
struct Process {
    ns_tgid: u32,
    exe: String,
    listens: bool,
    selected: bool,
    /// It was found by looking around: what its own record says of it is better.
    found: bool,
}

/// The judge. Pure but for reads of `/proc`.
#[derive(Debug)]
pub struct Discovery {
    selectors: Selectors,
    host: HostFacts,
    processes: HashMap<Tgid, Process>,
    /// Decisions not handed out yet.
    decisions: Vec<Decision>,
    /// Processes that were selected because they listen: their workers are to be looked for.
    masters: Vec<(Tgid, KtimeNs)>,
    counters: Arc<Counters>,
}

/// One decision: for the loader, and for the decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// To the kernel's table; `None` when the kernel knows already.
    pub event: Option<ProcessEvent>,
    /// To the decoder; `None` when there is nothing new to say of the process.
    pub fact: Option<ProcessFact>,
}

impl Discovery {
    /// A judge for `selectors` on the host described by `host`.
    pub fn new(selectors: Selectors, host: HostFacts, counters: Arc<Counters>) -> Self {
        Self {
            selectors,
            host,
            processes: HashMap::new(),
            decisions: Vec::new(),
            masters: Vec::new(),
            counters,
        }
    }

    /// Judges everything that was there before the agent. Children of a selected process are
    /// selected with it.
    pub fn start(&mut self, tasks: &[TaskFact], listeners: &[ListenerFact]) -> Vec<Decision> {
        for task in tasks.iter().filter(|t| t.ns_tgid != 0) {
            let exe = match procfs::executable(task.ns_tgid) {
                Some(exe) => exe,
                None if procfs::is_hidden(task.ns_tgid) => {
                    self.counters.add(Counter::DiscoveryProcessesHidden, 1);
                    String::new()
                }
                // A kernel thread, or gone.
                None => continue,
            };
            self.remember(task.tgid, Process { ns_tgid: task.ns_tgid, exe, ..Process::default() });
        }
        for listener in listeners.iter().filter(|l| self.selectors.has_port(l.port)) {
            if let Some(process) = self.processes.get_mut(&listener.tgid) {
                process.listens = true;
            }
        }
        let mut chosen: Vec<Tgid> = Vec::new();
        for (tgid, process) in &self.processes {
            if self.matches(process) {
                chosen.push(*tgid);
            }
        }
        chosen.extend(workers(&chosen, tasks));
        chosen.sort_unstable();
        chosen.dedup();
        for tgid in chosen {
            self.select(tgid, KtimeNs(0), &ProcessImage::default(), true);
        }
        // The others are judged by what their records say, but that they listen was seen only here.
        self.processes.retain(|_, process| process.selected || process.listens);
        let refused = self.processes.iter().filter(|(_, process)| !process.selected);
        let mut refused: Vec<Tgid> = refused.map(|(tgid, _)| *tgid).collect();
        refused.sort_unstable();
        for tgid in refused {
            self.refuse(tgid, KtimeNs(0));
        }
        std::mem::take(&mut self.decisions)
    }

    /// Processes whose executable [`Self::start`] could not see.
    pub fn hidden(&self) -> u64 {
        self.counters.get(Counter::DiscoveryProcessesHidden)
    }

    /// Judges listeners that were found after [`Self::start`] (the loader looks twice, so that
    /// nothing slips between the first look and the first selection).
    pub fn more_listeners(&mut self, listeners: &[ListenerFact]) -> Vec<Decision> {
        for l in listeners {
            if self.selectors.has_port(l.port) {
                self.listen(l.tgid, l.ns_tgid, KtimeNs(0), ProcessImage::default());
            }
        }
        std::mem::take(&mut self.decisions)
    }

    /// Judges one change.
    pub fn on_record(&mut self, record: ProcessRecord) -> Vec<Decision> {
        match record {
            ProcessRecord::Exec { at, tgid, ns_tgid, image } => {
                self.exec(tgid, ns_tgid, at, image);
            }
            ProcessRecord::Fork { at, parent, child, child_ns_tgid } => {
                self.fork(parent, child, child_ns_tgid, at);
            }
            ProcessRecord::Exit { tgid, .. } => self.exit(tgid),
            ProcessRecord::Listen { at, tgid, ns_tgid, image, .. } => {
                self.listen(tgid, ns_tgid, at, image);
            }
        }
        std::mem::take(&mut self.decisions)
    }

    fn exec(&mut self, tgid: Tgid, ns_tgid: u32, at: KtimeNs, image: ProcessImage) {
        let exe = executable(ns_tgid, &image);
        let before = self.processes.get(&tgid);
        let was_selected = before.is_some_and(|p| p.selected);
        let listens = before.is_some_and(|p| p.listens);
        let process = Process { ns_tgid, exe, listens, ..Process::default() };
        // Without an executable selector, exec does not change what a selected process is.
        let inherited = self.selectors.exe.is_none() && was_selected;
        let selected = inherited || self.matches(&process);
        self.remember(tgid, process);
        self.decide(selected, tgid, at, &image, false);
    }

    fn fork(&mut self, parent: Tgid, child: Tgid, ns_tgid: u32, at: KtimeNs) {
        let (process, selected) = match self.processes.get(&parent) {
            Some(parent) => {
                let process = Process { ns_tgid, selected: false, ..parent.clone() };
                (process, parent.selected)
            }
            None => {
                let exe = executable(ns_tgid, &ProcessImage::default());
                (Process { ns_tgid, exe, ..Process::default() }, self.selectors.everything)
            }
        };
        self.remember(child, process);
        self.decide(selected, child, at, &ProcessImage::default(), false);
    }

    fn listen(&mut self, tgid: Tgid, ns_tgid: u32, at: KtimeNs, image: ProcessImage) {
        let mut process = match self.processes.get(&tgid) {
            Some(process) => process.clone(),
            None => Process { ns_tgid, ..Process::default() },
        };
        if process.exe.is_empty() {
            process.exe = executable(ns_tgid, &image);
        }
        process.listens = true;
        let known = process.selected && !process.found;
        let selected = process.selected || self.matches(&process);
        process.found = false;
        self.remember(tgid, process);
        if known {
            // The kernel may have asked before it heard of the selection.
            self.answer(ProcessEvent::Selected { tgid, ns_tgid, since: at, adopt: false }, None);
        } else {
            self.decide(selected, tgid, at, &image, true);
            if selected {
                self.masters.push((tgid, at));
            }
        }
    }

    /// Looks around when a process was selected because it listens.
    fn look_for_workers(
        &mut self,
        look: impl Fn() -> anyhow::Result<Surroundings>,
    ) -> Vec<Decision> {
        let Some((master, since)) = self.masters.first().copied() else { return Vec::new() };
        match look() {
            Ok(Surroundings { tasks, listeners }) => {
                let listeners = listeners.unwrap_or_else(|| listeners_from_proc(&tasks));
                self.select_workers(since, &tasks, &listeners);
            }
            Err(error) => {
                self.masters.clear();
                tracing::warn!(
                    pid = master.0,
                    error = format!("{error:#}"),
                    "workers of a process that listens are not observed"
                );
            }
        }
        std::mem::take(&mut self.decisions)
    }

    /// Selects the processes below one that began to listen: workers may be older than the port. A
    /// worker may be the one that listens, on a socket that its master owns, too.
    fn select_workers(&mut self, since: KtimeNs, tasks: &[TaskFact], listeners: &[ListenerFact]) {
        let mut masters: Vec<_> = self.masters.drain(..).map(|(tgid, _)| tgid).collect();
        let above = ancestors(&masters, tasks);
        for l in listeners.iter().filter(|l| above.contains(&l.tgid)) {
            let exe = executable(l.ns_tgid, &ProcessImage::default());
            let owner = Process { exe, listens: true, ..Process::default() };
            if self.selectors.has_port(l.port) && self.matches(&owner) {
                self.inherit(l.tgid, l.ns_tgid, since);
                masters.push(l.tgid);
            }
        }
        let workers = workers(&masters, tasks);
        for task in tasks.iter().filter(|task| workers.contains(&task.tgid)) {
            self.inherit(task.tgid, task.ns_tgid, since);
        }
    }

    /// Selects a process of which the kernel has not asked.
    fn inherit(&mut self, tgid: Tgid, ns_tgid: u32, since: KtimeNs) {
        if self.processes.get(&tgid).is_some_and(|p| p.selected) {
            return;
        }
        let image = ProcessImage::default();
        let exe = executable(ns_tgid, &image);
        if exe.is_empty() && !procfs::is_hidden(ns_tgid) {
            // Gone: its own record tells what it was.
            return;
        }
        let process = Process { ns_tgid, exe, listens: true, selected: false, found: true };
        self.remember(tgid, process);
        if let Some(fact) = self.chosen(tgid, since, &image) {
            let event = ProcessEvent::Inherited { tgid, ns_tgid };
            self.decisions.push(Decision { event: Some(event), fact: Some(fact) });
        }
    }

    fn exit(&mut self, tgid: Tgid) {
        self.processes.remove(&tgid);
        self.answer(ProcessEvent::Exited { tgid }, None);
    }

    /// Whether the process fulfils every criterion that is set.
    fn matches(&self, process: &Process) -> bool {
        if self.selectors.everything {
            return true;
        }
        let exe = self.selectors.exe.as_ref().is_none_or(|matches| matches(&process.exe));
        let ports = self.selectors.ports.is_empty() || process.listens;
        exe && ports
    }

    fn decide(
        &mut self,
        select: bool,
        tgid: Tgid,
        since: KtimeNs,
        image: &ProcessImage,
        adopt: bool,
    ) {
        if select {
            self.select(tgid, since, image, adopt);
        } else {
            self.refuse(tgid, since);
        }
    }

    fn select(&mut self, tgid: Tgid, since: KtimeNs, image: &ProcessImage, adopt: bool) {
        let Some(fact) = self.chosen(tgid, since, image) else {
            return self.refuse(tgid, since);
        };
        let ns_tgid = self.processes.get(&tgid).map_or(0, |process| process.ns_tgid);
        self.answer(ProcessEvent::Selected { tgid, ns_tgid, since, adopt }, Some(fact));
    }

    /// What the decoder is told of a process that is selected; `None` when the table was full,
    /// which was counted.
    fn chosen(&mut self, tgid: Tgid, since: KtimeNs, image: &ProcessImage) -> Option<ProcessFact> {
        let process = self.processes.get_mut(&tgid)?;
        let runtime = runtime::of_executable(process.ns_tgid, &process.exe);
        let service = identity::service_of(
            &self.host,
            &self.selectors,
            process.ns_tgid,
            &process.exe,
            image,
            runtime.language(),
        );
        process.selected = true;
        Some(ProcessFact { tgid, since, service: Some(service), threads: runtime.threads() })
    }

    fn refuse(&mut self, tgid: Tgid, since: KtimeNs) {
        let fact = ProcessFact { tgid, since, service: None, threads: ThreadModel::default() };
        self.answer(ProcessEvent::Refused { tgid, since }, Some(fact));
    }

    /// Without an executable to judge, the kernel asks nothing: it only needs to know of processes
    /// whose connections are to be adopted.
    fn answer(&mut self, event: ProcessEvent, fact: Option<ProcessFact>) {
        let adopts = matches!(event, ProcessEvent::Selected { adopt: true, .. });
        let event = (self.selectors.exe.is_some() || adopts).then_some(event);
        if event.is_some() || fact.is_some() {
            self.decisions.push(Decision { event, fact });
        }
    }

    fn remember(&mut self, tgid: Tgid, process: Process) {
        if self.processes.len() < PROCESSES_MAX || self.processes.contains_key(&tgid) {
            self.processes.insert(tgid, process);
        } else {
            self.counters.add(Counter::DiscoveryProcessesFull, 1);
        }
    }

    /// Judges records until their sender is gone. `look` lists every process and every listener.
    pub fn run(
        mut self,
        records: &Receiver<ProcessRecord>,
        loader: &Sender<ProcessEvent>,
        decoder: &Sender<ProcessFact>,
        look: impl Fn() -> anyhow::Result<Surroundings>,
    ) -> anyhow::Result<()> {
        for record in records {
            for decision in self.on_record(record) {
                hand_out(decision, loader, decoder);
            }
            // The process itself does not wait for its workers.
            for decision in self.look_for_workers(&look) {
                hand_out(decision, loader, decoder);
            }
        }
        Ok(())
    }
}

/// A receiver that is gone means that the agent stops: nothing is left to tell it.
pub fn hand_out(d: Decision, loader: &Sender<ProcessEvent>, decoder: &Sender<ProcessFact>) {
    if let Some(fact) = d.fact
        && decoder.send(fact).is_err()
    {
        tracing::debug!("decoder is gone, a process fact is not needed any more");
    }
    if let Some(event) = d.event
        && loader.send(event).is_err()
    {
        tracing::debug!("loader is gone, a selection is not needed any more");
    }
}

/// Path of the executable as the kernel told it, else as `/proc` does; empty when the process is
/// gone.
fn executable(ns_tgid: u32, image: &ProcessImage) -> String {
    image.path.clone().or_else(|| procfs::executable(ns_tgid)).unwrap_or_default()
}

/// Every process above `tgids`.
fn ancestors(tgids: &[Tgid], tasks: &[TaskFact]) -> Vec<Tgid> {
    let parents: HashMap<Tgid, Tgid> = tasks.iter().map(|t| (t.tgid, t.parent)).collect();
    let mut found = Vec::new();
    for tgid in tgids {
        let above = std::iter::successors(parents.get(tgid), |tgid| parents.get(tgid));
        found.extend(above.take(tasks.len()));
    }
    found
}

/// Every process below `masters`. The host's init may listen for others (socket activation), but
/// what is below it are not its workers.
fn workers(masters: &[Tgid], tasks: &[TaskFact]) -> Vec<Tgid> {
    let mut children: HashMap<Tgid, Vec<Tgid>> = HashMap::new();
    for task in tasks.iter().filter(|t| t.ns_tgid != 0) {
        children.entry(task.parent).or_default().push(task.tgid);
    }
    let mut found = Vec::new();
    let mut open: Vec<_> = masters.iter().copied().filter(|tgid| *tgid != INIT).collect();
    while let Some(tgid) = open.pop() {
        for child in children.remove(&tgid).unwrap_or_default() {
            found.push(child);
            open.push(child);
        }
    }
    found
}
