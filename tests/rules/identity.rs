//! Spans carry the identity of the process that made the request's record.

use obi::model::ids::{KtimeNs, Tgid};
use obi::model::process::ProcessFact;
use obi::telemetry::Counter;

use super::host::{Host, Recv, Send, get, ok};
use crate::support::wire::{TGID, fact};

fn one_exchange(host: &mut Host, conn: u64) {
    host.wire.open(conn);
    host.moves(conn, Recv, &get(&format!("/{conn}")));
    host.moves(conn, Send, &ok(""));
    host.decode();
}

#[test]
fn a_span_is_held_until_its_process_is_known() {
    let mut host = Host::with_unknown_process(16);
    one_exchange(&mut host, 1);
    assert_eq!(host.lines().len(), 0);
    assert_eq!(host.decoder.ledger()[1].in_flight, 1);
    host.decoder.fact(fact(Tgid(999), "other"));
    host.decode();
    assert_eq!(host.lines().len(), 0);
    host.decoder.fact(fact(TGID, "svc"));
    host.decode();
    assert_eq!(host.lines(), ["GET /1 200"]);
    assert_eq!(host.out.service(host.span("/1")).unwrap().name, "svc");
    one_exchange(&mut host, 2);
    assert_eq!(host.lines().len(), 2);
    assert_eq!(host.out.services.len(), 1);
}

#[test]
fn spans_of_a_refused_process_are_dropped_and_counted() {
    let mut host = Host::with_unknown_process(16);
    one_exchange(&mut host, 1);
    let refused = ProcessFact {
        tgid: TGID,
        since: KtimeNs(0),
        service: None,
        threads: obi::model::process::ThreadModel::default(),
        left: false,
    };
    host.decoder.fact(refused);
    one_exchange(&mut host, 2);
    assert_eq!(host.lines().len(), 0);
    assert_eq!(host.count(Counter::ProcessRefused), 2);
    assert_eq!(host.decoder.ledger()[1].in_flight, 0);
}

#[test]
fn a_span_whose_process_stays_unknown_is_dropped_after_five_seconds() {
    let mut host = Host::with_unknown_process(16);
    one_exchange(&mut host, 1);
    host.pause(4999);
    assert_eq!(host.count(Counter::ProcessUnknown), 0);
    host.pause(1);
    assert_eq!(host.count(Counter::ProcessUnknown), 1);
    assert_eq!(host.decoder.ledger()[1].in_flight, 0);
}

#[test]
fn held_spans_are_bounded() {
    let mut host = Host::with_unknown_process(16);
    host.wire.open(1);
    for _ in 0..4097 {
        host.moves(1, Recv, &get("/x"));
        host.moves(1, Send, &ok(""));
    }
    host.decode();
    assert_eq!(host.decoder.ledger()[1].in_flight, 4096);
    assert_eq!(host.count(Counter::HeldFull), 1);
    host.decoder.fact(fact(TGID, "svc"));
    host.decode();
    assert_eq!(host.lines().len(), 4096);
}

#[test]
fn what_a_process_leaves_in_the_middle_is_over_and_what_it_answers_unseen_is_nobodys() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/before"));
    let since = host.wire.tick();
    let refused = ProcessFact { since, service: None, left: true, ..fact(TGID, "") };
    host.decoder.fact(refused);
    host.moves(1, Recv, &get("/on-its-way"));
    host.pause(1);
    assert_eq!(host.lines(), ["GET /before -"]);
    assert_eq!(host.count(Counter::ProcessRefused), 1);

    // Observed again, with positions that the hooks count: nothing tells what they did not see.
    let since = host.wire.tick();
    host.decoder.fact(ProcessFact { since, ..fact(TGID, "again") });
    host.moves(1, Send, &ok("of a request that nobody saw"));
    host.moves(1, Recv, &get("/after"));
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["GET /before -", "GET /after 200"]);
    let services = ["/before", "/after"].map(|path| {
        let span = host.span(path);
        host.out.service(span).map(|service| service.name.clone())
    });
    assert_eq!(services, ["svc", "again"].map(|name| Some(name.to_owned())));
    assert_eq!(host.decoder.ledger()[1].in_flight, 0);
}
