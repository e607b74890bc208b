//! Targets that live for a moment, become another program, end, or are replaced while they serve.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{OPEN_END, a_moment, assert_balanced, assert_unharmed, control, load, scale};
use crate::agent::{Agent, Span};
use crate::exact::hold_against_log;
use crate::hard::{lines, sorted};
use crate::load::{Connections, Report};
use crate::servers::{self, Server};
use crate::turn::{Need, app, enter};
use crate::{eventually, report};

/// Processes that are started a second.
const FORKS: u64 = 500;

/// The load on one server, while so many processes are started, of which the odd ones ask another.
fn beside_processes([nginx, asked]: &[Server; 2], forks: u64) -> Report {
    let client = load(nginx.port, OPEN_END).start(Connections::Kept);
    let arguments = [u64::from(asked.port), forks, FORKS].map(|n| n.to_string());
    servers::run(Command::new(app("forks")).args(arguments));
    client.stop()
}

#[test]
fn hundreds_of_processes_a_second_are_seen_each_beside_the_load() {
    let name = "hundreds_of_processes_a_second_are_seen_each_beside_the_load";
    let Some(_turn) = enter(name, &[Need::Command("nginx"), Need::App("forks")]) else { return };
    let servers = || [(), ()].map(|()| servers::nginx(1, None));
    let forks = FORKS * 3 * scale();
    let mut control = beside_processes(&servers(), forks);
    let both = servers();
    let globs = format!("{{*/nginx,{}}}", app("forks").canonicalize().unwrap().display());
    let agent = Agent::start(&[("OTEL_EBPF_AUTO_TARGET_EXE", &globs)]);
    let mut seen = beside_processes(&both, forks);
    assert_unharmed(&format!("{forks} processes, {FORKS}/s"), &mut control, &mut seen);
    let [nginx, asked] = both;
    let of = |server: &Server| {
        let port = server.port.to_string();
        move |span: &Span| span.host_port == port
    };
    // Another nginx of this host may be observed besides.
    let [of_nginx, of_asked] = [&nginx, &asked].map(of);
    let wanted = usize::try_from(seen.answered() + forks).unwrap();
    let mut outcome = agent.stop_after(wanted, |span| of_nginx(span) || of_asked(span));
    assert_balanced("afterwards", &outcome);
    let wanted = (0..forks).filter(|n| n % 2 == 1).flat_map(|n| {
        let kind = if n % 4 == 1 { "fork" } else { "exec" };
        ["client", "server"].map(|role| format!("{role} GET /{kind}-{n} 200"))
    });
    assert_eq!(lines(&outcome.spans, of_asked), sorted(wanted));
    outcome.spans.retain(of_nginx);
    let all = usize::try_from(seen.answered()).unwrap();
    assert_eq!(hold_against_log(&outcome, nginx, all), 0);
}

/// The process that a pid file names.
fn named_in(file: &Path) -> Pid {
    Pid::from_raw(fs::read_to_string(file).unwrap().trim().parse().unwrap())
}

/// Replaces the running nginx by a new one as an administrator does, and ends the old one.
fn upgrade(nginx: &Server) {
    let [file, old_file] = ["pid", "pid.oldbin"].map(|name| nginx.file(name));
    let old = named_in(&file);
    kill(old, Signal::SIGUSR2).unwrap();
    eventually("the new master has its pid file", || {
        old_file.exists() && fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n'))
    });
    let new = named_in(&file);
    let new_pid = new.as_raw().cast_unsigned();
    eventually("the new master has its worker", || !crate::held::children(new_pid).is_empty());
    a_moment();
    kill(old, Signal::SIGQUIT).unwrap();
    eventually("the old master has ended", || kill(old, None).is_err());
    report(&format!("the master was {old}, and is {new}"));
    assert_ne!(old, new);
}

#[test]
fn a_server_that_is_upgraded_in_place_serves_all_and_is_seen_throughout() {
    let name = "a_server_that_is_upgraded_in_place_serves_all_and_is_seen_throughout";
    let Some(_turn) = enter(name, &[Need::Command("nginx")]) else { return };
    let mut control = control(Connections::New);
    let nginx = servers::nginx_to_upgrade();
    let agent = Agent::start(&[("OTEL_EBPF_OPEN_PORT", &nginx.port.to_string())]);
    let client = load(nginx.port, OPEN_END).start(Connections::New);
    let upgrades = 2 * scale();
    for _ in 0..upgrades {
        a_moment();
        upgrade(&nginx);
    }
    a_moment();
    let mut seen = client.stop();
    assert_unharmed(&format!("{upgrades} upgrades"), &mut control, &mut seen);
    eventually("every span is printed", || agent.printed() == seen.answered());
    let outcome = agent.stop();
    assert_balanced("afterwards", &outcome);
    let last = named_in(&nginx.file("pid"));
    kill(last, Signal::SIGQUIT).unwrap();
    eventually("nginx has ended", || kill(last, None).is_err());
    let all = usize::try_from(seen.answered()).unwrap();
    assert_eq!(hold_against_log(&outcome, nginx, all), 0);
}
