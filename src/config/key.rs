//! What a setting is: the one place where its name, variables, type, default and meaning stand.
//! Validation, the JSON Schema, the commented default file and the reference page all read it.

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Dotted path in the YAML file; inside [`Kind::Fields`], the name below its mapping. What
    /// begins with [`ENV_ONLY`] exists only in the environment.
    pub(super) path: &'static str,
    /// Environment variables; the first that is set wins.
    pub(super) vars: &'static [&'static str],
    /// What values it takes.
    pub(super) kind: Kind,
    /// As YAML has it; empty = not set.
    pub(super) default: &'static str,
    /// What it does, with its unit: one sentence.
    pub(super) doc: &'static str,
    /// Whether the agent acts on it.
    pub(super) acted: bool,
    /// Whether a change takes effect without a restart.
    pub(super) live: bool,
    /// What to write instead; empty = it is not deprecated.
    pub(super) instead: &'static str,
    /// Whether its value is never shown.
    pub(super) secret: bool,
    /// What is replaced in the value of a variable.
    pub(super) expand: Expand,
}

/// Paths of settings that have no YAML key.
pub(super) const ENV_ONLY: &str = "environment.";

/// What is replaced in the value of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expand {
    /// Nothing.
    No,
    /// `$NAME` and `${NAME}`, as a shell does.
    Shell,
    /// `${NAME}` and its other forms, as in the YAML file.
    Placeholders,
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A truth value.
    Bool,
    /// A whole number, `min` to `max`.
    Int(i64, i64),
    /// A number greater than this.
    Above(f64),
    /// A duration in Go's notation, at least so many nanoseconds.
    Duration(i64),
    /// Any text.
    Text,
    /// Text of at most so many characters.
    Short(usize),
    /// One of these words, exactly.
    Word(&'static [&'static str]),
    /// One of these words, in upper or lower case.
    AnyCase(&'static [&'static str]),
    /// Text that a function judges: what it must be, in words, and the function.
    Such(&'static str, fn(&str) -> bool),
    /// A URL with scheme and host, or `unix:///path`.
    Url,
    /// An IP address.
    Ip,
    /// A glob over the whole text.
    Glob,
    /// A regular expression in RE2's syntax, found anywhere in the text.
    Regex,
    /// A number, a list of numbers and ranges (`80,8000-8999`), or a sequence of numbers, up to a
    /// number.
    Numbers(u32),
    /// A sequence of whole numbers.
    Pids,
    /// A sequence of numbers, ascending.
    Buckets,
    /// A sequence of texts.
    List,
    /// A sequence of these words; others are an error.
    Words(&'static [&'static str]),
    /// A sequence of these words; others have no effect, and that is said.
    Names(&'static [&'static str]),
    /// A sequence of these words, in upper or lower case; others are an error.
    WordsAnyCase(&'static [&'static str]),
    /// A sequence of texts that a function judges; others have no effect, and that is said: what
    /// they must be, in words, and the function.
    SomeOf(&'static str, fn(&str) -> bool),
    /// A sequence of globs.
    Globs,
    /// A sequence of networks in CIDR notation, or of mappings with `cidr` and `name`.
    Cidrs,
    /// `name=value` pairs, separated by commas.
    Pairs,
    /// A mapping with keys of its own.
    Fields(&'static [Key]),
    /// A sequence of such mappings.
    Items(&'static [Key]),
    /// The same; a key that it does not have is an error.
    Selectors(&'static [Key]),
    /// A mapping of names that the user chooses.
    Map(&'static Self),
}

/// A whole number that is not negative.
pub(super) const COUNT: Kind = Kind::Int(0, i64::MAX);
/// A whole number above 0.
pub(super) const POSITIVE: Kind = Kind::Int(1, i64::MAX);
/// A TCP port, or 0 for none.
pub(super) const PORT: Kind = Kind::Int(0, 65_535);
/// A duration, 0 or more.
pub(super) const DURATION: Kind = Kind::Duration(0);
/// A duration above 0.
pub(super) const SOME_DURATION: Kind = Kind::Duration(1);

impl Kind {
    /// The keys of its elements, where these are mappings.
    pub(super) fn keys(self) -> Option<&'static [Key]> {
        match self {
            Self::Items(keys) | Self::Selectors(keys) => Some(keys),
            _ => None,
        }
    }

    /// Whether a null empties it, instead of leaving it as it is.
    pub(super) fn is_emptied_by_null(self) -> bool {
        matches!(
            self,
            Self::Pids
                | Self::Buckets
                | Self::List
                | Self::Names(_)
                | Self::SomeOf(..)
                | Self::WordsAnyCase(_)
                | Self::Globs
                | Self::Cidrs
                | Self::Items(_)
                | Self::Selectors(_)
                | Self::Map(_)
        )
    }
}

impl Key {
    /// A setting with a YAML key that the agent does not act on yet.
    pub(super) const fn new(
        path: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            path,
            vars: &[],
            kind,
            default,
            doc,
            acted: false,
            live: false,
            instead: "",
            secret: false,
            expand: Expand::No,
        }
    }

    /// May be set by these variables; the first that is set wins.
    pub(super) const fn vars(self, vars: &'static [&'static str]) -> Self {
        Self { vars, ..self }
    }

    /// The agent acts on it.
    pub(super) const fn acted(self) -> Self {
        Self { acted: true, ..self }
    }

    /// The agent acts on it, and on a change without a restart.
    pub(super) const fn live(self) -> Self {
        Self { acted: true, live: true, ..self }
    }

    /// Goes on to work; what to write instead.
    pub(super) const fn deprecated(self, instead: &'static str) -> Self {
        Self { instead, ..self }
    }

    /// Its value is never shown.
    pub(super) const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// `$NAME` in the variable's value is replaced.
    pub(super) const fn expanded(self) -> Self {
        Self { expand: Expand::Shell, ..self }
    }

    /// `${NAME}` in the variable's value is replaced, as in the file.
    pub(super) const fn substituted(self) -> Self {
        Self { expand: Expand::Placeholders, ..self }
    }

    /// Whether the key exists in YAML.
    pub(super) fn in_yaml(&self) -> bool {
        !self.path.starts_with(ENV_ONLY)
    }

    /// The name to tell the user: the YAML key, else the first variable.
    pub(super) fn name(&self) -> &'static str {
        match self.vars.first() {
            Some(var) if !self.in_yaml() => var,
            _ => self.path,
        }
    }
}
