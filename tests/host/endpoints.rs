//! Where spans go: receivers that are dead, hang or stop reading, and the agent's own exports.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::agent::{Agent, Outcome, Span};
use crate::collector::Collector;
use crate::hard::{lines, sorted};
use crate::load::Load;
use crate::servers::{self, Server, free_port};
use crate::turn::{Need, enter};
use crate::{eventually, report};

const REQUESTS: usize = 50;

/// Given to the agent for its stop, and what may come on top of it.
const STOP: Duration = Duration::from_secs(2);
const ON_TOP: Duration = Duration::from_secs(1);

fn numbered(number: u64) -> (&'static str, String, usize) {
    ("GET", format!("/r/{number}"), 0)
}

/// Asks `requests` times; the lines of the server's spans.
fn ask(server: &Server, requests: usize) -> Vec<String> {
    let requests = requests as u64;
    let load = Load { port: server.port, connections: 4, requests, rate: None, plan: numbered };
    assert_eq!(load.run().answered(), requests);
    sorted((0..requests).map(|i| format!("server GET /r/{i} 200")))
}

/// What an agent says whose endpoint is `url`: the printed spans must be exact all the same, the
/// stop in time, and every span that was not delivered counted.
fn despite(url: &str, protocol: &str) {
    let server = servers::httpd("threads");
    let agent = Agent::start(&[
        ("OTEL_EBPF_OPEN_PORT", &server.port.to_string()),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "50ms"),
        ("OTEL_EBPF_BACKOFF_INITIAL_INTERVAL", "100ms"),
        ("OTEL_EBPF_SHUTDOWN_TIMEOUT", "2s"),
    ]);
    let wanted = ask(&server, REQUESTS);
    eventually("every span is printed", || agent.spans().len() >= REQUESTS);
    let outcome = agent.stop();
    assert_eq!(lines(&outcome.spans, |_| true), wanted, "{protocol}");
    assert_in_time(&outcome);
    let otlp = outcome.ledger.stage("exporter.otlp");
    let dropped: u64 = otlp.drops.values().sum();
    assert_eq!((otlp.in_, otlp.out, dropped), (REQUESTS as u64, 0, REQUESTS as u64), "{otlp:?}");
    report(&format!("{protocol}: stopped in {:?}, {:?}", outcome.stopping, otlp.drops));
}

fn assert_in_time(outcome: &Outcome) {
    assert!(outcome.stopping < STOP + ON_TOP, "stopped in {:?}", outcome.stopping);
}

#[test]
fn a_dead_endpoint_delays_nothing_and_every_span_is_counted() {
    let name = "a_dead_endpoint_delays_nothing_and_every_span_is_counted";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    for protocol in ["http/protobuf", "grpc"] {
        despite(&format!("http://127.0.0.1:{}", free_port()), protocol);
    }
}

#[test]
fn an_endpoint_that_never_answers_delays_nothing_and_every_span_is_counted() {
    let name = "an_endpoint_that_never_answers_delays_nothing_and_every_span_is_counted";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    for protocol in ["http/protobuf", "grpc"] {
        // Connections wait in its backlog for ever.
        let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
        despite(&format!("http://{}", hanging.local_addr().unwrap()), protocol);
    }
}

#[test]
fn a_reader_of_stdout_that_stops_delays_no_other_exporter() {
    let name = "a_reader_of_stdout_that_stops_delays_no_other_exporter";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let (server, collector) = (servers::httpd("threads"), Collector::start());
    let (port, url) = (server.port.to_string(), collector.url());
    let (reader, writer) = std::io::pipe().unwrap();
    let mut variables = collector.variables(&url).to_vec();
    variables
        .extend([("OTEL_EBPF_OPEN_PORT", port.as_str()), ("OTEL_EBPF_SHUTDOWN_TIMEOUT", "2s")]);
    let agent = Agent::start_writing_to(writer.into(), &variables);
    // More than the pipe and the queue together hold.
    let many = 20_000;
    ask(&server, many);
    eventually("the collector has every span", || collector.told().len() >= many);
    let outcome = agent.stop();
    let mut paths: Vec<_> = collector.told().iter().map(|t| t.path().to_owned()).collect();
    paths.sort();
    assert_eq!(paths, sorted((0..many).map(|i| format!("/r/{i}"))));
    assert_in_time(&outcome);
    let printer = outcome.ledger.stage("exporter.printer");
    let dropped: u64 = printer.drops.values().sum();
    assert_eq!((printer.in_, printer.out + dropped), (many as u64, many as u64));
    assert!(dropped > 0, "the pipe took everything");
    report(&format!("stopped in {:?}, {:?}", outcome.stopping, printer.drops));
    drop(reader);
}

