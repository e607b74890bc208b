//! The kernel is forbidden one thing after the other.

use std::process::Command;

use crate::doctor::{Case, SIX, assert_truthful, diagnose, usual_complaints, with_only};
use crate::servers;
use crate::turn::{Need, enter};

/// Sets what a kernel permits.
fn permit(file: &str, value: &str) {
    std::fs::write(file, value).unwrap_or_else(|error| panic!("{value} to {file}: {error}"));
}

/// There is no way back from a lockdown but a new boot.
#[test]
fn the_doctor_tells_the_truth_whatever_the_kernel_forbids() {
    const PARANOIA: &str = "/proc/sys/kernel/perf_event_paranoid";
    const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
    let name = "the_doctor_tells_the_truth_whatever_the_kernel_forbids";
    let needs = [Need::MachineOfItsOwn, Need::App("httpd"), Need::Command("setpriv")];
    let Some(_turn) = enter(name, &needs) else { return };
    if !std::path::Path::new(LOCKDOWN).exists() {
        let mut mount = Command::new("mount");
        servers::run(mount.args(["-t", "securityfs", "securityfs", "/sys/kernel/security"]));
    }
    let server = servers::httpd("threads");
    let usual = usual_complaints();
    let holds = |case: Case| assert_truthful(case, &usual, &server);
    // Before 5.11 what programs and maps take counts against a limit that must be raised first.
    let memory_counts = !usual.is_empty();
    let six = || match memory_counts {
        false => with_only(&SIX),
        true => with_only(&[&SIX[..], &["sys_resource"]].concat()),
    };
    if memory_counts {
        holds(("six capabilities", with_only(&SIX), None, None));
        let why = diagnose(&with_only(&SIX)).why("front end fentry");
        assert!(why.contains("add CAP_SYS_RESOURCE"), "{why}");
    }
    permit(PARANOIA, "3");
    holds(("perf_event_paranoid 3", vec![], Some(1), None));
    holds(("perf_event_paranoid 3, six capabilities", six(), Some(1), None));
    permit(LOCKDOWN, "integrity");
    holds(("lockdown integrity", vec![], Some(1), None));
    holds(("lockdown integrity, six capabilities", six(), Some(1), None));
    permit(LOCKDOWN, "confidentiality");
    holds(("lockdown confidentiality", vec![], None, Some("lockdown")));
}
