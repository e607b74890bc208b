use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use std::time::Duration;

use super::delivery::Backoff;
use super::encode::Encoder;
use crate::config::BackoffConfig;
use crate::model::batch::SpanBatch;
use crate::model::ids::{KtimeNs, SpanId, TraceId};
use crate::model::sampler::Sampler;
use crate::model::select::{AttributeSelect, Section, comparable};
use crate::model::selector::Pattern;
use crate::model::service::{Service, Wishes};
use crate::model::span::{SpanHead, SpanStatus};
use crate::model::time::ClockOffset;
use crate::semconv::{AttrKey, SpanFamily};
use crate::stages::exporter::queue::Slice;
use crate::stages::exporter::tests::{Set, add, basket};

/// A seeded generator: the same numbers every run.
struct Random(u64);

impl Random {
    /// Below `n`, as an index.
    fn index(&mut self, n: u64) -> usize {
        usize::try_from(self.below(n)).unwrap()
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn text(&mut self) -> String {
        let length = [0, 1, 7, 126, 127, 128, 300][self.index(7)];
        (0..length).map(|_| ['a', '/', 'ü', '€', '😀', '\0'][self.index(6)]).collect()
    }

    fn int(&mut self) -> i64 {
        [0, 1, -1, 127, 128, 200, i64::MAX, i64::MIN][self.index(8)]
    }
}

fn service(n: u64) -> Service {
    Service {
        name: format!("service-{n}"),
        namespace: if n.is_multiple_of(2) { String::new() } else { "shop".to_owned() },
        instance_id: format!("host:{n}"),
        language: "python",
        host_name: "host".to_owned(),
        host_id: "abc".to_owned(),
        extra: vec![("team".to_owned(), "a".to_owned())],
        ..Service::default()
    }
}

/// One of which all traces go out, or a part of them, or none.
fn wishes(sampler: Option<Sampler>) -> Wishes {
    Wishes { sampler, ..Wishes::default() }
}

fn sampled_service(n: u64) -> Service {
    let sampler = [None, Sampler::named("traceidratio", "0.5"), Some(Sampler::NEVER), None];
    Service { wishes: wishes(sampler[usize::try_from(n).unwrap()]), ..service(n) }
}

fn random_batch(random: &mut Random) -> SpanBatch {
    const KEYS: [AttrKey; 10] = [
        AttrKey::HttpRequestMethod,
        AttrKey::HttpRoute,
        AttrKey::UrlPath,
        AttrKey::UrlQuery,
        AttrKey::UrlFull,
        AttrKey::UrlScheme,
        AttrKey::ServerAddress,
        AttrKey::ClientAddress,
        AttrKey::ServicePeerName,
        AttrKey::HttpHost,
    ];
    const INTS: [AttrKey; 4] = [
        AttrKey::HttpResponseStatusCode,
        AttrKey::HttpRequestBodySize,
        AttrKey::HttpResponseBodySize,
        AttrKey::ServerPort,
    ];
    let services = 1 + random.below(3);
    let mut batch = SpanBatch {
        services: (0..services).map(|_| Arc::new(sampled_service(random.below(4)))).collect(),
        clock: ClockOffset(random.int() / 4),
        ..SpanBatch::default()
    };
    for _ in 0..random.below(6) {
        let mut span =
            basket(if random.coin() { SpanFamily::HttpServer } else { SpanFamily::HttpClient });
        span.times.request_start = KtimeNs(random.below(u64::MAX / 4));
        span.times.start = KtimeNs(random.below(u64::MAX / 4));
        span.times.end = KtimeNs(random.below(u64::MAX / 4));
        span.ctx.trace_id = TraceId([u8::try_from(random.below(256)).unwrap(); 16]);
        span.ctx.parent_id = if random.coin() { SpanId::NONE } else { SpanId([7; 8]) };
        span.status = if random.coin() { SpanStatus::Unset } else { SpanStatus::Error };
        span.service = u32::try_from(random.below(services)).unwrap();
        let texts: Vec<_> = KEYS.iter().map(|key| (*key, random.coin(), random.text())).collect();
        let ints: Vec<_> = INTS.iter().map(|key| (*key, random.coin(), random.int())).collect();
        let mut attrs: Vec<(AttrKey, Set<'_>)> = Vec::new();
        attrs.extend(texts.iter().filter(|t| t.1).map(|(key, _, text)| (*key, Set::Text(text))));
        attrs.extend(ints.iter().filter(|i| i.1).map(|(key, _, int)| (*key, Set::Int(*int))));
        if random.coin() {
            attrs.push((AttrKey::HttpResponseObserved, Set::Bool(false)));
            attrs.push((AttrKey::UrlScheme, Set::Static("http")));
        }
        add(&mut batch, span, &attrs);
    }
    batch
}

fn text(key: &str, value: &str) -> KeyValue {
    proto(key, ProtoValue::StringValue(value.to_owned()))
}

fn proto(key: &str, value: ProtoValue) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The span's attributes as telemetry.md 1.5 lists them, and whether each is optional.
fn listed(family: SpanFamily) -> Vec<(&'static str, AttrKey, bool)> {
    match family {
        SpanFamily::HttpServer => vec![
            ("http.response.status_code", AttrKey::HttpResponseStatusCode, true),
            ("client.address", AttrKey::ClientAddress, false),
            ("server.address", AttrKey::ServerAddress, false),
            ("server.port", AttrKey::ServerPort, false),
            ("http.request.body.size", AttrKey::HttpRequestBodySize, true),
            ("http.response.body.size", AttrKey::HttpResponseBodySize, true),
            ("http.request.method", AttrKey::HttpRequestMethod, true),
            ("url.path", AttrKey::UrlPath, true),
            ("url.scheme", AttrKey::UrlScheme, true),
            ("http.route", AttrKey::HttpRoute, true),
            ("url.query", AttrKey::UrlQuery, true),
            ("obi.http.response.observed", AttrKey::HttpResponseObserved, true),
        ],
        SpanFamily::HttpClient => vec![
            ("http.response.status_code", AttrKey::HttpResponseStatusCode, true),
            ("url.full", AttrKey::UrlFull, false),
            ("url.scheme", AttrKey::UrlScheme, false),
            ("server.address", AttrKey::ServerAddress, false),
            ("service.peer.name", AttrKey::ServicePeerName, false),
            ("server.port", AttrKey::ServerPort, false),
            ("http.request.body.size", AttrKey::HttpRequestBodySize, true),
            ("http.response.body.size", AttrKey::HttpResponseBodySize, true),
            ("http.request.method", AttrKey::HttpRequestMethod, true),
            ("url.query", AttrKey::UrlQuery, true),
            ("obi.http.response.observed", AttrKey::HttpResponseObserved, true),
        ],
    }
}

fn expected_attributes(batch: &SpanBatch, span: &SpanHead) -> Vec<KeyValue> {
    const NUMBERS: [&str; 4] = [
        "http.response.status_code",
        "server.port",
        "http.request.body.size",
        "http.response.body.size",
    ];
    let mut attributes = Vec::new();
    for (name, key, optional) in listed(span.family) {
        if name == "obi.http.response.observed" {
            if batch.attr(span, key).is_some() {
                attributes.push(proto(name, ProtoValue::BoolValue(false)));
            }
        } else if NUMBERS.contains(&name) {
            match batch.attr_i64(span, key) {
                None if optional => {}
                n => attributes.push(proto(name, ProtoValue::IntValue(n.unwrap_or(0)))),
            }
        } else {
            match batch.attr_text(span, key) {
                "" if optional => {}
                s => attributes.push(text(name, s)),
            }
        }
    }
    attributes
}

fn expected_span(batch: &SpanBatch, span: &SpanHead) -> Span {
    let method = batch.attr_text(span, AttrKey::HttpRequestMethod);
    let route = batch.attr_text(span, AttrKey::HttpRoute);
    let blank = if method.is_empty() || route.is_empty() { "" } else { " " };
    let wall = |t: KtimeNs| u64::try_from(i128::from(t.0) + i128::from(batch.clock.0)).unwrap_or(0);
    Span {
        trace_id: span.ctx.trace_id.0.to_vec(),
        span_id: span.ctx.span_id.0.to_vec(),
        parent_span_id: if span.ctx.parent_id.is_none() {
            vec![]
        } else {
            span.ctx.parent_id.0.to_vec()
        },
        name: format!("{method}{blank}{route}"),
        kind: if span.family == SpanFamily::HttpServer { 2 } else { 3 },
        start_time_unix_nano: wall(span.times.request_start).min(wall(span.times.start)),
        end_time_unix_nano: wall(span.times.end),
        attributes: expected_attributes(batch, span),
        status: match span.status {
            SpanStatus::Unset => None,
            SpanStatus::Error => Some(Status { message: String::new(), code: 2 }),
        },
        ..Span::default()
    }
}

fn expected_resource(service: &Service) -> Resource {
    let mut attributes = vec![
        text("service.name", &service.name),
        text("telemetry.sdk.language", "python"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.version", "unknown"),
        text("telemetry.distro.name", "opentelemetry-ebpf-instrumentation"),
        text("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
        text("host.name", "host"),
        text("host.id", "abc"),
        text("os.type", "linux"),
    ];
    if !service.namespace.is_empty() {
        attributes.push(text("service.namespace", &service.namespace));
    }
    attributes.push(text("service.instance.id", &service.instance_id));
    attributes.push(text("team", "a"));
    attributes.push(text("otel.scope.name", "go.opentelemetry.io/obi"));
    Resource { attributes, ..Resource::default() }
}

/// What the request must hold, resources in any order.
fn expected_request(slices: &[Slice]) -> Vec<ResourceSpans> {
    let mut services: Vec<(Arc<Service>, Vec<Span>)> = Vec::new();
    for slice in slices {
        for span in slice.spans() {
            let service = slice.batch.service(span).unwrap();
            if !service.wishes.sampler.is_none_or(|sampler| sampler.samples(&span.ctx)) {
                continue;
            }
            let span = expected_span(&slice.batch, span);
            match services.iter_mut().find(|(known, _)| known == service) {
                Some((_, spans)) => spans.push(span),
                None => services.push((Arc::clone(service), vec![span])),
            }
        }
    }
    let scope = |span| ScopeSpans {
        scope: Some(InstrumentationScope::default()),
        spans: vec![span],
        schema_url: String::new(),
    };
    let resource_spans = |(service, spans): (Arc<Service>, Vec<Span>)| ResourceSpans {
        resource: Some(expected_resource(&service)),
        scope_spans: spans.into_iter().map(scope).collect(),
        schema_url: String::new(),
    };
    services.into_iter().map(resource_spans).collect()
}

fn sorted(mut resources: Vec<ResourceSpans>) -> Vec<ResourceSpans> {
    resources.sort_by_key(|r| r.resource.as_ref().map(|r| format!("{:?}", r.attributes)));
    resources
}

#[test]
fn every_field_of_random_batches_reads_back_with_the_official_types() {
    let mut random = Random(0x5eed);
    let mut encoder = Encoder::default();
    let (mut body, mut spans, mut all) = (Vec::new(), 0, 0);
    for round in 0..1500 {
        let slices: Vec<Slice> = (0..1 + random.below(3))
            .map(|_| {
                let batch = Arc::new(random_batch(&mut random));
                let length = batch.spans.len() as u64;
                let start = random.below(length + 1);
                let end = start + random.below(length - start + 1);
                let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
                Slice { batch, range }
            })
            .collect();
        all += slices.iter().map(|slice| slice.range.len() as u64).sum::<u64>();
        let told = encoder.encode(&slices, &mut body);
        spans += told;
        let read = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let sent: usize = read.resource_spans.iter().map(|of| of.scope_spans.len()).sum();
        assert_eq!(told, sent as u64, "round {round}");
        assert_eq!(sorted(read.resource_spans), sorted(expected_request(&slices)), "round {round}");
    }
    assert!(spans > 1000 && all > spans, "only {spans} of {all} spans were compared");
}

#[test]
fn our_bytes_are_the_canonical_ones_but_for_padded_lengths() {
    let mut random = Random(7);
    let mut body = Vec::new();
    for _ in 0..100 {
        let mut batch = random_batch(&mut random);
        // Times before 1970 become 0, which the official encoder leaves out.
        batch.clock = ClockOffset(1);
        let batch = Arc::new(batch);
        let range = 0..batch.spans.len();
        Encoder::default().encode(&[Slice { batch, range }], &mut body);
        let read = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        // Of ResourceSpans, ScopeSpans and Span: none has less than one byte of the five.
        let scopes: usize = read.resource_spans.iter().map(|of| of.scope_spans.len()).sum();
        let padding = 4 * (read.resource_spans.len() + 2 * scopes);
        assert!((body.len() - padding..=body.len()).contains(&read.encoded_len()));
    }
}

#[test]
fn the_last_value_of_a_resource_attribute_wins_at_its_first_place() {
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    let extra = vec![
        pair("host.id", "x"),
        pair("a", "1"),
        pair("otel.scope.name", "mine"),
        pair("a", "2"),
        pair("service.name", "other"),
    ];
    let mut batch = SpanBatch {
        services: vec![Arc::new(Service { extra, ..service(1) })],
        ..SpanBatch::default()
    };
    add(&mut batch, basket(SpanFamily::HttpServer), &[]);
    let mut body = Vec::new();
    Encoder::default().encode(&[Slice { batch: Arc::new(batch), range: 0..1 }], &mut body);
    let read = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let attributes = &read.resource_spans[0].resource.as_ref().unwrap().attributes;
    assert_eq!(attributes[0], text("service.name", "other"));
    assert_eq!(attributes[7], text("host.id", "x"));
    assert_eq!(attributes[11], text("a", "2"));
    assert_eq!(attributes[12], text("otel.scope.name", "go.opentelemetry.io/obi"));
    assert_eq!(attributes.len(), 13);
}

fn sampling(sampler: Sampler) -> Encoder {
    Encoder::new(sampler, &AttributeSelect::default(), false)
}

#[test]
fn a_service_without_a_sampler_of_its_own_has_the_common_one() {
    let none = Service { wishes: wishes(None), ..service(0) };
    let always = Service { wishes: wishes(Some(Sampler::ALWAYS)), ..service(1) };
    let services = vec![Arc::new(none), Arc::new(always)];
    let mut batch = SpanBatch { services, ..SpanBatch::default() };
    for service in [0, 1, 0] {
        add(&mut batch, SpanHead { service, ..basket(SpanFamily::HttpServer) }, &[]);
    }
    let slices = [Slice { batch: Arc::new(batch), range: 0..3 }];
    let mut body = Vec::new();
    assert_eq!(sampling(Sampler::NEVER).encode(&slices, &mut body), 1);
    let read = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let resource = read.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(resource.attributes[0], text("service.name", "service-1"));
    assert_eq!(sampling(Sampler::ALWAYS).encode(&slices, &mut body), 3);
}

#[test]
fn more_services_than_are_remembered_are_all_encoded() {
    let mut encoder = Encoder::default();
    let mut body = Vec::new();
    for round in 0..3 {
        let services = (0..1500).map(|n| Arc::new(service(round * 1000 + n))).collect();
        let mut batch = SpanBatch { services, ..SpanBatch::default() };
        for n in 0..1500 {
            add(&mut batch, SpanHead { service: n, ..basket(SpanFamily::HttpServer) }, &[]);
        }
        let slices = [Slice { batch: Arc::new(batch), range: 0..1500 }];
        encoder.encode(&slices, &mut body);
        let read = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        assert_eq!(sorted(read.resource_spans), sorted(expected_request(&slices)));
    }
}

#[test]
fn back_off_grows_by_half_within_its_bounds() {
    let config = BackoffConfig {
        initial: Duration::from_secs(4),
        max: Duration::from_secs(8),
        max_elapsed: Duration::MAX,
    };
    let mut backoff = Backoff::new(config);
    for interval in [4, 6, 8, 8] {
        assert_eq!(backoff.interval, Duration::from_secs(interval));
        let wait = backoff.next();
        assert!(wait >= Duration::from_secs(interval) / 2, "{wait:?}");
        assert!(wait <= Duration::from_secs(interval) * 3 / 2, "{wait:?}");
    }
    let tiny = BackoffConfig { max: Duration::from_millis(1), ..config };
    assert_eq!(Backoff::new(tiny).interval, Duration::from_millis(1));
}

#[test]
fn spans_whose_span_metrics_are_made_say_so_on_themselves_and_on_their_resource() {
    let services = vec![Arc::new(service(0))];
    let mut batch = SpanBatch { services, ..SpanBatch::default() };
    add(&mut batch, basket(SpanFamily::HttpServer), &[(AttrKey::UrlPath, Set::Text("/a"))]);
    let slices = [Slice { batch: Arc::new(batch), range: 0..1 }];
    for so in [true, false] {
        let mut body = Vec::new();
        Encoder::new(Sampler::default(), &AttributeSelect::default(), so)
            .encode(&slices, &mut body);
        let read = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let spans = &read.resource_spans[0];
        let of_resource = &spans.resource.as_ref().unwrap().attributes;
        for attributes in [of_resource, &spans.scope_spans[0].spans[0].attributes] {
            let skip = attributes.iter().find(|kv| kv.key == "span.metrics.skip");
            let value = skip.map(|kv| kv.value.clone().unwrap().value.unwrap());
            assert_eq!(value, so.then_some(ProtoValue::BoolValue(true)));
        }
        assert_eq!(of_resource.last().unwrap().key, "otel.scope.name");
    }
}

#[test]
fn spans_and_resources_have_only_the_attributes_that_the_user_wants() {
    let keys = |sections: &[(&str, &[&str], &[&str])]| {
        let patterns = |of: &[&str]| {
            of.iter()
                .map(|name| {
                    let name = comparable(name);
                    Pattern::new(name.clone(), move |other| other == name || name == "*")
                })
                .collect()
        };
        let section = |(key, include, exclude): &(&str, &[&str], &[&str])| {
            let [include, exclude] = [include, exclude].map(|of| patterns(of));
            let name = (*key).to_owned();
            let metrics = Pattern::new(name.clone(), move |other| other == name);
            ((*key).to_owned(), Section { metrics, include, exclude })
        };
        let select = AttributeSelect::new(sections.iter().map(section).collect());
        let mut batch = SpanBatch { services: vec![Arc::new(service(0))], ..SpanBatch::default() };
        let attrs = [(AttrKey::UrlPath, Set::Text("/a")), (AttrKey::UrlQuery, Set::Text("b=c"))];
        add(&mut batch, basket(SpanFamily::HttpServer), &attrs);
        let mut body = Vec::new();
        let slices = [Slice { batch: Arc::new(batch), range: 0..1 }];
        Encoder::new(Sampler::ALWAYS, &select, false).encode(&slices, &mut body);
        let decoded = ExportTraceServiceRequest::decode(&*body).unwrap();
        let resource = &decoded.resource_spans[0];
        let names = |of: &[KeyValue]| of.iter().map(|kv| kv.key.clone()).collect::<Vec<_>>();
        let span = names(&resource.scope_spans[0].spans[0].attributes);
        let resource = names(&resource.resource.as_ref().unwrap().attributes);
        let has = |all: &[String], key: &str| all.iter().any(|name| name == key);
        assert!(has(&span, "url.path") && has(&resource, "otel.scope.name"), "not to be chosen");
        [has(&span, "url.query"), has(&resource, "host.id"), has(&resource, "service.name")]
    };
    assert_eq!(keys(&[]), [true; 3]);
    assert_eq!(keys(&[("traces", &[], &["url.query"])]), [false, true, true]);
    assert_eq!(keys(&[("traces", &["dns.question.name"], &[])]), [false, true, true]);
    assert_eq!(keys(&[("traces", &["url.query"], &[])]), [true; 3]);
    assert_eq!(keys(&[("resource", &[], &["host.id"])]), [true, false, true]);
    assert_eq!(keys(&[("resource", &["host.id"], &[])]), [true, true, false]);
}
