//! One span for each line of nginx's access log, at a fixed rate and at saturation.

use std::fs;
use std::process::Command;

use crate::agent::{Agent, Outcome};
use crate::load::Load;
use crate::oracle::{compare, read_log};
use crate::servers::{self, Server};
use crate::turn::{Need, enter};
use crate::{eventually, report, setting};

/// Every request has a path of its own; of ten, four are plain, the rest differ in method, body
/// and status.
fn mixed(number: u64) -> (&'static str, String, usize) {
    let body = usize::try_from(number % 1000).unwrap() + 1;
    match number % 10 {
        0..=3 => ("GET", format!("/r/{number}"), 0),
        4 | 5 => ("POST", format!("/r/{number}"), body),
        6 => ("PUT", format!("/missing/{number}"), body),
        7 => ("GET", format!("/missing/{number}"), 0),
        8 => ("DELETE", format!("/error/{number}"), 0),
        _ => ("GET", format!("/empty/{number}"), 0),
    }
}

#[test]
fn at_a_fixed_rate_every_log_line_has_its_span_and_nothing_is_lost() {
    let name = "at_a_fixed_rate_every_log_line_has_its_span_and_nothing_is_lost";
    let Some(_turn) = enter(name, &[Need::Command("nginx")]) else { return };
    let [rate, seconds] = [setting("OBI_TEST_RATE", 10_000), setting("OBI_TEST_SECONDS", 30)];
    let nginx = servers::nginx(1, None);
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &nginx.port.to_string())]);
    let requests = rate * seconds;
    let load = Load { port: nginx.port, connections: 64, requests, rate: Some(rate), plan: mixed };
    let mut client = load.run();
    report(&format!("asked for {rate}/s: {}", client.line()));
    assert_eq!((client.answered(), client.errors), (requests, 0));

    let all = usize::try_from(requests).unwrap();
    let outcome = agent.stop_after(all, |_| true);
    let missing = hold_against_log(&outcome, nginx, all);
    assert_eq!(missing, 0, "lines are not fully told; dropped: {}", outcome.ledger.drops().1);
}

#[test]
fn at_saturation_every_missing_span_is_named_in_the_ledger() {
    let name = "at_saturation_every_missing_span_is_named_in_the_ledger";
    let needs = [Need::Command("nginx"), Need::Command("wrk")];
    let Some(_turn) = enter(name, &needs) else { return };
    let seconds = setting("OBI_TEST_SECONDS", 30).min(10);
    let nginx = servers::nginx(1, None);
    let script = nginx.file("paths.lua");
    let numbered = "local n = 0\nfunction request()\n  n = n + 1\n  \
                    return wrk.format(nil, '/r/' .. n)\nend\n";
    fs::write(&script, numbered).unwrap();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &nginx.port.to_string())]);
    let mut wrk = Command::new("wrk");
    let connections = format!("-c{CONNECTIONS}");
    wrk.args(["-t1", &connections, &format!("-d{seconds}s"), "-s"]).arg(script).arg(nginx.url("/"));
    servers::run(&mut wrk);

    // wrk leaves in the middle of its last requests; nginx still has to see that.
    eventually("nginx has closed every connection", || open_connections(nginx.port) == 0);
    let outcome = agent.stop();
    let missing = hold_against_log(&outcome, nginx, 1);
    let (dropped, named) = outcome.ledger.drops();
    // nginx logs an answer that it could not send any more, one for each connection at most.
    assert!(
        missing as u64 <= dropped + CONNECTIONS,
        "{missing} lines are not fully told, dropped are only: {named}"
    );
}

/// Connections of wrk.
const CONNECTIONS: u64 = 16;

/// Connections of the server at `port` that are not closed on its side, out of `/proc/net/tcp`:
/// local address, state (0A = LISTEN, 06 = TIME_WAIT).
fn open_connections(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    let open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let ours = fields.next().is_some_and(|address| address.ends_with(&local));
        ours && !matches!(fields.nth(1), Some("0A" | "06"))
    };
    table.lines().skip(1).filter(open).count()
}

/// Every span must be right and have a line; the number of lines that are not fully told: without
/// a span, or with one that says that no response was observed.
pub(crate) fn hold_against_log(outcome: &Outcome, mut nginx: Server, at_least: usize) -> usize {
    nginx.quit();
    let mut log = read_log(&nginx.file("access.log"));
    // A client that went away before its answer was sent saw no status, and neither did we.
    log.retain(|line| line.status != "499");
    assert!(log.len() >= at_least, "the log has only {} lines", log.len());
    let found = compare(&outcome.spans, &log);
    let (dropped, named) = outcome.ledger.drops();
    report(&format!(
        "{} log lines, {} spans, {} missing, {} without response, {dropped} dropped {named}; {}; \
         stopped in {:?}",
        log.len(),
        outcome.spans.len(),
        found.missing,
        found.unobserved,
        found.durations(),
        outcome.stopping
    ));
    assert_eq!((found.surplus, found.wrong), (0, 0), "{}", found.examples.join("\n"));
    found.missing + found.unobserved
}
