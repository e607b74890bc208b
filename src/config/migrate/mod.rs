//! `obi config migrate`: today's names for old ones, with the same meaning. The text is changed
//! where it must be, and is as it was everywhere else.

mod edits;
mod same;
mod steps;

use std::path::Path;

use super::document;
use super::env::{Environment, without_placeholders};
use super::layers::{Remarks, settle};
use super::notice::Problem;
use super::{ConfigError, file, place};
use edits::Edits;
use same::Meaning;
use steps::STEPS;

/// A file with today's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The file.
    pub text: String,
    /// What was taken out because it has no effect, a sentence each.
    pub done: Vec<String>,
    /// What has to be written anew by hand, a sentence each; empty = nothing of old is left.
    pub left: Vec<String>,
}

/// Migrates the file at `path`; variables count as they would for the agent.
///
/// # Errors
/// What is no document, and what would mean something else afterwards.
pub fn migrate(path: &Path, env: &Environment) -> Result<Migrated, ConfigError> {
    let failed = |Problem { line, why }| ConfigError {
        problems: vec![format!("config file {}{why}", place(path, line))],
    };
    let text = file::text(path).map_err(failed)?;
    let before = Meaning::of(&text, env).map_err(failed)?;
    let (bare, placeholders) = without_placeholders(&text);
    let root = document::parse(&bare)
        .map_err(|document::Malformed { line, why }| failed(Problem { line, why }))?;
    let Some(root) = root else {
        return Ok(Migrated { text, done: Vec::new(), left: Vec::new() });
    };
    let mut edits = Edits::of(&text, &root, &placeholders);
    let entries = file::entries(&text, env, &mut Remarks::default().secrets).map_err(failed)?;
    let settings = settle(&entries, env, &mut Remarks::default());
    for step in STEPS {
        step(&settings, &mut edits);
    }
    let out = edits.apply();
    let after = Meaning::of(&out, env).map_err(|Problem { line, why }| {
        failed(Problem { line, why: format!("it cannot be done by a program: afterwards, {why}") })
    })?;
    if let Some(different) = before.differs(&after) {
        let why = format!("{different} would not be the same afterwards; nothing is written");
        return Err(failed(Problem { line: 0, why }));
    }
    let said = |mut sentences: Vec<(usize, String)>| {
        sentences.sort();
        sentences.into_iter().map(|(line, why)| format!("{}{why}", place(path, line))).collect()
    };
    let Edits { done, left, .. } = edits;
    Ok(Migrated { text: out, done: said(done), left: said(left) })
}
