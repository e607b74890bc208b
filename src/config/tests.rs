use std::time::Duration;

use super::value::{Raw, boolean, count, go_duration_ns};
use super::*;

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

#[test]
fn every_default_is_the_contract_s() {
    let loaded = from_env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]).unwrap();
    let config = loaded.config;
    assert_eq!(loaded.notices, Vec::<String>::new());
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
    assert!(!traces.insecure_skip_verify);
    assert_eq!(traces.headers, vec![]);
}

#[test]
fn nothing_configured_means_every_process_as_text() {
    let config = load(None, &env(&[]), Purpose::Observe).unwrap().config;
    assert!(config.selection.everything);
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
    assert!(!load(None, &ports, Purpose::Record).unwrap().config.selection.everything);
    assert!(load(None, &printer, Purpose::Record).unwrap().config.selection.everything);
    let replayed = |env| load(None, env, Purpose::Replay).unwrap().config.agent.trace_printer;
    assert_eq!(replayed(&printer), TracePrinter::Json);
    assert_eq!(replayed(&ports), TracePrinter::Text);
    for one in [&ports, &printer] {
        assert!(load(None, one, Purpose::Diagnose).is_ok());
    }
    let unknown = env(&[("OTEL_EBPF_TARGET_PID", "17")]);
    assert!(load(None, &unknown, Purpose::Record).is_err());
}

