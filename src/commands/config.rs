//! `obi config`: what a configuration says, before the agent runs with it.

use std::io::Write as _;
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
    /// Print a configuration file with deprecated names replaced by today's names of the same flat
    /// format (v1; not config v2), everything else as it was written, and the same meaning. What has
    /// to be written anew by hand is listed on stderr. Exit status 0 = nothing of old is left, 1 = it
    /// is no configuration, 3 = something is left.
    Migrate {
        /// The file, which is not changed.
        file: PathBuf,
        /// Print the file though something is left.
        #[arg(long)]
        allow_partial: bool,
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
        Command::Check { mode: Mode::Receiver, .. }
        | Command::Migrate { mode: Mode::Receiver, .. } => {
            anyhow::bail!("obi is no receiver of a Collector: only --mode=standalone is there")
        }
        Command::Check { file, strict, .. } => check(&file, &env, strict),
        Command::Migrate { file, allow_partial, .. } => migrate(&file, &env, allow_partial),
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

/// Exit status of a migration that leaves something.
const PARTIAL: u8 = 3;

fn migrate(file: &Path, env: &Environment, allow_partial: bool) -> Result<ExitCode> {
    let migrated = config::migrate(file, env)?;
    let mut stderr = std::io::stderr();
    for sentence in migrated.done.iter().chain(&migrated.left) {
        // Nobody reads a closed stderr; the exit status still tells.
        let _unread = writeln!(stderr, "{sentence}");
    }
    let whole = migrated.left.is_empty();
    if whole || allow_partial {
        print(&migrated.text)?;
    } else {
        let _unread = writeln!(
            stderr,
            "obi: {} is not printed because of what is left; --allow-partial prints it all the same",
            file.display()
        );
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}
