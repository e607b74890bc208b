//! Conversations as bytes, for the fuzzer, and what must hold of each of them.
//!
//! ```text
//! input = view *event          view: 0 = client's process, else server's
//! event = op [length] [data]   op: bit 0 = side; bits 1-2: 0 = bytes, 1 = late, 2 = gap, 3 = end
//! ```
//!
//! `length` is 16 bits, little-endian; bytes beyond the input's end are not there,
//! and nothing comes from a side that ended.

use super::drive::{self, Outcome};
use super::story::{Event, From, View};

/// Bytes of a conversation that is also run byte by byte.
const MAX_BYTEWISE: usize = 1 << 14;

/// Bytes that the state of one connection may take, as its `Debug` text: a rough bound, so that
/// state which grows with the traffic is found.
const MAX_STATE_TEXT: usize = 64 * 1024;

/// Runs a conversation. Panics when a rule of the protocol trait is broken (see the asserts of
/// [`drive`]), when the state grows without bound, or when cutting the bytes differently changes
/// what comes out although nothing was missing or malformed.
pub(crate) fn run(input: &[u8]) {
    let (view, events) = decode(input);
    let whole = drive::run(view, &events);
    assert!(whole.state_text <= MAX_STATE_TEXT, "state of {} bytes", whole.state_text);
    let bytes: usize =
        events.iter().map(|e| if let Event::Bytes(_, b) = e { b.len() } else { 0 }).sum();
    let clean = !events.iter().any(|e| matches!(e, Event::Gap(..)))
        && whole.counted.iter().all(|c| c == "tunnel" || c == "orphan");
    if clean && bytes <= MAX_BYTEWISE {
        let Outcome { spans, counted, .. } = drive::run(view, &bytewise(&events));
        assert_eq!((whole.spans, whole.counted), (spans, counted), "byte by byte");
    }
}

/// The events with one byte in each call.
pub(crate) fn bytewise(events: &[Event]) -> Vec<Event> {
    let single = |event: &Event| match event {
        Event::Bytes(from, bytes) => bytes.iter().map(|b| Event::Bytes(*from, vec![*b])).collect(),
        other => vec![other.clone()],
    };
    events.iter().flat_map(single).collect()
}

/// A conversation of an input.
pub(crate) fn decode(input: &[u8]) -> (View, Vec<Event>) {
    let Some((view, mut rest)) = input.split_first() else { return (View::Client, vec![]) };
    let view = if *view == 0 { View::Client } else { View::Server };
    let mut events = vec![];
    while let Some((op, after)) = rest.split_first() {
        let from = if op & 1 == 0 { From::Client } else { From::Server };
        rest = after;
        if op >> 1 & 3 == 3 {
            events.push(Event::End(from));
            continue;
        }
        let Some((length, after)) = rest.split_first_chunk() else { break };
        let length = usize::from(u16::from_le_bytes(*length));
        rest = after;
        match op >> 1 & 3 {
            1 => events.push(Event::Late(from, length as u64)),
            2 => events.push(Event::Gap(from, length as u64)),
            _ => {
                let (bytes, behind) = after.split_at(length.min(after.len()));
                events.push(Event::Bytes(from, bytes.to_vec()));
                rest = behind;
            }
        }
    }
    let mut ended = [false; 2];
    events.retain(|event| {
        let (from, end) = match event {
            Event::Bytes(from, _) | Event::Gap(from, _) | Event::Late(from, _) => (from, false),
            Event::End(from) => (from, true),
        };
        let ended = &mut ended[usize::from(*from == From::Server)];
        !std::mem::replace(ended, *ended || end)
    });
    (view, events)
}

/// The input of a conversation. Long events become several.
pub(crate) fn encode(view: View, events: &[Event]) -> Vec<u8> {
    let mut input = vec![u8::from(view == View::Server)];
    let mut event = |kind: u8, from: From, length: Option<usize>, data: &[u8]| {
        input.push(kind << 1 | u8::from(from == From::Server));
        let length = length.map(|n| u16::try_from(n).unwrap_or(u16::MAX).to_le_bytes());
        input.extend(length.into_iter().flatten());
        input.extend(data);
    };
    for e in events {
        match e {
            Event::Bytes(from, bytes) => {
                let chunks = bytes.chunks(usize::from(u16::MAX));
                chunks.for_each(|chunk| event(0, *from, Some(chunk.len()), chunk));
            }
            Event::Late(from, n) => event(1, *from, usize::try_from(*n).ok(), b""),
            Event::Gap(from, n) => event(2, *from, usize::try_from(*n).ok(), b""),
            Event::End(from) => event(3, *from, None, b""),
        }
    }
    input
}
