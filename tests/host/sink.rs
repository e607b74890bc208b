//! An OTLP endpoint that counts what is posted to it and answers 200.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs in a thread of its own until the test process ends.
pub(crate) struct Sink {
    pub(crate) url: String,
    bytes: Arc<AtomicU64>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bytes = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&bytes);
        std::thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || {
                for stream in listener.incoming() {
                    swallow(&stream.unwrap(), &count);
                }
            })
            .unwrap();
        Self { url, bytes }
    }

    /// Bytes that came in.
    pub(crate) fn received(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }
}

fn swallow(mut stream: &TcpStream, count: &AtomicU64) {
    let mut buffer = [0; 65536];
    while let Ok(got @ 1..) = stream.read(&mut buffer) {
        count.fetch_add(got as u64, Ordering::SeqCst);
        // The pieces of a long message are each answered; the sink is for silence.
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}
