//! `obi explain`: why a process is observed or not.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::print;
use crate::app::{self, Answer, Explained};
use crate::config::Config;
use crate::discovery::{Asked, Explanation, Judged};
use crate::model::text::harmless;
use crate::stages::decoder::Seen;
use crate::telemetry::Counters;

/// Characters of a criterion's pattern that are shown behind what a process has instead.
const WANTED_MAX: usize = 60;

/// What is known, and from whom.
#[derive(Serialize)]
struct Report {
    /// The agent's PID; `None` = what the configuration would choose.
    agent: Option<u32>,
    #[serde(flatten)]
    answer: Answer,
}

/// Exit status 0 = there is such a process, 1 = there is none.
pub(super) fn run(asked: &Asked, config: &Config, json: bool, offline: bool) -> Result<ExitCode> {
    let agents = match offline {
        true => Vec::new(),
        false => app::ask(&config.agent.runtime_dir, &asked.to_string())?,
    };
    let mut reports: Vec<Report> =
        agents.into_iter().map(|(agent, answer)| Report { agent: Some(agent), answer }).collect();
    if reports.is_empty() {
        reports.push(Report { agent: None, answer: without_agent(asked, config)? });
    }
    let found = reports.iter().any(|report| !report.answer.processes.is_empty());
    if json {
        print(&(serde_json::to_string_pretty(&reports).context("write the answer")? + "\n"))?;
    } else {
        let pages: Vec<String> = reports.iter().map(|report| page(report, asked)).collect();
        print(&pages.join("\n"))?;
    }
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn without_agent(asked: &Asked, config: &Config) -> Result<Answer> {
    let discovery = app::new_discovery(config, Arc::new(Counters::default()));
    let (explanations, more) = discovery.explain_offline(asked)?;
    let explained =
        explanations.into_iter().map(|selection| Explained { selection, seen: Seen::default() });
    Ok(Answer { processes: explained.collect(), more, ..Answer::default() })
}

fn page(report: &Report, asked: &Asked) -> String {
    let Report { agent, answer } = report;
    let mut text = match agent {
        Some(pid) => format!("agent {pid}, {} front end\n", answer.front_end),
        None => "no agent is asked: this is what the configuration would choose\n".to_owned(),
    };
    for Explained { selection, seen } in &answer.processes {
        text.push('\n');
        text += &process(selection);
        if agent.is_some() && selection.observed {
            text += &what_was_seen(seen, answer);
        }
    }
    match (answer.processes.is_empty(), answer.more) {
        (true, _) => {
            let _infallible = writeln!(text, "no process: {}", nobody(asked));
        }
        (false, 0) => {}
        (false, more) => {
            let _infallible = writeln!(text, "\nand {more} more");
        }
    }
    text
}

fn nobody(asked: &Asked) -> String {
    let hidden = match nix::unistd::geteuid().is_root() {
        true => "",
        false => " (what other users run is hardly visible to this user: run obi as root)",
    };
    none(asked) + hidden
}

fn none(asked: &Asked) -> String {
    match asked {
        Asked::Number(n) => format!("none has the PID {n}, and none listens on the TCP port {n}"),
        Asked::Pid(pid) => format!("none has the PID {pid}"),
        Asked::Port(port) => format!("none listens on the TCP port {port}"),
        Asked::Name(name) => {
            format!("no process, executable or service that is observed is called {name}")
        }
    }
}

fn process(e: &Explanation) -> String {
    let or = |text: &str, nothing: &str| match text {
        "" => nothing.to_owned(),
        text => text.to_owned(),
    };
    let ports: Vec<String> = e.ports.iter().map(u16::to_string).collect();
    let exe = or(&e.exe, "(executable not visible)");
    let mut text = format!("process {} {}\n", e.pid, harmless(&exe));
    let mut row = |name: &str, value: &str| {
        let _infallible = writeln!(text, "  {name:<12} {}", harmless(value));
    };
    row("arguments", &or(&e.arguments, "none"));
    row("language", &e.language);
    row("libraries", &or(&e.libraries.join(", "), "none that matters to tracing"));
    row("listens on", &or(&ports.join(", "), "no TCP port"));
    row("observed", &format!("{}: {}", if e.observed { "yes" } else { "no" }, e.because));
    if e.exports_traces {
        row("left out", "its spans: it exports its own (exclude_otel_instrumented_services)");
    }
    row("name", &format!("{} (by {})", e.name.value, e.name.from));
    match e.namespace.value.as_str() {
        "" => row("namespace", "none"),
        namespace => row("namespace", &format!("{namespace} (by {})", e.namespace.from)),
    }
    text + &judged("selectors", &e.selectors) + &judged("exclusions", &e.exclusions)
}

fn judged(what: &str, list: &[Judged]) -> String {
    let mut text = format!("  {what}{}\n", if list.is_empty() { ": none" } else { "" });
    for Judged { selector, fails } in list {
        let verdict = match fails {
            None => "matches".to_owned(),
            Some(f) => {
                let found = harmless(&f.found);
                format!("no: {} is {found}, wanted {}", f.criterion, cut(&f.wanted))
            }
        };
        let _infallible = writeln!(text, "    {selector}\n      {verdict}");
    }
    text
}

/// The selector shows it whole.
fn cut(wanted: &str) -> String {
    match wanted.char_indices().nth(WANTED_MAX) {
        Some((end, _)) => wanted.get(..end).unwrap_or_default().to_owned() + "…",
        None => wanted.to_owned(),
    }
}

fn what_was_seen(seen: &Seen, answer: &Answer) -> String {
    let open: Vec<String> = seen.open.iter().map(|(what, n)| format!("{n} {what}")).collect();
    let open = match open.is_empty() {
        true => "none".to_owned(),
        false => open.join(", "),
    };
    let mut losses = Vec::new();
    if seen.gap_bytes > 0 {
        losses.push(format!("{} bytes were lost before they were read", seen.gap_bytes));
    }
    if seen.unknown_payloads > 0 {
        losses.push(format!(
            "the bytes of {} calls could not be read (io_uring, a foreign ABI, recvmmsg)",
            seen.unknown_payloads
        ));
    }
    let losses = if losses.is_empty() { "none".to_owned() } else { losses.join("; ") };
    format!(
        "  programs     {}\n  connections  open: {open}; over: {}\n  spans        {}\n  \
         losses       {losses}\n",
        answer.programs.join(", "),
        seen.over,
        seen.spans
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_calls_itself_moves_no_cursor() {
        let arguments = "a\u{1b}[2Jb\nc".to_owned();
        let page = process(&Explanation { arguments, ..Explanation::default() });
        assert!(page.contains("arguments    a\\u{1b}[2Jb\\nc\n"), "{page}");
    }
}
