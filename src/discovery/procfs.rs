//! The few reads of `/proc`. A process that is gone gives empty answers.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use crate::model::ids::Tgid;
use crate::model::process::{ListenerFact, TaskFact};

/// Bytes of an environment that are read at most.
const ENVIRON_MAX: u64 = 1 << 20;

/// Path of the executable; `None` for kernel threads, processes that are gone, and those whose
/// executable [`is_hidden`].
pub(super) fn executable(ns_tgid: u32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{ns_tgid}/exe")).ok()?;
    let path = path.to_string_lossy();
    Some(path.trim_end_matches(" (deleted)").to_owned())
}

/// Whether the process has an executable that we may not see: that of another user without
/// `CAP_SYS_PTRACE`.
pub(super) fn is_hidden(ns_tgid: u32) -> bool {
    let denied = fs::read_link(format!("/proc/{ns_tgid}/exe"))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    // A kernel thread has no command line.
    denied && fs::read(format!("/proc/{ns_tgid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// Whether the process runs.
pub(super) fn is_there(ns_tgid: u32) -> bool {
    fs::metadata(format!("/proc/{ns_tgid}/exe")).is_ok() || is_hidden(ns_tgid)
}

/// The environment the process was started with, NUL-separated.
pub(super) fn environ(ns_tgid: u32) -> Vec<u8> {
    read(ns_tgid, "environ", ENVIRON_MAX)
}

/// Bytes of a command line that are read at most.
const ARGUMENTS_MAX: u64 = 64 << 10;

/// The arguments without the first, joined by spaces: what stands behind the first space, as the
/// contract has it.
pub(super) fn arguments(ns_tgid: u32) -> String {
    let line = read(ns_tgid, "cmdline", ARGUMENTS_MAX);
    let line = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
    line.split_once(' ').map(|(_, arguments)| arguments.to_owned()).unwrap_or_default()
}

/// What a process calls itself: its `comm`, and the last part of its first argument.
pub(super) fn names(ns_tgid: u32) -> [String; 2] {
    let comm = read(ns_tgid, "comm", ARGUMENTS_MAX);
    let line = read(ns_tgid, "cmdline", ARGUMENTS_MAX);
    let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let first = first.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    [comm.trim_ascii_end(), first].map(|name| String::from_utf8_lossy(name).into_owned())
}

/// The front of a file of the process; nothing when it is gone.
fn read(ns_tgid: u32, file: &str, max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(open) = fs::File::open(format!("/proc/{ns_tgid}/{file}")) {
        // A process that ends while it is read leaves what was read so far.
        if let Err(error) = open.take(max).read_to_end(&mut bytes) {
            tracing::debug!(pid = ns_tgid, file, %error, "read in part");
        }
    }
    bytes
}

/// What tells the network namespace of a process (a PID or `self`) from others.
pub(super) fn network_namespace(process: impl std::fmt::Display) -> Option<u64> {
    fs::metadata(format!("/proc/{process}/ns/net")).ok().map(|ns| ns.ino())
}

/// Listening TCP sockets and their owners, for kernels whose iterators cannot tell (5.10): the
/// socket tables of every network namespace that a process lives in, matched with its
/// descriptors by inode.
pub fn listeners_from_proc(tasks: &[TaskFact]) -> Vec<ListenerFact> {
    let mut tables: HashMap<u64, HashMap<u64, u16>> = HashMap::new();
    let mut found = Vec::new();
    for task in tasks.iter().filter(|t| t.ns_tgid != 0) {
        let Ok(ns) = fs::metadata(format!("/proc/{}/ns/net", task.ns_tgid)) else { continue };
        let table = tables.entry(ns.ino()).or_insert_with(|| listening_inodes(task.ns_tgid));
        for inode in socket_inodes(task.ns_tgid) {
            if let Some(port) = table.get(&inode) {
                found.push(ListenerFact {
                    tgid: Tgid(task.tgid.0),
                    ns_tgid: task.ns_tgid,
                    port: *port,
                });
            }
        }
    }
    found
}

/// Inode -> port of the listening sockets in the process's network namespace
/// (`/proc/net/tcp`: local address, state 0A = LISTEN, inode).
fn listening_inodes(ns_tgid: u32) -> HashMap<u64, u16> {
    let mut ports = HashMap::new();
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{ns_tgid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(&"0A"), Some(inode)) =
                (fields.get(1), fields.get(3), fields.get(9))
            else {
                continue;
            };
            let port = local.rsplit(':').next().and_then(|p| u16::from_str_radix(p, 16).ok());
            if let (Some(port), Ok(inode)) = (port, inode.parse()) {
                ports.insert(inode, port);
            }
        }
    }
    ports
}

/// Inodes of the process's sockets, out of its descriptors' links (`socket:[123]`).
fn socket_inodes(ns_tgid: u32) -> Vec<u64> {
    let Ok(fds) = fs::read_dir(format!("/proc/{ns_tgid}/fd")) else { return Vec::new() };
    fds.filter_map(|fd| {
        let link = fs::read_link(fd.ok()?.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
    .collect()
}

/// Every process that `/proc` shows, for whoever has no iterators. Their ids are those of the
/// agent's PID namespace.
pub(super) fn tasks() -> std::io::Result<Vec<TaskFact>> {
    let entries = fs::read_dir("/proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let task = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // `pid (comm) state ppid`: the name may hold anything, a parenthesis too.
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        let started = crate::model::ids::KtimeNs(0);
        Some(TaskFact { tgid: Tgid(pid), ns_tgid: pid, parent: Tgid(parent), started })
    };
    Ok(pids.filter_map(task).collect())
}

/// Libraries that encrypt, frame or run what tracing sees, by how their names begin.
const TELLING: [&str; 15] = [
    "libssl",
    "libgnutls",
    "libnss3",
    "libnspr4",
    "libnghttp",
    "libgrpc",
    "libcurl",
    "libjvm",
    "libpython",
    "libruby",
    "libnode",
    "libcoreclr",
    "libphp",
    "libpq",
    "libmysqlclient",
];

/// Libraries of the process that matter to tracing, sorted.
pub(super) fn libraries(ns_tgid: u32) -> Vec<String> {
    let Ok(file) = fs::File::open(format!("/proc/{ns_tgid}/maps")) else { return Vec::new() };
    let mut found = std::collections::BTreeSet::new();
    for line in std::io::BufRead::lines(std::io::BufReader::new(file)).map_while(Result::ok) {
        let Some(name) = line.rsplit('/').next().filter(|name| name.len() < line.len()) else {
            continue;
        };
        if TELLING.iter().any(|telling| name.starts_with(telling)) && !found.contains(name) {
            found.insert(name.to_owned());
        }
    }
    found.into_iter().collect()
}
