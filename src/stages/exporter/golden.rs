//! Golden files: what a span of each family looks like on every way out.
//!
//! `tests/fixtures/golden/<family>.golden` holds a span with all attributes and one with none.
//! `UPDATE_GOLDEN=1 cargo test --lib golden` writes the files anew: read the difference.

use std::path::Path;

use jiff::tz::TimeZone;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::metrics_tests::page;
use super::otlp::encode::Encoder;
use super::queue::Slice;
use super::tests::{Set, add, basket, shop};
use super::*;
use crate::model::batch::SpanBatch;
use crate::model::ids::SpanId;
use crate::model::sampler::Sampler;
use crate::model::select::AttributeSelect;
use crate::model::span::{SpanHead, SpanStatus};
use crate::semconv::{AttrKey, SpanFamily};

/// A value of each attribute, as its protocol would set it.
fn value(key: AttrKey) -> Set<'static> {
    match key {
        AttrKey::HttpRequestMethod => Set::Static("PUT"),
        AttrKey::HttpResponseStatusCode => Set::Int(503),
        AttrKey::HttpRequestBodySize => Set::Int(64),
        AttrKey::HttpResponseBodySize => Set::Int(310),
        AttrKey::HttpResponseObserved => Set::Bool(false),
        AttrKey::HttpRoute => Set::Text("/basket/*"),
        AttrKey::HttpHost => Set::Text("basket.example"),
        AttrKey::UrlPath => Set::Text("/basket/17"),
        AttrKey::UrlQuery => Set::Text("full=1&q=a%20\"b\"<c>"),
        AttrKey::UrlFull => Set::Text("http://basket.example:8080/basket/17?full=1"),
        AttrKey::UrlScheme => Set::Static("http"),
        AttrKey::ServerAddress => Set::Text("basket"),
        AttrKey::ServerPort => Set::Int(8080),
        AttrKey::ClientAddress => Set::Text("web.shop"),
        AttrKey::ServicePeerName => Set::Text("basket"),
        AttrKey::PeerName => Set::Text("basket"),
        AttrKey::PeerNamespace => Set::Text("other"),
        AttrKey::HttpRequestHeader => Set::Text("x-request-id:17"),
        AttrKey::HttpResponseHeader => Set::Text("retry-after:30"),
        AttrKey::HttpHeaderNoted => Set::Text("authorization:secret"),
    }
}

/// A span of `family` that failed, with every attribute that anything shows of it, and a bare one.
fn batch(family: SpanFamily) -> SpanBatch {
    let mut batch = shop();
    let all: Vec<_> = AttrKey::ALL.iter().map(|key| (*key, value(*key))).collect();
    add(&mut batch, SpanHead { status: SpanStatus::Error, ..basket(family) }, &all);
    let mut bare = basket(family);
    bare.ctx.parent_id = SpanId::NONE;
    bare.times.start = bare.times.request_start;
    add(&mut batch, bare, &[]);
    batch
}

/// The request that holds it, in its JSON form.
fn otlp(batch: &Arc<SpanBatch>) -> String {
    let mut encoder = Encoder::new(Sampler::default(), &AttributeSelect::default(), true);
    let mut bytes = Vec::new();
    let range = 0..batch.spans.len();
    encoder.encode(&[Slice { batch: Arc::clone(batch), range }], &mut bytes);
    let request = ExportTraceServiceRequest::decode(&*bytes).unwrap();
    serde_json::to_string_pretty(&request).unwrap()
}

/// Everything that leaves the agent because of these spans.
fn shown(family: SpanFamily) -> String {
    let batch = Arc::new(batch(family));
    let mut printed = Vec::new();
    for span in &batch.spans {
        text::line(&mut printed, &batch, span, &TimeZone::UTC).unwrap();
    }
    let text = String::from_utf8(printed).unwrap();
    let mut printed = Vec::new();
    json::array(&mut printed, &batch, &batch.spans, true).unwrap();
    let json = String::from_utf8(printed).unwrap();
    format!(
        "== text\n{text}\n== json_indent\n{json}\n== OTLP\n{}\n\n== Prometheus\n{}",
        otlp(&batch),
        page(&batch)
    )
}

#[test]
#[expect(clippy::disallowed_methods, reason = "writes the files where a person asks for that")]
fn a_span_of_each_family_is_shown_as_it_always_was() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
    for family in SpanFamily::ALL {
        let file = dir.join(format!("{}.golden", family.printed()));
        let shown = shown(*family);
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&file, &shown).unwrap();
        }
        let golden = std::fs::read_to_string(&file)
            .unwrap_or_else(|e| panic!("{}: {e}; see the top of {}", file.display(), file!()));
        let differing = golden.lines().zip(shown.lines()).find(|(golden, shown)| golden != shown);
        assert_eq!(differing, None, "{}", file.display());
        assert_eq!(golden, shown, "{}", file.display());
    }
}
