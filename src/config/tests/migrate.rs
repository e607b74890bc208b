//! Old names, each with what becomes of it; the meaning stays.

#![expect(clippy::print_stdout, reason = "how many cases there were is part of the result")]

use super::super::{Migrated, check, migrate};
use super::env;

/// The file, what it is afterwards, and what is left of it: the beginnings of the sentences.
type Case = (&'static str, &'static str, &'static [&'static str]);

const WHOLE: &[Case] = &[
    // Nothing of old.
    ("# c\nlog_level: INFO # d\n", "# c\nlog_level: INFO # d\n", &[]),
    ("", "", &[]),
    // Flows.
    (
        "network:\n  # why\n  enable: yes # here\n  source: tc\nprometheus_export:\n  port: 9100 # p\n",
        "network:\n  # why\n  source: tc\nprometheus_export:\n  port: 9100 # p\nmetrics:\n  \
         features: [application, network]\n",
        &[],
    ),
    (
        "network: {enable: false, source: tc}\nopen_port: 80",
        "network: {source: tc}\nopen_port: 80",
        &[],
    ),
    ("network: {source: tc, enable: false}\n", "network: {source: tc}\n", &[]),
    ("network: {enable: no}\nlog_level: INFO\n", "network: {}\nlog_level: INFO\n", &[]),
    ("network:\n  enable: no\n# end", "network:\n# end", &[]),
    (
        "prometheus_export: {port: 9100}\nnetwork: {enable: true}\nmetrics:\n  # all\n  features: [stats, network]\n",
        "prometheus_export: {port: 9100}\nnetwork: {}\nmetrics:\n  # all\n  features: [stats, network]\n",
        &[],
    ),
    // Lists of each exporter.
    (
        "prometheus_export:\n  port: 9100\n  features: [application, '*']\n",
        "prometheus_export:\n  port: 9100\nmetrics:\n  features: [application, '*']\n",
        &[],
    ),
    (
        "otel_metrics_export:\n  features:\n    - application_span\n  endpoint: http://c:4318\nmetrics:\n  \
         features: [stats] # old\n",
        "otel_metrics_export:\n  endpoint: http://c:4318\nmetrics:\n  features: [application_span] # old\n",
        &[],
    ),
    (
        "otel_metrics_export: {endpoint: 'http://c', features: [ebpf]}\nprometheus_export: {port: 1, \
         features: [stats]}\nmetrics:\n",
        "otel_metrics_export: {endpoint: 'http://c'}\nprometheus_export: {port: 1}\nmetrics:\n  \
         features: [ebpf]\n",
        &[],
    ),
    (
        "{prometheus_export: {port: 1, features: [stats]}}\n",
        "{prometheus_export: {port: 1}, metrics: {features: [stats]}}\n",
        &[],
    ),
    // Labels.
    (
        "attributes:\n  kubernetes:\n    meta_source_labels:\n      service_name: 'a b' # c\n      \
         service_namespace: n\n",
        "attributes:\n  kubernetes:\n    resource_labels:\n      service.name: ['a b', \
         app.kubernetes.io/instance, app.kubernetes.io/name] # c\n      service.namespace: [n, \
         app.kubernetes.io/part-of]\n",
        &[],
    ),
    // Propagation.
    ("ebpf:\n  context_propagation: ip # x\n", "ebpf:\n  context_propagation: disabled # x\n", &[]),
    ("ebpf: {context_propagation: 'tcp,ip'}", "ebpf: {context_propagation: tcp}", &[]),
    ("ebpf: {context_propagation: http}", "ebpf: {context_propagation: headers}", &[]),
    // Selectors without expressions, with an anchor that is used elsewhere.
    (
        "discovery:\n  services: &s # ours\n    - open_ports: ${PORT:-80}\n      exports: [traces]\n  \
         exclude_services:\n    - target_pids: [1]\n",
        "discovery:\n  instrument: &s # ours\n    - open_ports: ${PORT:-80}\n      exports: [traces]\n  \
         exclude_instrument:\n    - target_pids: [1]\n",
        &[],
    ),
    // Names of features.
    (
        "metrics: {features: [application_jvm, ebpf]}\n",
        "metrics: {features: [application_runtime, ebpf]}\n",
        &[],
    ),
    (
        "discovery:\n  instrument:\n    - open_ports: 1\n      metrics:\n        features:\n          - \
         application_jvm # j\n",
        "discovery:\n  instrument:\n    - open_ports: 1\n      metrics:\n        features:\n          - \
         application_runtime # j\n",
        &[],
    ),
    // What has no effect.
    ("ebpf:\n  instrument_gpu: true # g\n  wakeup_len: 1\n", "ebpf:\n  wakeup_len: 1\n", &[]),
    ("otel_traces_export: {max_queue_size: 5}\n", "otel_traces_export: {}\n", &[]),
    ("attributes:\n  host_id:\n    fetch_timeout: 1s\n", "attributes:\n  host_id:\n", &[]),
    ("jvm_runtime_metrics:\r\n  enabled: true\r\n", "jvm_runtime_metrics:\r\n", &[]),
    (
        "ebpf: {payload_extraction: {http: {enrichment: {policy: {match_order: first}}}}}",
        "ebpf: {payload_extraction: {http: {enrichment: {policy: {}}}}}",
        &[],
    ),
];

