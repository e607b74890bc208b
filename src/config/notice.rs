//! What there is to say of a configuration: what is wrong, and what has no effect.

use std::fmt;

use super::key::Key;
use super::value::{Remark, What};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nobody set it.
    Default,
    /// This line of the file.
    File(usize),
    /// This variable.
    Variable(&'static str),
}

impl Origin {
    /// Line of the file; 0 = it does not come from the file.
    pub(super) fn line(&self) -> usize {
        match self {
            Self::File(line) => *line,
            Self::Default | Self::Variable(_) => 0,
        }
    }

    /// What set `key`.
    pub(super) fn name(&self, key: &Key) -> &'static str {
        match self {
            Self::Variable(name) => name,
            Self::File(_) => key.path,
            Self::Default => key.name(),
        }
    }
}

/// Something that makes the configuration invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file; 0 = it is not about the file.
    pub line: usize,
    /// What is wrong and what is allowed, with the name of the key or variable.
    pub why: String,
}

impl Problem {
    /// Something is wrong with the value of `path`.
    pub(super) fn new(origin: &Origin, path: &str, why: impl fmt::Display) -> Self {
        let name = match origin {
            Origin::Variable(name) => name,
            Origin::File(_) | Origin::Default => path,
        };
        Self { line: origin.line(), why: format!("{name}: {why}") }
    }
}

/// Something that a user should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Line of the file; 0 = it is not about the file.
    pub line: usize,
    /// A sentence.
    pub text: String,
    /// What kind.
    pub kind: NoticeKind,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// A name that nobody knows: wrong where the user is strict.
    Unknown,
    /// A setting of the contract that the agent does not act on yet.
    NotActedOn,
    /// A setting that has a better one.
    Deprecated,
    /// Something else that may surprise.
    Surprise,
}

impl Notice {
    /// A key that is not known.
    pub(super) fn unknown(origin: Origin, path: String, nearest: Option<String>) -> Self {
        Self { line: origin.line(), text: unknown(&path, nearest), kind: NoticeKind::Unknown }
    }

    /// A variable that is not known.
    pub(super) fn unknown_variable(name: String, nearest: Option<String>) -> Self {
        Self { line: 0, text: unknown(&name, nearest), kind: NoticeKind::Unknown }
    }
}

fn unknown(name: &str, nearest: Option<String>) -> String {
    let removed = super::keys::REMOVED.iter().find(|(old, _)| *old == name);
    match (removed, nearest) {
        (Some((_, new)), _) => format!("{name} has no effect any more; write {new}"),
        (None, Some(nearest)) => {
            format!("{name} is not a known setting and has no effect; did you mean {nearest}?")
        }
        (None, None) => format!("{name} is not a known setting and has no effect"),
    }
}

impl Remark {
    /// The sentence for a remark on `key`, whose value came from `origin`; `path` leads to where
    /// in the value it is.
    pub(super) fn into_notice(
        self,
        key: &Key,
        path: String,
        origin: &Origin,
    ) -> Result<Notice, Problem> {
        let origin = match origin {
            Origin::File(line) => Origin::File(if self.line > 0 { self.line } else { *line }),
            other => other.clone(),
        };
        let name = match &origin {
            Origin::Variable(name) => (*name).to_owned(),
            _ => path.clone(),
        };
        let line = origin.line();
        let notice = |text| Notice { line, text, kind: NoticeKind::Unknown };
        match self.what {
            What::Wrong(_, must) if key.secret => {
                Err(Problem { line, why: format!("{name}: {must} (its value is not shown)") })
            }
            What::Wrong(shown, must) if shown.is_empty() => {
                Err(Problem { line, why: format!("{name}: {must}") })
            }
            What::Wrong(shown, must) => {
                Err(Problem { line, why: format!("{name} = {shown}: {must}") })
            }
            What::NoSuchKey(nearest) => {
                let hint = nearest.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
                Err(Problem {
                    line,
                    why: format!("{name}: no selector has such a criterion{hint}"),
                })
            }
            What::CutOff(written, used) => {
                let text = format!("{name} = {written}: the fraction is cut off, {used} is used");
                Ok(Notice { line, text, kind: NoticeKind::Surprise })
            }
            What::NoCriterion => {
                let text = format!("{name} is empty, so that it is no criterion");
                Ok(Notice { line, text, kind: NoticeKind::Surprise })
            }
            What::UnknownKey(nearest) => Ok(notice(unknown(&name, nearest))),
            What::NoEffect(word, nearest) => {
                let hint = nearest.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
                Ok(notice(format!("{name}: {word:?} has no effect{hint}")))
            }
        }
    }
}
