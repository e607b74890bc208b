//! Which processes are chosen: selectors against real processes, and what is said of each.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use nix::sys::signal::{Signal, killpg};

use crate::agent::Agent;
use crate::explain::{Explained, explain};
use crate::servers::free_port;
use crate::turn::{Need, app, enter, python, scratch};
use crate::{eventually, report};

/// Processes of a test. They wait for a line, or do what they were told to when it comes; they end
/// with the test.
struct Kit {
    dir: tempfile::TempDir,
    children: Vec<(Child, ChildStdin)>,
}

/// A process of the kit.
type Pid = u32;

impl Kit {
    fn new() -> Self {
        Self { dir: scratch(), children: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program of this name, which is a shell.
    fn program(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        if !path.exists() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy("/bin/bash", &path).unwrap();
        }
        path
    }

    fn start(&mut self, command: &mut Command) -> Pid {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let pid = child.id();
        self.children.push((child, stdin));
        // It runs what it was told to, not what it was forked from.
        let own = fs::read_link("/proc/self/exe").unwrap();
        eventually("the process runs", || {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe != own)
        });
        pid
    }

    /// The program `name` waits, with these arguments.
    fn waits(&mut self, name: &str, arguments: &[&str]) -> Pid {
        self.runs(name, "read line", arguments)
    }

    /// The program `name` runs a script.
    fn runs(&mut self, name: &str, script: &str, arguments: &[&str]) -> Pid {
        let program = self.program(name);
        self.start(Command::new(program).args(["-c", script, "shell"]).args(arguments))
    }

    /// Python listens on a port of this address when it is told to.
    fn listens_when_told(&mut self, host: &str, port: u16) -> Pid {
        let script = format!(
            "import socket, sys\nsys.stdin.readline()\ns = socket.socket()\n\
             s.bind(('{host}', {port}))\ns.listen()\nsys.stdin.readline()"
        );
        self.start(Command::new(python("python3")).args(["-c", &script]))
    }

    /// Lets a process go on.
    fn tell(&mut self, pid: Pid) {
        let (_, stdin) = self.children.iter_mut().find(|(child, _)| child.id() == pid).unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    fn listens(&mut self, host: &str, port: u16) -> Pid {
        let pid = self.listens_when_told(host, port);
        self.tell(pid);
        eventually("it listens", || std::net::TcpStream::connect((host, port)).is_ok());
        pid
    }

    /// The only child of a process.
    fn child_of(pid: Pid) -> Pid {
        let mut found = Vec::new();
        eventually("it has a child", || {
            found = crate::held::children(pid);
            !found.is_empty()
        });
        found[0]
    }

    /// An agent with this configuration; `DIR` stands for the kit's folder.
    fn agent(&self, config: &str) -> Agent {
        let path = self.path("obi.yml");
        fs::write(&path, config.replace("DIR", self.dir.path().to_str().unwrap())).unwrap();
        Agent::start(&[("OTEL_EBPF_CONFIG_PATH", path.to_str().unwrap())])
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        for (child, _) in &mut self.children {
            let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
            // With those below it. Already gone is as good.
            killpg(group, Signal::SIGKILL).unwrap_or(());
            child.wait().unwrap();
        }
    }
}

/// What is expected of processes.
#[derive(Default)]
struct Matrix {
    cases: Vec<(&'static str, Pid, bool, String)>,
}

impl Matrix {
    fn yes(&mut self, what: &'static str, pid: Pid, because: &str) {
        self.cases.push((what, pid, true, because.to_owned()));
    }

    fn no(&mut self, what: &'static str, pid: Pid, because: &str) {
        self.cases.push((what, pid, false, because.to_owned()));
    }

