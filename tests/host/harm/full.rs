//! Outputs that take nothing any more: a full disk, a stdout that nobody reads or that is closed.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use super::{assert_balanced, assert_unharmed, control, load, numbered, scale};
use crate::agent::{Agent, Outcome, parse};
use crate::collector::Collector;
use crate::hard::sorted;
use crate::load::{Connections, Load, Report};
use crate::oracle::{compare, read_log};
use crate::servers::{self, Server};
use crate::tools::{run, stderr};
use crate::turn::{Need, agent_binary, enter, scratch};
use crate::{eventually, report};

/// A disk of 256 KiB of our own; gone with the test.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let dir = scratch();
        servers::run(
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(dir.path()),
        );
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) {
        fs::write(self.path().join("filler"), vec![0; 1 << 20]).unwrap_err();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _reported_by_its_files = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// What the agent gets: its spans go to a collector besides stdout.
fn variables<'a>(collector: &Collector, port: &'a str, url: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut variables = collector.variables(url).to_vec();
    variables.push(("OTEL_EBPF_OPEN_PORT", port));
    variables
}

/// The load while the agent works: no client sees anything, and the collector gets every span.
fn serve(what: &str, nginx: &Server, collector: &Collector) -> Report {
    let mut control = control(Connections::Kept);
    let mut seen = load(nginx.port, 3 * scale()).run();
    assert_unharmed(what, &mut control, &mut seen);
    let all = usize::try_from(seen.answered()).unwrap();
    eventually("the collector has every span", || collector.count() >= all);
    let wanted = (0..all).map(|n| format!("/r/{n}"));
    let told = collector.told().into_iter().map(|told| told.path().to_owned());
    assert_eq!(sorted(told), sorted(wanted));
    seen
}

/// The printer's account must name every span that it did not print.
fn assert_named(what: &str, outcome: &Outcome, all: u64) {
    assert_balanced(what, outcome);
    let printer = outcome.ledger.stage("exporter.printer");
    let failed = printer.dropped("output_failed");
    assert_eq!((printer.in_, printer.out + failed), (all, all), "{printer:?}");
    assert!(failed > 0, "every span was printed: {printer:?}");
}

#[test]
fn a_stdout_on_a_full_disk_costs_only_the_spans_that_do_not_fit() {
    let name = "a_stdout_on_a_full_disk_costs_only_the_spans_that_do_not_fit";
    let Some(_turn) = enter(name, &[Need::Command("nginx"), Need::Command("mount")]) else {
        return;
    };
    let (nginx, collector, disk) = (servers::nginx(1, None), Collector::start(), SmallDisk::new());
    let (port, url) = (nginx.port.to_string(), collector.url());
    let (file, filler) = (disk.path().join("spans"), disk.path().join("filler"));
    fs::write(&filler, vec![0; 64 << 10]).unwrap();
    let stdout = File::create(&file).unwrap();
    let agent = Agent::start_writing_to(stdout.into(), &variables(&collector, &port, &url));
    let seen = serve("a full disk below stdout", &nginx, &collector);
    fs::remove_file(&filler).unwrap();
    let later = Load { port: nginx.port, connections: 1, requests: 10, rate: None, plan: numbered };
    assert_eq!(later.run().answered(), 10);
    let all = seen.answered() + 10;
    eventually("the later spans are told too", || collector.count() as u64 == all);
    let outcome = agent.stop();
    assert_named("a full disk below stdout", &outcome, all);
    // Of a batch that did not fit, a piece stands there, on a line of its own.
    let text = fs::read_to_string(&file).unwrap();
    let (whole, torn): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.ends_with(']'));
    let printed = parse(&(whole.join("\n") + "\n")).len() as u64;
    report(&format!("{printed} of {all} spans on the disk, {} pieces of lines", torn.len()));
    assert_eq!((printed, torn.len()), (outcome.ledger.stage("exporter.printer").out, 1));
}

