//! The language of each server's processes, as their spans tell it.

use std::collections::BTreeMap;

use super::sites::{Kind, LIGHTTPD, UVICORN};
use crate::agent::{Agent, EVERYTHING, Span};
use crate::collector::Collector;
use crate::eventually;
use crate::load::Client;
use crate::servers::{self, Server};
use crate::turn::{Need, enter};

/// A server of the language.
pub(super) type Speaker = (&'static str, fn() -> Server);

pub(super) fn of_site(kind: &Kind) -> Server {
    (kind.start)().server
}

/// Starts every other server before the agent and the others behind it; each is asked once.
pub(super) fn tell(speakers: &[Speaker]) {
    let collector = Collector::start();
    let url = collector.url();
    let mut variables = collector.variables(&url).to_vec();
    variables.push(EVERYTHING);
    let start = |parity: usize| -> Vec<_> {
        let speakers = speakers.iter().enumerate().filter(|(i, _)| i % 2 == parity);
        speakers.map(|(_, (language, start))| (*language, start())).collect()
    };
    let older = start(0);
    let agent = Agent::start(&variables);
    let younger = start(1);
    let mut wanted = BTreeMap::new();
    for (language, server) in older.iter().chain(&younger) {
        let path = format!("/language-of-{}", server.port);
        Client::connect(server.port).unwrap().ask("GET", &path, b"").unwrap();
        wanted.insert(path, (*language).to_owned());
    }
    let ours = |s: &Span| s.is_server() && s.path().starts_with("/language-of-");
    agent.stop_after(wanted.len(), ours);
    let told = || -> BTreeMap<_, _> {
        let told = collector.told().into_iter().filter(|t| t.is_server);
        let told = told.filter(|t| t.path().starts_with("/language-of-"));
        told.map(|t| (t.path().to_owned(), t.of_resource("telemetry.sdk.language").to_owned()))
            .collect()
    };
    eventually("every server has told its span", || told().len() == wanted.len());
    assert_eq!(told(), wanted);
}

#[test]
fn servers_tell_the_language_that_they_are_written_in() {
    let name = "servers_tell_the_language_that_they_are_written_in";
    let needs = [
        Need::Command("nginx"),
        Need::Command("lighttpd"),
        Need::Command("node"),
        Need::App("go"),
        Need::App("httpd"),
        Need::Python("python"),
        Need::Python("uvicorn"),
        Need::Python("gunicorn"),
    ];
    let Some(_turn) = enter(name, &needs) else { return };
    tell(&[
        ("generic", || servers::nginx(1, None)),
        ("nodejs", || servers::node(None)),
        ("nodejs", || servers::node(None)),
        ("go", || servers::go(None)),
        ("go", || servers::go(None)),
        ("python", || servers::threaded(None)),
        ("python", || servers::gunicorn(None)),
        ("python", || of_site(&UVICORN)),
        ("generic", || servers::httpd("threads")),
        ("generic", || of_site(&LIGHTTPD)),
    ]);
}
