//! The front ends in their preference order, each tried by loading and attaching it.

use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;

use anyhow::{Context, Result, anyhow};
use libbpf_rs::query::ProgInfoIter;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{Link, OpenObject, Program, ProgramMut};
use tracing::{debug, info, warn};

use super::features::{Features, SelfIdentity};
use super::maps::KernelMaps;
use super::misses::Programs;
use super::{programs, refusal};
use crate::model::ids::Tgid;
use crate::model::process::ProcessEvent;
use crate::model::selector::Numbers;

use super::skel::agent::{AgentSkel, AgentSkelBuilder, OpenAgentSkel};

/// A set of programs that sees socket calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontEnd {
    /// Typed raw tracepoints `sock_send_length` and `sock_recv_length` (6.3+).
    Tracepoint,
    /// Exits of the socket functions through trampolines (5.5+, arm64 6.4+).
    Fentry,
    /// Entries of the socket functions and of what they call, by kprobes.
    Kprobe,
}

impl FrontEnd {
    /// In the order in which they are preferred.
    pub const LADDER: [Self; 3] = [Self::Tracepoint, Self::Fentry, Self::Kprobe];

    /// The name in configuration and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tracepoint => "tracepoint",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
        }
    }

    /// The features that its programs can use where the kernel has them.
    fn features(self) -> Features {
        match self {
            Self::Tracepoint | Self::Fentry => Features::ALL,
            // Both helpers want a typed pointer.
            Self::Kprobe => Features { sk_storage: false, cookie: false, ..Features::ALL },
        }
    }
}

impl fmt::Display for FrontEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the loader needs to know before it loads.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Only this front end, instead of the ladder.
    pub front_end: Option<FrontEnd>,
    /// Optional features that may be used.
    pub features: Features,
    /// Ring size in bytes, a power of two.
    pub ring_bytes: u32,
    /// A process is judged at exec, not only when it listens.
    pub judge_exec: bool,
    /// TCP ports that a selector asks for.
    pub ports: Numbers,
    /// Records that a process may cause before it is judged.
    pub pending_budget: u32,
}

/// One front end that was tried.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which.
    pub front_end: FrontEnd,
    /// What the kernel said, when it refused.
    pub error: Option<String>,
}

/// Programs in the kernel. Dropping it detaches and frees everything.
pub struct Loaded {
    /// The front end in use.
    pub front_end: FrontEnd,
    /// What was tried before, and why it was not used.
    pub attempts: Vec<Attempt>,
    /// Optional features in use.
    pub features: Features,
    /// Who the agent is.
    pub identity: SelfIdentity,
    /// The maps.
    pub maps: KernelMaps,
    pub(super) skel: AgentSkel<'static>,
    links: Vec<Link>,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("front_end", &self.front_end).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Enters a judgement of what was there before the agent into the kernel's table.
    ///
    /// # Errors
    /// When the table is full: the process is not observed.
    pub fn apply_first(&self, event: ProcessEvent) -> Result<()> {
        match event {
            ProcessEvent::Selected { tgid, .. } => self.maps.enter_first(tgid, true),
            ProcessEvent::Refused { tgid, .. } => self.maps.enter_first(tgid, false),
            _ => Ok(()),
        }
    }

    /// Tells the kernel that connections are being adopted, or that this is over. It is under way
    /// from the load on.
    ///
    /// # Errors
    /// When the object has no global data.
    pub fn set_adopting(&mut self, under_way: bool) -> Result<()> {
        let bss = self.skel.maps.bss_data.as_deref_mut().context("the object has no bss")?;
        bss.adopting = under_way.into();
        Ok(())
    }

    /// Hands a decision of discovery to the kernel. A process that is gone meanwhile is no error.
    ///
    /// # Errors
    /// When the table is full: the process stays as it is.
    pub fn apply(&mut self, event: ProcessEvent) -> Result<()> {
        match event {
            ProcessEvent::Selected { tgid, ns_tgid, since, adopt: true } => {
                self.adopt(tgid, ns_tgid, |maps| maps.judge(tgid, since, true))?;
            }
            ProcessEvent::Inherited { tgid, ns_tgid } => {
                self.adopt(tgid, ns_tgid, |maps| maps.select(tgid))?;
            }
            ProcessEvent::Selected { tgid, since, .. } => self.maps.judge(tgid, since, true)?,
            ProcessEvent::Refused { tgid, since } => self.maps.judge(tgid, since, false)?,
            ProcessEvent::Exited { tgid } => self.maps.forget_judgement(tgid),
        }
        Ok(())
    }

