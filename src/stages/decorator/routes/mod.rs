//! Routes: paths with few values (`http.route`), and paths that are left out.

mod heuristic;
mod patterns;
mod trie;

use hashbrown::HashMap;

use crate::config::{RoutesConfig, Unmatched};
use crate::model::attrs::{AttrValue, TextRef};
use crate::model::batch::SpanBatch;
use crate::model::span::{SpanHead, Unwanted};
use crate::semconv::AttrKey;
use patterns::Patterns;
use trie::Trie;

/// Services whose paths are remembered at most; one more and all are forgotten.
const SERVICES_MAX: usize = 4096;

/// Gives spans their routes.
#[derive(Debug)]
pub(super) struct Routes {
    patterns: Patterns,
    ignored: Patterns,
    config: RoutesConfig,
    /// What paths each service had, by name and namespace.
    tries: HashMap<(String, String), Trie>,
    path: String,
    route: Vec<u8>,
}

impl Routes {
    pub(super) fn new(config: RoutesConfig) -> Self {
        Self {
            patterns: Patterns::new(&config.patterns),
            ignored: Patterns::new(&config.ignored),
            config,
            tries: HashMap::new(),
            path: String::new(),
            route: Vec::new(),
        }
    }

    /// Adds the route of `span` to the end of the batch's attributes, if it has a path, and notes
    /// whether it is wanted.
    pub(super) fn route(&mut self, batch: &mut SpanBatch, span: &mut SpanHead) {
        let Some(at) = span.family.routed_by() else { return };
        self.path.clear();
        self.path.push_str(batch.attr_text(span, at));
        if !self.ignored.is_empty() && self.ignored.find(&self.path).is_some() {
            let unwanted = Some(Unwanted::IgnoredPath);
            if self.config.ignore_traces {
                span.not_for.traces = unwanted;
            }
            if self.config.ignore_metrics {
                span.not_for.metrics = unwanted;
            }
        }
        if !batch.attr_text(span, AttrKey::HttpRoute).is_empty() {
            return;
        }
        let pattern = (!self.patterns.is_empty()).then(|| self.patterns.find(&self.path)).flatten();
        let route = match pattern {
            Some(pattern) => batch.push_text(pattern),
            None => match self.unmatched(batch, span) {
                Some(route) => route,
                None => return,
            },
        };
        batch.attrs.push((AttrKey::HttpRoute, AttrValue::Text(route)));
    }

    fn unmatched(&mut self, batch: &mut SpanBatch, span: &SpanHead) -> Option<TextRef> {
        let Self { config, tries, path, route, .. } = self;
        let wildcard = config.wildcard.as_str();
        match config.unmatched {
            Unmatched::Unset => return None,
            Unmatched::Path => return Some(batch.push_text(path)),
            Unmatched::Wildcard => return Some(batch.push_text("/**")),
            Unmatched::Heuristic | Unmatched::LowCardinality => {}
        }
        let at = batch.text.len();
        if config.unmatched == Unmatched::Heuristic || config.segments_max == 0 {
            heuristic::write(&mut batch.text, path, wildcard);
            return Some(batch.text_since(at));
        }
        route.clear();
        heuristic::write(route, path, wildcard);
        let guessed = std::str::from_utf8(route).unwrap_or_default();
        let service = batch.services.get(span.service as usize)?;
        let who = (service.name.as_str(), service.namespace.as_str());
        if !tries.contains_key(&Who(who)) {
            if tries.len() >= SERVICES_MAX {
                tries.clear();
            }
            tries.insert((who.0.to_owned(), who.1.to_owned()), Trie::default());
        }
        let trie = tries.get_mut(&Who(who))?;
        trie.write(&mut batch.text, guessed, config.segments_max, wildcard);
        Some(batch.text_since(at))
    }
}

/// A service's name and namespace, to look for without owning them.
#[derive(Hash)]
struct Who<'a>((&'a str, &'a str));

impl hashbrown::Equivalent<(String, String)> for Who<'_> {
    fn equivalent(&self, key: &(String, String)) -> bool {
        self.0.0 == key.0 && self.0.1 == key.1
    }
}
