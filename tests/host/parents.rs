//! A server that calls another: whose child is the call? The request's id stands in both paths.

use std::collections::HashMap;

use crate::agent::{Agent, EVERYTHING, Span};
use crate::load::Load;
use crate::servers::{self, Server};
use crate::turn::{Need, enter};
use crate::{report, setting};

fn call(number: u64) -> (&'static str, String, usize) {
    ("GET", format!("/call/{number}"), 0)
}

/// What became of the calls.
#[derive(Debug, Default, PartialEq)]
struct Parents {
    /// Child of the very request that caused it.
    right: usize,
    /// A root.
    orphan: usize,
    /// Child of anything else.
    wrong: usize,
}

/// Judges each client span `/backend/ID` by the server span `/call/ID` on `port`.
fn judge(spans: &[Span], port: u16) -> Parents {
    let port = port.to_string();
    let requests: HashMap<&str, &Span> = spans
        .iter()
        .filter(|s| s.is_server() && s.host_port == port)
        .filter_map(|s| Some((s.path().strip_prefix("/call/")?, s)))
        .collect();
    let mut parents = Parents::default();
    for span in spans.iter().filter(|s| s.is_client()) {
        let Some(id) = span.path().strip_prefix("/backend/") else { continue };
        let cause = requests.get(id);
        let right =
            cause.is_some_and(|c| c.span_id == span.parent_id && c.trace_id == span.trace_id);
        match (right, span.has_parent()) {
            (true, _) => parents.right += 1,
            (false, false) => parents.orphan += 1,
            (false, true) => parents.wrong += 1,
        }
    }
    parents
}

/// Asks the front `requests` times over `connections` at once, and judges.
fn ask(name: &str, front: &Server, connections: u64, threads: Threads) {
    let requests = 20 * connections + setting("OBI_TEST_SECONDS", 30);
    let agent = Agent::start(&[EVERYTHING]);
    let load = Load { port: front.port, connections, requests, rate: None, plan: call };
    let mut client = load.run();
    assert_eq!((client.answered(), client.errors), (requests, 0), "{name}");
    let all = usize::try_from(requests).unwrap();
    let of_front = |s: &Span| s.is_client() && s.path().starts_with("/backend/");
    let outcome = agent.stop_after(all, of_front);
    let parents = judge(&outcome.spans, front.port);
    report(&format!("{name}, {connections} in flight: {parents:?}; {}", client.line()));
    assert_eq!(parents.wrong, 0, "{name}: {parents:?}");
    assert_eq!(parents.right + parents.orphan, all, "{name}: a call is missing");
    match threads {
        // Alone, with nothing else in flight, there is no doubt.
        Threads::Tell if connections == 1 => assert_eq!(parents.orphan, 0, "{name}: {parents:?}"),
        Threads::Tell => {}
        Threads::TellNothing => assert_eq!(parents.right, 0, "{name}: {parents:?}"),
    }
}

/// What the threads of a runtime tell of its requests.
#[derive(Clone, Copy)]
enum Threads {
    /// A request stays on the thread that read it.
    Tell,
    /// Requests move between threads, so no call may have a parent.
    TellNothing,
}

fn front(name: &'static str, needs: &[Need], threads: Threads, start: fn(Option<&str>) -> Server) {
    let Some(_turn) = enter(name, needs) else { return };
    let backend = servers::nginx(1, None);
    let front = start(Some(&backend.url("/backend")));
    ask(name, &front, 1, threads);
    ask(name, &front, 64, threads);
}

#[test]
fn calls_of_threaded_python_have_no_wrong_parent() {
    let needs = [Need::Command("nginx"), Need::Python("python")];
    front(
        "calls_of_threaded_python_have_no_wrong_parent",
        &needs,
        Threads::Tell,
        servers::threaded,
    );
}

#[test]
fn calls_of_gunicorn_have_no_wrong_parent() {
    let needs = [Need::Command("nginx"), Need::Python("gunicorn")];
    front("calls_of_gunicorn_have_no_wrong_parent", &needs, Threads::Tell, servers::gunicorn);
}

#[test]
fn calls_of_nginx_as_a_proxy_have_no_wrong_parent() {
    let needs = [Need::Command("nginx")];
    front("calls_of_nginx_as_a_proxy_have_no_wrong_parent", &needs, Threads::Tell, |b| {
        servers::nginx(1, b)
    });
}

#[test]
fn calls_of_node_have_no_wrong_parent() {
    let needs = [Need::Command("nginx"), Need::Command("node")];
    front("calls_of_node_have_no_wrong_parent", &needs, Threads::Tell, servers::node);
}

#[test]
fn calls_of_go_have_no_wrong_parent() {
    let needs = [Need::Command("nginx"), Need::App("go")];
    front("calls_of_go_have_no_wrong_parent", &needs, Threads::TellNothing, servers::go);
}
