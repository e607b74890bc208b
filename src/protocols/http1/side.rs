//! One direction: where its bytes belong, and how a head announces what follows it (RFC 9112
//! section 6.3).

use super::body::Chunked;
use super::head::{self, Coding, Fields, Length};
use crate::protocols::{End, Input, Malformed, Step};

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) state: State,
    /// Bytes of the incomplete head at hand in which its end was not found.
    pub(super) scanned: usize,
    /// Bytes of body seen of the message at hand, where its head did not tell the length.
    pub(super) seen: Option<u64>,
    pub(super) loss: Loss,
    /// What comes behind this request may belong to a tunnel: its answer decides.
    pub(super) undecided: Option<u64>,
}

/// What the next byte of a direction belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// A head, or empty lines before it.
    #[default]
    Head,
    /// A chunked body.
    Chunked(Chunked),
    /// A body that the end of the connection ends.
    UntilEnd,
    /// A body, or none: the request may have been `HEAD`.
    InDoubt { framing: Framing, length: u64 },
    /// A message whose end cannot be found, for a broken rule or for want of bytes.
    Broken(Option<Malformed>),
}

/// How the head of a message announces its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Of known length.
    Length,
    /// In chunks.
    Chunked,
    /// Until the connection ends.
    UntilEnd,
}

/// Whether a direction's stream was lost and no head was found since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Loss {
    /// It was not.
    #[default]
    None,
    /// It was.
    Lost,
    /// It was, in the middle of a chunked body.
    InChunked,
}

/// A head as far as it is there.
#[derive(Debug)]
pub(super) struct HeadRead<'a> {
    /// Not even its first line is all there.
    pub(super) line_cut: bool,
    /// Its header lines.
    pub(super) lines: &'a [u8],
    pub(super) fields: Fields<'a>,
    /// Its bytes with the empty line, or those that are there.
    pub(super) bytes: usize,
    /// Why its end is not there, if so.
    pub(super) cut: Option<State>,
}

/// What follows a head.
#[derive(Debug)]
pub(super) struct Body {
    /// Bytes of it, where the head tells.
    pub(super) length: u64,
    /// What the span says of its size, where the head tells.
    pub(super) size: Option<u64>,
    /// What comes behind head and `length`; [`State::Head`] when the message is over there.
    pub(super) then: State,
}

