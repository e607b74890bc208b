//! Names of the two sides, with a real resolver that has them out of a file or asks a real server.

use std::path::Path;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::known::WAIT;
use super::*;
use crate::model::conn::ConnEnds;
use crate::model::time::instant_now;
use crate::resolver::tests::server::{Says, Server, setup};
use crate::resolver::{QUESTIONS_MAX, Setup};
use crate::semconv::SpanFamily;
use crate::stages::decorator::tests::{add, endpoint};
use crate::stages::decorator::waiting::{WAITING_SPANS, WAITING_TEXT, Waiting};
use crate::stages::decorator::{Decorator, Output, ledger};
use crate::telemetry::Counter;

#[test]
fn addresses_are_written_as_the_formatter_writes_them() {
    for n in 0..=255 {
        let address = Ipv4Addr::new(n, 255 - n, 0, n / 2);
        let mut text = Vec::new();
        write_v4(&mut text, address);
        assert_eq!(String::from_utf8(text).unwrap(), address.to_string());
    }
}

const CACHE: DnsConfig = DnsConfig { cache_len: 1024, cache_expiry: Duration::from_secs(300) };

/// A system whose file has these lines and whose name servers are nowhere.
fn only_hosts(dir: &Path, hosts: &str) -> Setup {
    setup(dir, hosts, &["127.0.0.3:1".parse().unwrap()])
}

/// A decorator that runs, and what comes out of it.
struct Running {
    tx: crossbeam_channel::Sender<SpanBatch>,
    out: Receiver<Arc<SpanBatch>>,
    counters: Arc<Counters>,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    fn start(with: impl FnOnce(Decorator) -> Decorator) -> Self {
        let ((tx, rx), (out_tx, out)) = (bounded(64), bounded(64));
        let counters = Arc::new(Counters::default());
        let decorator = with(Decorator::new(Arc::clone(&counters)));
        let output: Output = Box::new(move |batch| out_tx.send(batch).unwrap());
        let run = move || decorator.run(&rx, vec![output]);
        let thread = std::thread::Builder::new().spawn(run).unwrap();
        Self { tx, out, counters, thread }
    }

    fn asking(setup: Setup, config: DnsConfig) -> Self {
        Self::start(|decorator| decorator.with_dns(Resolver::start(setup).unwrap(), config))
    }

    fn decorate(&self, batch: SpanBatch) -> Arc<SpanBatch> {
        self.tx.send(batch).unwrap();
        self.out.recv().unwrap()
    }

    /// Ends it; gives what was counted: spans named late; addresses asked for; answers with a name,
    /// with none, and failures; addresses that were not asked for.
    fn stop(self, spans: u64) -> [u64; 6] {
        drop(self.tx);
        self.thread.join().unwrap();
        assert_eq!(self.out.try_iter().count(), 0);
        let stage = ledger(&self.counters);
        assert_eq!((stage.in_, stage.out, stage.in_flight), (spans, spans, 0));
        counted(&self.counters)
    }
}

fn counted(counters: &Counters) -> [u64; 6] {
    [
        Counter::SpansNamedLate,
        Counter::NamesAsked,
        Counter::NamesFound,
        Counter::NamesNone,
        Counter::NamesFailed,
        Counter::NamesNotAsked,
    ]
    .map(|counter| counters.get(counter))
}

/// A batch with a span for each pair of addresses: of who asks and who answers.
fn batch(family: SpanFamily, ends: &[[&str; 2]]) -> SpanBatch {
    let mut batch = SpanBatch::default();
    let service = Service { name: "basket".into(), namespace: "shop".into(), ..Service::default() };
    batch.services.push(Arc::new(service));
    for [client, server] in ends {
        let ends = ConnEnds { client: endpoint(client, 1), server: endpoint(server, 2) };
        add(&mut batch, family, ends, 0, &[]);
    }
    batch
}

fn servers(ends: &[[&str; 2]]) -> SpanBatch {
    batch(HttpServer, ends)
}

/// What each span calls the two sides.
fn sides(batch: &SpanBatch) -> Vec<[&str; 2]> {
    let keys = [AttrKey::ClientAddress, AttrKey::ServerAddress];
    batch.spans.iter().map(|span| keys.map(|key| batch.attr_text(span, key))).collect()
}

