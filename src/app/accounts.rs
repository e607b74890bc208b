//! The ledger of the whole agent: every stage's own account, and what lies between them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::abi::types::hook_stat;
use crate::stages::decoder::Account;
use crate::stages::loader::HookStats;
use crate::stages::{decorator, reader};
use crate::telemetry::{Counter, Counters, Ledger, Messages, Stage};

/// The account at the end of a run.
pub(super) fn ledger(
    hooks: &HookStats,
    counters: &Counters,
    decoder: Account,
    exporters: Vec<Stage>,
) -> Ledger {
    let mut stages = recorded(hooks, counters).stages;
    let decoder_in = counters.get(Counter::RecordsIn);
    stages.push(between("reader to decoder", counters.get(Counter::ReaderRecordsOut), decoder_in));
    let rest = replayed(counters, decoder, exporters);
    stages.extend(rest.stages);
    let beside = beside(Some(hooks), counters);
    Ledger { stages, unknown_payloads: rest.unknown_payloads, beside }
}

/// The account of a recording: everything up to the reader.
pub(super) fn recorded(hooks: &HookStats, counters: &Counters) -> Ledger {
    let submitted = hooks.get(hook_stat::HOOK_STAT_DATA_SUBMITTED)
        + hooks.get(hook_stat::HOOK_STAT_CONN_OPENED)
        + hooks.get(hook_stat::HOOK_STAT_CONTROL_SUBMITTED);
    let ring = between("ring", submitted, counters.get(Counter::ReaderRecordsIn));
    let stages = vec![kernel(hooks), ring, reader::ledger(counters)];
    Ledger { stages, beside: beside(Some(hooks), counters), ..Ledger::default() }
}

/// The account of a replay: everything from the decoder on.
pub(super) fn replayed(counters: &Counters, decoder: Account, exporters: Vec<Stage>) -> Ledger {
    let mut stages = Vec::from(decoder.stages);
    let spans = counters.get(Counter::SpansOut);
    let decorator_in = counters.get(Counter::DecoratorSpansIn);
    stages.push(between("decoder to decorator", spans, decorator_in));
    stages.push(decorator::ledger(counters));
    let decorated = counters.get(Counter::DecoratorSpansOut);
    for exporter in exporters {
        stages.push(between("decorator to exporter", decorated, exporter.in_));
        stages.push(exporter);
    }
    Ledger { stages, unknown_payloads: decoder.unknown_payloads, beside: beside(None, counters) }
}

/// The hooks: socket calls of observed processes.
pub(super) fn kernel(hooks: &HookStats) -> Stage {
    let drops = [
        ("ring_full", hook_stat::HOOK_STAT_DATA_RESERVE_FAILED),
        ("open_ring_full", hook_stat::HOOK_STAT_DATA_OPEN_FAILED),
        ("peek", hook_stat::HOOK_STAT_SKIP_PEEK),
        ("empty", hook_stat::HOOK_STAT_SKIP_EMPTY),
        ("verdict_nothing", hook_stat::HOOK_STAT_SKIP_VERDICT_NOTHING),
        ("verdict_until", hook_stat::HOOK_STAT_SKIP_VERDICT_UNTIL),
        ("agent_peer", hook_stat::HOOK_STAT_SKIP_AGENT_PEER),
        ("no_connection_state", hook_stat::HOOK_STAT_SKIP_NO_CONN),
        ("pending_budget", hook_stat::HOOK_STAT_SKIP_PENDING_BUDGET),
    ];
    Stage {
        name: "kernel.calls",
        in_: hooks.get(hook_stat::HOOK_STAT_CALLS),
        out: hooks.get(hook_stat::HOOK_STAT_DATA_SUBMITTED),
        drops: drops.iter().map(|(reason, cell)| (*reason, hooks.get(*cell))).collect(),
        in_flight: 0,
    }
}

/// What the hooks and the stages counted beside their accounts.
pub(super) fn beside(hooks: Option<&HookStats>, counters: &Counters) -> Vec<(String, u64)> {
    let cells = [
        ("kernel_control_records_dropped ring_full", hook_stat::HOOK_STAT_CONTROL_RESERVE_FAILED),
        ("kernel_payload_unknown_calls", hook_stat::HOOK_STAT_PAYLOAD_UNKNOWN),
        ("kernel_payload_fault_calls", hook_stat::HOOK_STAT_PAYLOAD_FAULT),
        ("kernel_processes_not_selected full", hook_stat::HOOK_STAT_SELECT_FAILED),
        ("kernel_unseen_bytes", hook_stat::HOOK_STAT_UNSEEN_BYTES),
        ("kernel_unseen_calls", hook_stat::HOOK_STAT_UNSEEN_CALLS),
    ];
    let cell = |hooks: &HookStats| cells.map(|(name, cell)| (name.to_owned(), hooks.get(cell)));
    let name = |c: &Counter| format!("{} {}", c.name(), c.reason()).trim_end().to_owned();
    let own = Counter::ALL.iter().filter(|c| !c.is_accounted());
    let own = own.map(|c| (name(c), counters.get(*c)));
    let missed = |hooks: &HookStats| hooks.missed.clone();
    let missed = hooks.map(missed).into_iter().flatten();
    let missed = missed.map(|(program, n)| (format!("kernel_runs_missed {program}"), n));
    let kernel = hooks.map(cell).into_iter().flatten().chain(missed);
    kernel.chain(own).filter(|(_, n)| *n > 0).collect()
}

