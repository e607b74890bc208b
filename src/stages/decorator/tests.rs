use std::net::Ipv6Addr;

use crossbeam_channel::bounded;

use super::*;
use crate::config::{Comparison, Condition, Unmatched};
use crate::model::attrs::AttrValue;
use crate::model::conn::{ConnEnds, Endpoint};
use crate::model::selector::Pattern;
use crate::model::service::{RoutePatterns, Service, Signals, Wishes};
use crate::model::span::{NotFor, SpanHead, SpanStatus, SpanTimes, TraceCtx, Unwanted};
use crate::semconv::{AttrKey, SpanFamily};

pub(super) fn endpoint(addr: &str, port: u16) -> Endpoint {
    let addr: std::net::IpAddr = addr.parse().unwrap();
    let addr = match addr {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        std::net::IpAddr::V6(v6) => v6,
    };
    Endpoint { addr, port }
}

pub(super) fn add(
    batch: &mut SpanBatch,
    family: SpanFamily,
    ends: ConnEnds,
    service: u32,
    attrs: &[(AttrKey, &str)],
) {
    let start = u32::try_from(batch.attrs.len()).unwrap();
    for (key, text) in attrs {
        let text = batch.push_text(text);
        batch.attrs.push((*key, AttrValue::Text(text)));
    }
    batch.spans.push(SpanHead {
        family,
        times: SpanTimes::default(),
        ctx: TraceCtx::default(),
        ends,
        service,
        status: SpanStatus::Unset,
        not_for: NotFor::default(),
        attrs: start..u32::try_from(batch.attrs.len()).unwrap(),
        added: 0..0,
    });
}

fn batch() -> SpanBatch {
    let service = |name: &str| Arc::new(Service { name: name.into(), ..Service::default() });
    SpanBatch { services: vec![service("basket"), service("web")], ..SpanBatch::default() }
}

fn ends() -> ConnEnds {
    ConnEnds { client: endpoint("10.9.0.4", 51234), server: endpoint("2001:db8::7", 8080) }
}

