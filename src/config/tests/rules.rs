//! What must hold between settings: one row a rule, with what is wrong and with what is right.

#![expect(clippy::print_stdout, reason = "how many cases there were is part of the result")]

use super::super::{Environment, Purpose, check, load};

/// A document and variables; what is said of it, with its place, or nothing.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// What is said of `yaml`: errors first, each behind what it is, without the folder of the file.
fn said(yaml: &str, vars: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, yaml).unwrap();
    let (problems, notices) = check(&file, &super::env(vars), false);
    let folder = format!("{}/", dir.path().display());
    let short = |texts: Vec<String>| texts.iter().map(|t| t.replace(&folder, "")).collect();
    (short(problems), short(notices))
}

const PROM: &str = "prometheus_export: {port: 9100}\n";

/// Invalid, each for one reason.
const WRONG: &[Case] = &[
    // What is on, and what it needs.
    ("prometheus_export: {port: 9100}", &[], "no process is selected: at least one feature"),
    ("metrics: {features: [network]}", &[], "no process is selected: at least one feature"),
    ("network: {print_flows: true}", &[], "no process is selected: at least one feature"),
    ("network: {source: tc}\ntrace_printer: text", &[], "no process is selected"),
    ("open_port: 80", &[], "processes are selected but nothing is done with their spans"),
    ("network: {enable: yes}", &[], "f:1: network.enable = true: flows go nowhere"),
    ("{}", &[("OTEL_EBPF_NETWORK_METRICS", "true")], "OTEL_EBPF_NETWORK_METRICS = true: flows go"),
    (
        "open_port: 80\nprometheus_export: {port: 9100}\nmetrics:\n  features: [application_span, \
         application_span_otel]",
        &[],
        "f:4: metrics.features = [\"application_span\", \"application_span_otel\"]: application_span \
         and application_span_otel are the same metrics",
    ),
    (
        "open_port: 80\nprometheus_export:\n  port: 9100\n  features: [application_span_otel, \
         application_span]",
        &[("OTEL_EBPF_METRICS_FEATURES", "application")],
        "f:4: prometheus_export.features = ",
    ),
    (
        "open_port: 80\ntrace_printer: text\ninternal_metrics:\n  exporter: otel",
        &[],
        "f:4: internal_metrics.exporter = \"otel\": needs OTLP metrics",
    ),
    (
        "open_port: 80\ninternal_metrics: {exporter: otel, prometheus: {port: 9}}",
        &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c")],
        "f:2: internal_metrics.exporter = \"otel\": cannot be used together with \
         internal_metrics.prometheus.port (9)",
    ),
    (
        "open_port: 80\ntrace_printer: text\notel_traces_export: {batch_max_size: 10, queue_size: 19}",
        &[],
        "f:3: otel_traces_export.queue_size = 19: must be at least twice",
    ),
    (
        "open_port: 80\ntrace_printer: text\njvm_runtime_metrics: {sampling_interval: 0s}",
        &[],
        "f:3: jvm_runtime_metrics.sampling_interval = 0s: must be a duration with a unit, above 0s",
    ),
    // Selectors, those of lists that are not asked included.
    (
        "trace_printer: text\ndiscovery:\n  instrument:\n  - exports: [traces]\n  - exe_path: x",
        &[],
        "f:4: discovery.instrument[0]: must have a criterion",
    ),
    (
        "trace_printer: text\ndiscovery:\n  instrument: [{exe_path: x}]\n  services:\n  - name: x",
        &[],
        "f:5: discovery.services[0]: must have a criterion",
    ),
    (
        "trace_printer: text\ndiscovery:\n  instrument: [{exe_path: x}]\n  exclude_services:\n  - {}",
        &[],
        "f:5: discovery.exclude_services[0]: must have a criterion",
    ),
    (
        "trace_printer: text\nopen_port: 80\ndiscovery:\n  exclude_instrument: [{exe_path: '${X}'}]",
        &[],
        "f:4: discovery.exclude_instrument[0]: must have a criterion",
    ),
    // The log enricher.
    (
        "open_port: 80\ntrace_printer: text\nebpf: {log_enricher: {field_names: {span_id: trace_id}}}",
        &[],
        "f:3: ebpf.log_enricher.field_names.span_id = \"trace_id\": must differ",
    ),
    (
        "open_port: 80\ntrace_printer: text\nebpf: {log_enricher: {field_names: {span_id: 'a b'}}}",
        &[],
        "f:3: ebpf.log_enricher.field_names.span_id = \"a b\": must be a name without",
    ),
    (
        "open_port: 80\ntrace_printer: text\nebpf: {log_enricher: {field_names: {span_id: ''}}}",
        &[],
        "f:3: ebpf.log_enricher.field_names.span_id = \"\": must be a name without",
    ),
    (
        "open_port: 80\ntrace_printer: text\nebpf: {log_enricher: {plain_text: {placement: left}}}",
        &[],
        "f:3: ebpf.log_enricher.plain_text.placement = left: must be one of",
    ),
    (
        "open_port: 80\ntrace_printer: text\nebpf: {log_enricher: {plain_text: {multiline: all}}}",
        &[],
        "f:3: ebpf.log_enricher.plain_text.multiline = all: must be one of",
    ),
    // Networks, interfaces, protocols, addresses.
    (
        "open_port: 80\ntrace_printer: text\nstats: {cidrs: [10.0.0.0/8, {cidr: 1.2.3, name: x}]}",
        &[],
        "f:3: stats.cidrs[1].cidr = 1.2.3: must be a network",
    ),
    (
        "open_port: 80\ntrace_printer: text\nnetwork: {agent_ip_iface: 'name:'}",
        &[],
        "f:3: network.agent_ip_iface = \"name:\": must be external",
    ),
    (
        "open_port: 80\ntrace_printer: text\nstats: {agent_ip_iface: eth0}",
        &[],
        "f:3: stats.agent_ip_iface = eth0: must be external",
    ),
    (
        "open_port: 80\ntrace_printer: text\nstats: {agent_ip: eth0}",
        &[],
        "f:3: stats.agent_ip = eth0: must be an IP address",
    ),
    (
        "open_port: 80\ntrace_printer: text\nnetwork: {protocols: [TCP, QUIC]}",
        &[],
        "f:3: network.protocols[1] = QUIC: must be one of TCP, UDP",
    ),
    (
        "open_port: 80\ntrace_printer: text\nnetwork:\n  interfaces: [eth0, '/^(veth/']",
        &[],
        "f:4: network.interfaces[1] = /^(veth/: must be a regular expression: unclosed group",
    ),
    (
        "open_port: 80\ntrace_printer: text",
        &[("OTEL_EBPF_NETWORK_EXCLUDE_INTERFACES", "/[/")],
        "OTEL_EBPF_NETWORK_EXCLUDE_INTERFACES[0] = /[/: must be a regular expression",
    ),
    // Filters.
    (
        "open_port: 80\ntrace_printer: text\nfilter:\n  application:\n    url.path: {}",
        &[],
        "f:5: filter.application.url.path: must have a condition",
    ),
    (
        "open_port: 80\ntrace_printer: text\nfilter:\n  application:\n    url.path:",
        &[],
        "f:5: filter.application.url.path = ~: must be a mapping",
    ),
    (
        "open_port: 80\ntrace_printer: text\nfilter:\n  network:\n    transport: {match: TCP, not_match: U*}",
        &[],
        "f:5: filter.network.transport: match and not_match exclude each other",
    ),
    (
        "open_port: 80\ntrace_printer: text\nfilter:\n  stats:\n    dst_port: {match: '8*', less_than: 9}",
        &[],
        "f:5: filter.stats.dst_port: globs and numbers exclude each other",
    ),
    (
        "open_port: 80\ntrace_printer: text\nfilter:\n  application:\n    http.request.mehod: {match: x}",
        &[],
        "f:5: filter.application.http.request.mehod: there is no such attribute here; did you mean \
      http.request.method?",
    ),
    (
        "open_port: 80\ntrace_printer: text\nfilter:\n  stats:\n    transport: {match: x}",
        &[],
        "f:5: filter.stats.transport: there is no such attribute here",
    ),
    // Names of services.
    (
        "open_port: 80\ntrace_printer: text\nattributes:\n  kubernetes: {service_name_template: '{{ .Meta.Name'}",
        &[],
        "f:4: attributes.kubernetes.service_name_template = \"{{ .Meta.Name\": must be a Go template",
    ),
];

