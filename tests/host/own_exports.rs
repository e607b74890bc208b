//! A process that exports traces by itself.

use std::process::Command;

use crate::agent::Agent;
use crate::eventually;
use crate::explain::explain;
use crate::servers::{Server, free_port};
use crate::turn::{Need, app, enter, python};

/// Asks for /1 to /3, exports, asks for /4 to /6; waits before each part for a line.
const CLIENT: &str = "
import sys, http.client
port = int(sys.argv[1])
def ask(method, path, body=None):
    connection = http.client.HTTPConnection('127.0.0.1', port)
    connection.request(method, path, body)
    connection.getresponse().read()
    connection.close()
sys.stdin.readline()
for n in (1, 2, 3): ask('GET', f'/{n}')
sys.stdin.readline()
ask('POST', '/v1/traces', b'')
for n in (4, 5, 6): ask('GET', f'/{n}')
sys.stdin.readline()
";

/// Paths of the client's spans, and how many were left out.
fn spans(excludes: &str) -> (Vec<String>, u64) {
    use std::io::Write as _;
    let port = free_port();
    let _server =
        Server::start(port, Command::new(app("httpd")).arg(port.to_string()).arg("threads"));
    let mut command = Command::new(python("python3"));
    command.args(["-c", CLIENT, &port.to_string()]);
    let mut client = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut go_on = client.stdin.take().unwrap();
    let agent = Agent::start(&[
        ("OTEL_EBPF_TARGET_PID", &client.id().to_string()),
        ("OTEL_EBPF_EXCLUDE_OTEL_INSTRUMENTED_SERVICES", excludes),
    ]);
    go_on.write_all(b"\n").unwrap();
    eventually("three spans are out", || agent.printed() == 3);
    go_on.write_all(b"\n").unwrap();
    if excludes == "true" {
        eventually("it is seen", || explain(client.id()).seen.spans == 7);
        let left_out = crate::tools::run(&[], &["explain", &format!("pid:{}", client.id())]);
        let left_out = String::from_utf8(left_out.stdout).unwrap();
        assert!(left_out.contains("\n  left out     its spans: it exports its own "), "{left_out}");
    } else {
        eventually("seven spans are out", || agent.printed() == 7);
    }
    drop(go_on);
    client.wait().unwrap();
    let outcome = agent.stop();
    let told = "it exports its own traces: its spans are not sent a second time";
    assert_eq!(outcome.log.matches(told).count(), usize::from(excludes == "true"));
    let left_out = outcome.ledger.stage("exporter.printer").dropped("exported_by_the_service");
    (outcome.spans.iter().map(|span| span.path().to_owned()).collect(), left_out)
}

#[test]
fn a_process_that_exports_traces_by_itself_has_no_second_spans_unless_they_are_wanted() {
    let name = "a_process_that_exports_traces_by_itself_has_no_second_spans_unless_they_are_wanted";
    let Some(_turn) = enter(name, &[Need::App("httpd"), Need::Python("python3")]) else { return };
    let all = ["/1", "/2", "/3", "/v1/traces", "/4", "/5", "/6"].map(str::to_owned);
    assert_eq!(spans("false"), (all.to_vec(), 0));
    assert_eq!(spans("true"), (all[..3].to_vec(), 4));
}
