//! The agent dies: nobody notices, and nothing of it stays in the kernel.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::agent::Agent;
use crate::load::Load;
use crate::servers;
use crate::turn::{Need, enter};
use crate::{eventually, report, setting};

fn numbered(number: u64) -> (&'static str, String, usize) {
    ("GET", format!("/r/{number}"), 0)
}

/// How many maps, programs and links the kernel has, and what is pinned.
pub(crate) fn in_kernel() -> [usize; 4] {
    let count = |kind: &str| {
        let output = Command::new("bpftool").args(["--json", kind, "show"]).output().unwrap();
        let list: Vec<serde_json::Value> =
            serde_json::from_slice(&output.stdout).unwrap_or_default();
        list.len()
    };
    let pinned = std::fs::read_dir("/sys/fs/bpf").map_or(0, Iterator::count);
    [count("map"), count("prog"), count("link"), pinned]
}

/// Looks in a row that must agree before the kernel counts as quiet.
const LOOKS: usize = 10;

/// [`in_kernel`] once the kernel has freed what agents before this test left to it: it does so in
/// the background, after they ended.
pub(crate) fn baseline() -> [usize; 4] {
    let mut last = in_kernel();
    let mut agreed = 0;
    eventually("the kernel's programs, maps and links stay as they are", || {
        let now = in_kernel();
        agreed = if now == last { agreed + 1 } else { 0 };
        last = now;
        agreed >= LOOKS
    });
    last
}

#[test]
fn killed_under_load_and_started_again_it_leaves_no_trace() {
    let name = "killed_under_load_and_started_again_it_leaves_no_trace";
    let needs = [Need::Command("nginx"), Need::Command("bpftool")];
    let Some(_turn) = enter(name, &needs) else { return };
    let nginx = servers::nginx(1, None);
    let port = nginx.port.to_string();
    let variables = [("OTEL_EBPF_OPEN_PORT", port.as_str())];
    let baseline = baseline();

    let rate = setting("OBI_TEST_RATE", 10_000).min(2000);
    let load = Load {
        port: nginx.port,
        connections: 16,
        requests: rate * 10,
        rate: Some(rate),
        plan: numbered,
    };
    let client = std::thread::Builder::new().spawn(move || load.run()).unwrap();
    for _ in 0..3 {
        let agent = Agent::start(&variables);
        assert_ne!(in_kernel(), baseline, "a running agent shows in the kernel");
        std::thread::sleep(Duration::from_secs(1));
        agent.signal(Signal::SIGKILL);
        drop(agent);
    }
    // After a crash it starts as ever.
    let agent = Agent::start(&variables);
    let mut seen = client.join().unwrap();
    report(&seen.line());
    assert_eq!((seen.answered(), seen.errors), (load.requests, 0), "clients saw the crash");
    let outcome = agent.stop();
    assert!(!outcome.spans.is_empty(), "the agent after the crash sees nothing");
    eventually("maps, programs, links and pins are back to the baseline", || {
        in_kernel() == baseline
    });
}
