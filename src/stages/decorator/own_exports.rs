//! Processes that export telemetry by themselves, as they are seen to do: a successful call of an OTLP
//! receiver's path. From then on the same signal of ours would tell everything a second time.

use crate::model::batch::SpanBatch;
use crate::model::service::Service;
use crate::model::span::{SpanHead, Unwanted};
use crate::model::time::instant_now;
use crate::semconv::{AttrKey, SpanKind};
use crate::telemetry::Seldom;

/// How the path of a receiver ends (OTLP specification, "OTLP/HTTP Request").
const TRACES_PATH: &str = "/v1/traces";
const METRICS_PATH: &str = "/v1/metrics";

/// Marks their spans.
#[derive(Debug, Default)]
pub(super) struct OwnExporters {
    said: Seldom,
}

impl OwnExporters {
    /// Notes what the spans of `batch` tell of their processes, and which of them are not for traces.
    /// What is not for metrics depends on the metric: whoever makes them asks the service.
    pub(super) fn mark(&mut self, batch: &mut SpanBatch) {
        for span in &batch.spans {
            let Some(path) = exports(batch, span) else { continue };
            let Some(service) = batch.service(span) else { continue };
            if path.ends_with(TRACES_PATH) && service.exports.saw_traces() {
                self.say(
                    service,
                    "it exports its own traces: its spans are not sent a second time",
                );
            } else if path.ends_with(METRICS_PATH) && service.exports.saw_metrics() {
                self.say(service, "it exports its own metrics: those of its requests are left out");
            }
        }
        if !batch.services.iter().any(|service| service.exports.traces()) {
            return;
        }
        let SpanBatch { spans, services, .. } = batch;
        for span in spans {
            let service = services.get(span.service as usize);
            if service.is_some_and(|service| service.exports.traces()) {
                span.not_for.traces = Some(Unwanted::OwnExporter);
            }
        }
    }

    fn say(&mut self, service: &Service, what: &str) {
        if let Some(kept_back) = self.said.pass(instant_now()) {
            tracing::info!(
                service = service.name,
                instance = service.instance_id,
                kept_back,
                "{what} (discovery.exclude_otel_instrumented_services)"
            );
        }
    }
}

/// The path of a successful call, which a receiver of telemetry may have answered.
fn exports<'a>(batch: &'a SpanBatch, span: &SpanHead) -> Option<&'a str> {
    if span.family.kind() != SpanKind::Client {
        return None;
    }
    let path = batch.attr_text(span, AttrKey::UrlPath);
    let status = batch.attr_i64(span, AttrKey::HttpResponseStatusCode);
    status.is_some_and(|status| (200..300).contains(&status)).then_some(path)
}
