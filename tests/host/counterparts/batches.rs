//! Batches that look random and are the same in every run.

use std::net::Ipv4Addr;
use std::sync::Arc;

use obi::model::attrs::AttrValue;
use obi::model::batch::SpanBatch;
use obi::model::conn::{ConnEnds, Endpoint};
use obi::model::ids::{KtimeNs, SpanId, TraceId};
use obi::model::service::Service;
use obi::model::span::{NotFor, SpanHead, SpanStatus, SpanTimes, TraceCtx};
use obi::model::time::{ClockOffset, ktime_now};
use obi::semconv::{AttrKey, SpanFamily};

/// Texts that formats have to take care with.
const ODD: [&str; 6] =
    ["", "a", "\"quoted\\\" and\nmore", "ü€😀", "\0\u{1f}\u{7f}", "/%2F?x={1}&y=#"];
const ROUTES: [&str; 5] = ["/a", "/b/*", "", "/\"q\"\\\n", "/ü"];
/// Names and addresses of others; one is of an observed service.
const HOSTS: [&str; 5] = ["shop-0", "db", "10.0.0.1", "", "fe80::1"];

/// Numbers that look random and are the same in every run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        // An id is never zero.
        std::array::from_fn(|_| u8::try_from(self.below(255) + 1).unwrap())
    }

    fn text(&mut self) -> String {
        let long = if self.below(8) == 0 { 400 } else { 3 };
        (0..self.below(long)).map(|_| self.pick(&ODD)).collect()
    }
}

/// Three services, two of them instances of the same.
pub(super) fn services() -> Vec<Arc<Service>> {
    let service = |name: &str, namespace: &str, pid: u32| Service {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        instance_id: format!("host:{pid}"),
        language: "go",
        host_name: "host".to_owned(),
        host_id: "h".to_owned(),
        ..Service::default()
    };
    let extra = vec![("team".to_owned(), "a \"b\"".to_owned())];
    let other = Service { extra, ..service("shop-1", "market", 12) };
    let services = [service("shop-0", "", 10), service("shop-1", "market", 11), other];
    services.into_iter().map(Arc::new).collect()
}

/// Batches of up to so many spans each; all of them have all services.
pub(super) fn batches(random: &mut Random, n: usize, spans: u64) -> Vec<Arc<SpanBatch>> {
    (0..n).map(|_| Arc::new(batch(random, spans))).collect()
}

fn batch(random: &mut Random, spans: u64) -> SpanBatch {
    let services = services();
    let mut batch = SpanBatch { services, clock: ClockOffset::now(), ..SpanBatch::default() };
    for _ in 0..random.below(spans) + 1 {
        let family = random.pick(SpanFamily::ALL);
        let attrs = u32::try_from(batch.attrs.len()).unwrap();
        add_attributes(random, &mut batch);
        let attrs = attrs..u32::try_from(batch.attrs.len()).unwrap();
        batch.spans.push(head(random, family, attrs));
    }
    batch
}

fn head(random: &mut Random, family: SpanFamily, attrs: std::ops::Range<u32>) -> SpanHead {
    let magnitude = random.below(32);
    let request_start = ktime_now().0.saturating_sub(1 << 34);
    let waited = random.below(2) * random.below(1000);
    let start = request_start + waited;
    let end = start + random.below(2 << magnitude);
    let end_of =
        |last, port| Endpoint { addr: Ipv4Addr::new(10, 9, 0, last).to_ipv6_mapped(), port };
    SpanHead {
        family,
        times: SpanTimes {
            request_start: KtimeNs(request_start),
            start: KtimeNs(start),
            end: KtimeNs(end),
        },
        ctx: TraceCtx {
            trace_id: TraceId(random.bytes()),
            span_id: SpanId(random.bytes()),
            parent_id: if random.coin() { SpanId::NONE } else { SpanId(random.bytes()) },
            flags: u8::from(random.coin()),
            remote: false,
        },
        ends: ConnEnds { client: end_of(4, 51_234), server: end_of(7, 8080) },
        service: u32::try_from(random.below(3)).unwrap(),
        status: if random.below(4) == 0 { SpanStatus::Error } else { SpanStatus::Unset },
        not_for: NotFor::default(),
        attrs,
        added: 0..0,
    }
}

fn add_attributes(random: &mut Random, batch: &mut SpanBatch) {
    let texts = [
        (AttrKey::HttpRequestMethod, random.pick(&["GET", "POST", "BREW", ""]).to_owned()),
        (AttrKey::HttpRoute, random.pick(&ROUTES).to_owned()),
        (AttrKey::ServerAddress, random.pick(&HOSTS).to_owned()),
        (AttrKey::ClientAddress, random.pick(&HOSTS).to_owned()),
        (AttrKey::UrlPath, random.text()),
        (AttrKey::UrlFull, random.text()),
        (AttrKey::UrlQuery, random.text()),
        (AttrKey::ServicePeerName, random.text()),
    ];
    for (key, text) in texts {
        if random.below(5) > 0 {
            let text = batch.push_text(&text);
            batch.attrs.push((key, AttrValue::Text(text)));
        }
    }
    if random.coin() {
        batch.attrs.push((AttrKey::UrlScheme, AttrValue::Static("http")));
    }
    if random.coin() {
        batch.attrs.push((AttrKey::HttpResponseObserved, AttrValue::Bool(false)));
    }
    let ints = [
        (AttrKey::ServerPort, random.pick(&[80, 8080])),
        (AttrKey::HttpResponseStatusCode, random.pick(&[200, 404, 500])),
        (AttrKey::HttpRequestBodySize, random.pick(&[0, 1, 32, 33, 1 << 13, 1 << 40])),
        (AttrKey::HttpResponseBodySize, i64::try_from(random.below(9000)).unwrap()),
    ];
    for (key, n) in ints {
        if random.below(5) > 0 {
            batch.attrs.push((key, AttrValue::I64(n)));
        }
    }
}

/// How many spans there are.
pub(super) fn count(batches: &[Arc<SpanBatch>]) -> usize {
    batches.iter().map(|batch| batch.spans.len()).sum()
}
