//! The tools for the person: doctor, record and replay, the ledger and the switch that unbalances
//! it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Uid, chown};
use serde::Deserialize;

use crate::agent::{Agent, Span, environment, parse};
use crate::conversation::front_ends;
use crate::held::{baseline, in_kernel};
use crate::load::Client;
use crate::servers::{self, Server};
use crate::turn::{Need, agent_binary, app, enter, scratch};
use crate::{eventually, report};

pub(crate) const JSON: (&str, &str) = ("OTEL_EBPF_TRACE_PRINTER", "json");

/// A user without any privilege.
const NOBODY: u32 = 65_534;

/// Runs the agent's command to its end, with these variables and no others.
pub(crate) fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(agent_binary());
    environment(&mut command, variables).args(arguments).output().unwrap()
}

/// The same as a user without privilege, for whom the binary's folder may be closed.
pub(crate) fn run_as_nobody(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    environment(&mut command, variables)
        .arg("-c")
        .arg(format!(
            "exec 3<\"$0\"; exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups \
             /proc/self/fd/3 \"$@\""
        ))
        .arg(agent_binary())
        .args(arguments)
        .output()
        .unwrap()
}

/// The same where no more than so many files may be open, and may ever be.
pub(crate) fn run_with_files(soft: u32, hard: u32, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new("bash");
    let limits = format!("ulimit -Sn {soft}; ulimit -Hn {hard}; exec timeout -s INT 3 \"$0\"");
    environment(&mut command, variables).arg("-c").arg(limits).arg(agent_binary()).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What `obi doctor --json` says.
#[derive(Debug, Deserialize)]
pub(crate) struct Diagnosis {
    pub(crate) works: bool,
    front_end: Option<String>,
    pub(crate) checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Check {
    pub(crate) feature: String,
    pub(crate) works: bool,
    pub(crate) why: Option<String>,
    pub(crate) advice: String,
}

#[test]
fn the_doctor_says_of_each_front_end_what_starting_with_it_shows() {
    let name = "the_doctor_says_of_each_front_end_what_starting_with_it_shows";
    let Some(_turn) = enter(name, &[Need::Command("bpftool")]) else { return };
    let baseline = baseline();
    let output = run(&[], &["doctor", "--json"]);
    let diagnosis: Diagnosis = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success() && diagnosis.works, "{diagnosis:?}");
    let (_, chosen) = front_ends().into_iter().find(|(asked, _)| asked == "auto").unwrap();
    assert_eq!(diagnosis.front_end.as_deref(), Some(chosen.as_str()));
    let table = stdout(&run(&[], &["doctor"]));
    for front_end in ["tracepoint", "fentry", "kprobe"] {
        let feature = format!("front end {front_end}");
        let check = diagnosis.checks.iter().find(|c| c.feature == feature).unwrap();
        let forced = [("OTEL_EBPF_OPEN_PORT", "1"), ("OTEL_EBPF_BPF_FRONT_END", front_end)];
        if check.works {
            Agent::start(&forced).stop();
        } else {
            // The kernel's own words, the same in all three places.
            let why = check.why.as_deref().unwrap();
            assert!(why.contains("os error"), "{why}");
            assert!(!check.advice.is_empty() && table.contains(why), "{table}");
            let refused = run(&[forced[0], forced[1], JSON], &[]);
            assert_eq!(refused.status.code(), Some(1), "{refused:?}");
            let last = format!(
                "obi: {front_end}: {why}: set OTEL_EBPF_BPF_FRONT_END to auto instead of \
                 {front_end}; obi doctor says which front ends work here, and what the others need"
            );
            assert_eq!(stderr(&refused).lines().last(), Some(last.as_str()));
        }
        report(&format!("{feature}: {}", if check.works { "works" } else { "refused" }));
    }
    eventually("the kernel's programs, maps and links are as before", || in_kernel() == baseline);
}

#[test]
fn the_doctor_of_a_user_without_privilege_says_so_and_fails() {
    let name = "the_doctor_of_a_user_without_privilege_says_so_and_fails";
    let Some(_turn) = enter(name, &[Need::Command("setpriv")]) else { return };
    let output = run_as_nobody(&[], &["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let diagnosis: Diagnosis = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!diagnosis.works && diagnosis.front_end.is_none(), "{diagnosis:?}");
    let privilege = diagnosis.checks.iter().find(|c| !c.works).unwrap();
    assert!(privilege.advice.contains("run as root"), "{privilege:?}");
}

#[test]
fn without_the_capability_to_see_processes_the_agent_says_so() {
    let name = "without_the_capability_to_see_processes_the_agent_says_so";
    let Some(_turn) = enter(name, &[Need::App("httpd"), Need::Command("setpriv")]) else { return };
    let blind = || {
        let mut command = Command::new("setpriv");
        command.arg("--bounding-set=-sys_ptrace").arg(agent_binary());
        command
    };
    let output = blind().args(["doctor", "--json"]).output().unwrap();
    let diagnosis: Diagnosis = serde_json::from_slice(&output.stdout).unwrap();
    let check = diagnosis.checks.iter().find(|c| c.feature == "processes of others").unwrap();
    assert!(!check.works && check.advice.contains("CAP_SYS_PTRACE"), "{check:?}");

    let server = servers::httpd("threads");
    let exe = app("httpd");
    let port = server.port.to_string();
    let by_path = ("OTEL_EBPF_AUTO_TARGET_EXE", exe.to_str().unwrap());
    let by_port = ("OTEL_EBPF_OPEN_PORT", port.as_str());
    for (selector, name) in [(by_path, None), (by_port, Some("unknown_service"))] {
        let agent = Agent::start_as(blind(), &[selector]);
        assert!(agent.log().contains("CAP_SYS_PTRACE"), "{}", agent.log());
        assert_eq!(Client::connect(server.port).unwrap().ask("GET", "/", b"").unwrap(), 200);
        let outcome = agent.stop_after(usize::from(name.is_some()), |_| true);
        let names: Vec<_> = outcome.spans.iter().map(|span| span.host_name.as_str()).collect();
        assert_eq!(names, Vec::from_iter(name));
    }
}

/// Sends GET /PREFIX-0 to 19 over two connections; the lines of their server spans, sorted.
fn ask_twenty(server: &Server, prefix: &str) -> Vec<String> {
    let mut clients = [(); 2].map(|()| Client::connect(server.port).unwrap());
    let mut lines = Vec::new();
    for i in 0..20 {
        let path = format!("/{prefix}-{i}");
        assert_eq!(clients[i % 2].ask("GET", &path, b"").unwrap(), 200);
        lines.push(format!("server GET {path} 200"));
    }
    lines.sort();
    lines
}

fn sorted_lines(spans: &[Span]) -> Vec<String> {
    let mut lines: Vec<_> = spans.iter().map(Span::line).collect();
    lines.sort();
    lines
}

/// A recording of twenty requests at `file`, and of twenty more that no batch shares with them;
/// the lines of their spans.
fn recorded(file: &Path) -> [Vec<String>; 2] {
    let server = servers::httpd("threads");
    let port = server.port.to_string();
    let mut command = Command::new(agent_binary());
    command.arg("record").arg(file);
    let recorder = Agent::start_as(command, &[("OTEL_EBPF_OPEN_PORT", &port)]);
    let first = ask_twenty(&server, "first");
    std::thread::sleep(Duration::from_millis(500));
    let second = ask_twenty(&server, "second");
    // The server's last read may be under way.
    std::thread::sleep(Duration::from_millis(100));
    let outcome = recorder.stop();
    assert!(outcome.spans.is_empty(), "a recorder decodes nothing");
    [first, second]
}

#[test]
fn a_recording_is_private_and_replays_the_same_every_time_without_privilege() {
    let name = "a_recording_is_private_and_replays_the_same_every_time_without_privilege";
    let Some(_turn) = enter(name, &[Need::App("httpd"), Need::Command("setpriv")]) else { return };
    let dir = scratch();
    let file = dir.path().join("recording");
    fs::write(&file, [0; 1 << 20]).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let wanted = recorded(&file).concat();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(&file, Some(Uid::from_raw(NOBODY)), None).unwrap();
    let replay = || {
        let output = run_as_nobody(&[JSON], &["replay", file.to_str().unwrap()]);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let first = replay();
    assert_eq!(sorted_lines(&parse(&first)), wanted);
    assert_eq!(replay(), first, "ids, times, order: every byte");
}

#[test]
fn of_a_truncated_recording_everything_whole_is_replayed_and_the_rest_is_told() {
    let name = "of_a_truncated_recording_everything_whole_is_replayed_and_the_rest_is_told";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let dir = scratch();
    let file = dir.path().join("recording");
    let [first, second] = recorded(&file);
    let bytes = fs::read(&file).unwrap();
    let request = b"GET /second-0 ";
    let inside = bytes.windows(request.len()).position(|bytes| bytes == request).unwrap();
    let cut = dir.path().join("cut");
    // Inside the end mark, and inside the batch that follows the first twenty.
    let all = [first.as_slice(), &second].concat();
    for (kept, wanted) in [(bytes.len() - 1, all), (inside, first)] {
        fs::write(&cut, &bytes[..kept]).unwrap();
        let output = run(&[JSON], &["replay", cut.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("the recording is truncated"), "{}", stderr(&output));
        assert_eq!(sorted_lines(&parse(&stdout(&output))), wanted);
    }
    fs::write(&cut, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let output = run(&[JSON], &["replay", cut.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let last = stderr(&output).lines().last().unwrap().to_owned();
    assert_eq!(last, format!("obi: replay {}: this is not a recording of obi", cut.display()));
    assert_eq!(stdout(&output), "");
}

#[test]
fn the_signal_usr1_prints_the_ledger_and_the_agent_goes_on() {
    let name = "the_signal_usr1_prints_the_ledger_and_the_agent_goes_on";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let server = servers::httpd("threads");
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &server.port.to_string())]);
    let mut wanted = ask_twenty(&server, "before");
    eventually("twenty spans are printed", || agent.spans().len() == 20);
    agent.signal(Signal::SIGUSR1);
    let figures = |log: &str| -> Vec<String> {
        let row = log.lines().find_map(|line| line.strip_prefix("exporter.printer"));
        row.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    eventually("the ledger is printed", || !figures(&agent.log()).is_empty());
    assert_eq!(figures(&agent.log()), ["20", "20", "0", "0"], "in, out, dropped, in flight");
    assert!(agent.log().ends_with("still running: what is between two stages is in no row\n"));
    wanted.extend(ask_twenty(&server, "later"));
    wanted.sort();
    let outcome = agent.stop_after(40, |_| true);
    assert_eq!(sorted_lines(&outcome.spans), wanted);
    report(&format!("stopped in {:?}", outcome.stopping));
}

#[test]
fn a_record_lost_on_purpose_unbalances_the_ledger_at_its_stage() {
    let name = "a_record_lost_on_purpose_unbalances_the_ledger_at_its_stage";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let faults = [
        ("reader", "reader.records"),
        ("decoder_queue", "reader to decoder"),
        ("exporter", "decorator to exporter"),
    ];
    for (fault, stage) in faults {
        let server = servers::httpd("threads");
        let port = server.port.to_string();
        let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port), ("OTEL_EBPF_FAULT", fault)]);
        ask_twenty(&server, fault);
        eventually("something is printed", || !agent.spans().is_empty());
        let outcome = agent.finish();
        assert!(!outcome.ledger.balanced, "{fault}: {}", outcome.log);
        let unbalanced: Vec<_> = outcome.ledger.stages.iter().filter(|s| !s.balanced).collect();
        let [lost] = unbalanced[..] else { panic!("{fault}: {unbalanced:?}") };
        assert_eq!((lost.name.as_str(), lost.in_ - lost.out), (stage, 1));
        assert!(outcome.log.contains("UNBALANCED"), "{}", outcome.log);
    }
}
