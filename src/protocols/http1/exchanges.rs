//! Which request a response answers: the oldest one that waits, unless something was lost.

use std::collections::VecDeque;

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
}

/// Whom a response answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The exchange of this number. No request has it when the request was not seen.
    To(u64, Asked),
    /// Nobody yet: its request must come first.
    Wait,
    /// Nobody can tell any more on this connection.
    Adrift,
}

/// The requests of a connection that wait for an answer, oldest first, numbered in the order of
/// their coming.
///
/// After a loss it is not known how many requests or responses are missing. A client that does
/// not pipeline sends a request only when the answers to all earlier ones are there, so the
/// latest request is the one that waits. One that pipelines leaves no way to tell: behind lost
/// requests, no more are taken and only those before them are answered; behind lost responses, none
/// is. Its connection is given up rather than paired wrongly.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    waiting: VecDeque<Asked>,
    /// Number of the next request.
    next: u64,
    /// Requests are under way at the same time: two came in one piece, or two responses in a row
    /// left others waiting. (One response that does so is no proof: records overtake each other.)
    pipelined: bool,
    /// The response before left others waiting.
    crowded: bool,
    /// See [`Answer::Adrift`].
    adrift: bool,
    /// Requests were lost behind the one before this number.
    certain_to: Option<u64>,
    /// The response at hand was told to wait.
    told_to_wait: bool,
    /// The response before it had to wait, too. It happens when records overtake each other,
    /// which two in a row do not: then responses are paired one request late.
    waited_before: bool,
    /// The request of the response at hand will not come.
    hopeless: bool,
}

impl Exchanges {
    /// Number of the oldest exchange that may still be answered.
    pub(super) fn oldest(&self) -> u64 {
        self.next.saturating_sub(u64::try_from(self.waiting.len()).unwrap_or(0))
    }

    /// See [`Answer::Adrift`].
    pub(super) fn is_adrift(&self) -> bool {
        self.adrift
    }

    /// Whether unknown requests wait behind the known ones.
    pub(super) fn requests_are_uncertain(&self) -> bool {
        self.certain_to.is_some()
    }

    /// Takes a request; gives its number, or `None` when too many wait.
    pub(super) fn ask(&mut self, asked: Asked) -> Option<u64> {
        if self.waiting.len() >= MAX_IN_FLIGHT {
            return None;
        }
        self.waiting.push_back(asked);
        Some(self.number())
    }

    /// Notes that more came behind a request in the same piece.
    pub(super) fn note_pipelined(&mut self) {
        self.pipelined = true;
    }

    /// Takes a response. `requests_lost`: the request stream was lost and no request was found
    /// since. `responses_lost`: this is the first response after a loss.
    pub(super) fn answer(&mut self, requests_lost: bool, responses_lost: bool) -> Answer {
        // One that was told to wait waits for the first request that came since.
        if responses_lost && self.waiting.len() > 1 && !self.told_to_wait {
            if self.pipelined {
                self.adrift = true;
                return Answer::Adrift;
            }
            let answered_unseen = self.waiting.len().saturating_sub(1);
            self.waiting.drain(..answered_unseen);
        }
        let oldest = self.oldest();
        // Behind lost responses it may answer a request that is not known, too.
        if self.certain_to.is_some_and(|end| responses_lost || oldest >= end) {
            self.adrift = true;
            return Answer::Adrift;
        }
        if let Some(asked) = self.waiting.pop_front() {
            let crowded = !self.waiting.is_empty();
            self.pipelined |= crowded && self.crowded;
            self.crowded = crowded;
            self.settle();
            return Answer::To(oldest, asked);
        }
        let late = self.waited_before && !self.told_to_wait;
        if self.hopeless || requests_lost || late {
            self.settle();
            return Answer::To(self.number(), Asked::Plain);
        }
        self.told_to_wait = true;
        Answer::Wait
    }

    /// The request that a response waits for will not come.
    pub(super) fn give_up_waiting(&mut self) {
        self.hopeless = self.told_to_wait;
    }

    /// The request stream was lost.
    pub(super) fn requests_lost(&mut self) {
        if self.pipelined {
            self.certain_to.get_or_insert(self.next);
        }
        self.give_up_waiting();
    }

    fn settle(&mut self) {
        self.waited_before = self.told_to_wait && !self.hopeless;
        self.told_to_wait = false;
        self.hopeless = false;
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        number
    }
}
