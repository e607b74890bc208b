//! Process facts: what the kernel reports and what discovery concludes.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::ids::{KtimeNs, Tgid};
use super::selector::Numbers;
use super::service::Service;

/// A process event as the kernel reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessRecord {
    /// The process runs another executable from `at` on.
    Exec {
        /// When.
        at: KtimeNs,
        /// Who.
        tgid: Tgid,
        /// Its id in the agent's PID namespace; 0 = not visible there.
        ns_tgid: u32,
        /// What it runs.
        image: ProcessImage,
    },
    /// A selected process got a child, which inherits selection and identity.
    Fork {
        /// When.
        at: KtimeNs,
        /// The parent.
        parent: Tgid,
        /// The child.
        child: Tgid,
        /// The child's id in the agent's PID namespace; 0 = not visible there.
        child_ns_tgid: u32,
    },
    /// The last thread of the process ended.
    Exit {
        /// When.
        at: KtimeNs,
        /// Who.
        tgid: Tgid,
    },
    /// The process listens on a TCP port.
    Listen {
        /// When.
        at: KtimeNs,
        /// Who.
        tgid: Tgid,
        /// Its id in the agent's PID namespace; 0 = not visible there.
        ns_tgid: u32,
        /// The port.
        port: u16,
        /// What it runs.
        image: ProcessImage,
    },
}

/// What a process runs, as the kernel read it at that moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessImage {
    /// Path of the executable, absolute; `None` when it did not fit the record.
    pub path: Option<String>,
    /// Its environment, NUL-separated, as far as it fitted.
    pub environ: Vec<u8>,
    /// Whether `environ` is all of it.
    pub environ_whole: bool,
}

/// What discovery concluded of one process. `since` tells which life of the tgid is meant: the
/// time of its last exec, or 0 for a process that was there before the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFact {
    /// Who.
    pub tgid: Tgid,
    /// From when on.
    pub since: KtimeNs,
    /// `Some` = selected, with this identity; `None` = refused.
    pub service: Option<Arc<Service>>,
    /// Whether a thread tells which request it works on.
    pub threads: ThreadModel,
    /// It was observed and is refused by another configuration: its connections are left in the
    /// middle.
    pub left: bool,
}

/// How a runtime spreads requests over threads, as far as its executable tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThreadModel {
    /// Nothing is known against it: a request stays on the thread that read it.
    #[default]
    MayStay,
    /// Requests move between threads (goroutines): a thread says nothing about a request.
    Moves,
}

/// A process that was there before the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskFact {
    /// Who.
    pub tgid: Tgid,
    /// Its id in the agent's PID namespace; 0 = not visible there.
    pub ns_tgid: u32,
    /// Its parent.
    pub parent: Tgid,
    /// When it started.
    pub started: KtimeNs,
}

/// A process that listens on a TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerFact {
    /// Who.
    pub tgid: Tgid,
    /// Its id in the agent's PID namespace; 0 = not visible there.
    pub ns_tgid: u32,
    /// The port.
    pub port: u16,
}

/// What there is besides the process at hand.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Every process.
    pub tasks: Vec<TaskFact>,
    /// Every listening TCP socket with its owners; `None` where the kernel cannot tell (5.10).
    pub listeners: Option<Vec<ListenerFact>>,
}

/// What discovery sends to the loader, which does one after the other.
#[derive(Clone, Debug)]
pub enum LoaderOrder {
    /// A decision on a process.
    Process(ProcessEvent),
    /// Ask about processes, from now on, when they run another executable, and when they listen on
    /// one of these ports.
    Ask {
        /// At exec.
        exec: bool,
        /// At listen.
        ports: Numbers,
    },
    /// Observe these processes from now on (`true`; their open connections are adopted), or no
    /// more, whatever they were judged before.
    Change(Vec<(Tgid, bool)>),
    /// Hang up when everything before is done.
    Done(Sender<()>),
}

/// A decision on a process, for the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// Observe the process; adopt its open connections.
    Selected {
        /// Who.
        tgid: Tgid,
        /// Time of the record that is answered; 0 = the process was there before the agent.
        since: KtimeNs,
        /// Its id in the agent's PID namespace; 0 = not visible there.
        ns_tgid: u32,
        /// Whether it may have connections that are older than its selection.
        adopt: bool,
    },
    /// Observe the process as its parent is, and adopt its open connections: it was there before
    /// that was selected.
    Inherited {
        /// Who.
        tgid: Tgid,
        /// Its id in the agent's PID namespace.
        ns_tgid: u32,
    },
    /// Do not observe the process (any more).
    Refused {
        /// Who.
        tgid: Tgid,
        /// Time of the record that is answered.
        since: KtimeNs,
    },
    /// The process ended: nothing is left to say of it.
    Exited {
        /// Who.
        tgid: Tgid,
    },
}
