//! What `obi doctor` says in surroundings that lack something, held against what the agent does there.

use std::process::Command;

use crate::agent::{Agent, environment};
use crate::load::Client;
use crate::report;
use crate::servers::{self, Server};
use crate::tools::{Diagnosis, JSON};
use crate::turn::{Need, agent_binary, enter};

/// The capabilities of the unprivileged manifest.
pub(crate) const SIX: [&str; 6] =
    ["bpf", "sys_ptrace", "net_raw", "checkpoint_restore", "dac_read_search", "perfmon"];

/// Root whose capabilities are these and no others.
pub(crate) fn with_only(capabilities: &[&str]) -> Vec<String> {
    let set: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
    vec!["setpriv".to_owned(), format!("--bounding-set=-all{set}")]
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

/// A mount namespace of its own, in which `change` was run.
fn without(change: &str) -> Vec<String> {
    let mut command = words("unshare --mount sh -c");
    command.extend([format!("{change}; exec \"$@\""), "sh".to_owned()]);
    command
}

fn agent_in(surroundings: &[String]) -> Command {
    let mut command = Command::new("env");
    command.args(surroundings).arg(agent_binary());
    command
}

pub(crate) fn diagnose(surroundings: &[String]) -> Diagnosis {
    let mut command = agent_in(surroundings);
    let output = environment(&mut command, &[]).args(["doctor", "--json"]).output().unwrap();
    let diagnosis: Diagnosis = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(output.status.success(), diagnosis.works, "{diagnosis:?}");
    for check in diagnosis.checks.iter().filter(|check| !check.works) {
        assert!(check.why.is_some(), "no reason: {check:?}");
    }
    diagnosis
}

/// Spans of one request to a server that was there before the agent, `None` where the agent does not
/// start, as the doctor said: then it says why.
fn spans(surroundings: &[String], diagnosis: &Diagnosis, server: &Server) -> Option<usize> {
    let port = server.port.to_string();
    let selected = [("OTEL_EBPF_OPEN_PORT", port.as_str()), JSON];
    if !diagnosis.works {
        let mut command = agent_in(surroundings);
        let output = environment(&mut command, &selected).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("obi: "), "{said}");
        return None;
    }
    let agent = Agent::start_as(agent_in(surroundings), &selected);
    let confined = diagnosis.complains_of("PID namespace");
    assert_eq!(agent.log().contains("hostPID: true"), confined, "{}", agent.log());
    assert_eq!(Client::connect(server.port).unwrap().ask("GET", "/one", b"").unwrap(), 200);
    Some(agent.stop().spans.len())
}

impl Diagnosis {
    /// What of the report is not as it should be, beside front ends, of which one is enough.
    fn complaints(&self) -> Vec<&str> {
        let bad = self.checks.iter().filter(|check| !check.works);
        let own = bad.filter(|check| !check.feature.starts_with("front end "));
        own.map(|check| check.feature.as_str()).collect()
    }

    /// Why a feature does not work.
    pub(crate) fn why(&self, feature: &str) -> String {
        let check = self.checks.iter().find(|check| check.feature == feature);
        check.and_then(|check| check.why.clone()).unwrap_or_default()
    }

    fn complains_of(&self, feature: &str) -> bool {
        self.complaints().contains(&feature)
    }
}

/// Surroundings: what they are called and how a command gets there; the spans of one request, where the
/// agent works there; and what the doctor complains of.
pub(crate) type Case = (&'static str, Vec<String>, Option<usize>, Option<&'static str>);

fn cases() -> Vec<Case> {
    let five = |left_out: &str| {
        with_only(&SIX.into_iter().filter(|name| *name != left_out).collect::<Vec<_>>())
    };
    vec![
        ("root", vec![], Some(1), None),
        ("no CAP_SYS_ADMIN", words("setpriv --bounding-set=-sys_admin"), Some(1), None),
        ("six capabilities", with_only(&SIX), Some(1), None),
        ("without CAP_BPF", five("bpf"), None, Some("privilege and BTF")),
        ("without CAP_PERFMON", five("perfmon"), None, Some("privilege and BTF")),
        ("without CAP_SYS_PTRACE", five("sys_ptrace"), Some(1), Some("processes of others")),
        ("without CAP_NET_RAW", five("net_raw"), Some(1), None),
        ("without CAP_CHECKPOINT_RESTORE", five("checkpoint_restore"), Some(1), None),
        ("without CAP_DAC_READ_SEARCH", five("dac_read_search"), Some(1), None),
        ("no BTF", without("mount -t tmpfs none /sys/kernel/btf"), None, Some("privilege and BTF")),
        ("no bpffs", without("umount -l /sys/fs/bpf 2>&-"), Some(1), None),
        (
            "no tracefs",
            without("umount -l /sys/kernel/tracing /sys/kernel/debug 2>&-"),
            Some(1),
            None,
        ),
        (
            "a PID namespace of its own",
            words("unshare --pid --fork --mount-proc"),
            Some(0),
            Some("PID namespace"),
        ),
    ]
}

/// What the doctor complains of on this kernel whatever the surroundings.
pub(crate) fn usual_complaints() -> Vec<String> {
    diagnose(&[]).complaints().into_iter().map(str::to_owned).collect()
}

/// Holds the doctor and the agent in these surroundings against each other and against what must come,
/// beside the `usual` complaints.
pub(crate) fn assert_truthful(case: Case, usual: &[String], server: &Server) {
    let (surroundings, command, expected, complaint) = case;
    let diagnosis = diagnose(&command);
    let mut found = diagnosis.complaints();
    found.retain(|feature| !usual.iter().any(|usual| usual == feature));
    assert!(complaint.is_none_or(|c| diagnosis.complains_of(c)), "{surroundings}: {found:?}");
    assert!(complaint.is_some() || found.is_empty(), "{surroundings}: {found:?}");
    assert_eq!(diagnosis.works, expected.is_some(), "{surroundings}: {diagnosis:?}");
    assert_eq!(spans(&command, &diagnosis, server), expected, "{surroundings}");
    report(&format!("{surroundings}: works {}, complaints {found:?}", diagnosis.works));
}

#[test]
fn the_doctor_tells_the_truth_wherever_something_is_missing() {
    let name = "the_doctor_tells_the_truth_wherever_something_is_missing";
    let needs = [Need::App("httpd"), Need::Command("setpriv"), Need::Command("unshare")];
    let Some(_turn) = enter(name, &needs) else { return };
    let server = servers::httpd("threads");
    cases().into_iter().for_each(|case| assert_truthful(case, &[], &server));
}
