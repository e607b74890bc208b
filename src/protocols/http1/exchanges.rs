//! Which request a response answers.
//!
//! As long as nothing is lost it is the oldest one that waits. Behind a loss the order is not
//! enough, because nobody knows how many requests or responses are missing; what decides then is
//! where the other direction stood when a message moved ([`Position::other`]). A client that does
//! not pipeline sends a request when all answers before it are there, so between the response
//! before it and its own no other response begins. Where requests are under way at the same time,
//! nothing tells them apart: the connection is given up rather than paired wrongly.

use std::collections::VecDeque;

use crate::protocols::Position;

/// Requests of one connection that wait for an answer.
pub const MAX_IN_FLIGHT: usize = 1024;

/// What of a request decides how its response is framed (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Any other method.
    Plain,
    /// `HEAD`: the response has no body.
    Head,
    /// `CONNECT`: a 2xx response opens a tunnel.
    Connect,
    /// A request that was not seen: nothing tells whether the response has a body.
    Unseen,
}

/// Whose process is observed: which positions were read before anybody could act on the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// The client's: those of responses.
    Client,
    /// The server's: those of requests.
    Server,
}

/// Whom a response answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The exchange of this number. No request has it when the request was not seen.
    To(u64, Asked),
    /// Nobody yet: its request must come first.
    Wait,
    /// One of several, and nothing tells which.
    Ambiguous,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    number: u64,
    asked: Asked,
    /// Requests may be missing between the one before and this.
    behind_loss: bool,
    /// Position of its first byte.
    start: u64,
    /// Where the responses stood then. In the client's view it may be too far on: another thread
    /// may read before the sender's call is recorded.
    other: u64,
}

/// The requests of a connection that wait for an answer, oldest first, numbered in the order of
/// their coming.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    waiting: VecDeque<Waiting>,
    /// Number of the next request.
    next: u64,
    /// Two requests were seen to be under way at the same time.
    pipelined: bool,
    /// A request was answered.
    answered: bool,
    /// Some of those that wait may have been answered unseen.
    uncertain: bool,
    /// Requests may be missing behind the last one.
    requests_lost: bool,
    /// Where the requests stood when a response came that answers none of those seen.
    unclaimed: Option<u64>,
    /// Position from which on no response but the one at hand began.
    since: u64,
}

impl Exchanges {
    /// Number of the oldest exchange that may still be answered.
    pub(super) fn oldest(&self) -> u64 {
        self.waiting.front().map_or(self.next, |request| request.number)
    }

    /// Takes a request; gives its number, or `None` when too many wait.
    pub(super) fn ask(&mut self, asked: Asked, at: Position) -> Option<u64> {
        if self.waiting.len() >= MAX_IN_FLIGHT {
            return None;
        }
        let behind_loss = std::mem::take(&mut self.requests_lost);
        let Position { own: start, other, .. } = at;
        // A request whose response came first must not take the next one for its own.
        self.uncertain |= self.unclaimed.take_if(|unclaimed| start <= *unclaimed).is_some();
        let number = self.number();
        self.waiting.push_back(Waiting { number, asked, behind_loss, start, other });
        Some(number)
    }

    /// What follows the last request, at `at`, cannot be read. If nothing was answered between
    /// the two, they are under way at the same time.
    pub(super) fn lost_behind(&mut self, at: Position) {
        self.pipelined |= self.waiting.back().is_some_and(|last| last.other == at.other);
    }

    /// Whether the last request was found behind a loss and is not answered at `at`. If it is
    /// followed by anything, it was text.
    pub(super) fn is_text(&self, at: Position) -> bool {
        let text = |last: &Waiting| last.behind_loss && last.other == at.other;
        !self.pipelined && self.waiting.back().is_some_and(text)
    }

    /// What follows the last request, at `at`, is no request. `true` = that one was none either,
    /// and nothing else tells who asks.
    pub(super) fn text_behind(&mut self, at: Position) -> bool {
        if !self.is_text(at) {
            self.lost_behind(at);
            return false;
        }
        self.waiting.pop_back();
        self.requests_lost = true;
        !self.answered
    }

    /// Whether several requests were under way at the same time.
    pub(super) fn are_pipelined(&self) -> bool {
        self.pipelined
    }

    /// The request stream was lost.
    pub(super) fn requests_lost(&mut self) {
        self.requests_lost = true;
    }

    /// A response, final or not, is found at `own` behind a loss of responses.
    pub(super) fn found(&mut self, own: u64) {
        self.uncertain = true;
        self.since = own;
    }

    /// Takes a response that begins at `at`.
    pub(super) fn answer(&mut self, view: View, at: Position) -> Answer {
        let there = |request: &&Waiting| match view {
            View::Client => request.start < at.other,
            View::Server => request.other <= at.own,
        };
        let waiting = self.waiting.iter().take_while(there).count();
        let doubt = self.uncertain || self.waiting.front().is_some_and(|r| r.behind_loss);
        let possible = match view {
            View::Client if !at.other_to_come => waiting,
            // The request's record may be late. A server may answer before it reads.
            _ => self.waiting.len(),
        };
        let answered = match doubt {
            true if view == View::Server => self.by_position(waiting, at),
            true => self.by_position(possible, at),
            false => self.in_order(possible, waiting),
        };
        let answered = answered.and_then(|index| self.waiting.drain(..=index).next_back());
        let answer = match answered {
            Some(request) => {
                self.uncertain = false;
                self.answered = true;
                Answer::To(request.number, request.asked)
            }
            None if doubt && self.pipelined && possible > 0 => return Answer::Ambiguous,
            None if at.other_to_come && !self.asked_since(at) => return Answer::Wait,
            None => {
                self.unclaimed = Some(at.other);
                Answer::To(self.number(), Asked::Unseen)
            }
        };
        self.since = at.own.saturating_add(1);
        answer
    }

    /// Whether a request was sent when the response at `at` had been read: then those before it
    /// are there, or lost.
    fn asked_since(&self, at: Position) -> bool {
        self.waiting.back().is_some_and(|request| request.other > at.own)
    }

    /// The oldest of `possible` requests. So many of those `waiting` were there before the response.
    fn in_order(&mut self, possible: usize, waiting: usize) -> Option<usize> {
        self.pipelined |= waiting > 1;
        (possible > 0).then_some(0)
    }

    /// Of these requests, the one that came since the response before.
    fn by_position(&mut self, waiting: usize, at: Position) -> Option<usize> {
        let since = self.since..=at.own;
        let mut came = (self.waiting.iter().take(waiting).enumerate())
            .filter(|(_, request)| since.contains(&request.other));
        let first = came.next().map(|(index, _)| index);
        self.pipelined |= came.next().is_some();
        first.filter(|_| !self.pipelined)
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        number
    }
}