    /// Observes these processes from now on, or no more, whatever they were judged before; adopts
    /// the open connections of those that are. One that cannot be changed does not keep the others
    /// from it.
    ///
    /// # Errors
    /// The first that was met.
    pub fn change(&mut self, changes: &[(Tgid, bool)]) -> Result<()> {
        let adopts = changes.iter().any(|(_, selected)| *selected);
        if adopts {
            self.set_adopting(true)?;
        }
        let changed: Vec<Result<()>> =
            changes.iter().map(|(tgid, selected)| self.maps.change(*tgid, *selected)).collect();
        if adopts {
            if let Err(error) = self.listeners(None) {
                debug!(error = format!("{error:#}"), "adoption waits for use");
            }
            self.set_adopting(false)?;
        }
        changed.into_iter().collect()
    }

    /// Asks about processes at exec, and when they listen on one of `ports`, from now on.
    ///
    /// # Errors
    /// When the object has no global data, or the kernel refuses the ports.
    pub fn ask(&mut self, exec: bool, ports: &Numbers) -> Result<()> {
        self.maps.set_ports(ports)?;
        let bss = self.skel.maps.bss_data.as_deref_mut().context("the object has no bss")?;
        bss.judge_exec = exec.into();
        bss.judge_ports = u8::from(!ports.is_empty());
        Ok(())
    }

    /// Lets `select` enter a process that may have connections, and adopts these.
    fn adopt(
        &mut self,
        tgid: Tgid,
        ns_tgid: u32,
        select: impl FnOnce(&KernelMaps) -> Result<()>,
    ) -> Result<()> {
        self.set_adopting(true)?;
        let selected = select(&self.maps);
        if let Err(error) = self.listeners(Some(ns_tgid)) {
            debug!(tgid = tgid.0, error = format!("{error:#}"), "adoption waits for use");
        }
        self.set_adopting(false)?;
        selected
    }

    /// Names of the programs that are attached.
    pub fn programs(&self) -> Vec<String> {
        programs::attached(&self.skel.progs, self.front_end)
            .into_iter()
            .filter(|program| program.autoload())
            .map(|program| program.name().to_string_lossy().into_owned())
            .collect()
    }

    /// What the verifier looked at, by program; 0 on kernels that do not tell (before 5.16).
    pub fn verified_instructions(&self) -> Result<Vec<(String, u32)>> {
        let p = &self.skel.progs;
        let all = programs::attached(p, self.front_end)
            .into_iter()
            .chain([&p.obi_it_task, &p.obi_it_file]);
        all.filter(|program| program.autoload())
            .map(|program| {
                let name = program.name().to_string_lossy().into_owned();
                let id = Program::id_from_fd(program.as_fd()).context("read a program's id")?;
                let info = ProgInfoIter::default().find(|info| info.id == id);
                Ok((name, info.map_or(0, |info| info.verified_insns)))
            })
            .collect()
    }

    /// Detaches every program; the maps stay readable.
    pub fn detach(&mut self) {
        self.links.clear();
    }
}

/// Loads and attaches the best front end. From here on the calls of selected processes are
/// recorded; the ring keeps what comes before the reader runs.
pub fn load(config: &LoadConfig) -> Result<Loaded> {
    let identity = SelfIdentity::find()?;
    let mut attempts = Vec::new();
    let mut probed = None;
    let wanted = |front_end: &FrontEnd| config.front_end.is_none_or(|forced| forced == *front_end);
    let mut ladder = FrontEnd::LADDER.into_iter().filter(wanted).peekable();
    while let Some(front_end) = ladder.next() {
        match load_front_end(config, front_end, identity, &mut probed) {
            Ok((skel, links, features)) => {
                let programs = Programs::of(&programs::attached(&skel.progs, front_end))?;
                let maps = KernelMaps::new(&skel, programs)?;
                maps.deny(Tgid(identity.tgid))?;
                maps.set_ports(&config.ports)?;
                info!(%front_end, "programs loaded");
                for (feature, _) in features.each().into_iter().filter(|(_, there)| !there) {
                    info!(feature = feature.name, "not usable: {}", feature.otherwise);
                }
                return Ok(Loaded { front_end, attempts, features, identity, maps, skel, links });
            }
            Err(error) => {
                let error = format!("{error:#}");
                let consequence = match ladder.peek() {
                    Some(next) => format!("{next} is tried instead"),
                    None => "none is left to be tried".to_owned(),
                };
                warn!(%front_end, error, consequence, "front end not usable");
                attempts.push(Attempt { front_end, error: Some(error) });
            }
        }
    }
    let tried: Vec<String> = attempts
        .iter()
        .map(|a| format!("{}: {}", a.front_end, a.error.as_deref().unwrap_or("not tried")))
        .collect();
    let tried = tried.join("; ");
    match config.front_end {
        Some(front_end) => Err(anyhow!(
            "{tried}: set OTEL_EBPF_BPF_FRONT_END to auto instead of {front_end}; obi doctor says \
             which front ends work here, and what the others need"
        )),
        None => Err(anyhow!(
            "no front end works here: {tried}: obi doctor says what each of them needs"
        )),
    }
}

