//! Connections that begin, end, or become of interest at an awkward moment, and those that are of
//! no interest.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use crate::agent::{Agent, EVERYTHING, Outcome, Span};
use crate::hard::{lines, sorted};
use crate::load::Client;
use crate::servers::{self, Server, free_port};
use crate::turn::{Need, enter, python, scratch, source};
use crate::{eventually, report};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A listener of this process and its port.
pub(crate) fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    (listener, port)
}

/// Both ends of a new connection: client, server.
pub(crate) fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    for end in [&client, &server] {
        end.set_nodelay(true).unwrap();
        end.set_read_timeout(Some(crate::patience())).unwrap();
    }
    (client, server)
}

/// Moves `message` from one end to the other.
pub(crate) fn carry<S>(mut from: &S, mut to: &S, message: &[u8])
where
    for<'a> &'a S: Read + Write,
{
    from.write_all(message).unwrap();
    let mut buffer = vec![0; message.len()];
    to.read_exact(&mut buffer).unwrap();
    assert_eq!(buffer, message);
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").into_bytes()
}

/// One exchange by one thread.
fn exchange<S>(client: &S, server: &S, path: &str)
where
    for<'a> &'a S: Read + Write,
{
    carry(client, server, &get(path));
    carry(server, client, ANSWER);
}

/// `role GET PATH STATUS` of both sides.
pub(crate) fn both(path: &str, status: u16) -> [String; 2] {
    ["client", "server"].map(|role| format!("{role} GET {path} {status}"))
}

#[test]
fn a_thread_that_calls_itself_has_both_sides_and_is_not_its_own_parent() {
    let name = "a_thread_that_calls_itself_has_both_sides_and_is_not_its_own_parent";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let (client, server) = pair(&listener);
    for i in 0..10 {
        exchange(&client, &server, &format!("/self-{i}"));
    }
    let outcome = agent.stop_after(20, |_| true);
    let wanted = sorted((0..10).flat_map(|i| both(&format!("/self-{i}"), 200)));
    assert_eq!(lines(&outcome.spans, |_| true), wanted);
    let with_parent: Vec<_> = outcome.spans.iter().filter(|s| s.has_parent()).collect();
    assert!(with_parent.is_empty(), "{with_parent:?}");
}

/// Pipelined requests that one call moves, `count` of them with heads of about `head` bytes.
fn pipelined(kind: &str, count: usize, head: usize) -> (Vec<u8>, Vec<String>) {
    let (mut requests, mut lines) = (Vec::new(), Vec::new());
    for i in 0..count {
        let path = format!("/{kind}-{i}");
        let (method, body) = if kind == "post" { ("POST", "a=b\r\n\r\n") } else { ("GET", "") };
        let padding = "p".repeat(head);
        let length = body.len();
        let fields = format!("Host: test\r\nContent-Length: {length}\r\nX-Padding: {padding}");
        let fields =
            if body.is_empty() { fields.replace("Content-Length: 0\r\n", "") } else { fields };
        requests.extend(format!("{method} {path} HTTP/1.1\r\n{fields}\r\n\r\n{body}").bytes());
        lines.extend(["client", "server"].map(|role| format!("{role} {method} {path} 200")));
    }
    (requests, lines)
}

#[test]
fn pipelined_requests_of_one_call_have_a_span_each() {
    let name = "pipelined_requests_of_one_call_have_a_span_each";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let mut wanted = Vec::new();
    for (kind, count, head) in [("short", 100, 20), ("long", 20, 650), ("post", 30, 40)] {
        let (client, server) = pair(&listener);
        let (requests, lines) = pipelined(kind, count, head);
        carry(&client, &server, &requests);
        carry(&server, &client, &ANSWER.repeat(count));
        wanted.extend(lines);
    }
    let outcome = agent.stop_after(wanted.len(), |_| true);
    assert_eq!(lines(&outcome.spans, |_| true), sorted(wanted));
}

