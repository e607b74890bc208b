mod contract;
mod examples;
mod file;
mod metrics;
mod migrate;
mod properties;
mod rules;
mod secrets;
mod traces;

use std::time::Duration;

use super::duration::{go_duration, go_duration_ns};
use super::*;
use crate::model::selector::{Criterion, Numbers, Pattern};

fn env(vars: &[(&str, &str)]) -> Environment {
    vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Every process is selected by name and printed, so that a test adds only what it is about.
const BASE: [(&str, &str); 2] =
    [("OTEL_EBPF_AUTO_TARGET_EXE", "*"), ("OTEL_EBPF_TRACE_PRINTER", "text")];

fn from_env(vars: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    load(None, &env(&[&BASE[..], vars].concat()), Purpose::Observe)
}

fn from_yaml(yaml: &str, vars: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("obi.yml");
    std::fs::write(&path, yaml).unwrap();
    load(Some(&path), &env(&[&BASE[..], vars].concat()), Purpose::Observe)
}

#[track_caller]
fn problem(result: Result<Loaded, ConfigError>) -> String {
    let error = result.expect_err("the configuration must be refused");
    assert_eq!(error.problems.len(), 1, "{error}");
    error.problems[0].clone()
}

/// What the only selector asks of ports and executables.
fn ports(config: &Config) -> Numbers {
    config.selection.ports()
}

fn exe(config: &Config) -> Pattern {
    let criteria = config.selection.include.iter().flat_map(|s| &s.criteria);
    let mut exes = criteria.filter_map(|c| match c {
        Criterion::ExePath(pattern) => Some(pattern.clone()),
        _ => None,
    });
    exes.next().unwrap()
}

fn selects_everything(config: &Config) -> bool {
    config.selection.include.iter().any(|selector| selector.criteria.is_empty())
}

#[test]
fn every_default_is_the_contract_s() {
    let loaded = from_env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]).unwrap();
    let config = loaded.config;
    assert_eq!(loaded.notices, [""; 0]);
    assert_eq!(config.agent.log_level, LogLevel::Info);
    assert_eq!(config.agent.log_format, LogFormat::Text);
    assert_eq!(config.agent.shutdown_timeout, Duration::from_secs(10));
    assert_eq!(config.agent.ledger_file, None);
    assert_eq!(config.ebpf, EbpfConfig { front_end: FrontEnd::Auto });
    let traces = config.traces.unwrap();
    assert_eq!(
        traces.batch,
        BatchConfig { max_size: 4096, queue_size: 16384, timeout: Duration::from_secs(15) }
    );
    assert_eq!(traces.backoff.initial, Duration::from_secs(5));
    assert_eq!(traces.backoff.max, Duration::from_secs(30));
    assert_eq!(traces.backoff.max_elapsed, Duration::from_secs(300));
    assert!(!traces.endpoint.tls.skip_verify);
    assert_eq!(traces.endpoint.headers, vec![]);
}

#[test]
fn nothing_configured_means_every_process_as_text() {
    let config = load(None, &env(&[]), Purpose::Observe).unwrap().config;
    assert!(selects_everything(&config));
    assert_eq!(config.agent.trace_printer, TracePrinter::Text);
    assert!(config.traces.is_none());
}

