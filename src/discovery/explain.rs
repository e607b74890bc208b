//! Why a process is observed, or why it is not.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::facts::Known;
use super::identity::{Named, Rule, Told, base_name};
use super::{Discovery, Process, listeners_from_proc, procfs};
use crate::model::ids::Tgid;
use crate::model::process::{ProcessImage, Surroundings, TaskFact};
use crate::model::selector::{Choice, Facts as _, Refinement, Selector};

/// Processes that one answer explains; the others are counted.
const EXPLAINED_MAX: usize = 16;
/// Characters of a command line that are shown.
const ARGUMENTS_MAX: usize = 200;

/// Which processes the user means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The one with this id, or those that listen on this port.
    Number(u32),
    /// The one with this id in the agent's PID namespace.
    Pid(u32),
    /// Those that listen on this TCP port.
    Port(u16),
    /// Those whose executable or service is called so.
    Name(String),
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u32>().map_err(|_| format!("{text} is no number"));
        if let Some(pid) = text.strip_prefix("pid:") {
            return number(pid).map(Self::Pid);
        }
        if let Some(port) = text.strip_prefix("port:") {
            return port.parse().map(Self::Port).map_err(|_| format!("{port} is no TCP port"));
        }
        match number(text) {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if text.is_empty() => Err("a PID, a port or a name is needed".to_owned()),
            Err(_) => Ok(Self::Name(text.to_owned())),
        }
    }
}

impl fmt::Display for Asked {
    /// As it can be parsed again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Pid(pid) => write!(f, "pid:{pid}"),
            Self::Port(port) => write!(f, "port:{port}"),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Asked {
    /// Whether the process goes by this name, whatever its executable is called: a link, a script's
    /// interpreter, a title.
    fn names_itself(&self, pid: u32) -> bool {
        match self {
            Self::Name(name) => procfs::names(pid).iter().any(|own| own == name),
            Self::Number(_) | Self::Pid(_) | Self::Port(_) => false,
        }
    }

    fn means(&self, pid: u32, ports: &[u16], exe: &str, service: &str) -> bool {
        let listens = |port: u32| ports.iter().any(|p| u32::from(*p) == port);
        match self {
            Self::Number(number) => pid == *number || listens(*number),
            Self::Pid(number) => pid == *number,
            Self::Port(port) => listens(u32::from(*port)),
            Self::Name(name) => exe == name || base_name(exe) == name || service == name,
        }
    }
}

/// What there is to say of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Its id in the agent's PID namespace.
    pub pid: u32,
    /// Its id in the initial one.
    pub tgid: u32,
    /// Path of its executable; empty = it cannot be seen.
    pub exe: String,
    /// Its arguments without the first, cut short.
    pub arguments: String,
    /// Its language.
    pub language: String,
    /// Libraries of it that carry what tracing sees.
    pub libraries: Vec<String>,
    /// TCP ports that it listens on.
    pub ports: Vec<u16>,
    /// Whether it is observed.
    pub observed: bool,
    /// Why, or why not: a sentence.
    pub because: String,
    /// Its spans are left out: it was seen to export traces by itself.
    pub exports_traces: bool,
    /// What each selector says.
    pub selectors: Vec<Judged>,
    /// What each exclusion says.
    pub exclusions: Vec<Judged>,
    /// Its name, and what gives it.
    pub name: Reason,
    /// Its namespace, and what gives it.
    pub namespace: Reason,
}

/// What one selector says of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The selector: where it stands and what it asks for.
    pub selector: String,
    /// The first criterion that does not hold; `None` = it matches.
    pub fails: Option<Failing>,
}

/// A criterion that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Its name.
    pub criterion: String,
    /// What it asks for.
    pub wanted: String,
    /// What the process has.
    pub found: String,
}

/// A value, and what gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The value; empty = none.
    pub value: String,
    /// What gives it.
    pub from: String,
}

