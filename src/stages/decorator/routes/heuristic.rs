//! Segments that look as if they named one thing of many: numbers, keys, hashes, encoded text. Without
//! the application's own routes this is a guess, and guesses towards too few routes.

/// Segments that a route keeps; what is below them is one wildcard.
const SEGMENTS_MAX: usize = 10;
/// Characters of a word at most.
const WORD_MAX: usize = 25;
/// Consonants in a row at most.
const CONSONANTS_MAX: usize = 5;

/// Appends the route of `path` to `out`, with `wildcard` for every segment that varies.
pub(super) fn write(out: &mut Vec<u8>, path: &str, wildcard: &str) {
    let path = path.split(['?', '#', ';']).next().unwrap_or_default();
    for (n, segment) in path.split('/').filter(|segment| !segment.is_empty()).enumerate() {
        out.push(b'/');
        if n >= SEGMENTS_MAX {
            out.extend_from_slice(wildcard.as_bytes());
            return;
        }
        out.extend_from_slice(if is_word(segment) { segment } else { wildcard }.as_bytes());
    }
    if path.is_empty() || path.bytes().all(|b| b == b'/') {
        out.push(b'/');
    }
}

/// Whether a segment names a kind of things, not one of them: words, and versions such as `v2`.
pub(super) fn is_word(segment: &str) -> bool {
    if is_version(segment) {
        return true;
    }
    segment.len() <= WORD_MAX && segment.split(['-', '_', '.']).all(is_plain_word)
}

/// `v1`, `v2beta1`, `1.0`.
fn is_version(segment: &str) -> bool {
    let digits = |text: &str| {
        !text.is_empty() && text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit())
    };
    let Some(rest) = segment.strip_prefix(['v', 'V']) else { return false };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, stage) = rest.split_at_checked(end).unwrap_or_default();
    let stage = stage.strip_prefix("alpha").or_else(|| stage.strip_prefix("beta")).unwrap_or(stage);
    digits(number)
        && (stage.is_empty() || digits(stage) || stage.strip_prefix('.').is_some_and(digits))
}

/// Letters only, and such as one could say.
fn is_plain_word(word: &str) -> bool {
    let mut consonants = 0;
    let mut vowels = 0;
    let (mut upper, mut changes, mut last_upper) = (0, 0, None);
    for c in word.chars() {
        if !c.is_ascii_alphabetic() {
            return false;
        }
        if matches!(c.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u' | 'y') {
            (consonants, vowels) = (0, vowels + 1);
        } else {
            consonants += 1;
        }
        let is_upper = c.is_ascii_uppercase();
        upper += usize::from(is_upper);
        changes += usize::from(last_upper.is_some_and(|last| last != is_upper));
        last_upper = Some(is_upper);
        if consonants > CONSONANTS_MAX {
            return false;
        }
    }
    let all_upper = upper == word.len();
    let length = word.len();
    // Abbreviations have no vowels and are short; names in camel case change a few times.
    (vowels > 0 || length <= 4) && (all_upper || changes <= length * 2 / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, path, "*");
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
