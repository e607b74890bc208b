//! Other selectors for an agent that runs.

use std::cell::RefCell;
use std::thread;

use crossbeam_channel::bounded;

use super::*;
use crate::discovery::Channels;
use crate::model::process::LoaderOrder;

/// What one reload told the others.
#[derive(Debug, Default, PartialEq)]
struct Told {
    changes: Vec<(u32, bool)>,
    /// Who, under which name now, and whether it was left.
    facts: Vec<(u32, Option<String>, bool)>,
    asks: Vec<(bool, String)>,
}

fn on_port(port: u32, name: Option<&str>) -> Selector {
    Selector {
        name: format!("port {port}"),
        criteria: vec![Criterion::OpenPorts(Numbers::new(vec![(port, port)]))],
        refinement: Refinement { name: name.map(str::to_owned), ..Refinement::default() },
    }
}

fn selectors(include: Vec<Selector>) -> Selectors {
    Selectors { include, exclude: Vec::new() }
}

/// The host, as it would be seen by looking around: who (all of them are this very process to
/// `/proc`), their parents, and their ports.
fn host(processes: &[(u32, u32, u16)]) -> Surroundings {
    let me = std::process::id();
    let task = |(tgid, parent, _): &(u32, u32, u16)| TaskFact {
        tgid: Tgid(*tgid),
        ns_tgid: me,
        parent: Tgid(*parent),
        started: KtimeNs(1),
    };
    let listener = |(tgid, _, port): &(u32, u32, u16)| ListenerFact {
        tgid: Tgid(*tgid),
        ns_tgid: me,
        port: *port,
    };
    let listeners = processes.iter().filter(|(.., port)| *port > 0).map(listener).collect();
    Surroundings { tasks: processes.iter().map(task).collect(), listeners: Some(listeners) }
}

fn started(processes: &[(u32, u32, u16)], include: Vec<Selector>) -> Discovery {
    let counters = Arc::new(Counters::default());
    let mut d = Discovery::new(selectors(include), HostFacts::default(), counters);
    let Surroundings { tasks, listeners } = host(processes);
    d.start(&tasks, &listeners.unwrap());
    d
}

fn selected(d: &Discovery) -> Vec<u32> {
    let mut all: Vec<u32> =
        d.processes.iter().filter(|(_, p)| p.is_selected()).map(|(tgid, _)| tgid.0).collect();
    all.sort_unstable();
    all
}

/// Reloads with what each look sees.
fn reload(d: &mut Discovery, include: Vec<Selector>, looks: [Surroundings; 2]) -> Told {
    let (loader, orders) = bounded(64);
    let (decoder, facts) = bounded(64);
    let (_, records) = bounded(0);
    let (_, requests) = bounded(0);
    let channels = Channels { records, requests, loader, decoder };
    let looks = RefCell::new(Vec::from(looks));
    let mut told = Told::default();
    thread::scope(|scope| {
        let kernel = scope.spawn(|| {
            let mut told = Told::default();
            for order in orders {
                match order {
                    LoaderOrder::Ask { exec, ports } => told.asks.push((exec, ports.to_string())),
                    LoaderOrder::Change(changes) => {
                        told.changes.extend(changes.iter().map(|(tgid, is)| (tgid.0, *is)));
                    }
                    LoaderOrder::Done(hangs_up) => drop(hangs_up),
                    LoaderOrder::Process(event) => panic!("{event:?}"),
                }
            }
            told
        });
        let look = || Ok(looks.borrow_mut().remove(0));
        d.reload(selectors(include), &channels, &look);
        drop(channels);
        told = kernel.join().unwrap();
    });
    told.facts =
        facts.try_iter().map(|f| (f.tgid.0, f.service.map(|s| s.name.clone()), f.left)).collect();
    told
}

fn named(tgid: u32, name: &str) -> (u32, Option<String>, bool) {
    (tgid, Some(name.to_owned()), false)
}

fn left(tgid: u32) -> (u32, Option<String>, bool) {
    (tgid, None, true)
}

