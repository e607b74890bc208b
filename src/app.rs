//! Joins the stages: channels, threads, start and stop order. The only file that knows all.
//!
//! ```text
//! discovery --LoaderOrder--> loader (kernel tables)
//!     ^  \--ProcessFact--\
//!     |                   v
//!     +--ProcessRecord-- decoder <--RawBatch-- reader <-- ring
//!                         \--SpanBatch--> decorator --Arc<SpanBatch>--> exporters
//! ```
//!
//! Shutdown is disconnection: programs detach, the reader drains the ring and hangs up, each
//! stage ends when its input does, exporters flush until the deadline.

mod accounts;
mod control;
mod explain;
mod record;
mod reload;
mod running;
mod wires;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::getpid;
use tracing::{debug, error, info, warn};

use crate::config::{self, Config, Fault, Source};
use crate::discovery::{self, Discovery, HostFacts, Request};
use crate::model::batch::SpanBatch;
use crate::model::living::Living;
use crate::model::process::{LoaderOrder, ProcessFact};
use crate::model::time::instant_now;
use crate::resolver::{Resolver, Setup};
use crate::stages::decoder::{self, Account, Decoder, VerdictUpdate};
use crate::stages::decorator::Decorator;
use crate::stages::exporter::{self, Exporter, Exporters};
use crate::stages::loader::{self, Features, FrontEnd, KernelMaps, LoadConfig, Loaded};
use crate::stages::reader::Reader;
use crate::telemetry::{Counter, Counters, FiguresSource, Ledger, Messages, Stage};
use control::{Control, Event};
pub use explain::{Answer, Explained, ask};
use record::RecorderStage;
pub use record::replay;
use reload::Current;
use running::Running;
use wires::Wires;

/// Ring size: 20 ms at 400 MB/s of records.
pub const RING_BYTES: u32 = 8 << 20;
/// Records that a process may cause before its executable is judged: what a busy one does in twice
/// the time that the reader lets records gather (200 ms).
pub const PENDING_BUDGET: u32 = 32_768;
/// A program that still runs when its link goes finishes within this.
const DETACH_SETTLE: Duration = Duration::from_millis(10);

/// Signals that the agent handles; blocked before the first thread starts. A hang-up makes it read
/// its configuration file again, unless whoever started it (`nohup`) had it ignored; without a file,
/// or when the terminal is gone, it stops the agent like SIGTERM.
fn signals() -> SigSet {
    let mut signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1]);
    if !ignored(Signal::SIGHUP) {
        signals.add(Signal::SIGHUP);
    }
    signals
}

/// Whether this process ignores `signal`: the `SigIgn` mask of proc(5).
fn ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal as i32 - 1) & 1 == 1
}

/// Blocks the agent's signals for every thread to come. Must run first.
pub fn block_signals() -> Result<()> {
    signals().thread_block().context("block signals")
}

/// Runs the agent with what `source` was `loaded` from until it is told to stop; the ledger goes to
/// `messages`. An error means that it could not start, or that a stage failed.
pub fn run(source: &Source, loaded: config::Loaded, messages: &mut Messages) -> Result<()> {
    let current = Current::new(source, loaded);
    // What happens to the file during the start is noticed, too.
    let control = Control::new(&signals(), current.file())?;
    let agent = Agent::start(current.config(), load(current.config())?, None)?;
    agent.run(control, current, messages)
}

/// Writes the raw event stream to `path` until it is told to stop, instead of decoding it.
pub fn record(
    source: &Source,
    loaded: config::Loaded,
    path: &Path,
    messages: &mut Messages,
) -> Result<()> {
    let recorder = RecorderStage::create(path)?;
    let current = Current::new(source, loaded);
    let control = Control::new(&signals(), current.file())?;
    let agent = Agent::start(current.config(), load(current.config())?, Some(recorder))?;
    agent.run(control, current, messages)
}

