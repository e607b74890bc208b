//! The kernel is forbidden one thing after the other.

use std::process::Command;

use crate::doctor::{SIX, assert_truthful, with_only};
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
    let six = || with_only(&SIX);
    permit(PARANOIA, "3");
    assert_truthful(("perf_event_paranoid 3", vec![], Some(1), None), &server);
    assert_truthful(("perf_event_paranoid 3, six capabilities", six(), Some(1), None), &server);
    permit(LOCKDOWN, "integrity");
    assert_truthful(("lockdown integrity", vec![], Some(1), None), &server);
    assert_truthful(("lockdown integrity, six capabilities", six(), Some(1), None), &server);
    permit(LOCKDOWN, "confidentiality");
    assert_truthful(("lockdown confidentiality", vec![], None, Some("lockdown")), &server);
}
