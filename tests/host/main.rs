//! Live tests: the real binary beside real servers and clients, on the running kernel, as root.
//!
//! What truly happened is told by an oracle outside the agent: a server's access log, the load
//! generator's own count, a path that only one program ever asks for. Tests take turns, because
//! they share a kernel. A test that cannot run prints `SKIP` and why; under `REQUIRE_KERNEL=1`
//! it fails.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test panics when it cannot go on, reads clocks and the environment, and reports"
)]

mod agent;
mod cases;
mod collector;
mod conversation;
mod counterparts;
mod doctor;
mod endpoints;
mod errors;
mod exact;
mod explain;
mod hard;
mod harm;
mod headers;
mod held;
mod load;
mod loss;
mod matrix;
mod metrics;
mod names;
mod namespaces;
mod oracle;
mod own_exports;
mod parents;
mod races;
mod reach;
mod reload;
mod scale;
mod selection;
mod servers;
mod shapes;
mod sink;
mod stderr;
mod tools;
mod turn;
mod vm;

use std::time::{Duration, Instant};

/// Shown with the tests' results; figures that no assertion gates go here.
fn report(line: &str) {
    eprintln!("    {line}");
}

/// How long a thing that must happen may take: everything is slow under software emulation.
fn patience() -> Duration {
    Duration::from_secs(if std::env::var("OBI_VM").is_ok() { 120 } else { 30 })
}

/// Waits until `condition` holds; fails with `what` when it does not in time.
#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience();
    while !condition() {
        assert!(Instant::now() < deadline, "in {:?} it never came true that {what}", patience());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A number out of the environment.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect(name))
}
