//! The agent as a process: start it, read its spans, stop it, hold it to its ledger.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

use crate::held::{children, memory_kib};
use crate::turn::{agent_binary, scratch};
use crate::{eventually, patience};

/// The word in the agent's log that says it sees traffic from now on.
pub(crate) const READY: &str = "attached";

/// Selects every process.
pub(crate) const EVERYTHING: (&str, &str) = ("OTEL_EBPF_AUTO_TARGET_EXE", "*");

/// A running agent that prints spans as JSON. Killed when dropped.
pub(crate) struct Agent {
    child: Child,
    dir: tempfile::TempDir,
}

/// What is left of a stopped agent.
pub(crate) struct Outcome {
    pub(crate) spans: Vec<Span>,
    pub(crate) ledger: Ledger,
    pub(crate) log: String,
    /// From SIGTERM to the end.
    pub(crate) stopping: Duration,
}

impl Agent {
    /// Starts it with these variables and no others, and waits until it is attached.
    #[track_caller]
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_as(Command::new(agent_binary()), variables)
    }

    /// The same for a command that runs the agent: with arguments, or inside something.
    #[track_caller]
    pub(crate) fn start_as(command: Command, variables: &[(&str, &str)]) -> Self {
        let mut agent = Self::launch(command, None, variables);
        agent.await_attached();
        agent
    }

    /// Starts it with a stdout of the caller's.
    #[track_caller]
    pub(crate) fn start_writing_to(stdout: Stdio, variables: &[(&str, &str)]) -> Self {
        let mut agent = Self::launch(Command::new(agent_binary()), Some(stdout), variables);
        agent.await_attached();
        agent
    }

    fn launch(mut command: Command, stdout: Option<Stdio>, variables: &[(&str, &str)]) -> Self {
        let dir = scratch();
        let spans = File::create(dir.path().join("spans")).unwrap();
        let child = environment(&mut command, variables)
            .env("OTEL_EBPF_LEDGER_FILE", dir.path().join("ledger"))
            .stdin(Stdio::null())
            .stdout(stdout.unwrap_or_else(|| spans.into()))
            .stderr(File::create(dir.path().join("log")).unwrap())
            .spawn()
            .expect("start the agent");
        Self { child, dir }
    }

    #[track_caller]
    fn await_attached(&mut self) {
        eventually("the agent is attached", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the agent ended, {}:\n{}", ended.unwrap(), self.log());
            self.log().contains(READY)
        });
    }

    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.dir.path().join("log")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The front end its log names: the value of the first `front_end=`.
    pub(crate) fn front_end(&self) -> String {
        let log = self.log();
        let (_, ready) = log.split_once(READY).expect("the agent is attached");
        let (_, value) = ready.split_once("front_end=").expect("the log names the front end");
        let value = value.trim_start_matches('"');
        value.chars().take_while(char::is_ascii_alphanumeric).collect()
    }

    /// The spans printed so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        parse(&fs::read_to_string(self.dir.path().join("spans")).unwrap())
    }

    /// How many spans are printed so far; cheaper than [`Self::spans`].
    pub(crate) fn printed(&self) -> u64 {
        let text = fs::read_to_string(self.dir.path().join("spans")).unwrap();
        text.matches("\"traceID\":").count() as u64
    }

    /// Waits until `count` of the spans are such, then stops: more may have come by then.
    #[track_caller]
    pub(crate) fn stop_after(self, count: usize, wanted: impl Fn(&Span) -> bool) -> Outcome {
        let deadline = Instant::now() + patience();
        while self.spans().iter().filter(|s| wanted(s)).count() < count && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.stop()
    }

    /// SIGTERM; the agent must drain, balance and end with 0.
    #[track_caller]
    pub(crate) fn stop(self) -> Outcome {
        let outcome = self.finish();
        assert!(outcome.ledger.balanced, "the ledger does not balance:\n{}", outcome.log);
        outcome
    }

    /// SIGTERM; the agent must drain and end with 0, whatever its ledger says.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Outcome {
        let asked = Instant::now();
        self.signal(Signal::SIGTERM);
        let status = self.await_end();
        let stopping = asked.elapsed();
        let log = self.log();
        assert!(status.success(), "the agent ended with {status}:\n{log}");
        let ledger = fs::read_to_string(self.dir.path().join("ledger")).expect("a ledger file");
        let ledger: Ledger = serde_json::from_str(&ledger).expect("the ledger is JSON");
        Outcome { spans: self.spans(), ledger, log, stopping }
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn await_end(&mut self) -> ExitStatus {
        eventually("the agent ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// The agent's own process, below whatever it runs inside.
    pub(crate) fn pid(&self) -> u32 {
        let agent = agent_binary().canonicalize().unwrap();
        descendant(self.child.id(), &agent).expect("the agent runs")
    }

    /// Memory it has used at most so far, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        memory_kib(self.pid(), "VmHWM")
    }
}

