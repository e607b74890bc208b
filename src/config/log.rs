//! Logs, printers, shutdown: the agent as a program.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::{
    FAULT, LEDGER_FILE, LOG_FORMAT, LOG_LEVEL, RUNTIME_DIR, SHUTDOWN_TIMEOUT, TRACE_PRINTER,
};
use super::layers::Settings;
use super::notice::{Notice, NoticeKind, Problem};

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
    /// Where the socket of `obi explain` lies.
    pub runtime_dir: PathBuf,
    /// For tests.
    pub fault: Option<Fault>,
}

impl AgentConfig {
    pub(super) fn read(settings: &Settings, notices: &mut Vec<Notice>) -> Self {
        let trace_printer = match settings.text(&TRACE_PRINTER) {
            Some("counter") => TracePrinter::Counter,
            Some("text") => TracePrinter::Text,
            Some("json") => TracePrinter::Json,
            Some("json_indent") => TracePrinter::JsonIndent,
            _ => TracePrinter::Disabled,
        };
        let fault = match settings.text(&FAULT) {
            Some("reader") => Some(Fault::Reader),
            Some("decoder_queue") => Some(Fault::DecoderQueue),
            Some("exporter") => Some(Fault::Exporter),
            Some("connections") => Some(Fault::Connections),
            Some("no_sk_storage") => Some(Fault::NoSkStorage),
            Some("no_cookie") => Some(Fault::NoCookie),
            Some("no_file_iterator") => Some(Fault::NoFileIterator),
            _ => None,
        };
        Self {
            log_level: settings.text(&LOG_LEVEL).and_then(log_level).unwrap_or_default(),
            log_format: log_format(settings, notices),
            trace_printer,
            shutdown_timeout: settings.duration(&SHUTDOWN_TIMEOUT),
            ledger_file: settings.text(&LEDGER_FILE).map(PathBuf::from),
            runtime_dir: settings.text(&RUNTIME_DIR).map(PathBuf::from).unwrap_or_default(),
            fault,
        }
    }
}

/// Whether it is a level, see [`log_level`].
pub(super) fn is_level(written: &str) -> bool {
    log_level(written).is_some()
}

/// A level by name in any case, with an optional offset as Go's slog has it (`INFO+2`); the
/// levels lie 4 apart, and what lies between two is the more severe one.
fn log_level(written: &str) -> Option<LogLevel> {
    let written = written.to_uppercase();
    let (name, offset) = match written.find(['+', '-']).and_then(|i| written.split_at_checked(i)) {
        Some((name, offset)) => (name, offset.parse::<i32>().ok()?),
        None => (written.as_str(), 0),
    };
    let base = match name {
        "DEBUG" => -4,
        "INFO" => 0,
        "WARN" => 4,
        "ERROR" => 8,
        _ => return None,
    };
    Some(match base + i64::from(offset) {
        ..=-5 => LogLevel::Trace,
        -4 => LogLevel::Debug,
        -3..=0 => LogLevel::Info,
        1..=4 => LogLevel::Warn,
        _ => LogLevel::Error,
    })
}

/// The contract goes on with `text` when the format is unknown.
fn log_format(settings: &Settings, notices: &mut Vec<Notice>) -> LogFormat {
    match settings.text(&LOG_FORMAT).unwrap_or_default().to_lowercase().as_str() {
        "json" => LogFormat::Json,
        "text" | "" => LogFormat::Text,
        _ => {
            let Problem { line, why } =
                settings.problem(&LOG_FORMAT, "is neither text nor json, text is used");
            notices.push(Notice { line, text: why, kind: NoticeKind::Surprise });
            LogFormat::Text
        }
    }
}