/// What one stage handed on must be what the next took: both counted where they happen.
fn between(name: &'static str, handed_on: u64, taken: u64) -> Stage {
    Stage { name, in_: handed_on, out: taken, drops: Vec::new(), in_flight: 0 }
}

/// Prints the ledger at the end as a table; gives it back with what the messages themselves lost.
pub(super) fn print(mut ledger: Ledger, messages: &mut Messages) -> Ledger {
    let dropped = messages.dropped();
    if dropped > 0 {
        ledger.beside.push(("messages_dropped".to_owned(), dropped));
    }
    let verdict = if ledger.balanced() { "balanced\n" } else { "NOT balanced\n" };
    messages.say(&(table(&ledger, "  UNBALANCED") + verdict));
    ledger
}

/// Prints the ledger of a running agent. Its figures are not of one moment, so that it cannot be
/// told whether they balance.
pub(super) fn print_running(ledger: &Ledger, messages: &mut Messages) {
    messages.say(&(table(ledger, "") + "still running: what is between two stages is in no row\n"));
}

/// A row a stage, `unbalanced` behind those that are not; then what was counted beside.
fn table(ledger: &Ledger, unbalanced: &str) -> String {
    let mut table =
        String::from("ledger                        in          out      dropped    in flight\n");
    for s in &ledger.stages {
        let mark = if s.balanced() { "" } else { unbalanced };
        let dropped = s.dropped();
        table += &format!(
            "{:<22}{:>10} {:>12} {dropped:>12} {:>12}{mark}\n",
            s.name, s.in_, s.out, s.in_flight
        );
        for (reason, n) in s.drops.iter().filter(|(_, n)| *n > 0) {
            table += &format!("  - {reason:<40} {n:>8}\n");
        }
    }
    for (process, n) in &ledger.unknown_payloads {
        table += &format!(
            "payload unknown: {n} calls of {process} \
             (io_uring, a foreign ABI, or recvmmsg with a timeout)\n"
        );
    }
    for (name, n) in &ledger.beside {
        table += &format!("beside: {name:<46} {n:>12}\n");
    }
    table
}

/// Writes the ledger as JSON: whole or not at all. A device or a pipe is written to, not replaced.
pub(super) fn write(ledger: &Ledger, path: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(ledger).context("write the ledger as JSON")?;
    let written = match is_special(path) {
        true => fs::write(path, json),
        false => {
            let part = part(path);
            let written = fs::write(&part, json).and_then(|()| fs::rename(&part, path));
            if written.is_err() {
                // What a full disk took of it; the error tells the rest.
                let _may_not_exist = fs::remove_file(&part);
            }
            written
        }
    };
    written.with_context(|| format!("write the ledger to {}", path.display()))
}

/// Tells at start whether [`write`] can do its work at the stop; leaves nothing behind.
///
/// # Errors
/// When the folder is missing or may not be written to, or the path is a folder.
pub(super) fn try_write(path: &Path) -> Result<()> {
    let tried = match path {
        _ if path.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ if is_special(path) => Ok(()),
        _ => {
            let part = part(path);
            fs::write(&part, "").and_then(|()| fs::remove_file(&part))
        }
    };
    tried.with_context(|| format!("OTEL_EBPF_LEDGER_FILE = {}", path.display()))
}

fn is_special(path: &Path) -> bool {
    path.exists() && !path.is_file()
}

/// Where the ledger is written before it takes its name: beside it, on the same file system.
fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_no_account_stands_beside_them_by_name() {
        let counters = Counters::default();
        counters.add(Counter::RecordsIn, 1);
        counters.add(Counter::RecordOld, 2);
        counters.add(Counter::SpansOut, 3);
        counters.add(Counter::Gaps, 4);
        counters.add(Counter::InvalidChunkEnd, 5);
        let named = |name: &str, n| (name.to_owned(), n);
        let expected = [named("decoder_gaps", 4), named("decoder_streams_lost chunk_end", 5)];
        assert_eq!(beside(None, &counters), expected);
    }

    #[test]
    fn a_ledger_replaces_a_file_but_never_a_device() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ledger.json");
        fs::write(&file, "of an earlier run").unwrap();
        try_write(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "of an earlier run");
        write(&Ledger::default(), &file).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(json["balanced"], true);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");

        let device = dir.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        try_write(&device).unwrap();
        write(&Ledger::default(), &device).unwrap();
        assert!(device.is_symlink(), "still the device");
        assert!(try_write(dir.path()).is_err(), "a folder");
    }
}
