//! Another configuration for an agent that runs: what it comes to, and what it leaves alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::agent::Agent;
use crate::explain::explain;
use crate::load::{Client, Connections, Load};
use crate::servers::{Server, free_port};
use crate::turn::{Need, agent_binary, app, enter, scratch};
use crate::{eventually, report};

/// A server that answers everything with 200, named after what the configuration says.
fn server() -> Server {
    let port = free_port();
    Server::start(port, Command::new(app("httpd")).arg(port.to_string()).arg("threads"))
}

/// One entry that chooses by port and names.
fn entry(server: &Server, name: &str) -> String {
    format!("  - {{open_ports: {}, name: {name}}}\n", server.port)
}

fn config(entries: &[String]) -> String {
    format!("trace_printer: json\ndiscovery:\n  instrument:\n{}", entries.concat())
}

/// Puts `text` in the place of the file in one step, as editors and `kubectl` do.
fn replace(path: &Path, text: &str) {
    let part = path.with_extension("part");
    fs::write(&part, text).unwrap();
    fs::rename(part, path).unwrap();
}

/// An agent that does not ignore a hang-up, as one would whose tests were started by nohup.
fn start_hearing(variables: &[(&str, &str)]) -> Agent {
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP").arg(agent_binary());
    Agent::start_as(command, variables)
}

/// How often the agent has said this.
fn said(agent: &Agent, what: &str) -> usize {
    agent.log().matches(what).count()
}

#[test]
fn reloads_under_load_lose_nothing_of_a_service_that_they_do_not_touch() {
    let name = "reloads_under_load_lose_nothing_of_a_service_that_they_do_not_touch";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    const RELOADS: usize = 20;
    let (stays, comes, goes) = (server(), server(), server());
    let dir = scratch();
    let path = dir.path().join("obi.yml");
    let others = [
        config(&[entry(&stays, "stays"), entry(&comes, "comes")]),
        config(&[entry(&goes, "goes"), entry(&stays, "stays")]),
    ];
    replace(&path, &others[1]);
    let agent = Agent::start(&[("OTEL_EBPF_CONFIG_PATH", path.to_str().unwrap())]);
    let load = |port, rate, requests| Load {
        port,
        connections: 16,
        requests,
        rate: Some(rate),
        plan: |n| ("GET", format!("/n/{n}"), 0),
    };
    // Longer than the reloads take; stopped behind them.
    let untouched = load(stays.port, 5000, 600_000).start(Connections::Kept);
    let beside = [&comes, &goes].map(|s| load(s.port, 200, 24_000).start(Connections::Kept));
    for round in 0..RELOADS {
        replace(&path, &others[round % 2]);
        let done = "attaches=1 detaches=1 changes=0 untouched=1";
        eventually("the configuration is another", || said(&agent, done) == round + 1);
        std::thread::sleep(Duration::from_millis(200));
    }
    let untouched = untouched.stop();
    let beside = beside.map(crate::load::Running::stop);
    for report in beside.iter().chain([&untouched]) {
        assert_eq!(report.errors, 0, "no request fails");
    }
    let asked = untouched.answered();
    let outcome = agent.stop_after(usize::try_from(asked).unwrap(), |s| s.host_name == "stays");
    let spans_of = |name| outcome.spans.iter().filter(|s| s.host_name == name).count() as u64;
    assert_eq!(spans_of("stays"), asked, "{}", outcome.log);
    let wrong: Vec<String> = outcome
        .spans
        .iter()
        .filter(|s| s.attribute("status") != "200" && s.host_name == "stays")
        .map(|s| s.line())
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(outcome.ledger.beside("config_reloads valid"), RELOADS as u64);
    let [came, went] = ["comes", "goes"].map(spans_of);
    let [asked_comes, asked_goes] = beside.map(|report| report.answered());
    assert!(came > 0 && came < asked_comes && went > 0 && went < asked_goes);
    let paths: std::collections::HashSet<_> = outcome
        .spans
        .iter()
        .filter(|s| s.host_name != "stays")
        .map(|s| (s.host_name.clone(), s.path().to_owned()))
        .collect();
    assert_eq!(paths.len() as u64, came + went, "no request has two spans");
    report(&format!(
        "{RELOADS} reloads: untouched {asked} requests = {asked} spans; observed in part {came} of \
         {asked_comes}, {went} of {asked_goes}"
    ));
}