fn decorate(batch: SpanBatch) -> Arc<SpanBatch> {
    let mut batches = decorate_all(vec![batch]);
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

fn decorate_all(batches: Vec<SpanBatch>) -> Vec<Arc<SpanBatch>> {
    let (tx, rx) = bounded(batches.len());
    let (out_tx, out_rx) = bounded(batches.len());
    batches.into_iter().for_each(|batch| tx.send(batch).unwrap());
    drop(tx);
    let output: Output = Box::new(move |batch| out_tx.send(batch).unwrap());
    let counters = Arc::new(Counters::default());
    Decorator::new(Arc::clone(&counters)).run(&rx, vec![output]);
    let batches: Vec<_> = out_rx.iter().collect();
    let spans: usize = batches.iter().map(|batch| batch.spans.len()).sum();
    let stage = ledger(&counters);
    assert_eq!((stage.in_, stage.out), (spans as u64, spans as u64));
    batches
}

#[track_caller]
fn assert_names(batch: &SpanBatch, span: usize, expected: [&str; 3]) {
    let span = &batch.spans[span];
    let keys = [AttrKey::ServerAddress, AttrKey::ClientAddress, AttrKey::ServicePeerName];
    assert_eq!(keys.map(|key| batch.attr_text(span, key)), expected);
    assert_eq!(batch.attr_i64(span, AttrKey::ServerPort), Some(i64::from(span.ends.server.port)));
}

#[test]
fn a_server_span_is_named_by_its_service_and_the_peer_by_its_address() {
    let mut batch = batch();
    add(&mut batch, SpanFamily::HttpServer, ends(), 0, &[(AttrKey::HttpHost, "shop.example")]);
    let batch = decorate(batch);
    assert_names(&batch, 0, ["basket", "10.9.0.4", ""]);
    assert_eq!(batch.attr_text(&batch.spans[0], AttrKey::HttpHost), "shop.example");
}

#[test]
fn a_client_span_is_named_by_the_host_it_asked_for_else_by_the_address() {
    let mut batch = batch();
    add(&mut batch, SpanFamily::HttpClient, ends(), 1, &[(AttrKey::HttpHost, "shop.example")]);
    add(&mut batch, SpanFamily::HttpClient, ends(), 0, &[(AttrKey::HttpHost, "")]);
    add(&mut batch, SpanFamily::HttpClient, ends(), 0, &[]);
    let batch = decorate(batch);
    assert_names(&batch, 0, ["shop.example", "web", "shop.example"]);
    assert_names(&batch, 1, ["2001:db8::7", "basket", "2001:db8::7"]);
    assert_names(&batch, 2, ["2001:db8::7", "basket", "2001:db8::7"]);
}

#[test]
fn a_server_address_that_is_set_already_is_kept_on_client_spans() {
    let mut batch = batch();
    let path = [(AttrKey::ServerAddress, "/run/app.sock"), (AttrKey::HttpHost, "localhost")];
    add(&mut batch, SpanFamily::HttpClient, ConnEnds::default(), 0, &path);
    let batch = decorate(batch);
    assert_names(&batch, 0, ["/run/app.sock", "basket", "/run/app.sock"]);
}

#[test]
fn the_peer_of_a_unix_socket_has_no_address() {
    let mut batch = batch();
    add(&mut batch, SpanFamily::HttpServer, ConnEnds::default(), 0, &[]);
    let batch = decorate(batch);
    assert_eq!(batch.spans[0].ends.client.addr, Ipv6Addr::UNSPECIFIED);
    assert_names(&batch, 0, ["basket", "", ""]);
}

#[test]
fn spans_of_one_batch_keep_their_own_attributes() {
    let mut batch = batch();
    for path in ["/a", "/b", "/c"] {
        add(&mut batch, SpanFamily::HttpServer, ends(), 0, &[(AttrKey::UrlPath, path)]);
    }
    let batch = decorate(batch);
    let paths: Vec<_> =
        batch.spans.iter().map(|span| batch.attr_text(span, AttrKey::UrlPath)).collect();
    assert_eq!(paths, ["/a", "/b", "/c"]);
    let used: usize = batch.spans.iter().map(|span| batch.attrs_of(span).count()).sum();
    assert_eq!(used, batch.attrs.len(), "no attribute lies between the ranges");
    assert_eq!(used, 3 * 4);
}

#[test]
fn batches_do_not_borrow_names_from_each_other() {
    let batch = |name: &str| {
        let service = Arc::new(Service { name: name.into(), ..Service::default() });
        let mut batch = SpanBatch { services: vec![service], ..SpanBatch::default() };
        add(&mut batch, SpanFamily::HttpServer, ends(), 0, &[]);
        batch
    };
    let batches = decorate_all(vec![batch("first"), batch("second")]);
    assert_names(&batches[0], 0, ["first", "10.9.0.4", ""]);
    assert_names(&batches[1], 0, ["second", "10.9.0.4", ""]);
}

/// A client's call of `path` that was answered with `status`.
fn call(batch: &mut SpanBatch, service: u32, path: &str, status: i64) {
    add(batch, SpanFamily::HttpClient, ends(), service, &[(AttrKey::UrlPath, path)]);
    batch.attrs.push((AttrKey::HttpResponseStatusCode, AttrValue::I64(status)));
    let end = u32::try_from(batch.attrs.len()).unwrap();
    batch.spans.last_mut().unwrap().attrs.end = end;
}

#[test]
fn spans_of_a_process_that_exports_traces_by_itself_are_not_for_traces_from_then_on() {
    let mut decorator = Decorator::new(Arc::new(Counters::default())).without_own_exporters(true);
    let services = batch().services;
    let mut traced = |calls: &[(u32, &str, i64)]| -> Vec<String> {
        let mut batch = SpanBatch { services: services.clone(), ..SpanBatch::default() };
        calls.iter().for_each(|(service, path, status)| call(&mut batch, *service, path, *status));
        let done = decorator.complete(batch);
        assert!(done.spans.iter().all(|span| span.not_for.metrics.is_none()));
        let path = |span| done.attr_text(span, AttrKey::UrlPath).to_owned();
        done.spans.iter().filter(|span| span.not_for.traces.is_none()).map(path).collect()
    };
    let not_exports = [(0, "/v1/traces", 503), (0, "/v1/traces/x", 200), (1, "/v1/metrics", 200)];
    assert_eq!(traced(&not_exports), ["/v1/traces", "/v1/traces/x", "/v1/metrics"]);
    assert_eq!(traced(&[(0, "/a", 200), (0, "/otlp/v1/traces", 202), (1, "/b", 200)]), ["/b"]);
    assert_eq!(traced(&[(0, "/c", 200), (1, "/d", 200)]), ["/d"]);
    assert_eq!(
        services.iter().map(|s| (s.exports.traces(), s.exports.metrics())).collect::<Vec<_>>(),
        [(true, false), (false, true)]
    );
}

#[test]
fn unless_that_is_switched_off() {
    let mut decorator = Decorator::new(Arc::new(Counters::default())).without_own_exporters(false);
    let mut batch = batch();
    call(&mut batch, 0, "/v1/traces", 200);
    assert_eq!(decorator.complete(batch).spans[0].not_for, NotFor::default());
}

fn routes(change: impl FnOnce(&mut RoutesConfig)) -> RoutesConfig {
    let mut config = RoutesConfig {
        wildcard: "*".to_owned(),
        segments_max: 10,
        ignore_traces: true,
        ignore_metrics: true,
        ..RoutesConfig::default()
    };
    change(&mut config);
    config
}

/// The spans of calls of these paths, decorated.
fn routed(config: RoutesConfig, paths: &[&str]) -> Arc<SpanBatch> {
    let mut batch = batch();
    paths.iter().for_each(|path| call(&mut batch, 0, path, 200));
    Decorator::new(Arc::new(Counters::default())).with_routes(Some(config)).complete(batch)
}

fn route_of(batch: &SpanBatch, n: usize) -> &str {
    batch.attr_text(&batch.spans[n], AttrKey::HttpRoute)
}

#[test]
fn a_path_becomes_the_route_of_the_first_rule_that_says_one() {
    let patterns = || vec!["/user/:id".to_owned()];
    for (unmatched, expected) in [
        (Unmatched::Heuristic, "/item/*"),
        (Unmatched::LowCardinality, "/item/*"),
        (Unmatched::Path, "/item/17"),
        (Unmatched::Wildcard, "/**"),
        (Unmatched::Unset, ""),
    ] {
        let config = routes(|c| (c.patterns, c.unmatched) = (patterns(), unmatched));
        let done = routed(config, &["/user/5", "/item/17"]);
        assert_eq!((route_of(&done, 0), route_of(&done, 1)), ("/user/:id", expected));
    }
    let mut known = batch();
    call(&mut known, 0, "/user/5", 200);
    known.attrs.push((AttrKey::HttpRoute, AttrValue::Static("/mux/{id}")));
    known.spans[0].attrs.end += 1;
    let config = routes(|c| c.patterns = patterns());
    let mut decorator = Decorator::new(Arc::new(Counters::default())).with_routes(Some(config));
    assert_eq!(route_of(&decorator.complete(known), 0), "/mux/{id}");
}

#[test]
fn low_cardinality_keeps_the_routes_of_each_service_apart() {
    let words = ["ant", "bee", "cat", "dog"];
    let config = routes(|c| (c.unmatched, c.segments_max) = (Unmatched::LowCardinality, 3));
    let mut batch = batch();
    for (n, service) in [(0, 0), (1, 0), (2, 0), (3, 1), (3, 0), (0, 0)] {
        call(&mut batch, service, &format!("/{}", words[n]), 200);
    }
    let mut decorator = Decorator::new(Arc::new(Counters::default())).with_routes(Some(config));
    let done = decorator.complete(batch);
    let found: Vec<_> = (0..6).map(|n| route_of(&done, n)).collect();
    assert_eq!(found, ["/ant", "/bee", "/cat", "/dog", "/*", "/*"]);
}

#[test]
fn an_ignored_path_is_not_for_the_signals_that_are_named() {
    for (traces, metrics) in [(true, true), (true, false), (false, true)] {
        let config = routes(|c| {
            c.ignored = vec!["/health/*".to_owned()];
            (c.ignore_traces, c.ignore_metrics) = (traces, metrics);
        });
        let done = routed(config, &["/health/live", "/shop"]);
        let marked = |path| {
            let is = |span: &&SpanHead| done.attr_text(span, AttrKey::UrlPath) == path;
            let not_for = done.spans.iter().find(is).unwrap().not_for;
            (not_for.traces.is_some(), not_for.metrics.is_some())
        };
        assert_eq!((marked("/health/live"), marked("/shop")), ((traces, metrics), (false, false)));
    }
}

#[test]
fn a_span_that_a_filter_does_not_keep_is_left_out_and_counted() {
    let pattern =
        |prefix: &'static str| Pattern::new(prefix.into(), move |t| t.starts_with(prefix));
    let keep = |rules: Vec<(&str, Condition)>| -> Vec<String> {
        let counters = Arc::new(Counters::default());
        let rules = rules.into_iter().map(|(name, rule)| (name.to_owned(), rule)).collect();
        let mut decorator = Decorator::new(Arc::clone(&counters)).with_filter(rules);
        let mut batch = batch();
        call(&mut batch, 0, "/health", 200);
        call(&mut batch, 1, "/shop", 404);
        let done = decorator.complete(batch);
        let account = ledger(&counters);
        assert_eq!(
            (account.in_, account.out + account.dropped()),
            (2, 2 - done.spans.len() as u64)
        );
        done.spans.iter().map(|span| done.attr_text(span, AttrKey::UrlPath).to_owned()).collect()
    };
    let none: Vec<String> = Vec::new();
    let differs = || ("url.path", Condition::Differs(pattern("/health")));
    assert_eq!(keep(vec![differs()]), ["/shop"]);
    assert_eq!(keep(vec![("url.path", Condition::Matches(pattern("/health")))]), ["/health"]);
    let number = |comparison, n| Condition::Numbers(vec![(comparison, n)]);
    let status = "http.response.status.code";
    assert_eq!(keep(vec![(status, number(Comparison::GreaterEquals, 400))]), ["/shop"]);
    assert_eq!(keep(vec![(status, number(Comparison::Less, 400)), differs()]), none);
    assert_eq!(keep(vec![("url.path", number(Comparison::Equals, 1))]), none, "no number");
    assert_eq!(keep(vec![("span.kind", Condition::Matches(pattern("SPAN_KIND_SERVER")))]), none);
    let second = batch().services[1].name.clone();
    let by_service = Condition::Matches(Pattern::new(second.clone(), move |t| t == second));
    assert_eq!(keep(vec![("service.name", by_service)]), ["/shop"]);
}

/// A batch of calls, of the first service without wishes and of the second with these.
fn with_wishes(wishes: Wishes, family: SpanFamily) -> SpanBatch {
    let mut batch = batch();
    let service = Service { wishes, ..(*batch.services[1]).clone() };
    batch.services[1] = Arc::new(service);
    for service in [0, 1] {
        call(&mut batch, service, "/item/17", 200);
    }
    batch.spans.iter_mut().for_each(|span| span.family = family);
    batch
}

#[test]
fn a_service_has_only_the_signals_that_its_selector_exports() {
    for (traces, metrics) in [(true, false), (false, true), (true, true)] {
        let signals = Some(Signals { traces, metrics });
        let wishes = Wishes { signals, ..Wishes::default() };
        let done = decorate(with_wishes(wishes, SpanFamily::HttpServer));
        let of = |service| done.spans.iter().find(|span| span.service == service).unwrap();
        assert_eq!(of(0).not_for, NotFor::default());
        let why = |wanted: bool| (!wanted).then_some(Unwanted::NotExported);
        let expected = NotFor { traces: why(traces), metrics: why(metrics) };
        assert_eq!(of(1).not_for, expected);
    }
}

#[test]
fn the_patterns_of_a_selector_are_for_its_services_and_come_behind_the_common_ones() {
    let patterns = RoutePatterns {
        incoming: vec!["/item/:in".to_owned()],
        outgoing: vec!["/item/:out".to_owned()],
    };
    let wishes = Wishes { routes: Some(Arc::new(patterns)), ..Wishes::default() };
    let routes_of = |family, config| {
        let mut decorator = Decorator::new(Arc::new(Counters::default())).with_routes(Some(config));
        let done = decorator.complete(with_wishes(wishes.clone(), family));
        [0, 1].map(|n| route_of(&done, n).to_owned())
    };
    let (server, client) = (SpanFamily::HttpServer, SpanFamily::HttpClient);
    assert_eq!(routes_of(server, routes(|_| {})), ["/item/*", "/item/:in"]);
    assert_eq!(routes_of(client, routes(|_| {})), ["/item/*", "/item/:out"]);
    let common = || routes(|config| config.patterns = vec!["/item/:all".to_owned()]);
    assert_eq!(routes_of(server, common()), ["/item/:all", "/item/:all"]);
}
