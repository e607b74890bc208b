use super::*;

fn judge(port: Option<u16>, exe: &str) -> Discovery {
    let host = HostFacts { name: "h".to_owned(), ..HostFacts::default() };
    let exe = exe.to_owned();
    let selectors = Selectors {
        everything: false,
        ports: port.map(|p| p..=p).into_iter().collect(),
        exe: (!exe.is_empty()).then(|| Box::new(move |path: &str| path.ends_with(&exe)) as _),
        service_name: String::new(),
        service_namespace: String::new(),
    };
    Discovery::new(selectors, host)
}

fn exec(tgid: u32, at: u64, path: &str, environ: &[u8]) -> ProcessRecord {
    ProcessRecord::Exec {
        at: KtimeNs(at),
        tgid: Tgid(tgid),
        ns_tgid: tgid,
        path: Some(path.to_owned()),
        environ: environ.to_vec(),
        environ_truncated: false,
    }
}

fn name(decisions: &[Decision]) -> Option<&str> {
    decisions.last()?.fact.service.as_deref().map(|s| s.name.as_str())
}

#[test]
fn an_executable_is_selected_at_its_exec_and_named_after_it() {
    let mut d = judge(None, "/curl");
    let decisions = d.on_record(exec(4_000_001, 7, "/usr/bin/curl", b"A=b\0"));
    assert_eq!(name(&decisions), Some("curl"));
    assert_eq!(decisions[0].fact.since, KtimeNs(7));
    let selected =
        ProcessEvent::Selected { tgid: Tgid(4_000_001), ns_tgid: 4_000_001, adopt: false };
    assert_eq!(decisions[0].event, Some(selected));
    let decisions = d.on_record(exec(4_000_002, 8, "/usr/bin/wget", b"A=b\0"));
    assert_eq!(decisions[0].event, Some(ProcessEvent::Refused { tgid: Tgid(4_000_002) }));
    assert_eq!(decisions[0].fact.service, None);
}

#[test]
fn the_environment_names_the_service() {
    let mut d = judge(None, "/curl");
    let env =
        b"OTEL_SERVICE_NAME=\0OTEL_RESOURCE_ATTRIBUTES=service.name=x,service.namespace=n,a=b\0";
    let decisions = d.on_record(exec(4_000_001, 7, "/usr/bin/curl", env));
    let service = decisions[0].fact.service.clone().unwrap();
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
    assert_eq!(refused[0].fact.service, None);
    let listen = |tgid| ProcessRecord::Listen {
        at: KtimeNs(2),
        tgid: Tgid(tgid),
        ns_tgid: tgid,
        port: 8080,
        selected: false,
    };
    assert_eq!(name(&d.on_record(listen(4_000_001))), Some("app"));
    d.on_record(exec(4_000_002, 1, "/x/other", b"A=b\0"));
    assert_eq!(d.on_record(listen(4_000_002))[0].fact.service, None);
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
    let service = decisions[0].fact.service.clone().unwrap();
    assert_eq!((service.name.as_str(), service.instance_id.as_str()), ("app", "h:9"));
    assert_eq!(decisions[0].fact.since, KtimeNs(5));
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
    let chosen: Vec<u32> = decisions.iter().map(|d| d.fact.tgid.0).collect();
    assert_eq!(chosen, [10, 11, 12]);
    assert_eq!(name(&decisions), own.rsplit('/').next());
}
