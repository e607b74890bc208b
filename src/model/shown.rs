//! What spans show of messages, and what no telemetry shows.

use super::compare::Comparison;
use super::selector::Pattern;

/// What the user decides about it.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Parameters that are hidden.
    pub secrets: SecretNames,
    /// Headers that are shown.
    pub headers: HeaderRules,
}

impl Shown {
    /// As it is where the user decides nothing.
    pub const DEFAULT: &'static Self = &Self {
        secrets: SecretNames { hidden: Vec::new(), shown: Vec::new() },
        headers: HeaderRules { rules: Vec::new(), otherwise: Action::Exclude },
    };
}

/// Names of parameters whose values no span shows, as the user changes those that a protocol knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretNames {
    /// More of them.
    pub hidden: Vec<String>,
    /// Those that are shown after all, unless they are among `hidden`.
    pub shown: Vec<String>,
}

impl SecretNames {
    /// Bytes of a name at most.
    pub const NAME_MAX: usize = 128;

    /// Whether the value of `name` is hidden, which the protocol hides by itself if `known`.
    pub fn hide(&self, name: &[u8], known: bool) -> bool {
        let among = |names: &[String]| names.iter().any(|other| other.as_bytes() == name);
        among(&self.hidden) || (known && !among(&self.shown))
    }
}

/// What becomes of a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// It is not shown.
    #[default]
    Exclude,
    /// It is shown.
    Include,
    /// It is shown with this instead of its value.
    Obfuscate(String),
}

/// Which headers spans show: the first rule that matches decides.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    /// The rules.
    pub rules: Vec<HeaderRule>,
    /// What becomes of a header that none matches.
    pub otherwise: Action,
}

/// A rule about headers: all of it must match.
#[derive(Clone, Debug)]
pub struct HeaderRule {
    /// What becomes of those that match.
    pub action: Action,
    /// Whether it is about requests.
    pub requests: bool,
    /// Whether it is about responses.
    pub responses: bool,
    /// Names, one of which must match.
    pub names: Vec<Pattern>,
    /// Names are compared as they were sent, not in small letters.
    pub case_sensitive: bool,
    /// Paths of the request; none = any.
    pub paths: Vec<Pattern>,
    /// Its methods in capital letters; none = any.
    pub methods: Vec<String>,
    /// What holds for the response's status; none = any, even none.
    pub status: Vec<(Comparison, i64)>,
}

/// A header, and the exchange that it is of.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Of the request, not of the response.
    pub of_request: bool,
    /// Its name as it was sent.
    pub name: &'a str,
    /// Path of the request.
    pub path: &'a str,
    /// Its method.
    pub method: &'a str,
    /// The response's status, where it was observed.
    pub status: Option<i64>,
}

impl HeaderRules {
    /// Whether no header is ever shown.
    pub fn show_nothing(&self) -> bool {
        self.otherwise == Action::Exclude
            && self.rules.iter().all(|rule| rule.action == Action::Exclude)
    }

    /// What becomes of `header`.
    pub fn action(&self, header: &Header<'_>) -> &Action {
        let first = self.rules.iter().find(|rule| rule.matches(header));
        first.map_or(&self.otherwise, |rule| &rule.action)
    }
}

impl HeaderRule {
    fn matches(&self, header: &Header<'_>) -> bool {
        let about = if header.of_request { self.requests } else { self.responses };
        about && self.is_named(header.name) && self.is_of(header)
    }

    fn is_named(&self, name: &str) -> bool {
        let among = |name: &str| self.names.iter().any(|pattern| pattern.matches(name));
        if self.case_sensitive || !name.bytes().any(|b| b.is_ascii_uppercase()) {
            return among(name);
        }
        among(&name.to_ascii_lowercase())
    }

    /// Whether it is about such exchanges.
    fn is_of(&self, header: &Header<'_>) -> bool {
        let path = self.paths.is_empty() || self.paths.iter().any(|p| p.matches(header.path));
        let method = self.methods.is_empty() || self.methods.iter().any(|m| m == header.method);
        let status = match header.status {
            Some(status) => self.status.iter().all(|(how, with)| how.holds(status, *with)),
            None => self.status.is_empty(),
        };
        path && method && status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        let wanted = text.to_owned();
        Pattern::new(text.to_owned(), move |name| match wanted.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == wanted,
        })
    }

    fn rule(action: Action, name: &str) -> HeaderRule {
        HeaderRule {
            action,
            requests: true,
            responses: true,
            names: vec![pattern(name)],
            case_sensitive: false,
            paths: Vec::new(),
            methods: Vec::new(),
            status: Vec::new(),
        }
    }

    const HEADER: Header<'static> =
        Header { of_request: true, name: "X-Id", path: "/a", method: "GET", status: Some(200) };

    #[test]
    fn the_first_rule_that_matches_decides() {
        let stars = Action::Obfuscate("***".to_owned());
        let mut rules = HeaderRules {
            rules: vec![rule(stars.clone(), "x-id"), rule(Action::Include, "x-*")],
            otherwise: Action::Exclude,
        };
        let action = |rules: &HeaderRules, name| rules.action(&Header { name, ..HEADER }).clone();
        assert_eq!(action(&rules, "X-Id"), stars);
        assert_eq!(action(&rules, "x-other"), Action::Include);
        assert_eq!(action(&rules, "y"), Action::Exclude);
        assert!(!rules.show_nothing());
        rules.otherwise = Action::Include;
        assert_eq!(action(&rules, "y"), Action::Include);
        assert!(HeaderRules::default().show_nothing());
    }

    #[test]
    fn a_rule_matches_with_all_of_it() {
        let whole = HeaderRule {
            responses: false,
            paths: vec![pattern("/a*")],
            methods: vec!["GET".to_owned()],
            status: vec![(Comparison::GreaterEquals, 200), (Comparison::Less, 300)],
            ..rule(Action::Include, "x-id")
        };
        assert!(whole.matches(&HEADER));
        for other in [
            Header { of_request: false, ..HEADER },
            Header { name: "X-Ids", ..HEADER },
            Header { path: "/b", ..HEADER },
            Header { method: "PUT", ..HEADER },
            Header { status: Some(300), ..HEADER },
            Header { status: None, ..HEADER },
        ] {
            assert!(!whole.matches(&other), "{other:?}");
        }
        let exact = HeaderRule { case_sensitive: true, ..rule(Action::Include, "X-Id") };
        assert!(exact.matches(&HEADER));
        assert!(!exact.matches(&Header { name: "x-id", ..HEADER }));
        assert!(exact.matches(&Header { status: None, ..HEADER }), "no status is asked for");
    }
}
