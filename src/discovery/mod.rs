//! Which processes are observed and what they are called.
//!
//! The kernel reports processes as they change; discovery judges each once by the configured
//! selectors and tells the loader (who enters it into the kernel's table) and the decoder (who
//! needs its identity). Nothing is polled.

mod facts;
mod identity;
mod language;
mod procfs;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::model::ids::{KtimeNs, Tgid};
use crate::model::process::{
    ListenerFact, ProcessEvent, ProcessFact, ProcessImage, ProcessRecord, Surroundings, TaskFact,
    ThreadModel,
};
use crate::model::selector::{Choice, Numbers, Refinement, Selectors};
use crate::telemetry::{Counter, Counters};
use facts::Known;
pub use identity::HostFacts;
pub use language::Language;
use language::Languages;
pub use procfs::listeners_from_proc;

/// Processes that are remembered at most; beyond, a process is refused and counted.
pub const PROCESSES_MAX: usize = 65_536;

/// The host's first process.
const INIT: Tgid = Tgid(1);

/// What discovery knows of one process.
#[derive(Clone, Debug, Default)]
struct Process {
    ns_tgid: u32,
    exe: String,
    /// It listens on these, of those that a selector asks for.
    ports: Vec<u16>,
    selected: bool,
    /// What the selectors say of it, or of the process that it has its selection from.
    refinement: Refinement,
    /// It was found by looking around: what its own record says of it is better.
    found: bool,
    /// What the decoder was told of it.
    language: Language,
}

/// The judge. Pure but for reads of `/proc`.
#[derive(Debug)]
pub struct Discovery {
    selectors: Selectors,
    /// Ports that a selector asks for.
    ports: Numbers,
    host: HostFacts,
    languages: Languages,
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

impl Process {
    fn known<'a>(&'a self, languages: &'a Languages) -> Known<'a> {
        Known::new(self.ns_tgid, &self.exe, &self.ports, languages)
    }

    fn listens_on(&mut self, port: u16) {
        if !self.ports.contains(&port) {
            self.ports.push(port);
        }
    }
}

impl Discovery {
    /// A judge for `selectors` on the host described by `host`.
    pub fn new(selectors: Selectors, host: HostFacts, counters: Arc<Counters>) -> Self {
        Self {
            ports: selectors.ports(),
            selectors,
            host,
            languages: Languages::new(Arc::clone(&counters)),
            processes: HashMap::new(),
            decisions: Vec::new(),
            masters: Vec::new(),
            counters,
        }
    }

    /// Leaves the language of executables alone whose paths begin so: it is `generic`.
    pub fn without_languages_below(mut self, paths: Vec<String>) -> Self {
        self.languages.excluded = paths;
        self
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
        let ports = &self.ports;
        for listener in listeners.iter().filter(|l| ports.contains(u32::from(l.port))) {
            if let Some(process) = self.processes.get_mut(&listener.tgid) {
                process.listens_on(listener.port);
            }
        }
        let mut chosen: Vec<Tgid> = Vec::new();
        for (tgid, process) in &self.processes {
            if self.matches(process) {
                chosen.push(*tgid);
            }
        }
        chosen.sort_unstable();
        for tgid in &chosen {
            self.select(*tgid, KtimeNs(0), &ProcessImage::default(), true);
        }
        let is_there = |tgid| self.processes.contains_key(&tgid);
        for (child, parent) in workers(&chosen, tasks, is_there) {
            let open = self.processes.get(&child).is_some_and(|p| !p.selected);
            if open && self.takes_after(child, parent) {
                self.select(child, KtimeNs(0), &ProcessImage::default(), true);
            }
        }
        // The others are judged by what their records say, but that they listen was seen only here.
        self.processes.retain(|_, process| process.selected || !process.ports.is_empty());
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
            if self.asks_for(l.port) {
                self.listen(l.tgid, l.ns_tgid, l.port, KtimeNs(0), ProcessImage::default());
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
            ProcessRecord::Listen { at, tgid, ns_tgid, port, image } => {
                self.listen(tgid, ns_tgid, port, at, image);
            }
        }
        std::mem::take(&mut self.decisions)
    }

