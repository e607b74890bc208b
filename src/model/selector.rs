//! What chooses processes, and why one is chosen or not.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::service::Wishes;

/// A pattern over a text, in whichever dialect it was written.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    test: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Pattern {
    /// One that was written as `text` and asks `test`.
    pub fn new(text: String, test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { text, test: Arc::new(test) }
    }

    /// Whether it matches.
    pub fn matches(&self, text: &str) -> bool {
        (self.test)(text)
    }

    /// As it may be shown: as the user wrote it, but for what is secret in it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

/// A set of whole numbers as sorted, disjoint, inclusive ranges. 0 is in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    ranges: Vec<(u32, u32)>,
}

impl Numbers {
    /// Of ranges in any order.
    pub fn new(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }

    /// Whether `number` is in the set.
    pub fn contains(&self, number: u32) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= number);
        after
            .checked_sub(1)
            .and_then(|i| self.ranges.get(i))
            .is_some_and(|(_, last)| number <= *last)
    }

    /// Whether no number is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The inclusive ranges, sorted, with gaps between them.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }
}

impl fmt::Display for Numbers {
    /// As the contract writes it: `80,8000-8999`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// What a selector asks of a process.
#[derive(Clone, Debug)]
pub enum Criterion {
    /// It listens on one of these TCP ports.
    OpenPorts(Numbers),
    /// Path of its executable.
    ExePath(Pattern),
    /// Its arguments without the first, joined by spaces.
    CmdArgs(Pattern),
    /// Its language.
    Languages(Pattern),
    /// It is one of these, in the agent's PID namespace.
    TargetPids(Numbers),
    /// It is in another network namespace than the agent.
    ContainersOnly,
    /// Something that is known of its container or pod, by the criterion's name.
    Metadata(&'static str, Pattern),
    /// A label or annotation (the criterion's name) of its pod, by the label's name.
    Label(&'static str, String, Pattern),
}

/// What is known of a process that is judged. Each is asked only when a criterion needs it.
pub trait Facts {
    /// Its id in the agent's PID namespace.
    fn pid(&self) -> u32;
    /// Path of its executable; empty = not known.
    fn exe(&self) -> &str;
    /// Its arguments without the first, joined by spaces.
    fn args(&self) -> Cow<'_, str>;
    /// Its language, as the contract calls it.
    fn language(&self) -> &str;
    /// TCP ports that it listens on, as far as a selector asks for them.
    fn ports(&self) -> &[u16];
    /// Whether it is in another network namespace than the agent; `None` = this cannot be told.
    fn is_contained(&self) -> Option<bool>;
    /// Something that is known of its container or pod.
    fn metadata(&self, criterion: &str) -> Option<Cow<'_, str>>;
    /// A label or annotation of its pod.
    fn label(&self, criterion: &str, name: &str) -> Option<Cow<'_, str>>;
}

impl Criterion {
    /// Its name in a selector.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OpenPorts(_) => "open_ports",
            Self::ExePath(_) => "exe_path",
            Self::CmdArgs(_) => "cmd_args",
            Self::Languages(_) => "languages",
            Self::TargetPids(_) => "target_pids",
            Self::ContainersOnly => "containers_only",
            Self::Metadata(name, _) | Self::Label(name, _, _) => name,
        }
    }

    /// What it asks for, as the user wrote it.
    pub fn wanted(&self) -> String {
        match self {
            Self::OpenPorts(numbers) | Self::TargetPids(numbers) => numbers.to_string(),
            Self::ExePath(pattern)
            | Self::CmdArgs(pattern)
            | Self::Languages(pattern)
            | Self::Metadata(_, pattern) => pattern.text().to_owned(),
            Self::ContainersOnly => "true".to_owned(),
            Self::Label(_, name, pattern) => format!("{name}: {}", pattern.text()),
        }
    }

    /// What the process has instead, or of it.
    pub fn found(&self, facts: &dyn Facts) -> String {
        let or = |text: Option<Cow<'_, str>>, nothing: &str| match text {
            Some(text) if !text.is_empty() => text.into_owned(),
            _ => nothing.to_owned(),
        };
        match self {
            Self::OpenPorts(_) if facts.ports().is_empty() => "none".to_owned(),
            Self::OpenPorts(_) => {
                let ports: Vec<String> = facts.ports().iter().map(u16::to_string).collect();
                ports.join(",")
            }
            Self::ExePath(_) => or(Some(facts.exe().into()), "not known"),
            Self::CmdArgs(_) => or(Some(facts.args()), "no arguments"),
            Self::Languages(_) => facts.language().to_owned(),
            Self::TargetPids(_) => facts.pid().to_string(),
            Self::ContainersOnly => match facts.is_contained() {
                Some(contained) => contained.to_string(),
                None => "not known".to_owned(),
            },
            Self::Metadata(name, _) => or(facts.metadata(name), "not known"),
            Self::Label(criterion, name, _) => or(facts.label(criterion, name), "not known"),
        }
    }

