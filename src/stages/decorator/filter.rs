//! Spans that the user does not want at all (`filter.application`).

use crate::config::{Condition, FilterConfig};
use crate::model::attrs::AttrValue;
use crate::model::batch::SpanBatch;
use crate::model::service::Service;
use crate::model::span::SpanHead;
use crate::semconv::AttrKey;

/// The conditions, which must all hold.
#[derive(Debug)]
pub(super) struct Filter {
    rules: Vec<(Subject, Condition)>,
    /// Text that is put together.
    text: String,
}

/// What a condition is about.
#[derive(Clone, Debug)]
enum Subject {
    /// An attribute of the span.
    Attribute(AttrKey),
    /// The port of the side that asks.
    ClientPort,
    /// The span's name.
    Name,
    /// `SPAN_KIND_…`.
    Kind,
    /// `STATUS_CODE_…`.
    Status,
    /// What the service is: by the attribute's name with dots for underscores.
    Service(String),
}

impl Filter {
    /// `None` = nothing is filtered.
    pub(super) fn new(config: FilterConfig) -> Option<Self> {
        let rules: Vec<_> =
            config.into_iter().map(|(name, condition)| (Subject::of(name), condition)).collect();
        (!rules.is_empty()).then(|| Self { rules, text: String::new() })
    }

    /// Takes out of `batch` what is not kept; gives how many that were.
    pub(super) fn apply(&mut self, batch: &mut SpanBatch) -> u64 {
        let mut spans = std::mem::take(&mut batch.spans);
        let before = spans.len();
        spans.retain(|span| self.keeps(batch, span));
        batch.spans = spans;
        (before - batch.spans.len()) as u64
    }

    fn keeps(&mut self, batch: &SpanBatch, span: &SpanHead) -> bool {
        let Self { rules, text } = self;
        rules.iter().all(|(subject, condition)| {
            text.clear();
            subject.write(batch, span, text);
            match condition {
                Condition::Matches(pattern) => pattern.matches(text),
                Condition::Differs(pattern) => !pattern.matches(text),
                Condition::Numbers(all) => text.parse().is_ok_and(|value| {
                    all.iter().all(|(comparison, with)| comparison.holds(value, *with))
                }),
            }
        })
    }
}

impl Subject {
    /// `name` has dots for underscores.
    fn of(name: String) -> Self {
        let attribute = AttrKey::ALL.iter().find(|key| key.name().replace('_', ".") == name);
        match (name.as_str(), attribute) {
            ("name" | "span.name", _) => Self::Name,
            ("span.kind", _) => Self::Kind,
            ("status.code", _) => Self::Status,
            ("client.port", _) => Self::ClientPort,
            ("client", _) => Self::Attribute(AttrKey::ClientAddress),
            ("server", _) => Self::Attribute(AttrKey::ServerAddress),
            ("peer.service", _) => Self::Attribute(AttrKey::ServicePeerName),
            (_, Some(key)) => Self::Attribute(*key),
            (_, None) => Self::Service(name),
        }
    }

    fn write(&self, batch: &SpanBatch, span: &SpanHead, out: &mut String) {
        match self {
            Self::Attribute(key) => match batch.attr(span, *key) {
                Some(AttrValue::Text(text)) => out.push_str(batch.text_of(text)),
                Some(AttrValue::Static(text)) => out.push_str(text),
                Some(AttrValue::I64(n)) => out.push_str(&n.to_string()),
                Some(AttrValue::Bool(b)) => out.push_str(if b { "true" } else { "false" }),
                None => {}
            },
            Self::ClientPort => out.push_str(&span.ends.client.port.to_string()),
            Self::Name => {
                for part in span.family.named_by() {
                    let part = batch.attr_text(span, *part);
                    if !part.is_empty() && !out.is_empty() {
                        out.push(' ');
                    }
                    out.push_str(part);
                }
            }
            Self::Kind => out.push_str(span.family.kind().word()),
            Self::Status => out.push_str(span.status.word()),
            Self::Service(name) => {
                if let Some(service) = batch.service(span) {
                    out.push_str(&of_service(service, name));
                }
            }
        }
    }
}

fn of_service(service: &Service, name: &str) -> String {
    match name {
        "service.name" => service.name.clone(),
        "service.namespace" => service.namespace.clone(),
        "service.instance.id" | "instance" | "target.instance" => service.instance_id.clone(),
        "job" => service.job(),
        "telemetry.sdk.language" => service.language.to_owned(),
        "host.name" => service.host_name.clone(),
        "host.id" => service.host_id.clone(),
        name => {
            let same = |(key, _): &&(String, String)| key.replace('_', ".") == name;
            service.extra.iter().rev().find(same).map(|(_, v)| v.clone()).unwrap_or_default()
        }
    }
}
