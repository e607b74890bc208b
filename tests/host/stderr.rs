//! Whatever becomes of stderr, the agent goes on, stops in time, and leaves its ledger.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2};

use crate::agent::{Ledger, READY, environment, parse};
use crate::eventually;
use crate::load::Client;
use crate::servers;
use crate::turn::{Need, agent_binary, enter, scratch};

/// Ends with the test, also with one that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ended_already = self.0.wait();
    }
}

/// Starts an agent whose messages go into a pipe of 4 KiB, and reads them until it is attached.
fn attached(dir: &Path, variables: &[(&str, &str)]) -> (Running, BufReader<File>) {
    // Not inherited: a read end in the agent would keep the pipe open.
    let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&write, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let agent = environment(&mut Command::new(agent_binary()), variables)
        .env("OTEL_EBPF_LEDGER_FILE", dir.join("ledger"))
        .stdin(Stdio::null())
        .stdout(File::create(dir.join("spans")).unwrap())
        .stderr(Stdio::from(write))
        .spawn()
        .map(Running)
        .unwrap();
    let mut messages = BufReader::new(File::from(read));
    let mut line = String::new();
    while !line.contains(READY) {
        line.clear();
        assert_ne!(messages.read_line(&mut line).unwrap(), 0, "the agent ended");
    }
    (agent, messages)
}

fn signal(agent: &Running, signal: Signal) {
    kill(Pid::from_raw(agent.0.id().try_into().unwrap()), signal).unwrap();
}

/// Asks twenty times, waits for the twenty spans, and stops the agent.
fn serve_and_stop(dir: &Path, agent: &mut Running, port: u16) -> (ExitStatus, Ledger) {
    let mut client = Client::connect(port).unwrap();
    (0..20).for_each(|i| assert_eq!(client.ask("GET", &format!("/{i}"), b"").unwrap(), 200));
    eventually("twenty spans are printed", || {
        assert_eq!(agent.0.try_wait().unwrap(), None, "the agent ended");
        parse(&fs::read_to_string(dir.join("spans")).unwrap()).len() == 20
    });
    signal(agent, Signal::SIGTERM);
    let mut status = None;
    eventually("the agent has ended", || {
        status = agent.0.try_wait().unwrap();
        status.is_some()
    });
    let ledger = serde_json::from_slice(&fs::read(dir.join("ledger")).unwrap()).unwrap();
    (status.unwrap(), ledger)
}

#[test]
fn a_stderr_that_nobody_reads_delays_neither_the_spans_nor_the_stop() {
    let name = "a_stderr_that_nobody_reads_delays_neither_the_spans_nor_the_stop";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let dir = scratch();
    let server = servers::httpd("threads");
    let port = server.port.to_string();
    let (mut agent, messages) = attached(dir.path(), &[("OTEL_EBPF_OPEN_PORT", &port)]);
    // Each prints a ledger of some 1,000 bytes: more than the pipe holds.
    for _ in 0..20 {
        signal(&agent, Signal::SIGUSR1);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let (status, ledger) = serve_and_stop(dir.path(), &mut agent, server.port);
    assert!(status.success() && ledger.balanced, "{status}: {ledger:?}");
    drop(messages);
}

#[test]
fn a_stderr_that_is_closed_ends_neither_the_agent_nor_an_exporter() {
    let name = "a_stderr_that_is_closed_ends_neither_the_agent_nor_an_exporter";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let dir = scratch();
    let server = servers::httpd("threads");
    let port = server.port.to_string();
    let variables = [
        ("OTEL_EBPF_OPEN_PORT", port.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "10ms"),
        ("OTEL_EBPF_SHUTDOWN_TIMEOUT", "1s"),
    ];
    let (mut agent, messages) = attached(dir.path(), &variables);
    drop(messages);
    signal(&agent, Signal::SIGUSR1);
    let (status, ledger) = serve_and_stop(dir.path(), &mut agent, server.port);
    assert!(status.success() && ledger.balanced, "{status}: {ledger:?}");
    // The exporter whose warning found no reader lived on to account for its spans.
    let otlp = ledger.stages.iter().find(|s| s.name.starts_with("exporter.otlp")).unwrap();
    assert_eq!((otlp.in_, otlp.drops.values().sum::<u64>()), (20, 20), "{otlp:?}");
}