/// Loads the programs, after a look at what would otherwise fail only at the stop.
fn load(config: &Config) -> Result<Loaded> {
    if let Some(path) = &config.agent.ledger_file {
        accounts::try_write(path)?;
    }
    loader::load(&load_config(config))
}

/// What the loader has to load for this configuration.
pub fn load_config(config: &Config) -> LoadConfig {
    let front_end = match config.ebpf.front_end {
        config::FrontEnd::Auto => None,
        config::FrontEnd::Tracepoint => Some(FrontEnd::Tracepoint),
        config::FrontEnd::Fentry => Some(FrontEnd::Fentry),
        config::FrontEnd::Kprobe => Some(FrontEnd::Kprobe),
    };
    let fault = config.agent.fault;
    LoadConfig {
        front_end,
        features: Features {
            sk_storage: fault != Some(Fault::NoSkStorage),
            cookie: fault != Some(Fault::NoCookie),
            sock_from_file: fault != Some(Fault::NoFileIterator),
        },
        ring_bytes: RING_BYTES,
        judge_exec: config.selection.judge_exec(),
        ports: config.selection.ports(),
        pending_budget: PENDING_BUDGET,
    }
}

/// Discovery as configured.
pub fn new_discovery(config: &Config, counters: Arc<Counters>) -> Discovery {
    let host = HostFacts::read(config.resource_attributes.clone());
    Discovery::new(config.selection.clone(), host, counters)
        .without_languages_below(config.excluded_system_paths.clone())
}

/// Judges what is there, enters it into the kernel's table, and adopts open connections. The
/// second look finds what forked or listened while the first decisions were made.
pub fn choose_processes(
    loaded: &mut Loaded,
    discovery: &mut Discovery,
) -> Result<Vec<ProcessFact>> {
    let tasks = loaded.tasks()?;
    let mut facts = Vec::new();
    let listeners = match loaded.listeners(None)? {
        Some(listeners) => listeners,
        None => discovery::listeners_from_proc(&tasks),
    };
    let mut decisions = discovery.start(&tasks, &listeners);
    for look in 0..2 {
        for decision in decisions {
            if let Some(event) = decision.event {
                loaded.apply_first(event)?;
            }
            facts.extend(decision.fact);
        }
        let listeners = loaded.listeners(None)?.unwrap_or_default();
        decisions = if look == 0 { discovery.more_listeners(&listeners) } else { Vec::new() };
    }
    loaded.set_adopting(false)?;
    let selected = facts.iter().filter(|f| f.service.is_some()).count();
    info!(processes = discovery.surveyed(), selected, "processes judged");
    if loaded.identity.ns_level > 0 {
        warn!(
            "the agent is in a PID namespace of its own and observes the processes of that one only, \
             as a sidecar does; for the whole host set hostPID: true, or --pid=host"
        );
    }
    let hidden = discovery.hidden();
    if hidden > 0 {
        warn!(
            processes = hidden,
            "executables that cannot be seen for want of CAP_SYS_PTRACE: no path selects these \
             processes, and they have no name; run obi as root, or give it CAP_SYS_PTRACE"
        );
    }
    Ok(facts)
}

/// The running pipeline.
struct Agent {
    counters: Arc<Counters>,
    maps: KernelMaps,
    stop_reader: Arc<AtomicBool>,
    /// Dropped to make the loader detach.
    detach: Sender<()>,
    loader: JoinHandle<Result<()>>,
    discovery: JoinHandle<Result<()>>,
    reader: JoinHandle<Result<()>>,
    consumer: Consumer,
    running: Arc<Running>,
    ask_discovery: Sender<Request>,
    /// Removed with the agent.
    _explain: Option<explain::Socket>,
}

/// What becomes of the records.
enum Consumer {
    Pipeline(Pipeline),
    Recorder(JoinHandle<Result<()>>),
}

/// From records to exporters.
struct Pipeline {
    decoder: JoinHandle<Result<Account>>,
    decorator: JoinHandle<Result<()>>,
    exporters: Exporters,
}

