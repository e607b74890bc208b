//! The agent within a small limit of memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{assert_balanced, assert_unharmed, control, load, scale};
use crate::agent::Agent;
use crate::collector::Collector;
use crate::hard::sorted;
use crate::held::memory_kib;
use crate::load::Connections;
use crate::servers;
use crate::turn::{Need, agent_binary, enter, memory_controller};
use crate::{eventually, report};

/// What the agent gets, maps and ring included.
const LIMIT: u64 = 64 << 20;

/// A group of processes with a limit; gone with the test.
struct Limited {
    dir: PathBuf,
    files: [&'static str; 4],
}

impl Limited {
    fn new(limit: u64) -> Self {
        let files = memory_controller().unwrap();
        let dir = Path::new(files[0]).join(format!("obi-test-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let limited = Self { dir, files };
        fs::write(limited.dir.join(files[1]), limit.to_string()).unwrap();
        limited
    }

    /// The agent inside.
    fn agent(&self) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$1/cgroup.procs\" && exec \"$2\"", "sh"]);
        command.arg(&self.dir).arg(agent_binary());
        command
    }

    /// The most it used, in KiB.
    fn peak_kib(&self) -> u64 {
        let text = fs::read_to_string(self.dir.join(self.files[2])).unwrap();
        text.trim().parse::<u64>().unwrap() >> 10
    }

    /// How many of its processes were killed for want of memory.
    fn killed(&self) -> u64 {
        let text = fs::read_to_string(self.dir.join(self.files[3])).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.unwrap().parse().unwrap()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        eventually("the group is empty", || fs::remove_dir(&self.dir).is_ok());
    }
}

#[test]
fn within_64_mib_it_sees_all_and_lives() {
    let name = "within_64_mib_it_sees_all_and_lives";
    let needs = [Need::Command("nginx"), Need::MemoryController];
    let Some(_turn) = enter(name, &needs) else { return };
    let mut control = control(Connections::Kept);
    let limited = Limited::new(LIMIT);
    let nginx = servers::nginx(1, None);
    // Files in memory would count with the agent's own: its spans go to a collector.
    let collector = Collector::start();
    let (port, url) = (nginx.port.to_string(), collector.url());
    let mut variables = collector.variables(&url).to_vec();
    variables.extend([("OTEL_EBPF_OPEN_PORT", &*port), ("OTEL_EBPF_TRACE_PRINTER", "disabled")]);
    let agent = Agent::start_as(limited.agent(), &variables);
    let seconds = 3 * scale();
    let mut seen = load(nginx.port, seconds).start(Connections::Kept).wait();
    let mut more = load(nginx.port, seconds);
    more.plan = |number| ("GET", format!("/new-{number}"), 0);
    seen.add(more.start(Connections::New).wait());
    assert_unharmed(&format!("limit {LIMIT} bytes"), &mut control, &mut seen);
    let all = usize::try_from(seen.answered()).unwrap();
    eventually("the collector has every span", || collector.count() >= all);
    let memory = memory_kib(agent.pid(), "RssAnon");
    let outcome = agent.stop();
    assert_balanced("afterwards", &outcome);
    report(&format!("RssAnon {memory} KiB, the group at most {} KiB", limited.peak_kib()));
    assert_eq!(limited.killed(), 0);
    let wanted = (0..all / 2).flat_map(|n| [format!("/r/{n}"), format!("/new-{n}")]);
    let told = collector.told().into_iter().map(|told| told.path().to_owned());
    assert_eq!(sorted(told), sorted(wanted));
}
