//! Which processes are observed and what they are called.
//!
//! The kernel reports processes as they change; discovery judges each once by the configured
//! selectors and tells the loader (who enters it into the kernel's table) and the decoder (who
//! needs its identity). Nothing is polled.

mod explain;
mod facts;
mod first;
mod identity;
mod language;
mod procfs;
mod relatives;
mod reload;
mod run;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::ids::{KtimeNs, Tgid};
use crate::model::process::{
    ListenerFact, ProcessEvent, ProcessFact, ProcessImage, ProcessRecord, Surroundings, TaskFact,
    ThreadModel,
};
use crate::model::selector::{Choice, Numbers, Refinement, Selectors};
use crate::model::service::Service;
use crate::telemetry::{Counter, Counters};
pub use explain::{Asked, Explanation, Failing, Judged, Reason};
use facts::Known;
pub use identity::HostFacts;
use identity::{Named, Told, base_name};
pub use language::Language;
use language::Languages;
pub use procfs::listeners_from_proc;
use relatives::{ancestors, workers};
pub use run::{Channels, Request};

/// Processes that are remembered at most; beyond, a process is refused and counted.
pub const PROCESSES_MAX: usize = 65_536;

/// What discovery knows of one process.
#[derive(Clone, Debug, Default)]
struct Process {
    ns_tgid: u32,
    exe: String,
    /// It listens on these, of those that a selector asks for.
    ports: Vec<u16>,
    /// It is observed, under this identity.
    service: Option<Arc<Service>>,
    /// What it is written in.
    language: Language,
    /// Whether its threads tell which request they work on.
    threads: ThreadModel,
    /// What it said of itself when it was first selected.
    told: Option<Told>,
    /// What the selectors say of it, or of the process that it has its selection from.
    refinement: Refinement,
    /// The selector that this comes from, by number.
    by: Option<usize>,
    /// What that asks for, where it matches not the process itself but its parent, or what it was
    /// before an exec: another configuration may have it again.
    inherited: Option<Arc<str>>,
    /// The observed process that it comes from, if any.
    after: Option<Tgid>,
    /// It was found by looking around: what its own record says of it is better.
    found: bool,
}

/// The judge. Pure but for reads of `/proc`.
#[derive(Debug)]
pub struct Discovery {
    selectors: Selectors,
    /// Selectors, by number, that have matched nothing so far.
    unmatched: Vec<usize>,
    /// Ports that a selector asks for.
    ports: Numbers,
    host: HostFacts,
    languages: Languages,
    processes: HashMap<Tgid, Process>,
    /// Processes that were there at the start.
    surveyed: usize,
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

