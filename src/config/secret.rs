//! What is never shown.

use std::ops::Range;

/// What is shown instead.
pub(super) const MASK: &str = "***";

/// Shorter texts are masked where they stand, but not looked for elsewhere: they are parts of too
/// many words.
const SHORTEST: usize = 4;

/// Whether a variable of this name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 8] =
        ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDS", "AUTH"];
    let name = name.to_uppercase();
    // The folders of a shell.
    if matches!(name.as_str(), "PWD" | "OLDPWD") {
        return false;
    }
    PARTS.iter().any(|part| name.contains(part))
        || name.split('_').any(|word| matches!(word, "KEY" | "KEYS" | "PASS" | "PWD"))
}

/// A text in which variables were replaced.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    pub(super) text: String,
    /// Where secrets stand in it.
    pub(super) secrets: Vec<Range<usize>>,
    /// Values of several lines: the line that each begins in, counted from 1, and its line feeds.
    pub(super) pasted: Vec<(usize, usize)>,
    /// Bytes of `text` whose lines were counted, and the line behind them.
    pub(super) counted: (usize, usize),
}

impl Replaced {
    /// Puts in the value of the variable `name`.
    pub(super) fn push_value(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        let feeds = line_feeds(value);
        if feeds > 0 {
            let (counted, line) = self.counted;
            let line = line.max(1) + line_feeds(self.text.get(counted..).unwrap_or_default());
            self.counted = (start, line);
            self.pasted.push((line, feeds));
        }
        self.text.push_str(value);
        if is_secret_name(name) && !value.is_empty() {
            self.secrets.push(start..self.text.len());
        }
    }
}

impl Replaced {
    /// Whether lines of the text are others than those of what was written.
    pub(super) fn shifts_lines(&self) -> bool {
        !self.pasted.is_empty()
    }

    /// The line of what was written that a line of the text comes from, both counted from 1.
    pub(super) fn written_line(&self, line: usize) -> usize {
        let before = |(start, feeds): &(usize, usize)| line.saturating_sub(*start).min(*feeds);
        line - self.pasted.iter().map(before).sum::<usize>()
    }
}

fn line_feeds(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Secrets that a document or a variable holds, to be found in whatever is said.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets {
    /// The longest first.
    texts: Vec<String>,
}

impl Secrets {
    pub(super) fn add(&mut self, replaced: &Replaced) {
        for range in &replaced.secrets {
            self.texts.extend(replaced.text.get(range.clone()).into_iter().flat_map(forms));
        }
        self.texts.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.texts.dedup();
    }

    /// The sentence without them.
    pub(super) fn mask(&self, sentence: String) -> String {
        let masked = |said: String, secret: &String| match said.contains(secret.as_str()) {
            true => said.replace(secret.as_str(), MASK),
            false => said,
        };
        self.texts.iter().fold(sentence, masked)
    }
}

/// How a secret may stand in a sentence: as it is, in quotes of either kind, and line by line.
fn forms(secret: &str) -> Vec<String> {
    let whole = secret.trim();
    let lines = whole.lines().map(str::trim).filter(|_| whole.contains('\n'));
    let texts = std::iter::once(whole).chain(lines).filter(|text| text.len() >= SHORTEST);
    let inner = |quoted: String| quoted.trim_matches('"').to_owned();
    texts
        .flat_map(|text| {
            [text.to_owned(), inner(format!("{text:?}")), inner(super::render::quoted(text))]
        })
        .filter(|text| text.len() >= SHORTEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_secret() {
        for name in [
            "API_TOKEN",
            "DB_PASSWORD",
            "PASSWD",
            "MY_SECRET",
            "AWS_CREDENTIALS",
            "BASIC_AUTH",
            "API_KEY",
            "KEY",
            "KEY_1",
            "api_key",
            "TOKENS",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["PORT", "KEYBOARD", "MONKEY", "HOST", "DONKEY_LIST", "CLUSTER_NAME"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_secret_is_found_in_quotes_and_by_its_lines() {
        let mut secrets = Secrets::default();
        let mut replaced = Replaced::default();
        replaced.push_value("A_TOKEN", "pa\"ss\\word");
        replaced.push_value("PORT", "8080");
        replaced.push_value("SSH_KEY", "first line\n  second\nno");
        replaced.push_value("B_TOKEN", "abc");
        secrets.add(&replaced);
        let said = format!("{:?} {} second line", "pa\"ss\\word", "pa\"ss\\word");
        assert_eq!(secrets.mask(said), "\"***\" *** *** line");
        assert_eq!(secrets.mask("8080 abc no".to_owned()), "8080 abc no");
    }
}
