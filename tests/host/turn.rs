//! Whether a test can run here, and its turn.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a test cannot do without, besides root, BTF and the agent itself.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// A command in `PATH`.
    Command(&'static str),
    /// A program that `tests/scripts/apps.sh` builds.
    App(&'static str),
    /// A command of the Python environment that `tests/scripts/deps.sh` makes.
    Python(&'static str),
    /// Control groups that limit memory.
    MemoryController,
    /// A machine whose clock and kernel are the test's to set: a VM.
    MachineOfItsOwn,
}

static TURN: Mutex<()> = Mutex::new(());

/// Waits for this test's turn. `None`, said by name, when something it needs is missing.
#[track_caller]
pub(crate) fn enter(test: &str, needs: &[Need]) -> Option<MutexGuard<'static, ()>> {
    let own = [
        (!nix::unistd::geteuid().is_root()).then(|| "root".to_owned()),
        (!Path::new("/sys/kernel/btf/vmlinux").exists()).then(|| "BTF of the kernel".to_owned()),
        (!agent_binary().exists()).then(|| format!("{}", agent_binary().display())),
    ];
    let missing = own.into_iter().flatten().chain(needs.iter().filter_map(missing)).next();
    let Some(missing) = missing else {
        return Some(TURN.lock().unwrap_or_else(PoisonError::into_inner));
    };
    let line = format!("SKIP {test}: {missing} missing");
    assert!(std::env::var("REQUIRE_KERNEL").as_deref() != Ok("1"), "{line}");
    eprintln!("{line}");
    None
}

fn missing(need: &Need) -> Option<String> {
    let name = match need {
        Need::Command(name) | Need::App(name) | Need::Python(name) => name,
        Need::MemoryController => {
            return memory_controller().is_none().then(|| "a memory controller".to_owned());
        }
        Need::MachineOfItsOwn => {
            return std::env::var("OBI_VM").is_err().then(|| "a VM (OBI_VM)".to_owned());
        }
    };
    need.executable().is_none().then(|| (*name).to_owned())
}

impl Need {
    /// The file itself, behind all links, if it is one and there.
    pub(crate) fn executable(&self) -> Option<PathBuf> {
        let file = match self {
            Self::Command(name) => in_path(name)?,
            Self::App(name) => app(name),
            Self::Python(name) => python(name),
            Self::MemoryController | Self::MachineOfItsOwn => return None,
        };
        file.canonicalize().ok()
    }
}

/// Where the controller of memory is, of version 1 or 2 of control groups, with its names of the
/// limit, the peak, and the events.
pub(crate) fn memory_controller() -> Option<[&'static str; 4]> {
    let names = ["memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"];
    let first = Path::new("/sys/fs/cgroup/memory");
    if first.join(names[0]).exists() {
        return Some(["/sys/fs/cgroup/memory", names[0], names[1], names[2]]);
    }
    let granted = std::fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control").ok()?;
    let granted = granted.split_whitespace().any(|name| name == "memory");
    granted.then_some(["/sys/fs/cgroup", "memory.max", "memory.peak", "memory.events"])
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').map(|folder| Path::new(folder).join(name)).find(|file| file.exists())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `target/release/obi`, or what `OBI_BIN` names.
pub(crate) fn agent_binary() -> PathBuf {
    std::env::var("OBI_BIN").map_or_else(|_| root().join("target/release/obi"), PathBuf::from)
}

pub(crate) fn app(name: &str) -> PathBuf {
    root().join("target/apps").join(name)
}

/// A script or folder of `tests/apps`.
pub(crate) fn source(name: &str) -> PathBuf {
    root().join("tests/apps").join(name)
}

pub(crate) fn python(name: &str) -> PathBuf {
    let deps = std::env::var("OBI_DEPS").map_or_else(|_| root().join(".deps"), PathBuf::from);
    deps.join("venv/bin").join(name)
}

/// A folder of this test's own, in memory.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("obi-test-").tempdir_in("/dev/shm").unwrap()
}
