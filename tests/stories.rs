//! Every story as records through the decoder, as both processes see it, whole and in pieces.

mod support {
    pub(crate) mod story;
    pub(crate) mod wire;
}

use std::sync::Arc;

use obi::abi::{ConnEnd, Data, encode_end, types::event_kind};
use obi::model::attrs::AttrValue;
use obi::model::batch::SpanBatch;
use obi::model::conn::Direction;
use obi::model::ids::{ConnId, StreamPos};
use obi::model::span::{SpanHead, SpanStatus};
use obi::semconv::SpanKind;
use obi::stages::decoder::Decoder;
use obi::telemetry::{Counter, Counters};
use support::story::{Event, From, SpanText, Story, View, difference};
use support::wire::{TGID, Wire, data, fact};

const VIEWS: [View; 2] = [View::Client, View::Server];
const CONN: u64 = 7;

/// Captured bytes of one record.
const RECORD_BYTES: usize = 16_384;
/// Splits of one story; a longer one is split at every n-th byte.
const MAX_SPLITS: usize = 2_000;
/// Bytes of a story that is fed byte by byte.
const MAX_BYTEWISE: usize = 70_000;

/// Records in the making.
#[derive(Default)]
struct Script {
    wire: Wire,
    /// Position behind the last record of each direction.
    pos: [u64; 2],
    /// Bytes that moved before their records, per direction: up to which position, and where the
    /// other direction stood.
    late: [(u64, u64); 2],
}

/// The story's events as records, in order, all in one batch.
fn records(view: View, events: &[Event]) -> Wire {
    let mut script = Script::default();
    script.wire.open(CONN);
    let mut events = events.iter().peekable();
    while let Some(event) = events.next() {
        match event {
            Event::Bytes(from, bytes) => {
                let mut hole = 0;
                while let Some(Event::Gap(_, n)) =
                    events.next_if(|e| matches!(e, Event::Gap(gap, _) if gap == from))
                {
                    hole += *n;
                }
                let chunks = bytes.len().div_ceil(RECORD_BYTES);
                for (n, chunk) in bytes.chunks(RECORD_BYTES).enumerate() {
                    let hole = if n + 1 == chunks { hole } else { 0 };
                    script.push(direction(view, *from), chunk, hole);
                }
            }
            Event::Gap(from, n) => script.push(direction(view, *from), b"", *n),
            Event::Late(from, n) => script.late(direction(view, *from), *n),
            Event::End(from) => script.end(direction(view, *from)),
        }
    }
    script.wire
}

impl Script {
    /// One call that moves `head` and behind it `hole` bytes nobody captured; holes beyond 1 GiB
    /// are several calls.
    fn push(&mut self, dir: Direction, head: &[u8], hole: u64) {
        let at = self.pos[dir.index()];
        let (late_to, late_other) = self.late[dir.index()];
        let other = if at < late_to { late_other } else { self.moved(dir.flip()) };
        let first = u32::try_from(hole.min(1 << 30)).unwrap_or(u32::MAX);
        let mut pos = [other; 2];
        pos[dir.index()] = at;
        let call = data(self.wire.tick(), CONN, dir, pos, head);
        let bytes = call.bytes + first;
        self.wire.push(&Data { bytes, ..call });
        self.pos[dir.index()] += u64::from(bytes);
        if hole > u64::from(first) {
            self.push(dir, b"", hole - u64::from(first));
        }
    }

    /// The next `n` bytes move now, and their records come later.
    fn late(&mut self, dir: Direction, n: u64) {
        self.late[dir.index()] = (self.pos[dir.index()] + n, self.moved(dir.flip()));
    }

    /// Position behind the last byte that moved.
    fn moved(&self, dir: Direction) -> u64 {
        self.pos[dir.index()].max(self.late[dir.index()].0)
    }

    /// That direction has no more: receive returns 0, or our end shuts down.
    fn end(&mut self, dir: Direction) {
        let ktime = self.wire.tick();
        match dir {
            Direction::Recv => {
                let call = data(ktime, CONN, dir, self.pos, b"");
                self.wire.push(&Data { eof: true, ..call });
            }
            Direction::Send => {
                let finals = self.pos.map(StreamPos);
                let (conn, seen) = (ConnId(CONN), self.pos);
                let end = ConnEnd { ktime, conn, finals, seen, error: 0, skipped_calls: 0 };
                let mut record = Vec::new();
                encode_end(event_kind::EVENT_KIND_CONN_SHUT, &end, &mut record);
                self.wire.batch.push(&record);
            }
        }
    }
}

fn direction(view: View, from: From) -> Direction {
    match (view, from) {
        (View::Client, From::Client) | (View::Server, From::Server) => Direction::Send,
        _ => Direction::Recv,
    }
}

