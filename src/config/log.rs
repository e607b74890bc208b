//! Logs, printers, shutdown: the agent as a program.

use std::path::PathBuf;
use std::time::Duration;

use super::layers::{Key, Layers};
use super::value::{Raw, duration, one_of, text};

const LEVEL: Key = Key::new("log_level", &["OTEL_EBPF_LOG_LEVEL"], "INFO");
const FORMAT: Key = Key::new("log_format", &["OTEL_EBPF_LOG_FORMAT"], "text");
pub(super) const TRACE_PRINTER: Key =
    Key::new("trace_printer", &["OTEL_EBPF_TRACE_PRINTER"], "disabled");
const SHUTDOWN_TIMEOUT: Key = Key::new("shutdown_timeout", &["OTEL_EBPF_SHUTDOWN_TIMEOUT"], "10s");
const LEDGER_FILE: Key = Key::new("environment.ledger_file", &["OTEL_EBPF_LEDGER_FILE"], "");

const FAULT: Key = Key::new("environment.fault", &["OTEL_EBPF_FAULT"], "");

pub(super) const KEYS: &[&Key] =
    &[&LEVEL, &FORMAT, &TRACE_PRINTER, &SHUTDOWN_TIMEOUT, &LEDGER_FILE, &FAULT];

/// The least severe message that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Per connection.
    Trace,
    /// Per process.
    Debug,
    /// Lifecycle.
    #[default]
    Info,
    /// Degraded, and what is lost.
    Warn,
    /// A person must act.
    Error,
}

/// Layout of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How spans are shown on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TracePrinter {
    /// Not at all.
    #[default]
    Disabled,
    /// Only their number, at the end.
    Counter,
    /// One line each.
    Text,
    /// One JSON array a batch.
    Json,
    /// The same, indented.
    JsonIndent,
}

/// What goes wrong on purpose, so that a test sees the ledger tell: one record is lost, or there
/// is hardly room; or what the kernel lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// In the reader.
    Reader,
    /// Between the reader and the decoder.
    DecoderQueue,
    /// Between the decorator and each exporter.
    Exporter,
    /// Room for a few connections in the decoder.
    Connections,
    /// No `sk_storage`.
    NoSkStorage,
    /// No socket cookie.
    NoCookie,
    /// No file iterator.
    NoFileIterator,
}

/// Settings of the agent as a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentConfig {
    /// The least severe message that is logged.
    pub log_level: LogLevel,
    /// Layout of the log.
    pub log_format: LogFormat,
    /// How spans are shown on stdout.
    pub trace_printer: TracePrinter,
    /// How long a stop may take.
    pub shutdown_timeout: Duration,
    /// Where the ledger is written at exit, as JSON.
    pub ledger_file: Option<PathBuf>,
    /// For tests.
    pub fault: Option<Fault>,
}

impl AgentConfig {
    pub(super) fn read(layers: &mut Layers, notices: &mut Vec<String>) -> Self {
        Self {
            log_level: layers.get(&LEVEL, log_level).unwrap_or_default(),
            log_format: layers.get(&FORMAT, |raw| log_format(raw, notices)).unwrap_or_default(),
            trace_printer: layers.get(&TRACE_PRINTER, trace_printer).unwrap_or_default(),
            shutdown_timeout: layers.get(&SHUTDOWN_TIMEOUT, duration).unwrap_or_default(),
            ledger_file: layers.get(&LEDGER_FILE, text).map(PathBuf::from),
            fault: layers.get(&FAULT, |raw| one_of(raw, &FAULTS)),
        }
    }
}

const FAULTS: [(&str, Fault); 7] = [
    ("reader", Fault::Reader),
    ("decoder_queue", Fault::DecoderQueue),
    ("exporter", Fault::Exporter),
    ("connections", Fault::Connections),
    ("no_sk_storage", Fault::NoSkStorage),
    ("no_cookie", Fault::NoCookie),
    ("no_file_iterator", Fault::NoFileIterator),
];

fn trace_printer(raw: &Raw) -> Result<TracePrinter, String> {
    one_of(
        raw,
        &[
            ("disabled", TracePrinter::Disabled),
            ("counter", TracePrinter::Counter),
            ("text", TracePrinter::Text),
            ("json", TracePrinter::Json),
            ("json_indent", TracePrinter::JsonIndent),
        ],
    )
}

/// A level by name in any case, with an optional offset as Go's slog has it (`INFO+2`); the
/// levels lie 4 apart, and what lies between two is the more severe one.
fn log_level(raw: &Raw) -> Result<LogLevel, String> {
    let written = text(raw)?.to_uppercase();
    let allowed = || "must be one of DEBUG, INFO, WARN, ERROR".to_owned();
    let (name, offset) = match written.find(['+', '-']).and_then(|i| written.split_at_checked(i)) {
        Some((name, offset)) => (name, offset.parse::<i32>().map_err(|_| allowed())?),
        None => (written.as_str(), 0),
    };
    let base = match name {
        "DEBUG" => -4,
        "INFO" => 0,
        "WARN" => 4,
        "ERROR" => 8,
        _ => return Err(allowed()),
    };
    Ok(match base + i64::from(offset) {
        ..=-5 => LogLevel::Trace,
        -4 => LogLevel::Debug,
        -3..=0 => LogLevel::Info,
        1..=4 => LogLevel::Warn,
        _ => LogLevel::Error,
    })
}

/// The contract goes on with `text` when the format is unknown.
fn log_format(raw: &Raw, notices: &mut Vec<String>) -> Result<LogFormat, String> {
    Ok(match text(raw)?.to_lowercase().as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        other => {
            notices.push(format!("log_format {other:?} is neither text nor json: text is used"));
            LogFormat::Text
        }
    })
}
