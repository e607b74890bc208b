//! What cannot work is said in one clear sentence, before anything is started.

use std::process::Output;

use crate::eventually;
use crate::held::{baseline, in_kernel};
use crate::tools::{run, run_as_nobody, run_with_files, stderr};
use crate::turn::{Need, enter};

const PORT: (&str, &str) = ("OTEL_EBPF_OPEN_PORT", "1");

/// The one sentence, or `None` when there is anything else or an exit status of success.
fn sentence(output: &Output) -> Option<String> {
    let text = stderr(output);
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let sentence = lines.next()?.to_owned();
    let more: Vec<_> = lines.collect();
    // The command line's own errors are followed by how to ask for help.
    let help = more.iter().all(|line| line.starts_with("Usage:") || line.contains("--help"));
    (help && !output.status.success() && output.stdout.is_empty()).then_some(sentence)
}

type Variables = &'static [(&'static str, &'static str)];

/// Each of the mistakes that stop the agent: variables, arguments, and what it says.
const MISTAKES: &[(Variables, &[&str], &str)] = &[
    (&[PORT], &["--nonsense"], "error: unexpected argument '--nonsense' found"),
    (&[PORT], &["frobnicate"], "error: unrecognized subcommand 'frobnicate'"),
    (
        &[PORT, ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318")],
        &[],
        "obi: OTEL_EXPORTER_OTLP_ENDPOINT = \"localhost:4318\": must be a URL with scheme and \
         host, such as http://localhost:4318, https://host:4317 or \
         unix:///path",
    ),
    (
        &[PORT, ("OTEL_EBPF_TRACE_PRINTER", "xml")],
        &[],
        "obi: OTEL_EBPF_TRACE_PRINTER = \"xml\": must be one of disabled, counter, text, json, \
         json_indent",
    ),
    (
        &[("OTEL_EBPF_OPEN_PORT", "80,eighty")],
        &[],
        "obi: OTEL_EBPF_OPEN_PORT = \"80,eighty\": must be numbers from 1 to 65535: one, a comma list \
         with ranges such as \"80,443,8000-8999\", or a sequence without ranges",
    ),
    (
        &[PORT, ("OTEL_EBPF_BPF_FRONT_END", "raw")],
        &[],
        "obi: OTEL_EBPF_BPF_FRONT_END = \"raw\": must be one of auto, tracepoint, fentry, \
         kprobe",
    ),
    (
        &[PORT, ("OTEL_EBPF_TRACE_PRINTER", "disabled")],
        &[],
        "obi: processes are selected but nothing is done with their spans: at least one exporter \
         is needed; set OTEL_EBPF_TRACE_PRINTER to text, or OTEL_EXPORTER_OTLP_ENDPOINT to the \
         URL of an OTLP receiver",
    ),
    (
        &[],
        &[],
        "obi: no process is selected: at least one feature must be enabled; set \
         OTEL_EBPF_OPEN_PORT to its ports, OTEL_EBPF_AUTO_TARGET_EXE to a glob over its \
         executable (\"*\" = every process), or discovery.instrument",
    ),
    (
        &[PORT, ("OTEL_EBPF_CONFIG_PATH", "/nonexistent/obi.yml")],
        &[],
        "obi: config file /nonexistent/obi.yml: No such file or directory (os error 2)",
    ),
    (
        &[PORT, ("OTEL_EBPF_LEDGER_FILE", "/nonexistent/ledger")],
        &[],
        "obi: OTEL_EBPF_LEDGER_FILE = /nonexistent/ledger: No such file or directory (os error 2)",
    ),
    (
        &[PORT],
        &["record", "/nonexistent/recording"],
        "obi: create the recording /nonexistent/recording: No such file or directory (os error 2)",
    ),
    (
        &[],
        &["replay", "/nonexistent/recording"],
        "obi: open /nonexistent/recording: No such file or directory (os error 2)",
    ),
];

#[test]
fn every_mistake_is_one_sentence_and_leaves_nothing_in_the_kernel() {
    let name = "every_mistake_is_one_sentence_and_leaves_nothing_in_the_kernel";
    let Some(_turn) = enter(name, &[Need::Command("bpftool")]) else { return };
    let baseline = baseline();
    for (variables, arguments, wanted) in MISTAKES {
        let output = run(variables, arguments);
        let found = sentence(&output);
        assert_eq!(found.as_deref(), Some(*wanted), "{variables:?} {arguments:?}: {output:?}");
    }
    eventually("the kernel's programs, maps and links are as before", || in_kernel() == baseline);
}

#[test]
fn without_privilege_the_agent_says_what_it_needs_and_starts_nothing() {
    let name = "without_privilege_the_agent_says_what_it_needs_and_starts_nothing";
    let needs = [Need::Command("setpriv"), Need::Command("bpftool")];
    let Some(_turn) = enter(name, &needs) else { return };
    let baseline = baseline();
    for arguments in [&[][..], &["record", "/dev/null"]] {
        let output = run_as_nobody(&[PORT], arguments);
        assert_eq!(
            sentence(&output).as_deref(),
            Some(
                "obi: loading eBPF programs is not permitted: run as root, or with CAP_BPF, \
                 CAP_PERFMON and CAP_SYS_PTRACE"
            ),
            "{arguments:?}: {output:?}"
        );
    }
    eventually("the kernel's programs, maps and links are as before", || in_kernel() == baseline);
}

#[test]
fn with_few_open_files_the_agent_takes_what_it_may_or_says_how_many_it_needs() {
    let name = "with_few_open_files_the_agent_takes_what_it_may_or_says_how_many_it_needs";
    let Some(_turn) = enter(name, &[Need::Command("bpftool")]) else { return };
    let baseline = baseline();
    assert_eq!(
        sentence(&run_with_files(20, 64, &[PORT])).as_deref(),
        Some(
            "obi: only 64 files may be open, which the agent needs 128 of: raise the limit (ulimit \
             -n, LimitNOFILE= of a systemd unit)"
        )
    );
    let output = run_with_files(20, 128, &[PORT]);
    assert!(stderr(&output).contains("balanced"), "{output:?}");
    eventually("the kernel's programs, maps and links are as before", || in_kernel() == baseline);
}