/// What the decoder makes of the events: spans in the order of their requests, and counts.
fn run(view: View, events: &[Event]) -> (Vec<SpanText>, Vec<String>) {
    let counters = Arc::new(Counters::default());
    let mut decoder = Decoder::new(1, Arc::clone(&counters));
    decoder.fact(fact(TGID, "story"));
    let mut out = SpanBatch::default();
    decoder.decode(&records(view, events).batch, &mut out);
    decoder.finish(&mut out);
    for stage in decoder.ledger() {
        assert!(stage.balanced(), "{stage:?}");
        assert_eq!(stage.in_flight, 0, "{stage:?}");
    }
    out.spans.sort_by_key(|span| span.times.start);
    let kind = if view == View::Server { SpanKind::Server } else { SpanKind::Client };
    assert!(out.spans.iter().all(|span| span.family.kind() == kind));
    (out.spans.iter().map(|span| text(&out, span)).collect(), counted(&counters))
}

fn counted(counters: &Counters) -> Vec<String> {
    let mut events = Vec::new();
    for counter in Counter::ALL {
        let name = match counter {
            Counter::StreamsLost => "lost",
            Counter::Tunnels => "tunnel",
            Counter::ResponseWithoutRequest => "orphan",
            Counter::PairingAmbiguous => "ambiguous",
            c if c.name() == Counter::StreamsLost.name() => c.reason(),
            _ => continue,
        };
        events.extend((0..counters.get(*counter)).map(|_| name.to_owned()));
    }
    events.sort();
    events
}

/// A span as a story writes it.
fn text(batch: &SpanBatch, head: &SpanHead) -> SpanText {
    let mut span = SpanText::new();
    for (key, value) in batch.attrs_of(head) {
        let value = match value {
            AttrValue::I64(n) => n.to_string(),
            AttrValue::Bool(b) => b.to_string(),
            AttrValue::Static(s) => (*s).to_string(),
            AttrValue::Text(r) => batch.text_of(*r).to_string(),
        };
        let before = span.insert(key.name().to_string(), value);
        assert_eq!(before, None, "{} was written twice", key.name());
    }
    let status = match head.status {
        SpanStatus::Unset => "unset",
        SpanStatus::Error => "error",
    };
    span.insert("status".into(), status.into());
    if !head.ctx.parent_id.is_none() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let (trace, parent) = (hex(&head.ctx.trace_id.0), hex(&head.ctx.parent_id.0));
        span.insert("traceparent".into(), format!("{trace}-{parent}-{:02x}", head.ctx.flags));
    }
    span
}

fn check(story: &Story, view: View, events: &[Event], how: &str) {
    let (spans, counted) = run(view, events);
    let name = &story.name;
    if let Some(text) = difference(&story.spans(view), &spans) {
        panic!("story {name}, seen from the {view:?}, {how}:\n{text}");
    }
    assert_eq!(story.counted, counted, "story {name}, seen from the {view:?}, {how}: counted");
}

#[test]
fn every_story_gives_its_spans_through_the_decoder() {
    let stories = Story::all("http1");
    for story in &stories {
        for view in VIEWS {
            check(story, view, &story.events, "in one piece");
        }
    }
    assert!(!stories.is_empty());
}

#[test]
fn every_call_of_a_story_split_in_two_at_any_byte_gives_the_same_spans() {
    let mut splits = 0;
    for story in Story::all("http1") {
        let stride = (story.bytes() / MAX_SPLITS).max(1);
        for (n, event) in story.events.iter().enumerate() {
            let Event::Bytes(_, bytes) = event else { continue };
            for at in (1..bytes.len()).step_by(stride) {
                let events = story.split(n, at);
                let view = VIEWS[at % 2];
                check(&story, view, &events, &format!("event {n} split at {at}"));
                splits += 1;
            }
        }
    }
    assert!(splits > 0);
}

#[test]
fn a_story_byte_by_byte_gives_the_same_spans() {
    let stories = Story::all("http1").into_iter().filter(|story| story.bytes() <= MAX_BYTEWISE);
    let mut stories_run = 0;
    for story in stories {
        let bytewise: Vec<_> = story.events.iter().flat_map(single_bytes).collect();
        for view in VIEWS {
            check(&story, view, &bytewise, "byte by byte");
        }
        stories_run += 1;
    }
    assert!(stories_run > 0);
}

fn single_bytes(event: &Event) -> Vec<Event> {
    match event {
        Event::Bytes(from, bytes) => bytes.iter().map(|b| Event::Bytes(*from, vec![*b])).collect(),
        other => vec![other.clone()],
    }
}
