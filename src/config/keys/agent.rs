//! The agent as a program, and the oldest way to choose processes.

use super::super::key::{COUNT, DURATION, Key, Kind, PORT};
use super::super::log::is_level;
use super::{FEATURES, REPLACED_BY_INSTRUMENT};

const LEVELS: &str = "DEBUG, INFO, WARN or ERROR, also with an offset such as INFO+2";
const LEVEL: Kind = Kind::Such(LEVELS, is_level);

pub(in crate::config) const LOG_LEVEL: Key =
    Key::new("log_level", LEVEL, "INFO", "The least severe messages that are logged.")
        .vars(&["OTEL_EBPF_LOG_LEVEL"])
        .acted();
pub(in crate::config) const LOG_FORMAT: Key = Key::new(
    "log_format",
    Kind::Text,
    "text",
    "Layout of the log: `text` or `json`; anything else means `text`.",
)
.vars(&["OTEL_EBPF_LOG_FORMAT"])
.acted();
pub(in crate::config) const LOG_CONFIG: Key = Key::new(
    "log_config",
    Kind::Text,
    "",
    "`yaml` or `json`: prints the effective configuration on stdout at start, secrets masked.",
)
.vars(&["OTEL_EBPF_LOG_CONFIG"])
.acted();
pub(in crate::config) const TRACE_PRINTER: Key = Key::new(
    "trace_printer",
    Kind::Word(&["disabled", "counter", "text", "json", "json_indent"]),
    "disabled",
    "How spans are printed on stdout; `counter` prints only their number, at the end.",
)
.vars(&["OTEL_EBPF_TRACE_PRINTER"])
.acted();
pub(in crate::config) const SHUTDOWN_TIMEOUT: Key =
    Key::new("shutdown_timeout", DURATION, "10s", "How long a stop may take.")
        .vars(&["OTEL_EBPF_SHUTDOWN_TIMEOUT"])
        .acted();
pub(in crate::config) const LEDGER_FILE: Key = Key::new(
    "environment.ledger_file",
    Kind::Text,
    "",
    "Where the ledger is written at exit, as JSON.",
)
.vars(&["OTEL_EBPF_LEDGER_FILE"])
.acted();
pub(in crate::config) const RUNTIME_DIR: Key = Key::new(
    "environment.runtime_dir",
    Kind::Text,
    "/run/obi",
    "Where the socket lies by which `obi explain` reaches a running agent.",
)
.vars(&["OTEL_EBPF_RUNTIME_DIR"])
.acted();
pub(in crate::config) const FAULT: Key = Key::new(
    "environment.fault",
    Kind::Word(&[
        "reader",
        "decoder_queue",
        "exporter",
        "connections",
        "no_sk_storage",
        "no_cookie",
        "no_file_iterator",
    ]),
    "",
    "For tests: what goes wrong on purpose, or what the kernel lacks.",
)
.vars(&["OTEL_EBPF_FAULT"])
.acted();
pub(in crate::config) const AUTO_TARGET_EXE: Key = Key::new(
    "environment.auto_target_exe",
    Kind::Glob,
    "",
    "Chooses processes by the path of their executable.",
)
.vars(&["OTEL_EBPF_AUTO_TARGET_EXE", "OTEL_GO_AUTO_TARGET_EXE"])
.expanded()
.live();
pub(in crate::config) const AUTO_TARGET_LANGUAGE: Key = Key::new(
    "environment.auto_target_language",
    Kind::Glob,
    "",
    "Chooses processes by their language: `go`, `java`, `dotnet`, `python`, `ruby`, `nodejs`, \
     `rust`, `php`, `cpp`, `generic`.",
)
.vars(&["OTEL_EBPF_AUTO_TARGET_LANGUAGE"])
.expanded()
.live();
pub(in crate::config) const OPEN_PORT: Key = Key::new(
    "open_port",
    Kind::Numbers(65_535),
    "",
    "Chooses processes that listen on one of these TCP ports.",
)
.vars(&["OTEL_EBPF_OPEN_PORT"])
.live();
pub(in crate::config) const TARGET_PIDS: Key = Key::new(
    "target_pids",
    Kind::Numbers(u32::MAX),
    "",
    "Chooses these processes; every other way to choose is left aside.",
)
.vars(&["OTEL_EBPF_TARGET_PID"])
.live();
pub(in crate::config) const EXECUTABLE_PATH: Key = Key::new(
    "executable_path",
    Kind::Regex,
    "",
    "Chooses processes by the path of their executable.",
)
.vars(&["OTEL_EBPF_EXECUTABLE_PATH"])
.deprecated(REPLACED_BY_INSTRUMENT)
.live();
pub(in crate::config) const SERVICE_NAME: Key = Key::new(
    "service_name",
    Kind::Text,
    "",
    "service.name of the processes that the settings above choose, not of `discovery.instrument`.",
)
.vars(&["OTEL_SERVICE_NAME", "OTEL_EBPF_SERVICE_NAME"])
.expanded()
.deprecated("OTEL_SERVICE_NAME in the environment of the observed process")
.live();
pub(in crate::config) const SERVICE_NAMESPACE: Key =
    Key::new("service_namespace", Kind::Text, "", "service.namespace of the same.")
        .vars(&["OTEL_EBPF_SERVICE_NAMESPACE"])
        .deprecated("OTEL_RESOURCE_ATTRIBUTES in the environment of the observed process")
        .live();

pub(super) const KEYS: &[Key] = &[
    LOG_LEVEL,
    LOG_FORMAT,
    LOG_CONFIG,
    TRACE_PRINTER,
    SHUTDOWN_TIMEOUT,
    LEDGER_FILE,
    RUNTIME_DIR,
    FAULT,
    Key::new("enforce_sys_caps", Kind::Bool, "false", "A missing capability ends the agent.")
        .vars(&["OTEL_EBPF_ENFORCE_SYS_CAPS"]),
    Key::new("channel_buffer_len", COUNT, "50", "Batches that may wait between two stages.")
        .vars(&["OTEL_EBPF_CHANNEL_BUFFER_LEN"]),
    Key::new(
        "channel_send_timeout",
        DURATION,
        "1m",
        "How long a stage waits for the next before it complains.",
    )
    .vars(&["OTEL_EBPF_CHANNEL_SEND_TIMEOUT"]),
    Key::new(
        "channel_send_timeout_panic",
        Kind::Bool,
        "false",
        "Ends the agent instead of complaining.",
    )
    .vars(&["OTEL_EBPF_CHANNEL_SEND_TIMEOUT_PANIC"]),
    Key::new("profile_port", PORT, "0", "TCP port of a profiler; 0 = none.")
        .vars(&["OTEL_EBPF_PROFILE_PORT"]),
    AUTO_TARGET_EXE,
    AUTO_TARGET_LANGUAGE,
    OPEN_PORT,
    TARGET_PIDS,
    EXECUTABLE_PATH,
    SERVICE_NAME,
    SERVICE_NAMESPACE,
    Key::new(
        "metrics.features",
        FEATURES,
        "[application]",
        "Metric families that every exporter has.",
    )
    .vars(&["OTEL_EBPF_METRICS_FEATURES", "OTEL_EBPF_METRIC_FEATURES"])
    .expanded()
    .acted(),
];