impl Agent {
    fn start(config: &Config, mut loaded: Loaded, record: Option<RecorderStage>) -> Result<Self> {
        let counters = Arc::new(Counters::default());
        let stop_reader = Arc::new(AtomicBool::new(false));
        let maps = loaded.maps.try_clone()?;
        let mut discovery = new_discovery(config, Arc::clone(&counters));
        let facts = choose_processes(&mut loaded, &mut discovery)?;
        let wires = Wires::new();
        let (detach, detached) = bounded(0);
        let around = exporter::Surroundings {
            spares: wires.spares,
            living: Living::default(),
            counters: Arc::clone(&counters),
            figures: FiguresSource::default(),
            host_id: discovery.host().id.clone(),
        };
        let figures = around.figures.clone();
        let channels = (wires.decoder, wires.decorator);
        let consumer = Consumer::start(config, record, facts, channels, around, maps.try_clone()?)?;
        let exporters = consumer.exporters();
        let running = Running::new(&counters, &maps, exporters, &wires.ask_decoder)?;
        let running = Arc::new(running);
        if config.internal.is_on() && exporters.is_some() {
            let kernel = loaded.figures(config.internal.kernel_interval)?;
            let running = Arc::clone(&running);
            figures.fill(move || running.figures(&kernel));
        }
        let front_end = loaded.front_end;
        let sources = exporters.map(|_| explain::Sources {
            front_end: front_end.to_string(),
            programs: loaded.programs(),
            discovery: wires.ask_discovery.clone(),
            decoder: wires.ask_decoder,
        });
        let explain =
            sources.and_then(|sources| explain::Socket::open(&config.agent.runtime_dir, sources));
        let drain = Reader::new(&maps.ring, &maps.reader_state, Arc::clone(&counters))?
            .stop_with(Arc::clone(&stop_reader))
            .lose_one_record(config.agent.fault);
        let look = loaded.look_around()?;
        let agent = Self {
            loader: {
                let counters = Arc::clone(&counters);
                stage("loader", move || {
                    loader_loop(loaded, &wires.loader, &detached, &counters);
                    Ok(())
                })?
            },
            discovery: stage("discovery", move || discovery.run(&wires.discovery, look))?,
            reader: stage("reader", move || drain.run(wires.reader))?,
            consumer,
            running,
            ask_discovery: wires.ask_discovery,
            _explain: explain,
            counters,
            maps,
            stop_reader,
            detach,
        };
        info!(%front_end, "attached");
        Ok(agent)
    }

    /// Waits for what happens from outside, then stops everything in flow order.
    fn run(
        self,
        mut control: Control,
        mut current: Current<'_>,
        messages: &mut Messages,
    ) -> Result<()> {
        loop {
            match control.next()? {
                Event::Signal(Signal::SIGUSR1) => {
                    accounts::print_running(&self.running.ledger()?, messages);
                }
                Event::Signal(Signal::SIGHUP) if current.file().is_some() && !control.hung_up() => {
                    current.reload("SIGHUP", &self.ask_discovery, &self.counters);
                }
                Event::FileChanged => {
                    current.reload("it changed", &self.ask_discovery, &self.counters);
                }
                Event::Signal(signal) => {
                    info!(%signal, "stopping");
                    break;
                }
            }
        }
        self.stop(current.config(), messages)
    }

