//! What must hold of a configuration file, whatever its bytes are.

use std::path::Path;
use std::sync::OnceLock;

use obi::config::{Environment, Purpose, check, effective, load, migrate};

/// Loads the file that holds `input`: it neither panics nor runs on, and what it comes to, printed,
/// is valid again and comes to the same. Returns whether it was accepted.
pub(crate) fn run(input: &[u8]) -> bool {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
    let file = folder.path().join(format!("{:?}", std::thread::current().id()));
    std::fs::write(&file, input).unwrap();
    let env: Environment = [("A", "1"), ("B_TOKEN", "[x"), ("C", "a: b")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let (problems, _) = check(&file, &env, false);
    let loaded = load(Some(&file), &env, Purpose::Diagnose);
    let printed = effective(Some(&file), &env, true);
    // The migrated file means the same, which `migrate` sees to.
    let _refused = migrate(&file, &env);
    let Ok(printed) = printed else {
        assert!(loaded.is_err() && !problems.is_empty(), "refused only to be printed");
        return false;
    };
    if !printed.contains(MASK) {
        again(&file, &printed, &env);
    }
    true
}

/// What cannot be read back: a secret was there, or a URL's user.
const MASK: &str = "***";

fn again(file: &Path, printed: &str, env: &Environment) {
    std::fs::write(file, printed).unwrap();
    let twice = effective(Some(file), env, true).unwrap_or_else(|e| panic!("{e}\n{printed}"));
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.rsplit_once("  # ").map_or(line, |(value, _)| value).to_owned())
            .collect()
    };
    assert_eq!(values(&twice), values(printed));
}
