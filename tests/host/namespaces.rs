//! Containers as the kernel has them: network namespaces whose addresses are the same, and PID
//! namespaces with the agent inside.

use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};

use crate::agent::{Agent, descendant};
use crate::collector::{Collector, Told};
use crate::eventually;
use crate::hard::sorted;
use crate::load::Client;
use crate::servers::{self, Server, free_port};
use crate::turn::{Need, agent_binary, app, enter};

/// The ends of the connection in each network.
const SERVER_PORT: u16 = 8080;
const CLIENT_PORT: u16 = 40_001;

/// A network namespace with nothing but a loopback device and a server; there is one port to
/// connect from.
struct Network {
    namespace: File,
    server: Server,
    client_port: u16,
}

impl Network {
    fn with_server(service: &str, client_port: u16) -> Self {
        let set_up = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            servers::run(Command::new("ip").args(["link", "set", "lo", "up"]));
            let mut command = Command::new(app("httpd"));
            command.arg(SERVER_PORT.to_string()).arg("threads").env("OTEL_SERVICE_NAME", service);
            let server = Server::start(SERVER_PORT, &mut command);
            let range = format!("{client_port} {client_port}");
            fs::write("/proc/sys/net/ipv4/ip_local_port_range", range).unwrap();
            Self { namespace: File::open("/proc/thread-self/ns/net").unwrap(), server, client_port }
        };
        std::thread::scope(|scope| scope.spawn(set_up).join().unwrap())
    }

    fn connect(&self) -> Client {
        let connect = || {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let client = Client::connect(SERVER_PORT).unwrap();
            assert_eq!(client.local_port(), self.client_port);
            client
        };
        std::thread::scope(|scope| scope.spawn(connect).join().unwrap())
    }
}

fn described(told: &[Told]) -> Vec<String> {
    sorted(
        told.iter().map(|t| {
            format!("{} {} {}", t.service(), t.of_resource("service.instance.id"), t.path())
        }),
    )
}

/// A network with a server, and an agent that came later and tells a collector of it.
fn blue_and_agent() -> (Collector, Network, Agent) {
    let collector = Collector::start();
    let (url, port) = (collector.url(), SERVER_PORT.to_string());
    let mut variables = collector.variables(&url).to_vec();
    variables.push(("OTEL_EBPF_OPEN_PORT", &port));
    let blue = Network::with_server("blue", CLIENT_PORT);
    let agent = Agent::start(&variables);
    (collector, blue, agent)
}

fn host_name() -> String {
    nix::unistd::gethostname().unwrap().into_string().unwrap()
}

#[test]
fn connections_with_the_same_addresses_in_two_networks_are_two_connections() {
    let name = "connections_with_the_same_addresses_in_two_networks_are_two_connections";
    let Some(_turn) = enter(name, &[Need::App("httpd"), Need::Command("ip")]) else { return };
    // One server before the agent, one after.
    let (collector, blue, agent) = blue_and_agent();
    let green = Network::with_server("green", CLIENT_PORT);
    let mut wanted = Vec::new();
    let mut clients = [("blue", &blue), ("green", &green)]
        .map(|(service, network)| (service, network.server.pid(), network.connect()));
    for i in 0..20 {
        for (service, pid, client) in &mut clients {
            let path = format!("/{service}-{i}");
            assert_eq!(client.ask("GET", &path, b"").unwrap(), 200);
            wanted.push(format!("{service} {}:{pid} {path}", host_name()));
        }
    }
    agent.stop_after(wanted.len(), |_| true);
    assert_eq!(described(&collector.told()), sorted(wanted));
}

#[test]
fn a_client_with_the_address_and_port_of_the_agent_is_seen() {
    let name = "a_client_with_the_address_and_port_of_the_agent_is_seen";
    let Some(_turn) = enter(name, &[Need::App("httpd"), Need::Command("ip")]) else { return };
    let (collector, blue, agent) = blue_and_agent();
    // The agent keeps the connection over which it tells of this.
    assert_eq!(blue.connect().ask("GET", "/before", b"").unwrap(), 200);
    eventually("the span is told", || collector.count() == 1);
    let green = Network::with_server("green", collector.clients().pop().unwrap());
    assert_eq!(green.connect().ask("GET", "/beside", b"").unwrap(), 200);
    agent.stop_after(2, |_| true);
    let [blue, green] = [&blue, &green].map(|network| network.server.pid());
    let host = host_name();
    let wanted = [format!("blue {host}:{blue} /before"), format!("green {host}:{green} /beside")];
    assert_eq!(described(&collector.told()), wanted);
}

/// The id of process `pid` in its own namespace.
fn own_pid(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

/// Runs the agent as the first process of a PID namespace `depth` levels down, beside a server
/// that was there before it and one that came later.
fn sidecar(depth: usize, select: (&str, &str), ports: [u16; 2]) {
    let collector = Collector::start();
    let url = collector.url();
    let mut variables = collector.variables(&url).to_vec();
    variables.push(select);
    let container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"].repeat(depth);
    let mut command = Command::new(container[0]);
    command
        .args(&container[1..])
        .args(["sh", "-c", "\"$0\" $1 threads >/dev/null & exec \"$2\""])
        .arg(app("httpd"))
        .arg(ports[0].to_string())
        .arg(agent_binary());
    let agent = Agent::start_as(command, &variables);
    let inside = agent.pid();
    eventually("the first server listens", || TcpStream::connect(("127.0.0.1", ports[0])).is_ok());
    let mut later = Command::new("nsenter");
    later.args(["--pid", "--mount", "--target", &inside.to_string()]);
    later.arg(app("httpd")).arg(ports[1].to_string()).arg("threads").stdout(Stdio::null());
    let later = Server::start(ports[1], &mut later);

    let host = host_name();
    let mut wanted = Vec::new();
    let above = [inside, later.pid()];
    for (port, above) in ports.into_iter().zip(above) {
        let server = descendant(above, &app("httpd")).expect("the server runs");
        let own = own_pid(server);
        assert_ne!(own, server, "a namespace of its own counts its own processes");
        let path = format!("/sidecar-{port}");
        assert_eq!(Client::connect(port).unwrap().ask("GET", &path, b"").unwrap(), 200);
        wanted.push(format!("httpd {host}:{own} {path}"));
    }
    agent.stop_after(2, |_| true);
    assert_eq!(described(&collector.told()), sorted(wanted), "{depth} deep, {select:?}");
}

#[test]
fn an_agent_inside_a_pid_namespace_names_processes_as_they_are_known_there() {
    let name = "an_agent_inside_a_pid_namespace_names_processes_as_they_are_known_there";
    let needs = [Need::App("httpd"), Need::Command("unshare"), Need::Command("nsenter")];
    let Some(_turn) = enter(name, &needs) else { return };
    for depth in [1, 2] {
        let ports = [free_port(), free_port()];
        let list = format!("{},{}", ports[0], ports[1]);
        sidecar(depth, ("OTEL_EBPF_OPEN_PORT", &list), ports);
        sidecar(depth, ("OTEL_EBPF_AUTO_TARGET_EXE", "*/httpd"), [free_port(), free_port()]);
    }
}
