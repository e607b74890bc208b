//! Routes of a service so far: where one place of a path has too many values, all of them become one.

use hashbrown::HashMap;

/// Segments of all routes of one service at most; from then on, what is new is a wildcard.
const NODES_MAX: usize = 4096;

/// The segments that one service's paths had.
#[derive(Debug, Default)]
pub(super) struct Trie {
    root: Node,
    nodes: usize,
}

#[derive(Debug, Default)]
struct Node {
    below: HashMap<String, Self>,
    /// All values are one from now on: what lies below them.
    collapsed: Option<Box<Self>>,
}

impl Trie {
    /// Appends `route` to `out`, with `wildcard` for every segment whose place has had more than `max`
    /// values.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, route: &str, max: usize, wildcard: &str) {
        let mut node = &mut self.root;
        let mut any = false;
        for segment in route.split('/').filter(|segment| !segment.is_empty()) {
            any = true;
            out.push(b'/');
            if node.collapsed.is_none()
                && segment != wildcard
                && !node.below.contains_key(segment)
                && (node.below.len() >= max || self.nodes >= NODES_MAX)
            {
                self.nodes -= node.below.values().map(Node::count).sum::<usize>();
                node.below = HashMap::new();
                node.collapsed = Some(Box::default());
            }
            if let Some(below) = &mut node.collapsed {
                out.extend_from_slice(wildcard.as_bytes());
                node = below;
                continue;
            }
            out.extend_from_slice(segment.as_bytes());
            if !node.below.contains_key(segment) {
                self.nodes += 1;
            }
            node = node.below.entry_ref(segment).or_default();
        }
        if !any {
            out.push(b'/');
        }
    }
}

impl Node {
    /// Segments from here on, this one with them.
    fn count(&self) -> usize {
        let collapsed = self.collapsed.as_ref().map_or(0, |node| node.count() - 1);
        1 + collapsed + self.below.values().map(Self::count).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(trie: &mut Trie, path: &str, max: usize) -> String {
        let mut out = Vec::new();
        trie.write(&mut out, path, max, "*");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_place_with_too_many_values_has_one_from_then_on() {
        let mut trie = Trie::default();
        for name in ["a", "b", "c", "a"] {
            assert_eq!(
                route(&mut trie, &format!("/users/{name}/x"), 3),
                format!("/users/{name}/x")
            );
        }
        assert_eq!(route(&mut trie, "/users/d/x", 3), "/users/*/x");
        assert_eq!(route(&mut trie, "/users/a/x", 3), "/users/*/x");
        assert_eq!(route(&mut trie, "/users", 3), "/users");
        assert_eq!(route(&mut trie, "/", 3), "/");
    }

    #[test]
    fn a_million_paths_give_few_routes_in_bounded_memory() {
        let mut trie = Trie::default();
        let mut routes = std::collections::HashSet::new();
        for n in 0..1_000_000_u32 {
            let path = format!("/w{}/x{}/y{}", n % 7, n % 101, n);
            routes.insert(route(&mut trie, &path, 10));
            assert!(trie.nodes <= NODES_MAX);
        }
        // Seven first segments; below each, ten second ones before they are one, and so on.
        assert!(routes.len() < 2000, "{}", routes.len());
        let settled: std::collections::HashSet<String> = (0..10_000_u32)
            .map(|n| route(&mut trie, &format!("/w{}/x{n}/y{n}", n % 7), 10))
            .collect();
        assert_eq!(settled.len(), 7);
    }
}