#[test]
fn a_connection_that_was_used_before_the_agent_is_adopted() {
    let name = "a_connection_that_was_used_before_the_agent_is_adopted";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let (client, server) = pair(&listener);
    exchange(&client, &server, "/before");
    // Of this request the agent sees only the end, which is no request.
    let (cut_client, cut_server) = pair(&listener);
    carry(&cut_client, &cut_server, b"GET /cut HTTP/1.1\r\nHost: ");
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    exchange(&client, &server, "/after-0");
    exchange(&client, &server, "/after-1");
    carry(&cut_client, &cut_server, b"test\r\n\r\n");
    carry(&cut_server, &cut_client, ANSWER);
    exchange(&cut_client, &cut_server, "/after-2");
    exchange(&cut_client, &cut_server, "/after-3");
    let outcome = agent.stop_after(8, |s| s.path().starts_with("/after-"));
    let wanted = sorted((0..4).flat_map(|i| both(&format!("/after-{i}"), 200)));
    assert_eq!(lines(&outcome.spans, |_| true), wanted);
}

#[test]
fn an_answer_under_way_when_the_agent_comes_answers_no_later_request() {
    let name = "an_answer_under_way_when_the_agent_comes_answers_no_later_request";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let (client, server) = pair(&listener);
    carry(&client, &server, &get("/before"));
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    carry(&server, &client, b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n");
    let mut wanted = Vec::new();
    for path in ["/after-0", "/after-1"] {
        exchange(&client, &server, path);
        wanted.extend(both(path, 200));
    }
    let outcome = agent.stop_after(wanted.len(), |_| true);
    assert_eq!(lines(&outcome.spans, |_| true), sorted(wanted));
}

#[test]
fn interim_and_final_head_in_one_call_are_one_answer() {
    let name = "interim_and_final_head_in_one_call_are_one_answer";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let (client, server) = pair(&listener);
    let padding = "p".repeat(1200);
    let mut wanted = Vec::new();
    for (path, first) in [("/early", "103 Early Hints"), ("/interim", "100 Continue")] {
        carry(&client, &server, &get(path));
        let last = format!("HTTP/1.1 201 Made\r\nX: {padding}\r\nContent-Length: 2\r\n\r\nok");
        carry(&server, &client, format!("HTTP/1.1 {first}\r\n\r\n{last}").as_bytes());
        wanted.extend(both(path, 201));
    }
    let outcome = agent.stop_after(wanted.len(), |_| true);
    assert_eq!(lines(&outcome.spans, |_| true), sorted(wanted));
    let servers = outcome.spans.iter().filter(|s| s.is_server());
    let sizes: Vec<_> = servers.map(|s| s.attribute("responseLen")).collect();
    assert_eq!(sizes, ["2"; 2]);
}

#[test]
fn a_unix_connection_that_was_used_before_the_agent_is_adopted() {
    let name = "a_unix_connection_that_was_used_before_the_agent_is_adopted";
    let Some(_turn) = enter(name, &[]) else { return };
    // Listening makes this process a selected one.
    let (_listener, port) = listener();
    let (client, server) = UnixStream::pair().unwrap();
    exchange(&client, &server, "/before");
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    for i in 0..10 {
        exchange(&client, &server, &format!("/unix-{i}"));
    }
    let outcome = agent.stop_after(20, |_| true);
    let wanted = sorted((0..10).flat_map(|i| both(&format!("/unix-{i}"), 200)));
    assert_eq!(lines(&outcome.spans, |_| true), wanted);
}

#[test]
fn what_a_process_of_no_interest_reads_from_a_shared_unix_connection_is_missing_and_shifts_nothing()
{
    let name = "what_a_process_of_no_interest_reads_from_a_shared_unix_connection";
    let Some(_turn) = enter(name, &[]) else { return };
    let exe = std::env::current_exe().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("obi.yml");
    // A child is observed as its parent is, unless it is excluded.
    let excluded = "discovery: {exclude_instrument: [{exe_path: '*/{sh,dash,bash}'}]}";
    std::fs::write(&file, excluded).unwrap();
    let agent = Agent::start(&[
        ("OTEL_EBPF_AUTO_TARGET_EXE", exe.to_str().unwrap()),
        ("OTEL_EBPF_CONFIG_PATH", file.to_str().unwrap()),
    ]);
    let (client, mut server) = UnixStream::pair().unwrap();
    let mut wanted = Vec::new();
    for i in 0..20 {
        let (path, status) = (format!("/shared-{i}"), 200 + i);
        let answer = format!("HTTP/1.1 {status} OK\r\nContent-Length: 0\r\n\r\n").into_bytes();
        carry(&client, &server, &get(&path));
        let elsewhere = i % 5 == 2;
        if elsewhere {
            server.write_all(&answer).unwrap();
            // It is judged by then: what it does before that is recorded.
            let mut shell = Command::new("sh");
            shell.args(["-c", "sleep 0.3; read -r a; read -r b; read -r c; echo \"$a\""]);
            let read = shell.stdin(OwnedFd::from(client.try_clone().unwrap())).output().unwrap();
            assert!(answer.starts_with(read.stdout.trim_ascii_end()), "{read:?}");
        } else {
            carry(&server, &client, &answer);
        }
        let seen = if elsewhere { 0 } else { status };
        wanted.extend([format!("client GET {path} {seen}"), format!("server GET {path} {status}")]);
    }
    let outcome = agent.stop_after(wanted.len(), |_| true);
    assert_eq!(lines(&outcome.spans, |_| true), sorted(wanted));
}

#[test]
fn connections_of_a_process_that_listens_late_are_seen_from_then_on() {
    let name = "connections_of_a_process_that_listens_late_are_seen_from_then_on";
    let Some(_turn) = enter(name, &[Need::App("httpd"), Need::Python("python")]) else { return };
    let backend = servers::httpd("threads");
    let port = free_port();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port.to_string())]);
    let mut command = Command::new(python("python"));
    command.arg(source("python/late.py")).arg(port.to_string()).arg(backend.port.to_string());
    let front = Server::start(port, &mut command);
    let mut client = Client::connect(front.port).unwrap();
    for i in 0..5 {
        assert_eq!(client.ask("GET", &format!("/late-{i}"), b"").unwrap(), 204);
    }
    let outcome = agent.stop_after(10, |_| true);
    let wanted = sorted((0..5).flat_map(|i| {
        [format!("client GET /backend/late-{i} 200"), format!("server GET /late-{i} 204")]
    }));
    assert_eq!(lines(&outcome.spans, |_| true), wanted);
}

