//! Which processes are observed.

use super::super::key::{DURATION, Key, Kind, PORT, SOME_DURATION};
use super::{FEATURES, SAMPLERS};

const GLOB: Kind = Kind::Glob;
const REGEX: Kind = Kind::Regex;

/// Keys of a selector whose texts are patterns of one dialect.
const fn selector(pattern: Kind, named: &'static Kind) -> [Key; 28] {
    [
        Key::new("open_ports", Kind::Numbers(65_535), "", "It listens on one of these TCP ports.").acted(),
        Key::new("exe_path", pattern, "", "Path of its executable.").acted(),
        Key::new("exe_path_regexp", REGEX, "", "The same, where `exe_path` is not set; in `services` only.")
            .deprecated("exe_path")
            .acted(),
        Key::new("cmd_args", pattern, "", "Its arguments, joined by spaces, without the first.").acted(),
        Key::new("languages", pattern, "", "Its language: `go`, `java`, `dotnet`, `python`, `ruby`, `nodejs`, `rust`, `php`, `cpp`, `generic`.").acted(),
        Key::new("target_pids", Kind::Pids, "", "It is one of these.").acted(),
        Key::new("containers_only", Kind::Bool, "", "It is in another network namespace than the agent.").acted(),
        Key::new("container_name", pattern, "", "Name of its container."),
        Key::new("k8s_namespace", pattern, "", "Namespace of its pod."),
        Key::new("k8s_pod_name", pattern, "", "Name of its pod."),
        Key::new("k8s_container_name", pattern, "", "Name of its container in the pod."),
        Key::new("k8s_deployment_name", pattern, "", "Deployment that owns its pod."),
        Key::new("k8s_replicaset_name", pattern, "", "ReplicaSet that owns its pod."),
        Key::new("k8s_daemonset_name", pattern, "", "DaemonSet that owns its pod."),
        Key::new("k8s_statefulset_name", pattern, "", "StatefulSet that owns its pod."),
        Key::new("k8s_job_name", pattern, "", "Job that owns its pod."),
        Key::new("k8s_cronjob_name", pattern, "", "CronJob that owns its pod."),
        Key::new("k8s_owner_name", pattern, "", "Whatever owns its pod."),
        Key::new("k8s_pod_labels", Kind::Map(named), "", "Labels that its pod must have, each with a pattern."),
        Key::new("k8s_pod_annotations", Kind::Map(named), "", "Annotations that its pod must have, each with a pattern."),
        Key::new("exports", Kind::Words(&["metrics", "traces", "logs"]), "", "Signals that go out; all of them when absent, none when empty.").acted(),
        Key::new("sampler.name", Kind::Word(SAMPLERS), "", "Sampler of its traces.").acted(),
        Key::new("sampler.arg", Kind::Text, "", "Its ratio.").acted(),
        Key::new("routes.incoming", Kind::List, "", "Route patterns of its server spans.").acted(),
        Key::new("routes.outgoing", Kind::List, "", "Route patterns of its client spans.").acted(),
        Key::new("metrics.features", FEATURES, "", "Its metric families instead of the common ones.").acted(),
        Key::new("name", Kind::Text, "", "Its service.name; chooses nothing.")
            .deprecated("OTEL_SERVICE_NAME in the environment of the observed process")
            .acted(),
        Key::new("namespace", Kind::Text, "", "Its service.namespace; chooses nothing.")
            .deprecated("OTEL_RESOURCE_ATTRIBUTES in the environment of the observed process")
            .acted(),
    ]
}

pub(super) const GLOBS: &[Key] = &selector(GLOB, &GLOB);
const REGEXES: &[Key] = &selector(REGEX, &REGEX);

/// Infrastructure that nobody wants to see.
const EXCLUDED: &str = "[{exe_path: '{*/obi,obi,*otelcol,*otelcol-contrib,*otelcol-contrib[!/]*}'}, \
    {k8s_namespace: '{kube-system,kube-node-lease,local-path-storage,cert-manager,monitoring,\
    gke-connect,gke-gmp-system,gke-managed-cim,gke-managed-filestorecsi,\
    gke-managed-metrics-server,gke-managed-system,gke-system,gke-managed-volumepopulator,\
    gatekeeper-system}'}]";
const EXCLUDED_REGEXES: &str = "[{exe_path: '(?:^|/)(obi$|otelcol[^/]*$)'}, \
    {k8s_namespace: '^(kube-system|kube-node-lease|local-path-storage|cert-manager|monitoring|\
    gke-connect|gke-gmp-system|gke-managed-cim|gke-managed-filestorecsi|\
    gke-managed-metrics-server|gke-managed-system|gke-system|gke-managed-volumepopulator)$|\
    ^gatekeeper-system'}]";

