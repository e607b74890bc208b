//! Patterns over paths and names, in the contract's two dialects.

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};

use crate::model::selector::Pattern;

/// A glob over a whole text. `*` and `**` also match `/`; `?` is one character; `[abc]`, `[a-z]`,
/// `[!abc]`, `{a,b}` and `\` as usual.
///
/// # Errors
/// What the pattern must be.
pub(super) fn glob(pattern: &str) -> Result<Pattern, String> {
    let matcher = matcher(pattern)?;
    Ok(Pattern::new(pattern.to_owned(), move |text| matcher.is_match(text)))
}

fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(&without_double_stars(pattern))
        .literal_separator(false)
        .backslash_escape(true)
        .empty_alternates(true)
        .build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|e| format!("must be a glob such as */nginx or {{*/a,*/b}}: {}", e.kind()))
}

/// `**` means the same as `*` in the contract's dialect, but has a meaning of its own in globset's
/// (`a/**/b` would match `a/b`).
fn without_double_stars(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let (mut escaped, mut in_class) = (false, false);
    for c in pattern.chars() {
        let repeated = c == '*' && out.ends_with('*') && !escaped && !in_class;
        if !repeated || out.ends_with("\\*") {
            out.push(c);
        }
        in_class = if escaped { in_class } else { c == '[' || (in_class && c != ']') };
        escaped = c == '\\' && !escaped;
    }
    out
}

/// Bytes of a compiled regular expression.
const REGEX_MAX: usize = 1 << 20;

/// A regular expression in RE2's syntax, found anywhere in a text.
///
/// # Errors
/// What the pattern must be.
pub(super) fn regex(pattern: &str) -> Result<Pattern, String> {
    let compiled: Regex =
        RegexBuilder::new(pattern).size_limit(REGEX_MAX).build().map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let why = last.strip_prefix("error: ").unwrap_or(last);
            format!("must be a regular expression: {why}")
        })?;
    Ok(Pattern::new(pattern.to_owned(), move |text| compiled.is_match(text)))
}
