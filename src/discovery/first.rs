//! Selectors that match nothing, and what they may have been meant for.

use std::collections::HashMap;

use super::facts::Known;
use super::{Discovery, Process};
use crate::model::ids::Tgid;
use crate::model::process::ListenerFact;
use crate::model::selector::{Choice, Facts as _, Selector};

/// Selectors of which the log tells at start; the others are counted.
const TOLD_MAX: usize = 16;

impl Discovery {
    /// Says which selectors match none of the processes that there are; `listeners` are all that
    /// these listen on.
    pub(super) fn tell_unmatched(&self, listeners: &[ListenerFact]) {
        if self.unmatched.is_empty() {
            return;
        }
        let mut ports: HashMap<Tgid, Vec<u16>> = HashMap::new();
        for listener in listeners {
            ports.entry(listener.tgid).or_default().push(listener.port);
        }
        let processes = self.processes.len();
        let all = self.unmatched.len() == self.selectors.include.len();
        for i in self.unmatched.iter().take(TOLD_MAX) {
            let Some(selector) = self.selectors.include.get(*i) else { continue };
            let nearest = self.nearest(selector, &ports).map(|near| format!("; nearest: {near}"));
            let nearest = nearest.unwrap_or_default();
            let said = format!(
                "selector {} matched 0 of {processes} processes{nearest}",
                selector.shown()
            );
            // Who has other selectors that match has an agent that works.
            match all {
                true => tracing::warn!("{said}"),
                false => tracing::info!("{said}"),
            }
        }
        let more = self.unmatched.len().saturating_sub(TOLD_MAX);
        if more > 0 {
            tracing::info!("{more} more selectors matched 0 of {processes} processes");
        }
    }

    /// Says it when a selector matches a process for the first time.
    pub(super) fn tell_matched(&mut self, tgid: Tgid) {
        if self.unmatched.is_empty() {
            return;
        }
        let Some(process) = self.processes.get(&tgid) else { return };
        let known = process.known(&self.languages);
        let selectors = &self.selectors.include;
        let matches = |i: &usize| {
            selectors.get(*i).is_some_and(|selector| selector.first_failing(&known).is_none())
        };
        let (matched, unmatched): (Vec<usize>, Vec<usize>) =
            self.unmatched.iter().copied().partition(matches);
        for selector in matched.iter().filter_map(|i| selectors.get(*i)) {
            tracing::info!(
                pid = process.ns_tgid,
                exe = process.exe,
                "selector {} matches its first process",
                selector.shown()
            );
        }
        self.unmatched = unmatched;
    }

    /// The process that comes nearest to what a selector asks for: the one of which most criteria
    /// hold, and among these the one whose next criterion is the most similar.
    pub(super) fn nearest(
        &self,
        selector: &Selector,
        ports: &HashMap<Tgid, Vec<u16>>,
    ) -> Option<String> {
        let likeness = |(tgid, process): (&Tgid, &Process)| {
            let ports = ports.get(tgid).map(Vec::as_slice).unwrap_or_default();
            let known = Known::new(process.ns_tgid, &process.exe, ports, &self.languages);
            let Some(failing) = selector.first_failing(&known) else {
                // It matches, and the process is not observed all the same.
                let why = match self.selectors.judge(&known) {
                    Choice::Excluded(i) => format!("{} excludes it", self.excludes(i)),
                    Choice::Chosen | Choice::Unmatched => {
                        "its exports leave out every signal".to_owned()
                    }
                };
                let shown = format!("{} ({}), but {why}", known.exe(), known.pid());
                return Some((usize::MAX, 1000, std::cmp::Reverse(*tgid), shown));
            };
            let held = selector.criteria.iter().filter(|c| c.holds(&known)).count();
            let found = failing.found(&known);
            let similar = likeness(&failing.wanted(), &found);
            let shown = match failing.name() {
                "exe_path" => format!("{} ({})", known.exe(), known.pid()),
                name => format!("{} ({}), {name} is {found}", known.exe(), known.pid()),
            };
            // Of equals, the one that was there first.
            Some((held, similar, std::cmp::Reverse(*tgid), shown))
        };
        let nearest = self.processes.iter().filter_map(likeness).max()?;
        let (held, similar, _, shown) = nearest;
        (held > 0 || similar >= LIKE).then_some(shown)
    }

    fn excludes(&self, i: usize) -> &str {
        self.selectors.exclude.get(i).map(|selector| selector.name.as_str()).unwrap_or_default()
    }
}

/// What [`likeness`] gives at least for texts of which one may have been meant for the other.
const LIKE: u32 = 600;

/// How similar a text is to what a pattern was written for, in thousandths: their last parts count.
fn likeness(wanted: &str, found: &str) -> u32 {
    let last = |text: &str| -> String {
        let part = text.trim_end_matches('*').rsplit('/').next().unwrap_or_default();
        part.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
    };
    let like = strsim::normalized_damerau_levenshtein(&last(wanted), &last(found));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0.0 to 1.0")]
    let thousandths = (like * 1000.0) as u32;
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_by_a_letter_is_like_what_was_meant() {
        assert!(likeness("*/goblog", "/usr/bin/goblog2") >= LIKE);
        assert!(likeness("/opt/Shop/shop-api", "/opt/shop/shop_api") >= LIKE);
        assert!(likeness("*/goblog", "/usr/sbin/nginx") < LIKE);
        assert_eq!(likeness("*/nginx", "/usr/sbin/nginx"), 1000);
    }
}
