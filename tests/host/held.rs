//! What a process holds: descriptors, memory, and objects of the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::eventually;

/// How many maps, programs and links the kernel has, and what is pinned.
pub(crate) fn in_kernel() -> [usize; 4] {
    let pinned = fs::read_dir("/sys/fs/bpf").map_or(0, Iterator::count);
    let [maps, programs, links] = KINDS.map(|kind| ids_in_kernel(kind).len());
    [maps, programs, links, pinned]
}

/// Kinds of objects as bpftool and `/proc/PID/fdinfo` name them.
const KINDS: [&str; 3] = ["map", "prog", "link"];

fn ids_in_kernel(kind: &str) -> BTreeSet<u64> {
    let output = Command::new("bpftool").args(["--json", kind, "show"]).output().unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    list.iter().map(|object| object["id"].as_u64().unwrap()).collect()
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

/// The maps, programs and links of one process, by their numbers in the kernel. Whatever else
/// uses eBPF on this host does not show.
#[derive(Debug)]
pub(crate) struct Held([BTreeSet<u64>; 3]);

impl Held {
    pub(crate) fn by(pid: u32) -> Self {
        let lines: Vec<_> = fs::read_dir(format!("/proc/{pid}/fdinfo"))
            .unwrap()
            // A descriptor may be closed meanwhile.
            .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
            .collect();
        let facts = || lines.iter().flat_map(|text| text.lines());
        Self(KINDS.map(|kind| {
            let key = format!("{kind}_id:");
            let ids = facts().filter_map(|line| line.strip_prefix(&key));
            ids.map(|id| id.trim().parse().unwrap()).collect()
        }))
    }

    /// How many maps, programs and links.
    pub(crate) fn counts(&self) -> [usize; 3] {
        self.0.each_ref().map(BTreeSet::len)
    }

    /// How many of them the kernel still has.
    pub(crate) fn left(&self) -> [usize; 3] {
        [0, 1, 2].map(|i| self.0[i].intersection(&ids_in_kernel(KINDS[i])).count())
    }

    /// Waits until the kernel has none of them: it frees them in the background.
    #[track_caller]
    pub(crate) fn assert_freed(&self) {
        eventually("maps, programs and links are gone", || self.left() == [0; 3]);
    }
}

/// Open descriptors of a process.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// A figure of `/proc/PID/status` in KiB, such as `RssAnon` or `VmHWM`.
pub(crate) fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// The processes that a process started and that are there.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}
