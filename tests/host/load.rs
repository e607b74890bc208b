//! A load generator that counts what it did: open loop at a fixed rate, or closed loop.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// What to send, by the request's number: method, path, body size.
pub(crate) type Plan = fn(u64) -> (&'static str, String, usize);

/// How to send it.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) connections: u64,
    /// Requests in all.
    pub(crate) requests: u64,
    /// Requests a second over all connections; `None` sends each as soon as the last is
    /// answered.
    pub(crate) rate: Option<u64>,
    pub(crate) plan: Plan,
}

/// What happened, as the client saw it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) by_status: BTreeMap<u16, u64>,
    pub(crate) errors: u64,
    pub(crate) elapsed: Duration,
    /// Answer times in µs; in an open loop from the planned start, so that waiting counts.
    latencies: Vec<u32>,
}

impl Report {
    pub(crate) fn answered(&self) -> u64 {
        self.by_status.values().sum()
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (status, count) in other.by_status {
            *self.by_status.entry(status).or_default() += count;
        }
        self.errors += other.errors;
        self.latencies.extend(other.latencies);
    }

    fn note(&mut self, result: io::Result<u16>, asked: Instant) {
        match result {
            Ok(status) => *self.by_status.entry(status).or_default() += 1,
            Err(_) => self.errors += 1,
        }
        self.latencies.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
    }

    /// Answer times that so many of a thousand stay below, in µs.
    pub(crate) fn latencies<const N: usize>(&mut self, shares: [usize; N]) -> [u32; N] {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        let at = |share: usize| self.latencies.get((self.latencies.len() * share / 1000).min(last));
        shares.map(|share| at(share).copied().unwrap_or(0))
    }

    pub(crate) fn line(&mut self) -> String {
        let rate = self.answered() as f64 / self.elapsed.as_secs_f64();
        let [p50, p99] = self.latencies([500, 990]);
        let statuses = &self.by_status;
        format!(
            "{rate:.0} requests/s, p50 {p50} µs, p99 {p99} µs, {statuses:?}, {} errors",
            self.errors
        )
    }
}

impl Load {
    /// Sends everything: request n by thread n modulo `connections`, each over one connection.
    pub(crate) fn run(self) -> Report {
        self.start(Connections::Kept).wait()
    }

    /// Sends in the background until everything is sent.
    pub(crate) fn start(self, connections: Connections) -> Running {
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let client = Builder::new().name("load".to_owned());
        let client = client.spawn(move || self.drive(connections, &stop)).unwrap();
        Running { done, client }
    }

    fn drive(self, connections: Connections, done: &AtomicBool) -> Report {
        let began = Instant::now();
        let mut all = Report::default();
        std::thread::scope(|scope| {
            let worker = |worker| {
                Builder::new()
                    .name(format!("load-{worker}"))
                    .stack_size(256 * 1024)
                    .spawn_scoped(scope, move || self.work(worker, began, connections, done))
                    .unwrap()
            };
            let workers: Vec<_> = (0..self.connections).map(worker).collect();
            workers.into_iter().for_each(|worker| all.add(worker.join().unwrap()));
        });
        all.elapsed = began.elapsed();
        all
    }

    fn work(
        self,
        worker: u64,
        began: Instant,
        connections: Connections,
        done: &AtomicBool,
    ) -> Report {
        let mut report = Report::default();
        let mut client = None;
        for number in (worker..self.requests).step_by(usize::try_from(self.connections).unwrap()) {
            let planned = match self.rate {
                Some(rate) => began + Duration::from_nanos(number * 1_000_000_000 / rate),
                None => Instant::now(),
            };
            std::thread::sleep(planned.saturating_duration_since(Instant::now()));
            if done.load(Ordering::SeqCst) {
                break;
            }
            let result = self.exchange(&mut client, connections, number);
            if result.is_err() || connections == Connections::New {
                client = None;
            }
            report.note(result, planned);
        }
        report
    }

    fn exchange(
        self,
        client: &mut Option<Client>,
        connections: Connections,
        number: u64,
    ) -> io::Result<u16> {
        let client = match (client, connections) {
            (Some(client), _) => client,
            (none, Connections::Kept) => none.insert(Client::connect(self.port)?),
            (none, Connections::New) => {
                let last = u8::try_from(number % u64::from(LOOPBACKS)).unwrap() + 1;
                none.insert(Client::connect_to(([127, 0, 0, last], self.port).into())?)
            }
        };
        let (method, path, body) = (self.plan)(number);
        client.ask(method, &path, &vec![b'b'; body])
    }
}

/// What requests share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    /// Each connection carries one request after the other.
    Kept,
    /// Each request has its own, to the addresses 127.0.0.1 to [`LOOPBACKS`] in turn.
    New,
}

/// Addresses that a server listens on for many connections a minute: a client has some 28,000
/// ports for each, and a port rests for a minute after its connection.
pub(crate) const LOOPBACKS: u8 = 8;

/// A load in the background.
pub(crate) struct Running {
    done: Arc<AtomicBool>,
    client: JoinHandle<Report>,
}

impl Running {
    /// Waits until everything is sent.
    pub(crate) fn wait(self) -> Report {
        self.client.join().unwrap()
    }

    /// Sends no more.
    pub(crate) fn stop(self) -> Report {
        self.done.store(true, Ordering::SeqCst);
        self.wait()
    }
}

/// Opens so many connections at once, in turn, and keeps them.
pub(crate) fn crowd(port: u16, connections: usize) -> Vec<Client> {
    (0..connections).map(|_| Client::connect(port).unwrap()).collect()
}

/// Asks once over each of them; `path` is followed by the connection's number.
pub(crate) fn ask_each(clients: &mut [Client], path: &str) -> Report {
    let (mut report, began) = (Report::default(), Instant::now());
    for (number, client) in clients.iter_mut().enumerate() {
        let asked = Instant::now();
        report.note(client.ask("GET", &format!("{path}{number}"), b""), asked);
    }
    report.elapsed = began.elapsed();
    report
}

/// One keep-alive connection that reads answers with a Content-Length or none.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        Self::connect_to(([127, 0, 0, 1], port).into())
    }

    fn connect_to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(crate::patience()))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub(crate) fn local_port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }

    /// One exchange: its status.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<u16> {
        let length = match body.len() {
            0 => String::new(),
            n => format!("Content-Length: {n}\r\n"),
        };
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{length}\r\n").into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request)?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<u16> {
        self.buffer.clear();
        let head = loop {
            self.more()?;
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).into_owned();
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status"))?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        if text.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            while !self.buffer.ends_with(b"0\r\n\r\n") {
                self.more()?;
            }
        }
        while self.buffer.len() < head + length.unwrap_or(0) {
            self.more()?;
        }
        Ok(status)
    }

    fn more(&mut self) -> io::Result<()> {
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&piece[..count]);
                Ok(())
            }
        }
    }
}
