//! `obi doctor`: what works here, what does not, why, and what to do.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::stages::loader::{self, Check};

/// The outcome of all checks.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether the main job can be done: socket calls can be seen.
    works: bool,
    /// The front end that `auto` would choose.
    front_end: Option<String>,
    kernel: String,
    checks: Vec<Check>,
}

/// Runs every check and prints the report; the exit status says whether the main job can run.
pub(super) fn run(json: bool) -> Result<ExitCode> {
    let checks = loader::check_all();
    let front_end = checks
        .iter()
        .find(|c| c.works && c.feature.starts_with(loader::FRONT_END_CHECK))
        .map(|c| c.feature.trim_start_matches(loader::FRONT_END_CHECK).to_owned());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let report =
        Report { works: front_end.is_some(), front_end, kernel: kernel.trim().to_owned(), checks };
    let text = if json {
        serde_json::to_string_pretty(&report).context("write the report")? + "\n"
    } else {
        table(&report)
    };
    std::io::stdout().write_all(text.as_bytes()).context("print the report")?;
    Ok(if report.works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(report: &Report) -> String {
    let mut text = format!("kernel {}\n", report.kernel);
    for check in &report.checks {
        let mark = if check.works { "ok  " } else { "no  " };
        text += &format!("{mark}{:<22} {}\n", check.feature, check.gives);
        if let Some(why) = &check.why {
            text += &format!("      why: {why}\n");
        }
        if !check.works && !check.advice.is_empty() {
            text += &format!("      do:  {}\n", check.advice);
        }
    }
    text += &match &report.front_end {
        Some(name) => format!("obi works here, by the {name} front end\n"),
        None if report.checks.first().is_some_and(|privilege| !privilege.works) => {
            "obi cannot load programs as it is run now\n".to_owned()
        }
        None => "obi cannot see socket calls here\n".to_owned(),
    };
    text
}
