//! Every way to move bytes and every shape of a server, with its exact spans.

use std::process::Command;

use crate::agent::{Agent, EVERYTHING, Span};
use crate::conversation::{but_for_missed_runs, front_ends, runs_were_missed};
use crate::load::Client;
use crate::servers::{self, Server, free_port};
use crate::turn::{Need, app, enter, scratch};

/// The ways of `tests/apps/c/syscalls.c`.
const WAYS: [&str; 12] = [
    "send-recv",
    "write-read",
    "sendto-recvfrom",
    "writev-readv",
    "sendmsg-recvmsg",
    "sendmmsg-recvmmsg",
    "recvmmsg-early",
    "sendfile",
    "splice-out",
    "splice-in",
    "peek",
    "trunc",
];

/// Bytes of each of their bodies.
const BODY: &str = "1000";

fn lines(spans: &[Span], prefix: &str) -> Vec<String> {
    let ours = |s: &&Span| s.path().starts_with(prefix);
    let mut lines: Vec<_> = spans.iter().filter(ours).map(Span::line).collect();
    lines.sort();
    lines
}

#[test]
fn every_system_call_that_moves_bytes_gives_both_spans_and_exact_sizes() {
    let name = "every_system_call_that_moves_bytes_gives_both_spans_and_exact_sizes";
    let Some(_turn) = enter(name, &[Need::App("syscalls")]) else { return };
    for (asked, chosen) in front_ends() {
        let port = free_port().to_string();
        let of_port = |span: &Span| span.host_port == port;
        but_for_missed_runs(|excuse| every_way((&asked, &chosen, excuse), &port, &WAYS, of_port));
    }
}

#[test]
fn every_system_call_that_moves_bytes_over_a_unix_socket_gives_both_spans() {
    let name = "every_system_call_that_moves_bytes_over_a_unix_socket_gives_both_spans";
    let Some(_turn) = enter(name, &[Need::App("syscalls")]) else { return };
    let dir = scratch();
    let path = dir.path().join("socket");
    for (asked, chosen) in front_ends() {
        // Only TCP knows MSG_TRUNC, and no tracepoint tells of a splice out of a unix socket.
        let seen = |way: &&str| *way != "trunc" && (chosen == "fentry" || *way != "splice-in");
        let unix: Vec<_> = WAYS.into_iter().filter(seen).collect();
        let path = path.to_str().unwrap();
        but_for_missed_runs(|excuse| every_way((&asked, &chosen, excuse), path, &unix, |_| true));
    }
}

/// Moves bytes by all `ways`; see [`but_for_missed_runs`].
fn every_way(
    (asked, chosen, excuse): (&str, &str, bool),
    at: &str,
    ways: &[&str],
    of: impl Fn(&Span) -> bool,
) -> bool {
    let agent = Agent::start(&[EVERYTHING, ("OTEL_EBPF_BPF_FRONT_END", asked)]);
    assert_eq!(agent.front_end(), chosen, "{}", agent.log());
    servers::run(Command::new(app("syscalls")).arg(at));
    let way = |s: &Span| s.path().trim_start_matches('/').trim_end_matches("/again").to_owned();
    let ours = |s: &Span| ways.contains(&way(s).as_str()) && of(s);
    let outcome = agent.stop_after(4 * ways.len(), ours);
    let spans: Vec<_> = outcome.spans.iter().filter(|s| ours(s)).cloned().collect();
    let mut wanted = Vec::new();
    for way in ways {
        for turn in ["", "/again"] {
            wanted.extend(["client", "server"].map(|role| format!("{role} POST /{way}{turn} 200")));
        }
    }
    wanted.sort();
    let found = lines(&spans, "/");
    if found != wanted && excuse && runs_were_missed(&outcome, asked, chosen) {
        return false;
    }
    assert_eq!(found, wanted, "{chosen}");
    for span in spans.iter().filter(|s| s.is_server()) {
        let sizes = [span.attribute("contentLen"), span.attribute("responseLen")];
        assert_eq!(sizes, [BODY, BODY], "{chosen} {}", span.line());
    }
    true
}

#[test]
fn every_shape_of_a_server_gives_one_span_a_request() {
    let name = "every_shape_of_a_server_gives_one_span_a_request";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    for shape in ["threads", "prefork", "mptcp", "pool"] {
        let server = servers::httpd(shape);
        let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &server.port.to_string())]);
        let mut wanted = Vec::new();
        for connection in 0..4 {
            let mut client = Client::connect(server.port).unwrap();
            for i in 0..5 {
                let path = format!("/{shape}-{connection}-{i}");
                assert_eq!(client.ask("GET", &path, b"").unwrap(), 200);
                wanted.push(format!("server GET {path} 200"));
            }
        }
        let outcome = agent.stop_after(wanted.len(), |_| true);
        wanted.sort();
        assert_eq!(lines(&outcome.spans, ""), wanted, "{shape}");
    }
}