#[test]
fn a_selector_needs_an_exporter_and_the_reverse() {
    let selector = problem(load(None, &env(&[("OTEL_EBPF_OPEN_PORT", "80")]), Purpose::Observe));
    assert!(selector.contains("at least one exporter"), "{selector}");
    assert!(selector.contains("OTEL_EBPF_TRACE_PRINTER"), "{selector}");
    assert!(selector.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{selector}");
    for exporter in [
        ("OTEL_EBPF_TRACE_PRINTER", "text"),
        ("OTEL_EBPF_TRACE_PRINTER", "disabled"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
    ] {
        let text = problem(load(None, &env(&[exporter]), Purpose::Observe));
        assert!(text.contains("at least one feature"), "{text}");
        assert!(text.contains("OTEL_EBPF_OPEN_PORT"), "{text}");
        assert!(text.contains("OTEL_EBPF_AUTO_TARGET_EXE"), "{text}");
    }
}

#[test]
fn a_recorder_needs_no_exporter_a_replay_no_selector_and_a_diagnosis_neither() {
    let ports = env(&[("OTEL_EBPF_OPEN_PORT", "80")]);
    let printer = env(&[("OTEL_EBPF_TRACE_PRINTER", "json")]);
    assert!(!selects_everything(&load(None, &ports, Purpose::Record).unwrap().config));
    assert!(selects_everything(&load(None, &printer, Purpose::Record).unwrap().config));
    let replayed = |env| load(None, env, Purpose::Replay).unwrap().config.agent.trace_printer;
    assert_eq!(replayed(&printer), TracePrinter::Json);
    assert_eq!(replayed(&ports), TracePrinter::Text);
    for one in [&ports, &printer] {
        assert!(load(None, one, Purpose::Diagnose).is_ok());
    }
}

#[test]
fn environment_beats_file_beats_default_leaf_by_leaf() {
    let yaml = "log_level: WARN\nshutdown_timeout: 3s\nopen_port: 8080\nservice_name: from-file\n";
    let config = from_yaml(yaml, &[("OTEL_EBPF_LOG_LEVEL", "ERROR")]).unwrap().config;
    assert_eq!(config.agent.log_level, LogLevel::Error);
    assert_eq!(config.agent.shutdown_timeout, Duration::from_secs(3));
    assert_eq!(config.selection.include[0].refinement.name.as_deref(), Some("from-file"));
    assert_eq!(config.agent.log_format, LogFormat::Text);
    let empty = from_yaml(yaml, &[("OTEL_EBPF_LOG_LEVEL", "")]).unwrap().config;
    assert_eq!(empty.agent.log_level, LogLevel::Warn, "an empty variable is an unset one");
}

#[test]
fn the_path_variable_beats_the_option() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.yml"), dir.path().join("b.yml"));
    std::fs::write(&a, "log_level: DEBUG").unwrap();
    std::fs::write(&b, "log_level: ERROR").unwrap();
    let b = b.to_str().unwrap();
    let vars = env(&[&BASE[..], &[("OTEL_EBPF_CONFIG_PATH", b)]].concat());
    assert_eq!(
        load(Some(&a), &vars, Purpose::Observe).unwrap().config.agent.log_level,
        LogLevel::Error
    );
}

#[test]
fn each_text_setting_takes_what_the_contract_allows() {
    fn level(v: &str) -> LogLevel {
        from_env(&[("OTEL_EBPF_LOG_LEVEL", v)]).unwrap().config.agent.log_level
    }
    for (written, meant) in [
        ("debug", LogLevel::Debug),
        ("Info", LogLevel::Info),
        ("WARN", LogLevel::Warn),
        ("error", LogLevel::Error),
        ("INFO+2", LogLevel::Warn),
        ("INFO+4", LogLevel::Warn),
        ("DEBUG-1", LogLevel::Trace),
        ("debug+4", LogLevel::Info),
        ("ERROR+8", LogLevel::Error),
    ] {
        assert_eq!(level(written), meant, "{written}");
    }
    for (written, meant) in [
        ("disabled", TracePrinter::Disabled),
        ("counter", TracePrinter::Counter),
        ("text", TracePrinter::Text),
        ("json", TracePrinter::Json),
        ("json_indent", TracePrinter::JsonIndent),
    ] {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        let vars = [("OTEL_EBPF_TRACE_PRINTER", written), endpoint];
        assert_eq!(from_env(&vars).unwrap().config.agent.trace_printer, meant);
    }
    for (written, meant) in [
        ("auto", FrontEnd::Auto),
        ("tracepoint", FrontEnd::Tracepoint),
        ("fentry", FrontEnd::Fentry),
        ("kprobe", FrontEnd::Kprobe),
    ] {
        let config = from_env(&[("OTEL_EBPF_BPF_FRONT_END", written)]).unwrap().config;
        assert_eq!(config.ebpf.front_end, meant);
        let config = from_yaml(&format!("ebpf:\n  front_end: {written}"), &[]).unwrap().config;
        assert_eq!(config.ebpf.front_end, meant);
    }
    for (written, meant) in [
        ("reader", Fault::Reader),
        ("decoder_queue", Fault::DecoderQueue),
        ("exporter", Fault::Exporter),
        ("connections", Fault::Connections),
    ] {
        let config = from_env(&[("OTEL_EBPF_FAULT", written)]).unwrap().config;
        assert_eq!(config.agent.fault, Some(meant));
    }
    let config = from_env(&[("OTEL_EBPF_LEDGER_FILE", "/run/l.json")]).unwrap().config;
    assert_eq!(config.agent.ledger_file, Some(PathBuf::from("/run/l.json")));
}

#[test]
fn an_unknown_log_format_is_text_and_a_notice() {
    let loaded = from_env(&[("OTEL_EBPF_LOG_FORMAT", "xml")]).unwrap();
    assert_eq!(loaded.config.agent.log_format, LogFormat::Text);
    assert_eq!(
        loaded.notices,
        ["OTEL_EBPF_LOG_FORMAT = \"xml\": is neither text nor json, text is used"]
    );
    let loaded = from_env(&[("OTEL_EBPF_LOG_FORMAT", "JSON")]).unwrap();
    assert_eq!(loaded.config.agent.log_format, LogFormat::Json);
}

#[test]
fn every_bad_value_names_its_variable_the_value_and_what_is_allowed() {
    for (name, value, allowed) in [
        ("OTEL_EBPF_LOG_LEVEL", "loud", "DEBUG, INFO, WARN or ERROR"),
        ("OTEL_EBPF_LOG_LEVEL", "INFO+x", "DEBUG, INFO, WARN or ERROR"),
        ("OTEL_EBPF_TRACE_PRINTER", "TEXT", "disabled, counter, text, json, json_indent"),
        ("OTEL_EBPF_SHUTDOWN_TIMEOUT", "10", "a duration with a unit"),
        ("OTEL_EBPF_SHUTDOWN_TIMEOUT", "-1s", "0s or more"),
        ("OTEL_EBPF_OPEN_PORT", "80,,81", "numbers from 1 to 65535"),
        ("OTEL_EBPF_OPEN_PORT", "70000", "numbers from 1 to 65535"),
        ("OTEL_EBPF_OPEN_PORT", "90-80", "numbers from 1 to 65535"),
        ("OTEL_EBPF_OPEN_PORT", "0", "numbers from 1 to 65535"),
        ("OTEL_EBPF_AUTO_TARGET_EXE", "*/[ab", "a glob"),
        ("OTEL_EBPF_AUTO_TARGET_EXE", "{a,b", "a glob"),
        ("OTEL_EBPF_BPF_FRONT_END", "uprobe", "auto, tracepoint, fentry, kprobe"),
        ("OTEL_EBPF_FAULT", "kernel", "reader, decoder_queue, exporter, connections"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "localhost:4317", "a URL with scheme and host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c", "a URL with scheme and host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "a URL with scheme and host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:99999", "a URL with scheme and host"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "debug", "OTEL_EBPF_TRACE_PRINTER"),
        ("OTEL_EBPF_INSECURE_SKIP_VERIFY", "yes", "true or false"),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE", "-1", "a whole number"),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE", "1e3", "a whole number"),
        ("OTEL_EBPF_OTLP_TRACES_QUEUE_SIZE", "8191", "twice otel_traces_export.batch_max_size"),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "1 s", "a duration"),
        ("OTEL_EBPF_BACKOFF_INITIAL_INTERVAL", "x", "a duration"),
        ("OTEL_EBPF_BACKOFF_MAX_INTERVAL", "x", "a duration"),
        ("OTEL_EBPF_BACKOFF_MAX_ELAPSED_TIME", "x", "a duration"),
    ] {
        let text = problem(from_env(&[(name, value)]));
        assert!(text.starts_with(name), "{text}");
        assert!(text.contains(value), "{text}");
        assert!(text.contains(allowed), "{name}: {text}");
    }
}

