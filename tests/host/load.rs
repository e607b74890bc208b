//! A load generator that counts what it did: open loop at a fixed rate, or closed loop.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
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

    fn add(&mut self, other: Self) {
        for (status, count) in other.by_status {
            *self.by_status.entry(status).or_default() += count;
        }
        self.errors += other.errors;
        self.latencies.extend(other.latencies);
    }

    pub(crate) fn line(&mut self) -> String {
        self.latencies.sort_unstable();
        let at = |share: usize| self.latencies.get(self.latencies.len() * share / 1000).copied();
        let rate = self.answered() as f64 / self.elapsed.as_secs_f64();
        let [p50, p99] = [500, 990].map(|share| at(share).unwrap_or(0));
        let statuses = &self.by_status;
        format!(
            "{rate:.0} requests/s, p50 {p50} µs, p99 {p99} µs, {statuses:?}, {} errors",
            self.errors
        )
    }
}

impl Load {
    /// Sends everything: request n goes over connection n modulo `connections`.
    pub(crate) fn run(self) -> Report {
        let began = Instant::now();
        let workers: Vec<_> = (0..self.connections)
            .map(|worker| {
                std::thread::Builder::new()
                    .name(format!("load-{worker}"))
                    .stack_size(256 * 1024)
                    .spawn(move || self.work(worker, began))
                    .unwrap()
            })
            .collect();
        let mut all = Report::default();
        for worker in workers {
            all.add(worker.join().unwrap());
        }
        all.elapsed = began.elapsed();
        all
    }

    fn work(self, worker: u64, began: Instant) -> Report {
        let mut report = Report::default();
        let mut connection = None;
        for number in (worker..self.requests).step_by(usize::try_from(self.connections).unwrap()) {
            let planned = match self.rate {
                Some(rate) => began + Duration::from_nanos(number * 1_000_000_000 / rate),
                None => Instant::now(),
            };
            std::thread::sleep(planned.saturating_duration_since(Instant::now()));
            match self.exchange(&mut connection, number) {
                Ok(status) => *report.by_status.entry(status).or_default() += 1,
                Err(_) => {
                    report.errors += 1;
                    connection = None;
                }
            }
            report.latencies.push(u32::try_from(planned.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        report
    }

    fn exchange(self, connection: &mut Option<Client>, number: u64) -> io::Result<u16> {
        let client = match connection {
            Some(client) => client,
            None => connection.insert(Client::connect(self.port)?),
        };
        let (method, path, body) = (self.plan)(number);
        client.ask(method, &path, &vec![b'b'; body])
    }
}

/// One keep-alive connection that reads answers with a Content-Length or none.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(crate::patience()))?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
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