#[test]
fn what_other_selectors_choose_attaches_and_what_they_do_not_detaches_with_those_below() {
    let now = [(10, 1, 80), (11, 10, 0), (20, 1, 81), (21, 20, 0), (30, 1, 82)];
    let both = |name| vec![on_port(80, Some(name)), on_port(82, Some("stays"))];
    let mut d = started(&now, both("a"));
    assert_eq!(selected(&d), [10, 11, 30]);
    let before = d.processes[&Tgid(30)].service.clone().unwrap();

    let new = vec![on_port(81, Some("b")), on_port(82, Some("stays"))];
    let told = reload(&mut d, new, [host(&now), host(&now)]);
    assert_eq!(told.asks, [(false, "81-82".to_owned())]);
    assert_eq!(told.changes, [(20, true), (21, true), (10, false), (11, false)]);
    assert_eq!(told.facts, [named(20, "b"), named(21, "b"), left(10), left(11)]);
    assert_eq!(selected(&d), [20, 21, 30]);
    let after = d.processes[&Tgid(30)].service.clone().unwrap();
    assert!(Arc::ptr_eq(&before, &after), "who is untouched keeps its very identity");
}

#[test]
fn another_name_is_told_and_nothing_else_changes() {
    let now = [(10, 1, 80), (11, 10, 0)];
    let mut d = started(&now, vec![on_port(80, Some("a"))]);
    let told = reload(&mut d, vec![on_port(80, Some("b"))], [host(&now), host(&now)]);
    assert_eq!(told.changes, []);
    assert_eq!(told.facts, [named(10, "b"), named(11, "b")]);
    let told = reload(&mut d, vec![on_port(80, Some("b"))], [host(&now), host(&now)]);
    assert_eq!((told.changes.len(), told.facts.len()), (0, 0), "nothing is another");
}

#[test]
fn what_forks_or_listens_while_the_first_decisions_are_entered_is_found_by_the_second_look() {
    let first = [(20, 1, 81)];
    let second = [(20, 1, 81), (21, 20, 0), (22, 1, 81)];
    let mut d = started(&first, vec![on_port(80, None)]);
    let told = reload(&mut d, vec![on_port(81, Some("b"))], [host(&first), host(&second)]);
    assert_eq!(told.changes, [(20, true), (21, true), (22, true)]);
    assert_eq!(selected(&d), [20, 21, 22]);
}

#[test]
fn a_process_whose_parent_is_gone_stays_as_long_as_the_selector_that_it_comes_from() {
    let now = [(10, 1, 80), (11, 10, 0), (12, 11, 0)];
    let mut d = started(&now, vec![on_port(80, Some("a"))]);
    d.on_record(ProcessRecord::Exit { at: KtimeNs(2), tgid: Tgid(10) });
    // Its child was handed to init; so was nobody else's.
    let later = [(11, 1, 0), (12, 11, 0), (20, 1, 81)];
    let more = vec![on_port(81, Some("b")), on_port(80, Some("c"))];
    let told = reload(&mut d, more, [host(&later), host(&later)]);
    assert_eq!(told.changes, [(20, true)]);
    assert_eq!(told.facts, [named(20, "b"), named(11, "c"), named(12, "c")]);
    assert_eq!(selected(&d), [11, 12, 20]);
    let told = reload(&mut d, vec![on_port(81, Some("b"))], [host(&later), host(&later)]);
    assert_eq!(told.changes, [(11, false), (12, false)]);
    assert_eq!(selected(&d), [20]);
    // It is remembered for as long as the process lives.
    let more = vec![on_port(80, Some("d")), on_port(81, Some("b"))];
    let told = reload(&mut d, more, [host(&later), host(&later)]);
    assert_eq!(told.changes, [(11, true), (12, true)]);
    assert_eq!(told.facts, [named(11, "d"), named(12, "d")]);
}

#[test]
fn a_process_that_cannot_be_listed_keeps_what_it_has() {
    let now = [(10, 1, 80)];
    let mut d = started(&now, vec![on_port(80, Some("a"))]);
    let told = reload(&mut d, vec![on_port(81, None)], [host(&[]), host(&[])]);
    assert_eq!(told, Told { asks: told.asks.clone(), ..Told::default() });
    assert_eq!(selected(&d), [10], "its own record will tell that it ended");
}
