use super::*;
use crate::config::{
    Aggregation, Comparison, Compression, Condition, ExemplarFilter, InternalOutput, MetricsConfig,
    Unmatched,
};
use crate::semconv::metrics::Feature;

const PORT: (&str, &str) = ("OTEL_EBPF_OPEN_PORT", "80");

fn metrics(vars: &[(&str, &str)]) -> MetricsConfig {
    from_env(&[&[PORT], vars].concat()).unwrap().config.metrics
}

#[test]
fn the_metrics_url_is_as_written_and_has_the_signal_s_path_where_it_has_none() {
    let own = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
    let common = "OTEL_EXPORTER_OTLP_ENDPOINT";
    for (var, written, url) in [
        (own, "http://c:4318", "http://c:4318/v1/metrics"),
        (own, "http://c:4318/x/y", "http://c:4318/x/y"),
        (own, "https://c/v1/metrics", "https://c/v1/metrics"),
        (own, "http://c:4317/x", "http://c:4317"),
        (common, "http://c:4318/otlp/", "http://c:4318/otlp/v1/metrics"),
    ] {
        assert_eq!(metrics(&[(var, written)]).push.unwrap().endpoint.url, url, "{var}={written}");
    }
    let socket = metrics(&[(own, "unix:///run/c")]).push.unwrap().endpoint;
    assert_eq!(
        (socket.socket.as_deref(), socket.url.as_str()),
        (Some("/run/c"), "http://localhost/v1/metrics")
    );
    assert!(from_env(&[PORT, (own, "http://c")]).unwrap().config.traces.is_none());
}

#[test]
fn every_default_of_metrics_is_the_contract_s() {
    let all = metrics(&[
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c"),
        ("OTEL_EBPF_PROMETHEUS_PORT", "9400"),
    ]);
    assert_eq!(all.features, [Feature::Application]);
    assert_eq!((all.series_max, all.span_names_max, all.routes), (2000, 100, true));
    let renames = [&all.renames.unresolved, &all.renames.outgoing, &all.renames.incoming];
    assert_eq!(renames, ["unresolved", "outgoing", "incoming"]);
    let push = all.push.unwrap();
    assert_eq!((push.interval, push.timeout), (Duration::from_secs(60), Duration::from_secs(30)));
    assert_eq!(push.endpoint.timeout, Duration::from_secs(10));
    assert_eq!(push.endpoint.compression, Compression::None);
    assert!(!push.delta);
    let prometheus = all.prometheus.unwrap();
    assert_eq!((prometheus.port, prometheus.path.as_str()), (9400, "/metrics"));
    assert_eq!(push.output.exemplars, ExemplarFilter::TraceBased);
    assert_eq!(prometheus.output.exemplars, ExemplarFilter::AlwaysOff);
    for output in [push.output, prometheus.output] {
        assert_eq!(
            (output.instrumentations, output.ttl),
            (vec!["*".to_owned()], Duration::from_secs(300))
        );
        assert_eq!(output.histograms.aggregation, Aggregation::Explicit);
        assert_eq!(
            (output.histograms.durations.len(), output.histograms.request_sizes.len()),
            (15, 10)
        );
        assert!(!output.self_references);
    }
}

