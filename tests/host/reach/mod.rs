//! Servers and clients of many kinds: one exact span for each line of the server's access log, and
//! one for each line that the client prints.
//!
//! Every server answers the same paths:
//!
//! | path | answer |
//! | --- | --- |
//! | `/small/N` | 200 bytes |
//! | `/large/N` | 1 MiB |
//! | `/chunks/N` | 300 bytes whose length nobody knows before: chunked where the server can |
//! | `/stream/N` | 200,000 bytes, likewise |
//! | `/echo/N` | the request's body |
//! | any other | status 404 |
//!
//! Every client asks for what a plan says, a line a request: `METHOD PATH BYTES HOW`, where BYTES
//! are sent as body and HOW is `keep`, `close` (the connection ends with the answer) or `chunked`
//! (the body has no length). It prints, as the server logs, a line for each in the format of
//! [`crate::oracle`], with the bytes of both bodies and `0` for the rest; `-` is what a server
//! does not know.

mod clients;
mod common;
mod full;
mod languages;
mod sites;

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use crate::agent::{Agent, Span};
use crate::collector::{Collector, Told};
use crate::hard::sorted;
use crate::oracle::{LogLine, parse_log};
use crate::servers::{self, Server};
use crate::turn::{Need, enter, scratch};
use crate::{eventually, report};
use clients::Client;
use sites::{Kind, LOG, Site};

/// Requests of `hey`, of [`AT_ONCE`] connections.
const HURRIED: usize = 640;
const AT_ONCE: usize = 16;

/// Bytes of a body in chunks, sent to `/echo/N` and received from `/stream/N`.
const CHUNKED_UP: usize = 3000;
const CHUNKED_DOWN: usize = 200_000;

/// Asks for everything in every way, several times.
fn plan(client: &Client) -> String {
    let mut plan = String::new();
    let mut number = 0;
    let mut add = |method: &str, kind: &str, bytes: usize, how: &str| {
        number += 1;
        plan += &format!("{method} /{kind}/{number} {bytes} {how}\n");
    };
    for round in 0..5 {
        for kind in ["small", "large", "chunks", "stream", "missing"] {
            add("GET", kind, 0, "keep");
        }
        for kind in ["small", "missing"] {
            add("HEAD", kind, 0, "keep");
        }
        for bytes in [1, 1000, 100_000] {
            add("POST", "echo", bytes + round, "keep");
        }
        if client.chunks {
            add("POST", "echo", CHUNKED_UP, "chunked");
        }
        for kind in ["small", "chunks"] {
            add("GET", kind, 0, "close");
        }
    }
    plan
}

/// Holds `kind` against its log and `client` against what it prints: with a server that is older
/// than the agent, and with one that is younger.
fn hold(test: &str, kind: &Kind, client: &Client) {
    let exes = [kind.exes, &[client.exe]].concat();
    let needs = [&exes, kind.needs, client.needs, &[Need::Command("hey")]].concat();
    let Some(_turn) = enter(test, &needs) else { return };
    let exes: Vec<_> = exes.iter().map(|e| e.executable().unwrap().display().to_string()).collect();
    let exes = format!("{{{}}}", exes.join(","));
    for older in [true, false] {
        let (collector, early) = (Collector::start(), older.then(kind.start));
        let url = collector.url();
        let mut variables = vec![("OTEL_EBPF_AUTO_TARGET_EXE", exes.as_str())];
        variables.extend(collector.variables(&url));
        let agent = Agent::start(&variables);
        let site = early.unwrap_or_else(kind.start);
        let asked = ask(&site, client);
        let logged = complete(&site.server, &asked);
        let handed_on = site.backend().map(|server| complete(server, &asked));
        let ours = |s: &Span| s.host_port == site.server.port.to_string();
        let outcome = agent.stop_after(logged.len() + asked.len(), ours);
        report(&format!(
            "{} requests, {} of them by the client; dropped: {}",
            logged.len(),
            asked.len(),
            outcome.ledger.drops().1
        ));
        let (told, answers) = (collector.told(), kind.exes[0]);
        let logs = [(answers, "server", &logged), (client.exe, "client", &asked)];
        for span in compare(&site.server, &told, &logs) {
            assert!(!span.has_parent, "nobody else's child: {span:?}");
        }
        if let (Some(backend), Some(lines)) = (site.backend(), &handed_on) {
            compare(backend, &told, &[(answers, "client", lines)]);
        }
        let inner = |s: &&Told| s.attribute("server.address").is_some_and(|a| site.is_inner(a));
        let strays: Vec<_> = told.iter().filter(inner).collect();
        assert!(strays.is_empty(), "that was no HTTP: {strays:?}");
    }
}