    fn is_selected(&self) -> bool {
        self.service.is_some()
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
            unmatched: (0..selectors.include.len()).collect(),
            selectors,
            host,
            languages: Languages::new(Arc::clone(&counters)),
            processes: HashMap::new(),
            surveyed: 0,
            decisions: Vec::new(),
            masters: Vec::new(),
            counters,
        }
    }

    /// The host that it describes.
    pub fn host(&self) -> &HostFacts {
        &self.host
    }

    /// Leaves the language of executables alone whose paths begin so: it is `generic`.
    pub fn without_languages_below(mut self, paths: Vec<String>) -> Self {
        self.languages.excluded = paths;
        self
    }

    /// Judges everything that was there before the agent. Children of a selected process are
    /// selected with it.
    pub fn start(&mut self, tasks: &[TaskFact], listeners: &[ListenerFact]) -> Vec<Decision> {
        let hidden = self.survey(tasks, listeners);
        self.counters.add(Counter::DiscoveryProcessesHidden, hidden);
        self.surveyed = self.processes.len();
        let chosen = self.choose(tasks);
        self.tell_unmatched(listeners);
        for tgid in chosen {
            self.answer_selected(tgid, KtimeNs(0), true);
        }
        for tgid in self.forget_the_rest() {
            self.refuse(tgid, KtimeNs(0));
        }
        std::mem::take(&mut self.decisions)
    }

    /// Looks at every process and at what it listens on, of what a selector asks for. Gives the
    /// number of those whose executable it could not see.
    fn survey(&mut self, tasks: &[TaskFact], listeners: &[ListenerFact]) -> u64 {
        let mut hidden = 0;
        for task in tasks.iter().filter(|t| t.ns_tgid != 0) {
            let exe = match procfs::executable(task.ns_tgid) {
                Some(exe) => exe,
                None if procfs::is_hidden(task.ns_tgid) => {
                    hidden += 1;
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
        hidden
    }

    /// Selects every process that a selector matches, and those below it. Gives them, parents
    /// first.
    fn choose(&mut self, tasks: &[TaskFact]) -> Vec<Tgid> {
        let matching = self.processes.iter().filter(|(_, process)| self.matches(process));
        let mut chosen: Vec<Tgid> = matching.map(|(tgid, _)| *tgid).collect();
        chosen.sort_unstable();
        for tgid in &chosen {
            self.select(*tgid, &ProcessImage::default());
        }
        let below = self.choose_below(&chosen, tasks);
        chosen.extend(below);
        chosen
    }

    /// Selects the processes below `masters`, which are selected. Gives those that were not yet.
    fn choose_below(&mut self, masters: &[Tgid], tasks: &[TaskFact]) -> Vec<Tgid> {
        let is_there = |tgid| self.processes.contains_key(&tgid);
        let mut chosen = Vec::new();
        for (child, parent) in workers(masters, tasks, is_there) {
            let open = self.processes.get(&child).is_some_and(|p| !p.is_selected());
            if open && self.takes_after(child, parent) {
                self.select(child, &ProcessImage::default());
                chosen.push(child);
            }
        }
        chosen
    }

    /// Forgets what is not selected: it is judged by what its records say. That it listens was seen
    /// only by looking; those that do are kept, and given.
    fn forget_the_rest(&mut self) -> Vec<Tgid> {
        self.processes.retain(|_, process| {
            process.is_selected() || !process.ports.is_empty() || process.inherited.is_some()
        });
        let refused = self.processes.iter().filter(|(_, process)| !process.is_selected());
        let mut refused: Vec<Tgid> = refused.map(|(tgid, _)| *tgid).collect();
        refused.sort_unstable();
        refused
    }

    /// Processes that [`Self::start`] judged: those that have an executable.
    pub fn surveyed(&self) -> usize {
        self.surveyed
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
        let inherits = before.is_selected();
        // What is selected stays so, whatever it becomes, unless that is excluded.
        let process = Process { ns_tgid, exe, service: None, told: None, found: false, ..before };
        let selected = self.judge(&process, inherits);
        self.remember(tgid, process);
        self.decide(selected, tgid, at, &image, false);
    }

    fn fork(&mut self, parent: Tgid, child: Tgid, ns_tgid: u32, at: KtimeNs) {
        let (process, selected) = match self.processes.get(&parent) {
            Some(of) => {
                let after = Some(parent);
                (Process { ns_tgid, service: None, after, ..of.clone() }, of.is_selected())
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
        let known = process.is_selected() && !process.found;
        let selected = process.is_selected() || self.matches(&process);
        if std::mem::take(&mut process.found) {
            process.told = None;
        }
        self.remember(tgid, process);
        if known {
            // The kernel may have asked before it heard of the selection.
            let fact = self.fact_of_a_runtime(tgid, at, &image);
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
        if self.processes.get(&tgid).is_some_and(Process::is_selected) {
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
        if self.select(tgid, &image) {
            let event = Some(ProcessEvent::Inherited { tgid, ns_tgid });
            let fact = self.fact(tgid, since);
            self.decisions.push(Decision { event, fact });
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
        let known = process.known(&self.languages);
        match self.selectors.judge(&known) {
            Choice::Excluded(_) => false,
            Choice::Chosen => !self.selectors.refinement(&known).wishes.are_silence(),
            Choice::Unmatched => inherits,
        }
    }

    /// Lets a child have what the selectors say of its parent. Whether it is selected with that: an
    /// exclusion may match it.
    fn takes_after(&mut self, child: Tgid, parent: Tgid) -> bool {
        let Some(of) = self.processes.get(&parent).filter(|parent| parent.is_selected()) else {
            return false;
        };
        let (refinement, by) = (of.refinement.clone(), of.by);
        let Some(process) = self.processes.get_mut(&child) else { return false };
        (process.refinement, process.by, process.after) = (refinement, by, Some(parent));
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
        if select && self.select(tgid, image) {
            self.answer_selected(tgid, since, adopt);
        } else {
            self.refuse(tgid, since);
        }
    }

    /// Gives the process its identity, by what the selectors say of it or by what it has from
    /// another. `false` when the table was full, which was counted.
    fn select(&mut self, tgid: Tgid, image: &ProcessImage) -> bool {
        let Some(process) = self.processes.get_mut(&tgid) else { return false };
        let known = process.known(&self.languages);
        if self.selectors.judge(&known) == Choice::Chosen {
            let by = self.selectors.matching(&known).last().map(|(i, _)| i);
            let refinement = self.selectors.refinement(&known);
            (process.refinement, process.by, process.inherited) = (refinement, by, None);
        } else {
            let asks = process.by.and_then(|by| self.selectors.include.get(by));
            process.inherited = asks.map(|selector| selector.asks().into());
        }
        let Process { ns_tgid, exe, refinement, .. } = process;
        let told = process.told.get_or_insert_with(|| Told::by(*ns_tgid, image));
        let verdict = self.languages.of(*ns_tgid, exe);
        let named = Named::by(&self.host, refinement, exe, told);
        let service = Service {
            executable: base_name(exe).to_owned(),
            wishes: refinement.wishes.clone(),
            ..named.service(&self.host, *ns_tgid, verdict.language.word())
        };
        process.service = Some(Arc::new(service));
        (process.language, process.threads) = (verdict.language, verdict.threads);
        self.tell_matched(tgid);
        true
    }

    /// What the decoder is told of a process that is selected.
    fn fact(&self, tgid: Tgid, since: KtimeNs) -> Option<ProcessFact> {
        let process = self.processes.get(&tgid)?;
        let (service, threads) = (process.service.clone(), process.threads);
        Some(ProcessFact { tgid, since, service, threads, left: false })
    }

    /// The same of one that was told already, if it has loaded a runtime since and had none before.
    fn fact_of_a_runtime(
        &mut self,
        tgid: Tgid,
        at: KtimeNs,
        image: &ProcessImage,
    ) -> Option<ProcessFact> {
        let process = self.processes.get(&tgid)?;
        let open = !process.language.is_certain();
        let verdict = open.then(|| self.languages.of(process.ns_tgid, &process.exe))?;
        (verdict.language.is_certain() && self.select(tgid, image)).then(|| self.fact(tgid, at))?
    }

    fn answer_selected(&mut self, tgid: Tgid, since: KtimeNs, adopt: bool) {
        let ns_tgid = self.processes.get(&tgid).map_or(0, |process| process.ns_tgid);
        let fact = self.fact(tgid, since);
        self.answer(ProcessEvent::Selected { tgid, ns_tgid, since, adopt }, fact);
    }

    fn refuse(&mut self, tgid: Tgid, since: KtimeNs) {
        let threads = ThreadModel::default();
        let fact = ProcessFact { tgid, since, service: None, threads, left: false };
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
}

/// Path of the executable as the kernel told it, else as `/proc` does; empty when the process is
/// gone.
fn executable(ns_tgid: u32, image: &ProcessImage) -> String {
    image.path.clone().or_else(|| procfs::executable(ns_tgid)).unwrap_or_default()
}
