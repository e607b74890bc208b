//! `obi config`: what a configuration says, before the agent runs with it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

use super::print;
use crate::config::{self, Environment};

/// What is asked of a configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say what is wrong with a configuration file, and what in it has no effect. Exit status 0 =
    /// it is valid, 1 = it is not.
    #[command(visible_alias = "validate")]
    Check {
        /// The file. Variables of the environment count as they would for the agent.
        file: PathBuf,
        /// Names that nobody knows are errors, not only warnings.
        #[arg(long)]
        strict: bool,
        /// What the agent is meant to be.
        #[arg(long, value_enum, default_value_t = Mode::Standalone)]
        mode: Mode,
    },
    /// Print the effective configuration as a YAML file, with secrets masked.
    Print {
        /// Say behind each setting where it comes from.
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Print a configuration file with every setting and its default, commented out.
    Defaults,
    /// Print a page with every setting, its variables, values, default and meaning (Markdown).
    Reference,
}

/// What the agent is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// A program of its own.
    Standalone,
    /// A receiver of a Collector.
    Receiver,
}

/// Does it; `path` is the file named on the command line.
pub(super) fn run(command: Command, path: Option<&Path>) -> Result<ExitCode> {
    let env = Environment::of_this_process();
    match command {
        Command::Check { mode: Mode::Receiver, .. } => {
            anyhow::bail!("obi is no receiver of a Collector: only --mode=standalone is there")
        }
        Command::Check { file, strict, .. } => check(&file, &env, strict),
        Command::Print { origin } => print(&config::effective(path, &env, origin)?),
        Command::Schema => print(&config::schema()),
        Command::Defaults => print(&config::default_file()),
        Command::Reference => print(&config::reference()),
    }
}

fn check(file: &Path, env: &Environment, strict: bool) -> Result<ExitCode> {
    let (problems, notices) = config::check(file, env, strict);
    let mut text = String::new();
    for (what, sentences) in [("error", &problems), ("warning", &notices)] {
        for sentence in sentences {
            text.push_str(&format!("{what}: {sentence}\n"));
        }
    }
    let verdict = match problems.len() {
        0 => format!("{} is valid", file.display()),
        1 => format!("{} is not valid: 1 error", file.display()),
        n => format!("{} is not valid: {n} errors", file.display()),
    };
    print(&format!("{text}{verdict}\n"))?;
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
