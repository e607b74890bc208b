//! The allocation budget of the hot path: none, once the decoder is warm.

mod support {
    pub(crate) mod allocations;
    pub(crate) mod wire;
}

use std::sync::Arc;

use obi::model::batch::SpanBatch;
use obi::model::conn::Direction;
use obi::stages::decoder::Decoder;
use obi::telemetry::Counters;
use support::allocations::allocations;
use support::wire::{TGID, Wire, data, fact};

const REQUEST: &[u8] = b"GET /api/items/42?full=1 HTTP/1.1\r\nHost: shop.example\r\n\
    User-Agent: test\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CONNECTIONS: usize = 10;
const EXCHANGES_A_BATCH: usize = 100;

/// Exchanges on kept connections: each is read, makes a call of its own, and is answered.
struct Traffic {
    wire: Wire,
    pos: Vec<[u64; 2]>,
}

impl Traffic {
    fn new() -> Self {
        let mut wire = Wire::default();
        (0..2 * CONNECTIONS).for_each(|conn| wire.open(conn as u64));
        Self { wire, pos: vec![[0; 2]; 2 * CONNECTIONS] }
    }

    fn moves(&mut self, conn: usize, dir: Direction, bytes: &[u8]) {
        let pos = &mut self.pos[conn];
        let ktime = self.wire.tick();
        self.wire.push(&data(ktime, conn as u64, dir, *pos, bytes));
        pos[dir.index()] += bytes.len() as u64;
    }

    /// Half of the exchanges are server exchanges, half the calls they make.
    fn batch(&mut self) {
        for n in 0..EXCHANGES_A_BATCH / 2 {
            let (server, client) = (n % CONNECTIONS, CONNECTIONS + n % CONNECTIONS);
            self.moves(server, Direction::Recv, REQUEST);
            self.moves(client, Direction::Send, REQUEST);
            self.moves(client, Direction::Recv, RESPONSE);
            // A response in two calls goes through the reassembly buffer.
            let (head, rest) = RESPONSE.split_at(20);
            self.moves(server, Direction::Send, head);
            self.moves(server, Direction::Send, rest);
        }
    }
}

#[test]
fn ten_thousand_exchanges_on_kept_connections_allocate_nothing() {
    let mut decoder = Decoder::new(1, Arc::new(Counters::default()));
    decoder.fact(fact(TGID, "svc"));
    let (mut traffic, mut out) = (Traffic::new(), SpanBatch::default());
    let mut run = |exchanges: usize| {
        let (mut spans, mut counted) = (0, 0);
        for _ in 0..exchanges / EXCHANGES_A_BATCH {
            traffic.batch();
            counted += allocations(|| decoder.decode(&traffic.wire.batch, &mut out));
            spans += out.spans.len();
            out.clear();
            traffic.wire.batch.clear(usize::MAX);
        }
        (spans, counted)
    };
    let (spans, counted) = run(1_000);
    assert_eq!(spans, 1_000);
    assert!(counted > 0, "the counter sees the warm-up");
    assert_eq!(run(10_000), (10_000, 0));
}
