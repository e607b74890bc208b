//! Calls and processes that are over before anybody could look.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use crate::agent::{Agent, Span};
use crate::hard::{lines, sorted};
use crate::report;
use crate::turn::{Need, app, enter, scratch};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// Connections, each used for one exchange by two threads on either side.
const CONNECTIONS: usize = 4000;

/// Where two threads wait for each other without sleeping.
#[derive(Default)]
struct Turn(AtomicUsize);

impl Turn {
    fn meet(&self, round: usize) {
        self.0.fetch_add(1, Ordering::AcqRel);
        while self.0.load(Ordering::Acquire) < 2 * (round + 1) {
            std::hint::spin_loop();
        }
    }
}

fn read_head(mut from: &TcpStream) -> Vec<u8> {
    let (mut head, mut buffer) = (Vec::new(), [0; 32_768]);
    while !head.ends_with(b"\r\n\r\n") {
        match from.read(&mut buffer).unwrap() {
            0 => break,
            n => head.extend_from_slice(&buffer[..n]),
        }
    }
    head
}

/// Whoever sees a connection first makes its state: here one thread reads the request and another
/// answers it at the same time, on two CPUs. What was written before the request was read answers
/// nobody, and that is counted.
#[test]
fn connections_that_two_threads_use_first_at_once_are_whole() {
    let name = "connections_that_two_threads_use_first_at_once_are_whole";
    let Some(_turn) = enter(name, &[]) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &address.port().to_string())]);
    let turn = Turn::default();
    std::thread::scope(|scope| {
        let (to_reader, reads) = sync_channel::<TcpStream>(0);
        let (to_writer, writes) = sync_channel::<TcpStream>(0);
        scope.spawn(|| {
            for (i, end) in reads.into_iter().enumerate() {
                turn.meet(i);
                assert!(read_head(&end).starts_with(b"GET /race-"));
            }
        });
        scope.spawn(|| {
            for (i, mut end) in writes.into_iter().enumerate() {
                turn.meet(i);
                end.write_all(ANSWER).unwrap();
            }
        });
        for i in 0..CONNECTIONS {
            let mut client = TcpStream::connect(address).unwrap();
            let request = format!("GET /race-{i} HTTP/1.1\r\nHost: test\r\n\r\n");
            client.write_all(request.as_bytes()).unwrap();
            let server = listener.accept().unwrap().0;
            to_reader.send(server.try_clone().unwrap()).unwrap();
            to_writer.send(server).unwrap();
            assert!(read_head(&client).starts_with(b"HTTP/1.1 200"));
        }
        drop((to_reader, to_writer));
    });
    let outcome = agent.stop_after(2 * CONNECTIONS, |_| true);
    let early = outcome.spans.iter().filter(|s| s.is_server() && s.line().ends_with(" 0")).count();
    report(&format!("{early} of {CONNECTIONS} were answered before they were read"));
    let both = |i| ["client", "server"].map(|role| format!("{role} GET /race-{i}"));
    let status = |line: String| line.rsplit_once(' ').unwrap().0.to_owned();
    let got = sorted(outcome.spans.iter().map(|span| status(span.line())));
    assert!(got == sorted((0..CONNECTIONS).flat_map(both)), "{}", outcome.log);
    let clients = lines(&outcome.spans, Span::is_client);
    assert!(clients.iter().all(|line| line.ends_with(" 200")), "{}", outcome.log);
    let beside = |name: &str| outcome.ledger.beside(name);
    assert_eq!(beside("decoder_responses_without_request"), early as u64, "{}", outcome.log);
    for lost in ["decoder_gaps", "decoder_unseen_bytes", "kernel_unseen_bytes"] {
        assert_eq!(beside(lost), 0, "{}", outcome.log);
    }
}

#[test]
fn a_server_that_lives_for_a_moment_has_its_name() {
    let name = "a_server_that_lives_for_a_moment_has_its_name";
    let Some(_turn) = enter(name, &[Need::App("instant")]) else { return };
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", "21000-21099")]);
    for i in 0..50 {
        let port = 21_000 + i;
        let mut server = Command::new(app("instant"));
        server.args([&port.to_string(), "1"]);
        if i % 2 == 1 {
            server.env("OTEL_SERVICE_NAME", "named");
        }
        crate::servers::run(&mut server);
    }
    let outcome = agent.stop_after(50, Span::is_server);
    let mut names: Vec<_> =
        outcome.spans.iter().filter(|s| s.is_server()).map(|s| s.host_name.as_str()).collect();
    names.sort_unstable();
    let wanted: Vec<_> = [["instant"; 25], ["named"; 25]].concat();
    assert_eq!(names, wanted);
}

#[test]
fn a_program_at_a_long_path_with_a_large_environment_has_its_name() {
    let name = "a_program_at_a_long_path_with_a_large_environment_has_its_name";
    let Some(_turn) = enter(name, &[Need::App("instant")]) else { return };
    let dir = scratch();
    let deep = (0..12).fold(dir.path().join("n".repeat(200)), |path, _| path.join("d"));
    std::fs::create_dir_all(&deep).unwrap();
    let program = deep.join("far-away");
    std::fs::copy(app("instant"), &program).unwrap();
    let agent = Agent::start(&[("OTEL_EBPF_AUTO_TARGET_EXE", "*/far-away")]);
    for i in 0..10 {
        let mut server = Command::new(&program);
        server.env_clear().env("OTEL_SERVICE_NAME", "named").env("PADDING", "x".repeat(8000));
        crate::servers::run(server.args([&(21_100 + i).to_string(), "1"]));
    }
    let outcome = agent.stop_after(20, |_| true);
    let names: Vec<_> =
        outcome.spans.iter().filter(|s| s.is_server()).map(|s| s.host_name.as_str()).collect();
    assert_eq!(names, ["named"; 10]);
}

/// The reader lets records gather; a burst that would fill the ring meanwhile must wake it.
#[test]
fn a_burst_during_a_pause_of_the_reader_wakes_it() {
    let name = "a_burst_during_a_pause_of_the_reader_wakes_it";
    let Some(_turn) = enter(name, &[]) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &address.port().to_string())]);
    let mut client = TcpStream::connect(address).unwrap();
    let mut server = listener.accept().unwrap().0;
    // Each head takes 16 KiB of the ring on either side.
    let padding = "x".repeat(15_000);
    for i in 0..BURST {
        let request = format!("GET /burst-{i} HTTP/1.1\r\nX-Padding: {padding}\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        read_head(&server);
        server.write_all(ANSWER).unwrap();
        read_head(&client);
    }
    let outcome = agent.stop_after(2 * BURST, |_| true);
    let told = outcome.spans.iter().filter(|s| s.attribute("status") == "200").count();
    let (dropped, named) = outcome.ledger.drops();
    report(&format!("{told} of {} spans; dropped: {dropped} {named}", 2 * BURST));
    // A reader that slept on would be told of one in four.
    assert!(told * 10 > 2 * BURST * 9, "{named}");
    assert!(told == 2 * BURST || dropped > 0, "spans are missing and nothing was dropped");
}

/// Exchanges: the ring would be full after 200 of them.
const BURST: usize = 5000;