const RULE: &str = "open_port: 80\ntrace_printer: text\nebpf:\n  buffer_sizes: {http: 1}\n  \
                    payload_extraction:\n    http:\n      enrichment:\n        rules:\n        - ";

/// A rule of enrichment, and what is wrong with it.
const WRONG_RULES: &[(&str, &str)] = &[
    ("{action: include, type: headers, scope: all}", "match.patterns must name at least one"),
    (
        "{action: include, type: headers, scope: all, match: {patterns: []}}",
        "match.patterns must name",
    ),
    ("{action: include, type: body, scope: all, match: {patterns: [a]}}", "match.patterns is for"),
    (
        "{action: include, type: body, scope: all, match: {case_sensitive: true}}",
        "match.case_sensitive is",
    ),
    ("{action: obfuscate, type: body, scope: all}", "match.obfuscation_json_paths must say"),
    (
        "{action: include, type: body, scope: all, match: {obfuscation_json_paths: [$.a]}}",
        "match.obfuscation_json_paths is for the action",
    ),
    (
        "{action: obfuscate, type: headers, scope: all, match: {patterns: [a], \
         obfuscation_json_paths: [$.a]}}",
        "match.obfuscation_json_paths is for rules of type body",
    ),
    (
        "{action: include, type: body, scope: all, match: {response_status_code: {greater_equals: 3, \
         less_equals: 2}}}",
        "no status is at least",
    ),
    (
        "{action: include, type: body, scope: all, match: {response_status_code: {greater_than: 2, \
         less_than: 2}}}",
        "no status is above",
    ),
];