/// Something is left.
const PARTIAL: &[Case] = &[
    (
        "executable_path: ^/usr/bin/.*-server$\nlog_level: INFO\n",
        "executable_path: ^/usr/bin/.*-server$\nlog_level: INFO\n",
        &[
            "1: executable_path is a regular expression; write it as a glob, perhaps '/usr/bin/*-server', in",
        ],
    ),
    (
        "executable_path: a(b|c)\nebpf: {context_propagation: ip}\n",
        "executable_path: a(b|c)\nebpf: {context_propagation: disabled}\n",
        &["1: executable_path is a regular expression; write it as a glob, in exe_path of"],
    ),
    (
        "open_port: 80\nservice_name: a\nservice_namespace: b\n",
        "open_port: 80\nservice_name: a\nservice_namespace: b\n",
        &[
            "2: service_name has no new name; set OTEL_SERVICE_NAME",
            "3: service_namespace has no new name",
        ],
    ),
    (
        "discovery:\n  services:\n    - exe_path_regexp: x$\n      open_ports: 80\n    - name: n\n      open_ports: 1\n",
        "discovery:\n  services:\n    - exe_path_regexp: x$\n      open_ports: 80\n    - name: n\n      open_ports: 1\n",
        &[
            "3: discovery.services[0].exe_path_regexp is a regular expression; write it as a glob, perhaps '*x'",
            "5: discovery.services[1].name has no new name",
        ],
    ),
    (
        "discovery:\n  exclude_services: [{k8s_namespace: '^a$'}]\n  default_exclude_services: []\n",
        "discovery:\n  exclude_services: [{k8s_namespace: '^a$'}]\n  default_exclude_services: []\n",
        &[
            "2: discovery.exclude_services[0].k8s_namespace is a regular expression; write it as a glob, perhaps 'a'",
        ],
    ),
    (
        "discovery:\n  services: [{open_ports: 1}]\n  instrument: [{open_ports: 2}]\n",
        "discovery:\n  services: [{open_ports: 1}]\n  instrument: [{open_ports: 2}]\n",
        &["2: discovery.services has no effect beside discovery.instrument; take it out"],
    ),
    (
        "discovery: {default_exclude_services: []}\n",
        "discovery: {default_exclude_services: []}\n",
        &["1: discovery.default_exclude_services has no effect here"],
    ),
    (
        "network: {enable: true, print_flows: true}\n",
        "network: {enable: true, print_flows: true}\n",
        &["1: network.enable is the only way to have flows without an exporter of metrics"],
    ),
    (
        "network: {enable: '${FLOWS:-true}'}\nprometheus_export: {port: 1}\n",
        "network: {enable: '${FLOWS:-true}'}\nprometheus_export: {port: 1}\n",
        &["1: enable: an alias or a placeholder is involved"],
    ),
    (
        "prometheus_export: {features: [stats]}\n",
        "prometheus_export: {features: [stats]}\n",
        &["1: prometheus_export.features counts only where its exporter is set up"],
    ),
    (
        "x: &x {enable: true}\nnetwork: *x\nprometheus_export: {port: 1}\n",
        "x: &x {enable: true}\nnetwork: *x\nprometheus_export: {port: 1}\n",
        &["1: enable: an alias or a placeholder is involved"],
    ),
    (
        "prometheus_export: {port: 1, features: &f [stats]}\nmetrics: {features: *f}\n",
        "prometheus_export: {port: 1, features: &f [stats]}\nmetrics: {features: *f}\n",
        &["1: features: an alias or a placeholder is involved"],
    ),
    (
        "ebpf: {instrument_gpu: &g true, bpf_debug: *g}\n",
        "ebpf: {instrument_gpu: &g true, bpf_debug: *g}\n",
        &["1: ebpf.instrument_gpu has no effect any more; write ebpf.instrument_cuda"],
    ),
    (
        "attributes:\n  kubernetes:\n    meta_source_labels: {service_name: a}\n    resource_labels: {x: [y]}\n",
        "attributes:\n  kubernetes:\n    meta_source_labels: {service_name: a}\n    resource_labels: {x: [y]}\n",
        &["3: attributes.kubernetes.meta_source_labels: write its labels in front"],
    ),
    (
        "discovery:\n  rules: [{match: {}}]\n",
        "discovery:\n  rules: [{match: {}}]\n",
        &["2: discovery.rules has no effect any more; write discovery.instrument"],
    ),
];

