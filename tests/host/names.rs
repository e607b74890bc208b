//! Names of addresses: out of the system's files and from a name server.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Builder;

use crate::agent::Agent;
use crate::hard::sorted;
use crate::servers;
use crate::turn::{Need, agent_binary, enter, scratch};

/// Where curl asks from, and what the server is called there.
const CLIENT: &str = "127.0.0.5";
const SERVER: &str = "127.0.0.2";

/// A name server at an address of this host that knows one name for everything; counts questions.
fn name_server(address: &str) -> Arc<AtomicU64> {
    let socket = UdpSocket::bind((address, 53)).unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    let serve = move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut answer = buffer[..length].to_vec();
            // An answer without an error, of one record.
            (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
            answer.extend(b"\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x3c\x00\x0d");
            answer.extend(b"\x03web\x07example\x00");
            socket.send_to(&answer, from).unwrap();
        }
    };
    Builder::new().name("name server".to_owned()).spawn(serve).unwrap();
    asked
}

/// An agent that finds these files where the system's are.
fn agent_with(hosts: &Path, resolv_conf: &Path, variables: &[(&str, &str)]) -> Agent {
    let mut command = Command::new("unshare");
    let script =
        "mount --bind \"$0\" /etc/hosts && mount --bind \"$1\" /etc/resolv.conf && exec \"$2\"";
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    command.arg(hosts).arg(resolv_conf).arg(agent_binary());
    Agent::start_as(command, variables)
}

#[test]
fn both_sides_are_called_what_the_system_calls_their_addresses() {
    let name = "both_sides_are_called_what_the_system_calls_their_addresses";
    let needs = ["nginx", "curl", "unshare", "mount"].map(Need::Command);
    let Some(_turn) = enter(name, &needs) else { return };
    let asked = name_server("127.0.0.153");
    let dir = scratch();
    let [hosts, resolv_conf] = ["hosts", "resolv.conf"].map(|file| dir.path().join(file));
    std::fs::write(&hosts, format!("{SERVER} shop.example shop\n")).unwrap();
    std::fs::write(&resolv_conf, "nameserver 127.0.0.153\n").unwrap();
    let nginx = servers::nginx(1, None);
    let agent = agent_with(
        &hosts,
        &resolv_conf,
        &[
            ("OTEL_EBPF_AUTO_TARGET_EXE", "{*/nginx,*/curl}"),
            ("OTEL_EBPF_NAME_RESOLVER_SOURCES", "dns"),
        ],
    );
    for n in 0..10 {
        let url = format!("http://{SERVER}:{}/named/{n}", nginx.port);
        servers::run(Command::new("curl").args(["-sf", "--interface", CLIENT, &url]));
    }
    let outcome = agent.stop_after(20, |span| span.path().starts_with("/named/"));
    let told = outcome.spans.iter().filter(|span| span.path().starts_with("/named/"));
    let told = told.map(|span| {
        let [client, server] = ["clientAddr", "serverAddr"].map(|key| span.attribute(key));
        format!("{} {client} {server} {}", span.line(), span.host_name)
    });
    let wanted = (0..10).flat_map(|n| {
        [
            format!("server GET /named/{n} 200 web.example shop.example shop.example"),
            // The server's address is what was asked for.
            format!("client GET /named/{n} 200 web.example {SERVER} shop.example"),
        ]
    });
    assert_eq!(sorted(told), sorted(wanted));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "one address is not in the file");
    let counted = ["names_asked", "names_answers found", "names_late_spans"];
    assert_eq!(counted.map(|name| outcome.ledger.beside(name)), [2, 2, 0]);
}