const RIGHT_RULES: &[&str] = &[
    "{action: include, type: headers, scope: all, match: {patterns: [a], case_sensitive: true}}",
    "{action: obfuscate, type: body, scope: all, match: {obfuscation_json_paths: [$.a]}}",
    "{action: include, type: body, scope: all, match: {case_sensitive: false}}",
    "{action: include, type: body, scope: all, match: {response_status_code: {greater_equals: 2, \
     less_equals: 2, greater_than: 1, less_than: 3}}}",
];

/// Valid, and worth a word.
const SURPRISING: &[Case] = &[
    (
        "open_port: 80\ntrace_printer: text\nname_resolver: {sources: [DNS, K8s, rdns]}",
        &[],
        "f:3: name_resolver.sources is accepted but not acted on yet: K8s, rdns",
    ),
    (
        "open_port: 80\ntrace_printer: text\nname_resolver: {cache_len: 9}",
        &[],
        "f:3: name_resolver.cache_len has no effect without dns in name_resolver.sources",
    ),
    (
        "trace_printer: text\ndiscovery:\n  instrument:\n  - exe_path: server",
        &[],
        "f:4: discovery.instrument[0].exe_path \"server\" matches no path, which begin with /: write \
         \"*/server\"",
    ),
    (
        "trace_printer: text",
        &[("OTEL_EBPF_AUTO_TARGET_EXE", "java")],
        "OTEL_EBPF_AUTO_TARGET_EXE \"java\" matches no path, which begin with /: write \"*/java\"",
    ),
    (
        "open_port: 80\ntrace_printer: text\notel_traces_export: {sampler: {arg: 0.5}}",
        &[],
        "f:3: otel_traces_export.sampler.arg has no effect without otel_traces_export.sampler.name",
    ),
    (
        "open_port: 80\ntrace_printer: text\nebpf:\n  log_enricher:\n    services:\n    - {}",
        &[],
        "f:6: ebpf.log_enricher.services[0] has no service, and so no effect",
    ),
    (
        "open_port: 80\ntrace_printer: text\nebpf:\n  payload_extraction: {http: {enrichment: {rules: \
         [{action: include, scope: all}]}}}",
        &[],
        "f:4: ebpf.payload_extraction.http.enrichment.rules[0] has no type, and so no effect",
    ),
    (
        "open_port: 80\ntrace_printer: text\nebpf:\n  payload_extraction: {http: {enrichment: {rules: \
         [{action: include, type: body, scope: all, obfuscation_string: x}]}}}",
        &[],
        "f:4: ebpf.payload_extraction.http.enrichment.rules[0].obfuscation_string has no effect",
    ),
    (
        "open_port: 80\nprometheus_export: {port: 9100}\nmetrics:\n  features: ['*']",
        &[],
        "f:4: metrics.features has application_span_otel in it, and leaves out application_span",
    ),
    (
        "trace_printer: text\ndiscovery:\n  services: [{exe_path: x}]\n  exclude_instrument: [{exe_path: y}]",
        &[],
        "f:3: discovery.services has no effect beside discovery.instrument or exclude_instrument",
    ),
    (
        "open_port: 80\ntrace_printer: text\nebpf:\n  payload_extraction: {http: {graphql: {enabled: true}, \
      genai: {ollama: {enabled: true}}}}",
        &[],
        "f:4: ebpf.payload_extraction.http.graphql.enabled sees no bodies while ebpf.buffer_sizes.http is 0 \
      (of ebpf.payload_extraction.http: graphql, genai.ollama)",
    ),
    (
        "trace_printer: text\ndiscovery:\n  instrument:\n  - {exe_path: '${X}', open_ports: 80}",
        &[],
        "f:4: discovery.instrument[0].exe_path is empty, so that it is no criterion",
    ),
    (
        "trace_printer: text\ndiscovery:\n  instrument:\n  - exe_path: ${X}\n    open_ports: 80",
        &[],
        "f:4: discovery.instrument[0].exe_path is empty, so that it is no criterion",
    ),
    (
        "trace_printer: text\ndiscovery:\n  instrument:\n  - k8s_pod_labels: {tier: ${X}}",
        &[],
        "f:4: discovery.instrument[0].k8s_pod_labels.tier is empty: any value matches",
    ),
    (
        "trace_printer: text\nopen_port: 80\ndiscovery:\n  default_exclude_instrument: [{name: x}]",
        &[],
        "f:4: discovery.default_exclude_instrument[0] has no criterion, and so no effect",
    ),
    (
        "open_port: 80\ntrace_printer: text\nhealth_check:\n  port: 8999.7",
        &[],
        "f:4: health_check.port = 8999.7: the fraction is cut off, 8999 is used",
    ),
    (
        "open_port: 80\ntrace_printer: text\notel_metrics_export: {interval: 5s}",
        &[("OTEL_METRIC_EXPORT_INTERVAL", "1000")],
        "OTEL_METRIC_EXPORT_INTERVAL has no effect beside otel_metrics_export.interval",
    ),
    (
        "open_port: 80\ntrace_printer: text\notel_traces_export:\n  sampler: {name: traceidratio, arg: some}",
        &[],
        "f:4: otel_traces_export.sampler.arg is no ratio from 0 to 1: parentbased_always_on is used",
    ),
    (
        "trace_printer: text\ndiscovery:\n  instrument:\n  - {exe_path: x, sampler: {name: traceidratio, arg: x}}",
        &[],
        "f:4: discovery.instrument[0].sampler.arg is no ratio from 0 to 1",
    ),
    (
        "open_port: 80\ntrace_printer: text\nebpf:\n  context_propagation: ip",
        &[],
        "f:4: ebpf.context_propagation has `ip` in it, which has no effect any more",
    ),
    (
        "open_port: 80\ntrace_printer: text\nattributes:\n  extra_group_attributes: {apps: [a]}",
        &[],
        "f:4: attributes.extra_group_attributes has a group \"apps\", which has no effect",
    ),
    (
        "executable_path: x\ntrace_printer: text",
        &[],
        "f:1: executable_path is deprecated; write discovery.instrument with exe_path, a glob",
    ),
    (
        "trace_printer: text\ndiscovery:\n  instrument:\n  - {exe_path: x, name: y}",
        &[],
        "f:4: discovery.instrument[0].name is deprecated; write OTEL_SERVICE_NAME in",
    ),
    (
        "trace_printer: text",
        &[("OTEL_GO_AUTO_TARGET_EXE", "*")],
        "OTEL_GO_AUTO_TARGET_EXE is deprecated; write OTEL_EBPF_AUTO_TARGET_EXE",
    ),
    (
        "open_port: 80\ntrace_printer: text",
        &[("OTEL_EBPF_NETWORK_GEOIP_CACHE_LEN", "7")],
        "OTEL_EBPF_NETWORK_GEOIP_CACHE_LEN is deprecated; write OTEL_EBPF_GEOIP_CACHE_LEN",
    ),
];