/// Clears the environment but for what every agent of a test gets.
pub(crate) fn environment<'a>(
    command: &'a mut Command,
    variables: &[(&str, &str)],
) -> &'a mut Command {
    command
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .env("RUST_BACKTRACE", "1")
        .env("OTEL_EBPF_TRACE_PRINTER", "json")
        .envs(variables.iter().copied())
}

/// The first process that runs `exe`, of `pid` and those below it.
pub(crate) fn descendant(pid: u32, exe: &Path) -> Option<u32> {
    if fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == exe) {
        return Some(pid);
    }
    children(pid).into_iter().find_map(|child| descendant(child, exe))
}

impl Drop for Agent {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// The spans in what the JSON printer wrote.
pub(crate) fn parse(printed: &str) -> Vec<Span> {
    // A last line without its end is still being written.
    let whole = printed.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().flat_map(|line| serde_json::from_str::<Vec<Span>>(line).expect(line)).collect()
}

/// One span as the JSON printer shows it; what no test looks at is left out.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Span {
    /// `HTTP` or `HTTPClient`.
    #[serde(rename = "type")]
    pub(crate) family: String,
    /// The server by name: of a server's span, its service.
    #[serde(rename = "hostName")]
    pub(crate) host_name: String,
    #[serde(rename = "hostPort")]
    pub(crate) host_port: String,
    #[serde(rename = "traceID")]
    pub(crate) trace_id: String,
    #[serde(rename = "spanID")]
    pub(crate) span_id: String,
    #[serde(rename = "parentSpanID")]
    pub(crate) parent_id: String,
    pub(crate) kind: String,
    start: String,
    end: String,
    attributes: BTreeMap<String, String>,
}

impl Span {
    pub(crate) fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    pub(crate) fn path(&self) -> &str {
        self.attribute("url")
    }

    pub(crate) fn is_server(&self) -> bool {
        self.family == "HTTP"
    }

    pub(crate) fn is_client(&self) -> bool {
        self.family == "HTTPClient"
    }

    pub(crate) fn has_parent(&self) -> bool {
        self.parent_id.bytes().any(|b| b != b'0')
    }

    /// In µs since 1970.
    pub(crate) fn start_us(&self) -> u64 {
        self.start.parse().unwrap()
    }

    pub(crate) fn duration_us(&self) -> u64 {
        let [start, end]: [u64; 2] = [&self.start, &self.end].map(|t| t.parse().unwrap());
        end.checked_sub(start).expect("a span ends after its start")
    }

    /// Role, method, path and status: what must be exact however the bytes moved.
    pub(crate) fn line(&self) -> String {
        let [method, status] = ["method", "status"].map(|key| self.attribute(key));
        let role = if self.is_server() { "server" } else { "client" };
        format!("{role} {method} {} {status}", self.path())
    }
}

/// The ledger file.
#[derive(Debug, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) balanced: bool,
    pub(crate) stages: Vec<Stage>,
    beside: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Stage {
    pub(crate) name: String,
    #[serde(rename = "in")]
    pub(crate) in_: u64,
    pub(crate) out: u64,
    pub(crate) drops: BTreeMap<String, u64>,
    pub(crate) balanced: bool,
}

impl Stage {
    /// How many it dropped for `reason`.
    #[track_caller]
    pub(crate) fn dropped(&self, reason: &str) -> u64 {
        *self.drops.get(reason).unwrap_or_else(|| panic!("no reason {reason}: {:?}", self.drops))
    }
}

impl Ledger {
    #[track_caller]
    pub(crate) fn stage(&self, name: &str) -> &Stage {
        self.stages.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no stage {name}"))
    }

    /// What was counted beside the accounts under `name`.
    pub(crate) fn beside(&self, name: &str) -> u64 {
        self.beside.get(name).copied().unwrap_or(0)
    }

    /// Everything dropped, as `stage/reason=count`, and the sum.
    pub(crate) fn drops(&self) -> (u64, String) {
        let all = self.stages.iter().flat_map(|s| s.drops.iter().map(move |(r, n)| (s, r, *n)));
        let named: Vec<_> = all.filter(|(_, _, n)| *n > 0).collect();
        let text: Vec<_> = named.iter().map(|(s, r, n)| format!("{}/{r}={n}", s.name)).collect();
        (named.iter().map(|(_, _, n)| n).sum(), text.join(" "))
    }
}
