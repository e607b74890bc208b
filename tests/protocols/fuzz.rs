//! What the fuzzer checks, on the stable toolchain: its corpus, every story, and a fixed number of
//! mutations of both.

use std::fs;
use std::path::PathBuf;

use crate::support::fuzz::{decode, encode, run};
use crate::support::story::{Event, Story, View, files};

/// Mutations of each small input.
const MUTATIONS: usize = 150;

/// Bytes of a small input.
const SMALL: usize = 4096;

fn story_inputs() -> Vec<Vec<u8>> {
    let stories = Story::all("http1");
    let views = [View::Client, View::Server];
    stories.iter().flat_map(|s| views.map(|view| encode(view, &s.events))).collect()
}

fn corpus() -> Vec<Vec<u8>> {
    let read =
        |path: PathBuf| fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    files("tests/fuzz/corpus/http1").into_iter().map(read).collect()
}

#[test]
fn an_input_says_the_same_when_it_is_read_back() {
    let long = |e: &Event| matches!(e, Event::Gap(_, n) if *n > u16::MAX.into());
    let mut stories = Story::all("http1");
    stories.retain(|story| story.bytes() <= SMALL && !story.events.iter().any(long));
    assert!(stories.len() > 40, "{} stories", stories.len());
    for story in stories {
        let (view, events) = decode(&encode(View::Server, &story.events));
        assert_eq!((view, &events), (View::Server, &story.events), "{}", story.name);
    }
}

#[test]
fn the_corpus_and_the_stories_keep_the_rules() {
    corpus().iter().chain(&story_inputs()).for_each(|input| run(input));
}

#[test]
fn mutated_conversations_keep_the_rules() {
    let inputs: Vec<_> =
        corpus().into_iter().chain(story_inputs()).filter(|i| i.len() <= SMALL).collect();
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for input in inputs.iter().flat_map(|input| [input; MUTATIONS]) {
        let other = &inputs[random.below(inputs.len())];
        run(&mutate(input, other, &mut random));
    }
}

/// `input` with a few changes; some take a stretch of `other`.
fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(out.len().max(1));
        let until = (at + random.below(16)).min(out.len());
        match random.below(6) {
            0 => out.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1 << random.below(8)),
            1 => out
                .splice(at..until.min(at + 1), [INTERESTING[random.below(INTERESTING.len())]])
                .for_each(drop),
            2 => drop(out.drain(at..until)),
            3 => out.truncate(at),
            4 => {
                let again = out[at..until].to_vec();
                out.splice(at..at, again);
            }
            _ => {
                let from = random.below(other.len());
                let to = (from + random.below(64)).min(other.len());
                out.splice(at..until, other[from..to].iter().copied());
            }
        }
    }
    out
}

/// Bytes that mean something to the protocol or to the encoding of conversations.
const INTERESTING: &[u8] = b"\r\n :;,0 9f/*\0\x01\x02\x03\x04\x05\x06\x07\xff-";

/// xorshift64: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % n.max(1)
    }
}
