//! Every story through its protocol alone, as both processes see it, whole and in pieces.

use crate::support::drive::{self, Outcome};
use crate::support::fuzz::bytewise;
use crate::support::story::{Event, Story, View, difference};

const VIEWS: [View; 2] = [View::Client, View::Server];

fn stories() -> Vec<Story> {
    Story::all("http1")
}

/// What is wrong with what comes of `events`.
fn wrong(story: &Story, view: View, events: &[Event], how: &str) -> Option<String> {
    let Outcome { spans, counted, .. } = drive::run(view, events);
    let different = difference(&story.spans(view), &spans);
    let miscounted = story.counted != counted;
    (different.is_some() || miscounted).then(|| {
        let counts = format!("counted: expected {:?}, found {counted:?}", story.counted);
        let spans = different.unwrap_or_default();
        format!("story {}, seen from the {view:?}, {how}:\n{spans}{counts}", story.name)
    })
}

fn check(story: &Story, view: View, events: &[Event], how: &str) {
    assert_eq!(wrong(story, view, events, how), None);
}

#[test]
fn every_story_gives_its_spans() {
    let stories = stories();
    let in_both = |story| VIEWS.map(|view| (story, view));
    let wrong: Vec<String> = (stories.iter().flat_map(in_both))
        .filter_map(|(story, view)| wrong(story, view, &story.events, "in one piece"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_story_split_at_any_byte_gives_the_same_spans() {
    for story in stories() {
        let stride = (story.bytes() * story.bytes() / MAX_BYTES).max(1);
        for (n, event) in story.events.iter().enumerate() {
            let Event::Bytes(_, bytes) = event else { continue };
            for at in (1..bytes.len()).step_by(stride) {
                let events = story.split(n, at);
                check(&story, View::Server, &events, &format!("event {n} split at {at}"));
            }
        }
    }
}

#[test]
fn a_story_byte_by_byte_gives_the_same_spans() {
    for story in stories().into_iter().filter(|story| story.bytes() <= MAX_BYTEWISE) {
        for view in VIEWS {
            let bytewise = bytewise(&story.events);
            check(&story, view, &bytewise, "byte by byte");
        }
    }
}

/// Bytes that the splits of one story take together; a long story is split at every n-th byte.
const MAX_BYTES: usize = 100_000_000;

/// Bytes of a story that is fed byte by byte.
const MAX_BYTEWISE: usize = 100_000;
