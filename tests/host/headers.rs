//! Headers on spans, by the user's rules.

use std::process::Command;

use crate::agent::{Agent, Span};
use crate::servers;
use crate::turn::{Need, enter, scratch};

const RULES: &str = "
ebpf:
  payload_extraction:
    http:
      enrichment:
        enabled: true
        rules:
        - {action: obfuscate, type: headers, scope: all, match: {patterns: [authorization]}}
        - action: include
          type: headers
          scope: request
          match: {patterns: ['x-*'], response_status_code: {equals: 404}}
        - {action: include, type: headers, scope: response, match: {patterns: [Content-Type]}}
";

/// The headers of a span, as they are printed.
fn headers(span: &Span) -> [&str; 3] {
    [
        "http.request.header.authorization",
        "http.request.header.x-id",
        "http.response.header.content-type",
    ]
    .map(|name| span.attribute(name))
}

#[test]
fn spans_show_the_headers_that_the_rules_name_and_no_others() {
    let name = "spans_show_the_headers_that_the_rules_name_and_no_others";
    let Some(_turn) = enter(name, &[Need::Command("nginx"), Need::Command("curl")]) else { return };
    let dir = scratch();
    let file = dir.path().join("obi.yml");
    std::fs::write(&file, RULES).unwrap();
    let nginx = servers::nginx(1, None);
    let port = nginx.port.to_string();
    let agent = Agent::start(&[
        ("OTEL_EBPF_CONFIG_PATH", file.to_str().unwrap()),
        ("OTEL_EBPF_OPEN_PORT", port.as_str()),
        ("OTEL_EBPF_TRACE_PRINTER", "json"),
    ]);
    for path in ["/r/1", "/missing/2"] {
        let url = nginx.url(path);
        let sent = ["authorization: Bearer s3cret", "X-Id: 1", "x-iD: 2", "Other: s3cret"];
        let arguments = sent.into_iter().flat_map(|header| ["-H", header]);
        servers::run(Command::new("curl").arg("-s").args(arguments).arg(&url));
    }
    let outcome = agent.stop_after(2, Span::is_server);
    let shown: Vec<_> = outcome.spans.iter().map(headers).collect();
    assert_eq!(shown, [["***", "", "text/plain"], ["***", "1, 2", "text/plain"]]);
    let values = outcome.spans.iter().map(|span| format!("{span:?}")).collect::<String>();
    assert!(!values.contains("s3cret"), "{values}");
}