    fn exec(&mut self, tgid: Tgid, ns_tgid: u32, at: KtimeNs, image: ProcessImage) {
        let exe = executable(ns_tgid, &image);
        let before = self.processes.remove(&tgid).unwrap_or_default();
        // What is selected stays so, whatever it becomes, unless that is excluded.
        let process = Process { ns_tgid, exe, selected: false, found: false, ..before };
        let selected = self.judge(&process, before.selected);
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
                let process = Process { ns_tgid, exe, ..Process::default() };
                let selected = self.matches(&process);
                (process, selected)
            }
        };
        self.remember(child, process);
        self.decide(selected, child, at, &ProcessImage::default(), false);
    }

    fn listen(&mut self, tgid: Tgid, ns_tgid: u32, port: u16, at: KtimeNs, image: ProcessImage) {
        let mut process = match self.processes.get(&tgid) {
            Some(process) => process.clone(),
            None => Process { ns_tgid, ..Process::default() },
        };
        if process.exe.is_empty() {
            process.exe = executable(ns_tgid, &image);
        }
        process.listens_on(port);
        let known = process.selected && !process.found;
        let selected = process.selected || self.matches(&process);
        process.found = false;
        self.remember(tgid, process);
        if known {
            // The kernel may have asked before it heard of the selection.
            let fact = self.told_anew(tgid, at, &image);
            self.answer(ProcessEvent::Selected { tgid, ns_tgid, since: at, adopt: false }, fact);
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
            let ports = vec![l.port];
            let owner = Process { ns_tgid: l.ns_tgid, exe, ports, ..Process::default() };
            if self.asks_for(l.port) && self.matches(&owner) {
                self.inherit(l.tgid, l.ns_tgid, None, since);
                masters.push(l.tgid);
            }
        }
        let ids: HashMap<Tgid, u32> = tasks.iter().map(|t| (t.tgid, t.ns_tgid)).collect();
        let ns_tgid = |tgid| ids.get(&tgid).copied().unwrap_or_default();
        for (child, parent) in workers(&masters, tasks, |tgid| procfs::is_there(ns_tgid(tgid))) {
            self.inherit(child, ns_tgid(child), Some(parent), since);
        }
    }

    /// Selects a process of which the kernel has not asked: one that listens, or one whose parent
    /// is selected.
    fn inherit(&mut self, tgid: Tgid, ns_tgid: u32, parent: Option<Tgid>, since: KtimeNs) {
        if self.processes.get(&tgid).is_some_and(|p| p.selected) {
            return;
        }
        let image = ProcessImage::default();
        let exe = executable(ns_tgid, &image);
        if exe.is_empty() && !procfs::is_hidden(ns_tgid) {
            // Gone: its own record tells what it was.
            return;
        }
        self.remember(tgid, Process { ns_tgid, exe, found: true, ..Process::default() });
        if parent.is_some_and(|parent| !self.takes_after(tgid, parent)) {
            self.processes.remove(&tgid);
            return;
        }
        if let Some(fact) = self.chosen(tgid, since, &image) {
            let event = ProcessEvent::Inherited { tgid, ns_tgid };
            self.decisions.push(Decision { event: Some(event), fact: Some(fact) });
        }
    }

    fn exit(&mut self, tgid: Tgid) {
        self.processes.remove(&tgid);
        self.answer(ProcessEvent::Exited { tgid }, None);
    }

    fn asks_for(&self, port: u16) -> bool {
        self.ports.contains(u32::from(port))
    }

    /// Whether a selector matches the process, and no exclusion.
    fn matches(&self, process: &Process) -> bool {
        self.judge(process, false)
    }

    /// The same; one that nothing matches has what it `inherits`.
    fn judge(&self, process: &Process, inherits: bool) -> bool {
        match self.selectors.judge(&process.known(&self.languages)) {
            Choice::Excluded(_) => false,
            // Nothing but spans goes out yet.
            Choice::Chosen => {
                self.selectors.refinement(&process.known(&self.languages)).traces != Some(false)
            }
            Choice::Unmatched => inherits,
        }
    }

    /// Lets a child have what the selectors say of its parent. Whether it is selected with that: an
    /// exclusion may match it.
    fn takes_after(&mut self, child: Tgid, parent: Tgid) -> bool {
        let Some(parent) = self.processes.get(&parent).filter(|parent| parent.selected) else {
            return false;
        };
        let refinement = parent.refinement.clone();
        let Some(process) = self.processes.get_mut(&child) else { return false };
        process.refinement = refinement;
        self.processes.get(&child).is_some_and(|process| self.judge(process, true))
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
        if self.selectors.judge(&process.known(&self.languages)) == Choice::Chosen {
            process.refinement = self.selectors.refinement(&process.known(&self.languages));
        }
        let verdict = self.languages.of(process.ns_tgid, &process.exe);
        let service = identity::service_of(
            &self.host,
            &process.refinement,
            process.ns_tgid,
            &process.exe,
            image,
            verdict.language.word(),
        );
        process.selected = true;
        process.language = verdict.language;
        Some(ProcessFact { tgid, since, service: Some(service), threads: verdict.threads })
    }

    /// The same of one that was told already, if it has loaded the runtime of another language since.
    fn told_anew(&mut self, tgid: Tgid, at: KtimeNs, image: &ProcessImage) -> Option<ProcessFact> {
        let process = self.processes.get(&tgid)?;
        let verdict = self.languages.of(process.ns_tgid, &process.exe);
        (verdict.language != process.language).then(|| self.chosen(tgid, at, image))?
    }

    fn refuse(&mut self, tgid: Tgid, since: KtimeNs) {
        let fact = ProcessFact { tgid, since, service: None, threads: ThreadModel::default() };
        self.answer(ProcessEvent::Refused { tgid, since }, Some(fact));
    }

    fn answer(&mut self, event: ProcessEvent, fact: Option<ProcessFact>) {
        self.decisions.push(Decision { event: Some(event), fact });
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

/// Every process below `masters` that is there, with the nearest process above it that is; parents
/// first. The host's init may listen for others (socket activation), but what is below it are not its
/// workers.
fn workers(
    masters: &[Tgid],
    tasks: &[TaskFact],
    is_there: impl Fn(Tgid) -> bool,
) -> Vec<(Tgid, Tgid)> {
    let mut children: HashMap<Tgid, Vec<Tgid>> = HashMap::new();
    for task in tasks.iter().filter(|t| t.ns_tgid != 0) {
        children.entry(task.parent).or_default().push(task.tgid);
    }
    let mut found = Vec::new();
    let mut open: Vec<(Tgid, Tgid)> =
        masters.iter().filter(|tgid| **tgid != INIT).map(|tgid| (*tgid, *tgid)).collect();
    while let Some((tgid, above)) = open.pop() {
        for child in children.remove(&tgid).unwrap_or_default() {
            if is_there(child) {
                found.push((child, above));
                open.push((child, child));
            } else {
                open.push((child, above));
            }
        }
    }
    found
}
