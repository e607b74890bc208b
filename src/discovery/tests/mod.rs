mod reload;

use super::*;
use crate::model::selector::{Criterion, Pattern, Selector};

fn judge(port: Option<u16>, exe: &str) -> Discovery {
    let host = HostFacts { name: "h".to_owned(), ..HostFacts::default() };
    let ports = port.map(|p| Criterion::OpenPorts(Numbers::new(vec![(p.into(), p.into())])));
    let path = Some(exe.to_owned())
        .filter(|exe| !exe.is_empty())
        .map(|exe| Criterion::ExePath(Pattern::new(exe.clone(), move |path| path.ends_with(&exe))));
    let selector = Selector {
        name: "the only one".to_owned(),
        criteria: ports.into_iter().chain(path).collect(),
        refinement: Refinement::default(),
    };
    let selectors = Selectors { include: vec![selector], exclude: Vec::new() };
    Discovery::new(selectors, host, Arc::new(Counters::default()))
}

fn exec(tgid: u32, at: u64, path: &str, environ: &[u8]) -> ProcessRecord {
    ProcessRecord::Exec {
        at: KtimeNs(at),
        tgid: Tgid(tgid),
        ns_tgid: tgid,
        image: image(path, environ),
    }
}

fn image(path: &str, environ: &[u8]) -> ProcessImage {
    ProcessImage { path: Some(path.to_owned()), environ: environ.to_vec(), environ_whole: true }
}

fn fact(decisions: &[Decision]) -> &ProcessFact {
    decisions[0].fact.as_ref().unwrap()
}

fn name(decisions: &[Decision]) -> Option<&str> {
    decisions.last()?.fact.as_ref()?.service.as_deref().map(|s| s.name.as_str())
}

#[test]
fn an_executable_is_selected_at_its_exec_and_named_after_it() {
    let mut d = judge(None, "/curl");
    let decisions = d.on_record(exec(4_000_001, 7, "/usr/bin/curl", b"A=b\0"));
    assert_eq!(name(&decisions), Some("curl"));
    assert_eq!(fact(&decisions).since, KtimeNs(7));
    let tgid = Tgid(4_000_001);
    let since = KtimeNs(7);
    let selected = ProcessEvent::Selected { tgid, ns_tgid: tgid.0, since, adopt: false };
    assert_eq!(decisions[0].event, Some(selected));
    let decisions = d.on_record(exec(4_000_002, 8, "/usr/bin/wget", b"A=b\0"));
    assert_eq!(
        decisions[0].event,
        Some(ProcessEvent::Refused { tgid: Tgid(4_000_002), since: KtimeNs(8) })
    );
    assert_eq!(fact(&decisions).service, None);
}

#[test]
fn the_environment_names_the_service() {
    let mut d = judge(None, "/curl");
    let env =
        b"OTEL_SERVICE_NAME=\0OTEL_RESOURCE_ATTRIBUTES=service.name=x,service.namespace=n,a=b\0";
    let decisions = d.on_record(exec(4_000_001, 7, "/usr/bin/curl", env));
    let service = fact(&decisions).service.clone().unwrap();
    assert_eq!((service.name.as_str(), service.namespace.as_str()), ("x", "n"));
    assert_eq!(service.extra.last(), Some(&("a".to_owned(), "b".to_owned())));
    assert_eq!(service.instance_id, "h:4000001");
    let env = b"OTEL_SERVICE_NAME=y\0OTEL_RESOURCE_ATTRIBUTES=service.name=x\0";
    assert_eq!(name(&d.on_record(exec(4_000_001, 9, "/usr/bin/curl", env))), Some("y"));
}

#[test]
fn executable_and_port_must_both_match() {
    let mut d = judge(Some(8080), "/app");
    let refused = d.on_record(exec(4_000_001, 1, "/x/app", b"A=b\0"));
    assert_eq!(fact(&refused).service, None);
    let listen = |tgid| ProcessRecord::Listen {
        at: KtimeNs(2),
        tgid: Tgid(tgid),
        ns_tgid: tgid,
        port: 8080,
        image: image("/x/app", b"A=b\0"),
    };
    assert_eq!(name(&d.on_record(listen(4_000_001))), Some("app"));
    d.on_record(exec(4_000_002, 1, "/x/other", b"A=b\0"));
    assert_eq!(fact(&d.on_record(listen(4_000_002))).service, None);
}