#[test]
fn a_variable_of_two_settings_is_wrong_for_both() {
    let error = from_env(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "thrift")]).unwrap_err();
    let wrong =
        "OTEL_EXPORTER_OTLP_PROTOCOL = \"thrift\": must be one of grpc, http/protobuf, http/json";
    assert_eq!(error.problems, [wrong.to_owned(), format!("{wrong}, debug")]);
}

#[test]
fn a_bad_yaml_value_names_its_key_and_file() {
    for (yaml, key, allowed) in [
        ("shutdown_timeout: 0", "1: shutdown_timeout = 0:", "a duration with a unit"),
        ("trace_printer: \"\"", "1: trace_printer = \"\":", "disabled, counter"),
        ("trace_printer: txt", "1: trace_printer = txt:", "did you mean text?"),
        ("open_port: [80, \"90-91\"]", "1: open_port = [80, \"90-91\"]:", "numbers from 1"),
        ("\nopen_port: {a: 1}", "2: open_port = a mapping:", "numbers from 1"),
        (
            "otel_traces_export:\n  queue_size: 1.x",
            "2: otel_traces_export.queue_size = 1.x:",
            "whole",
        ),
        ("otel_traces_export:\n  endpoint: c:1", "2: otel_traces_export.endpoint = c:1:", "a URL"),
        ("ebpf: 5", "1: ebpf:", "must be a mapping"),
        (
            "discovery:\n  instrument:\n  - exe_pth: x",
            "3: discovery.instrument[0].exe_pth:",
            "exe_path?",
        ),
        (
            "discovery:\n  instrument:\n  - open_ports: x",
            "3: discovery.instrument[0].open_ports = x:",
            "numbers",
        ),
        ("discovery:\n  instrument:\n  - name: x", "3: discovery.instrument[0]:", "a criterion"),
        (
            "discovery:\n  services:\n  - exe_path: '('",
            "3: discovery.services[0].exe_path = \"(\":",
            "unclosed",
        ),
        (
            "metrics:\n  features: [aplication]",
            "2: metrics.features[0] = aplication:",
            "application?",
        ),
        ("network:\n  cidrs:\n  - 10.0.0.0/33", "3: network.cidrs[0] = 10.0.0.0/33:", "a network"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("obi.yml");
        std::fs::write(&path, yaml).unwrap();
        let text = problem(load(Some(&path), &env(&BASE), Purpose::Observe));
        assert!(text.starts_with(&format!("{}:{key}", path.display())), "{text}");
        assert!(text.contains(allowed), "{text}");
    }
}

#[test]
fn all_mistakes_are_reported_together() {
    let error =
        from_yaml("log_level: x\nopen_port: y", &[("OTEL_EBPF_BPF_FRONT_END", "z")]).unwrap_err();
    assert_eq!(error.problems.len(), 3, "{error}");
    assert_eq!(error.to_string().lines().count(), 3);
}

#[test]
fn an_unusable_file_is_refused_with_its_name() {
    let text = problem(load(Some(Path::new("/does/not/exist.yml")), &env(&[]), Purpose::Observe));
    assert!(text.contains("/does/not/exist.yml: No such file"), "{text}");
    for (yaml, why) in [
        ("a: [", "not YAML"),
        ("log_level: INFO\nlog_level: WARN", "obi.yml:2: log_level stands twice"),
        ("- a", "must hold a mapping"),
        ("file_format: \"1.0\"", "config v2"),
        ("extensions: {obi: {version: \"2.0\"}}", "config v2"),
    ] {
        let text = problem(from_yaml(yaml, &[]));
        assert!(text.contains("obi.yml") && text.contains(why), "{text}");
    }
}

#[test]
fn yaml_features_of_the_contract_work() {
    for yaml in ["", "# nothing\n", "---\n", "log_level:\notel_traces_export:\n"] {
        let loaded = from_yaml(yaml, &[]).unwrap();
        assert_eq!(loaded.config.agent.log_level, LogLevel::Info);
        assert_eq!(loaded.notices, Vec::<String>::new(), "{yaml:?}");
    }
    let merged = "x: &x {front_end: fentry}\nebpf:\n  <<: *x\n---\nlog_level: ERROR";
    let loaded = from_yaml(merged, &[]).unwrap();
    assert_eq!(loaded.config.ebpf.front_end, FrontEnd::Fentry);
    assert_eq!(loaded.config.agent.log_level, LogLevel::Info, "only the first document counts");
    assert!(loaded.notices[0].ends_with(":1: x is not a known setting and has no effect"));
    assert_eq!(loaded.notices.len(), 1);
    let scalar = from_yaml("service_name: 42\nopen_port: 0x50", &[]).unwrap().config;
    assert_eq!(scalar.selection.include[0].refinement.name.as_deref(), Some("42"));
    assert_eq!(ports(&scalar).ranges(), [(80, 80)]);
    let exact = from_yaml("service_name: 1.10", &[]).unwrap().config;
    assert_eq!(exact.selection.include[0].refinement.name.as_deref(), Some("1.10"));
}

#[test]
fn what_has_no_effect_is_reported_by_name_and_place() {
    let yaml = "log_level: INFO\nrouts: {a: 1}\nroutes:\n  unmatched: path\n  typo: 1\n\
                attributes:\n  select:\n    \"*\": {include: [x]}\n\
                otel_traces_export:\n  sampler: {name: always_on}\n  instrumentations: [htp]\n\
                ottel.endpoint: 1\nebpf:\n  instrument_gpu: true\n";
    let vars = [
        ("OTEL_EBPF_CONTEXT_PROPAGATION", "all"),
        ("OTEL_EBPF_BPF_DEBUG", "true"),
        ("OTEL_EBPF_OPEN_PORTS", "80"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ("PATH", "/bin"),
        ("OTEL_EBPF_TRACE_PRINTR", ""),
    ];
    let loaded = from_yaml(yaml, &vars).unwrap();
    let short = |text: &String| match text.split_once("obi.yml:") {
        Some((_, rest)) => rest.to_owned(),
        None => text.clone(),
    };
    let unknown = "is not a known setting and has no effect";
    let known = "is accepted but not acted on yet";
    assert_eq!(
        loaded.notices.iter().map(short).collect::<Vec<_>>(),
        [
            format!("2: routs {unknown}; did you mean routes?"),
            format!("5: routes.typo {unknown}"),
            "11: otel_traces_export.instrumentations: \"htp\" has no effect; did you mean http?"
                .to_owned(),
            format!("12: ottel.endpoint {unknown}"),
            "14: ebpf.instrument_gpu has no effect any more; write ebpf.instrument_cuda".to_owned(),
            "OTEL_EBPF_CONTEXT_PROPAGATION has no effect any more; write \
             OTEL_EBPF_BPF_CONTEXT_PROPAGATION"
                .to_owned(),
            format!("OTEL_EBPF_OPEN_PORTS {unknown}; did you mean OTEL_EBPF_OPEN_PORT?"),
            format!("OTEL_EBPF_BPF_DEBUG {known}"),
            format!("11: otel_traces_export.instrumentations {known}"),
        ]
    );
}

#[test]
fn system_paths_are_the_contract_s_unless_others_are_given() {
    let paths = |yaml| from_yaml(yaml, &[]).unwrap().config.excluded_system_paths;
    let system = ["/lib/systemd/", "/usr/lib/systemd/", "/usr/libexec/", "/sbin/", "/usr/sbin/"];
    assert_eq!(paths(""), system);
    assert_eq!(paths("discovery: {excluded_linux_system_paths: [/opt/]}"), ["/opt/"]);
    assert_eq!(paths("discovery: {excluded_linux_system_paths: []}"), [""; 0]);
}

#[test]
fn ports_are_lists_and_ranges() {
    for (written, ranges) in [
        ("8080", vec![(8080, 8080)]),
        ("80, 443 ,8000-8999", vec![(80, 80), (443, 443), (8000, 8999)]),
        ("443,80", vec![(80, 80), (443, 443)]),
        ("80-90,85-95,96", vec![(80, 96)]),
        ("8080-0", vec![(8080, 8080)]),
        ("1-65535", vec![(1, 65535)]),
    ] {
        let read = ports(&from_env(&[("OTEL_EBPF_OPEN_PORT", written)]).unwrap().config);
        assert_eq!(read.ranges(), ranges, "{written}");
        let yaml = format!("open_port: \"{written}\"");
        assert_eq!(ports(&from_yaml(&yaml, &[]).unwrap().config), read);
    }
    let read = ports(&from_yaml("open_port: [443, 80]", &[]).unwrap().config);
    assert_eq!(read.ranges(), [(80, 80), (443, 443)]);
    assert!(read.contains(80) && read.contains(443));
    assert!(!read.contains(79) && !read.contains(81) && !read.contains(65535));
    assert!(Numbers::default().is_empty());
}

#[test]
fn executable_globs_match_the_whole_path_and_stars_cross_slashes() {
    for (glob, path, matches) in [
        ("*", "/usr/bin/nginx", true),
        ("*/nginx", "/usr/sbin/nginx", true),
        ("*/nginx", "/usr/sbin/nginx-debug", false),
        ("nginx", "/usr/sbin/nginx", false),
        ("/opt/**/app", "/opt/a/b/app", true),
        ("/opt/**/app", "/opt/app", false),
        ("*/{python3,node}", "/usr/bin/node", true),
        ("*/{python3,node}", "/usr/bin/ruby", false),
        ("*/python3.1[0-3]", "/usr/bin/python3.12", true),
        ("*/a[!b]", "/x/ac", true),
        ("*/a[!b]", "/x/ab", false),
        ("/a?c", "/a/c", true),
        ("*/\\*", "/x/*", true),
        ("*/\\*", "/x/y", false),
    ] {
        let exe = exe(&from_env(&[("OTEL_EBPF_AUTO_TARGET_EXE", glob)]).unwrap().config);
        assert_eq!(exe.matches(path), matches, "{glob} on {path}");
    }
}

#[test]
fn aliases_serve_when_the_main_variable_is_not_set() {
    let alias = ("OTEL_GO_AUTO_TARGET_EXE", "*/alias");
    let vars = env(&[alias, ("OTEL_EBPF_TRACE_PRINTER", "text")]);
    let config = load(None, &vars, Purpose::Observe).unwrap().config;
    assert_eq!(exe(&config).text(), "*/alias");
    assert_eq!(exe(&from_env(&[alias]).unwrap().config).text(), "*");
    let names = [("OTEL_EBPF_SERVICE_NAME", "b"), ("OTEL_SERVICE_NAME", "${APP}-$TIER")];
    let config = from_env(&[&names[..1], &[("OTEL_EBPF_SERVICE_NAMESPACE", "n")]].concat());
    let said = config.unwrap().config.selection.include[0].refinement.clone();
    assert_eq!((said.name.as_deref(), said.namespace.as_deref()), (Some("b"), Some("n")));
    let expanded = [&names[..], &[("APP", "shop"), ("TIER", "web")]].concat();
    let said = from_env(&expanded).unwrap().config.selection.include[0].refinement.clone();
    assert_eq!(said.name.as_deref(), Some("shop-web"));
}

#[test]
fn placeholders_are_replaced_once_before_the_file_is_parsed() {
    let vars = env(&[("A", "1"), ("NEST", "${A}"), ("EMPTY", "")]);
    for (written, read) in [
        ("${A}", "1"),
        ("$(A)", "1"),
        ("${A)", "1"),
        ("${env:A}$(env:A)", "11"),
        ("<${NONE}>", "<>"),
        ("${NONE:-d e}", "d e"),
        ("${EMPTY:-d}", "d"),
        ("${A:-d}", "1"),
        ("${NONE:-}", ""),
        ("$${A}", "${A}"),
        ("$$(A)", "$(A)"),
        ("$A $$A $", "$A $$A $"),
        ("${NEST}", "${A}"),
        ("${A-x} ${A:=x} ${1A} ${A", "${A-x} ${A:=x} ${1A} ${A"),
        ("ü${A}ü", "ü1ü"),
    ] {
        assert_eq!(vars.substitute(written), read, "{written}");
        assert_eq!(vars.substitute(&env::escaped(written)), written, "{written}");
    }
    let config = from_yaml("log_level: ${LEVEL:-WARN}", &[("LEVEL", "ERROR")]).unwrap().config;
    assert_eq!(config.agent.log_level, LogLevel::Error);
}

#[test]
fn durations_are_go_s() {
    for (written, ns) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("5s", Some(5_000_000_000)),
        ("+5s", Some(5_000_000_000)),
        ("-1.5h", Some(-5_400_000_000_000)),
        ("1m30s", Some(90_000_000_000)),
        ("300ms", Some(300_000_000)),
        (".5s", Some(500_000_000)),
        ("1.s", Some(1_000_000_000)),
        ("1us2ns", Some(1_002)),
        ("1µs", Some(1_000)),
        ("1μs", Some(1_000)),
        ("2562047h47m16.854775807s", Some(i64::MAX)),
        ("2562047h47m16.854775808s", None),
        ("", None),
        (".s", None),
        ("5", None),
        ("5 s", None),
        ("s", None),
        ("5d", None),
        ("1e3s", None),
        ("--1s", None),
    ] {
        assert_eq!(go_duration_ns(written), ns, "{written:?}");
    }
}

#[test]
fn durations_are_written_as_go_writes_them() {
    for ns in [
        0,
        1,
        999,
        1_000,
        1_500,
        999_999,
        1_000_000,
        2_500_000,
        1_000_000_000,
        1_500_000_000,
        60_000_000_000,
        90_000_000_000,
        3_600_000_000_000,
        5_400_000_000_001,
        -1_500_000_000,
    ] {
        assert_eq!(go_duration_ns(&go_duration(ns)), Some(ns), "{}", go_duration(ns));
    }
    assert_eq!(go_duration(90_500_000_000), "1m30.5s");
}

#[test]
fn booleans_and_counts_depend_on_where_they_are_written() {
    let skip = "OTEL_EBPF_INSECURE_SKIP_VERIFY";
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c");
    let skips = |l: Loaded| l.config.traces.unwrap().endpoint.tls.skip_verify;
    for (written, by_env, by_yaml) in [
        ("t", Some(true), None),
        ("False", Some(false), Some(false)),
        ("on", None, Some(true)),
        ("No", None, Some(false)),
        ("1", Some(true), None),
        ("true", Some(true), Some(true)),
    ] {
        assert_eq!(from_env(&[endpoint, (skip, written)]).ok().map(skips), by_env, "{written}");
        let yaml = format!("otel_traces_export:\n  insecure_skip_verify: {written}");
        assert_eq!(from_yaml(&yaml, &[endpoint]).ok().map(skips), by_yaml, "{written}");
    }
    let size = |l: Loaded| l.config.traces.unwrap().batch.max_size;
    for (written, by_env, by_yaml) in [
        ("12", Some(12), Some(12)),
        ("0x10", None, Some(16)),
        ("0o17", None, Some(15)),
        ("017", Some(17), Some(15)),
        ("1_000", None, Some(1000)),
        ("'7'", None, Some(7)),
        ("-7", None, None),
        ("7.0", None, Some(7)),
        ("7.9", None, Some(7)),
        ("'7.0'", None, None),
        ("", Some(4096), Some(4096)),
    ] {
        let var = ("OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE", written);
        assert_eq!(from_env(&[endpoint, var]).ok().map(size), by_env, "{written}");
        let yaml = format!("otel_traces_export:\n  batch_max_size: {written}");
        assert_eq!(from_yaml(&yaml, &[endpoint]).ok().map(size), by_yaml, "{written}");
    }
}

#[test]
fn a_refusal_names_the_misspelt_setting_that_may_be_its_cause() {
    let vars = env(&[("OTEL_EBPF_OPEN_PORTT", "80"), ("OTEL_EBPF_TRACE_PRINTER", "text")]);
    let error = load(None, &vars, Purpose::Observe).expect_err("nothing is selected");
    assert!(error.problems[0].contains("no process is selected"), "{error}");
    assert!(error.problems[1].starts_with("OTEL_EBPF_OPEN_PORTT is not a known"), "{error}");
}