#[test]
fn a_stdout_that_nobody_reads_any_more_costs_only_what_is_printed() {
    let name = "a_stdout_that_nobody_reads_any_more_costs_only_what_is_printed";
    let Some(_turn) = enter(name, &[Need::Command("nginx")]) else { return };
    let (nginx, collector) = (servers::nginx(1, None), Collector::start());
    let (port, url) = (nginx.port.to_string(), collector.url());
    let (reader, writer) = std::io::pipe().unwrap();
    let agent = Agent::start_writing_to(writer.into(), &variables(&collector, &port, &url));
    drop(reader);
    let seen = serve("a stdout without a reader", &nginx, &collector);
    let outcome = agent.stop();
    assert_named("a stdout without a reader", &outcome, seen.answered());
}

#[test]
fn a_stdout_that_is_closed_from_the_start_costs_nothing_else() {
    let name = "a_stdout_that_is_closed_from_the_start_costs_nothing_else";
    let Some(_turn) = enter(name, &[Need::Command("nginx")]) else { return };
    let (nginx, collector) = (servers::nginx(1, None), Collector::start());
    let (port, url) = (nginx.port.to_string(), collector.url());
    let mut closed = Command::new("sh");
    closed.args(["-c", "exec \"$1\" >&-", "sh"]).arg(agent_binary());
    let agent = Agent::start_as(closed, &variables(&collector, &port, &url));
    serve("a closed stdout", &nginx, &collector);
    assert_balanced("a closed stdout", &agent.stop());
}

#[test]
fn a_ledger_that_finds_no_room_is_an_error_at_the_stop() {
    let name = "a_ledger_that_finds_no_room_is_an_error_at_the_stop";
    let Some(_turn) = enter(name, &[Need::Command("nginx"), Need::Command("mount")]) else {
        return;
    };
    let (nginx, disk) = (servers::nginx(1, None), SmallDisk::new());
    let ledger = disk.path().join("ledger");
    let mut command = Command::new("sh");
    command.args(["-c", "OTEL_EBPF_LEDGER_FILE=\"$1\" exec \"$2\"", "sh"]);
    command.arg(&ledger).arg(agent_binary());
    let mut agent = Agent::start_as(command, &[("OTEL_EBPF_OPEN_PORT", &nginx.port.to_string())]);
    let seen = load(nginx.port, 1).run();
    assert_eq!(seen.errors, 0);
    eventually("every span is printed", || agent.printed() == seen.answered());
    disk.fill();
    agent.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(agent.await_end().code(), Some(1));
    let log = agent.log();
    let last = log.lines().last().unwrap_or_default();
    let at = ledger.display();
    let wanted = format!("obi: write the ledger to {at}: No space left on device (os error 28)");
    assert_eq!(last, wanted, "{log}");
    assert!(log.contains("\nbalanced\n"), "{log}");
    let left: Vec<_> = fs::read_dir(disk.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left, ["filler"], "half a ledger");
}

#[test]
fn a_recording_that_finds_no_room_ends_the_recorder_and_harms_nobody() {
    let name = "a_recording_that_finds_no_room_ends_the_recorder_and_harms_nobody";
    let Some(_turn) = enter(name, &[Need::Command("nginx"), Need::Command("mount")]) else {
        return;
    };
    let mut control = control(Connections::Kept);
    let (mut nginx, disk) = (servers::nginx(1, None), SmallDisk::new());
    let file = disk.path().join("recording");
    let mut command = Command::new(agent_binary());
    command.arg("record").arg(&file);
    let mut recorder =
        Agent::start_as(command, &[("OTEL_EBPF_OPEN_PORT", &nginx.port.to_string())]);
    let mut seen = load(nginx.port, 3 * scale()).run();
    assert_unharmed("a full disk below a recording", &mut control, &mut seen);
    assert_eq!(recorder.await_end().code(), Some(1));
    let log = recorder.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("obi: stage recorder: "), "{log}");
    assert!(last.ends_with("No space left on device (os error 28)"), "{log}");

    let replayed = run(&[], &["replay", file.to_str().unwrap()]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(stderr(&replayed).contains("the recording is truncated"), "{}", stderr(&replayed));
    let spans = parse(&String::from_utf8(replayed.stdout).unwrap());
    nginx.quit();
    let found = compare(&spans, &read_log(&nginx.file("access.log")));
    report(&format!("{} spans are in the recording; {last}", spans.len()));
    assert_eq!((found.surplus, found.wrong), (0, 0), "{}", found.examples.join("\n"));
    assert!(!spans.is_empty(), "nothing of the recording is left");
}
