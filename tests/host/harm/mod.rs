//! What the agent does not do to what it observes: nobody sees an error or waits, whatever becomes
//! of the agent, its targets, or the machine's resources.
//!
//! Each test runs its load twice, without the agent and with it, and tells the answer times of
//! both; none asserts them. [`scale`] makes the tests longer.

mod connections;
mod full;
mod memory;
mod processes;
mod rounds;

use std::time::Duration;

use crate::agent::Outcome;
use crate::load::{Connections, Load, Report};
use crate::{report, servers, setting};

/// How many times their short form the tests are: 10 gives 50 rounds, 30 s, 10,000 connections.
fn scale() -> u64 {
    setting("OBI_TEST_SCALE", 1)
}

/// Requests a second that go on beside whatever happens.
const RATE: u64 = 1000;

fn numbered(number: u64) -> (&'static str, String, usize) {
    ("GET", format!("/r/{number}"), 0)
}

/// A load of [`RATE`] for so long.
fn load(port: u16, seconds: u64) -> Load {
    let requests = RATE * seconds;
    Load { port, connections: 16, requests, rate: Some(RATE), plan: numbered }
}

/// Longer than any test: a load that is told when to stop.
const OPEN_END: u64 = 3600;

/// How long loads run without the agent, in seconds.
const CONTROL: u64 = 3;

/// The load without the agent, on a server of its own.
fn control(connections: Connections) -> Report {
    let nginx = servers::nginx(1, None);
    let seen = load(nginx.port, CONTROL).start(connections).wait();
    assert_eq!((seen.answered(), seen.errors), (RATE * CONTROL, 0), "without the agent");
    seen
}

/// Lets the load run for a moment.
fn a_moment() {
    std::thread::sleep(Duration::from_millis(500));
}

/// No client may have seen an error; tells what clients saw beside what they see without the agent.
fn assert_unharmed(what: &str, control: &mut Report, seen: &mut Report) {
    let [p99, most] = seen.latencies([990, 1000]);
    let [p99_without, most_without] = control.latencies([990, 1000]);
    report(&format!(
        "{what}: {} requests, {} errors, p99 {p99} µs, at most {most} µs (without the agent \
         {p99_without} and {most_without} µs)",
        seen.answered(),
        seen.errors
    ));
    assert_eq!(seen.errors, 0, "clients saw it");
}

/// Tells what the agent says of itself; its ledger must balance.
fn assert_balanced(what: &str, outcome: &Outcome) {
    let (dropped, named) = outcome.ledger.drops();
    let verdict = if outcome.ledger.balanced { "balanced" } else { "NOT balanced" };
    let spans = outcome.spans.len();
    report(&format!("{what}: {spans} spans printed, {dropped} dropped {named}, {verdict}"));
    assert!(outcome.ledger.balanced, "{}", outcome.log);
}
