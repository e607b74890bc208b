//! Route patterns of the user: which of them a path matches.
//!
//! A pattern is segments between slashes: `literal`, `:name`, `{name}`, a prefix with one of these
//! (`@:user`, `v{x}`), and at the end `*`, which is any number of segments, also none.

use std::collections::HashMap;

/// The patterns, found segment by segment.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    root: Node,
    texts: Vec<String>,
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<String, Self>,
    /// What the segment begins with, in the order in which they were given.
    tagged: Vec<(String, Self)>,
    /// The pattern that ends here.
    end: Option<usize>,
    /// The pattern that goes on with whatever comes.
    rest: Option<usize>,
}

impl Patterns {
    pub(super) fn new<'a>(patterns: impl IntoIterator<Item = &'a String>) -> Self {
        let mut all = Self::default();
        for pattern in patterns {
            let number = all.texts.len();
            all.texts.push(pattern.clone());
            let mut node = &mut all.root;
            let mut segments = segments(pattern).peekable();
            let mut goes_on = false;
            while let Some(segment) = segments.next() {
                if segment == "*" && segments.peek().is_none() {
                    goes_on = true;
                    break;
                }
                node = node.child(segment);
            }
            // The first of two that are the same counts.
            let place = if goes_on { &mut node.rest } else { &mut node.end };
            place.get_or_insert(number);
        }
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The pattern that `path` matches.
    pub(super) fn find(&self, path: &str) -> Option<&str> {
        let number = self.root.find(path.trim_start_matches('/'))?;
        self.texts.get(number).map(String::as_str)
    }
}

impl Node {
    fn child(&mut self, segment: &str) -> &mut Self {
        let Some(prefix) = tag(segment) else {
            return self.literal.entry(segment.to_owned()).or_default();
        };
        let known = self.tagged.iter().position(|(other, _)| other == prefix);
        let at = known.unwrap_or_else(|| {
            self.tagged.push((prefix.to_owned(), Self::default()));
            self.tagged.len() - 1
        });
        &mut self.tagged[at].1
    }

    /// A literal goes before a tag, a tag before the rest.
    fn find(&self, path: &str) -> Option<usize> {
        let path = path.trim_start_matches('/');
        if path.is_empty() {
            return self.end.or(self.rest);
        }
        let (segment, below) = path.split_once('/').unwrap_or((path, ""));
        let literal = self.literal.get(segment).and_then(|node| node.find(below));
        let tagged = || {
            let mut matching = self.tagged.iter().filter(|(prefix, _)| {
                segment.len() > prefix.len() && segment.starts_with(prefix.as_str())
            });
            matching.find_map(|(_, node)| node.find(below))
        };
        literal.or_else(tagged).or(self.rest)
    }
}

fn segments(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter(|segment| !segment.is_empty())
}

/// What a segment that varies begins with; `None` = it does not vary.
fn tag(segment: &str) -> Option<&str> {
    let braced = segment.strip_suffix('}').and_then(|rest| rest.split_once('{'));
    braced.or_else(|| segment.split_once(':')).map(|(prefix, _)| prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &[&str], path: &str) -> String {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        Patterns::new(&patterns).find(path).unwrap_or("none").to_owned()
    }

    #[test]
    fn every_form_of_a_segment_matches_what_it_says() {
        let patterns =
            ["/user/:id", "/user/{id}/info", "/user/me", "/static/*", "/@:who", "/v{x}/a", "/"];
        for (path, expected) in [
            ("/user/17", "/user/:id"),
            ("/user/17/", "/user/:id"),
            ("//user//17", "/user/:id"),
            ("/user/me", "/user/me"),
            ("/user/17/info", "/user/{id}/info"),
            ("/user/me/info", "/user/{id}/info"),
            ("/user/17/other", "none"),
            ("/user", "none"),
            ("/static", "/static/*"),
            ("/static/a/b/c", "/static/*"),
            ("/@me", "/@:who"),
            ("/@", "none"),
            ("/v2/a", "/v{x}/a"),
            ("/v2", "none"),
            ("/", "/"),
            ("", "/"),
        ] {
            assert_eq!(found(&patterns, path), expected, "{path}");
        }
    }

    #[test]
    fn the_earlier_of_two_tags_wins_and_a_literal_before_both() {
        assert_eq!(found(&["/a:x", "/:y"], "/ab"), "/a:x");
        assert_eq!(found(&["/:y", "/a:x"], "/ab"), "/:y");
        assert_eq!(found(&["/:y", "/ab"], "/ab"), "/ab");
        assert_eq!(found(&["/:y", "/:z"], "/ab"), "/:y");
        assert_eq!(found(&["/*", "/a/b"], "/a/c"), "/*");
        assert_eq!(found(&["/*", "/a/b"], "/a/b"), "/a/b");
    }
}
