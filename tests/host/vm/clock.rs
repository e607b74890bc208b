//! The wall clock is set while the agent works.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::agent::{Agent, Span};
use crate::conversation::{but_for_missed_runs, runs_were_missed};
use crate::hard::{lines, sorted};
use crate::load::Client;
use crate::turn::{Need, enter};
use crate::{eventually, report, servers};

/// Wall time in µs since 1970, as spans tell it.
fn wall_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_micros()).unwrap()
}

/// Sets the clock by so many seconds, an hour or a day.
fn step(seconds: i64) {
    let now = i64::try_from(wall_us() / 1_000_000).unwrap();
    servers::run(Command::new("date").arg("--set").arg(format!("@{}", now + seconds)));
}

/// How far a span's time may lie from the clock's: what the two clocks are read apart.
const APART_US: u64 = 1_000_000;

#[test]
fn a_clock_step_moves_the_spans_that_follow_and_spoils_none() {
    let name = "a_clock_step_moves_the_spans_that_follow_and_spoils_none";
    let needs = [Need::MachineOfItsOwn, Need::App("httpd"), Need::Command("date")];
    let Some(_turn) = enter(name, &needs) else { return };
    but_for_missed_runs(told_at_their_times);
}

/// Whether the spans are those of the requests, each at its time; see [`but_for_missed_runs`].
fn told_at_their_times(excuse: bool) -> bool {
    let server = servers::httpd("threads");
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &server.port.to_string())]);
    let mut client = Client::connect(server.port).unwrap();
    let mut wanted = Vec::new();
    let mut between = Vec::new();
    for (i, seconds) in [0, 3600, -3600, -86_400, 86_400].into_iter().enumerate() {
        step(seconds);
        let began = wall_us();
        for n in 0..20 {
            let path = format!("/step-{i}-{n}");
            assert_eq!(client.ask("GET", &path, b"").unwrap(), 200);
            wanted.push(format!("server GET {path} 200"));
        }
        eventually("the spans are printed", || agent.spans().len() == wanted.len());
        between.push((seconds, began, wall_us()));
    }
    let front_end = agent.front_end();
    let outcome = agent.stop();
    let (found, wanted) = (lines(&outcome.spans, |_| true), sorted(wanted));
    if found != wanted && excuse && runs_were_missed(&outcome, &front_end, &front_end) {
        return false;
    }
    assert_eq!(found, wanted, "{}", outcome.log);
    for (i, (seconds, began, ended)) in between.into_iter().enumerate() {
        let of_step = |s: &&Span| s.path().starts_with(&format!("/step-{i}-"));
        for span in outcome.spans.iter().filter(of_step) {
            let within = began - APART_US..ended + APART_US;
            assert!(within.contains(&span.start_us()), "step {seconds}: {span:?}");
            assert!(span.duration_us() < APART_US + ended - began, "step {seconds}: {span:?}");
        }
    }
    let dropped = outcome.ledger.drops().1;
    report(&format!("{} spans, each at its time; dropped: {dropped}", outcome.spans.len()));
    true
}
