//! Many connections, open at once or one after the other.

use super::{assert_balanced, assert_unharmed, numbered, scale};
use crate::agent::Agent;
use crate::exact::hold_against_log;
use crate::held::{descriptors, memory_kib};
use crate::load::{Client, Connections, Load, Report, ask_each, crowd};
use crate::servers;
use crate::turn::{Need, enter};
use crate::{eventually, report};

/// Two requests over each of many connections that are all open: what the clients saw.
fn ask_twice(clients: &mut [Client]) -> Report {
    let mut seen = ask_each(clients, "/first-");
    seen.add(ask_each(clients, "/second-"));
    seen
}

#[test]
fn many_connections_at_once_are_all_served_and_all_seen() {
    let name = "many_connections_at_once_are_all_served_and_all_seen";
    let Some(_turn) = enter(name, &[Need::Command("nginx")]) else { return };
    let connections = usize::try_from(1000 * scale()).unwrap();
    let alone = servers::nginx(1, None);
    let mut control = ask_twice(&mut crowd(alone.port, connections));
    assert_eq!((control.answered(), control.errors), (2 * connections as u64, 0));
    drop(alone);

    let nginx = servers::nginx(1, None);
    // Half of them are older than the agent.
    let mut clients = crowd(nginx.port, connections / 2);
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &nginx.port.to_string())]);
    let memory = || memory_kib(agent.pid(), "RssAnon");
    let (before, open) = (memory(), descriptors(agent.pid()));
    clients.extend(crowd(nginx.port, connections - connections / 2));
    let mut seen = ask_twice(&mut clients);
    assert_unharmed(&format!("{connections} connections"), &mut control, &mut seen);
    eventually("every span is printed", || agent.printed() == seen.answered());
    let held = memory();
    drop(clients);
    report(&format!("RssAnon {before} KiB before, {held} KiB with all connections open"));
    assert_eq!(descriptors(agent.pid()), open, "descriptors of the agent");
    let outcome = agent.stop();
    assert_balanced("afterwards", &outcome);
    assert_eq!(hold_against_log(&outcome, nginx, 2 * connections), 0);
}

#[test]
fn connections_opened_and_closed_one_after_the_other_are_all_served_and_all_seen() {
    let name = "connections_opened_and_closed_one_after_the_other_are_all_served_and_all_seen";
    let Some(_turn) = enter(name, &[Need::Command("nginx")]) else { return };
    let churn = |port| {
        let requests = 10_000 * scale();
        let load = Load { port, connections: 16, requests, rate: Some(3000), plan: numbered };
        load.start(Connections::New).wait()
    };
    let alone = servers::nginx(1, None);
    let mut control = churn(alone.port);
    assert_eq!(control.errors, 0, "without the agent");
    drop(alone);

    let nginx = servers::nginx(1, None);
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &nginx.port.to_string())]);
    let (before, open) = (memory_kib(agent.pid(), "RssAnon"), descriptors(agent.pid()));
    let mut seen = churn(nginx.port);
    assert_unharmed("a connection a request", &mut control, &mut seen);
    eventually("every span is printed", || agent.printed() == seen.answered());
    report(&format!("RssAnon {before} KiB before, {} after", memory_kib(agent.pid(), "RssAnon")));
    assert_eq!(descriptors(agent.pid()), open, "descriptors of the agent");
    let outcome = agent.stop();
    assert_balanced("afterwards", &outcome);
    let all = usize::try_from(seen.answered()).unwrap();
    assert_eq!(hold_against_log(&outcome, nginx, all), 0);
}
