//! What `obi explain` says of processes.

use std::process::Command;

use serde::Deserialize;

use crate::agent::{Agent, environment};
use crate::conversation::{but_for_missed_runs, runs_were_missed};
use crate::load::Client;
use crate::servers::{Server, free_port};
use crate::tools::{run, stderr};
use crate::turn::{Need, agent_binary, app, enter};
use crate::{eventually, report};

/// One agent's answer.
#[derive(Debug, Deserialize)]
struct Report {
    agent: Option<u32>,
    front_end: String,
    programs: Vec<String>,
    processes: Vec<Explained>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Explained {
    pub(crate) selection: Selection,
    pub(crate) seen: Seen,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Selection {
    pub(crate) observed: bool,
    pub(crate) because: String,
    pub(crate) language: String,
    pub(crate) selectors: Vec<Judged>,
    pub(crate) name: Reason,
    pub(crate) namespace: Reason,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Judged {
    pub(crate) fails: Option<Failing>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Failing {
    pub(crate) criterion: String,
    pub(crate) wanted: String,
    pub(crate) found: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Reason {
    pub(crate) value: String,
    pub(crate) from: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) spans: u64,
    over: u64,
    gap_bytes: u64,
}

/// The page about what is asked for.
#[track_caller]
fn page(asked: &str) -> String {
    let output = run(&[], &["explain", asked]);
    assert!(output.status.success(), "{asked}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What the running agent says of one process.
#[track_caller]
pub(crate) fn explain(pid: u32) -> Explained {
    let output = run(&[], &["explain", "--json", &format!("pid:{pid}")]);
    let mut reports: Vec<Report> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", stderr(&output)));
    assert_eq!(reports.len(), 1, "one agent runs: {reports:?}");
    let mut report = reports.remove(0);
    assert!(report.agent.is_some(), "an agent runs");
    assert!(!report.front_end.is_empty() && !report.programs.is_empty());
    assert_eq!(report.processes.len(), 1, "{report:?}");
    report.processes.remove(0)
}

#[test]
fn an_explanation_tells_every_selector_the_name_and_what_was_seen() {
    let name = "an_explanation_tells_every_selector_the_name_and_what_was_seen";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    but_for_missed_runs(explained);
}

/// Whether the explanation is as it should be; see [`but_for_missed_runs`].
fn explained(excuse: bool) -> bool {
    let (port, other) = (free_port(), free_port());
    let mut command = Command::new(app("httpd"));
    command.arg(port.to_string()).arg("threads").env("OTEL_SERVICE_NAME", "shop");
    let server = Server::start(port, &mut command);
    let dir = crate::turn::scratch();
    let config = dir.path().join("obi.yml");
    let text = format!(
        "discovery:\n  instrument:\n  - {{open_ports: {other}}}\n  - {{open_ports: {port}, \
         exe_path: '*/httpd', namespace: market}}\n  default_exclude_instrument: \
         [{{exe_path: '*/obi'}}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let agent = Agent::start(&[("OTEL_EBPF_CONFIG_PATH", config.to_str().unwrap())]);
    let log = agent.log();
    let unmatched = format!("selector discovery.instrument[0] (open_ports: {other}) matched 0 of ");
    assert!(log.contains(&unmatched), "{log}");

    ask_in_three_connections(port);
    eventually("twelve spans and the end of three connections were seen", || {
        let seen = explain(server.pid()).seen;
        seen.over == 3 && (seen.spans == 12 || seen.gap_bytes > 0)
    });
    let gap_bytes = explain(server.pid()).seen.gap_bytes;
    if gap_bytes > 0 && excuse {
        let front_end = agent.front_end();
        let outcome = agent.stop();
        assert!(runs_were_missed(&outcome, &front_end, &front_end), "{}", outcome.log);
        return false;
    }
    assert_eq!(gap_bytes, 0);

    let by_port = page(&port.to_string());
    let pid = server.pid();
    let front_end = agent.front_end();
    let exe = app("httpd").canonicalize().unwrap();
    let exe = exe.display();
    let programs = by_port.lines().find(|l| l.starts_with("  programs ")).unwrap();
    assert!(programs.contains("obi_"), "{programs}");
    let language = explain(pid).selection.language;
    let expected = format!(
        "agent {agent}, {front_end} front end\n\nprocess {pid} {exe}\n  \
         arguments    {port} threads\n  language     {language}\n  \
         libraries    none that matters to tracing\n  listens on   {port}\n  \
         observed     yes: discovery.instrument[1] (open_ports: {port}, exe_path: */httpd) matches \
         it\n  \
         name         shop (by OTEL_SERVICE_NAME of the process)\n  \
         namespace    market (by discovery.instrument[1])\n  selectors\n    \
         discovery.instrument[0] (open_ports: {other})\n      \
         no: open_ports is {port}, wanted {other}\n    \
         discovery.instrument[1] (open_ports: {port}, exe_path: */httpd)\n      matches\n  \
         exclusions\n    discovery.default_exclude_instrument[0] (exe_path: */obi)\n      \
         no: exe_path is {exe}, wanted */obi\n{programs}\n  \
         connections  open: none; over: 3\n  spans        12\n  losses       none\n",
        agent = agent.pid(),
    );
    assert_eq!(by_port, expected);
    for asked in [format!("pid:{pid}"), format!("port:{port}"), "httpd".into(), "shop".into()] {
        assert_eq!(page(&asked), by_port, "{asked}");
    }

    nobody_is_on(other);
    agent.stop();
    true
}

/// Four requests in each.
fn ask_in_three_connections(port: u16) {
    for _ in 0..3 {
        let mut client = Client::connect(port).unwrap();
        (0..4).for_each(|n| assert_eq!(client.ask("GET", &format!("/r/{n}"), b"").unwrap(), 200));
    }
}

/// Asks for a port that nobody listens on.
fn nobody_is_on(port: u16) {
    let nobody = run(&[], &["explain", &port.to_string()]);
    assert_eq!(nobody.status.code(), Some(1));
    let said = String::from_utf8(nobody.stdout).unwrap();
    let none =
        format!("no process: none has the PID {port}, and none listens on the TCP port {port}\n");
    assert!(said.ends_with(&none), "{said}");
}

#[test]
fn without_an_agent_it_says_what_the_configuration_would_choose_and_others_may_not_ask() {
    let name =
        "without_an_agent_it_says_what_the_configuration_would_choose_and_others_may_not_ask";
    let Some(_turn) = enter(name, &[Need::App("httpd"), Need::Command("setpriv")]) else { return };
    let port = free_port();
    let server =
        Server::start(port, Command::new(app("httpd")).arg(port.to_string()).arg("threads"));
    let port = port.to_string();
    let chosen = [("OTEL_EBPF_OPEN_PORT", port.as_str())];
    let output = run(&chosen, &["explain", &port]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("no agent is asked: this is what the configuration would choose\n"));
    let yes = format!("observed     yes: OTEL_EBPF_OPEN_PORT (open_ports: {port}) matches it\n");
    assert!(said.contains(&yes), "{said}");
    assert!(said.contains(&format!("process {} ", server.pid())), "{said}");
    assert!(!said.contains("spans"), "{said}");

    let folder = crate::turn::scratch();
    let folder = folder.path().join("run");
    let runtime = ("OTEL_EBPF_RUNTIME_DIR", folder.to_str().unwrap());
    let agent = Agent::start(&[chosen[0], runtime]);
    let output = run(&[runtime], &["explain", &port]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("agent "), "{said}");
    let refused = crate::tools::run_as_nobody(&[runtime], &["explain", &port]);
    let why = stderr(&refused);
    assert!(!refused.status.success() && why.contains("Permission denied"), "{why}");
    agent.stop();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "the socket goes with the agent");

    // One that was killed leaves its socket: nobody is fooled, and the next one cleans up.
    let mut killed = Agent::start(&[chosen[0], runtime]);
    killed.signal(nix::sys::signal::Signal::SIGKILL);
    killed.await_end();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    let mut asking = Command::new(agent_binary());
    let output = environment(&mut asking, &[runtime]).args(["explain", &port]).output().unwrap();
    assert!(output.stdout.starts_with(b"no agent is asked"), "{output:?}");
    let agent = Agent::start(&[chosen[0], runtime]);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "its own");
    agent.stop();
    report("explained with an agent, without one, and after one was killed");
}