#[test]
fn a_child_inherits_the_decision_but_has_its_own_instance() {
    let mut d = judge(None, "/app");
    d.on_record(exec(4_000_001, 1, "/x/app", b"A=b\0"));
    let decisions = d.on_record(ProcessRecord::Fork {
        at: KtimeNs(5),
        parent: Tgid(4_000_001),
        child: Tgid(4_000_009),
        child_ns_tgid: 9,
    });
    let service = fact(&decisions).service.clone().unwrap();
    assert_eq!((service.name.as_str(), service.instance_id.as_str()), ("app", "h:9"));
    assert_eq!(fact(&decisions).since, KtimeNs(5));
}

#[test]
fn what_was_there_before_is_selected_with_its_children() {
    let me = std::process::id();
    let own = procfs::executable(me).unwrap();
    let mut d = judge(Some(8080), "");
    let task = |tgid: u32, parent: u32| TaskFact {
        tgid: Tgid(tgid),
        ns_tgid: me,
        parent: Tgid(parent),
        started: KtimeNs(1),
    };
    let tasks = [task(10, 1), task(11, 10), task(12, 11), task(20, 1)];
    let listener = ListenerFact { tgid: Tgid(10), ns_tgid: me, port: 8080 };
    let decisions =
        d.start(&tasks, &[listener, ListenerFact { port: 81, tgid: Tgid(20), ..listener }]);
    let chosen: Vec<u32> = decisions.iter().map(|d| d.fact.as_ref().unwrap().tgid.0).collect();
    assert_eq!(chosen, [10, 11, 12]);
    assert_eq!(name(&decisions), own.rsplit('/').next());
}

#[test]
fn a_listener_that_is_selected_already_is_answered_all_the_same() {
    let mut d = judge(Some(8080), "/app");
    let tgid = Tgid(4_000_001);
    let listen = |at| ProcessRecord::Listen {
        at: KtimeNs(at),
        tgid,
        ns_tgid: tgid.0,
        port: 8080,
        image: ProcessImage::default(),
    };
    d.on_record(exec(tgid.0, 1, "/x/app", b"A=b\0"));
    assert_eq!(name(&d.on_record(listen(2))), Some("app"));
    let since = KtimeNs(3);
    let event = ProcessEvent::Selected { tgid, ns_tgid: tgid.0, since, adopt: false };
    assert_eq!(d.on_record(listen(3)), [Decision { event: Some(event), fact: None }]);
}

#[test]
fn what_is_remembered_goes_with_the_process() {
    let mut d = judge(None, "/app");
    for (tgid, path) in [(4_000_001, "/x/app"), (4_000_002, "/x/other")] {
        let tgid = Tgid(tgid);
        d.on_record(exec(tgid.0, 1, path, b"A=b\0"));
        let decisions = d.on_record(ProcessRecord::Exit { at: KtimeNs(2), tgid });
        let event = Some(ProcessEvent::Exited { tgid });
        assert_eq!(decisions, [Decision { event, fact: None }]);
    }
    assert!(d.processes.is_empty());
}

#[test]
fn a_process_that_finds_no_room_is_refused_and_counted() {
    let mut d = judge(None, "/app");
    for tgid in (4_000_001..).take(PROCESSES_MAX) {
        d.processes.insert(Tgid(tgid), Process::default());
    }
    let decisions = d.on_record(exec(5_000_000, 7, "/x/app", b"A=b\0"));
    assert_eq!(fact(&decisions).service, None);
    assert_eq!(d.counters.get(Counter::DiscoveryProcessesFull), 1);
}

fn task(tgid: u32, parent: u32) -> TaskFact {
    let (tgid, parent) = (Tgid(tgid), Tgid(parent));
    TaskFact { tgid, ns_tgid: tgid.0, parent, started: KtimeNs(0) }
}

/// Processes besides `first` that are selected when it begins to listen on port 80.
fn selected_with(first: u32, tasks: &[TaskFact], owners: &[u32]) -> Vec<Tgid> {
    let mut d = judge(Some(80), "");
    d.on_record(ProcessRecord::Listen {
        at: KtimeNs(5),
        tgid: Tgid(first),
        ns_tgid: first,
        port: 80,
        image: image("/usr/bin/node", b"A=b\0"),
    });
    let owner = |tgid: &u32| ListenerFact { tgid: Tgid(*tgid), ns_tgid: *tgid, port: 80 };
    let owners: Vec<_> = owners.iter().map(owner).collect();
    d.select_workers(KtimeNs(5), tasks, &owners);
    let inherited = d.decisions.drain(..).map(|decision| match decision.event {
        Some(ProcessEvent::Inherited { tgid, .. }) => tgid,
        other => panic!("{other:?}"),
    });
    inherited.collect()
}