/// Carries out the plan, then many requests at once. What the client printed.
fn ask(site: &Site, client: &Client) -> Vec<LogLine> {
    let dir = scratch();
    let file = dir.path().join("plan");
    let plan = plan(client);
    fs::write(&file, &plan).unwrap();
    let told = parse_log(&servers::run((client.command)().arg(site.server.url("")).arg(&file)));
    let asked = plan.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    let answered = told.iter().map(|line| format!("{} {}", line.method, line.path));
    assert_eq!(sorted(answered), sorted(asked), "the client did not do as it was told");

    let [all, at_once] = [HURRIED, AT_ONCE].map(|n| n.to_string());
    let mut hey = Command::new("hey");
    hey.args(["-n", &all, "-c", &at_once]).arg(site.server.url("/small/0"));
    let said = servers::run(&mut hey);
    assert!(said.contains(&format!("[200]\t{HURRIED} responses")), "{said}");
    told
}

/// The server's log, once it has a line for each request. What it does not know about a body, the
/// client does.
fn complete(server: &Server, told: &[LogLine]) -> Vec<LogLine> {
    let wanted = told.len() + HURRIED;
    let log = server.file(LOG);
    let text = || fs::read_to_string(&log).unwrap();
    eventually("the server has logged every request", || text().lines().count() >= wanted);
    let by_path: HashMap<_, _> = told.iter().map(|line| (line.path.as_str(), line)).collect();
    // One server cannot name the path without the version.
    let mut lines = parse_log(&text().replace(" HTTP/1.1 ", " "));
    assert_eq!(lines.len(), wanted, "lines in the server's log");
    for line in &mut lines {
        let told = by_path.get(line.path.as_str());
        for (known, asked) in [
            (&mut line.content_length, told.map_or("0", |t| &t.content_length)),
            (&mut line.body_sent, told.map_or("200", |t| &t.body_sent)),
        ] {
            if known == "-" {
                asked.clone_into(known);
            }
        }
        if line.method == "HEAD" {
            "0".clone_into(&mut line.body_sent);
        }
    }
    lines
}

/// The spans of calls to `server`, which must say what the logs of those that are observed say, and
/// no more.
fn compare<'a>(
    server: &Server,
    told: &'a [Told],
    logs: &[(Need, &str, &Vec<LogLine>)],
) -> Vec<&'a Told> {
    let mut wanted = Vec::new();
    for (exe, role, lines) in logs {
        let service = service(*exe);
        wanted.extend(lines.iter().map(|line| format!("{role} {service} {}", line.said())));
    }
    let port = server.port.to_string();
    let mut spans: Vec<_> = told.iter().collect();
    spans.retain(|span| span.attribute("server.port") == Some(port.as_str()));
    let (mut found, mut sizeless) = (Vec::new(), 0);
    for span in &spans {
        let mut line = line_of(span);
        sizeless += usize::from(complete_span(&mut line));
        let role = if span.is_server { "server" } else { "client" };
        found.push(format!("{role} {} {}", span.service(), line.said()));
    }
    report(&format!("{} spans, {sizeless} with a chunked body and without its size", found.len()));
    let (missing, surplus) = (without(&wanted, &found), without(&found, &wanted));
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "lines without a span: {missing:#?}\nspans without a line: {surplus:#?}"
    );
    spans
}

/// What a span says whose body has no known size.
const NO_SIZE: &str = "?";

/// Puts in what a span may leave open, and says if that was the size of a body in chunks: their
/// sizes may lie behind what is captured.
fn complete_span(line: &mut LogLine) -> bool {
    let kind = line.path.split('/').nth(1).unwrap_or("");
    if line.method == "HEAD" {
        // What GET would have got, if the server tells.
        assert!(kind != "small" || ["200", NO_SIZE].contains(&line.body_sent.as_str()), "{line:?}");
        "0".clone_into(&mut line.body_sent);
        return false;
    }
    let mut open = false;
    let mut put = |size: &mut String, bytes: String| {
        if size == NO_SIZE {
            *size = bytes;
            open = true;
        }
    };
    match kind {
        "stream" => put(&mut line.body_sent, CHUNKED_DOWN.to_string()),
        "echo" => {
            put(&mut line.content_length, CHUNKED_UP.to_string());
            put(&mut line.body_sent, line.content_length.clone());
        }
        _ => {}
    }
    open
}

/// What a span says, as a line of a log. Of the whole URL that a client's has, the origin (which
/// names no port) is left out.
fn line_of(span: &Told) -> LogLine {
    let of = |key| span.attribute(key).unwrap_or(NO_SIZE).to_owned();
    let url = of("url.full");
    LogLine {
        method: of("http.request.method"),
        path: url.strip_prefix("http://127.0.0.1").map_or_else(|| of("url.path"), str::to_owned),
        status: of("http.response.status_code"),
        body_sent: of("http.response.body.size"),
        content_length: of("http.request.body.size"),
        seconds: 0.0,
    }
}

/// The first of `these` that `those` have not, as often as they stand there.
fn without(these: &[String], those: &[String]) -> Vec<String> {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for line in those {
        *left.entry(line).or_default() += 1;
    }
    let mut rest = these.to_vec();
    rest.retain(|line| match left.get_mut(line.as_str()) {
        Some(count @ 1..) => {
            *count -= 1;
            false
        }
        _ => true,
    });
    rest.truncate(20);
    rest
}

/// What the agent calls a process that runs this.
fn service(exe: Need) -> String {
    exe.executable().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}
