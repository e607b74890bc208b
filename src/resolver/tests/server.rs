//! A name server for tests, over UDP and TCP, that misbehaves on demand and counts what it is asked.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::Builder;

use crate::resolver::Setup;

/// What it says to a question.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Says {
    /// This name.
    Name(&'static str),
    /// The same, behind an alias.
    Alias(&'static str),
    /// This name, behind answers to other questions.
    OthersFirst(&'static str),
    /// This name, over TCP.
    Longer(&'static str),
    /// There is no such name.
    Nobody,
    /// There is, without this record.
    NoRecord,
    /// It does not want to.
    Refuses,
    /// A name without an end.
    Endless,
    /// Nothing.
    Silence,
}

/// The server. It ends with the process.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<HashMap<String, u64>>>,
}

impl Server {
    /// One that knows these addresses.
    pub(crate) fn start(names: &[(&str, Says)]) -> Self {
        loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = udp.local_addr().unwrap();
            // The port may be taken for TCP.
            if let Ok(tcp) = TcpListener::bind(address) {
                return Self::serve(udp, tcp, names);
            }
        }
    }

    /// The same at an address that is free.
    pub(crate) fn start_at(address: SocketAddr, names: &[(&str, Says)]) -> Self {
        let (udp, tcp) = (UdpSocket::bind(address).unwrap(), TcpListener::bind(address).unwrap());
        Self::serve(udp, tcp, names)
    }

    fn serve(udp: UdpSocket, tcp: TcpListener, names: &[(&str, Says)]) -> Self {
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let names: HashMap<String, Says> =
            names.iter().map(|(address, says)| (reverse(address), *says)).collect();
        let zone = Zone { names, asked: Arc::clone(&asked) };
        let over_tcp = zone.clone();
        let thread = || Builder::new().name("name server".to_owned());
        thread().spawn(move || zone.by_udp(&udp)).unwrap();
        thread().spawn(move || over_tcp.by_tcp(&tcp)).unwrap();
        Self { address, asked }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it was asked for an address.
    pub(crate) fn asked(&self, address: &str) -> u64 {
        self.asked.lock().unwrap().get(&reverse(address)).copied().unwrap_or_default()
    }

    /// A system that asks it, and has these lines in `hosts`.
    pub(crate) fn setup(&self, dir: &Path, hosts: &str) -> Setup {
        setup(dir, hosts, &[self.address])
    }
}

/// A system that asks these servers, all of one port.
pub(crate) fn setup(dir: &Path, hosts: &str, servers: &[SocketAddr]) -> Setup {
    let setup = Setup {
        hosts: dir.join("hosts"),
        resolv_conf: dir.join("resolv.conf"),
        port: servers[0].port(),
    };
    let lines: String = servers.iter().map(|s| format!("nameserver {}\n", s.ip())).collect();
    std::fs::write(&setup.hosts, hosts).unwrap();
    std::fs::write(&setup.resolv_conf, lines + "options timeout:1 attempts:2\n").unwrap();
    setup
}

/// `7.0.0.10.in-addr.arpa.`
fn reverse(address: &str) -> String {
    match address.parse().unwrap() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(v6) => {
            let digits = format!("{:032x}", u128::from(v6));
            let labels: String = digits.chars().rev().flat_map(|digit| [digit, '.']).collect();
            labels + "ip6.arpa."
        }
    }
}

#[derive(Clone)]
struct Zone {
    names: HashMap<String, Says>,
    asked: Arc<Mutex<HashMap<String, u64>>>,
}

impl Zone {
    fn by_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            for answer in self.answers(&buffer[..length], false) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    }

    fn by_tcp(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question).unwrap();
            for answer in self.answers(&question, true) {
                let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                stream.write_all(&[&length[..], &answer].concat()).unwrap();
            }
        }
    }

    fn answers(&self, question: &[u8], whole: bool) -> Vec<Vec<u8>> {
        let name = name(&question[12..]);
        *self.asked.lock().unwrap().entry(name.clone()).or_default() += 1;
        let says = *self.names.get(&name).unwrap_or(&Says::Nobody);
        let ptr = |name: &str| record(&[0xc0, 12], 12, &labels(name));
        vec![match says {
            Says::Silence => return Vec::new(),
            Says::Name(name) => message(question, 0, &[ptr(name)]),
            Says::Alias(name) => {
                let alias = labels("7.net.example.");
                let records = [record(&[0xc0, 12], 5, &alias), record(&alias, 12, &labels(name))];
                message(question, 0, &records)
            }
            Says::OthersFirst(name) => {
                let right = message(question, 0, &[ptr(name)]);
                let wrong = message(question, 0, &[ptr("wrong.example.")]);
                let mut other_id = wrong.clone();
                other_id[1] ^= 1;
                let mut other_question = wrong.clone();
                other_question[13] ^= 1;
                let mut no_answer = wrong;
                no_answer[2] ^= 0x80;
                return vec![other_id, other_question, no_answer, vec![0; 3], right];
            }
            Says::Longer(name) if whole => message(question, 0, &[ptr(name)]),
            Says::Longer(_) => {
                let mut cut = message(question, 0, &[]);
                cut[2] |= 2;
                cut
            }
            Says::Nobody => message(question, 3, &[]),
            Says::NoRecord => message(question, 0, &[]),
            Says::Refuses => message(question, 5, &[]),
            Says::Endless => {
                // Points to itself.
                let at = u16::try_from(question.len() + 12).unwrap() | 0xc000;
                message(question, 0, &[record(&[0xc0, 12], 12, &at.to_be_bytes())])
            }
        }]
    }
}

fn name(mut labels: &[u8]) -> String {
    let mut name = String::new();
    while labels[0] > 0 {
        let (label, rest) = labels[1..].split_at(usize::from(labels[0]));
        name += std::str::from_utf8(label).unwrap();
        name += ".";
        labels = rest;
    }
    name
}

/// A name, whose labels end with dots, as a message has it.
pub(crate) fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split_terminator('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A record of class IN.
pub(crate) fn record(owner: &[u8], kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [owner, &[0, kind, 0, 1, 0, 0, 1, 0], &length, data].concat()
}

/// An answer to `question`.
pub(crate) fn message(question: &[u8], code: u8, records: &[Vec<u8>]) -> Vec<u8> {
    let answers = u16::try_from(records.len()).unwrap().to_be_bytes();
    let head = [&question[..2], &[0x81, 0x80 | code, 0, 1], &answers, &[0, 0, 0, 0]].concat();
    [&head, &question[12..], &records.concat()].concat()
}