pub(in crate::config) const INSTRUMENT: Key = Key::new(
    "discovery.instrument",
    Kind::Selectors(GLOBS),
    "",
    "Processes that are observed: those that fulfil every criterion of at least one entry.",
)
.live();
pub(in crate::config) const EXCLUDE_INSTRUMENT: Key = Key::new(
    "discovery.exclude_instrument",
    Kind::Selectors(GLOBS),
    "",
    "Processes that are not observed, whatever chooses them.",
)
.live();
pub(in crate::config) const DEFAULT_EXCLUDE_INSTRUMENT: Key = Key::new(
    "discovery.default_exclude_instrument",
    Kind::Items(GLOBS),
    EXCLUDED,
    "The same, built in; `[]` takes it away.",
)
.live();
pub(in crate::config) const SERVICES: Key = Key::new(
    "discovery.services",
    Kind::Selectors(REGEXES),
    "",
    "As `instrument`, by regular expressions.",
)
.deprecated("discovery.instrument")
.live();
pub(in crate::config) const EXCLUDE_SERVICES: Key = Key::new(
    "discovery.exclude_services",
    Kind::Selectors(REGEXES),
    "",
    "As `exclude_instrument`, by regular expressions.",
)
.deprecated("discovery.exclude_instrument")
.live();
pub(in crate::config) const DEFAULT_EXCLUDE_SERVICES: Key = Key::new(
    "discovery.default_exclude_services",
    Kind::Items(REGEXES),
    EXCLUDED_REGEXES,
    "As `default_exclude_instrument`, by regular expressions.",
)
.deprecated("discovery.default_exclude_instrument")
.live();

pub(in crate::config) const EXCLUDED_SYSTEM_PATHS: Key = Key::new(
    "discovery.excluded_linux_system_paths",
    Kind::List,
    "[/lib/systemd/, /usr/lib/systemd/, /usr/libexec/, /sbin/, /usr/sbin/]",
    "Beginnings of paths of executables whose language is not looked for.",
)
.acted();

pub(in crate::config) const EXCLUDE_OTEL_INSTRUMENTED: Key = Key::new(
    "discovery.exclude_otel_instrumented_services",
    Kind::Bool,
    "true",
    "A signal that a service exports by itself is not sent a second time.",
)
.vars(&["OTEL_EBPF_EXCLUDE_OTEL_INSTRUMENTED_SERVICES"])
.acted();

pub(super) const KEYS: &[Key] = &[
    INSTRUMENT,
    EXCLUDE_INSTRUMENT,
    DEFAULT_EXCLUDE_INSTRUMENT,
    SERVICES,
    EXCLUDE_SERVICES,
    DEFAULT_EXCLUDE_SERVICES,
    Key::new(
        "discovery.poll_interval",
        DURATION,
        "0s",
        "How often processes are looked for; 0 = 5s.",
    )
    .vars(&["OTEL_EBPF_DISCOVERY_POLL_INTERVAL"]),
    Key::new(
        "discovery.min_process_age",
        DURATION,
        "5s",
        "How old a process must be before it is looked at.",
    )
    .vars(&["OTEL_EBPF_MIN_PROCESS_AGE"]),
    Key::new(
        "discovery.process_context_poll_interval",
        DURATION,
        "1s",
        "How often a process's OTEL_CTX mapping is read again; 0 = once.",
    )
    .vars(&["OTEL_EBPF_PROCESS_CONTEXT_POLL_INTERVAL"]),
    Key::new(
        "discovery.skip_go_specific_tracers",
        Kind::Bool,
        "false",
        "Go programs are treated as any other.",
    )
    .vars(&["OTEL_EBPF_SKIP_GO_SPECIFIC_TRACERS"]),
    Key::new(
        "discovery.bpf_pid_filter_off",
        Kind::Bool,
        "false",
        "For tests: the kernel side filters no processes.",
    )
    .vars(&["OTEL_EBPF_BPF_PID_FILTER_OFF"]),
    EXCLUDE_OTEL_INSTRUMENTED,
    Key::new(
        "discovery.exclude_otel_instrumented_services_span_metrics",
        Kind::Bool,
        "false",
        "The same for span metrics.",
    )
    .vars(&["OTEL_EBPF_EXCLUDE_OTEL_INSTRUMENTED_SERVICES_SPAN_METRICS"])
    .acted(),
    Key::new(
        "discovery.default_otlp_grpc_port",
        PORT,
        "4317",
        "TCP port that means OTLP over gRPC where the service's environment does not say.",
    )
    .vars(&["OTEL_EBPF_DEFAULT_OTLP_GRPC_PORT"]),
    Key::new(
        "discovery.route_harvester_timeout",
        SOME_DURATION,
        "10s",
        "How long the routes that a process declares may be looked for.",
    )
    .vars(&["OTEL_EBPF_ROUTE_HARVESTER_TIMEOUT"]),
    Key::new(
        "discovery.disabled_route_harvesters",
        Kind::Names(&["java", "nodejs", "go"]),
        "",
        "Languages whose routes are not looked for.",
    ),
    Key::new(
        "discovery.route_harvester_advanced.java_harvest_delay",
        DURATION,
        "5s",
        "How long a Java process may start before its routes are looked for.",
    )
    .vars(&["OTEL_EBPF_JAVA_ROUTE_HARVEST_DELAY"]),
    EXCLUDED_SYSTEM_PATHS,
];