const NAMES: &str = "10.0.0.1 own.example\n10.0.0.2 cart.shop.svc.cluster.local\n\
                     10.0.0.3 cart.bank.svc.cluster.local\n10.0.0.4 10-0-0-4.db.shop\n\
                     10.0.0.5 10.0.0.5\n2001:db8::7 six.example\n";

/// Addresses of the observed side and of the other one, the host that is asked for, the service's
/// namespace; `server.address`, `client.address`, `service.peer.name`, and what of the latter two is the
/// other side's name without its namespace, and its namespace.
type Row = (SpanFamily, [&'static str; 2], &'static str, &'static str, [&'static str; 5]);

fn check(rows: &[Row], with: impl FnOnce(Decorator) -> Decorator) {
    let running = Running::start(with);
    for (family, [own, other], host, namespace, expected) in rows {
        let client = family.kind() == SpanKind::Client;
        let [from, to] = if client { [own, other] } else { [other, own] };
        let mut batch = SpanBatch::default();
        let (name, namespace) = ("basket".to_owned(), (*namespace).to_owned());
        batch.services.push(Arc::new(Service { name, namespace, ..Service::default() }));
        let ends = ConnEnds { client: endpoint(from, 1), server: endpoint(to, 2) };
        add(&mut batch, *family, ends, 0, &[(AttrKey::HttpHost, host)]);
        let done = running.decorate(batch);
        let keys = [
            AttrKey::ServerAddress,
            AttrKey::ClientAddress,
            AttrKey::ServicePeerName,
            AttrKey::PeerName,
            AttrKey::PeerNamespace,
        ];
        let names = keys.map(|key| done.attr_text(&done.spans[0], key));
        assert_eq!(names, *expected, "{family:?} {own} {other} {host}");
    }
    running.stop(rows.len() as u64);
}

use SpanFamily::{HttpClient, HttpServer};

#[test]
fn what_dns_has_for_an_address_is_the_name_of_that_side() {
    let dir = tempfile::tempdir().unwrap();
    let rows: &[Row] = &[
        // The host is the side that answers, the peer the one that asks.
        (HttpServer, ["10.0.0.1", "10.0.0.2"], "", "shop", ["own.example", "cart", "", "", "shop"]),
        (HttpServer, ["10.0.0.9", "10.0.0.2"], "", "", ["basket", "cart.shop", "", "", ""]),
        (HttpServer, ["10.0.0.9", "10.0.0.8"], "x", "shop", ["basket", "10.0.0.8", "", "", ""]),
        (HttpServer, ["10.0.0.5", "10.0.0.5"], "", "", ["basket", "10.0.0.5", "", "", ""]),
        (HttpServer, ["10.0.0.4", "10.0.0.4"], "", "shop", ["db", "db", "", "", "shop"]),
        (HttpServer, ["2001:db8::8", "2001:db8::7"], "", "", ["basket", "six.example", "", "", ""]),
        // server.address is what was asked for, service.peer.name what it is called.
        (
            HttpClient,
            ["10.0.0.1", "10.0.0.3"],
            "pay",
            "shop",
            ["pay", "own.example", "cart.bank", "", "shop"],
        ),
        (
            HttpClient,
            ["10.0.0.9", "10.0.0.2"],
            "",
            "",
            ["cart.shop", "basket", "cart.shop", "", ""],
        ),
        (HttpClient, ["10.0.0.9", "10.0.0.8"], "pay", "", ["pay", "basket", "pay", "", ""]),
        (HttpClient, ["10.0.0.9", "10.0.0.8"], "", "", ["10.0.0.8", "basket", "10.0.0.8", "", ""]),
    ];
    check(rows, |decorator| {
        let resolver = Resolver::start(only_hosts(dir.path(), NAMES)).unwrap();
        decorator.with_dns(resolver, CACHE)
    });
}

/// A host of a cluster.
const CART: &str = "cart.shop.svc.cluster.local";

