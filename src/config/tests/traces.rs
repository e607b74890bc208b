use super::*;
use crate::model::sampler::Sampler;
use crate::model::service::Signals;
use crate::semconv::metrics::Feature;

#[test]
fn the_traces_url_follows_the_contract_s_path_rule() {
    fn traces(vars: &[(&str, &str)]) -> TracesConfig {
        from_env(vars).unwrap().config.traces.unwrap()
    }
    let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let common = "OTEL_EXPORTER_OTLP_ENDPOINT";
    for (var, written, url) in [
        (own, "http://c:4318", "http://c:4318/v1/traces"),
        (own, "http://c:4318/", "http://c:4318/v1/traces"),
        (own, "http://c:4318/v1/traces", "http://c:4318/v1/traces"),
        (own, "https://c/x", "https://c/x/v1/traces"),
        (own, "https://c/x/v1/traces", "https://c/x/v1/traces"),
        (common, "http://c:4318", "http://c:4318/v1/traces"),
        (common, "http://c:4318/otlp/", "http://c:4318/otlp/v1/traces"),
        (common, "http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        (common, "http://c:4317/x", "http://c:4317"),
    ] {
        assert_eq!(traces(&[(var, written)]).endpoint.url, url, "{var}={written}");
    }
    let both = traces(&[(own, "http://own"), (common, "http://common")]);
    assert_eq!(both.endpoint.url, "http://own/v1/traces");
    let yaml = "otel_traces_export:\n  endpoint: http://file";
    let config = from_yaml(yaml, &[(common, "http://common")]).unwrap().config;
    assert_eq!(config.traces.unwrap().endpoint.url, "http://file/v1/traces");
}

#[test]
fn the_protocol_is_explicit_or_guessed_by_port() {
    use OtlpProtocol::{Grpc, HttpJson, HttpProtobuf};
    fn protocol(endpoint: &str, vars: &[(&str, &str)]) -> OtlpProtocol {
        let vars = [vars, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]].concat();
        from_env(&vars).unwrap().config.traces.unwrap().endpoint.protocol
    }
    assert_eq!(protocol("http://c:4317", &[]), Grpc);
    assert_eq!(protocol("http://c:14317", &[]), Grpc);
    assert_eq!(protocol("http://c:4318", &[]), HttpProtobuf);
    assert_eq!(protocol("https://c", &[]), HttpProtobuf);
    let common = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json");
    assert_eq!(protocol("http://c:4318", &[common]), Grpc);
    assert_eq!(protocol("http://c:4317", &[common, own]), HttpJson);
    let yaml = "otel_traces_export:\n  endpoint: http://c:1\n  protocol: grpc";
    assert_eq!(from_yaml(yaml, &[]).unwrap().config.traces.unwrap().endpoint.protocol, Grpc);
}