#[test]
fn a_selector_that_is_not_acted_on_never_means_every_process() {
    let text = problem(load(None, &env(&[("OTEL_EBPF_TARGET_PID", "17")]), Purpose::Observe));
    assert!(text.contains("OTEL_EBPF_TARGET_PID is not acted on yet"), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yml");
    std::fs::write(&path, "discovery:\n  instrument:\n    - open_ports: 80\n").unwrap();
    let text = problem(load(Some(&path), &env(&[]), Purpose::Observe));
    assert!(text.contains("discovery.instrument is not acted on yet"), "{text}");
}

#[test]
fn environment_beats_file_beats_default_leaf_by_leaf() {
    let yaml = "log_level: WARN\nshutdown_timeout: 3s\nopen_port: 8080\nservice_name: from-file\n";
    let config = from_yaml(yaml, &[("OTEL_EBPF_LOG_LEVEL", "ERROR")]).unwrap().config;
    assert_eq!(config.agent.log_level, LogLevel::Error);
    assert_eq!(config.agent.shutdown_timeout, Duration::from_secs(3));
    assert_eq!(config.selection.service_name, "from-file");
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
    assert_eq!(loaded.notices, ["log_format \"xml\" is neither text nor json: text is used"]);
    let loaded = from_env(&[("OTEL_EBPF_LOG_FORMAT", "JSON")]).unwrap();
    assert_eq!(loaded.config.agent.log_format, LogFormat::Json);
}

#[test]
fn every_bad_value_names_its_variable_the_value_and_what_is_allowed() {
    for (name, value, allowed) in [
        ("OTEL_EBPF_LOG_LEVEL", "loud", "DEBUG, INFO, WARN, ERROR"),
        ("OTEL_EBPF_LOG_LEVEL", "INFO+x", "DEBUG, INFO, WARN, ERROR"),
        ("OTEL_EBPF_TRACE_PRINTER", "TEXT", "disabled, counter, text, json, json_indent"),
        ("OTEL_EBPF_SHUTDOWN_TIMEOUT", "10", "a duration with a unit"),
        ("OTEL_EBPF_SHUTDOWN_TIMEOUT", "-1s", "0 or more"),
        ("OTEL_EBPF_OPEN_PORT", "80,,81", "ports between 1 and 65535"),
        ("OTEL_EBPF_OPEN_PORT", "70000", "ports between 1 and 65535"),
        ("OTEL_EBPF_OPEN_PORT", "90-80", "ports between 1 and 65535"),
        ("OTEL_EBPF_OPEN_PORT", "0", "ports between 1 and 65535"),
        ("OTEL_EBPF_AUTO_TARGET_EXE", "*/[ab", "a glob"),
        ("OTEL_EBPF_AUTO_TARGET_EXE", "{a,b", "a glob"),
        ("OTEL_EBPF_BPF_FRONT_END", "uprobe", "auto, tracepoint, fentry, kprobe"),
        ("OTEL_EBPF_FAULT", "kernel", "reader, decoder_queue, exporter, connections"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "localhost:4317", "a URL with scheme and host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c", "a URL with scheme and host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "a URL with scheme and host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:99999", "a URL with scheme and host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:///run/c", "not supported yet"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "thrift", "grpc, http/protobuf, http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "debug", "OTEL_EBPF_TRACE_PRINTER"),
        ("OTEL_EBPF_INSECURE_SKIP_VERIFY", "yes", "true or false"),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE", "-1", "a whole number"),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE", "1e3", "a whole number"),
        ("OTEL_EBPF_OTLP_TRACES_QUEUE_SIZE", "8191", "twice OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE"),
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
fn a_bad_yaml_value_names_its_key_and_file() {
    for (yaml, key, allowed) in [
        ("shutdown_timeout: 0", "shutdown_timeout in ", "a duration with a unit"),
        ("trace_printer: \"\"", "trace_printer in ", "disabled, counter"),
        ("open_port: [80, \"90-91\"]", "open_port in ", "ports between"),
        ("open_port: {a: 1}", "open_port in ", "ports between"),
        ("service_name: 1.10", "service_name in ", "in quotes"),
        ("otel_traces_export:\n  queue_size: 1.5", "otel_traces_export.queue_size in ", "whole"),
        ("otel_traces_export:\n  endpoint: c:1", "otel_traces_export.endpoint in ", "a URL"),
        ("ebpf: 5", "ebpf in ", "must be a mapping"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("obi.yml");
        std::fs::write(&path, yaml).unwrap();
        let text = problem(load(Some(&path), &env(&[]), Purpose::Observe));
        assert!(text.starts_with(key), "{text}");
        assert!(text.contains("obi.yml"), "{text}");
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
        ("a: [", "did not find"),
        ("log_level: INFO\nlog_level: WARN", "duplicate"),
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
    assert_eq!(loaded.notices, ["x is not a known setting and has no effect"]);
    let scalar = from_yaml("service_name: 42\nopen_port: 0x50", &[]).unwrap().config;
    assert_eq!(scalar.selection.service_name, "42");
    assert_eq!(scalar.selection.ports.ranges(), [(80, 80)]);
}

#[test]
fn what_is_not_acted_on_is_reported_by_name() {
    let yaml = "log_level: INFO\nrouts: {a: 1}\nroutes:\n  unmatched: path\n  typo: 1\n\
                discovery:\n  exclude_instrument: []\nattributes:\n  select:\n    \"*\": {include: [x]}\n\
                name_resolver:\notel_traces_export:\n  sampler: {name: always_on}\nottel.endpoint: 1\n";
    let vars = [
        ("OTEL_EBPF_CONTEXT_PROPAGATION", "all"),
        ("OTEL_EBPF_BPF_DEBUG", "true"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("PATH", "/bin"),
        ("OTEL_EBPF_TRACE_PRINTR", ""),
    ];
    let unknown = "is not a known setting and has no effect";
    let known = "is accepted but not acted on yet";
    assert_eq!(
        from_yaml(yaml, &vars).unwrap().notices,
        [
            format!("routs {unknown}"),
            format!("routes.unmatched {known}"),
            format!("routes.typo {unknown}"),
            format!("discovery.exclude_instrument {known}"),
            format!("attributes.select {known}"),
            format!("name_resolver {known}"),
            format!("otel_traces_export.sampler.name {known}"),
            format!("ottel.endpoint {unknown}"),
            format!("OTEL_EBPF_BPF_DEBUG {known}"),
            format!("OTEL_EBPF_CONTEXT_PROPAGATION {unknown}"),
            format!("OTEL_TRACES_SAMPLER {known}"),
        ]
    );
}

#[test]
fn a_setting_is_either_acted_on_or_reported_never_both() {
    let keys = all_keys();
    for key in &keys {
        assert!(!known::covers(key.path), "{}", key.path);
        for var in key.vars {
            assert!(!known::VARS.contains(var), "{var}");
            let users = keys.iter().filter(|k| k.vars.contains(var)).count();
            assert_eq!(users, 1, "{var}");
        }
    }
    assert_eq!(keys.len(), 24);
    assert!(known::KEYS.is_sorted() && known::VARS.is_sorted());
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
        let ports = from_env(&[("OTEL_EBPF_OPEN_PORT", written)]).unwrap().config.selection.ports;
        assert_eq!(ports.ranges(), ranges, "{written}");
        let yaml = format!("open_port: \"{written}\"");
        assert_eq!(from_yaml(&yaml, &[]).unwrap().config.selection.ports, ports);
    }
    let ports = from_yaml("open_port: [443, 80]", &[]).unwrap().config.selection.ports;
    assert_eq!(ports.iter().collect::<Vec<_>>(), [80, 443]);
    assert!(ports.contains(80) && ports.contains(443));
    assert!(!ports.contains(79) && !ports.contains(81) && !ports.contains(65535));
    assert_eq!(PortSet::default().iter().count(), 0);
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
        let exe = from_env(&[("OTEL_EBPF_AUTO_TARGET_EXE", glob)]).unwrap().config.selection.exe;
        assert_eq!(exe.unwrap().matches(path), matches, "{glob} on {path}");
    }
}

#[test]
fn aliases_serve_when_the_main_variable_is_not_set() {
    let alias = ("OTEL_GO_AUTO_TARGET_EXE", "*/alias");
    let vars = env(&[alias, ("OTEL_EBPF_TRACE_PRINTER", "text")]);
    let config = load(None, &vars, Purpose::Observe).unwrap().config;
    assert_eq!(config.selection.exe.unwrap().pattern(), "*/alias");
    assert_eq!(from_env(&[alias]).unwrap().config.selection.exe.unwrap().pattern(), "*");
    let names = [("OTEL_EBPF_SERVICE_NAME", "b"), ("OTEL_SERVICE_NAME", "${APP}-$TIER")];
    let config = from_env(&[&names[..1], &[("OTEL_EBPF_SERVICE_NAMESPACE", "n")]].concat());
    let selection = config.unwrap().config.selection;
    assert_eq!((selection.service_name.as_str(), selection.service_namespace.as_str()), ("b", "n"));
    let expanded = [&names[..], &[("APP", "shop"), ("TIER", "web")]].concat();
    assert_eq!(from_env(&expanded).unwrap().config.selection.service_name, "shop-web");
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
fn booleans_and_counts_depend_on_where_they_are_written() {
    for (raw, value) in [
        (Raw::Env("t".into()), Some(true)),
        (Raw::Env("False".into()), Some(false)),
        (Raw::Env("on".into()), None),
        (Raw::Text("on".into()), Some(true)),
        (Raw::Text("No".into()), Some(false)),
        (Raw::Text("1".into()), None),
        (Raw::Bool(true), Some(true)),
        (Raw::Int(1), None),
    ] {
        assert_eq!(boolean(&raw).ok(), value, "{raw:?}");
    }
    for (raw, value) in [
        (Raw::Env("12".into()), Some(12)),
        (Raw::Env("0x10".into()), None),
        (Raw::Text("1_000".into()), Some(1000)),
        (Raw::Int(7), Some(7)),
        (Raw::Int(-7), None),
        (Raw::Float(7.0), None),
    ] {
        assert_eq!(count(&raw).ok(), value, "{raw:?}");
    }
}

#[test]
fn the_traces_url_follows_the_contract_s_path_rule() {
    fn traces(vars: &[(&str, &str)]) -> OtlpConfig {
        from_env(vars).unwrap().config.traces.unwrap()
    }
    let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let common = "OTEL_EXPORTER_OTLP_ENDPOINT";
    for (var, written, url) in [
        (own, "http://c:4318", "http://c:4318/v1/traces"),
        (own, "http://c:4318/", "http://c:4318/v1/traces"),
        (own, "http://c:4318/v1/traces", "http://c:4318/v1/traces"),
        (own, "https://c/x", "https://c/x/v1/traces"),
        (own, "https://c/x/v1/traces", "https://c/x/v1/traces"),
        (common, "http://c:4318", "http://c:4318/v1/traces"),
        (common, "http://c:4318/otlp/", "http://c:4318/otlp/v1/traces"),
        (common, "http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        (common, "http://c:4317/x", "http://c:4317"),
    ] {
        assert_eq!(traces(&[(var, written)]).url, url, "{var}={written}");
    }
    let both = traces(&[(own, "http://own"), (common, "http://common")]);
    assert_eq!(both.url, "http://own/v1/traces");
    let yaml = "otel_traces_export:\n  endpoint: http://file";
    let config = from_yaml(yaml, &[(common, "http://common")]).unwrap().config;
    assert_eq!(config.traces.unwrap().url, "http://file/v1/traces");
}

#[test]
fn the_protocol_is_explicit_or_guessed_by_port() {
    use OtlpProtocol::{Grpc, HttpProtobuf};
    fn protocol(endpoint: &str, vars: &[(&str, &str)]) -> OtlpProtocol {
        let vars = [vars, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]].concat();
        from_env(&vars).unwrap().config.traces.unwrap().protocol
    }
    assert_eq!(protocol("http://c:4317", &[]), Grpc);
    assert_eq!(protocol("http://c:14317", &[]), Grpc);
    assert_eq!(protocol("http://c:4318", &[]), HttpProtobuf);
    assert_eq!(protocol("https://c", &[]), HttpProtobuf);
    let common = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json");
    assert_eq!(protocol("http://c:4318", &[common]), Grpc);
    assert_eq!(protocol("http://c:4317", &[common, own]), HttpProtobuf);
    let yaml = "otel_traces_export:\n  endpoint: http://c:1\n  protocol: grpc";
    assert_eq!(from_yaml(yaml, &[]).unwrap().config.traces.unwrap().protocol, Grpc);
    let skip = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4317"),
        ("OTEL_EBPF_INSECURE_SKIP_VERIFY", "true"),
    ];
    assert!(problem(from_env(&skip)).contains("not supported with gRPC"));
}

#[test]
fn headers_are_overlaid_and_never_shown() {
    let vars = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer ${TOKEN}, x-a=1,=no,empty="),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "X-A=2,x-b=a=b"),
        ("TOKEN", "secret"),
    ];
    let headers = from_env(&vars).unwrap().config.traces.unwrap().headers;
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(
        headers,
        [pair("authorization", "Bearer secret"), pair("x-a", "2"), pair("x-b", "a=b")]
    );
    let text = problem(from_env(&[("OTEL_EXPORTER_OTLP_HEADERS", "bad name=hush")]));
    assert!(text.starts_with("OTEL_EXPORTER_OTLP_HEADERS") && !text.contains("hush"), "{text}");
    let text = problem(from_env(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b,hush")]));
    assert!(text.contains("has no '='") && !text.contains("hush"), "{text}");
    let text = problem(from_env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://me:hush@c/x")]));
    assert!(text.contains("ftp://c/x") && !text.contains("hush"), "{text}");
}

#[test]
fn batch_queue_and_backoff_follow_the_contract_s_zeroes() {
    fn traces(vars: &[(&str, &str)]) -> OtlpConfig {
        let vars = [vars, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")]].concat();
        from_env(&vars).unwrap().config.traces.unwrap()
    }
    let (batch, queue) =
        ("OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE", "OTEL_EBPF_OTLP_TRACES_QUEUE_SIZE");
    assert_eq!(traces(&[(batch, "10"), (queue, "0")]).batch.queue_size, 40);
    assert_eq!(traces(&[(batch, "10"), (queue, "20")]).batch.queue_size, 20);
    let unlimited = traces(&[(batch, "0"), (queue, "0")]).batch;
    assert_eq!((unlimited.max_size, unlimited.queue_size), (usize::MAX, 16384));
    let traces = traces(&[
        ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "0"),
        ("OTEL_EBPF_BACKOFF_INITIAL_INTERVAL", "1ms"),
        ("OTEL_EBPF_BACKOFF_MAX_INTERVAL", "0"),
        ("OTEL_EBPF_BACKOFF_MAX_ELAPSED_TIME", "2s"),
    ]);
    assert_eq!(traces.batch.timeout, Duration::ZERO);
    assert_eq!(traces.backoff.initial, Duration::from_millis(1));
    assert_eq!(traces.backoff.max, Duration::from_secs(30));
    assert_eq!(traces.backoff.max_elapsed, Duration::from_secs(2));
}

#[test]
fn resource_attributes_of_the_agent_are_substituted_pairs() {
    let vars = [("OTEL_RESOURCE_ATTRIBUTES", "a=1, b = ${B:-x} ,c=,=d"), ("B", "y")];
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(
        from_env(&vars).unwrap().config.resource_attributes,
        [pair("a", "1"), pair("b", "y")]
    );
}

#[test]
fn a_refusal_names_the_misspelt_setting_that_may_be_its_cause() {
    let vars = env(&[("OTEL_EBPF_OPEN_PORTT", "80"), ("OTEL_EBPF_TRACE_PRINTER", "text")]);
    let error = load(None, &vars, Purpose::Observe).expect_err("nothing is selected");
    assert!(error.problems[0].contains("no process is selected"), "{error}");
    assert!(error.problems[1].starts_with("OTEL_EBPF_OPEN_PORTT is not a known"), "{error}");
}
