//! The process environment, `${VAR}` substitution in documents and `$VAR` expansion in values.

use std::collections::BTreeMap;
use std::ops::Range;

use super::secret::Replaced;

/// Environment variables. An empty variable counts as unset.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment of this process. Bytes that are not UTF-8 become U+FFFD.
    pub fn of_this_process() -> Self {
        std::env::vars_os()
            .map(|(k, v)| (k.to_string_lossy().into_owned(), v.to_string_lossy().into_owned()))
            .collect()
    }

    /// The value of `name`, unless unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names of all variables that are set, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Replaces every `${NAME}`, `$(NAME)`, `${env:NAME}` and `${NAME:-text}` by the value of the
    /// variable (empty when unset, or the text after `:-`). `$${NAME}` stands for a literal
    /// `${NAME}`. Everything else stays as it is; what was pasted is not looked at again.
    pub fn substitute(&self, text: &str) -> String {
        self.substituted(text).text
    }

    /// The same, with where the values of secret variables stand.
    pub(super) fn substituted(&self, text: &str) -> Replaced {
        let mut out = Replaced::default();
        let mut rest = text;
        while let Some((before, from_dollar)) = split_at_dollar(rest) {
            out.text.push_str(before);
            let after = from_dollar.strip_prefix('$').unwrap_or(from_dollar);
            if let Some((_, literal, tail)) = after.strip_prefix('$').and_then(placeholder) {
                out.text.push('$');
                out.text.push_str(literal);
                rest = tail;
            } else if let Some((reference, _, tail)) = placeholder(after) {
                let value = self.get(reference.name).unwrap_or(reference.default);
                out.push_value(reference.name, value);
                rest = tail;
            } else {
                out.text.push('$');
                rest = after;
            }
        }
        out.text.push_str(rest);
        out
    }

    /// Replaces `$NAME` and `${NAME}` by the variable's value (empty when unset), as a shell does.
    pub(super) fn expanded(&self, text: &str) -> Replaced {
        let mut out = Replaced::default();
        let mut rest = text;
        while let Some((before, from_dollar)) = split_at_dollar(rest) {
            out.text.push_str(before);
            let after = from_dollar.strip_prefix('$').unwrap_or(from_dollar);
            let braced = after
                .strip_prefix('{')
                .and_then(name)
                .and_then(|(name, tail)| Some((name, tail.strip_prefix('}')?)));
            match braced.or_else(|| name(after)) {
                Some((name, tail)) => {
                    out.push_value(name, self.get(name).unwrap_or_default());
                    rest = tail;
                }
                None => {
                    out.text.push('$');
                    rest = after;
                }
            }
        }
        out.text.push_str(rest);
        out
    }
}

/// The text in which placeholders stand for themselves.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from_dollar)) = split_at_dollar(rest) {
        out.push_str(before);
        out.push('$');
        let after = from_dollar.strip_prefix('$').unwrap_or(from_dollar);
        if let Some((_, own, tail)) = placeholder(after) {
            out.push('$');
            out.push_str(own);
            rest = tail;
        } else {
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The text with something else of the same length for each placeholder, so that it can be read
/// without its variables; and where they stood.
pub(super) fn without_placeholders(text: &str) -> (String, Vec<Range<usize>>) {
    let mut out = String::with_capacity(text.len());
    let mut stood = Vec::new();
    let mut rest = text;
    while let Some((before, from_dollar)) = split_at_dollar(rest) {
        out.push_str(before);
        let after = from_dollar.strip_prefix('$').unwrap_or(from_dollar);
        let escaped = after.strip_prefix('$').and_then(placeholder);
        match escaped.or_else(|| placeholder(after)) {
            Some((.., tail)) => {
                let length = from_dollar.len() - tail.len();
                stood.push(out.len()..out.len() + length);
                out.extend(std::iter::repeat_n('x', length));
                rest = tail;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    (out, stood)
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(vars: I) -> Self {
        Self(vars.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }
}

struct Reference<'a> {
    name: &'a str,
    default: &'a str,
}

fn split_at_dollar(s: &str) -> Option<(&str, &str)> {
    s.split_at_checked(s.find('$')?)
}

/// What follows the `$` of a placeholder: the reference, its own text with the brackets, the rest.
/// The brackets need not be of the same kind.
fn placeholder(s: &str) -> Option<(Reference<'_>, &str, &str)> {
    let inner = s.strip_prefix(['{', '('])?;
    let (name, after) = name(inner.strip_prefix("env:").unwrap_or(inner))?;
    let (default, after) = match after.strip_prefix(":-") {
        Some(text) => text.split_at_checked(text.find(['}', ')'])?)?,
        None => ("", after),
    };
    let tail = after.strip_prefix(['}', ')'])?;
    let (own, _) = s.split_at_checked(s.len().checked_sub(tail.len())?)?;
    Some((Reference { name, default }, own, tail))
}

/// `[A-Za-z_][A-Za-z0-9_]*` at the front, and the rest.
fn name(s: &str) -> Option<(&str, &str)> {
    let length = s.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let (name, rest) = s.split_at_checked(length)?;
    name.bytes().next().filter(|b| !b.is_ascii_digit()).map(|_| (name, rest))
}