#[test]
fn a_file_takes_effect_when_it_changes_and_at_sighup_unless_it_is_invalid() {
    let name = "a_file_takes_effect_when_it_changes_and_at_sighup_unless_it_is_invalid";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let (one, two) = (server(), server());
    let dir = scratch();
    // As a ConfigMap is mounted.
    let at = |name: &str| dir.path().join(name);
    let swap = |version: &str, text: &str| {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("obi.yml"), text).unwrap();
        symlink(version, at("..tmp")).unwrap();
        fs::rename(at("..tmp"), at("..data")).unwrap();
    };
    swap("..1", &config(&[entry(&one, "first")]));
    symlink("..data/obi.yml", at("obi.yml")).unwrap();
    let path = at("obi.yml");
    // Everything stands in the file.
    let no_printer = ("OTEL_EBPF_TRACE_PRINTER", "");
    let agent = start_hearing(&[("OTEL_EBPF_CONFIG_PATH", path.to_str().unwrap()), no_printer]);
    let observed = |server: &Server| explain(server.pid()).selection.observed;
    assert_eq!([observed(&one), observed(&two)], [true, false]);
    let mut kept = Client::connect(two.port).unwrap();
    assert_eq!(kept.ask("GET", "/before", b"").unwrap(), 200);

    swap("..2", &config(&[entry(&one, "renamed"), entry(&two, "second")]));
    eventually("the second server is observed", || observed(&two));
    assert_eq!(explain(one.pid()).selection.name.value, "renamed");
    assert_eq!(kept.ask("GET", "/after", b"").unwrap(), 200, "a connection from before");

    // As it is while it is written anew: what would mean every process changes nothing.
    fs::write(at("..data").join("obi.yml"), "").unwrap();
    eventually("the empty file is refused", || said(&agent, "chooses processes any more") == 1);
    assert!(observed(&one) && observed(&two));

    let wrong = "discovery:\n  instrument:\n  - {exe_paths: '*'}\notel_traces_export:\n  \
                 batch_timeout: 5\n";
    swap("..3", wrong);
    eventually("the file is refused", || said(&agent, "the configuration stays as it was") == 2);
    let log = agent.log();
    let line = |n: usize, why: &str| format!("{}:{n}: {why}", path.display());
    assert!(log.contains(&line(3, "discovery.instrument[0].exe_paths")), "{log}");
    assert!(log.contains(&line(5, "otel_traces_export.batch_timeout = 5")), "{log}");
    assert!(observed(&one) && observed(&two));

    let later = config(&[entry(&two, "second")]) + "otel_traces_export: {batch_timeout: 5s}\n";
    swap("..4", &later);
    eventually("the first server is not observed any more", || !observed(&one));
    let restart = "needs a restart: the agent goes on with what it was \
                   setting=\"otel_traces_export.batch_timeout\" was=\"15s\" is=\"5s\"";
    assert!(agent.log().contains(restart), "{}", agent.log());

    agent.signal(Signal::SIGHUP);
    eventually("it is read again", || said(&agent, "reading the configuration again: SIGHUP") == 1);
    eventually("nothing new is there", || said(&agent, restart) == 2);
    let mut client = Client::connect(one.port).unwrap();
    assert_eq!(client.ask("GET", "/not-observed", b"").unwrap(), 200);
    assert_eq!(kept.ask("GET", "/last", b"").unwrap(), 200);
    let outcome = agent.stop_after(2, |s| s.host_name == "second");
    let lines: Vec<String> = outcome.spans.iter().map(crate::agent::Span::line).collect();
    assert_eq!(lines, ["server GET /after 200", "server GET /last 200"]);
    let refused = outcome.ledger.stage("decoder.spans").dropped("process_refused");
    assert_eq!(refused, 0, "the kernel itself leaves alone who is not observed any more");
    assert_eq!(outcome.ledger.beside("config_reloads invalid"), 2);
    assert_eq!(outcome.ledger.beside("config_reloads valid"), 3);
}

#[test]
fn a_hang_up_stops_an_agent_that_has_no_file_to_read_again() {
    let name = "a_hang_up_stops_an_agent_that_has_no_file_to_read_again";
    let Some(_turn) = enter(name, &[]) else { return };
    let mut agent = start_hearing(&[crate::agent::EVERYTHING]);
    agent.signal(Signal::SIGHUP);
    assert!(agent.await_end().success(), "{}", agent.log());
    assert!(agent.log().contains("balanced"), "{}", agent.log());
}
