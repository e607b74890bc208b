//! The decoder on records that are not what the kernel writes: the fuzzer's corpus, and a fixed
//! number of mutations, on the stable toolchain.

#![expect(clippy::unwrap_used, reason = "a test panics when it cannot go on")]

#[path = "support/records.rs"]
mod records;
#[path = "support/wire.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod wire;

use std::fs;
use std::path::PathBuf;

use obi::abi::{ConnEnd, encode_end, types};
use obi::model::conn::Direction::{Recv, Send};
use obi::model::ids::{ConnId, StreamPos};
use wire::{Wire, data};

/// Mutations of each input.
const MUTATIONS: usize = 2_000;
const CORPUS: &str = "tests/fuzz/corpus/records";

/// An exchange with its connection's beginning and end, as the kernel writes it.
fn exchange() -> Vec<u8> {
    let mut wire = Wire::default();
    wire.open(1);
    let request = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let at = wire.tick();
    wire.push(&data(at, 1, Recv, [0; 2], request));
    let at = wire.tick();
    wire.push(&data(at, 1, Send, [0, request.len() as u64], response));
    let end = ConnEnd {
        ktime: wire.tick(),
        conn: ConnId(1),
        finals: [StreamPos(response.len() as u64), StreamPos(request.len() as u64)],
        seen: [response.len() as u64, request.len() as u64],
        error: 0,
        skipped_calls: 0,
    };
    let mut record = Vec::new();
    encode_end(types::event_kind::EVENT_KIND_CONN_CLOSE, &end, &mut record);
    wire.batch.push(&record);
    records::input(wire.batch.iter())
}

fn corpus() -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(CORPUS).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{CORPUS} holds the inputs that were interesting once");
    files.iter().map(|file| fs::read(file).unwrap()).chain([exchange()]).collect()
}

#[test]
fn the_corpus_keeps_the_rules() {
    corpus().iter().for_each(|input| records::run(input));
}

#[test]
fn mutated_records_keep_the_rules() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % n.max(1) as u64).unwrap()
    };
    for input in corpus() {
        for _ in 0..MUTATIONS {
            let mut mutant = input.clone();
            for _ in 0..=below(4) {
                let at = below(mutant.len());
                match below(3) {
                    0 => mutant[at] ^= 1 << below(8),
                    1 => mutant[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
                    _ => mutant.truncate(at.max(1)),
                }
            }
            records::run(&mutant);
        }
    }
}

/// Writes the exchange into the corpus: once, when its form changed.
#[test]
fn the_corpus_holds_the_exchange_of_today() {
    let file = PathBuf::from(CORPUS).join("exchange");
    let stale = fs::read(&file).ok() != Some(exchange());
    assert!(!stale || std::env::var_os("UPDATE_CORPUS").is_some(), "run with UPDATE_CORPUS=1");
    if stale {
        fs::write(file, exchange()).unwrap();
    }
}
