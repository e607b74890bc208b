//! Routes that were made lately: most paths of a service come again and again.

use super::heuristic;

/// Paths that are remembered: one for each value of a byte.
const PATHS_MAX: usize = 256;
/// Bytes of a path that is worth remembering, at most.
const PATH_BYTES_MAX: usize = 128;

/// A path and what was made of it. At first it is the empty path, which is the same as the root.
#[derive(Clone, Debug, Default)]
struct Known {
    path: Vec<u8>,
    route: Vec<u8>,
}

/// The heuristic with a memory: each path has one place, which the last one takes.
#[derive(Debug)]
pub(super) struct Memo {
    known: Vec<Known>,
    wildcard: String,
    /// Of a path that is not remembered.
    route: Vec<u8>,
}

impl Memo {
    pub(super) fn new(wildcard: &str) -> Self {
        let root = Known { path: Vec::new(), route: b"/".to_vec() };
        Self { known: vec![root; PATHS_MAX], wildcard: wildcard.to_owned(), route: Vec::new() }
    }

    /// The route of `path`; UTF-8 if the path is.
    pub(super) fn route(&mut self, path: &[u8]) -> &[u8] {
        let at = place(path);
        let Some(known) = self.known.get_mut(at).filter(|_| path.len() <= PATH_BYTES_MAX) else {
            self.route.clear();
            heuristic::write(&mut self.route, path, &self.wildcard);
            return &self.route;
        };
        if known.path != path {
            known.path.clear();
            known.path.extend_from_slice(path);
            known.route.clear();
            heuristic::write(&mut known.route, path, &self.wildcard);
        }
        &known.route
    }
}

/// Where a path is remembered: by its length, its first and its last bytes.
fn place(path: &[u8]) -> usize {
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let ends = match path.len() {
        0..8 => path.iter().fold(0, |ends, byte| ends << 8 | u64::from(*byte)),
        _ => word(path.first_chunk()).rotate_left(29) ^ word(path.last_chunk()),
    };
    // Fibonacci hashing: the uppermost byte depends on all of the word.
    let mixed = (ends ^ path.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::from(mixed.to_be_bytes()[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_the_same_whether_it_was_made_lately_or_not() {
        let mut memo = Memo::new("*");
        for turn in 0..3 {
            for n in 0..4 * PATHS_MAX {
                for (path, expected) in [
                    (format!("/items/{n}"), "/items/*".to_owned()),
                    (format!("/{}/{n}", "a".repeat(n % 200)), String::new()),
                    ("/small".to_owned(), "/small".to_owned()),
                    (String::new(), "/".to_owned()),
                ] {
                    let mut plain = Vec::new();
                    heuristic::write(&mut plain, path.as_bytes(), "*");
                    let route = memo.route(path.as_bytes());
                    assert_eq!(route, plain, "{path} in turn {turn}");
                    assert!(expected.is_empty() || route == expected.as_bytes());
                }
            }
        }
    }

    #[test]
    fn paths_that_differ_at_an_end_have_places_of_their_own() {
        let places = |path: fn(usize) -> String| {
            let places: std::collections::HashSet<_> =
                (0..64).map(|n| place(path(n).as_bytes())).collect();
            places.len()
        };
        assert!(places(|n| format!("/{n}")) > 40);
        assert!(places(|n| format!("/api/v1/items/{n}")) > 40);
        assert!(places(|n| format!("/{n:02}/items/and/more")) > 40);
    }
}