impl HeadRead<'_> {
    /// RFC 9112 section 6.3 for a request.
    pub(super) fn request_body(&self) -> Body {
        self.body(State::Broken(None), Body::NONE)
    }

    /// RFC 9112 section 6.3 for a response that may have a body.
    pub(super) fn response_body(&self) -> Body {
        self.body(State::UntilEnd, Body::of(State::UntilEnd))
    }

    /// The body when the header decides: `uncoded_end` is what comes when the last coding is not
    /// `chunked`, `untold` the body of which nothing is said.
    pub(super) fn body(&self, uncoded_end: State, untold: Body) -> Body {
        if let Some(cut) = self.cut {
            return Body { length: 0, size: self.declared(), then: cut };
        }
        if self.fields.doubtful {
            return Body::of(State::Broken(Some(Malformed::HeaderLine)));
        }
        match (self.fields.coding, self.fields.length) {
            (Coding::Chunked, _) => Body::of(State::Chunked(Chunked::Size)),
            (Coding::Other, _) => Body::of(uncoded_end),
            (Coding::Absent, Length::Absent) => untold,
            (Coding::Absent, Length::Broken) => {
                Body::of(State::Broken(Some(Malformed::ContentLength)))
            }
            (Coding::Absent, Length::Declared(bytes)) => {
                Body { length: bytes, size: Some(bytes), then: State::Head }
            }
        }
    }

    /// No body whatever the header says; its size is what the header says where that `counts`.
    pub(super) fn no_body(&self, counts: bool) -> Body {
        let size = self.declared().filter(|_| counts).unwrap_or(0);
        Body { length: 0, size: Some(size), then: self.cut.unwrap_or_default() }
    }

    /// RFC 9112 section 6.3 for a response that has a body as its head says, or none.
    pub(super) fn body_in_doubt(&self) -> Body {
        let body = self.response_body();
        let framing = match body.then {
            State::Head if body.length > 0 => Framing::Length,
            State::Chunked(_) => Framing::Chunked,
            State::UntilEnd => Framing::UntilEnd,
            _ => return body,
        };
        Body::of(State::InDoubt { framing, length: body.length })
    }

    pub(super) fn declared(&self) -> Option<u64> {
        match (self.fields.coding, self.fields.length) {
            (Coding::Absent, Length::Declared(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

impl Body {
    /// Nothing follows.
    pub(super) const NONE: Self = Self { length: 0, size: Some(0), then: State::Head };

    /// A body whose size its end tells.
    pub(super) fn of(then: State) -> Self {
        Self { length: 0, size: None, then }
    }
}

impl Side {
    /// Starts a message. Gives the wire bytes of it that are known, what its span says of the
    /// body's size, and whether it is over with these bytes.
    pub(super) fn begin(&mut self, head: &HeadRead<'_>, body: Body) -> (u64, Option<u64>, End) {
        self.state = body.then;
        self.scanned = 0;
        self.loss = Loss::None;
        self.seen = if body.size.is_none() { Some(0) } else { None };
        let end = if body.then == State::Head { End::Here } else { End::Later };
        (wire(head.bytes).saturating_add(body.length), body.size, end)
    }

    /// Passes over a head that starts no message.
    pub(super) fn pass_over<M>(&mut self, head: &HeadRead<'_>, then: State) -> Step<M> {
        self.scanned = 0;
        self.state = head.cut.unwrap_or(then);
        Step::Skip { consumed: wire(head.bytes) }
    }

    /// A body in chunks.
    pub(super) fn pass_chunked<M>(&mut self, mut chunked: Chunked, input: Input<'_>) -> Step<M> {
        let step = chunked.step(input, self.seen.get_or_insert(0));
        let over = matches!(step, Step::Part { last: true, .. });
        self.state = if over { State::Head } else { State::Chunked(chunked) };
        step
    }

    /// Behind a head with `framing` comes its body, or the next response where there is none.
    pub(super) fn settle_doubt<M>(
        &mut self,
        framing: Framing,
        length: u64,
        input: Input<'_>,
    ) -> Step<M> {
        if input.bytes.is_empty() && !input.ended {
            return starved(input);
        }
        if input.bytes.is_empty() || input.bytes.starts_with(head::VERSION) {
            self.state = State::Head;
            return Step::Part { consumed: 0, last: true };
        }
        if head::VERSION.starts_with(input.bytes) && !input.ended {
            return starved(input);
        }
        match framing {
            Framing::Length => {
                self.state = State::Head;
                Step::Part { consumed: length, last: true }
            }
            Framing::Chunked => self.pass_chunked(Chunked::Size, input),
            Framing::UntilEnd => {
                self.state = State::UntilEnd;
                self.pass_until_end(input)
            }
        }
    }

    /// A body that the end of the connection ends.
    pub(super) fn pass_until_end<M>(&mut self, input: Input<'_>) -> Step<M> {
        let consumed = wire(input.bytes.len()).saturating_add(input.missing);
        if consumed == 0 && !input.ended {
            return starved(input);
        }
        self.seen = Some(self.seen.unwrap_or(0).saturating_add(consumed));
        if input.ended {
            self.state = State::Head;
        }
        Step::Part { consumed, last: input.ended }
    }
}

/// The input ends in the middle of something.
pub(super) fn starved<M>(input: Input<'_>) -> Step<M> {
    if input.missing > 0 {
        return Step::Lost;
    }
    Step::NeedMore { at_least: input.bytes.len().saturating_add(1) }
}

pub(super) fn wire(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
