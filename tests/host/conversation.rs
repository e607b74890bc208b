//! One scripted conversation whose spans are the same on every kernel and with every front end.
//!
//! Both ends are threads of this very process, so each exchange gives a server and a client span.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::agent::{Agent, Outcome, Span};
use crate::report;
use crate::turn::enter;

/// What one side does on the connection, in turn with the other.
enum Turn {
    /// The client sends these bytes, in as many calls as there are pieces.
    Ask(&'static [&'static str]),
    /// The server does.
    Answer(&'static [&'static str]),
}

use Turn::{Answer, Ask};

/// A connection's turns and the spans of each side: method, path, status, request and response
/// body.
struct Talk {
    turns: &'static [Turn],
    spans: &'static [(&'static str, &'static str, &'static str, &'static str, &'static str)],
}

const TALKS: &[Talk] = &[
    // RFC 9112 section 9.3: a connection persists.
    Talk {
        turns: &[
            Ask(&["GET /keep/1 HTTP/1.1\r\nHost: a\r\n\r\n"]),
            Answer(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"]),
            Ask(&["POST /keep/2?q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "abc"]),
            Answer(&["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]),
            Ask(&["DELETE /keep/3 HTTP/1.1\r\nHost: a\r\n\r\n"]),
            Answer(&["HTTP/1.1 204 No Content\r\n\r\n"]),
        ],
        spans: &[
            ("GET", "/keep/1", "200", "0", "5"),
            ("POST", "/keep/2", "404", "3", "0"),
            ("DELETE", "/keep/3", "204", "0", "0"),
        ],
    },
    // Section 9.3.2: two requests in one write, answers in order.
    Talk {
        turns: &[
            Ask(&[
                "GET /pipe/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /pipe/2 HTTP/1.1\r\nHost: a\r\n\r\n",
            ]),
            Answer(&[
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1",
                "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n22",
            ]),
        ],
        spans: &[("GET", "/pipe/1", "200", "0", "1"), ("GET", "/pipe/2", "503", "0", "2")],
    },
    // Section 7.1: chunked both ways, cut inside chunk headers.
    Talk {
        turns: &[
            Ask(&[
                "PUT /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4",
                "\r\nabcd\r\n",
                "3\r\nefg\r\n0\r\n\r\n",
            ]),
            Answer(&[
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "a\r\n0123456789\r",
                "\n0\r\n\r\n",
            ]),
        ],
        spans: &[("PUT", "/chunked", "200", "7", "10")],
    },
    // RFC 9110 section 15.2: interim answers are no answers.
    Talk {
        turns: &[
            Ask(&[
                "POST /continue HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
            ]),
            Answer(&["HTTP/1.1 100 Continue\r\n\r\n"]),
            Ask(&["body"]),
            Answer(&["HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"]),
        ],
        spans: &[("POST", "/continue", "201", "4", "0")],
    },
    // A head in single bytes, and a HEAD request, whose answer has no body.
    Talk {
        turns: &[
            Ask(&["H", "E", "A", "D", " ", "/", "b", " HTTP/1.1\r", "\n", "Host: a\r\n\r", "\n"]),
            Answer(&["HTTP/1.1 200 OK\r\n", "Content-Length: 0\r\n", "\r\n"]),
            Ask(&["GET /after-head HTTP/1.1\r\nHost: a\r\n\r\n"]),
            Answer(&["HTTP/1.1 304 Not Modified\r\n\r\n"]),
        ],
        spans: &[("HEAD", "/b", "200", "0", "0"), ("GET", "/after-head", "304", "0", "0")],
    },
    // HTTP/1.0: the body ends with the connection.
    Talk {
        turns: &[
            Ask(&["GET /old HTTP/1.0\r\n\r\n"]),
            Answer(&["HTTP/1.0 200 OK\r\n\r\n", "to the end"]),
        ],
        spans: &[("GET", "/old", "200", "0", "10")],
    },
    // RFC 6455: one span, then silence whatever passes.
    Talk {
        turns: &[
            Ask(&[
                "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            ]),
            Answer(&[
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            ]),
            Ask(&["GET /inside-the-tunnel HTTP/1.1\r\nHost: a\r\n\r\n"]),
            Answer(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]),
        ],
        spans: &[("GET", "/ws", "101", "0", "0")],
    },
    // A request without an answer.
    Talk {
        turns: &[Ask(&["GET /unanswered HTTP/1.1\r\nHost: a\r\n\r\n"])],
        spans: &[("GET", "/unanswered", "0", "0", "0")],
    },
];

/// Waits for exactly these bytes, so that turns never overlap.
fn receive(stream: &mut TcpStream, pieces: &[&str]) {
    let mut buffer = vec![0; pieces.iter().map(|p| p.len()).sum()];
    stream.read_exact(&mut buffer).unwrap();
    assert_eq!(String::from_utf8_lossy(&buffer), pieces.concat());
}

fn send(stream: &mut TcpStream, pieces: &[&str]) {
    for piece in pieces {
        stream.write_all(piece.as_bytes()).unwrap();
    }
}

/// Plays one side of a talk, then waits for the other's end.
fn play(mut stream: TcpStream, turns: &[Turn], asks: bool) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(crate::patience())).unwrap();
    for turn in turns {
        match (turn, asks) {
            (Ask(pieces), true) | (Answer(pieces), false) => send(&mut stream, pieces),
            (Ask(pieces), false) | (Answer(pieces), true) => receive(&mut stream, pieces),
        }
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(0) => (),
        Err(e) if e.kind() == ErrorKind::ConnectionReset => (),
        other => panic!("more came than was scripted: {other:?}"),
    }
}

fn play_all(listener: &TcpListener) {
    for talk in TALKS {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        std::thread::scope(|scope| {
            scope.spawn(|| play(server, talk.turns, false));
            play(client, talk.turns, true);
        });
    }
}

/// How the ledger names runs of programs that the kernel left out.
const MISSED_RUNS: &str = "kernel_runs_missed";
/// How often a conversation is played at most.
const TRIES: usize = 3;

/// Every field of the span that neither an id, a time nor a port is; sizes only where printed.
fn described(span: &Span) -> String {
    let sizes = match span.is_server() {
        true => {
            format!(" in={} out={}", span.attribute("contentLen"), span.attribute("responseLen"))
        }
        false => String::new(),
    };
    format!("{} {}{sizes}", span.kind, span.line())
}

fn wanted() -> Vec<String> {
    let mut all: Vec<_> = TALKS
        .iter()
        .flat_map(|talk| talk.spans)
        .flat_map(|(method, path, status, sent, got)| {
            let what = format!("{method} {path} {status}");
            [
                format!("SPAN_KIND_CLIENT client {what}"),
                format!("SPAN_KIND_SERVER server {what} in={sent} out={got}"),
            ]
        })
        .collect();
    all.sort();
    all
}

/// `auto=tracepoint fentry=fentry`: the front ends to ask for, and which must come of it.
pub(crate) fn front_ends() -> Vec<(String, String)> {
    let text = std::env::var("OBI_FRONT_ENDS").unwrap_or_else(|_| "auto=tracepoint".to_owned());
    text.split_whitespace()
        .map(|pair| pair.split_once('=').expect("asked=chosen"))
        .map(|(asked, chosen)| (asked.to_owned(), chosen.to_owned()))
        .collect()
}

#[test]
fn the_scripted_conversation_gives_the_same_spans_with_every_front_end() {
    let name = "the_scripted_conversation_gives_the_same_spans_with_every_front_end";
    let Some(_turn) = enter(name, &[]) else { return };
    for (asked, chosen) in front_ends() {
        but_for_missed_runs(|excuse| told_as_scripted(&asked, &chosen, None, excuse));
    }
}

#[test]
fn where_an_optional_feature_is_missing_the_conversation_gives_the_same_spans() {
    let name = "where_an_optional_feature_is_missing_the_conversation_gives_the_same_spans";
    let Some(_turn) = enter(name, &[]) else { return };
    for (asked, chosen) in front_ends() {
        for lacking in ["no_sk_storage", "no_cookie", "no_file_iterator"] {
            but_for_missed_runs(|excuse| told_as_scripted(&asked, &chosen, Some(lacking), excuse));
        }
    }
}

/// Repeats `attempt` until it is right. Where tasks are preempted inside a program, the kernel may
/// leave out a run of it. The ledger says so; nothing else excuses a difference: `attempt` fails
/// then, and on the last try, which has no excuse.
pub(crate) fn but_for_missed_runs(attempt: impl Fn(bool) -> bool) {
    assert!((1..=TRIES).any(|n| attempt(n < TRIES)), "the last try has no excuse");
}

/// Whether the kernel left out runs; the report says so.
pub(crate) fn runs_were_missed(outcome: &Outcome, asked: &str, chosen: &str) -> bool {
    let missed = outcome.log.contains(MISSED_RUNS);
    if missed {
        report(&format!("front end {asked} ({chosen}): the kernel left out runs; once more"));
    }
    missed
}

/// Plays everything to an agent with the front end `asked`, of which `chosen` must come, and which is
/// `lacking` something. Fails unless the spans are as scripted; `false` = they are not, which missed
/// runs `excuse`.
fn told_as_scripted(asked: &str, chosen: &str, lacking: Option<&str>, excuse: bool) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut variables =
        vec![("OTEL_EBPF_OPEN_PORT", port.as_str()), ("OTEL_EBPF_BPF_FRONT_END", asked)];
    variables.extend(lacking.map(|fault| ("OTEL_EBPF_FAULT", fault)));
    let agent = Agent::start(&variables);
    let log = agent.log();
    assert_eq!(agent.front_end(), chosen, "{log}");
    assert!(lacking.is_none() || log.contains("takes its place"), "{log}");
    play_all(&listener);
    // What would come too much needs a moment to come.
    std::thread::sleep(Duration::from_millis(500));
    let all = wanted();
    let outcome = agent.stop_after(all.len(), |_| true);
    let mut found: Vec<_> = outcome.spans.iter().map(described).collect();
    found.sort();
    if found != all && excuse && runs_were_missed(&outcome, asked, chosen) {
        return false;
    }
    assert_eq!(found, all, "front end {asked}:\n{}", outcome.log);
    let without = lacking.unwrap_or("all features");
    report(&format!("front end {asked} ({chosen}), {without}: {} spans, as scripted", found.len()));
    true
}