#[test]
fn headers_are_overlaid_and_never_shown() {
    let vars = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer ${TOKEN}, x-a=1,=no,empty="),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "X-A=2,x-b=a=b"),
        ("TOKEN", "secret"),
    ];
    let headers = from_env(&vars).unwrap().config.traces.unwrap().endpoint.headers;
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(
        headers,
        [pair("authorization", "Bearer secret"), pair("x-a", "2"), pair("x-b", "a=b")]
    );
    let text = problem(from_env(&[("OTEL_EXPORTER_OTLP_HEADERS", "bad name=hush")]));
    assert!(text.starts_with("OTEL_EXPORTER_OTLP_HEADERS") && !text.contains("hush"), "{text}");
    let text = problem(from_env(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b,hush")]));
    assert!(text.contains("name=value pairs") && !text.contains("hush"), "{text}");
    let text = problem(from_env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://me:hush@c/x")]));
    assert!(text.contains("ftp://c/x") && !text.contains("hush"), "{text}");
}

#[test]
fn batch_queue_and_backoff_follow_the_contract_s_zeroes() {
    fn traces(vars: &[(&str, &str)]) -> TracesConfig {
        let vars = [vars, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")]].concat();
        from_env(&vars).unwrap().config.traces.unwrap()
    }
    let (batch, queue) =
        ("OTEL_EBPF_OTLP_TRACES_BATCH_MAX_SIZE", "OTEL_EBPF_OTLP_TRACES_QUEUE_SIZE");
    assert_eq!(traces(&[(batch, "10"), (queue, "0")]).batch.queue_size, 40);
    assert_eq!(traces(&[(batch, "10"), (queue, "20")]).batch.queue_size, 20);
    let unlimited = traces(&[(batch, "0"), (queue, "0")]).batch;
    assert_eq!((unlimited.max_size, unlimited.queue_size), (usize::MAX, 16384));
    let traces = traces(&[
        ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "0"),
        ("OTEL_EBPF_BACKOFF_INITIAL_INTERVAL", "1ms"),
        ("OTEL_EBPF_BACKOFF_MAX_INTERVAL", "0"),
        ("OTEL_EBPF_BACKOFF_MAX_ELAPSED_TIME", "2s"),
    ]);
    assert_eq!(traces.batch.timeout, Duration::ZERO);
    assert_eq!(traces.backoff.initial, Duration::from_millis(1));
    assert_eq!(traces.backoff.max, Duration::from_secs(30));
    assert_eq!(traces.backoff.max_elapsed, Duration::from_secs(2));
}

#[test]
fn resource_attributes_of_the_agent_are_substituted_pairs() {
    let vars = [("OTEL_RESOURCE_ATTRIBUTES", "a=1, b = ${B:-x} ,c=,=d"), ("B", "y")];
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(
        from_env(&vars).unwrap().config.resource_attributes,
        [pair("a", "1"), pair("b", "y")]
    );
}

#[test]
fn a_sampler_is_read_with_its_ratio_and_what_is_no_ratio_means_every_trace() {
    let with = |arg| {
        let endpoint = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318");
        let sampler = ("OTEL_TRACES_SAMPLER", "traceidratio");
        let port = ("OTEL_EBPF_OPEN_PORT", "80");
        from_env(&[port, endpoint, sampler, ("OTEL_TRACES_SAMPLER_ARG", arg)]).unwrap()
    };
    let half = with("0.5");
    assert_eq!(half.config.traces.unwrap().sampler, Sampler::named("traceidratio", "0.5").unwrap());
    assert_eq!(half.notices, Vec::<String>::new());
    let none = with("half");
    assert_eq!(none.config.traces.unwrap().sampler, Sampler::default());
    let told = "is no ratio from 0 to 1: parentbased_always_on is used";
    assert_eq!(none.notices.len(), 1);
    assert!(none.notices[0].contains("OTEL_TRACES_SAMPLER_ARG") && none.notices[0].ends_with(told));

    let yaml = "discovery:\n  instrument:\n  - {exe_path: a, sampler: {name: always_off}}\n  - \
                {exe_path: a, sampler: {name: traceidratio, arg: x}}\n";
    let loaded = from_yaml(yaml, &[]).unwrap();
    let samplers: Vec<_> = loaded
        .config
        .selection
        .include
        .iter()
        .take(2)
        .map(|s| s.refinement.wishes.sampler)
        .collect();
    assert_eq!(samplers, [Some(Sampler::NEVER), Some(Sampler::default())]);
    assert!(
        loaded.notices[0].ends_with(&format!(":4: discovery.instrument[1].sampler.arg {told}")),
        "{:?}",
        loaded.notices
    );
}

#[test]
fn a_selector_says_which_signals_families_and_routes_its_services_have() {
    let yaml = "prometheus_export: {port: 1}\ndiscovery:\n  instrument:\n  \
                - {open_ports: 1, exports: [metrics], metrics: {features: [application_span_otel]}}\n  \
                - {open_ports: 2, exports: [], routes: {incoming: [/a/:b]}}\n  \
                - {open_ports: 3, metrics: {features: [all]}}\n";
    let config = from_yaml(yaml, &[]).unwrap().config;
    let include = &config.selection.include;
    let wishes: Vec<_> = include.iter().map(|s| s.refinement.wishes.clone()).collect();
    assert_eq!(wishes[0].signals, Some(Signals { traces: false, metrics: true }));
    assert_eq!(wishes[0].features.as_deref(), Some(&[Feature::SpanOtel][..]));
    assert!(wishes[1].are_silence() && !wishes[0].are_silence() && !wishes[2].are_silence());
    assert_eq!(wishes[1].routes.as_ref().unwrap().incoming, ["/a/:b"]);
    assert_eq!((wishes[2].signals, wishes[2].routes.clone()), (None, None));
    let metrics = &config.metrics;
    assert_eq!(metrics.features, [Feature::Application]);
    assert!(metrics.makes(Feature::SpanOtel) && metrics.makes(Feature::Host));
    assert!(!metrics.makes(Feature::Span), "of all, the newer names");
    assert!(metrics.makes_span_metrics());
    let plain = from_yaml("prometheus_export: {port: 1}\nopen_port: 80\n", &[]).unwrap().config;
    assert!(plain.metrics.lacks_of(metrics), "a reload cannot add a family");
    assert!(!metrics.lacks_of(metrics) && !metrics.lacks_of(&plain.metrics));
}

#[test]
fn names_of_secret_parameters_are_lists_of_bounded_length() {
    let of = |add: &str| {
        let yaml = format!(
            "open_port: 80\ntrace_printer: text\nattributes:\n  sensitive_query_params:\n    \
             add: [{add}]\n    remove: [sid]\n"
        );
        from_yaml(&yaml, &[]).map(|loaded| loaded.config.shown.secrets)
    };
    let names = of("code").unwrap();
    assert_eq!((names.hidden, names.shown), (vec!["code".to_owned()], vec!["sid".to_owned()]));
    assert!(of(&"x".repeat(128)).is_ok());
    let error = of(&"x".repeat(129)).unwrap_err().to_string();
    assert!(error.contains(":5: attributes.sensitive_query_params.add"), "{error}");
    assert!(error.contains("names have 128 bytes at most"), "{error}");
}