#[test]
fn the_host_that_a_request_names_may_be_a_service_of_a_cluster() {
    let to = ["10.0.0.9", "10.0.0.8"];
    let rows: &[Row] = &[
        (HttpClient, to, CART, "", [CART, "basket", "cart.shop", "cart", "shop"]),
        (HttpClient, to, CART, "bank", [CART, "basket", "cart.shop", "cart", "shop"]),
        (HttpClient, to, CART, "shop", [CART, "basket", "cart", "", "shop"]),
        (HttpClient, to, "pay.example.", "shop", ["pay.example.", "basket", "pay.example", "", ""]),
        (HttpClient, to, "pay", "shop", ["pay", "basket", "pay", "", ""]),
        (HttpServer, to, CART, "", ["basket", "10.0.0.8", "", "", ""]),
    ];
    check(rows, |decorator| decorator);
}

#[test]
fn without_the_section_there_are_addresses() {
    let to = ["10.0.0.9", "10.0.0.8"];
    let rows: &[Row] = &[
        (HttpClient, to, CART, "", [CART, "10.0.0.9", "10.0.0.8", "", ""]),
        (HttpClient, to, "", "", ["10.0.0.8", "10.0.0.9", "10.0.0.8", "", ""]),
        (HttpServer, to, "", "", ["10.0.0.9", "10.0.0.8", "", "", ""]),
    ];
    check(rows, |decorator| decorator.with_names(false));
}

#[test]
fn each_address_is_asked_for_once_and_the_first_span_has_its_name() {
    let names = [("10.0.0.1", Says::Name("one.example.")), ("10.0.0.2", Says::Nobody)];
    let (server, dir) = (Server::start(&names), tempfile::tempdir().unwrap());
    let running = Running::asking(server.setup(dir.path(), ""), CACHE);
    let ends = [["10.0.0.1", "10.0.0.2"], ["10.0.0.2", "10.0.0.1"], ["10.0.0.1", "10.0.0.1"]];
    for _ in 0..5 {
        let done = running.decorate(servers(&ends));
        let expected = [["one.example", "basket"], ["10.0.0.2", "one.example"], ["one.example"; 2]];
        assert_eq!(sides(&done), expected);
    }
    assert_eq!(running.stop(15), [0, 2, 1, 1, 0, 0]);
    assert_eq!(names.map(|(address, _)| server.asked(address)), [1, 1]);
}

#[test]
fn behind_its_time_an_address_is_asked_for_again_a_nameless_one_too() {
    let names = [("10.0.0.1", Says::Name("one.example.")), ("10.0.0.2", Says::Nobody)];
    let (server, dir) = (Server::start(&names), tempfile::tempdir().unwrap());
    let config = DnsConfig { cache_expiry: Duration::from_nanos(1), ..CACHE };
    let running = Running::asking(server.setup(dir.path(), ""), config);
    for n in 1..=3 {
        let done = running.decorate(servers(&[["10.0.0.1", "10.0.0.2"]]));
        assert_eq!(sides(&done), [["one.example", "basket"]]);
        assert_eq!(names.map(|(address, _)| server.asked(address)), [n, n]);
    }
    assert_eq!(running.stop(3), [0, 6, 3, 3, 0, 0]);
}

#[test]
fn a_server_that_never_answers_holds_nothing_up_for_long_and_order_is_kept() {
    let server = Server::start(&[("10.9.0.1", Says::Silence), ("10.9.0.2", Says::Silence)]);
    let dir = tempfile::tempdir().unwrap();
    let running = Running::asking(server.setup(dir.path(), "10.0.0.1 one\n"), CACHE);
    running.tx.send(servers(&[["10.9.0.1", "10.0.0.1"], ["10.0.0.1", "10.0.0.1"]])).unwrap();
    // One that is known, behind one that waits.
    running.tx.send(servers(&[["10.0.0.1", "10.0.0.1"]])).unwrap();
    let first = running.out.recv().unwrap();
    assert_eq!(sides(&first), [["10.9.0.1", "one"], ["one", "one"]]);
    assert_eq!(sides(&running.out.recv().unwrap()), [["one", "one"]]);
    // What was waited for in vain is not waited for again.
    let again = running.decorate(servers(&[["10.0.0.1", "10.9.0.1"]]));
    assert_eq!(sides(&again), [["one", "basket"]]);
    // Two spans at the end, and a server that would take two seconds.
    running.tx.send(servers(&[["10.9.0.2", "10.9.0.2"]; 2])).unwrap();
    let Running { tx, out, counters, thread } = running;
    drop(tx);
    thread.join().unwrap();
    assert_eq!(sides(&out.recv().unwrap()), [["10.9.0.2", "basket"]; 2]);
    let stage = ledger(&counters);
    assert_eq!((stage.in_, stage.out, stage.in_flight), (6, 6, 0));
    let late = counters.get(Counter::SpansNamedLate);
    assert_eq!((late, counters.get(Counter::NamesAsked)), (4, 3));
}