#[test]
fn what_does_not_hold_is_refused_with_its_key_and_line() {
    for (yaml, vars, expected) in WRONG {
        let (problems, _) = said(yaml, vars);
        assert_eq!(problems.len(), 1, "{yaml}: {problems:?}");
        assert!(problems[0].starts_with(expected), "{yaml}: {problems:?}");
    }
    for (rule, expected) in WRONG_RULES {
        let (problems, _) = said(&format!("{RULE}{rule}\n"), &[]);
        let place = "f:9: ebpf.payload_extraction.http.enrichment.rules[0]: ";
        assert_eq!(problems.len(), 1, "{rule}: {problems:?}");
        assert!(problems[0].starts_with(&format!("{place}{expected}")), "{rule}: {problems:?}");
    }
    println!("{} configurations refused", WRONG.len() + WRONG_RULES.len());
}

#[test]
fn what_holds_is_not_refused() {
    for rule in RIGHT_RULES {
        assert_eq!(said(&format!("{RULE}{rule}\n"), &[]).0, Vec::<String>::new(), "{rule}");
    }
    for yaml in [
        "network: {enable: true, print_flows: true}",
        "metrics: {features: [network]}\nprometheus_export: {port: 9100}",
        "metrics: {features: [stats_tcp_io]}\notel_metrics_export: {endpoint: 'http://c:4318'}",
        "open_port: 80\nprometheus_export: {port: 9100}",
        "open_port: 80\nprometheus_export: {port: 9100}\nmetrics: {features: [all, application_span, \
         application_span_otel]}",
        "open_port: 80\ntrace_printer: text\nmetrics: {features: [application_span, \
         application_span_otel]}",
        "open_port: 80\ntrace_printer: text\nnetwork: {interfaces: [eth0, '/^ens[0-9]+$/', /]}",
        "open_port: 80\ntrace_printer: text\nfilter:\n  application:\n    http_response_status_code: \
         {greater_equals: 200, less_than: 600}\n    k8s.pod.name: {match: x}\n    url.path: {not_match: x}",
    ] {
        assert_eq!(said(yaml, &[]).0, Vec::<String>::new(), "{yaml}");
    }
}