/// Processes that become another program with a connection open.
const EXECS: usize = 100;

#[test]
fn a_connection_that_is_open_across_an_exec_is_seen_once_the_executable_is_selected() {
    let name = "a_connection_that_is_open_across_an_exec_is_seen_once_the_executable_is_selected";
    let Some(_turn) = enter(name, &[Need::App("httpd"), Need::Command("bash")]) else { return };
    let server = servers::httpd("threads");
    let dir = scratch();
    let chosen = dir.path().join("chosen");
    std::fs::copy("/bin/bash", &chosen).unwrap();
    let glob = chosen.display().to_string();
    let agent = Agent::start(&[("OTEL_EBPF_AUTO_TARGET_EXE", &glob)]);
    // The answer ends with its one line of body.
    let ask = "ask() { printf 'GET /%s HTTP/1.1\\r\\nHost: test\\r\\n\\r\\n' $1 >&3; \
               while read -r line <&3; do [ \"$line\" != ok ] || return 0; done; exit 1; }";
    let before = format!("exec 3<>/dev/tcp/127.0.0.1/$0; {ask}; ask before; exec \"$1\" -c \"$2\"");
    let after = format!("{ask}; for i in 0 1 2; do ask after-$i; done");
    // The refusal of the first program must not hit the second, whenever it comes.
    for _ in 0..EXECS {
        servers::run(
            Command::new("bash")
                .arg("-c")
                .arg(&before)
                .arg(server.port.to_string())
                .arg(&chosen)
                .arg(&after),
        );
    }
    let outcome = agent.stop_after(3 * EXECS, |_| true);
    let wanted = (0..3 * EXECS).map(|i| format!("client GET /after-{} 200", i % 3));
    assert_eq!(lines(&outcome.spans, |_| true), sorted(wanted));
}