#[test]
fn what_the_user_says_of_metrics_counts() {
    let endpoint = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c");
    let push = |vars: &[(&str, &str)]| metrics(&[&[endpoint], vars].concat()).push.unwrap();
    let interval = |vars: &[(&str, &str)]| push(vars).interval.as_millis();
    assert_eq!(interval(&[("OTEL_METRIC_EXPORT_INTERVAL", "5000")]), 5000);
    assert_eq!(
        interval(&[("OTEL_METRIC_EXPORT_INTERVAL", "5000"), ("OTEL_EBPF_METRICS_INTERVAL", "7s")]),
        7000
    );
    assert_eq!(interval(&[("OTEL_METRIC_EXPORT_INTERVAL", "0")]), 60_000);
    let preference = |word| push(&[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", word)]);
    assert!(
        preference("delta").delta
            && preference("LowMemory").delta
            && !preference("cumulative").delta
    );
    let exponential = push(&[(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "base2_exponential_bucket_histogram",
    )]);
    let aggregation = Aggregation::Exponential { max_size: 160, max_scale: 20 };
    assert_eq!(exponential.output.histograms.aggregation, aggregation);
    let all = metrics(&[endpoint, ("OTEL_EBPF_METRICS_FEATURES", "all")]).features;
    assert!(all.contains(&Feature::SpanOtel) && !all.contains(&Feature::Span));
    let stats = metrics(&[endpoint, ("OTEL_EBPF_METRICS_FEATURES", "stats,application")]).features;
    assert_eq!(stats.len(), 5);
    assert_eq!(metrics(&[endpoint, ("OTEL_GO_X_CARDINALITY_LIMIT", "7")]).series_max, 7);
    let half = [PORT, endpoint, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k")];
    assert!(problem(from_env(&half)).contains("needs its certificate"));
}

#[test]
fn attributes_are_chosen_by_section_and_routes_can_be_switched_off() {
    let yaml = "open_port: 80\nprometheus_export: {port: 1}\nattributes:\n  select:\n    \
                http_server_request_duration_seconds: {include: [http_route, url.path]}\n    \
                '*': {exclude: [server_*]}\n";
    let config = from_yaml(yaml, &[]).unwrap().config;
    let chosen = |metric| {
        config.metrics.select.choose(metric, &["http.route", "server.port"], &["url.path"])
    };
    assert_eq!(chosen("http.server.request.duration"), ["http.route", "url.path"]);
    assert_eq!(chosen("http.client.request.duration"), ["http.route"]);
    assert_eq!(config.routes.unwrap().unmatched, Unmatched::Heuristic);
    let off =
        from_yaml("open_port: 80\nprometheus_export: {port: 1}\nroutes:\n", &[]).unwrap().config;
    assert!(off.routes.is_none() && !off.metrics.routes);
}

#[test]
fn filters_are_conditions_on_attributes_by_their_names_with_dots() {
    let yaml = "open_port: 80\ntrace_printer: text\nfilter:\n  application:\n    \
                url_path: {not_match: /health*}\n    \
                http.response.status_code: {greater_equals: 400, less_than: 500}\n";
    let filter = from_yaml(yaml, &[]).unwrap().config.filter;
    let of = |name: &str| filter.iter().find(|(of, _)| of == name).map(|(_, rule)| rule.clone());
    let Some(Condition::Differs(path)) = of("url.path") else { panic!("{filter:?}") };
    assert!(path.matches("/healthz") && !path.matches("/shop"));
    let Some(Condition::Numbers(numbers)) = of("http.response.status.code") else {
        panic!("{filter:?}")
    };
    assert_eq!(numbers, [(Comparison::GreaterEquals, 400), (Comparison::Less, 500)]);
}

#[test]
fn the_agents_own_metrics_go_one_way_and_a_port_alone_turns_them_on() {
    let of = |yaml: &str| {
        let yaml = format!("open_port: 80\nprometheus_export: {{port: 9400}}\n{yaml}");
        from_yaml(&yaml, &[]).unwrap().config.internal
    };
    let fetched = |port, path: &str| InternalOutput::Prometheus { port, path: path.to_owned() };
    assert!(!of("").is_on());
    let port = of("internal_metrics: {prometheus: {port: 9500, path: own}}");
    assert_eq!(port.output, fetched(9500, "/own"));
    assert_eq!((port.kernel_interval, port.avoided_max), (Duration::from_secs(15), 2000));
    let shared = of("internal_metrics: {exporter: prometheus, avoided_services: {limit: 3}}");
    assert_eq!(shared.output, fetched(9400, "/internal/metrics"), "the port of all metrics");
    assert_eq!(shared.avoided_max, 3);
    let yaml = "open_port: 80\ntrace_printer: text\ninternal_metrics: {exporter: prometheus}";
    let nowhere = from_yaml(yaml, &[]).unwrap();
    assert!(!nowhere.config.internal.is_on());
    assert!(nowhere.notices.iter().any(|n| n.contains("has no port")), "{:?}", nowhere.notices);
    let off = of("internal_metrics: {avoided_services: {disabled: true}}");
    assert_eq!(off.avoided_max, 0);
    let endpoint = "otel_metrics_export: {endpoint: 'http://h:4318'}\n";
    let sent = of(&format!("{endpoint}internal_metrics: {{exporter: otel}}"));
    assert_eq!(sent.output, InternalOutput::Otlp);
}

#[test]
fn dns_is_asked_where_the_user_says_so_and_names_can_be_switched_off() {
    let names = |yaml: &str, vars: &[(&str, &str)]| {
        let yaml = format!("open_port: 80\ntrace_printer: text\n{yaml}");
        from_yaml(&yaml, vars).unwrap().config.names
    };
    let none = Some(NamesConfig { dns: None });
    assert_eq!(names("", &[]), none);
    assert_eq!(names("name_resolver: {sources: [k8s, rdns, nothing]}", &[]), none);
    assert_eq!(names("name_resolver: {sources: []}", &[]), none);
    assert_eq!(names("name_resolver:\n", &[]), None);
    let dns = |cache_len, seconds| {
        let cache_expiry = Duration::from_secs(seconds);
        Some(NamesConfig { dns: Some(DnsConfig { cache_len, cache_expiry }) })
    };
    assert_eq!(names("name_resolver: {sources: [k8s, dns]}", &[]), dns(1024, 300));
    let written = "name_resolver: {sources: [Dns], cache_len: 9, cache_expiry: 90s}";
    assert_eq!(names(written, &[]), dns(9, 90));
    let vars = [
        ("OTEL_EBPF_NAME_RESOLVER_SOURCES", "k8s,dns"),
        ("OTEL_EBPF_NAME_RESOLVER_CACHE_LEN", "7"),
        ("OTEL_EBPF_NAME_RESOLVER_CACHE_TTL", "1h"),
    ];
    assert_eq!(names("", &vars), dns(7, 3600));
}