/// Loads and attaches a front end, and takes it away again.
pub(super) fn dry_run(config: &LoadConfig, front_end: FrontEnd) -> Result<()> {
    let identity = SelfIdentity::find()?;
    load_front_end(config, front_end, identity, &mut None).map(drop)
}

/// Names of the programs in the kernel now of every agent on this host.
pub fn programs_of_every_agent() -> Result<Vec<String>> {
    Ok(ProgInfoIter::default()
        .map(|info| info.name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(PROGRAM_PREFIX))
        .collect())
}

/// Every program's name begins with this.
const PROGRAM_PREFIX: &str = "obi_";

type FrontEndParts = (AgentSkel<'static>, Vec<Link>, Features);

/// First with every feature; only when that fails is the kernel asked for each.
fn load_front_end(
    config: &LoadConfig,
    front_end: FrontEnd,
    identity: SelfIdentity,
    probed: &mut Option<Features>,
) -> Result<FrontEndParts> {
    let usable = |features: Features| features.and(front_end.features()).and(config.features);
    let first = usable(probed.unwrap_or(Features::ALL));
    let error = match load_with(config, front_end, identity, first) {
        Ok((skel, links)) => return Ok((skel, links, first)),
        Err(error) => error,
    };
    let features = usable(*probed.get_or_insert_with(Features::probe));
    if features == first {
        return Err(error);
    }
    let (skel, links) = load_with(config, front_end, identity, features)?;
    Ok((skel, links, features))
}

fn load_with(
    config: &LoadConfig,
    front_end: FrontEnd,
    identity: SelfIdentity,
    features: Features,
) -> Result<(AgentSkel<'static>, Vec<Link>)> {
    // The object lives as long as the process: one leak an attempt, at start only.
    let storage: &'static mut MaybeUninit<OpenObject> = Box::leak(Box::new(MaybeUninit::uninit()));
    let mut open = AgentSkelBuilder::default().open(storage).context("open the agent object")?;
    configure(&mut open, config, identity, features)?;
    programs::choose(&mut open, front_end, features)?;
    refusal::forget();
    let skel = open.load().map_err(refusal::explain)?;
    let links = attach(programs::attached(&skel.progs, front_end))?;
    Ok((skel, links))
}

fn configure(
    open: &mut OpenAgentSkel<'_>,
    config: &LoadConfig,
    identity: SelfIdentity,
    features: Features,
) -> Result<()> {
    let rodata = open.maps.rodata_data.as_deref_mut().context("the object has no rodata")?;
    let cfg = &mut rodata.cfg;
    cfg.self_tgid = identity.tgid;
    cfg.ns_level = identity.ns_level;
    cfg.ns_inum = identity.ns_inum;
    cfg.data_limit = config.ring_bytes - config.ring_bytes / 8;
    cfg.wake_at = config.ring_bytes / 8;
    cfg.pending_budget = config.pending_budget;
    cfg.use_sk_storage = features.sk_storage.into();
    cfg.use_cookie = features.cookie.into();
    let globals = open.maps.bss_data.as_deref_mut().context("the object has no bss")?;
    globals.adopting = 1;
    globals.judge_exec = config.judge_exec.into();
    globals.judge_ports = u8::from(!config.ports.is_empty());
    open.maps.events.set_max_entries(config.ring_bytes).context("size the ring")?;
    if features.sk_storage {
        open.maps.conn_by_sock.set_max_entries(1).context("shrink the unused hash")?;
    }
    Ok(())
}

fn attach(programs: Vec<&ProgramMut<'_>>) -> Result<Vec<Link>> {
    programs
        .into_iter()
        .filter(|p| p.autoload())
        .map(|p| p.attach().map_err(refusal::explain))
        .collect()
}