    /// Holds all of it against what the agent says; first what is observed, so that what is not has
    /// been judged by then. Gives the number of cases.
    #[track_caller]
    fn check(self, dir: &Path) -> usize {
        let dir = dir.to_str().unwrap();
        let (observed, refused): (Vec<_>, Vec<_>) =
            self.cases.iter().partition(|(_, _, observed, _)| *observed);
        for (what, pid, _, _) in observed.iter().copied() {
            eventually(&format!("{what} ({pid}) is observed"), || explain(*pid).selection.observed);
        }
        for (what, pid, observed, because) in observed.into_iter().chain(refused) {
            let Explained { selection, .. } = explain(*pid);
            let because = because.replace("DIR", dir);
            assert_eq!((selection.observed, selection.because), (*observed, because), "{what}");
        }
        self.cases.len()
    }
}

/// The first criterion of selector `i` that fails, and both values.
#[track_caller]
fn fails(pid: Pid, i: usize) -> String {
    let failing = explain(pid).selection.selectors.remove(i).fails.unwrap();
    format!("{} is {}, wanted {}", failing.criterion, failing.found, failing.wanted)
}

const UNMATCHED: &str = "no selector matches it";

fn by(selector: &str) -> String {
    format!("discovery.instrument[{selector}) matches it")
}

const GOBLOG: &str = "discovery.instrument[0] (exe_path: */goblog) matches it";
const EXCLUDED: &str = "discovery.exclude_instrument[0] (exe_path: */excluded*) excludes it";

/// Ports that the configuration asks for.
struct Ports {
    here: u16,
    late: u16,
    python: u16,
}

impl Ports {
    fn config(&self) -> String {
        let Self { here, late, python } = self;
        format!(
            "discovery:
  instrument:
  - {{exe_path: '*/goblog'}}
  - {{exe_path: DIR/exact}}
  - {{cmd_args: '*--serve*'}}
  - {{exe_path: '*/both', cmd_args: '*yes*'}}
  - {{open_ports: '{here},{late}'}}
  - {{open_ports: {python}, exe_path: '*/python3*'}}
  - {{exe_path: '*/named', name: shop, namespace: market}}
  - {{exe_path: '*/named', name: later}}
  - {{exe_path: '*/metricsonly', exports: [metrics]}}
  - {{exe_path: '*/c[0-9]?'}}
  - {{exe_path: '*/{{alpha,beta}}'}}
  - {{exe_path: '*/mute', exports: []}}
  exclude_instrument:
  - {{exe_path: '*/excluded*'}}
  - {{cmd_args: '*nope*'}}
"
        )
    }

