//! Common servers and clients, each with each: count, method, path, status and role are exact.

use std::process::Command;

use crate::agent::{Agent, EVERYTHING, Span};
use crate::servers::{self, Server};
use crate::turn::{Need, app, enter, python, source};

/// Requests of each client to each server.
const COUNT: usize = 5;

const NEEDS: [Need; 6] = [
    Need::Command("nginx"),
    Need::Command("node"),
    Need::Command("curl"),
    Need::App("go"),
    Need::Python("python"),
    Need::Python("gunicorn"),
];

fn all_servers() -> [(&'static str, Server); 5] {
    [
        ("nginx", servers::nginx(1, None)),
        ("threaded", servers::threaded(None)),
        ("gunicorn", servers::gunicorn(None)),
        ("node", servers::node(None)),
        ("go", servers::go(None)),
    ]
}

/// The client's command to ask `server` for PREFIX-0 to PREFIX-4.
fn client(name: &str, server: &Server, prefix: &str) -> Command {
    let base = server.url("");
    let mut command = match name {
        "curl" => {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--fail", "--noproxy", "*"]);
            curl.arg(format!("{base}/{prefix}-[0-{}]", COUNT - 1));
            return curl;
        }
        "requests" => Command::new(python("python")),
        "fetch" => Command::new("node"),
        "go" => Command::new(app("go")),
        _ => panic!("no client {name}"),
    };
    match name {
        "requests" => command.arg(source("python/client.py")),
        "fetch" => command.arg(source("node/client.js")),
        _ => command.arg("client"),
    };
    command.arg(base).arg(prefix).arg(COUNT.to_string());
    command
}

#[test]
fn every_server_and_client_gives_one_span_a_request_on_each_side() {
    let name = "every_server_and_client_gives_one_span_a_request_on_each_side";
    let Some(_turn) = enter(name, &NEEDS) else { return };
    let servers = all_servers();
    let clients = ["curl", "requests", "fetch", "go"];
    let agent = Agent::start(&[EVERYTHING]);
    let mut wanted = Vec::new();
    for (server_name, server) in &servers {
        for client_name in clients {
            let prefix = format!("of-{client_name}-to-{server_name}");
            servers::run(&mut client(client_name, server, &prefix));
            for i in 0..COUNT {
                wanted.push(format!("client GET /{prefix}-{i} 200"));
                wanted.push(format!("server GET /{prefix}-{i} 200"));
            }
        }
    }
    let ours = |span: &Span| span.path().starts_with("/of-");
    let outcome = agent.stop_after(wanted.len(), ours);
    let mut found: Vec<_> = outcome.spans.iter().filter(|s| ours(s)).map(Span::line).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}
