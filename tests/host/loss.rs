//! What follows bytes that were lost or not captured: right spans or none, and all of it named.

use std::io::{IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};

use crate::agent::{Agent, Span};
use crate::cases::{both, carry, get, listener, pair};
use crate::hard::{lines, sorted};
use crate::report;
use crate::turn::enter;

fn answer(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} Made Up\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// Each request's answer has a status of its own, which its path tells.
fn path(name: &str, n: usize) -> (String, u16) {
    let status = 400 + u16::try_from(n % 50).unwrap();
    (format!("/{name}-{n}-{status}"), status)
}

/// One exchange by one thread.
fn exchange(client: &TcpStream, server: &TcpStream, path: &str, status: u16) {
    carry(client, server, &get(path));
    carry(server, client, &answer(status));
}

/// Spans by what they say of the status their path tells: right, without one, wrong.
fn judge<'a>(spans: impl Iterator<Item = &'a Span>) -> [usize; 3] {
    let mut judged = [0; 3];
    for span in spans {
        let told = span.attribute("status");
        let right = span.path().ends_with(&format!("-{told}"));
        match (right, told) {
            (true, _) => judged[0] += 1,
            (false, "0") => judged[1] += 1,
            _ => judged[2] += 1,
        }
    }
    judged
}

#[test]
fn an_upload_that_is_answered_early_hides_no_request_behind_it() {
    let name = "an_upload_that_is_answered_early_hides_no_request_behind_it";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let mut wanted = Vec::new();
    for body in [100_000, 68_000, 72_000] {
        let (client, server) = pair(&listener);
        for i in 0..8 {
            let path = format!("/upload-{body}-{i}");
            let head = format!("POST {path} HTTP/1.1\r\nContent-Length: {body}\r\n\r\n");
            carry(&client, &server, head.as_bytes());
            carry(&server, &client, &answer(404));
            (0..body / 4000).for_each(|_| carry(&client, &server, &[b'u'; 4000]));
            let (next, padding) = (format!("/behind-{body}-{i}"), "p".repeat(1500));
            let request = format!("GET {next}?{padding} HTTP/1.1\r\n\r\n");
            carry(&client, &server, request.as_bytes());
            carry(&server, &client, &answer(204));
            wanted.extend(["client", "server"].map(|role| format!("{role} POST {path} 404")));
            wanted.extend(both(&next, 204));
        }
    }
    let outcome = agent.stop_after(wanted.len(), |_| true);
    assert_eq!(lines(&outcome.spans, |_| true), sorted(wanted));
}

/// Varnish writes a segment for each name, separator and value.
#[test]
fn a_head_in_sixty_segments_is_read_whole() {
    let name = "a_head_in_sixty_segments_is_read_whole";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let (client, server) = pair(&listener);
    let mut parts: Vec<&[u8]> = vec![b"HTTP/1.1", b" ", b"206", b" ", b"Partial", b"\r\n"];
    (0..26).for_each(|_| parts.extend([&b"X-Made-Up: value"[..], b"\r\n"]));
    parts.extend([&b"Content-Length: 7\r\n\r\n"[..], b"payload"]);
    assert_eq!(parts.len(), 60);
    let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    for path in ["/one", "/two"] {
        carry(&client, &server, &get(path));
        assert_eq!((&server).write_vectored(&slices).unwrap(), parts.concat().len());
        (&client).read_exact(&mut vec![0; parts.concat().len()]).unwrap();
    }
    let outcome = agent.stop_after(4, |_| true);
    let wanted: Vec<_> = ["/one", "/two"].iter().flat_map(|path| both(path, 206)).collect();
    assert_eq!(lines(&outcome.spans, |_| true), sorted(wanted));
    let of_server = outcome.spans.iter().filter(|s| s.is_server());
    let sizes: Vec<_> = of_server.map(|s| s.attribute("responseLen")).collect();
    assert_eq!(sizes, ["7", "7"], "{}", outcome.log);
}

#[test]
fn behind_an_answer_whose_end_was_not_captured_no_pipelined_request_gets_a_wrong_one() {
    let name = "behind_an_answer_whose_end_was_not_captured_no_pipelined_request_gets_a_wrong_one";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let rounds = 40;
    for round in 0..rounds {
        let (client, server) = pair(&listener);
        let paths: Vec<_> = (0..4).map(|i| path("pipe", 4 * round + i)).collect();
        paths.iter().for_each(|(path, _)| carry(&client, &server, &get(path)));
        let chunks = "400\r\n".to_owned() + &"c".repeat(1024) + "\r\n";
        let status = paths[0].1;
        let head = format!("HTTP/1.1 {status} Long\r\nTransfer-Encoding: chunked\r\n\r\n");
        let body = chunks.repeat(30) + "0\r\n\r\n";
        carry(&server, &client, (head + &body).as_bytes());
        paths[1..].iter().for_each(|(_, status)| carry(&server, &client, &answer(*status)));
    }
    let outcome = agent.stop_after(8 * rounds, |_| true);
    let [right, without, wrong] = judge(outcome.spans.iter());
    report(&format!("{right} right, {without} without a status, {wrong} wrong"));
    assert_eq!((right + without, wrong), (8 * rounds, 0), "{}", outcome.log);
    // Each side of each connection: the first answer is known, of the others nothing.
    assert_eq!(right, 2 * rounds, "{}", outcome.log);
    let given_up = outcome.ledger.beside("decoder_connections_given_up ambiguous");
    assert_eq!(given_up, 2 * rounds as u64, "{}", outcome.log);
}

