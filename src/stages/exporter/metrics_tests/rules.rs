//! What the aggregator decides: limits, times, who sees what.

use super::*;

/// A batch of one span of each of `attrs`.
fn batch_of(family: SpanFamily, attrs: &[&[(AttrKey, Set<'_>)]]) -> SpanBatch {
    let mut batch = SpanBatch { services: services(), ..SpanBatch::default() };
    attrs.iter().for_each(|attrs| add(&mut batch, basket(family), attrs));
    batch
}

fn route(route: &str) -> [(AttrKey, Set<'_>); 2] {
    [(AttrKey::HttpRoute, Set::Text(route)), (AttrKey::HttpRequestMethod, Set::Static("GET"))]
}

fn both(config: &MetricsConfig) -> Both {
    let output = output();
    Both::new(config, [&output, &output])
}

/// The values of a sample by one of its labels.
fn by_label(all: &BTreeMap<String, String>, sample: &str, label: &str) -> BTreeMap<String, String> {
    let of = all.iter().filter(|(series, _)| series.split('{').next() == Some(sample));
    let value = |series: &str| {
        let rest = series.split_once(&format!("{label}=\"")).map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split('"').next()).unwrap_or("absent").to_owned()
    };
    of.map(|(series, n)| (value(series), n.clone())).collect()
}

const COUNT: &str = "http_server_request_duration_seconds_count";

#[test]
fn what_is_beyond_the_limit_is_one_series_more_of_its_service() {
    let config = MetricsConfig { series_max: 2, ..config(&[Feature::Application]) };
    let mut both = both(&config);
    let routes = ["/a", "/b", "/c", "/d", "/a", "/c"].map(route);
    both.record(batch_of(SpanFamily::HttpServer, &routes.each_ref().map(|r| &r[..])));
    let scraped = both.scraped();
    let counts = by_label(&scraped, COUNT, "http_route");
    let expected = [("/a", "2"), ("/b", "1"), ("", "3")].map(|(r, n)| (r.to_owned(), n.to_owned()));
    assert_eq!(counts, BTreeMap::from(expected));
    let overflow = by_label(&scraped, COUNT, "otel_metric_overflow");
    assert_eq!(overflow["true"], "3");
    assert_eq!(by_label(&scraped, COUNT, "service_name").len(), 1);
    assert_eq!(both.shared.lock().take_overflowed(), 3);
    let sent = both.sent();
    assert_eq!(by_label(&sent, COUNT, "otel_metric_overflow")["true"], "3");
    // Another service has a limit of its own.
    let mut other = batch_of(SpanFamily::HttpServer, &[&route("/z")]);
    other.spans[0].service = 1;
    both.record(other);
    assert_eq!(by_label(&both.scraped(), COUNT, "http_route")["/z"], "1");
}

#[test]
fn a_series_without_news_goes_and_begins_anew() {
    let both = both(&config(&[Feature::Application]));
    let at = |seconds: u64| KtimeNs(seconds * 1_000_000_000);
    let record = |now| {
        let batch = Arc::new(batch_of(SpanFamily::HttpServer, &[&route("/a")]));
        both.shared.lock().record(&Slice { batch, range: 0..1 }, now);
    };
    let series = |slot| {
        let store = both.shared.lock();
        let (series, _) = store.table(0).unwrap().read(slot)?;
        Some((series.started_unix_ns, series.generation))
    };
    record(at(10));
    record(at(200));
    both.shared.lock().purge(at(500));
    assert_eq!(series(0), Some((at(10).0, 0)));
    both.shared.lock().purge(at(501));
    assert_eq!(series(0), None);
    assert!(
        both.shared.lock().services().get(0).is_none(),
        "a service without series is forgotten"
    );
    record(at(600));
    assert_eq!(series(0), Some((at(600).0, 1)));
}

#[test]
fn a_time_of_zero_keeps_series_for_ever() {
    let output = MetricsOutput { ttl: Duration::ZERO, ..output() };
    let both = Both::new(&config(&[Feature::Application]), [&output, &output]);
    both.record(batch_of(SpanFamily::HttpServer, &[&route("/a")]));
    both.shared.lock().purge(KtimeNs(u64::MAX));
    assert!(both.shared.lock().table(0).unwrap().read(0).is_some());
}

#[test]
fn beyond_the_limit_of_span_names_all_names_of_the_service_are_one() {
    let config = MetricsConfig { span_names_max: 2, ..config(&[Feature::SpanOtel]) };
    let limited = both(&config);
    let routes = ["/a", "/b", "/c", "/a"].map(route);
    limited.record(batch_of(SpanFamily::HttpServer, &routes.each_ref().map(|r| &r[..])));
    let names = by_label(&limited.scraped(), "traces_span_metrics_calls_total", "span_name");
    let expected = [("GET /a", "1"), ("GET /b", "1"), ("AGGREGATED", "2")];
    assert_eq!(names, expected.map(|(name, n)| (name.to_owned(), n.to_owned())).into());
    let no_limit = MetricsConfig { span_names_max: 0, ..config };
    let unlimited = both(&no_limit);
    unlimited.record(batch_of(SpanFamily::HttpServer, &routes.each_ref().map(|r| &r[..])));
    let names = by_label(&unlimited.scraped(), "traces_span_metrics_calls_total", "span_name");
    assert_eq!(names["GET /a"], "2");
}

#[test]
fn only_what_came_since_the_last_request_that_was_taken_is_sent_where_that_is_wanted() {
    let config = config(&[Feature::Application]);
    for aggregation in
        [Aggregation::Explicit, Aggregation::Exponential { max_size: 20, max_scale: 20 }]
    {
        let histograms = Histograms { aggregation, ..output().histograms };
        let output = MetricsOutput { histograms, ..output() };
        let mut both = Both::new(&config, [&output, &output]);
        both.otlp = both.otlp.delta();
        let mut counts = Vec::new();
        for (spans, taken) in [(3, true), (2, false), (4, true), (0, true), (1, true)] {
            let route = route("/a");
            both.record(batch_of(SpanFamily::HttpServer, &vec![&route[..]; spans]));
            both.otlp.collect();
            let mut request = Vec::new();
            let mut count = 0;
            while both.otlp.next(&mut request) > 0 {
                count += durations(&request);
                if taken {
                    both.otlp.taken();
                }
            }
            counts.push(count);
        }
        assert_eq!(counts, [3, 2, 6, 0, 1], "{aggregation:?}");
    }
}

#[test]
fn the_period_of_a_difference_begins_where_the_last_one_ended_that_had_news() {
    let mut both = Both::new(&config(&[Feature::Application]), [&output(), &output()]);
    both.otlp = both.otlp.delta();
    let mut periods = Vec::new();
    for spans in [1, 0, 1] {
        let route = route("/a");
        both.record(batch_of(SpanFamily::HttpServer, &vec![&route[..]; spans]));
        both.otlp.collect();
        let mut request = Vec::new();
        while both.otlp.next(&mut request) > 0 {
            let decoded = ExportMetricsServiceRequest::decode(&*request).unwrap();
            let scopes = decoded.resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
            for metric in scopes.flat_map(|scope| scope.metrics) {
                if metric.name == "http.server.request.duration"
                    && let Some(Data::Histogram(of)) = metric.data
                {
                    let point = &of.data_points[0];
                    periods.push((point.start_time_unix_nano, point.time_unix_nano));
                }
            }
            both.otlp.taken();
        }
    }
    assert_eq!(periods.len(), 2);
    assert_eq!(periods[1].0, periods[0].1);
}

/// The number of values of the server's durations in a request that holds differences.
fn durations(request: &[u8]) -> u64 {
    let decoded = ExportMetricsServiceRequest::decode(request).unwrap();
    let scopes = decoded.resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
    let metrics = scopes.flat_map(|scope| scope.metrics);
    let count = |metric: Metric| match metric.data.unwrap() {
        Data::Histogram(h) => {
            assert_eq!(h.aggregation_temporality, 1);
            let points = h.data_points.iter();
            points.map(|p| p.bucket_counts.iter().sum::<u64>()).sum::<u64>()
        }
        Data::ExponentialHistogram(h) => {
            assert_eq!(h.aggregation_temporality, 1);
            let buckets =
                |p: &opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint| {
                    let of_values = p.positive.as_ref().unwrap().bucket_counts.iter().sum::<u64>();
                    assert_eq!(p.count, p.zero_count + of_values);
                    p.count
                };
            h.data_points.iter().map(buckets).sum()
        }
        other => panic!("{other:?}"),
    };
    metrics.filter(|m| m.name == "http.server.request.duration").map(count).sum()
}

#[test]
fn ways_out_that_want_the_same_series_share_them_whatever_their_histograms_are() {
    let config = config(&FEATURES);
    let plain = output();
    let exponential = MetricsOutput {
        histograms: Histograms {
            aggregation: Aggregation::Exponential { max_size: 160, max_scale: 20 },
            ..output().histograms
        },
        ..output()
    };
    let tables = |otlp: &MetricsOutput| {
        let mut plan = Plan::default();
        plan.add(Way::Prometheus, &config, &plain);
        plan.add(Way::Otlp, &config, otlp);
        let instruments = plan.specs.iter().map(|spec| spec.instruments.len()).sum::<usize>();
        (plan.specs.len(), instruments)
    };
    // Two of HTTP, one of spans, one of sizes; the graph's are not the same series.
    assert_eq!(tables(&plain), (6, 3 + 3 + 2 + 2 + 4 + 4));
    assert_eq!(tables(&exponential), (6, 6 + 6 + 3 + 2 + 4 + 4));
}

#[test]
fn prometheus_has_one_series_for_services_that_its_labels_do_not_tell_apart() {
    let mut config = config(&[Feature::Application]);
    config.select = select("http_server_request_duration", &["http_route"]);
    let mut both = both(&config);
    let mut batch = batch_of(SpanFamily::HttpServer, &[&route("/a"), &route("/a"), &route("/b")]);
    batch.spans[1].service = 3;
    both.record(batch);
    let scraped = both.scraped();
    assert_eq!(scraped[&format!("{COUNT}{{http_route=\"/a\"}}")], "2");
    assert_eq!(scraped[&format!("{COUNT}{{http_route=\"/b\"}}")], "1");
    // Over OTLP, each has a resource of its own.
    let sent = both.sent();
    assert_eq!(sent.keys().filter(|s| s.starts_with(COUNT) && s.contains("/a")).count(), 2);
}

fn select(metric: &str, include: &[&str]) -> AttributeSelect {
    let pattern = |text: String| Pattern::new(text.clone(), move |name| name == text);
    let include = include.iter().map(|name| pattern(comparable(name))).collect();
    let section = Section { metrics: pattern(canonical(metric)), include, exclude: Vec::new() };
    AttributeSelect::new(vec![(metric.to_owned(), section)])
}

#[test]
fn the_graph_has_an_edge_for_each_call_seen_by_who_answers_or_by_nobody_else() {
    let mut both = both(&config(&[Feature::ServiceGraph]));
    both.shared.lock().track(["service-1".to_owned()].into());
    let server = [(AttrKey::ClientAddress, Set::Text("web"))];
    let to = |name: &'static str| [(AttrKey::ServerAddress, Set::Text(name))];
    both.record(batch_of(SpanFamily::HttpServer, &[&server]));
    let (tracked, other, nobody) = (to("service-1"), to("api.example.com"), to("10.0.0.9"));
    let mut calls = batch_of(SpanFamily::HttpClient, &[&tracked, &other, &nobody]);
    calls.spans[1].status = SpanStatus::Error;
    both.record(calls);
    let mut itself = batch_of(SpanFamily::HttpClient, &[&other]);
    itself.spans[0].ends.client.addr = itself.spans[0].ends.server.addr;
    both.record(itself);
    for all in [both.scraped(), both.sent()] {
        let of = |sample: &str, label: &str| by_label(&all, sample, label);
        let map = |of: &[(&str, &str)]| -> BTreeMap<String, String> {
            of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let total = "traces_service_graph_request_total";
        assert_eq!(of(total, "server"), map(&[("service-0", "1"), ("api.example.com", "1")]));
        assert_eq!(of(total, "connection_type"), map(&[("", "1"), ("virtual_node", "1")]));
        let client = "traces_service_graph_request_client_seconds_count";
        let clients = [("service-1", "1"), ("api.example.com", "1"), ("outgoing", "1")];
        assert_eq!(of(client, "server"), map(&clients));
        let server = "traces_service_graph_request_server_seconds_count";
        assert_eq!(of(server, "client"), map(&[("web", "1")]));
        let failed = "traces_service_graph_request_failed_total";
        assert_eq!(of(failed, "server"), map(&[("api.example.com", "1")]));
    }
}

#[test]
fn the_graph_knows_sides_by_the_names_and_namespaces_that_spans_have() {
    let mut both = both(&config(&[Feature::ServiceGraph]));
    let namespace = (AttrKey::PeerNamespace, Set::Text("bank"));
    let served = [
        (AttrKey::ServerAddress, Set::Text("own.example")),
        (AttrKey::ClientAddress, Set::Text("web.example")),
        namespace,
    ];
    let calls = [
        (AttrKey::ClientAddress, Set::Text("own.example")),
        (AttrKey::ServerAddress, Set::Text("pay.bank.svc.cluster.local")),
        (AttrKey::ServicePeerName, Set::Text("pay.bank")),
        (AttrKey::PeerName, Set::Text("pay")),
        namespace,
    ];
    both.record(batch_of(SpanFamily::HttpServer, &[&served]));
    // Between the same addresses, and to another namespace.
    let mut calls = batch_of(SpanFamily::HttpClient, &[&calls]);
    calls.spans[0].ends.client.addr = calls.spans[0].ends.server.addr;
    both.record(calls);
    let edges = |sample: &str, all: &BTreeMap<String, String>| {
        let labels = ["client", "client_service_namespace", "server", "server_service_namespace"];
        labels.map(|label| {
            let values = by_label(all, sample, label);
            values.into_keys().collect::<Vec<_>>().join(" ")
        })
    };
    let own = services()[0].namespace.clone();
    for all in [both.scraped(), both.sent()] {
        let server = edges("traces_service_graph_request_server_seconds_count", &all);
        assert_eq!(server, ["web.example", "bank", "own.example", &own]);
        let client = edges("traces_service_graph_request_client_seconds_count", &all);
        assert_eq!(client, ["own.example", &own, "pay", "bank"]);
    }
}

#[test]
fn a_process_that_exports_its_own_metrics_has_no_second_ones_of_its_requests() {
    let both = both(&config(&[Feature::Application, Feature::SpanOtel]));
    let batch = batch_of(SpanFamily::HttpServer, &[&route("/a")]);
    assert!(batch.services[0].exports.saw_metrics());
    both.record(batch);
    let scraped = both.scraped();
    assert_eq!(total(&scraped, COUNT), 0.0);
    assert_eq!(total(&scraped, "traces_span_metrics_calls_total"), 1.0);
}

#[test]
fn labels_are_escaped_and_open_metrics_has_its_own_form() {
    let both = both(&config(&[Feature::Application, Feature::SpanOtel]));
    both.record(batch_of(SpanFamily::HttpServer, &[&route("/a\"b\\c\nd")]));
    assert!(both.text(Format::Text).contains("http_route=\"/a\\\"b\\\\c\\nd\""));
    let open = both.text(Format::OpenMetrics);
    assert!(open.ends_with("\n# EOF\n"));
    assert!(open.contains("# TYPE traces_span_metrics_calls counter\n"), "{open}");
    assert!(open.contains("\ntraces_span_metrics_calls_total{"));
    assert!(open.contains(",le=\"0.0\"} 0\n") && open.contains(",le=\"10.0\"} 1\n"));
    assert!(!both.text(Format::Text).contains("EOF"));
}

#[test]
fn values_of_sampled_traces_have_exemplars_that_name_their_span() {
    let mut both = both(&config(&[Feature::Application]));
    let mut batch = batch_of(SpanFamily::HttpServer, &[&route("/a"), &route("/b")]);
    batch.spans[1].ctx.flags = 0;
    both.record(batch);
    let open = both.text(Format::OpenMetrics);
    let shown: Vec<&str> = open.lines().filter(|line| line.contains(" # {")).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
    let expected =
        "# {traceID=\"0af1c2d3e4f5061728394a5b6c7d8e9f\",spanID=\"1122334455667788\"} 0.0125 ";
    assert!(shown[0].contains(expected) && shown[0].contains("le=\"0.025\"} 1 #"), "{shown:?}");
    assert!(!both.text(Format::Text).contains("traceID"));

    let mut sent = |times: usize| {
        let mut found = Vec::new();
        for _ in 0..times {
            both.otlp.collect();
            let mut request = Vec::new();
            while both.otlp.next(&mut request) > 0 {
                let decoded = ExportMetricsServiceRequest::decode(&*request).unwrap();
                let scopes = decoded.resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
                for metric in scopes.flat_map(|scope| scope.metrics) {
                    let Some(Data::Histogram(histogram)) = metric.data else { continue };
                    found.extend(histogram.data_points.into_iter().flat_map(|p| p.exemplars));
                }
            }
        }
        found
    };
    let exemplars = sent(2);
    assert_eq!(exemplars.len(), 1, "each is sent once: {exemplars:?}");
    let ids = [exemplars[0].trace_id.as_slice(), exemplars[0].span_id.as_slice()];
    assert_eq!(
        ids,
        [
            &basket(SpanFamily::HttpServer).ctx.trace_id.0[..],
            &[0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]
        ]
    );
    let value = opentelemetry_proto::tonic::metrics::v1::exemplar::Value::AsDouble(0.0125);
    assert_eq!(exemplars[0].value, Some(value));
}

/// Between the collection and the request, another series may take the place of one that is to be sent.
#[test]
fn a_series_that_took_the_place_of_another_is_not_sent_for_it() {
    let mut both = both(&config(&[Feature::Application]));
    let record = |both: &Both, service, at| {
        let mut batch = batch_of(SpanFamily::HttpServer, &[&route("/a")]);
        batch.spans[0].service = service;
        let slice = Slice { batch: Arc::new(batch), range: 0..1 };
        both.shared.lock().record(&slice, KtimeNs(at));
    };
    let now = ktime_now().0;
    record(&both, 0, now);
    both.otlp.collect();
    both.shared.lock().purge(KtimeNs(now + 301_000_000_000));
    record(&both, 3, now + 301_000_000_000);
    assert_eq!(both.otlp.next(&mut Vec::new()), 0);
    both.otlp.collect();
    assert_eq!(both.otlp.next(&mut Vec::new()), 1);
}

#[test]
fn a_service_with_many_series_goes_in_several_requests_that_a_receiver_takes() {
    let mut both = both(&config(&[Feature::Application]));
    for first in (0..2000).step_by(100) {
        let routes: Vec<String> = (first..first + 100).map(|n| format!("/route/{n}")).collect();
        let attrs: Vec<_> = routes.iter().map(|text| route(text)).collect();
        let attrs: Vec<_> = attrs.iter().map(|attrs| &attrs[..]).collect();
        both.record(batch_of(SpanFamily::HttpServer, &attrs));
    }
    both.otlp.collect();
    let (mut request, mut requests, mut points) = (Vec::new(), 0, 0);
    while let n @ 1.. = both.otlp.next(&mut request) {
        assert!(request.len() < 3 << 20, "{}", request.len());
        (requests, points) = (requests + 1, points + n);
    }
    assert!(requests > 1);
    assert_eq!(points, 2000);
}

#[test]
fn a_series_keeps_its_start_and_a_clock_that_is_set_back_puts_no_end_before_it() {
    let mut both = both(&config(&[Feature::Application]));
    let times = |both: &mut Both| {
        both.otlp.collect();
        let mut request = Vec::new();
        both.otlp.next(&mut request);
        let decoded = ExportMetricsServiceRequest::decode(&*request).unwrap();
        let metric = decoded.resource_metrics[0].scope_metrics[0].metrics[0].clone();
        let Some(Data::Histogram(histogram)) = metric.data else { panic!("{metric:?}") };
        let point = &histogram.data_points[0];
        (point.start_time_unix_nano, point.time_unix_nano)
    };
    let with_clock = |offset| {
        let clock = crate::model::time::ClockOffset(offset);
        SpanBatch { clock, ..batch_of(SpanFamily::HttpServer, &[&route("/a")]) }
    };
    let ahead = 4_000_000_000_000_000_000;
    both.record(with_clock(ahead));
    let first = times(&mut both);
    both.record(with_clock(0));
    let second = times(&mut both);
    assert_eq!(first.0, second.0);
    assert!(first.0 <= first.1 && second.0 <= second.1);
}

#[test]
fn a_service_has_the_families_that_its_selector_says_and_others_have_the_common_ones() {
    let config = MetricsConfig {
        features_of_some: vec![Feature::SpanOtel],
        ..config(&[Feature::Application])
    };
    let mut both = both(&config);
    let wishes =
        |features: &[Feature]| Wishes { features: Some(features.into()), ..Wishes::default() };
    let mut batch = SpanBatch { services: services(), ..SpanBatch::default() };
    let others = [wishes(&[Feature::SpanOtel]), wishes(&[])];
    for (n, wishes) in [2, 3].into_iter().zip(others) {
        batch.services[n] = Arc::new(Service { wishes, ..(*batch.services[n]).clone() });
    }
    for service in 0..4 {
        add(&mut batch, SpanHead { service, ..basket(SpanFamily::HttpServer) }, &route("/a"));
    }
    both.living = Living::default();
    for (n, service) in (0..).zip(&batch.services) {
        both.living.set(Tgid(n), Some(Arc::clone(service)));
    }
    both.record(batch);
    let of = |all: &BTreeMap<String, String>, sample: &str| -> Vec<String> {
        by_label(all, sample, "instance").into_keys().collect()
    };
    let (scraped, sent) = (both.scraped(), both.sent());
    for all in [&scraped, &sent] {
        assert_eq!(of(all, COUNT), ["host:0", "host:1"]);
        assert_eq!(of(all, "traces_span_metrics_calls_total"), ["host:2"]);
    }
    assert_eq!(of(&scraped, "target_info"), ["host:0", "host:1", "host:2"]);
    assert_eq!(of(&scraped, "traces_target_info"), ["host:2"]);
}

#[test]
fn span_metrics_have_resource_attributes_where_the_user_wants_that() {
    let extra = |keys: &[&str]| MetricsOutput {
        extra_of_spans: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..output()
    };
    let sent = extra(&["team", "service.name", "absent"]);
    let fetched = extra(&["team", "deployment.environment", "service_name", "absent"]);
    let features = [Feature::Application, Feature::SpanOtel];
    let mut both = Both::new(&config(&features), [&sent, &fetched]);
    let said = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let of = [("team", "shop"), ("deployment.environment", "test"), ("service.name", "other")];
    let service =
        Service { name: "basket".to_owned(), extra: of.map(said).to_vec(), ..Service::default() };
    let mut batch = SpanBatch { services: vec![Arc::new(service)], ..SpanBatch::default() };
    add(&mut batch, basket(SpanFamily::HttpServer), &[]);
    both.record(batch);
    let calls = |all: &BTreeMap<String, String>| -> String {
        let of = all.keys().find(|series| series.starts_with("traces_span_metrics_calls_total"));
        of.unwrap().clone()
    };
    let (scraped, sent) = (both.scraped(), both.sent());
    let (fetched, pushed) = (calls(&scraped), calls(&sent));
    for has in [
        "team=\"shop\"",
        "deployment_environment=\"test\"",
        "service_name=\"basket\"",
        "absent=\"\"",
    ] {
        assert_eq!(fetched.matches(has).count(), 1, "{has}: {fetched}");
    }
    assert!(pushed.contains("team=\"shop\"") && !pushed.contains("deployment"), "{pushed}");
    assert!(!pushed.contains("absent"), "over OTLP what is not there is not said: {pushed}");
    let durations = scraped.keys().find(|series| series.starts_with(COUNT)).unwrap();
    assert!(!durations.contains("team"), "{durations}");
}

#[test]
fn resource_attributes_are_labels_of_target_info_where_the_user_wants_that() {
    let extra = vec!["deployment.environment".to_owned(), "team".to_owned(), "host.id".to_owned()];
    let output = MetricsOutput { extra_resource: extra, ..output() };
    let both = Both::new(&config(&[Feature::Application]), [&output, &output]);
    let of = vec![("deployment.environment".to_owned(), "test".to_owned())];
    let service = Service { extra: of, host_id: "h".to_owned(), ..Service::default() };
    both.living.set(Tgid(1), Some(Arc::new(service)));
    let scraped = both.scraped();
    let label = |name| by_label(&scraped, "target_info", name).into_keys().collect::<Vec<_>>();
    assert_eq!(label("deployment_environment"), ["test"]);
    assert_eq!(label("team"), [""], "the set of labels is fixed");
    let text = scraped.keys().find(|series| series.starts_with("target_info")).unwrap();
    assert_eq!(text.matches("host_id=").count(), 1);
}
