//! The agent comes and goes, stands still, and sees the same work again and again.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{OPEN_END, a_moment, assert_balanced, assert_unharmed, control, load, numbered, scale};
use crate::agent::{Agent, Span};
use crate::exact::hold_against_log;
use crate::held::{Held, children, descriptors, memory_kib};
use crate::load::{Connections, Load};
use crate::oracle::{compare, read_log};
use crate::servers::{self, Server};
use crate::turn::{Need, enter};
use crate::{eventually, report};

/// Descriptors of nginx's worker once no client is connected.
fn idle_descriptors(nginx: &Server) -> usize {
    let [worker] = children(nginx.pid())[..] else { panic!("nginx has one worker") };
    let mut last = descriptors(worker);
    eventually("nginx has closed its connections", || {
        std::thread::sleep(Duration::from_millis(200));
        let now = descriptors(worker);
        now == std::mem::replace(&mut last, now)
    });
    last
}

/// Starts an agent, lets it work for a moment, and ends it, every other time without its knowing:
/// its spans.
fn come_and_go(round: u64, port: &str) -> (Vec<Span>, [usize; 3]) {
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", port)]);
    let held = Held::by(agent.pid());
    assert_eq!(held.left(), held.counts(), "a running agent shows in the kernel");
    a_moment();
    eventually("the agent sees the load", || !agent.spans().is_empty());
    let spans = if round.is_multiple_of(2) {
        agent.stop().spans
    } else {
        agent.signal(Signal::SIGKILL);
        let spans = agent.spans();
        drop(agent);
        spans
    };
    held.assert_freed();
    (spans, held.counts())
}

#[test]
fn started_and_stopped_or_killed_under_load_it_is_noticed_by_nobody_and_leaves_nothing() {
    let name = "started_and_stopped_or_killed_under_load_it_is_noticed_by_nobody";
    let needs = [Need::Command("nginx"), Need::Command("bpftool")];
    let Some(_turn) = enter(name, &needs) else { return };
    let mut control = control(Connections::Kept);
    let mut nginx = servers::nginx(1, None);
    let idle = idle_descriptors(&nginx);
    let client = load(nginx.port, OPEN_END).start(Connections::Kept);
    let rounds = 5 * scale();
    let (mut spans, mut held) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (of_round, held_then) = come_and_go(round, &nginx.port.to_string());
        spans.extend(of_round);
        held.push(held_then);
    }
    let mut seen = client.stop();
    assert_unharmed(&format!("{rounds} rounds"), &mut control, &mut seen);
    assert_eq!(idle_descriptors(&nginx), idle, "descriptors of nginx");
    held.dedup();
    let [held] = held[..] else { panic!("agents differ in what they hold: {held:?}") };

    nginx.quit();
    let log = read_log(&nginx.file("access.log"));
    assert_eq!(log.len() as u64, seen.answered());
    let found = compare(&spans, &log);
    report(&format!(
        "{} spans of {} requests, {} without response; each agent held {held:?} maps, programs \
         and links, none is left; nginx's worker {idle} descriptors before and after",
        spans.len(),
        log.len(),
        found.unobserved
    ));
    assert_eq!((found.surplus, found.wrong), (0, 0), "{}", found.examples.join("\n"));
}

#[test]
fn frozen_under_load_it_lets_nobody_wait_and_names_what_it_lost() {
    let name = "frozen_under_load_it_lets_nobody_wait_and_names_what_it_lost";
    let Some(_turn) = enter(name, &[Need::Command("nginx")]) else { return };
    let mut control = control(Connections::Kept);
    let nginx = servers::nginx(1, None);
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &nginx.port.to_string())]);
    let client = load(nginx.port, OPEN_END).start(Connections::Kept);
    a_moment();
    let frozen = Duration::from_secs(3 * scale());
    agent.signal(Signal::SIGSTOP);
    std::thread::sleep(frozen);
    agent.signal(Signal::SIGCONT);
    a_moment();
    let mut seen = client.stop();
    assert_unharmed(&format!("frozen for {frozen:?}"), &mut control, &mut seen);
    let outcome = agent.stop();
    assert_balanced("afterwards", &outcome);
    let (dropped, named) = outcome.ledger.drops();
    let missing = hold_against_log(&outcome, nginx, usize::try_from(seen.answered()).unwrap());
    assert!(missing as u64 <= dropped, "{missing} lines are not fully told, dropped: {named}");
}