#[test]
fn spans_that_wait_are_bounded() {
    let server = Server::start(&[("10.9.0.1", Says::Silence)]);
    let dir = tempfile::tempdir().unwrap();
    let counters = Arc::new(Counters::default());
    let resolver = Resolver::start(server.setup(dir.path(), "")).unwrap();
    let mut names = Names::default().with_dns(resolver, CACHE, Arc::clone(&counters));
    let (now, mut waiting) = (instant_now(), Waiting::default());
    let spans = WAITING_SPANS / 4;
    let mut push = |waiting: &mut Waiting, spans: usize, text: usize| {
        let mut batch = servers(&vec![["10.9.0.1", "10.9.0.1"]; spans]);
        batch.text.resize(text, b'x');
        let wanted = names.want(&batch, now);
        assert_eq!((wanted.addresses.len(), wanted.until), (2 * spans, now + WAIT));
        waiting.push(batch, wanted);
        waiting.pop(&names, &counters, now).map(|batch| batch.spans.len())
    };
    for _ in 0..4 {
        assert_eq!(push(&mut waiting, spans, 0), None);
    }
    assert_eq!(push(&mut waiting, 1, 0), Some(spans));
    assert_eq!(counted(&counters), [spans as u64, 1, 0, 0, 0, 0]);
    // The same of their text.
    let mut waiting = Waiting::default();
    assert_eq!(push(&mut waiting, 7, WAITING_TEXT), None);
    assert_eq!(push(&mut waiting, 1, 1), Some(7));
}

#[test]
fn questions_under_way_and_addresses_remembered_are_bounded() {
    let (server, dir) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let counters = Arc::new(Counters::default());
    let (resolver, answers) = Resolver::start(server.setup(dir.path(), "")).unwrap();
    let config = DnsConfig { cache_len: 2 * QUESTIONS_MAX, ..CACHE };
    let mut known = Known::new((resolver, answers.clone()), config, Arc::clone(&counters));
    let address = |n: usize| Ipv4Addr::from(0x0a00_0000 + u32::try_from(n).unwrap());
    let now = instant_now();
    let asked = |known: &mut Known, range: std::ops::Range<usize>| {
        range.filter(|n| known.want(address(*n).to_ipv6_mapped(), now).is_some()).count()
    };
    assert_eq!(asked(&mut known, 0..QUESTIONS_MAX + 5), QUESTIONS_MAX);
    assert_eq!(counted(&counters), [0, QUESTIONS_MAX as u64, 0, 0, 0, 5]);
    for answer in answers.iter().take(QUESTIONS_MAX) {
        known.learn(answer);
    }
    assert_eq!(counters.get(Counter::NamesNone), QUESTIONS_MAX as u64);
    // Those of a newer batch are remembered, as many as there is room for.
    for round in 1..8 {
        known.begin();
        let range = round * 1000..round * 1000 + 1000;
        asked(&mut known, range);
        assert!(known.len() <= 2 * QUESTIONS_MAX, "{}", known.len());
        while let Ok(answer) = answers.recv_timeout(Duration::from_millis(500)) {
            known.learn(answer);
        }
    }
    let before = counters.get(Counter::NamesAsked);
    assert_eq!(asked(&mut known, 7000..8000), 0, "the last ones are known");
    assert_eq!(counters.get(Counter::NamesAsked), before);
}