    fn either(&self) -> String {
        by(&format!("4] (open_ports: {}", ascending(self.here.into(), self.late.into())))
    }
}

/// Processes from before the agent that become something else behind its start.
struct Waiting {
    becomes: Pid,
    listens: Pid,
    excluded: Pid,
    other: Pid,
}

#[test]
fn every_criterion_chooses_what_it_says_whenever_a_process_becomes_such() {
    let name = "every_criterion_chooses_what_it_says_whenever_a_process_becomes_such";
    let Some(_turn) = enter(name, &[Need::Python("python3")]) else { return };
    let mut kit = Kit::new();
    let mut m = Matrix::default();
    let ports = Ports { here: free_port(), late: free_port(), python: free_port() };
    let waiting = before(&mut kit, &mut m, &ports);
    let agent = kit.agent(&ports.config());
    m.no("the agent", agent.pid(), "it is the agent itself, which is never observed");
    later(&mut kit, &mut m, &waiting, &ports);
    paths(&mut kit, &mut m);
    let [no_args, no_path] = arguments(&mut kit, &mut m);

    let python = by(&format!("5] (open_ports: {}, exe_path: */python3*", ports.python));
    m.yes("port and path", kit.listens("127.0.0.1", ports.python), &python);
    let elsewhere = free_port();
    let other_port = kit.listens("127.0.0.1", elsewhere);
    m.no("another port", other_port, UNMATCHED);
    let names = names(&mut kit, &mut m);
    built_in(&mut kit, &mut m);

    let cases = m.check(kit.dir.path());
    assert_eq!(fails(no_args, 3), "cmd_args is -c read line shell no, wanted *yes*");
    let exe = kit.path("neither");
    assert_eq!(fails(no_path, 3), format!("exe_path is {}, wanted */both", exe.display()));
    let other = format!("open_ports is {elsewhere}, wanted {}", ports.python);
    assert_eq!(fails(other_port, 5), other);
    assert_eq!(
        names.map(called),
        [
            "later by discovery.instrument[7]; market by discovery.instrument[6]",
            "own by OTEL_SERVICE_NAME of the process; market by discovery.instrument[6]",
            "attr by OTEL_RESOURCE_ATTRIBUTES of the process; ns by OTEL_RESOURCE_ATTRIBUTES of the \
             process",
        ]
    );
    let log = agent.log();
    let says = |what: &str| log.contains(&format!("selector discovery.instrument{what}"));
    assert!(says("[9] (exe_path: */c[0-9]?) matched 0 of "), "{log}");
    assert!(says("[9] (exe_path: */c[0-9]?) matches its first process"), "{log}");
    assert!(!says("[0] (exe_path: */goblog) matched 0 of "), "{log}");
    report(&format!("{cases} cases"));
    assert_eq!(cases, 41);
    agent.stop();
}

/// A shell with a child, and what is said of the child.
fn parent(kit: &mut Kit, name: &str) -> (Pid, String) {
    let parent = kit.runs(name, "sleep 600 & read line; kill $!", &[]);
    let inherits =
        format!("its parent {parent} is observed, by discovery.instrument[0] (exe_path: */goblog)");
    (Kit::child_of(parent), inherits)
}

/// What is there before the agent.
fn before(kit: &mut Kit, m: &mut Matrix, ports: &Ports) -> Waiting {
    m.yes("there before", kit.waits("before/goblog", &[]), GOBLOG);
    m.yes("one port of two, there before", kit.listens("127.0.0.1", ports.here), &ports.either());
    let (child, inherits) = parent(kit, "parent/goblog");
    m.yes("a child from before", child, &inherits);
    let deleted = kit.waits("deleted/goblog", &[]);
    fs::remove_file(kit.path("deleted/goblog")).unwrap();
    m.yes("its executable is deleted", deleted, GOBLOG);
    m.no("another name, there before", kit.waits("before/goblog2", &[]), UNMATCHED);
    let exec = |kit: &Kit, name: &str| {
        format!("read line; exec {} -c 'read line'", kit.program(name).display())
    };
    let (to_goblog, to_excluded) = (exec(kit, "exec/goblog"), exec(kit, "excluded-late"));
    Waiting {
        becomes: kit.runs("before/starter", &to_goblog, &[]),
        listens: kit.listens_when_told("127.0.0.1", ports.late),
        excluded: kit.runs("turns/goblog", &to_excluded, &[]),
        other: kit.runs("stays/goblog", "read line; exec sleep 600", &[]),
    }
}

/// What comes behind its start.
fn later(kit: &mut Kit, m: &mut Matrix, waiting: &Waiting, ports: &Ports) {
    let Waiting { becomes, listens, excluded, other } = *waiting;
    [becomes, listens, excluded, other].into_iter().for_each(|pid| kit.tell(pid));
    m.yes("started later", kit.waits("later/goblog", &[]), GOBLOG);
    m.yes("becomes it by exec", becomes, GOBLOG);
    m.yes("opens its port late", listens, &ports.either());
    let was = "discovery.instrument[0] (exe_path: */goblog) matched what it was before an exec";
    m.yes("becomes another by exec", other, was);
    m.no("becomes an excluded one by exec", excluded, EXCLUDED);
    let (child, inherits) = parent(kit, "forks/goblog");
    m.yes("a child from later", child, &inherits);
    let program = kit.program("excluded-child");
    let script = format!("{} -c 'read line'; true", program.display());
    let child = Kit::child_of(kit.runs("hasexcluded/goblog", &script, &[]));
    m.no("an excluded child", child, EXCLUDED);
}

fn paths(kit: &mut Kit, m: &mut Matrix) {
    m.yes("exactly this path", kit.waits("exact", &[]), &by("1] (exe_path: DIR/exact"));
    m.no("the same name elsewhere", kit.waits("elsewhere/exact", &[]), UNMATCHED);
    m.no("upper case", kit.waits("GOBLOG", &[]), UNMATCHED);
    m.no("a longer name", kit.waits("later/goblog2", &[]), UNMATCHED);
    m.yes("a class and a wildcard", kit.waits("c12", &[]), &by("9] (exe_path: */c[0-9]?"));
    m.no("not of the class", kit.waits("cx2", &[]), UNMATCHED);
    m.yes("one of two", kit.waits("beta", &[]), &by("10] (exe_path: */{alpha,beta}"));
    m.no("a third", kit.waits("gamma", &[]), UNMATCHED);
    kit.program("links/goblog");
    symlink("goblog", kit.path("links/relative")).unwrap();
    m.yes("by a relative link", kit.waits("links/relative", &[]), GOBLOG);
    kit.program("links/other");
    fs::create_dir(kit.path("links/below")).unwrap();
    symlink("../other", kit.path("links/below/goblog")).unwrap();
    m.no("a link is called so", kit.waits("links/below/goblog", &[]), UNMATCHED);
    kit.program("twice/goblog");
    fs::hard_link(kit.path("twice/goblog"), kit.path("twice/other")).unwrap();
    m.yes("one path of a file", kit.waits("twice/goblog", &[]), GOBLOG);
    m.no("another path of the same file", kit.waits("twice/other", &[]), UNMATCHED);
}

/// Gives those of which only the path holds, and only the arguments.
fn arguments(kit: &mut Kit, m: &mut Matrix) -> [Pid; 2] {
    let serves = by("2] (cmd_args: *--serve*");
    m.yes("an argument", kit.waits("args", &["x", "--serve", "y"]), &serves);
    m.no("without it", kit.waits("args", &["x", "y"]), UNMATCHED);
    let nope = "discovery.exclude_instrument[1] (cmd_args: *nope*) excludes it";
    m.no("an argument that is excluded", kit.waits("args", &["--serve", "nope"]), nope);
    m.no("an executable that is excluded", kit.waits("excluded1", &["--serve"]), EXCLUDED);
    let both = by("3] (exe_path: */both, cmd_args: *yes*");
    m.yes("both criteria", kit.waits("both", &["yes"]), &both);
    let no_args = kit.waits("both", &["no"]);
    m.no("only the first criterion", no_args, UNMATCHED);
    let no_path = kit.waits("neither", &["yes"]);
    m.no("only the second criterion", no_path, UNMATCHED);
    [no_args, no_path]
}

/// What selectors say, and what the process itself says. Gives the processes.
fn names(kit: &mut Kit, m: &mut Matrix) -> [Pid; 3] {
    let named = by("7] (exe_path: */named");
    let plain = kit.waits("named", &[]);
    m.yes("two selectors, the last one counts", plain, &named);
    let program = kit.program("named");
    let with = |name: &str, value: &str| {
        let mut command = Command::new(&program);
        command.args(["-c", "read line"]).env(name, value);
        command
    };
    let own = kit.start(&mut with("OTEL_SERVICE_NAME", "own"));
    m.yes("a name of its own", own, &named);
    let attributes = "service.name=attr,service.namespace=ns";
    let attr = kit.start(&mut with("OTEL_RESOURCE_ATTRIBUTES", attributes));
    m.yes("attributes of its own", attr, &named);
    let metrics = by("8] (exe_path: */metricsonly");
    m.yes("metrics only", kit.waits("metricsonly", &[]), &metrics);
    let nothing = "discovery.instrument[11] (exe_path: */mute) matches it, and its exports leave out \
                   every signal";
    m.no("no signal at all", kit.waits("mute", &[]), nothing);
    [plain, own, attr]
}

/// What is excluded unless the user says otherwise.
fn built_in(kit: &mut Kit, m: &mut Matrix) {
    let built_in = "discovery.default_exclude_instrument[0] (exe_path: {*/obi,obi,*otelcol,\
                    *otelcol-contrib,*otelcol-contrib[!/]*}) excludes it";
    m.no("an agent by another name", kit.waits("builtin/obi", &["--serve"]), built_in);
    m.no("a collector", kit.waits("builtin/otelcol-contrib", &["--serve"]), built_in);
}

/// A process's name and namespace, and what gives them.
fn called(pid: Pid) -> String {
    let selection = explain(pid).selection;
    let [name, namespace] = [selection.name, selection.namespace]
        .map(|reason| format!("{} by {}", reason.value, reason.from));
    format!("{name}; {namespace}")
}

/// Two numbers as a list of them is shown.
fn ascending(a: u32, b: u32) -> String {
    let (least, most) = (a.min(b), a.max(b));
    let to = if most == least + 1 { '-' } else { ',' };
    format!("{least}{to}{most}")
}

#[test]
fn every_way_to_choose_works_by_itself() {
    let name = "every_way_to_choose_works_by_itself";
    let needs = [Need::Command("unshare"), Need::App("httpd"), Need::App("go")];
    let Some(_turn) = enter(name, &needs) else { return };
    let cases = contained() + by_regex() + by_pid() + by_language();
    report(&format!("{cases} cases"));
    assert_eq!(cases, 15);
}

fn contained() -> usize {
    let (mut kit, mut m) = (Kit::new(), Matrix::default());
    let boxed = kit.program("box");
    let mut unshare = Command::new("unshare");
    unshare.arg("--net").arg(&boxed).args(["-c", "read line"]);
    let contained = kit.start(&mut unshare);
    let host = kit.waits("box", &[]);
    let agent = kit.agent(
        "discovery: {instrument: [{exe_path: '*/box', containers_only: true}, {exe_path: '*/obi'}], \
         default_exclude_instrument: []}",
    );
    let by_box = by("0] (exe_path: */box, containers_only: true");
    m.yes("in a network namespace of its own", contained, &by_box);
    m.no("in the agent's network namespace", host, UNMATCHED);
    m.yes("without built-in exclusions", kit.waits("own/obi", &[]), &by("1] (exe_path: */obi"));
    let cases = m.check(kit.dir.path());
    assert_eq!(fails(host, 0), "containers_only is false, wanted true");
    agent.stop();
    cases
}

fn by_regex() -> usize {
    let (mut kit, mut m) = (Kit::new(), Matrix::default());
    let agent = kit.agent(
        "discovery: {services: [{exe_path: gobl}, {exe_path_regexp: 'leg.cy$'}, \
         {cmd_args: '^-c read'}], exclude_services: [{exe_path: 'skip$'}]}",
    );
    let services = |selector: &str| format!("discovery.services[{selector}) matches it");
    let script = "echo; read line";
    let part = kit.runs("goblog", script, &[]);
    m.yes("a part of a path", part, &services("0] (exe_path: gobl"));
    let older = kit.runs("legacy", script, &[]);
    m.yes("the older key", older, &services("1] (exe_path: leg.cy$"));
    m.yes("how arguments begin", kit.waits("args", &[]), &services("2] (cmd_args: ^-c read"));
    m.no("not so", kit.runs("other", script, &[]), UNMATCHED);
    let skipped = "discovery.exclude_services[0] (exe_path: skip$) excludes it";
    m.no("excluded by its end", kit.waits("skip", &[]), skipped);
    let cases = m.check(kit.dir.path());
    agent.stop();
    cases
}

fn by_pid() -> usize {
    let (mut kit, mut m) = (Kit::new(), Matrix::default());
    let [one, two, three] = ["one", "two", "three"].map(|name| kit.waits(name, &[]));
    let agent = kit
        .agent(&format!("target_pids: {one}\ndiscovery: {{instrument: [{{exe_path: '*/two'}}]}}"));
    m.yes("this process", one, &format!("target_pids (target_pids: {one}) matches it"));
    m.no("other selectors are left aside", two, UNMATCHED);
    m.no("neither", three, UNMATCHED);
    let cases = m.check(kit.dir.path());
    agent.stop();

    let mut m = Matrix::default();
    let agent =
        kit.agent(&format!("discovery: {{instrument: [{{target_pids: [{two}, {three}]}}]}}"));
    let pids = by(&format!("0] (target_pids: {}", ascending(two, three)));
    m.yes("one of these processes", two, &pids);
    m.no("none of these", one, UNMATCHED);
    let more = m.check(kit.dir.path());
    agent.stop();
    cases + more
}

fn by_language() -> usize {
    let (mut kit, mut m) = (Kit::new(), Matrix::default());
    let port = free_port();
    let go = kit.start(Command::new(app("go")).args(["server", &port.to_string()]));
    let not_go = kit.waits("shell", &[]);
    let agent = kit.agent("discovery: {instrument: [{languages: go}]}");
    m.yes("by its language", go, &by("0] (languages: go"));
    m.no("of another language", not_go, UNMATCHED);
    let cases = m.check(kit.dir.path());
    agent.stop();
    cases
}
