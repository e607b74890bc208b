//! What the kernel said of a program or map that it refused. libbpf gives an error number only; which
//! one it was, and the verifier's own words, are in its messages.

use std::sync::{Mutex, PoisonError};

use anyhow::{Error, anyhow};
use libbpf_rs::{ErrorKind, PrintLevel};
use nix::sys::resource::{Resource, getrlimit};

/// A program or map that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    /// Its kind and name.
    what: String,
    /// The line that names the cause.
    words: String,
    /// They are the verifier's, which count more than libbpf's.
    of_verifier: bool,
}

/// The first that was refused since the last one was asked for.
static REFUSED: Mutex<Option<Refusal>> = Mutex::new(None);

/// Routes libbpf's messages to the log, and remembers what they tell of a refusal.
pub fn route_libbpf_messages() {
    libbpf_rs::set_print(Some((PrintLevel::Debug, |level, message| {
        if matches!(level, PrintLevel::Warn) {
            let mut refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = heard(refused.take(), &message);
        }
        tracing::debug!(target: "libbpf", "{}", message.trim_end());
    })));
}

/// What is known behind one more message.
fn heard(known: Option<Refusal>, message: &str) -> Option<Refusal> {
    let of = |prefix| message.strip_prefix(prefix).and_then(|rest| rest.split_once("': "));
    let (what, text) = match (of("libbpf: prog '"), of("libbpf: map '")) {
        (Some((name, text)), _) => (format!("program {name}"), text),
        (None, Some((name, text))) => (format!("map {name}"), text),
        (None, None) => return known,
    };
    let log = text.strip_prefix("-- BEGIN PROG LOAD LOG --");
    let cause = |line: &&str| {
        !line.is_empty() && !["processed ", "-- END"].iter().any(|p| line.starts_with(p))
    };
    let words = match log {
        Some(log) => log.lines().map(str::trim).rev().find(cause).unwrap_or_default(),
        None => text.trim_end(),
    };
    match known {
        known if words.is_empty() => known,
        Some(known) if known.what != what || known.of_verifier || log.is_none() => Some(known),
        _ => Some(Refusal { what, words: words.to_owned(), of_verifier: log.is_some() }),
    }
}

/// Forgets what was heard so far.
pub(super) fn forget() {
    *REFUSED.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// The error of a load or an attachment, with the program and the kernel's words where they are known.
pub(super) fn explain(error: libbpf_rs::Error) -> Error {
    let refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner).take();
    let of_program = refused.as_ref().is_some_and(|refusal| refusal.what.starts_with("program "));
    let explained = match refused {
        Some(Refusal { what, words, .. }) => anyhow!("{what} was refused: {words}: {error:#}"),
        None => anyhow!("{error:#}"),
    };
    let hint = match error.kind() {
        ErrorKind::PermissionDenied if !of_program => scarce_memory(),
        ErrorKind::OutOfMemory => Some(
            "its maps and programs take some 20 MiB, which count against the memory limit of the \
             agent's group: allow it 64 MiB"
                .to_owned(),
        ),
        _ => None,
    };
    match hint {
        Some(hint) => anyhow!("{explained}: {hint}"),
        None => explained,
    }
}

/// More than all maps and programs take.
const LOCKED_ENOUGH: u64 = 64 << 20;

/// What to do about a small RLIMIT_MEMLOCK. libbpf has raised it if it could.
fn scarce_memory() -> Option<String> {
    let (limit, _) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
    (limit < LOCKED_ENOUGH).then(|| {
        format!(
            "RLIMIT_MEMLOCK is {} KiB, and kernels before 5.11 count programs and maps against it: \
             add CAP_SYS_RESOURCE, or raise it (ulimit -l unlimited)",
            limit >> 10
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(messages: &[&str]) -> Option<(String, String)> {
        let refusal = messages.iter().fold(None, |known, message| heard(known, message));
        refusal.map(|refusal| (refusal.what, refusal.words))
    }

    #[test]
    fn the_verifiers_last_words_count_most() {
        let log = "libbpf: prog 'obi_a': -- BEGIN PROG LOAD LOG --\n0: (85) call bpf_probe_read#4\n\
            program of this type cannot use helper bpf_probe_read#4\n\
            processed 1 insns (limit 1000000)\n-- END PROG LOAD LOG --\n";
        let failed = "libbpf: prog 'obi_a': BPF program load failed: -EACCES\n";
        let said = "program of this type cannot use helper bpf_probe_read#4";
        let expected = Some(("program obi_a".to_owned(), said.to_owned()));
        assert_eq!(
            after(&[failed, log, "libbpf: prog 'obi_a': failed to load: -EACCES\n"]),
            expected
        );
        assert_eq!(
            after(&[log, failed, "libbpf: prog 'obi_b': failed to load: -EINVAL\n"]),
            expected
        );
    }

    #[test]
    fn without_them_libbpfs_first_words_do() {
        let messages = [
            "libbpf: Error in bpf_create_map_xattr(m): -EINVAL. Retrying without BTF.\n",
            "libbpf: prog 'obi_a': failed to find kernel BTF type ID of 'f': -ESRCH\n",
            "libbpf: prog 'obi_a': failed to load: -ESRCH\n",
        ];
        let said = "failed to find kernel BTF type ID of 'f': -ESRCH";
        assert_eq!(after(&messages), Some(("program obi_a".to_owned(), said.to_owned())));
        let map = "libbpf: map 'm': failed to create: -EINVAL\n";
        let said = "failed to create: -EINVAL";
        assert_eq!(after(&[map, messages[2]]), Some(("map m".to_owned(), said.to_owned())));
        assert_eq!(after(&["libbpf: prog 'obi_a': -- BEGIN PROG LOAD LOG --\n"]), None);
    }
}
