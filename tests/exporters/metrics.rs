//! Metrics on their way to a receiver, and what becomes of them when it fails.

use std::io::Read as _;
use std::os::unix::net::UnixListener;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;

use super::http_sink::{Answer, HttpSink, Received};
use super::{assert_account, dev_null, eventually, in_a_while, numbered, start};

const OFTEN: (&str, &str) = ("OTEL_EBPF_METRICS_INTERVAL", "20ms");

/// Number of values of the server's durations in a request.
fn values(request: &ExportMetricsServiceRequest) -> u64 {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let durations = scopes
        .flat_map(|scope| &scope.metrics)
        .filter(|metric| metric.name == "http.server.request.duration");
    let count = |metric: &opentelemetry_proto::tonic::metrics::v1::Metric| match &metric.data {
        Some(Data::Histogram(of)) => of.data_points.iter().map(|p| p.count).sum::<u64>(),
        other => panic!("{other:?}"),
    };
    durations.map(count).sum::<u64>()
}

fn decoded(request: &Received) -> ExportMetricsServiceRequest {
    assert_eq!(request.line, "POST /v1/metrics HTTP/1.1");
    ExportMetricsServiceRequest::decode(&*request.body).unwrap()
}

const TROUBLE: [Answer; 3] = [
    Answer::Status("503 Service Unavailable", Vec::new()),
    Answer::Close,
    Answer::Status("429 Too Many Requests\r\nretry-after: 1", Vec::new()),
];

#[test]
fn what_the_receiver_did_not_take_is_in_the_next_request_that_it_takes() {
    for temporality in ["cumulative", "delta"] {
        let answers = [&TROUBLE[..], &[Answer::ok()], &TROUBLE[..2]].concat();
        let took = |n: usize| !(n < 3 || (4..6).contains(&n));
        let sink = HttpSink::start(answers);
        let vars = [
            OFTEN,
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", sink.endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality),
        ];
        let exporter = start(&vars, dev_null());
        exporter.queue().push(numbered(0, 30));
        eventually("a request is taken", || sink.received().len() > 3);
        exporter.queue().push(numbered(30, 12));
        eventually("more are", || sink.received().len() > 6);
        assert_account(&exporter.join(in_a_while()), 42, 42, &[]);
        let requests = sink.received();
        let taken = requests.iter().enumerate().filter(|(n, _)| took(*n));
        let taken: Vec<u64> = taken.map(|(_, request)| values(&decoded(request))).collect();
        match temporality {
            "delta" => assert_eq!(taken.iter().sum::<u64>(), 42, "{taken:?}"),
            _ => assert_eq!(taken.last(), Some(&42), "{taken:?}"),
        }
    }
}

#[test]
fn a_receiver_that_refuses_gets_the_next_ones_all_the_same() {
    let sink = HttpSink::start(vec![Answer::Status("400 Bad Request", Vec::new())]);
    let endpoint = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", sink.endpoint.as_str());
    let exporter = start(&[OFTEN, endpoint], dev_null());
    exporter.queue().push(numbered(0, 3));
    eventually("two requests came", || sink.received().len() > 1);
    exporter.join(in_a_while());
    assert_eq!(values(&decoded(sink.received().last().unwrap())), 3);
}

#[test]
fn metrics_wait_for_their_time_and_the_last_ones_go_at_the_stop() {
    let sink = HttpSink::start(Vec::new());
    let vars = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint.as_str()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
        ("OTEL_EBPF_TRACES_INSTRUMENTATIONS", "http"),
    ];
    let config = super::config(&vars);
    assert!(config.traces.is_some() && config.metrics.push.is_some(), "both by the common one");
    let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", sink.endpoint.as_str());
    let exporter = start(&[own, vars[1]], dev_null());
    exporter.queue().push(numbered(0, 5));
    eventually("they are recorded", || exporter.stage().out == 5);
    assert_eq!(sink.received().len(), 0);
    exporter.join(in_a_while());
    assert_eq!(sink.received().iter().map(|r| values(&decoded(r))).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_request_is_compressed_or_json_where_the_user_says_so() {
    for (name, value, header) in [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "content-encoding: gzip"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "content-encoding: zstd"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json", "content-type: application/json"),
    ] {
        let sink = HttpSink::start(Vec::new());
        let endpoint = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", sink.endpoint.as_str());
        let exporter = start(&[OFTEN, endpoint, (name, value)], dev_null());
        exporter.queue().push(numbered(0, 7));
        exporter.join(in_a_while());
        let mut last = sink.received().pop().unwrap();
        assert!(last.has(header), "{:?}", last.headers);
        let packed = std::mem::take(&mut last.body);
        let request = match value {
            "gzip" => {
                flate2::read::GzDecoder::new(&*packed).read_to_end(&mut last.body).unwrap();
                decoded(&last)
            }
            "zstd" => {
                last.body = zstd::decode_all(&*packed).unwrap();
                decoded(&last)
            }
            _ => {
                let text = String::from_utf8(packed).unwrap();
                assert!(!text.contains(":null"), "receivers refuse it: {text}");
                serde_json::from_str(&text).unwrap()
            }
        };
        assert_eq!(values(&request), 7, "{value}");
    }
}

#[test]
fn requests_go_through_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("collector");
    let listener = UnixListener::bind(&path).unwrap();
    let abstract_name = format!("obi-test-{}", std::process::id());
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(
            &abstract_name,
        );
    let nameless = UnixListener::bind_addr(&address.unwrap()).unwrap();
    for (listener, endpoint) in [
        (listener, format!("unix://{}", path.display())),
        (nameless, format!("unix://@{abstract_name}")),
    ] {
        let heard = std::thread::Builder::new().spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 22];
            stream.read_exact(&mut head).unwrap();
            String::from_utf8_lossy(&head).into_owned()
        });
        let vars = [OFTEN, ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint.as_str())];
        let exporter = start(&vars, dev_null());
        exporter.queue().push(numbered(0, 1));
        assert_eq!(heard.unwrap().join().unwrap(), "POST /v1/metrics HTTP/");
        exporter.join(in_a_while());
    }
}