#[test]
fn a_worker_that_is_older_than_its_master_s_port_is_selected_with_it() {
    let name = "a_worker_that_is_older_than_its_master_s_port_is_selected_with_it";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let port = free_port();
    for selectors in [&["OTEL_EBPF_OPEN_PORT"][..], &["OTEL_EBPF_OPEN_PORT", EVERYTHING.0]] {
        let (text, exe) = (port.to_string(), app("httpd"));
        let all = [text.as_str(), exe.to_str().unwrap()];
        let variables: Vec<_> = selectors.iter().copied().zip(all).collect();
        let agent = Agent::start(&variables);
        let server = Server::start(port, Command::new(app("httpd")).arg(&text).arg("handoff"));
        // The first request may come before the worker is found.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let mut wanted = Vec::new();
        for i in 0..5 {
            let path = format!("/handoff-{i}");
            assert_eq!(Client::connect(server.port).unwrap().ask("GET", &path, b"").unwrap(), 200);
            wanted.push(format!("server GET {path} 200"));
        }
        let outcome = agent.stop_after(wanted.len(), |_| true);
        assert_eq!(lines(&outcome.spans, ""), wanted, "{selectors:?}");
    }
}

#[test]
fn unix_sockets_are_connections_like_any_other() {
    let name = "unix_sockets_are_connections_like_any_other";
    let Some(_turn) = enter(name, &[Need::App("unix")]) else { return };
    let dir = scratch();
    let path = dir.path().join("socket");
    let agent = Agent::start(&[EVERYTHING]);
    let mut server = Command::new(app("unix")).arg("server").arg(&path).spawn().unwrap();
    crate::eventually("the unix server listens", || path.exists());
    servers::run(Command::new(app("unix")).arg("client").arg(&path).args(["unix", "5"]));
    let ours = |s: &Span| s.path().starts_with("/unix-");
    let outcome = agent.stop_after(10, ours);
    server.kill().unwrap();
    server.wait().unwrap();
    let mut wanted: Vec<_> = (0..5)
        .flat_map(|i| ["client", "server"].map(|role| format!("{role} GET /unix-{i} 200")))
        .collect();
    wanted.sort();
    assert_eq!(lines(&outcome.spans, "/unix-"), wanted);
}

#[test]
fn the_calls_of_a_32_bit_process_are_never_misread() {
    let name = "the_calls_of_a_32_bit_process_are_never_misread";
    let Some(_turn) = enter(name, &[Need::App("bits32")]) else { return };
    // A kernel without 32-bit support cannot run it at all.
    if Command::new(app("bits32")).status().is_err() {
        crate::report("this kernel runs no 32-bit programs");
        return;
    }
    let server = servers::httpd("threads");
    let agent = Agent::start(&[EVERYTHING]);
    let mut client = Command::new(app("bits32"));
    servers::run(client.arg(server.port.to_string()).args(["bits32", "10"]));
    let at = |s: &Span| s.host_port == server.port.to_string();
    let outcome = agent.stop_after(10, |s| at(s) && s.is_server());
    let spans: Vec<_> = outcome.spans.into_iter().filter(at).collect();
    let mut wanted: Vec<_> = (0..10).map(|i| format!("server GET /bits32-{i} 200")).collect();
    wanted.sort();
    let (server_side, client_side): (Vec<_>, Vec<_>) = spans.into_iter().partition(Span::is_server);
    assert_eq!(lines(&server_side, ""), wanted);
    // The client's side is whole or absent, and says nothing else.
    for line in lines(&client_side, "") {
        assert!(wanted.contains(&line.replace("client", "server")), "{line}");
    }
}

#[test]
fn a_port_above_the_ephemeral_ones_is_served_like_any_other() {
    let name = "a_port_above_the_ephemeral_ones_is_served_like_any_other";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let port = 61_234;
    let mut command = Command::new(app("httpd"));
    let server = Server::start(port, command.arg(port.to_string()).arg("threads"));
    let agent = Agent::start(&[EVERYTHING]);
    assert_eq!(Client::connect(server.port).unwrap().ask("GET", "/high-0", b"").unwrap(), 200);
    let outcome = agent.stop_after(2, |s| s.path() == "/high-0");
    assert_eq!(
        lines(&outcome.spans, "/high-"),
        ["client GET /high-0 200", "server GET /high-0 200"]
    );
}