#[test]
fn the_first_requests_pipelined_in_one_write_are_all_answered() {
    let name = "the_first_requests_pipelined_in_one_write_are_all_answered";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let (rounds, batch) = (20, 4);
    for round in 0..rounds {
        let (client, server) = pair(&listener);
        let paths: Vec<_> = (0..batch).map(|i| path("first", batch * round + i)).collect();
        let requests: Vec<_> = paths.iter().flat_map(|(path, _)| get(path)).collect();
        carry(&client, &server, &requests);
        // The second head lies behind what is captured of one answer.
        let answers: Vec<_> = paths.iter().flat_map(|(_, status)| long_answer(*status)).collect();
        carry(&server, &client, &answers);
    }
    let outcome = agent.stop_after(2 * rounds * batch, |_| true);
    assert_eq!(judge(outcome.spans.iter()), [2 * rounds * batch, 0, 0], "{}", outcome.log);
}

fn long_answer(status: u16) -> Vec<u8> {
    let body = "l".repeat(1500);
    format!("HTTP/1.1 {status} Long\r\nContent-Length: 1500\r\n\r\n{body}").into_bytes()
}

#[test]
fn a_request_that_arrives_with_the_end_of_an_upload_is_seen() {
    let name = "a_request_that_arrives_with_the_end_of_an_upload_is_seen";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let bodies = [20_000, 100_000, 170_000];
    for body in bodies {
        let (client, server) = pair(&listener);
        let upload = path("upload", body);
        let head = format!("POST {} HTTP/1.1\r\nContent-Length: {body}\r\n\r\n", upload.0);
        carry(&client, &server, head.as_bytes());
        carry(&server, &client, &answer(upload.1));
        let behind = path("behind", body);
        let rest = [vec![b'u'; body], get(&behind.0)];
        rest.iter().for_each(|part| (&client).write_all(part).unwrap());
        let (mut left, mut buffer) = (rest.concat().len(), vec![0; 65_536]);
        while left > 0 {
            left -= (&server).read(&mut buffer).unwrap();
        }
        carry(&server, &client, &answer(behind.1));
    }
    let outcome = agent.stop_after(4 * bodies.len(), |_| true);
    assert_eq!(judge(outcome.spans.iter()), [4 * bodies.len(), 0, 0], "{}", outcome.log);
    assert!(outcome.ledger.balanced, "{}", outcome.log);
}

#[test]
fn a_connection_that_found_no_room_is_followed_again() {
    let name = "a_connection_that_found_no_room_is_followed_again";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port), ("OTEL_EBPF_FAULT", "connections")]);
    // Each connection is two: its ends are followed each by itself. There is room for four.
    let pairs: Vec<_> = (0..4).map(|_| pair(&listener)).collect();
    let mut n = 0;
    let mut used = |pair: &(TcpStream, TcpStream), when: &str, times: usize| {
        for _ in 0..times {
            n += 1;
            let (path, status) = path(when, n);
            exchange(&pair.0, &pair.1, &path, status);
        }
    };
    pairs.iter().for_each(|pair| used(pair, "evicting", 1));
    std::thread::sleep(Duration::from_millis(300));
    for pair in &pairs {
        // Asked for at the first record, granted at the 32nd call at the latest.
        used(pair, "asking", 1);
        std::thread::sleep(Duration::from_millis(300));
        used(pair, "granted", 32);
        used(pair, "followed", 20);
    }
    let outcome = agent.stop_after(2 * 80, |span| span.path().starts_with("/followed-"));
    let followed = outcome.spans.iter().filter(|s| s.path().starts_with("/followed-"));
    assert_eq!(judge(followed), [2 * 80, 0, 0], "{}", outcome.log);
    let [right, without, wrong] = judge(outcome.spans.iter());
    let unknown = outcome.ledger.stage("decoder.records").dropped("without_open");
    report(&format!("{right} right, {without} without a status, {wrong} wrong; {unknown} unknown"));
    assert_eq!(wrong, 0, "{}", outcome.log);
    assert!(outcome.ledger.beside("decoder_connections_evicted") > 0, "{}", outcome.log);
    assert!(unknown > 0, "{}", outcome.log);
}

/// Connections in steady use while the agent stands still, and exchanges on each before,
/// meanwhile, and afterwards.
const PACED: usize = 10;
const EXCHANGES: usize = 50;

/// Exchanges of 16 KiB that fill the ring.
const FLOOD: usize = 1000;

