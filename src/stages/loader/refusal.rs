//! What the kernel said of a program that it refused. libbpf gives an error number only; which program
//! it was, and the verifier's own words, are in its messages.

use std::sync::{Mutex, PoisonError};

use anyhow::{Error, anyhow};
use libbpf_rs::{ErrorKind, PrintLevel};
use nix::sys::resource::{Resource, getrlimit};

/// A program that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    program: String,
    /// The line that names the cause.
    words: String,
    /// They are the verifier's, which count more than libbpf's.
    of_verifier: bool,
}

/// The first program that was refused since the last one was asked for.
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
    let Some((program, text)) =
        message.strip_prefix("libbpf: prog '").and_then(|rest| rest.split_once("': "))
    else {
        return known;
    };
    let log = text.strip_prefix("-- BEGIN PROG LOAD LOG --");
    let cause = |line: &&str| {
        !line.is_empty() && !["processed ", "-- END"].iter().any(|p| line.starts_with(p))
    };
    let words = match log {
        Some(log) => log.lines().map(str::trim).rev().find(cause)?,
        None => text.trim_end(),
    };
    match known {
        Some(known) if known.program != program || known.of_verifier || log.is_none() => {
            Some(known)
        }
        _ => Some(Refusal {
            program: program.to_owned(),
            words: words.to_owned(),
            of_verifier: log.is_some(),
        }),
    }
}

/// Forgets what was heard so far.
pub(super) fn forget() {
    *REFUSED.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// The error of a load or an attachment, with the program and the kernel's words where they are known.
pub(super) fn explain(error: libbpf_rs::Error) -> Error {
    let refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner).take();
    match refused {
        Some(Refusal { program, words, .. }) => {
            anyhow!("program {program} was refused: {words}: {error:#}")
        }
        None if error.kind() == ErrorKind::PermissionDenied => match scarce_memory() {
            Some(hint) => anyhow!("{error:#}: {hint}"),
            None => Error::from(error),
        },
        None => Error::from(error),
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
        refusal.map(|refusal| (refusal.program, refusal.words))
    }

    #[test]
    fn the_verifiers_last_words_count_most() {
        let log = "libbpf: prog 'obi_a': -- BEGIN PROG LOAD LOG --\n0: (85) call bpf_probe_read#4\n\
            program of this type cannot use helper bpf_probe_read#4\n\
            processed 1 insns (limit 1000000)\n-- END PROG LOAD LOG --\n";
        let failed = "libbpf: prog 'obi_a': BPF program load failed: -EACCES\n";
        let said = "program of this type cannot use helper bpf_probe_read#4";
        let expected = Some(("obi_a".to_owned(), said.to_owned()));
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
            "libbpf: map 'events': created\n",
            "libbpf: prog 'obi_a': failed to find kernel BTF type ID of 'f': -ESRCH\n",
            "libbpf: prog 'obi_a': failed to load: -ESRCH\n",
        ];
        let said = "failed to find kernel BTF type ID of 'f': -ESRCH";
        assert_eq!(after(&messages), Some(("obi_a".to_owned(), said.to_owned())));
        assert_eq!(after(&["libbpf: prog 'obi_a': -- BEGIN PROG LOAD LOG --\n"]), None);
    }
}
