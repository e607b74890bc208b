//! Processes that export traces by themselves, as they are seen to do: a successful call of an OTLP
//! receiver's path for traces. From then on their spans would tell everything a second time.

use crate::model::batch::SpanBatch;
use crate::model::span::SpanHead;
use crate::model::time::instant_now;
use crate::semconv::{AttrKey, SpanKind};
use crate::telemetry::Seldom;

/// How the path of a receiver ends (OTLP specification, "OTLP/HTTP Request").
const TRACES_PATH: &str = "/v1/traces";

/// Leaves their spans out.
#[derive(Debug, Default)]
pub(super) struct OwnExporters {
    said: Seldom,
}

impl OwnExporters {
    /// Takes the spans of such processes out of `batch`; gives their number.
    pub(super) fn leave_out(&mut self, batch: &mut SpanBatch) -> u64 {
        for span in batch.spans.iter().filter(|span| exports_traces(batch, span)) {
            if let Some(service) = batch.service(span)
                && service.exports.saw_traces()
                && let Some(kept_back) = self.said.pass(instant_now())
            {
                tracing::info!(
                    service = service.name,
                    instance = service.instance_id,
                    kept_back,
                    "it exports its own traces: its spans are not sent a second time \
                     (discovery.exclude_otel_instrumented_services)"
                );
            }
        }
        if !batch.services.iter().any(|service| service.exports.traces()) {
            return 0;
        }
        let before = batch.spans.len();
        let SpanBatch { spans, services, .. } = batch;
        spans.retain(|span| {
            services.get(span.service as usize).is_none_or(|service| !service.exports.traces())
        });
        (before - batch.spans.len()) as u64
    }
}

fn exports_traces(batch: &SpanBatch, span: &SpanHead) -> bool {
    span.family.kind() == SpanKind::Client
        && batch.attr_text(span, AttrKey::UrlPath).ends_with(TRACES_PATH)
        && batch
            .attr_i64(span, AttrKey::HttpResponseStatusCode)
            .is_some_and(|status| (200..300).contains(&status))
}
