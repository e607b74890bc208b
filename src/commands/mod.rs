//! The commands: the only place that prints for people.

mod config;
mod doctor;
mod explain;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tracing::warn;
use tracing_subscriber::filter::LevelFilter;

use crate::app;
use crate::config::{AgentConfig, Environment, LogFormat, LogLevel, Purpose, Source};
use crate::stages::loader;
use crate::telemetry::Messages;

/// Zero-code traces of every HTTP request on this host, out of eBPF.
///
/// Without configuration, every process is observed and its spans are printed as text. Settings
/// are those of OpenTelemetry eBPF Instrumentation: a YAML file and `OTEL_EBPF_*` variables.
#[derive(Debug, Parser)]
#[command(name = "obi", version)]
struct Cli {
    /// YAML configuration file; `OTEL_EBPF_CONFIG_PATH` takes precedence.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the raw event stream to FILE until SIGTERM or Ctrl-C, for `replay` or a bug report.
    Record {
        /// The recording: readable by its owner alone, for it holds payloads.
        file: PathBuf,
    },
    /// Decode and export a recording: the same spans every time. Needs no privilege.
    Replay {
        /// A recording.
        file: PathBuf,
    },
    /// Try every program and say what works on this host, what does not, and what to do.
    Doctor {
        /// As JSON on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Say why a process is observed or not, what it is called and by which rule, and what was seen
    /// of it. Asks the agents that run here; without one, says what the configuration would choose.
    Explain {
        /// A PID, a TCP port, or the name of an executable or a service. `pid:80` and `port:80` are
        /// only the one or the other.
        #[arg(value_name = "PID|PORT|NAME")]
        asked: crate::discovery::Asked,
        /// As JSON on stdout.
        #[arg(long)]
        json: bool,
        /// Do not ask an agent: say what this configuration would choose.
        #[arg(long)]
        offline: bool,
    },
    /// Look at a configuration: what is wrong, what it comes to, what there is to set.
    Config {
        #[command(subcommand)]
        command: config::Command,
    },
}

/// Runs the program; the exit status is 0 exactly when it did what was asked.
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(std::env::args_os().map(double_dash));
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            // Nobody reads a closed stderr; the exit status still tells.
            let _unread = writeln!(std::io::stderr(), "obi: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The contract's own flag has one dash: `-config PATH`.
fn double_dash(arg: OsString) -> OsString {
    match arg.to_str() {
        Some(s) if s == "-config" || s.starts_with("-config=") => format!("-{s}").into(),
        _ => arg,
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { config, command } = cli;
    let command = match command {
        Some(Command::Config { command }) => return config::run(command, config.as_deref()),
        other => other,
    };
    let purpose = match &command {
        None => Purpose::Observe,
        Some(Command::Record { .. } | Command::Explain { .. }) => Purpose::Record,
        Some(Command::Replay { .. }) => Purpose::Replay,
        Some(Command::Doctor { .. } | Command::Config { .. }) => Purpose::Diagnose,
    };
    // Whoever only reads may be ended at any moment.
    if matches!(command, None | Some(Command::Record { .. })) {
        app::block_signals()?;
    }
    let source = Source::new(config.as_deref(), Environment::of_this_process(), purpose);
    let loaded = source.load()?;
    if let Some(Command::Explain { asked, json, offline }) = command {
        return explain::run(&asked, &loaded.config, json, offline);
    }
    let mut messages = Messages::to_stderr();
    start_log(&loaded.config.agent, &messages);
    for notice in &loaded.notices {
        warn!("{notice}");
    }
    if let Some(text) = loaded.printed.as_deref().filter(|_| purpose == Purpose::Observe) {
        print(text)?;
    }
    match command {
        None => privileged(|| app::run(&source, loaded, &mut messages)),
        Some(Command::Record { file }) => {
            privileged(|| app::record(&source, loaded, &file, &mut messages))
        }
        Some(Command::Replay { file }) => {
            app::replay(&loaded.config, &file, &mut messages).map(done)
        }
        Some(Command::Doctor { json }) => doctor::run(json),
        // They were run above, without a log.
        Some(Command::Config { .. } | Command::Explain { .. }) => Ok(ExitCode::SUCCESS),
    }
}

/// Prints an answer on stdout.
fn print(text: &str) -> Result<ExitCode> {
    std::io::stdout().write_all(text.as_bytes()).context("write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

/// Says what is missing before anything is started.
fn privileged(run: impl FnOnce() -> Result<()>) -> Result<ExitCode> {
    loader::require_privilege()?;
    run().map(done)
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

fn start_log(agent: &AgentConfig, messages: &Messages) {
    let level = match agent.log_level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(messages.writer())
        .log_internal_errors(false);
    match agent.log_format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
    loader::route_libbpf_messages();
}
