//! Routes: paths with few values (`http.route`), and paths that are left out.

mod heuristic;
mod memo;
mod patterns;
mod trie;

use std::sync::Arc;

use hashbrown::HashMap;

use crate::config::{RoutesConfig, Unmatched};
use crate::model::attrs::{AttrValue, TextRef, bytes_of};
use crate::model::batch::SpanBatch;
use crate::model::service::RoutePatterns;
use crate::model::span::{SpanHead, Unwanted};
use crate::semconv::{AttrKey, SpanKind};
use memo::Memo;
use patterns::Patterns;
use trie::Trie;

/// Services whose paths are remembered at most; one more and all are forgotten.
const SERVICES_MAX: usize = 4096;

/// Selectors whose patterns are remembered at most; one more (the configuration changed) and all are
/// read anew.
const SELECTORS_MAX: usize = 256;

/// Gives spans their routes.
#[derive(Debug)]
pub(super) struct Routes {
    patterns: Patterns,
    ignored: Patterns,
    config: RoutesConfig,
    /// What paths each service had, by name and namespace.
    tries: HashMap<(String, String), Trie>,
    guesses: Memo,
    /// Patterns that a selector has for its services.
    of_services: Vec<(Arc<RoutePatterns>, [Patterns; 2])>,
}

impl Routes {
    pub(super) fn new(config: RoutesConfig) -> Self {
        Self {
            patterns: Patterns::new(&config.patterns),
            ignored: Patterns::new(&config.ignored),
            guesses: Memo::new(&config.wildcard),
            config,
            tries: HashMap::new(),
            of_services: Vec::new(),
        }
    }

    /// Adds the route of `span` to the end of the batch's attributes, if it has a path, and notes
    /// whether it is wanted.
    pub(super) fn route(&mut self, batch: &mut SpanBatch, span: &mut SpanHead) {
        let Some(at) = span.family.routed_by() else { return };
        let (path, has_route) = path_of(batch, span, at);
        if !self.ignored.is_empty() && self.ignored.find(batch.text_of(path)).is_some() {
            let unwanted = Some(Unwanted::IgnoredPath);
            if self.config.ignore_traces {
                span.not_for.traces = unwanted;
            }
            if self.config.ignore_metrics {
                span.not_for.metrics = unwanted;
            }
        }
        if has_route {
            return;
        }
        let pattern =
            (!self.patterns.is_empty()).then(|| self.patterns.find(batch.text_of(path))).flatten();
        let route = match pattern {
            Some(pattern) => Some(batch.push_text(pattern)),
            None => {
                self.of_service(batch, span, path).or_else(|| self.unmatched(batch, span, path))
            }
        };
        if let Some(route) = route {
            batch.attrs.push((AttrKey::HttpRoute, AttrValue::Text(route)));
        }
    }

    /// By the patterns that the service has for itself.
    fn of_service(
        &mut self,
        batch: &mut SpanBatch,
        span: &SpanHead,
        path: TextRef,
    ) -> Option<TextRef> {
        let patterns = batch.service(span)?.wishes.routes.as_ref()?;
        let known = self.of_services.iter().position(|(of, _)| Arc::ptr_eq(of, patterns));
        let known = known.unwrap_or_else(|| {
            if self.of_services.len() >= SELECTORS_MAX {
                self.of_services.clear();
            }
            let RoutePatterns { incoming, outgoing } = &**patterns;
            let compiled = [incoming, outgoing].map(Patterns::new);
            self.of_services.push((Arc::clone(patterns), compiled));
            self.of_services.len() - 1
        });
        let (_, [incoming, outgoing]) = self.of_services.get(known)?;
        let patterns = if span.family.kind() == SpanKind::Client { outgoing } else { incoming };
        let pattern = patterns.find(batch.text_of(path))?;
        Some(batch.push_text(pattern))
    }

    fn unmatched(
        &mut self,
        batch: &mut SpanBatch,
        span: &SpanHead,
        path: TextRef,
    ) -> Option<TextRef> {
        let Self { config, tries, guesses, .. } = self;
        match config.unmatched {
            Unmatched::Unset => return None,
            Unmatched::Path => return Some(path),
            Unmatched::Wildcard => return Some(batch.push_text("/**")),
            Unmatched::Heuristic | Unmatched::LowCardinality => {}
        }
        let text = bytes_of(&batch.text, path);
        let route = guesses.route(text);
        if config.unmatched == Unmatched::Heuristic || config.segments_max == 0 {
            // Most paths are their own routes, whose text is there already.
            return Some(if route == text { path } else { batch.push_bytes(route) });
        }
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
        let at = batch.text.len();
        trie.write(&mut batch.text, guessed, config.segments_max, &config.wildcard);
        Some(batch.text_since(at))
    }
}

/// The path of `span`, which stands at `at`, and whether the span has a route: one look at its attributes.
fn path_of(batch: &mut SpanBatch, span: &SpanHead, at: AttrKey) -> (TextRef, bool) {
    let mut path = AttrValue::Static("");
    let mut route = AttrValue::Static("");
    batch.attrs_of(span).for_each(|(key, value)| {
        if *key == at {
            path = *value;
        } else if *key == AttrKey::HttpRoute {
            route = *value;
        }
    });
    let path = match path {
        AttrValue::Text(path) => path,
        AttrValue::Static(path) => batch.push_text(path),
        AttrValue::I64(_) | AttrValue::Bool(_) => TextRef::default(),
    };
    (path, !matches!(route, AttrValue::Static("") | AttrValue::Text(TextRef { len: 0, .. })))
}

/// A service's name and namespace, to look for without owning them.
#[derive(Hash)]
struct Who<'a>((&'a str, &'a str));

impl hashbrown::Equivalent<(String, String)> for Who<'_> {
    fn equivalent(&self, key: &(String, String)) -> bool {
        self.0.0 == key.0 && self.0.1 == key.1
    }
}