    fn stop(self, config: &Config, messages: &mut Messages) -> Result<()> {
        let deadline = instant_now() + config.agent.shutdown_timeout;
        let mut failures = Vec::new();
        drop(self.detach);
        collect("loader", self.loader, &mut failures);
        thread::sleep(DETACH_SETTLE);
        self.stop_reader.store(true, Ordering::Release);
        collect("reader", self.reader, &mut failures);
        let ledger = match self.consumer {
            Consumer::Pipeline(pipeline) => {
                let (decoder, exporters) = pipeline.stop(deadline, &mut failures);
                let hooks = self.maps.stats()?;
                match decoder {
                    Some(decoder) => accounts::ledger(&hooks, &self.counters, decoder, exporters),
                    // It failed, and its account with it.
                    None => accounts::recorded(&hooks, &self.counters),
                }
            }
            Consumer::Recorder(recorder) => {
                collect("recorder", recorder, &mut failures);
                accounts::recorded(&self.maps.stats()?, &self.counters)
            }
        };
        collect("discovery", self.discovery, &mut failures);
        failures.extend(settle(config, ledger, messages).err());
        match failures.into_iter().next() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

impl Consumer {
    /// What takes records from here on: `recorder`, if there is one.
    fn start(
        config: &Config,
        recorder: Option<RecorderStage>,
        facts: Vec<ProcessFact>,
        (channels, spans): (decoder::Channels, Receiver<SpanBatch>),
        around: exporter::Surroundings,
        maps: KernelMaps,
    ) -> Result<Self> {
        match recorder {
            Some(recorder) => {
                stage("recorder", move || recorder.run(facts, channels)).map(Self::Recorder)
            }
            None => {
                Pipeline::start(config, facts, (channels, spans), around, maps).map(Self::Pipeline)
            }
        }
    }

    /// Who gets the spans; `None` = there are none.
    fn exporters(&self) -> Option<&[Exporter]> {
        match self {
            Self::Pipeline(pipeline) => Some(&pipeline.exporters.running),
            Self::Recorder(_) => None,
        }
    }
}

impl Pipeline {
    fn start(
        config: &Config,
        facts: Vec<ProcessFact>,
        (channels, spans): (decoder::Channels, Receiver<SpanBatch>),
        around: exporter::Surroundings,
        maps: KernelMaps,
    ) -> Result<Self> {
        let exporters = exporter::spawn(config, stdout()?, &around)?;
        let max = match config.agent.fault {
            Some(Fault::Connections) => decoder::CONNECTIONS_OF_FAULT,
            _ => decoder::CONNECTIONS_MAX,
        };
        let counters = around.counters;
        let mut decoder = Decoder::with_connections_max(seed(), Arc::clone(&counters), max)
            .showing(config.shown.clone());
        decoder.tell(around.living);
        facts.into_iter().for_each(|fact| decoder.fact(fact));
        let decorator = asking_dns(decorator(config, counters), config)?;
        let outputs = wires::outputs(&exporters.running, config.agent.fault);
        Ok(Self {
            decoder: stage("decoder", move || {
                decoder.run(channels, |verdict| enter_verdict(&maps, verdict))
            })?,
            decorator: stage("decorator", move || {
                decorator.run(&spans, outputs);
                Ok(())
            })?,
            exporters,
        })
    }

    /// Waits for the end of every stage; gives the accounts of the decoder and the exporters.
    fn stop(
        self,
        deadline: Instant,
        failures: &mut Vec<anyhow::Error>,
    ) -> (Option<Account>, Vec<Stage>) {
        let decoder = collect("decoder", self.decoder, failures);
        collect("decorator", self.decorator, failures);
        let exporters = self.exporters.running;
        exporters.iter().for_each(|exporter| exporter.close(deadline));
        let exporters = exporters.into_iter().map(|e| e.join(deadline)).collect();
        (decoder, exporters)
    }
}

/// The decorator as configured, but for what asks others.
fn decorator(config: &Config, counters: Arc<Counters>) -> Decorator {
    Decorator::new(counters)
        .with_names(config.names.is_some())
        .with_routes(config.routes.clone())
        .with_filter(config.filter.clone())
        .without_own_exporters(config.exclude_otel_instrumented)
}

/// The same, and it asks for names of addresses if the user wants that.
fn asking_dns(decorator: Decorator, config: &Config) -> Result<Decorator> {
    match config.names.as_ref().and_then(|names| names.dns.clone()) {
        Some(dns) => Ok(decorator.with_dns(Resolver::start(Setup::default())?, dns)),
        None => Ok(decorator),
    }
}

/// Prints the ledger, and writes it where the user asked for it.
fn settle(config: &Config, ledger: Ledger, messages: &mut Messages) -> Result<()> {
    let ledger = accounts::print(ledger, messages);
    match &config.agent.ledger_file {
        Some(path) => accounts::write(&ledger, path),
        None => Ok(()),
    }
}

/// Runs one stage on its named thread. A stage that fails, by error or by panic, stops the agent.
fn stage<T: Send + 'static>(
    name: &'static str,
    run: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<JoinHandle<Result<T>>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let guard = StopOnFailure(true);
            let result = run().with_context(|| format!("stage {name}"));
            std::mem::forget(guard);
            if let Err(failure) = &result {
                error!(error = format!("{failure:#}"), "a stage failed: the agent stops");
                stop_agent();
            }
            result
        })
        .with_context(|| format!("start the thread of {name}"))
}