#[test]
fn a_collector_that_is_observed_itself_shows_every_client_but_the_agent() {
    let name = "a_collector_that_is_observed_itself_shows_every_client_but_the_agent";
    let Some(_turn) = enter(name, &[Need::Command("curl")]) else { return };
    let collector = Collector::start();
    let (port, url) = (collector.port.to_string(), collector.url());
    let mut variables = collector.variables(&url).to_vec();
    variables.push(("OTEL_EBPF_OPEN_PORT", &port));
    // What curl does is what a process does that exports traces by itself.
    variables.push(("OTEL_EBPF_EXCLUDE_OTEL_INSTRUMENTED_SERVICES", "false"));
    let agent = Agent::start(&variables);
    let post = |path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--noproxy", "*", "--request", "POST"]);
        servers::run(curl.arg(format!("{url}{path}")).stdout(Stdio::null()));
    };
    post("/v1/traces");
    eventually("the span of the other client is exported", || !collector.told().is_empty());
    // The export of that span is a request to the collector; its span would be exported in turn.
    post("/control");
    let outcome = agent.stop_after(4, |_| true);
    // A child of an observed process, curl is observed as well.
    let wanted = ["client POST /control 200", "client POST /v1/traces 200"]
        .map(str::to_owned)
        .into_iter()
        .chain(["server POST /control 200", "server POST /v1/traces 200"].map(str::to_owned));
    assert_eq!(lines(&outcome.spans, |_| true), sorted(wanted));
    assert_eq!(collector.told().len(), 4, "{:?}", collector.told());
    let own = outcome.ledger.stage("kernel.calls").dropped("agent_peer");
    assert!(own > 0, "the agent's own exports were never at a hook: {}", outcome.log);
}

#[test]
fn the_sampler_of_a_selector_decides_for_its_processes_and_the_common_one_for_the_others() {
    let name =
        "the_sampler_of_a_selector_decides_for_its_processes_and_the_common_one_for_the_others";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    const MANY: usize = 400;
    let collector = Collector::start();
    let url = collector.url();
    let [common, never, always] = [(); 3].map(|()| servers::httpd("threads"));
    let config = crate::turn::scratch();
    let path = config.path().join("obi.yml");
    let text = format!(
        "discovery:\n  instrument:\n  - {{open_ports: {}, name: common}}\n  - {{open_ports: {}, \
         name: never, sampler: {{name: always_off}}}}\n  - {{open_ports: {}, name: always, sampler: \
         {{name: traceidratio, arg: 1}}}}\notel_traces_export: {{sampler: {{name: \
         parentbased_traceidratio, arg: 0.25}}}}\n",
        common.port, never.port, always.port
    );
    std::fs::write(&path, text).unwrap();
    let mut variables = collector.variables(&url).to_vec();
    variables.push(("OTEL_EBPF_CONFIG_PATH", path.to_str().unwrap()));
    let agent = Agent::start(&variables);
    for server in [&common, &never, &always] {
        ask(server, MANY);
    }
    // The printer shows every trace, and so what the ratio must take: the lower half of a trace id
    // without its last bit, as a part of all such numbers.
    let outcome = agent.stop_after(3 * MANY, |_| true);
    let below = |s: &&Span| {
        let low = s.trace_id.get(16..).unwrap();
        let low = u64::from_str_radix(low, 16).unwrap() >> 1;
        (low as f64) < 0.25 * (1_u64 << 63) as f64
    };
    let of = |name: &'static str| outcome.spans.iter().filter(move |s| s.host_name == name);
    let wanted = [of("common").filter(below).count(), 0, MANY];
    let told = collector.told();
    let sent = ["common", "never", "always"]
        .map(|name| told.iter().filter(|t| t.service() == name).count());
    assert_eq!(sent, wanted);
    assert!(wanted[0] > 0 && wanted[0] < MANY, "{wanted:?}");
    let otlp = outcome.ledger.stage("exporter.otlp");
    let left_out = 3 * MANY - wanted.iter().sum::<usize>();
    assert_eq!(otlp.dropped("not_sampled"), left_out as u64);
    report(&format!("sent {sent:?} of {MANY} each"));
}

#[test]
fn the_service_is_named_by_the_process_or_its_executable_and_the_instance_by_its_pid() {
    let name = "the_service_is_named_by_the_process_or_its_executable_and_the_instance_by_its_pid";
    let Some(_turn) = enter(name, &[Need::App("httpd")]) else { return };
    let collector = Collector::start();
    let url = collector.url();
    let ports = [free_port(), free_port()];
    let both = format!("{},{}", ports[0], ports[1]);
    let start = |port: u16, variables: &[(&str, &str)]| {
        let mut command = Command::new(crate::turn::app("httpd"));
        command.arg(port.to_string()).arg("threads").envs(variables.iter().copied());
        Server::start(port, &mut command)
    };
    // One of them before the agent, one after.
    let named = start(ports[0], &[("OTEL_SERVICE_NAME", "shop")]);
    let mut variables = collector.variables(&url).to_vec();
    variables.push(("OTEL_EBPF_OPEN_PORT", &both));
    let agent = Agent::start(&variables);
    let unnamed = start(ports[1], &[]);
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let wanted = [("shop", &named), ("httpd", &unnamed)].map(|(service, server)| {
        ask(server, 1);
        (service.to_owned(), format!("{host}:{}", server.pid()))
    });
    let of_ports = |s: &Span| s.path() == "/r/0";
    agent.stop_after(2, of_ports);
    let told = collector
        .told()
        .into_iter()
        .map(|t| (t.service().to_owned(), t.of_resource("service.instance.id").to_owned()));
    let mut told: Vec<_> = told.collect();
    told.sort_by(|a, b| b.cmp(a));
    assert_eq!(told, wanted);
}
