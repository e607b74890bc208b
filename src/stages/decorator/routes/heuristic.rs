//! Segments that look as if they named one thing of many: numbers, keys, hashes, encoded text. Without
//! the application's own routes this is a guess, and guesses towards too few routes.

/// Segments that a route keeps; what is below them is one wildcard.
const SEGMENTS_MAX: usize = 10;
/// Characters of a word at most.
const WORD_MAX: usize = 25;
/// Consonants in a row at most.
const CONSONANTS_MAX: usize = 5;

/// Appends the route of `path` to `out`, with `wildcard` for every segment that varies.
pub(super) fn write(out: &mut Vec<u8>, path: &[u8], wildcard: &str) {
    let end = path.iter().position(|b| matches!(b, b'?' | b'#' | b';')).unwrap_or(path.len());
    let mut rest = path.get(..end).unwrap_or_default();
    let mut written = 0;
    while !rest.is_empty() {
        let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
        let (segment, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        if segment.is_empty() {
            continue;
        }
        out.push(b'/');
        let kept = written < SEGMENTS_MAX && is_word(segment);
        out.extend_from_slice(if kept { segment } else { wildcard.as_bytes() });
        written += 1;
        if written > SEGMENTS_MAX {
            return;
        }
    }
    if written == 0 {
        out.push(b'/');
    }
}

/// What a byte is in a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Consonant,
    Vowel,
    /// Between two words.
    Between,
    /// In none.
    Other,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        classes[byte as usize] = match byte.to_ascii_lowercase() {
            b'a' | b'e' | b'i' | b'o' | b'u' | b'y' => Class::Vowel,
            b'b'..=b'z' => Class::Consonant,
            b'-' | b'_' | b'.' => Class::Between,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// Whether a segment names a kind of things, not one of them: words, and versions such as `v2`.
fn is_word(segment: &[u8]) -> bool {
    let mut word = Word::default();
    if segment.len() > WORD_MAX {
        return false;
    }
    for byte in segment {
        match CLASSES[*byte as usize] {
            Class::Between if word.is_one() => word = Word::default(),
            Class::Between => return false,
            Class::Other => return is_version(segment),
            class => word.add(*byte, class == Class::Vowel),
        }
        if word.consonants > CONSONANTS_MAX {
            return false;
        }
    }
    word.is_one()
}

/// Letters, and whether one could say them.
#[derive(Default)]
struct Word {
    length: usize,
    vowels: usize,
    /// In a row, at the end.
    consonants: usize,
    upper: usize,
    /// From upper case to lower, or back.
    changes: usize,
    last_upper: bool,
}

impl Word {
    fn add(&mut self, letter: u8, vowel: bool) {
        let upper = letter & 0x20 == 0;
        self.changes += usize::from(self.length > 0 && upper != self.last_upper);
        self.last_upper = upper;
        self.upper += usize::from(upper);
        self.length += 1;
        self.vowels += usize::from(vowel);
        self.consonants = if vowel { 0 } else { self.consonants + 1 };
    }

    /// Abbreviations have no vowels and are short; names in camel case change a few times.
    fn is_one(&self) -> bool {
        (self.vowels > 0 || self.length <= 4)
            && (self.upper == self.length || self.changes <= self.length * 2 / 3)
    }
}

/// `v1`, `v2beta1`, `v1.0`.
fn is_version(segment: &[u8]) -> bool {
    let digits = |text: &[u8]| (1..=2).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let Some((b'v' | b'V', rest)) = segment.split_first() else { return false };
    let end = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    let (number, stage) = rest.split_at(end);
    let stage =
        stage.strip_prefix(b"alpha").or_else(|| stage.strip_prefix(b"beta")).unwrap_or(stage);
    digits(number)
        && (stage.is_empty() || digits(stage) || stage.strip_prefix(b".").is_some_and(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, path.as_bytes(), "*");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn words_stay_and_what_names_one_thing_does_not() {
        for (path, expected) in [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("/api/v1/users/4711", "/api/v1/users/*"),
            ("/users/4711/orders/0x1f", "/users/*/orders/*"),
            ("/products/550e8400-e29b-41d4-a716-446655440000", "/products/*"),
            ("/commit/9fceb02d0ae598e95dc970b74767f19372d61af8", "/commit/*"),
            ("/getUserById", "/getUserById"),
            ("/shop.Cart/AddItem", "/shop.Cart/AddItem"),
            ("/static/app.min.js", "/static/app.min.js"),
            ("/static/app.4f2a1c.js", "/static/*"),
            ("/health-check/db_ping", "/health-check/db_ping"),
            ("/apis/apps/v1beta1/namespaces", "/apis/apps/v1beta1/namespaces"),
            ("/api/v1.0/a", "/api/v1.0/a"),
            ("/SOME_THING", "/SOME_THING"),
            ("/a--b/.well-known", "/a--b/.well-known"),
            ("/user/john@example.com", "/user/*"),
            ("/token/xkqzjvbwrt", "/token/*"),
            ("/k/aGVsbG8gd29ybGQ", "/k/*"),
            ("/caf%C3%A9", "/*"),
            ("/a?b=c", "/a"),
            ("/a/b/c/d/e/f/g/h/i/j/k/l/m", "/a/b/c/d/e/f/g/h/i/j/*"),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }
}
