//! What this kernel offers beyond the floor, found by loading one tiny program a question.

use std::mem::MaybeUninit;

use anyhow::{Context, Result, bail};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{OpenObject, ProgramInput};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::skel::probe::{OpenProbeSkel, ProbeSkelBuilder};

/// Optional kernel features the core object can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// `bpf_sk_storage_get` in tracing programs (5.11).
    pub sk_storage: bool,
    /// `bpf_get_socket_cookie` in tracing programs (5.12).
    pub cookie: bool,
    /// `bpf_sock_from_file` in iterators (5.11): adoption and listeners without `/proc`.
    pub sock_from_file: bool,
}

impl Features {
    /// Everything: tried first, so that a current kernel is asked nothing.
    pub const ALL: Self = Self { sk_storage: true, cookie: true, sock_from_file: true };

    /// What both have.
    pub fn and(self, other: Self) -> Self {
        Self {
            sk_storage: self.sk_storage && other.sk_storage,
            cookie: self.cookie && other.cookie,
            sock_from_file: self.sock_from_file && other.sock_from_file,
        }
    }

    /// Each with whether it is there.
    pub fn each(self) -> [(Feature, bool); 3] {
        [
            (
                Feature {
                    name: "sk_storage",
                    gives: "connection state lives and dies with its socket",
                    otherwise: "a bounded table takes its place (kernels before 5.11)",
                },
                self.sk_storage,
            ),
            (
                Feature {
                    name: "socket cookie",
                    gives: "connections are named as other tools name them",
                    otherwise: "a counter takes its place (kernels before 5.12)",
                },
                self.cookie,
            ),
            (
                Feature {
                    name: "file iterator",
                    gives: "listeners and open connections are found without /proc",
                    otherwise: "/proc takes its place, open connections are adopted at first use \
                                (kernels before 5.11)",
                },
                self.sock_from_file,
            ),
        ]
    }

    /// Asks the kernel.
    pub fn probe() -> Self {
        Self {
            sk_storage: loads(|s| s.progs.obi_pr_storage.set_autoload(true)),
            cookie: loads(|s| s.progs.obi_pr_cookie.set_autoload(true)),
            sock_from_file: loads(|s| s.progs.obi_pr_sockfile.set_autoload(true)),
        }
    }
}

/// An optional feature, for people.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// What it is good for.
    pub gives: &'static str,
    /// What becomes of that where it is missing.
    pub otherwise: &'static str,
}

/// Who the agent is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfIdentity {
    /// Its tgid in the initial PID namespace.
    pub tgid: u32,
    /// Depth of its PID namespace; 0 = the initial one.
    pub ns_level: u32,
    /// Inode number of its PID namespace.
    pub ns_inum: u32,
}

/// Inode number of the initial PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const INITIAL_PID_NS: u64 = 0xEFFF_FFFC;

impl SelfIdentity {
    /// The agent's own identity. In the initial namespace no program is needed.
    pub fn find() -> Result<Self> {
        let ns = std::fs::metadata("/proc/self/ns/pid").context("read /proc/self/ns/pid")?;
        if std::os::unix::fs::MetadataExt::ino(&ns) == INITIAL_PID_NS {
            return Ok(Self { tgid: std::process::id(), ns_level: 0, ns_inum: 0 });
        }
        let mut storage = MaybeUninit::uninit();
        let mut open = open_probe(&mut storage)?;
        open.progs.obi_self.set_autoload(true);
        let skel = open.load().context("load the program that finds the agent's own PID")?;
        skel.progs
            .obi_self
            .test_run(ProgramInput::default())
            .context("run the program that finds the agent's own PID")?;
        let found = skel
            .maps
            .bss_data
            .as_deref()
            .context("the kernel maps no global data (5.5+ does)")?
            .identity;
        Ok(Self { tgid: found.tgid, ns_level: found.ns_level, ns_inum: found.ns_inum })
    }
}

fn open_probe(storage: &mut MaybeUninit<OpenObject>) -> Result<OpenProbeSkel<'_>> {
    let mut open = ProbeSkelBuilder::default().open(storage).context("open the probe object")?;
    open.progs.obi_self.set_autoload(false);
    open.progs.obi_pr_cookie.set_autoload(false);
    open.progs.obi_pr_storage.set_autoload(false);
    open.progs.obi_pr_sockfile.set_autoload(false);
    Ok(open)
}

fn loads(choose: impl FnOnce(&mut OpenProbeSkel<'_>)) -> bool {
    let mut storage = MaybeUninit::uninit();
    let Ok(mut open) = open_probe(&mut storage) else { return false };
    choose(&mut open);
    open.load().is_ok()
}

/// Capability numbers (include/uapi/linux/capability.h).
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// The capabilities in force, one bit each.
fn capabilities() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.context("no CapEff in /proc/self/status")
}

/// Whether the processes of every user may be looked at.
pub(super) fn sees_all_processes() -> Result<bool> {
    Ok(capabilities()? >> CAP_SYS_PTRACE & 1 == 1)
}

/// Descriptors that programs, maps, links and exporters take (81 under load), with some room.
const FILES_MIN: u64 = 128;

/// Lets the agent open as many files as it may; how many these are.
fn raise_files_limit() -> Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("read RLIMIT_NOFILE")?;
    if soft < FILES_MIN && soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raise RLIMIT_NOFILE")?;
    }
    Ok(soft.max(hard))
}

/// What must be there before anything is started.
///
/// # Errors
/// One sentence that says what is missing and what to do.
pub fn require_privilege() -> Result<()> {
    let effective = capabilities()?;
    let has = |cap: u32| effective >> cap & 1 == 1;
    let permitted = has(CAP_SYS_ADMIN) || has(CAP_BPF) && has(CAP_PERFMON);
    if !permitted {
        bail!(
            "loading eBPF programs is not permitted: run as root, or with CAP_BPF, CAP_PERFMON \
             and CAP_SYS_PTRACE"
        );
    }
    let files = raise_files_limit()?;
    if files < FILES_MIN {
        bail!(
            "only {files} files may be open, which the agent needs {FILES_MIN} of: raise the limit \
             (ulimit -n, LimitNOFILE= of a systemd unit)"
        );
    }
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        bail!(
            "this kernel has no BTF (/sys/kernel/btf/vmlinux): use a kernel built with \
             CONFIG_DEBUG_INFO_BTF=y, as those of all current distributions are"
        );
    }
    Ok(())
}