#[test]
fn what_may_surprise_is_said_with_its_key_and_line() {
    for (yaml, vars, expected) in SURPRISING {
        let (problems, notices) = said(yaml, vars);
        assert_eq!(problems, Vec::<String>::new(), "{yaml}");
        let hits = notices.iter().filter(|notice| notice.starts_with(expected)).count();
        assert_eq!(hits, 1, "{yaml}: {notices:?}");
    }
    println!("{} surprises said", SURPRISING.len());
}

/// It is valid, so that `check` says what would become of it; the agent does not start.
#[test]
fn a_valid_configuration_that_leaves_nothing_to_do_does_not_start() {
    for (yaml, missing) in [
        ("network: {enable: true, print_flows: true}", "flows (network) is not there yet"),
        (
            "metrics: {features: [network, stats]}\nprometheus_export: {port: 9100}",
            "flows (network), TCP statistics (stats) are not there yet",
        ),
        (
            "trace_printer: text\ndiscovery: {services: [{exe_path: x}], exclude_instrument: [{exe_path: y}]}",
            "every setting that chooses processes is left aside",
        ),
    ] {
        let (problems, notices) = said(yaml, &[]);
        assert_eq!(problems, Vec::<String>::new(), "{yaml}");
        let last = notices.last().unwrap();
        assert!(last.starts_with("nothing would be done: ") && last.contains(missing), "{last}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, yaml).unwrap();
        let error = load(Some(&file), &Environment::default(), Purpose::Observe).unwrap_err();
        assert_eq!(error.to_string(), *last);
        assert!(load(Some(&file), &Environment::default(), Purpose::Record).is_ok());
    }
    let both = format!("open_port: 80\ntrace_printer: text\nnetwork: {{enable: true}}\n{PROM}");
    let (problems, notices) = said(&both, &[]);
    assert_eq!(problems, Vec::<String>::new());
    assert!(!notices.iter().any(|notice| notice.contains("nothing would be done")), "{notices:?}");
}

#[test]
fn the_effective_configuration_is_there_to_be_printed_at_start() {
    let printed = |yaml: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, format!("{yaml}\nopen_port: 80\ntrace_printer: text\n")).unwrap();
        let vars = [("A_TOKEN", "hunter2"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter3")];
        load(Some(&file), &super::env(&vars), Purpose::Observe).unwrap()
    };
    assert_eq!(printed("log_level: INFO").printed, None);
    let xml = printed("log_config: xml");
    assert_eq!(xml.printed, None);
    assert!(
        xml.notices[0]
            .ends_with("f:1: log_config is neither yaml nor json, so that nothing is printed")
    );
    let yaml = printed("log_config: yaml\nservice_name: ${A_TOKEN}").printed.unwrap();
    assert!(
        yaml.contains("\nservice_name: '***'\n") && yaml.contains("\nopen_port: \"80\"\n"),
        "{yaml}"
    );
    let json = printed("log_config: json\nservice_name: ${A_TOKEN}").printed.unwrap();
    assert_eq!(json.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["service_name"], "***");
    assert_eq!(value["otel_traces_export"]["queue_size"], 16384);
    assert_eq!(value["discovery"]["exclude_otel_instrumented_services"], true);
    for text in [yaml, json] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn a_subsystem_that_is_not_there_is_named_once_with_all_that_is_set_of_it() {
    let yaml = "open_port: 80\ntrace_printer: text\nnetwork:\n  source: tc\n  sampling: 50\n  \
                reverse_dns: {type: local}\nstats: {print_stats: true}\n";
    let (_, notices) = said(yaml, &[("OTEL_EBPF_NETWORK_DEDUPER", "none")]);
    assert_eq!(
        notices,
        [
            "f:4: network is accepted but not acted on yet: source, OTEL_EBPF_NETWORK_DEDUPER, \
             sampling, reverse_dns.type",
            "f:7: stats.print_stats is accepted but not acted on yet",
        ]
    );
}