#[test]
fn who_begins_to_listen_is_selected_with_its_workers_and_with_the_master_that_owns_the_port() {
    // The only process that surely runs.
    let own = std::process::id();
    let (a, b) = (4_000_001, 4_000_002);
    let below = [task(a, 1), task(b, a), task(own, b)];
    assert_eq!(selected_with(a, &below, &[a]), [Tgid(own)]);
    assert_eq!(selected_with(1, &below, &[1]), [], "what is below init is not its workers");
    let above = [task(own, 1), task(a, own)];
    assert_eq!(selected_with(a, &above, &[a, own]), [Tgid(own)]);
    assert_eq!(selected_with(a, &above, &[a]), [], "who does not own the port is no master");
    let beside = [task(own, 1), task(a, 1)];
    assert_eq!(selected_with(a, &beside, &[a, own]), [], "who is no relative tells of itself");
}

#[test]
fn a_child_takes_after_its_parent_whatever_it_becomes_unless_it_is_excluded() {
    let named = |name: &str, exe: &'static str, says: Option<&str>| Selector {
        name: name.to_owned(),
        criteria: vec![Criterion::ExePath(Pattern::new(exe.to_owned(), move |p| p == exe))],
        refinement: Refinement { name: says.map(str::to_owned), ..Refinement::default() },
    };
    let selectors = Selectors {
        include: vec![named("a", "/x/app", Some("shop")), named("b", "/x/app", None)],
        exclude: vec![named("c", "/x/sh", None)],
    };
    let mut d = Discovery::new(selectors, HostFacts::default(), Arc::new(Counters::default()));
    let (parent, child) = (4_000_001, 4_000_002);
    assert_eq!(name(&d.on_record(exec(parent, 1, "/x/app", b"A=b\0"))), Some("shop"));
    let fork = ProcessRecord::Fork {
        at: KtimeNs(2),
        parent: Tgid(parent),
        child: Tgid(child),
        child_ns_tgid: child,
    };
    assert_eq!(name(&d.on_record(fork.clone())), Some("shop"));
    assert_eq!(name(&d.on_record(exec(child, 3, "/x/helper", b"A=b\0"))), Some("shop"));
    assert_eq!(name(&d.on_record(exec(child, 4, "/x/sh", b"A=b\0"))), None);
    // Who was excluded hands nothing on.
    assert_eq!(name(&d.on_record(exec(child, 5, "/x/helper", b"A=b\0"))), None);
    assert_eq!(name(&d.on_record(exec(4_000_003, 6, "/x/helper", b"A=b\0"))), None);
}

#[test]
fn a_selector_that_matches_nothing_is_told_with_what_comes_nearest() {
    let me = std::process::id();
    let own = procfs::executable(me).unwrap();
    let tasks = [TaskFact { tgid: Tgid(10), ns_tgid: me, parent: Tgid(1), started: KtimeNs(1) }];
    let listeners = [ListenerFact { tgid: Tgid(10), ns_tgid: me, port: 8081 }];
    let exe = |text: &str, matches: bool| {
        Criterion::ExePath(Pattern::new(text.to_owned(), move |_| matches))
    };
    let port = |port: u32| Criterion::OpenPorts(Numbers::new(vec![(port, port)]));
    let named = |name: &str, criteria| Selector {
        name: name.to_owned(),
        criteria,
        refinement: Refinement::default(),
    };
    let near = format!("{}x", own.rsplit('/').next().unwrap());
    let cases = [
        (vec![exe(&near, false)], format!("{own} ({me})")),
        (vec![port(8080), exe("any", true)], format!("{own} ({me}), open_ports is 8081")),
        (vec![exe("any", true), port(1)], format!("{own} ({me}), open_ports is 8081")),
        (vec![exe("any", true)], format!("{own} ({me}), but the exclusion excludes it")),
    ];
    for (criteria, nearest) in cases {
        let include = vec![named("it", criteria)];
        let exclude = vec![named("the exclusion", vec![exe("own", true)])];
        let counters = Arc::new(Counters::default());
        let mut d = Discovery::new(Selectors { include, exclude }, HostFacts::default(), counters);
        d.start(&tasks, &listeners);
        d.survey(&tasks, &listeners);
        let ports = HashMap::from([(Tgid(10), vec![8081])]);
        let selector = d.selectors.include[0].clone();
        assert_eq!(d.nearest(&selector, &ports), Some(nearest));
    }
}