/// Stops the agent when a stage unwinds.
struct StopOnFailure(bool);

impl Drop for StopOnFailure {
    fn drop(&mut self) {
        if self.0 {
            stop_agent();
        }
    }
}

/// One way to stop: the signal that main waits for.
fn stop_agent() {
    if let Err(error) = kill(getpid(), Signal::SIGTERM) {
        error!(%error, "a stage failed and the agent cannot be told to stop");
    }
}

fn collect<T>(
    name: &str,
    thread: JoinHandle<Result<T>>,
    failures: &mut Vec<anyhow::Error>,
) -> Option<T> {
    let result = thread.join().unwrap_or_else(|_| Err(anyhow!("stage {name} panicked")));
    result.map_err(|failure| failures.push(failure)).ok()
}

/// Keeps the kernel's table in step with discovery until told to detach.
fn loader_loop(
    mut loaded: Loaded,
    orders: &Receiver<LoaderOrder>,
    detached: &Receiver<()>,
    counters: &Counters,
) {
    loop {
        select! {
            recv(detached) -> _ => {
                loaded.detach();
                return;
            }
            recv(orders) -> order => match order {
                Ok(LoaderOrder::Process(event)) => {
                    if let Err(error) = loaded.apply(event) {
                        counters.add(Counter::LoaderJudgementsFailed, 1);
                        debug!(error = format!("{error:#}"), "a process is not observed");
                    }
                }
                Ok(LoaderOrder::Change(changes)) => {
                    if let Err(error) = loaded.change(&changes) {
                        counters.add(Counter::LoaderJudgementsFailed, 1);
                        warn!(error = format!("{error:#}"), "a process stays as it is");
                    }
                }
                Ok(LoaderOrder::Ask { exec, ports }) => {
                    if let Err(error) = loaded.ask(exec, &ports) {
                        error!(error = format!("{error:#}"), "new processes are not judged");
                    }
                }
                Ok(LoaderOrder::Done(hangs_up)) => drop(hangs_up),
                // Discovery is gone: only the stop is left to wait for.
                Err(_) => {
                    let _disconnected = detached.recv();
                    loaded.detach();
                    return;
                }
            }
        }
    }
}

fn enter_verdict(maps: &KernelMaps, verdict: VerdictUpdate) {
    match verdict {
        VerdictUpdate::Capture(conn) => maps.want_all(conn),
        VerdictUpdate::Nothing(conn) => maps.want_nothing(conn),
        VerdictUpdate::Open(conn) => maps.want_open(conn),
        VerdictUpdate::SkipUntil(conn, dir, until) => maps.skip_until(conn, dir, until),
    }
}

/// A copy of stdout's descriptor for the printer's thread.
fn stdout() -> Result<std::fs::File> {
    let fd = nix::unistd::dup(std::io::stdout()).context("duplicate stdout")?;
    Ok(std::fs::File::from(fd))
}

/// Where trace and span ids start: unpredictable, different in every run.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
