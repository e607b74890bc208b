//! Headers that a span shows because the user wants to see them.
//!
//! What becomes of a request's header may depend on the response's status: it is noted until then. What
//! was noted and not decided about never leaves the agent.

use super::SpanSink;
use crate::model::attrs::{AttrArena, AttrValue, TextRef, text_of};
use crate::model::shown::{Action, Header};
use crate::semconv::AttrKey;

impl SpanSink<'_> {
    /// Notes headers of the request: names and values.
    pub(super) fn note_headers<'h>(
        &mut self,
        headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
    ) {
        if self.shown.headers.show_nothing() {
            return;
        }
        for (name, value) in headers {
            self.text_concat(AttrKey::HttpHeaderNoted, [name, b":", value]);
        }
    }

    /// Decides about the headers that were noted, now that the response's status is known, or will not
    /// be; and about those of the response.
    pub(super) fn settle_headers<'h>(
        &mut self,
        status: Option<i64>,
        response: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
    ) {
        if self.shown.headers.show_nothing() {
            return;
        }
        for (name, value) in response {
            self.text_concat(AttrKey::HttpResponseHeader, [name, b":", value]);
        }
        let mut kept = 0_usize;
        for i in 0..self.pending.arena.attrs.len() {
            let Some((key, value)) = self.pending.arena.attrs.get(i).copied() else { break };
            let of_request = key == AttrKey::HttpHeaderNoted;
            let settled = match value {
                AttrValue::Text(line) if of_request || key == AttrKey::HttpResponseHeader => {
                    let Some(line) = self.judge(line, of_request, status) else { continue };
                    let key = if of_request { AttrKey::HttpRequestHeader } else { key };
                    (key, AttrValue::Text(line))
                }
                _ => (key, value),
            };
            if let Some(slot) = self.pending.arena.attrs.get_mut(kept) {
                *slot = settled;
            }
            kept = kept.saturating_add(1);
        }
        self.pending.arena.attrs.truncate(kept);
    }

    /// What is shown of a line `name:value`, with its name in small letters.
    fn judge(&mut self, line: TextRef, of_request: bool, status: Option<i64>) -> Option<TextRef> {
        let shown = self.shown;
        let AttrArena { attrs, text } = &mut self.pending.arena;
        let word = |key| {
            let value = attrs.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
            match value {
                Some(AttrValue::Text(r)) => text_of(text, r),
                Some(AttrValue::Static(word)) => word,
                _ => "",
            }
        };
        let (name, _) = text_of(text, line).split_once(':')?;
        let (path, method) = (word(AttrKey::UrlPath), word(AttrKey::HttpRequestMethod));
        let header = Header { of_request, name, path, method, status };
        let action = shown.headers.action(&header);
        let at = line.at as usize;
        let colon = at.saturating_add(name.len());
        let settled = match action {
            Action::Exclude => return None,
            Action::Include => line,
            Action::Obfuscate(with) => {
                let begin = text.len();
                text.extend_from_within(at..colon.saturating_add(1));
                text.extend_from_slice(with.as_bytes());
                let len = text.len().saturating_sub(begin);
                TextRef { at: u32::try_from(begin).ok()?, len: u32::try_from(len).ok()? }
            }
        };
        let at = settled.at as usize;
        let name = at..at.saturating_add(colon.saturating_sub(line.at as usize));
        text.get_mut(name)?.make_ascii_lowercase();
        Some(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::compare::Comparison;
    use crate::model::selector::Pattern;
    use crate::model::shown::{HeaderRule, HeaderRules, Shown};
    use crate::protocols::PendingAttrs;

    fn rule(action: Action, name: &'static str) -> HeaderRule {
        HeaderRule {
            action,
            requests: true,
            responses: true,
            names: vec![Pattern::new(name.to_owned(), move |text| text == name)],
            case_sensitive: false,
            paths: Vec::new(),
            methods: vec!["GET".to_owned()],
            status: Vec::new(),
        }
    }

    /// What is left of an exchange with these rules: key and text of each attribute.
    fn settled(rules: Vec<HeaderRule>, status: Option<i64>) -> Vec<(AttrKey, String)> {
        let headers = HeaderRules { rules, otherwise: Action::Exclude };
        let shown = Shown { headers, ..Shown::default() };
        let mut pending = PendingAttrs::default();
        let mut span = SpanSink::new(&mut pending).showing(&shown);
        span.word(AttrKey::HttpRequestMethod, "GET");
        span.note_headers([
            (&b"X-Id"[..], &b"1"[..]),
            (b"Authorization", b"me: you"),
            (b"X-Id", b""),
        ]);
        span.settle_headers(status, [(&b"X-Id"[..], &b"\xff"[..]), (b"Date", b"today")]);
        let AttrArena { attrs, text } = pending.arena;
        let written = |(key, value)| match value {
            AttrValue::Text(line) => (key, text_of(&text, line).to_owned()),
            other => (key, format!("{other:?}")),
        };
        attrs.into_iter().skip(1).map(written).collect()
    }

    #[test]
    fn headers_are_shown_as_the_rules_say_and_the_rest_is_gone() {
        let stars = Action::Obfuscate("***".to_owned());
        let rules = vec![rule(Action::Include, "x-id"), rule(stars, "authorization")];
        assert_eq!(
            settled(rules, Some(200)),
            [
                (AttrKey::HttpRequestHeader, "x-id:1".to_owned()),
                (AttrKey::HttpRequestHeader, "authorization:***".to_owned()),
                (AttrKey::HttpRequestHeader, "x-id:".to_owned()),
                (AttrKey::HttpResponseHeader, "x-id:%FF".to_owned()),
            ]
        );
        assert_eq!(settled(Vec::new(), Some(200)), []);
    }

    #[test]
    fn a_rule_that_asks_for_a_status_waits_for_it() {
        let failed = |name| HeaderRule {
            status: vec![(Comparison::GreaterEquals, 500)],
            ..rule(Action::Include, name)
        };
        let names = |status| settled(vec![failed("authorization"), failed("date")], status);
        assert_eq!(
            names(Some(503)),
            [
                (AttrKey::HttpRequestHeader, "authorization:me: you".to_owned()),
                (AttrKey::HttpResponseHeader, "date:today".to_owned()),
            ]
        );
        assert_eq!(names(Some(200)), []);
        assert_eq!(names(None), []);
    }
}