fn migrated(yaml: &str, vars: &[(&str, &str)]) -> (Migrated, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, yaml).unwrap();
    let mut migrated = migrate(&file, &env(vars)).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    let place = format!("{}:", file.display());
    let short = |texts: &mut Vec<String>| {
        texts.iter_mut().for_each(|text| *text = text.replace(&place, ""));
    };
    short(&mut migrated.left);
    short(&mut migrated.done);
    std::fs::write(&file, &migrated.text).unwrap();
    let (_, notices) = check(&file, &env(vars), false);
    (migrated, notices)
}

#[test]
fn every_old_name_gets_its_new_one_and_the_rest_stays() {
    for (before, after, _) in WHOLE {
        let (migrated, notices) = migrated(before, &[]);
        assert_eq!(migrated.text, *after, "{before}");
        assert_eq!(migrated.left, Vec::<String>::new(), "{before}");
        let old = |text: &&String| text.contains("deprecated") || text.contains("any more");
        assert_eq!(notices.iter().find(old), None, "{before}");
    }
    println!("{} files migrated whole", WHOLE.len());
}

#[test]
fn what_cannot_be_migrated_is_left_with_its_line_and_advice() {
    for (before, after, left) in PARTIAL {
        let (migrated, _) = migrated(before, &[]);
        assert_eq!(migrated.text, *after, "{before}");
        assert_eq!(migrated.left.len(), left.len(), "{before}: {:?}", migrated.left);
        for (said, expected) in migrated.left.iter().zip(*left) {
            assert!(said.trim_start().starts_with(expected), "{before}: {said}");
        }
    }
    println!("{} files migrated in part", PARTIAL.len());
}

#[test]
fn what_is_taken_out_is_said() {
    let (migrated, _) = migrated("ebpf:\n  instrument_gpu: true\n", &[]);
    let said = " ebpf.instrument_gpu has no effect any more, and is taken out; what it did is \
                ebpf.instrument_cuda";
    assert_eq!(migrated.done, [format!("2:{said}")]);
}

/// The meaning is compared before anything is given out.
#[test]
fn what_would_mean_something_else_is_refused() {
    let yaml = "discovery:\n  services: [{open_ports: 80}]\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, yaml).unwrap();
    assert!(migrate(&file, &env(&[])).is_ok());
    // Beside `services` it is not asked, beside `instrument` it is.
    let vars = env(&[("OTEL_EBPF_AUTO_TARGET_EXE", "*")]);
    let error = migrate(&file, &vars).unwrap_err().to_string();
    assert!(error.contains("the selection of processes would not be the same"), "{error}");
    std::fs::write(&file, "a: [").unwrap();
    assert!(migrate(&file, &vars).unwrap_err().to_string().contains("not YAML"));
}

#[test]
fn the_contract_s_legacy_example_is_migrated_as_far_as_it_goes() {
    let before = include_str!("../../../tests/fixtures/config/09-legacy-style.yml");
    let (migrated, notices) = migrated(before, &[]);
    let expected = before
        .replace("context_propagation: ip ", "context_propagation: disabled ")
        .replace("  enable: yes\n", "")
        .replace("  features: [application, application_span]\n", "")
        .replace("meta_source_labels", "resource_labels")
        .replace(
            "service_name: svc-name",
            "service.name: [svc-name, app.kubernetes.io/instance, app.kubernetes.io/name]",
        )
        + "metrics:\n  features: [application, application_span, network]\n";
    assert_eq!(migrated.text, expected);
    assert_eq!(migrated.left.len(), 5, "{:#?}", migrated.left);
    let deprecated = notices.iter().filter(|text| text.contains("deprecated")).count();
    assert_eq!(deprecated, 6, "{notices:#?}");
}
