//! What a naive agent gets wrong, loses, or makes up.

use std::process::Command;
use std::time::Duration;

use crate::agent::{Agent, EVERYTHING, Span};
use crate::load::Client;
use crate::report;
use crate::servers::{self, Server, free_port};
use crate::sink::Sink;
use crate::turn::{Need, app, enter};

/// Sorted [`Span::line`]s of the spans that `wanted` picks.
pub(crate) fn lines(spans: &[Span], wanted: impl Fn(&Span) -> bool) -> Vec<String> {
    let mut lines: Vec<_> = spans.iter().filter(|s| wanted(s)).map(Span::line).collect();
    lines.sort();
    lines
}

pub(crate) fn sorted(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.into_iter().collect();
    lines.sort();
    lines
}

/// A request whose span shows that the agent works, where a test asserts that there are none.
fn ask_once(server: &Server) {
    assert_eq!(Client::connect(server.port).unwrap().ask("GET", "/at-work", b"").unwrap(), 200);
}

fn at_work(span: &Span) -> bool {
    span.is_server() && span.path() == "/at-work"
}

#[test]
fn a_receive_in_io_uring_never_takes_the_bytes_of_another_call() {
    let name = "a_receive_in_io_uring_never_takes_the_bytes_of_another_call";
    let Some(_turn) = enter(name, &[Need::App("uring"), Need::App("httpd")]) else { return };
    let port = free_port();
    let server = Server::start(port, Command::new(app("uring")).arg(port.to_string()));
    let plain = servers::httpd("threads");
    let ports = format!("{port},{}", plain.port);
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &ports)]);
    let mut client = Client::connect(server.port).unwrap();
    for i in 0..500 {
        // Time for the other work to be under way when the bytes come.
        std::thread::sleep(Duration::from_micros(i % 7 * 300));
        assert_eq!(client.ask("GET", &format!("/uring-{i}"), b"").unwrap(), 200);
    }
    drop(client);
    ask_once(&plain);
    let outcome = agent.stop_after(1, at_work);
    let asked = |s: &Span| s.is_server() && s.path().starts_with("/uring-");
    let foreign = lines(&outcome.spans, |s| !asked(s) && !at_work(s));
    assert_eq!(foreign, Vec::<String>::new(), "bytes that were never on the connection");
    assert!(outcome.spans.iter().any(at_work), "the agent sees nothing at all");
    report(&format!("{} of 500 requests have a span", outcome.spans.len() - 1));
}

#[test]
fn a_thousand_short_lived_clients_give_a_thousand_spans() {
    let name = "a_thousand_short_lived_clients_give_a_thousand_spans";
    let needs = [Need::Command("nginx"), Need::Command("curl")];
    let Some(_turn) = enter(name, &needs) else { return };
    let nginx = servers::nginx(1, None);
    let agent = Agent::start(&[("OTEL_EBPF_AUTO_TARGET_EXE", "*/curl")]);
    let one_by_one = "for i in $(seq 0 999); do curl --silent --fail --noproxy '*' \
                      --output /dev/null \"$0/short-$i\" || exit 1; done";
    servers::run(Command::new("sh").arg("-c").arg(one_by_one).arg(nginx.url("")));
    let outcome = agent.stop_after(1000, |_| true);
    let wanted = sorted((0..1000).map(|i| format!("client GET /short-{i} 200")));
    assert_eq!(lines(&outcome.spans, |_| true), wanted);
}

#[test]
fn the_first_request_in_the_millisecond_of_listen_is_seen() {
    let name = "the_first_request_in_the_millisecond_of_listen_is_seen";
    let Some(_turn) = enter(name, &[Need::App("instant")]) else { return };
    // Below the ephemeral range, so that nobody holds one of them by chance.
    let first = 21_000;
    let ports = format!("{first}-{}", first + 99);
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &ports)]);
    servers::run(Command::new(app("instant")).arg(first.to_string()).arg("100"));
    let outcome = agent.stop_after(100, Span::is_server);
    let wanted = sorted((0..100).map(|i| format!("server GET /instant-{i} 200")));
    assert_eq!(lines(&outcome.spans, Span::is_server), wanted);
}

#[test]
fn threads_blocked_in_recv_since_before_the_agent_are_seen() {
    let name = "threads_blocked_in_recv_since_before_the_agent_are_seen";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let server = servers::httpd("threads");
    let mut clients: Vec<_> = (0..200).map(|_| Client::connect(server.port).unwrap()).collect();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &server.port.to_string())]);
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.ask("GET", &format!("/blocked-{i}"), b"").unwrap(), 200);
    }
    let outcome = agent.stop_after(200, Span::is_server);
    let wanted = sorted((0..200).map(|i| format!("server GET /blocked-{i} 200")));
    assert_eq!(lines(&outcome.spans, |_| true), wanted);
}

#[test]
fn an_idle_host_has_no_spans_although_the_agent_exports() {
    let name = "an_idle_host_has_no_spans_although_the_agent_exports";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let sink = Sink::start();
    let variables = [
        EVERYTHING,
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", sink.url.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ];
    let agent = Agent::start(&variables);
    // Longer than any batch waits: whatever its own exports cause would be exported in turn.
    std::thread::sleep(Duration::from_secs(5));
    let (early, sent) = (agent.spans().len(), sink.received());
    let plain = servers::httpd("threads");
    ask_once(&plain);
    let outcome = agent.stop_after(1, at_work);
    assert!(outcome.spans.iter().any(at_work), "the agent sees nothing at all");
    // The host may have traffic of its own, but none to the sink.
    let port = sink.url.rsplit(':').next().unwrap();
    let own: Vec<_> = outcome.spans.iter().filter(|s| s.host_port == port).collect();
    assert!(own.is_empty(), "{own:?}");
    assert!(early > 0 || sent == 0, "{sent} bytes were exported without a span");
    assert!(sink.received() > sent, "the one request was not exported");
}