/// Fills the ring of an agent that stands still.
fn flood((client, server): &(TcpStream, TcpStream), mut meanwhile: impl FnMut(usize)) {
    let padding = "x".repeat(15_000);
    for n in 0..FLOOD {
        let (target, status) = path("flood", n);
        let request = format!("GET {target} HTTP/1.1\r\nX-Padding: {padding}\r\n\r\n");
        carry(client, server, request.as_bytes());
        carry(server, client, &answer(status));
        meanwhile(n);
    }
}

fn paced(pairs: &[(TcpStream, TcpStream)], when: &str) {
    for n in 0..EXCHANGES {
        for (i, (client, server)) in pairs.iter().enumerate() {
            let (path, status) = path(when, n * PACED + i);
            exchange(client, server, &path, status);
        }
    }
}

#[test]
fn connections_that_outlive_a_full_ring_are_followed_again() {
    let name = "connections_that_outlive_a_full_ring_are_followed_again";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let pairs: Vec<_> = (0..PACED).map(|_| pair(&listener)).collect();
    let flooded = pair(&listener);
    paced(&pairs, "before");
    agent.signal(Signal::SIGSTOP);
    flood(&flooded, |n| {
        if n % 20 == 0 {
            let (path, status) = path("during", n);
            let (client, server) = &pairs[n % PACED];
            exchange(client, server, &path, status);
        }
    });
    paced(&pairs, "meanwhile");
    agent.signal(Signal::SIGCONT);
    std::thread::sleep(Duration::from_millis(500));
    paced(&pairs, "after");
    let after = |span: &Span| span.path().starts_with("/after-");
    let outcome = agent.stop_after(2 * PACED * EXCHANGES, after);
    for when in ["before", "after"] {
        let spans = outcome.spans.iter().filter(|s| s.path().starts_with(&format!("/{when}-")));
        assert_eq!(judge(spans), [2 * PACED * EXCHANGES, 0, 0], "{when}: {}", outcome.log);
    }
    let [right, without, wrong] = judge(outcome.spans.iter());
    let (dropped, named) = outcome.ledger.drops();
    report(&format!("{right} right, {without} without a status, {wrong} wrong; {dropped} {named}"));
    assert_eq!(wrong, 0, "{}", outcome.log);
    assert!(dropped > 0, "the ring was never full: {}", outcome.log);
}

#[test]
fn a_call_whose_request_was_lost_is_no_child_of_the_one_before() {
    let name = "a_call_whose_request_was_lost_is_no_child_of_the_one_before";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    // This thread is both ends of every connection, and what serves one calls the others.
    let (client, server) = pair(&listener);
    let asks = |path: &str| carry(&client, &server, &get(path));
    let answers = || carry(&server, &client, &answer(204));
    let calls = |path: &str| {
        let (client, server) = pair(&listener);
        exchange(&client, &server, path, 205);
    };
    asks("/seen");
    calls("/by-seen");
    answers();
    asks("/before");
    agent.signal(Signal::SIGSTOP);
    let flooded = pair(&listener);
    std::thread::scope(|scope| scope.spawn(|| flood(&flooded, |_| ())).join()).unwrap();
    answers();
    asks("/lost");
    agent.signal(Signal::SIGCONT);
    std::thread::sleep(Duration::from_millis(100));
    calls("/by-lost");
    answers();
    let outcome = agent.stop_after(2, |s| s.path() == "/by-lost");
    let one = |path: &str, client: bool| {
        let found = outcome.spans.iter().find(|s| s.path() == path && s.is_client() == client);
        found.unwrap_or_else(|| panic!("no span of {path}: {}", outcome.log))
    };
    assert_eq!(one("/by-seen", true).parent_id, one("/seen", false).span_id);
    assert!(!outcome.spans.iter().any(|s| s.path() == "/lost" && s.is_server()));
    let call = one("/by-lost", true);
    assert!(!call.has_parent(), "{call:?}: {}", outcome.log);
}

/// Its close came before its first call, when there was nothing to close.
#[test]
fn a_connection_that_was_reset_before_its_accept_is_over() {
    let name = "a_connection_that_was_reset_before_its_accept_is_over";
    let Some(_turn) = enter(name, &[]) else { return };
    let (listener, port) = listener();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &port)]);
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (&client).write_all(&get("/reset")).unwrap();
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&client, sockopt::Linger, &linger).unwrap();
    drop(client);
    let (server, _) = listener.accept().unwrap();
    assert_eq!((&server).read(&mut [0; 1024]).unwrap(), get("/reset").len());
    (&server).write_all(&answer(204)).unwrap_err();
    drop(server);
    let (client, server) = pair(&listener);
    exchange(&client, &server, "/behind", 204);
    let outcome = agent.stop_after(4, |_| true);
    let wanted = ["client GET /reset 0", "server GET /reset 0"].map(str::to_owned);
    let wanted: Vec<_> = wanted.into_iter().chain(both("/behind", 204)).collect();
    assert_eq!(lines(&outcome.spans, |_| true), sorted(wanted));
    let call = outcome.spans.iter().find(|s| s.is_client() && s.path() == "/behind").unwrap();
    assert!(!call.has_parent(), "{call:?}");
}
