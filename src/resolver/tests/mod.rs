pub(crate) mod server;
mod wire;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::system::{Servers, hosts, servers};
use super::*;
use server::{Says, Server, setup};

/// How long an answer may take: longer than a lookup.
const PATIENCE: Duration = Duration::from_secs(60);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn named(name: &str) -> Outcome {
    Outcome::Name(name.into())
}

/// Asks for one address.
fn ask((resolver, answers): &mut (Resolver, Receiver<Answer>), address: &str) -> Outcome {
    assert!(resolver.ask(ip(address)));
    let answer = answers.recv_timeout(PATIENCE).expect("an answer");
    resolver.took_answer();
    assert_eq!(answer.address, ip(address));
    answer.outcome
}

#[test]
fn what_name_servers_say_is_what_is_known_of_an_address() {
    let rows = [
        ("10.0.0.1", Says::Name("db.example."), named("db.example."), 1),
        ("10.0.0.2", Says::Alias("web.example."), named("web.example."), 1),
        ("10.0.0.3", Says::OthersFirst("a-1_b.example."), named("a-1_b.example."), 1),
        // Once more over TCP.
        ("10.0.0.4", Says::Longer("long.example."), named("long.example."), 2),
        ("10.0.0.5", Says::Nobody, Outcome::Nameless, 1),
        ("10.0.0.6", Says::NoRecord, Outcome::Nameless, 1),
        ("10.0.0.7", Says::Name("no host name.example."), Outcome::Nameless, 1),
        ("2001:db8::7", Says::Name("six.example."), named("six.example."), 1),
    ];
    let names: Vec<_> = rows.iter().map(|(address, says, ..)| (*address, *says)).collect();
    let (server, dir) = (Server::start(&names), tempfile::tempdir().unwrap());
    let mut resolver = Resolver::start(server.setup(dir.path(), "")).unwrap();
    for (address, says, expected, asked) in rows {
        assert_eq!(ask(&mut resolver, address), expected, "{says:?}");
        assert_eq!(server.asked(address), asked, "{says:?}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_asked_again_and_then_the_failure_is_told() {
    let names =
        [("10.0.0.1", Says::Refuses), ("10.0.0.2", Says::Endless), ("10.0.0.3", Says::Silence)];
    let (server, dir) = (Server::start(&names), tempfile::tempdir().unwrap());
    let mut resolver = Resolver::start(server.setup(dir.path(), "")).unwrap();
    let at = server.address();
    for (address, why) in [
        ("10.0.0.1", format!("{at} refuses with code 5")),
        ("10.0.0.2", format!("{at} answers nonsense")),
        ("10.0.0.3", format!("{at} does not answer in 1s")),
    ] {
        assert_eq!(ask(&mut resolver, address), Outcome::Failed(why));
        assert_eq!(server.asked(address), 2, "{address}");
    }
}

#[test]
fn the_next_server_is_asked_when_one_is_silent_or_gone() {
    let first = Server::start(&[("10.0.0.1", Says::Silence), ("10.0.0.2", Says::Refuses)]);
    let port = first.address().port();
    let names = [("10.0.0.1", Says::Name("one.")), ("10.0.0.2", Says::Name("two."))];
    let second = Server::start_at((ip("127.0.0.2"), port).into(), &names);
    // Nobody listens at the third.
    let gone = (ip("127.0.0.3"), port).into();
    let dir = tempfile::tempdir().unwrap();
    let setup = setup(dir.path(), "", &[gone, first.address(), second.address()]);
    let mut resolver = Resolver::start(setup).unwrap();
    assert_eq!(ask(&mut resolver, "10.0.0.1"), named("one."));
    assert_eq!(ask(&mut resolver, "10.0.0.2"), named("two."));
    for address in ["10.0.0.1", "10.0.0.2"] {
        assert_eq!([first.asked(address), second.asked(address)], [1, 1]);
    }
}

#[test]
fn the_files_go_first_and_are_read_again_when_they_change() {
    let names = [("10.0.0.1", Says::Name("dns.example.")), ("10.0.0.2", Says::Name("b.example."))];
    let (server, dir) = (Server::start(&names), tempfile::tempdir().unwrap());
    let setup = server.setup(dir.path(), "10.0.0.1 file.example\n");
    let (hosts, resolv_conf) = (setup.hosts.clone(), setup.resolv_conf.clone());
    let mut resolver = Resolver::start(setup).unwrap();
    assert_eq!(ask(&mut resolver, "10.0.0.1"), named("file.example"));
    assert_eq!(server.asked("10.0.0.1"), 0);
    std::fs::write(&hosts, "10.0.0.1 another-file.example\n").unwrap();
    assert_eq!(ask(&mut resolver, "10.0.0.1"), named("another-file.example"));
    std::fs::remove_file(&hosts).unwrap();
    assert_eq!(ask(&mut resolver, "10.0.0.1"), named("dns.example."));
    assert_eq!(server.asked("10.0.0.1"), 1);
    // Nobody listens there.
    std::fs::write(&resolv_conf, "nameserver 127.0.0.3\n").unwrap();
    let outcome = ask(&mut resolver, "10.0.0.2");
    assert!(
        matches!(&outcome, Outcome::Failed(why) if why.starts_with("127.0.0.3:")),
        "{outcome:?}"
    );
    assert_eq!(server.asked("10.0.0.2"), 0);
}

#[test]
fn so_many_questions_are_under_way_and_no_more() {
    let (server, dir) =
        (Server::start(&[("10.9.0.1", Says::Silence)]), tempfile::tempdir().unwrap());
    let (mut resolver, _answers) = Resolver::start(server.setup(dir.path(), "")).unwrap();
    let silent = ip("10.9.0.1");
    assert_eq!((0..QUESTIONS_MAX + 7).filter(|_| resolver.ask(silent)).count(), QUESTIONS_MAX);
    resolver.took_answer();
    // The first ones have left the channel for the places of those that are looked for.
    while !resolver.ask(silent) {
        std::thread::yield_now();
    }
    assert!(!resolver.ask(silent));
    // Dropped now, it does not wait for any of them.
}

#[test]
fn hosts_are_names_of_addresses() {
    let text = "# of this host\n127.0.0.1\tlocalhost loopback\n::1 localhost ip6-localhost # too\n\
                10.0.0.1 one.example one\n10.0.0.1 later\n10.0.0.2\n10.0.0.3 b\u{e4}d\n10.0.0 x\n\
                \n10.0.0.4 x/y\nfe80::1%lo0 zone\n  10.0.0.5   five  ";
    let expected = [
        ("127.0.0.1", "localhost"),
        ("::1", "localhost"),
        ("10.0.0.1", "one.example"),
        ("10.0.0.5", "five"),
    ];
    let expected: HashMap<IpAddr, Box<str>> =
        expected.into_iter().map(|(address, name)| (ip(address), name.into())).collect();
    assert_eq!(hosts(text), expected);
}

#[test]
fn name_servers_are_those_of_resolv_conf_within_its_limits() {
    let of = |addresses: &[&str], timeout, attempts| Servers {
        addresses: addresses.iter().map(|address| (ip(address), 53).into()).collect(),
        timeout: Duration::from_secs(timeout),
        attempts,
    };
    for (text, expected) in [
        ("", of(&["127.0.0.1"], 5, 2)),
        ("search a b\nnameserver 10.0.0.1\n", of(&["10.0.0.1"], 5, 2)),
        ("nameserver ::1 # x\n;nameserver 10.0.0.1\nnameserver x\n", of(&["::1"], 5, 2)),
        (
            "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4",
            of(&["1.1.1.1", "2.2.2.2", "3.3.3.3"], 5, 2),
        ),
        ("options ndots:5 timeout:1 attempts:4 edns0\n", of(&["127.0.0.1"], 1, 4)),
        ("options timeout:0 attempts:0\n", of(&["127.0.0.1"], 1, 1)),
        ("options timeout:99 attempts:99\n", of(&["127.0.0.1"], 30, 5)),
        ("options timeout:-1 attempts:x timeout\nnonsense\n", of(&["127.0.0.1"], 5, 2)),
    ] {
        assert_eq!(servers(text, 53), expected, "{text}");
    }
}
