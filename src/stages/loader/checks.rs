//! Dry runs of everything the loader may need, for `obi doctor`.

use serde::Serialize;

use super::features::{Features, SelfIdentity, require_privilege, sees_all_processes};
use super::ladder::{FrontEnd, LoadConfig, dry_run};
use crate::model::selector::Numbers;

/// Feature names of front ends begin with this.
pub const FRONT_END_CHECK: &str = "front end ";
/// A dry run needs the smallest ring there is.
const DRY_RING_BYTES: u32 = 4096;

/// One feature on this host.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its name.
    pub feature: String,
    /// What it gives.
    pub gives: &'static str,
    /// Whether it works.
    pub works: bool,
    /// What the kernel said, or what takes its place.
    pub why: Option<String>,
    /// What the user can do about it; empty = nothing, or nothing needed.
    pub advice: &'static str,
}

/// Tries everything: loads and attaches each set of programs and takes it away again.
pub fn check_all() -> Vec<Check> {
    let privilege = privilege();
    let permitted = privilege.works;
    let mut checks = vec![privilege, processes(), identity()];
    checks.extend(lockdown());
    let dry = programs();
    checks.extend(if permitted { dry } else { dry.into_iter().map(untried).collect() });
    checks
}

/// What only loading programs can tell.
fn programs() -> Vec<Check> {
    let optional = Features::probe().each().map(|(feature, works)| Check {
        feature: feature.name.to_owned(),
        gives: feature.gives,
        works,
        why: (!works).then(|| feature.otherwise.to_owned()),
        advice: "",
    });
    FrontEnd::LADDER.map(front_end).into_iter().chain(optional).collect()
}

/// Without the privilege to load programs a dry run says nothing of the kernel.
fn untried(check: Check) -> Check {
    let why = "not known: programs may not be loaded, see above".to_owned();
    Check { works: false, why: Some(why), advice: "", ..check }
}

fn privilege() -> Check {
    let outcome = require_privilege();
    Check {
        feature: "privilege and BTF".to_owned(),
        gives: "programs may be loaded and fit this kernel",
        works: outcome.is_ok(),
        why: outcome.err().map(|e| format!("{e:#}")),
        advice: "run as root (or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE) on a kernel with \
                 /sys/kernel/btf/vmlinux",
    }
}

fn processes() -> Check {
    let outcome = sees_all_processes();
    Check {
        feature: "processes of others".to_owned(),
        gives: "they are selected by their executable, and named",
        works: matches!(outcome, Ok(true)),
        why: match outcome {
            Ok(true) => None,
            Ok(false) => Some("CAP_SYS_PTRACE is missing".to_owned()),
            Err(error) => Some(format!("{error:#}")),
        },
        advice: "run as root, or with CAP_SYS_PTRACE",
    }
}

fn identity() -> Check {
    let outcome = SelfIdentity::find();
    Check {
        feature: "PID namespace".to_owned(),
        gives: "processes of the whole host can be selected",
        works: outcome.as_ref().is_ok_and(|identity| identity.ns_level == 0),
        why: match outcome {
            Ok(identity) if identity.ns_level == 0 => None,
            Ok(identity) => Some(format!(
                "the agent is {} PID namespace(s) below the host's: it observes the processes of its \
                 own namespace only, as a sidecar does",
                identity.ns_level
            )),
            Err(error) => Some(format!("{error:#}")),
        },
        advice: "for the whole host share its PID namespace (hostPID: true, or --pid=host)",
    }
}

/// Not a fault by itself: everything the agent does by default works under lockdown.
fn lockdown() -> Option<Check> {
    let modes = std::fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    let mode = modes.split(['[', ']']).nth(1)?.to_owned();
    let confidential = mode == "confidentiality";
    Some(Check {
        feature: "lockdown".to_owned(),
        gives: "the kernel lets programs read memory",
        works: !confidential,
        why: (mode != "none").then(|| format!("lockdown is {mode}")),
        advice: "boot with lockdown=integrity or none: confidentiality forbids reading memory",
    })
}

fn front_end(front_end: FrontEnd) -> Check {
    let config = LoadConfig {
        front_end: Some(front_end),
        features: Features::ALL,
        ring_bytes: DRY_RING_BYTES,
        judge_exec: false,
        ports: Numbers::default(),
        pending_budget: 0,
    };
    let outcome = dry_run(&config, front_end);
    let (gives, advice) = match front_end {
        FrontEnd::Tracepoint => (
            "socket calls by typed tracepoints; needs neither kprobes nor trampolines",
            "needs a kernel from 6.3 on",
        ),
        FrontEnd::Fentry => (
            "socket calls by function exits",
            "needs trampolines: a kernel from 5.5 on (arm64: 6.4) with CONFIG_FUNCTION_TRACER and \
             BPF JIT",
        ),
        FrontEnd::Kprobe => (
            "socket calls by probes at function entries",
            "needs kprobes: a kernel with CONFIG_KPROBE_EVENTS",
        ),
    };
    Check {
        feature: format!("{FRONT_END_CHECK}{front_end}"),
        gives,
        works: outcome.is_ok(),
        why: outcome.err().map(|e| format!("{e:#}")),
        advice,
    }
}