impl Discovery {
    /// The same without an agent that runs: what the selectors would choose.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn explain_offline(mut self, asked: &Asked) -> Result<(Vec<Explanation>, usize)> {
        let tasks = procfs::tasks()?;
        let listeners = listeners_from_proc(&tasks);
        self.survey(&tasks, &listeners);
        self.choose(&tasks);
        let around = Surroundings { tasks, listeners: Some(listeners) };
        Ok(self.explain_among(asked, around))
    }

    /// What there is to say of the processes that are `asked` for, and how many more there are.
    pub(super) fn explain(
        &self,
        asked: &Asked,
        look: &impl Fn() -> Result<Surroundings>,
    ) -> Result<(Vec<Explanation>, usize)> {
        Ok(self.explain_among(asked, look()?))
    }

    fn explain_among(&self, asked: &Asked, around: Surroundings) -> (Vec<Explanation>, usize) {
        let Surroundings { tasks, listeners } = around;
        let listeners = listeners.unwrap_or_else(|| listeners_from_proc(&tasks));
        let mut ports: HashMap<Tgid, Vec<u16>> = HashMap::new();
        for listener in listeners {
            let ports = ports.entry(listener.tgid).or_default();
            if !ports.contains(&listener.port) {
                ports.push(listener.port);
            }
        }
        let mut meant: Vec<(&TaskFact, Vec<u16>)> = Vec::new();
        for task in tasks.iter().filter(|task| task.ns_tgid != 0) {
            let ports = ports.remove(&task.tgid).unwrap_or_default();
            let known = self.processes.get(&task.tgid);
            let service = known.and_then(|p| p.service.as_ref()).map_or("", |s| s.name.as_str());
            let exe = match known {
                Some(process) if !process.exe.is_empty() => process.exe.clone(),
                _ => procfs::executable(task.ns_tgid).unwrap_or_default(),
            };
            if asked.means(task.ns_tgid, &ports, &exe, service) || asked.names_itself(task.ns_tgid)
            {
                meant.push((task, ports));
            }
        }
        meant.sort_by_key(|(task, _)| task.ns_tgid);
        let more = meant.len().saturating_sub(EXPLAINED_MAX);
        let explained = meant.into_iter().take(EXPLAINED_MAX);
        (explained.map(|(task, ports)| self.explain_one(task, ports)).collect(), more)
    }

    fn explain_one(&self, task: &TaskFact, ports: Vec<u16>) -> Explanation {
        let process = self.processes.get(&task.tgid).cloned().unwrap_or_else(|| Process {
            ns_tgid: task.ns_tgid,
            exe: procfs::executable(task.ns_tgid).unwrap_or_default(),
            ..Process::default()
        });
        let known = Known::new(process.ns_tgid, &process.exe, &ports, &self.languages);
        let judged = |selector: &Selector| Judged {
            selector: selector.shown(),
            fails: selector.first_failing(&known).map(|criterion| Failing {
                criterion: criterion.name().to_owned(),
                wanted: criterion.wanted(),
                found: criterion.found(&known),
            }),
        };
        let told = process.told.clone();
        let told = told.unwrap_or_else(|| Told::by(process.ns_tgid, &ProcessImage::default()));
        let observed = process.is_selected();
        let says = match observed {
            true => process.refinement.clone(),
            false => self.selectors.refinement(&known),
        };
        let named = Named::by(&self.host, &says, &process.exe, &told);
        let arguments: String = known.args().chars().take(ARGUMENTS_MAX).collect();
        let name = self.reason(named.name, &process, &known, |says| says.name.is_some());
        let namespace =
            self.reason(named.namespace, &process, &known, |says| says.namespace.is_some());
        Explanation {
            pid: process.ns_tgid,
            tgid: task.tgid.0,
            exe: process.exe.clone(),
            arguments,
            language: known.language().to_owned(),
            libraries: procfs::libraries(process.ns_tgid),
            observed,
            because: self.because(&process, &known),
            exports_traces: process.service.as_ref().is_some_and(|s| s.exports.traces()),
            selectors: self.selectors.include.iter().map(judged).collect(),
            exclusions: self.selectors.exclude.iter().map(judged).collect(),
            name,
            namespace,
            ports,
        }
    }

    /// Why the process is observed or not.
    fn because(&self, process: &Process, known: &Known<'_>) -> String {
        let shown = |list: &[Selector], i: usize| list.get(i).map(Selector::shown);
        let exclude = |i| shown(&self.selectors.exclude, i).unwrap_or_default();
        let include = |i: Option<usize>| {
            i.and_then(|i| shown(&self.selectors.include, i)).unwrap_or_default()
        };
        if known.pid() == std::process::id() {
            return "it is the agent itself, which is never observed".to_owned();
        }
        match (self.selectors.judge(known), process.is_selected()) {
            (Choice::Excluded(i), _) => format!("{} excludes it", exclude(i)),
            (Choice::Chosen, true) => format!("{} matches it", include(process.by)),
            (Choice::Chosen, false) if !self.judge_known(known) => {
                let by = self.selectors.matching(known).last().map(|(i, _)| i);
                format!("{} matches it, and its exports leave out every signal", include(by))
            }
            (Choice::Chosen, false) => {
                let by = self.selectors.matching(known).last().map(|(i, _)| i);
                format!(
                    "{} matches it, but no room was left for it, or it has just begun",
                    include(by)
                )
            }
            (Choice::Unmatched, true) => match process.after {
                Some(parent) => match self.processes.get(&parent) {
                    Some(parent) => format!(
                        "its parent {} is observed, by {}",
                        parent.ns_tgid,
                        include(process.by)
                    ),
                    None => format!(
                        "its parent, which is gone, was observed, by {}",
                        include(process.by)
                    ),
                },
                None => format!("{} matched what it was before an exec", include(process.by)),
            },
            (Choice::Unmatched, false)
                if known.exe().is_empty() && !procfs::is_hidden(known.pid()) =>
            {
                "it has no executable: a thread of the kernel, or a process that has ended"
                    .to_owned()
            }
            (Choice::Unmatched, false) if known.exe().is_empty() => {
                "no selector matches it; its executable cannot be seen, which needs CAP_SYS_PTRACE"
                    .to_owned()
            }
            (Choice::Unmatched, false) => "no selector matches it".to_owned(),
        }
    }

    fn judge_known(&self, known: &Known<'_>) -> bool {
        !self.selectors.refinement(known).wishes.are_silence()
    }

    /// What gives a name. `sets` = whether a selector says something of it.
    fn reason(
        &self,
        (value, rule): (String, Rule),
        process: &Process,
        known: &Known<'_>,
        sets: impl Fn(&Refinement) -> bool,
    ) -> Reason {
        let selector = || {
            let setting =
                self.selectors.matching(known).filter(|(_, s)| sets(&s.refinement)).last();
            match (setting, process.after) {
                (Some((_, selector)), _) => selector.name.clone(),
                (None, Some(_)) => "a selector of its parent".to_owned(),
                (None, None) => "a selector of what it was before an exec".to_owned(),
            }
        };
        let from = match rule {
            Rule::ServiceName => "OTEL_SERVICE_NAME of the process".to_owned(),
            Rule::OwnAttributes => "OTEL_RESOURCE_ATTRIBUTES of the process".to_owned(),
            Rule::AgentsAttributes => "OTEL_RESOURCE_ATTRIBUTES of the agent".to_owned(),
            Rule::Selector => selector(),
            Rule::Executable => "its executable".to_owned(),
            Rule::Nothing => "nothing".to_owned(),
        };
        Reason { value, from }
    }
}