/// Bytes of the body that goes each way.
const GIB: usize = 1 << 30;

fn pour(mut to: &TcpStream, head: &str) {
    let piece = vec![b'x'; 1 << 18];
    to.write_all(head.as_bytes()).unwrap();
    for _ in 0..GIB / piece.len() {
        to.write_all(&piece).unwrap();
    }
}

fn drain(mut from: &TcpStream, head: &str) {
    let mut piece = vec![0; 1 << 18];
    let mut left = GIB + head.len();
    while left > 0 {
        let most = piece.len().min(left);
        left -= from.read(&mut piece[..most]).unwrap();
    }
}

#[test]
fn a_gibibyte_each_way_is_counted_exactly_and_costs_few_records_and_little_memory() {
    let name = "a_gibibyte_each_way_is_counted_exactly_and_costs_few_records_and_little_memory";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let small = agent.peak_memory_kib();
    let (client, server) = pair(&listener);
    let heads = ["POST /gib HTTP/1.1\r\nHost: test\r\n", "HTTP/1.1 200 OK\r\n"]
        .map(|start| format!("{start}Content-Length: {GIB}\r\n\r\n"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drain(&server, &heads[0]);
            pour(&server, &heads[1]);
        });
        pour(&client, &heads[0]);
        drain(&client, &heads[1]);
    });
    exchange(&client, &server, "/behind");
    eventually("four spans are printed", || agent.spans().len() >= 4);
    let grown = agent.peak_memory_kib() - small;
    let outcome = agent.stop();
    let wanted = sorted(
        ["client", "server"]
            .map(|role| format!("{role} POST /gib 200"))
            .into_iter()
            .chain(both("/behind", 200)),
    );
    assert_eq!(lines(&outcome.spans, |_| true), wanted);
    let big = outcome.spans.iter().find(|s| s.is_server() && s.path() == "/gib").unwrap();
    let sizes = [big.attribute("contentLen"), big.attribute("responseLen")];
    assert_eq!(sizes, ["1073741824"; 2]);
    let calls = outcome.ledger.stage("kernel.calls");
    let skipped = calls.dropped("verdict_until");
    report(&format!("{} calls, {} records, {grown} KiB more", calls.in_, calls.out));
    assert!(skipped > calls.in_ / 2, "of {} calls only {skipped} were skipped", calls.in_);
    assert!(grown < 64 << 10, "{grown} KiB more");
}

/// Exchanges of a conversation that is none of the agent's business.
const CHATTER: usize = 10_000;