    /// Whether the process has it.
    pub fn holds(&self, facts: &dyn Facts) -> bool {
        match self {
            Self::OpenPorts(ports) => {
                facts.ports().iter().any(|port| ports.contains(u32::from(*port)))
            }
            Self::ExePath(pattern) => pattern.matches(facts.exe()),
            Self::CmdArgs(pattern) => pattern.matches(&facts.args()),
            Self::Languages(pattern) => pattern.matches(facts.language()),
            Self::TargetPids(pids) => pids.contains(facts.pid()),
            // Where it cannot be told, the contract leaves the criterion aside.
            Self::ContainersOnly => facts.is_contained().unwrap_or(true),
            Self::Metadata(name, pattern) => {
                facts.metadata(name).is_some_and(|text| pattern.matches(&text))
            }
            Self::Label(criterion, name, pattern) => {
                facts.label(criterion, name).is_some_and(|text| pattern.matches(&text))
            }
        }
    }
}

/// One entry of a list of selectors: every criterion must hold.
#[derive(Clone, Debug)]
pub struct Selector {
    /// Where the user finds it: `discovery.instrument[2]`.
    pub name: String,
    /// What it asks for; cheap ones first.
    pub criteria: Vec<Criterion>,
    /// What it says of the processes that it matches.
    pub refinement: Refinement,
}

/// What a selector says of the processes that it matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refinement {
    /// `service.name`.
    pub name: Option<String>,
    /// `service.namespace`.
    pub namespace: Option<String>,
    /// Everything about their telemetry.
    pub wishes: Wishes,
}

impl Selector {
    /// The first criterion that does not hold; `None` = the process is matched.
    pub fn first_failing(&self, facts: &dyn Facts) -> Option<&Criterion> {
        self.criteria.iter().find(|criterion| !criterion.holds(facts))
    }

    /// What it asks for: `exe_path: */nginx, open_ports: 80`.
    pub fn asks(&self) -> String {
        let criteria = self.criteria.iter().map(|c| format!("{}: {}", c.name(), c.wanted()));
        criteria.collect::<Vec<_>>().join(", ")
    }

    /// As the log shows it: `discovery.instrument[2] (exe_path: */nginx, open_ports: 80)`.
    pub fn shown(&self) -> String {
        match self.criteria.is_empty() {
            true => self.name.clone(),
            false => format!("{} ({})", self.name, self.asks()),
        }
    }
}

/// Which processes are observed.
#[derive(Clone, Debug, Default)]
pub struct Selectors {
    /// One must match.
    pub include: Vec<Selector>,
    /// None may match.
    pub exclude: Vec<Selector>,
}

/// What the selectors say of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This exclusion matches it.
    Excluded(usize),
    /// A selector matches it.
    Chosen,
    /// Nothing matches it.
    Unmatched,
}

impl Selectors {
    /// Lets every pattern be shown as `show` has it.
    pub fn show_as(&mut self, show: impl Fn(&str) -> String) {
        let selectors = self.include.iter_mut().chain(&mut self.exclude);
        for criterion in selectors.flat_map(|selector| &mut selector.criteria) {
            match criterion {
                Criterion::ExePath(pattern)
                | Criterion::CmdArgs(pattern)
                | Criterion::Languages(pattern)
                | Criterion::Metadata(_, pattern)
                | Criterion::Label(_, _, pattern) => pattern.text = show(&pattern.text),
                Criterion::OpenPorts(_) | Criterion::TargetPids(_) | Criterion::ContainersOnly => {}
            }
        }
    }

    /// Judges a process.
    pub fn judge(&self, facts: &dyn Facts) -> Choice {
        let matches = |selector: &Selector| selector.first_failing(facts).is_none();
        if let Some(i) = self.exclude.iter().position(matches) {
            return Choice::Excluded(i);
        }
        match self.include.iter().any(matches) {
            true => Choice::Chosen,
            false => Choice::Unmatched,
        }
    }

    /// Selectors that match a process, by number.
    pub fn matching(&self, facts: &dyn Facts) -> impl Iterator<Item = (usize, &Selector)> {
        let matches = |(_, selector): &(usize, &Selector)| selector.first_failing(facts).is_none();
        self.include.iter().enumerate().filter(matches)
    }

    /// What they say together: the last one that says something counts.
    pub fn refinement(&self, facts: &dyn Facts) -> Refinement {
        let mut refinement = Refinement::default();
        for (_, selector) in self.matching(facts) {
            let Refinement { name, namespace, wishes } = selector.refinement.clone();
            refinement.name = name.or(refinement.name);
            refinement.namespace = namespace.or(refinement.namespace);
            refinement.wishes = wishes.or(refinement.wishes);
        }
        refinement
    }

    /// Whether a process can be chosen that listens nowhere.
    pub fn judge_exec(&self) -> bool {
        let needs_port =
            |s: &Selector| s.criteria.iter().any(|c| matches!(c, Criterion::OpenPorts(_)));
        !self.include.iter().all(needs_port)
    }

    /// Every port that a criterion asks for.
    pub fn ports(&self) -> Numbers {
        let selectors = self.include.iter().chain(&self.exclude);
        let ranges = selectors.flat_map(|s| &s.criteria).filter_map(|criterion| match criterion {
            Criterion::OpenPorts(ports) => Some(ports.ranges()),
            _ => None,
        });
        Numbers::new(ranges.flatten().copied().collect())
    }
}
