//! Batches that wait for names of addresses: in the order in which they came, and never for long.

use std::collections::VecDeque;
use std::time::Instant;

use crossbeam_channel::{Receiver, select};

use super::names::{Names, Wanted};
use super::{Decorator, Output};
use crate::model::batch::SpanBatch;
use crate::model::time::instant_now;
use crate::resolver::Answer;
use crate::telemetry::{Counter, Counters};

/// Spans that wait at most; beyond, the oldest go on without their names.
pub(super) const WAITING_SPANS: usize = 16_384;
/// The same in bytes of their text.
pub(super) const WAITING_TEXT: usize = 16 << 20;

/// The batches.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    batches: VecDeque<(SpanBatch, Wanted)>,
    spans: usize,
    /// Bytes of their text.
    text: usize,
}

impl Waiting {
    /// Takes a batch that waits for `wanted`, and for those before it.
    pub(super) fn push(&mut self, batch: SpanBatch, wanted: Wanted) {
        self.spans += batch.spans.len();
        self.text += batch.text.len();
        self.batches.push_back((batch, wanted));
    }

    /// The oldest batch, if it has waited enough.
    pub(super) fn pop(
        &mut self,
        names: &Names,
        counters: &Counters,
        now: Instant,
    ) -> Option<SpanBatch> {
        let (batch, wanted) = self.batches.front_mut()?;
        while wanted.addresses.pop_if(|address| !names.is_asked(*address)).is_some() {}
        let complete = wanted.addresses.is_empty();
        let has_room = self.spans <= WAITING_SPANS && self.text <= WAITING_TEXT;
        if !complete && wanted.until > now && has_room {
            return None;
        }
        if !complete || wanted.overdue {
            let ends = batch.spans.iter().map(|span| [span.ends.client, span.ends.server]);
            let late = ends.filter(|ends| ends.iter().any(|end| names.is_asked(end.addr)));
            counters.add(Counter::SpansNamedLate, late.count() as u64);
        }
        self.spans -= batch.spans.len();
        self.text -= batch.text.len();
        self.batches.pop_front().map(|(batch, _)| batch)
    }

    /// How long the oldest batch waits; `None` = there is none.
    fn until(&self) -> Option<Instant> {
        self.batches.front().map(|(_, wanted)| wanted.until)
    }

    /// Nobody waits any longer.
    fn give_up(&mut self, now: Instant) {
        self.batches.iter_mut().for_each(|(_, wanted)| wanted.until = now);
    }
}

/// What happens next.
enum Next {
    Batch(SpanBatch),
    Answer(Answer),
    /// The oldest batch has waited long enough.
    Time,
    /// Whoever answers is gone.
    NoAnswers,
    /// The decoder has hung up.
    End,
}

impl Decorator {
    /// Decorates batches until the sender is gone, those whose addresses have no name yet as soon as
    /// they have one.
    pub(super) fn run_with_answers(
        mut self,
        rx: &Receiver<SpanBatch>,
        answers: &Receiver<Answer>,
        outputs: &mut [Output],
    ) {
        let mut waiting = Waiting::default();
        let mut open = true;
        while open || waiting.until().is_some() {
            match next(rx, answers, waiting.until(), open) {
                Next::Batch(batch) => {
                    answers.try_iter().for_each(|answer| self.names.learn(answer));
                    let batch = self.begin(batch);
                    let wanted = self.names.want(&batch, instant_now());
                    waiting.push(batch, wanted);
                }
                Next::Answer(answer) => self.names.learn(answer),
                Next::Time => {}
                Next::NoAnswers => waiting.give_up(instant_now()),
                Next::End => open = false,
            }
            let now = instant_now();
            while let Some(batch) = waiting.pop(&self.names, &self.counters, now) {
                self.hand_on(batch, outputs);
            }
            self.counters.set_waiting(waiting.spans);
        }
    }
}

fn next(
    rx: &Receiver<SpanBatch>,
    answers: &Receiver<Answer>,
    until: Option<Instant>,
    open: bool,
) -> Next {
    let batch = |received: Result<SpanBatch, _>| received.map_or(Next::End, Next::Batch);
    let answer = |received: Result<Answer, _>| received.map_or(Next::NoAnswers, Next::Answer);
    let Some(until) = until else { return batch(rx.recv()) };
    let left = until.saturating_duration_since(instant_now());
    if !open {
        return match answers.recv_timeout(left) {
            Err(error) if error.is_timeout() => Next::Time,
            received => received.map_or(Next::NoAnswers, Next::Answer),
        };
    }
    select! {
        recv(rx) -> received => batch(received),
        recv(answers) -> received => answer(received),
        default(left) => Next::Time,
    }
}