/// What memory an agent may use more after the same work: a page table, a queue's slack.
const GROWTH_KIB: u64 = 1024;

/// How much memory grew from round to round above `warm`, but for the largest step. Batches between
/// the stages keep what they have grown to, 2 MiB of records or 1.2 MiB of spans; how many there are,
/// and which of them a burst fills, is as the threads happen to run: one more may be filled late.
fn growth(warm: u64, rounds: &[(u64, usize)]) -> u64 {
    let mut most = warm;
    let step = |(now, _): &(u64, usize)| {
        let before = most;
        most = before.max(*now);
        most - before
    };
    let steps: Vec<_> = rounds.iter().map(step).collect();
    steps.iter().sum::<u64>() - steps.iter().max().unwrap()
}

/// Requests of one kind in a round of work.
const WORK: u64 = 2000;

/// Gives the agent a round of work, over connections that are kept, that are new, and all at once
/// after a pause; waits until it has told of all of it. Its memory and its descriptors then.
fn work(agent: &Agent, port: u16, told: &mut u64) -> (u64, usize) {
    let paced =
        Load { port, connections: 32, requests: WORK, rate: Some(2 * WORK), plan: numbered };
    let mut seen = paced.run();
    seen.add(paced.start(Connections::New).wait());
    // Whatever makes an agent wait, its buffers have seen as much at once.
    agent.signal(Signal::SIGSTOP);
    seen.add(paced.run());
    agent.signal(Signal::SIGCONT);
    assert_eq!((seen.answered(), seen.errors), (3 * WORK, 0));
    *told += seen.answered();
    eventually("every span is printed", || agent.printed() == *told);
    (memory_kib(agent.pid(), "RssAnon"), descriptors(agent.pid()))
}

#[test]
fn the_same_work_again_and_again_takes_no_more_memory_descriptors_or_objects() {
    let name = "the_same_work_again_and_again_takes_no_more_memory_descriptors_or_objects";
    let needs = [Need::Command("nginx"), Need::Command("bpftool")];
    let Some(_turn) = enter(name, &needs) else { return };
    let nginx = servers::nginx(1, None);
    let idle = idle_descriptors(&nginx);
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &nginx.port.to_string())]);
    let held = Held::by(agent.pid());
    let before = memory_kib(agent.pid(), "RssAnon");
    let mut told = 0;
    let rounds = 3 * usize::try_from(1 + scale()).unwrap();
    let rounds: Vec<_> = (0..rounds).map(|_| work(&agent, nginx.port, &mut told)).collect();
    // The first half fills tables, queues, batches and the allocator.
    let (warm_up, later) = rounds.split_at(rounds.len() / 2);
    let at_most = |rounds: &[(u64, usize)]| rounds.iter().map(|(memory, _)| *memory).max().unwrap();
    let (memory, most) = (at_most(warm_up), at_most(later));
    let open = rounds[0].1;
    report(&format!(
        "{told} requests: RssAnon {before} KiB before, {memory} KiB at most in {} rounds, {most} KiB \
         in {} rounds more; {open} descriptors; {:?} maps, programs and links",
        warm_up.len(),
        later.len(),
        held.counts()
    ));
    assert!(rounds.iter().all(|(_, now)| *now == open), "descriptors: {rounds:?}");
    assert_eq!(Held::by(agent.pid()).counts(), held.counts());
    assert!(growth(memory, later) <= GROWTH_KIB, "memory in KiB, descriptors: {rounds:?}");
    let outcome = agent.stop();
    assert_balanced("afterwards", &outcome);
    assert_eq!(outcome.spans.len() as u64, told);
    held.assert_freed();
    assert_eq!(idle_descriptors(&nginx), idle, "descriptors of nginx");
}