/// Sends messages there and back, in turns. After a while the agent has time to see what it is.
fn chatter(client: &TcpStream, server: &TcpStream, there: &[u8], back: &[u8]) {
    for i in 0..CHATTER {
        carry(client, server, there);
        carry(server, client, back);
        if i == 100 {
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

/// All but the calls of the beginning must have been dismissed at the hook, each counted.
fn assert_dismissed(outcome: &Outcome) {
    let calls = outcome.ledger.stage("kernel.calls");
    let (all, skipped) = (calls.in_, calls.dropped("verdict_nothing"));
    report(&format!("{all} calls, {skipped} of them dismissed"));
    assert!(all >= 4 * CHATTER as u64, "{all} calls");
    assert!(all - skipped < 1000, "{skipped} of {all} calls");
}

#[test]
fn other_protocols_give_no_span_and_soon_cost_nothing() {
    let name = "other_protocols_give_no_span_and_soon_cost_nothing";
    let Some(_turn) = enter(name, &[]) else { return };
    let text: [&[u8]; 2] = [b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", b"$5\r\nhello\r\n"];
    let binary: [&[u8]; 2] = [&[0, 0, 0, 9, 255, 1, 128, 7, 0], &[0, 0, 0, 9, 255, 1, 128, 7, 0]];
    for [there, back] in [text, binary] {
        let (listener, port) = listener();
        let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
        let (client, server) = pair(&listener);
        chatter(&client, &server, there, back);
        let (client, server) = pair(&listener);
        exchange(&client, &server, "/at-work");
        let outcome = agent.stop_after(2, |_| true);
        assert_eq!(lines(&outcome.spans, |_| true), both("/at-work", 200));
        assert_dismissed(&outcome);
    }
}

/// A program that accepts, reads a request and never answers.
const SILENT: &str = "import socket, sys\n\
                      listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
                      kept = []\n\
                      while True:\n    kept.append(listener.accept()[0])\n    kept[-1].recv(4096)\n    \
                      print('READ', flush=True)\n";

fn curl(url: &str) -> Child {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--noproxy", "*", url]);
    curl.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_request_whose_client_or_server_is_killed_or_resets_is_told_without_a_response() {
    let name = "a_request_whose_client_or_server_is_killed_or_resets_is_told_without_a_response";
    let Some(_turn) = enter(name, &[Need::Command("curl"), Need::Python("python")]) else { return };
    let port = free_port();
    let mut command = Command::new(python("python"));
    command.arg("-c").arg(SILENT).arg(port.to_string());
    let server = Server::start(port, &mut command);
    // The server reads the end of the connection that showed that it listens.
    let read =
        |count| eventually("it has read", || server.output().matches("READ").count() > count);
    read(0);
    let agent = Agent::start(&[EVERYTHING]);

    let mut killed = curl(&server.url("/client-killed"));
    read(1);
    killed.kill().unwrap();
    killed.wait().unwrap();

    let mut reset = TcpStream::connect(("127.0.0.1", port)).unwrap();
    reset.write_all(&get("/reset")).unwrap();
    read(2);
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&reset, sockopt::Linger, &linger).unwrap();
    drop(reset);

    let mut waiting = curl(&server.url("/server-killed"));
    read(3);
    drop(server);
    assert!(!waiting.wait().unwrap().success());

    let ours = |s: &Span| s.host_port == port.to_string();
    let outcome = agent.stop_after(6, ours);
    let paths = ["/client-killed", "/reset", "/server-killed"];
    assert_eq!(lines(&outcome.spans, ours), sorted(paths.iter().flat_map(|path| both(path, 0))));
}

#[test]
fn a_traceparent_in_any_case_is_honoured() {
    let name = "a_traceparent_in_any_case_is_honoured";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let (client, server) = pair(&listener);
    let spellings = ["traceparent", "Traceparent", "TRACEPARENT", "tRaCePaReNt"];
    for (i, spelling) in spellings.iter().enumerate() {
        let request = format!(
            "GET /traced-{i} HTTP/1.1\r\nHost: test\r\n{spelling}: \
             00-4bf92f3577b34da6a3ce929d0e0e473{i}-00f067aa0ba902b{i}-01\r\n\r\n"
        );
        carry(&client, &server, request.as_bytes());
        carry(&server, &client, ANSWER);
    }
    let outcome = agent.stop_after(2 * spellings.len(), |_| true);
    let servers: Vec<_> = outcome.spans.iter().filter(|s| s.is_server()).collect();
    assert_eq!(servers.len(), spellings.len());
    for span in servers {
        let i = span.path().trim_start_matches("/traced-");
        assert_eq!(span.trace_id, format!("4bf92f3577b34da6a3ce929d0e0e473{i}"));
        assert_eq!(span.parent_id, format!("00f067aa0ba902b{i}"));
    }
}

#[test]
fn a_tunnel_is_silent_and_soon_costs_nothing() {
    let name = "a_tunnel_is_silent_and_soon_costs_nothing";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let (client, server) = pair(&listener);
    carry(
        &client,
        &server,
        b"GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    carry(
        &server,
        &client,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    chatter(&client, &server, &get("/inside"), ANSWER);
    let (client, server) = pair(&listener);
    exchange(&client, &server, "/at-work");
    let outcome = agent.stop_after(4, |_| true);
    let wanted = sorted([both("/ws", 101), both("/at-work", 200)].concat());
    assert_eq!(lines(&outcome.spans, |_| true), wanted);
    assert_dismissed(&outcome);
}
