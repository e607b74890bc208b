//! Wire protocols as pure functions over bytes: no I/O, no clock, no logging, no panic.
//!
//! A protocol is one folder here, one line in [`protocols!`] below, and fixtures. The decoder
//! feeds each connection's two directions through [`ConnState`], pairs what comes out, and never
//! knows which protocol it is.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic)]
#![forbid(unsafe_code)]

mod headers;
pub mod http1;
pub mod sink;

use std::hash::Hash;

pub use crate::model::conn::Direction;
use crate::semconv::SpanFamily;
pub use sink::{PendingAttrs, SpanSink, TraceParent};

/// Could these bytes be the start of a message?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Certainly not.
    No,
    /// Too short to tell.
    Maybe,
    /// Yes.
    Yes,
}

/// What of one direction's stream can be looked at now.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Captured wire bytes from the current position.
    pub bytes: &'a [u8],
    /// Wire bytes known to follow `bytes` that were not captured. When not 0, no more of the
    /// bytes right behind `bytes` will ever come: decide with what is there.
    pub missing: u64,
    /// The direction has ended behind `bytes` (and `missing`): FIN, reset or close.
    pub ended: bool,
    /// Where `bytes` begins.
    pub at: Position,
}

/// A byte's place among those of both directions, in wire bytes since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Its position.
    pub own: u64,
    /// Where the other direction stood at the end of the call that moved it. A receiving call
    /// tells it before anybody could act on what was received; at the end of a sending call the
    /// other direction may already be further on.
    pub other: u64,
    /// Not everything of the other direction that moved before was parsed, and it may still be.
    /// Then it may also stand further on than `other`.
    pub other_to_come: bool,
}

/// Where a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With the last of the `consumed` wire bytes.
    Here,
    /// Later: [`Step::Part`]s follow until one is the last.
    Later,
}

/// What one call of [`Protocol::parse`] found. Every `consumed` counts wire bytes, is > 0 unless
/// stated, and may exceed what was captured: the caller skips the unseen rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<M> {
    /// A message starts at the front of the input.
    Message {
        /// Wire bytes of it that are known.
        consumed: u64,
        /// The message.
        msg: M,
        /// Whether `consumed` is all of it.
        end: End,
    },
    /// More wire bytes of the message that ended with [`End::Later`]. `consumed` may be 0 when
    /// `last` is set: the message ended just before.
    Part {
        /// Wire bytes of it.
        consumed: u64,
        /// Whether the message ends with them.
        last: bool,
    },
    /// Understood and of no interest (an interim response, an empty line before a request).
    Skip {
        /// Wire bytes of it.
        consumed: u64,
    },
    /// A prefix of something. Do not call again before this many bytes are there (or the
    /// direction ended, or bytes went missing). Greater than `input.bytes.len()`.
    NeedMore {
        /// Bytes needed from the current position.
        at_least: usize,
    },
    /// The other direction must deliver a message first (a response whose request was not seen
    /// yet). The caller keeps the bytes and calls again after that, or after
    /// [`Protocol::unblock`], when nothing is to come any more ([`Position::other_to_come`]).
    Blocked,
    /// The bytes break a rule. The stream is lost until [`Protocol::resync`] finds a start.
    Invalid(Malformed),
    /// Framing cannot be followed any more (bytes that matter were not captured). The stream is
    /// lost until [`Protocol::resync`] finds a start; the message in progress ends where the
    /// stream is found again.
    Lost,
    /// From here on the connection carries something else, in both directions, for good
    /// (WebSocket, CONNECT). Nothing is consumed.
    Tunnel,
    /// Behind a loss nothing tells any more which response answers which request. Nothing is
    /// consumed.
    Ambiguous,
}

impl<M> Step<M> {
    /// The same step with what `f` makes of the message.
    #[inline(always)]
    fn map<N>(self, f: impl FnOnce(M) -> N) -> Step<N> {
        match self {
            Self::Message { consumed, msg, end } => Step::Message { consumed, msg: f(msg), end },
            Self::Part { consumed, last } => Step::Part { consumed, last },
            Self::Skip { consumed } => Step::Skip { consumed },
            Self::NeedMore { at_least } => Step::NeedMore { at_least },
            Self::Blocked => Step::Blocked,
            Self::Invalid(rule) => Step::Invalid(rule),
            Self::Lost => Step::Lost,
            Self::Tunnel => Step::Tunnel,
            Self::Ambiguous => Step::Ambiguous,
        }
    }
}

/// The rule that malformed input broke. One counter each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// The start line is not of the protocol.
    StartLine,
    /// A control byte where none may be.
    ControlByte,
    /// A header line without a name or with white space in it.
    HeaderLine,
    /// The head is longer than the protocol's bound.
    HeadTooLarge,
    /// Two lengths that contradict each other, or one that is not a number.
    ContentLength,
    /// A chunk size that is no number or too large.
    ChunkSize,
    /// A chunk that does not end where its size says.
    ChunkEnd,
    /// More requests wait for an answer than the protocol's bound.
    TooManyInFlight,
}

impl Malformed {
    /// Every rule.
    pub const ALL: [Self; 8] = [
        Self::StartLine,
        Self::ControlByte,
        Self::HeaderLine,
        Self::HeadTooLarge,
        Self::ContentLength,
        Self::ChunkSize,
        Self::ChunkEnd,
        Self::TooManyInFlight,
    ];

    /// Name in counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::StartLine => "start_line",
            Self::ControlByte => "control_byte",
            Self::HeaderLine => "header_line",
            Self::HeadTooLarge => "head_too_large",
            Self::ContentLength => "content_length",
            Self::ChunkSize => "chunk_size",
            Self::ChunkEnd => "chunk_end",
            Self::TooManyInFlight => "too_many_in_flight",
        }
    }
}

/// What a message means to the pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role<K> {
    /// Opens an exchange.
    Request(K),
    /// Answers the oldest open exchange with this key.
    Response(K),
}

/// A wire protocol.
pub trait Protocol {
    /// Name in logs, fixtures and counters.
    const NAME: &'static str;
    /// State that must survive between messages of one connection. Bounded.
    type Conn: Default + std::fmt::Debug;
    /// A parsed message borrowing from the input.
    type Msg<'a>;
    /// What pairs a response with its request, as a number: a stream or correlation id, or a
    /// constant for strictly ordered protocols. Equal keys pair first in, first out.
    type Key: Copy + Eq + Hash + std::fmt::Debug + Into<u64>;
    /// Responses come in the order of their requests: one that is answered ends the wait of
    /// those before it.
    const IN_ORDER: bool;

    /// Could `head` be the start of a message (in either direction)? Cheap, stateless.
    fn probe(head: &[u8]) -> Verdict;
    /// Parses at most one step from the front of `input`. `input` may be empty when bytes are
    /// missing or the direction ended.
    fn parse<'a>(conn: &mut Self::Conn, dir: Direction, input: Input<'a>) -> Step<Self::Msg<'a>>;
    /// Forgets the message in progress in `dir` after a loss. Called before [`Self::resync`].
    fn reset(conn: &mut Self::Conn, dir: Direction);
    /// After a loss: offset in `buf` of the next plausible message start in `dir`.
    /// `begins` tells whether a message may begin at an offset: who sends one at a time begins
    /// each with a call of its own. A protocol that knows better need not ask.
    fn resync(
        conn: &Self::Conn,
        dir: Direction,
        buf: &[u8],
        begins: &dyn Fn(usize) -> bool,
    ) -> Option<usize>;
    /// Ends a [`Step::Blocked`]: the awaited message will not come.
    fn unblock(conn: &mut Self::Conn, dir: Direction);
    /// Request or response, and of which exchange.
    fn role(msg: &Self::Msg<'_>) -> Role<Self::Key>;
    /// The span family of an exchange whose request moved in `dir`.
    fn family(dir: Direction) -> SpanFamily;
    /// Writes the message's attributes into its exchange's span. Called once a message, when it
    /// is parsed.
    fn describe(conn: &mut Self::Conn, msg: &Self::Msg<'_>, span: &mut SpanSink<'_>);
    /// Writes what is known only at the end of a message that ended with [`End::Later`].
    /// `request` tells which message of the exchange ended; `to_come` of its consumed bytes never
    /// moved.
    fn describe_end(
        conn: &mut Self::Conn,
        dir: Direction,
        request: bool,
        to_come: u64,
        span: &mut SpanSink<'_>,
    );
    /// Writes that no response was observed.
    fn describe_unanswered(span: &mut SpanSink<'_>);
}

/// Expands the list of protocols into the kind, the per-connection state, the probe table and
/// the static dispatch. The only list.
macro_rules! protocols {
    ($( $(#[$doc:meta])* $variant:ident => $protocol:ty ),+ $(,)?) => {
        /// A protocol the decoder knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProtocolKind { $( $(#[$doc])* $variant ),+ }

        impl ProtocolKind {
            /// Every protocol, in the order in which they are probed.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),+ ];

            /// Name in logs, fixtures and counters.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => <$protocol>::NAME ),+ }
            }

            /// Could `head` be the start of a message?
            pub fn probe(self, head: &[u8]) -> Verdict {
                match self { $( Self::$variant => <$protocol>::probe(head) ),+ }
            }

            /// State for a new connection.
            pub fn new_conn(self) -> ConnState {
                match self { $( Self::$variant => ConnState::$variant(Default::default()) ),+ }
            }
        }

        /// State of one connection's protocol.
        #[derive(Debug)]
        pub enum ConnState { $( $(#[$doc])* $variant(<$protocol as Protocol>::Conn) ),+ }

        impl ConnState {
            /// Which protocol it is of.
            pub fn kind(&self) -> ProtocolKind {
                match self { $( Self::$variant(_) => ProtocolKind::$variant ),+ }
            }

            /// One step of `dir`'s stream, driven into `driver` with the protocol's own types.
            #[inline(always)]
            pub fn step<D: Driver>(&mut self, dir: Direction, input: Input<'_>, driver: &mut D) -> Progress {
                match self { $( Self::$variant(conn) => step::<$protocol, D>(conn, dir, input, driver) ),+ }
            }

            /// See [`Protocol::reset`].
            pub fn reset(&mut self, dir: Direction) {
                match self { $( Self::$variant(conn) => <$protocol>::reset(conn, dir) ),+ }
            }

            /// See [`Protocol::resync`].
            pub fn resync(
                &self,
                dir: Direction,
                buf: &[u8],
                begins: &dyn Fn(usize) -> bool,
            ) -> Option<usize> {
                match self {
                    $( Self::$variant(conn) => <$protocol>::resync(conn, dir, buf, begins) ),+
                }
            }

            /// See [`Protocol::unblock`].
            pub fn unblock(&mut self, dir: Direction) {
                match self { $( Self::$variant(conn) => <$protocol>::unblock(conn, dir) ),+ }
            }

            /// See [`Protocol::describe_end`].
            pub fn describe_end(&mut self, dir: Direction, request: bool, to_come: u64, span: &mut SpanSink<'_>) {
                match self { $( Self::$variant(conn) => <$protocol>::describe_end(conn, dir, request, to_come, span) ),+ }
            }

            /// See [`Protocol::describe_unanswered`].
            pub fn describe_unanswered(&self, span: &mut SpanSink<'_>) {
                match self { $( Self::$variant(_) => <$protocol>::describe_unanswered(span) ),+ }
            }
        }
    };
}

protocols! {
    /// HTTP/1.0 and HTTP/1.1.
    Http1 => http1::Http1,
}

/// What pairs a response with its request, whatever the protocol: equal keys pair first in,
/// first out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExchangeKey(pub u64);

/// Receives the messages that [`ConnState::step`] finds.
pub trait Driver {
    /// A request of the exchange `key`; `describe` writes its attributes.
    fn request(
        &mut self,
        key: ExchangeKey,
        family: SpanFamily,
        describe: impl FnOnce(&mut SpanSink<'_>),
    );
    /// A response of the exchange `key`; `in_order`: see [`Protocol::IN_ORDER`].
    fn response(
        &mut self,
        key: ExchangeKey,
        in_order: bool,
        describe: impl FnOnce(&mut SpanSink<'_>),
    );
}

/// Which side of an exchange a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Opens the exchange.
    Request,
    /// Answers it.
    Response,
}

/// What the stream does next; the driver has the message.
pub type Progress = Step<MessageKind>;

#[inline(always)]
fn step<P: Protocol, D: Driver>(
    conn: &mut P::Conn,
    dir: Direction,
    input: Input<'_>,
    driver: &mut D,
) -> Progress {
    P::parse(conn, dir, input).map(|msg| {
        let role = P::role(&msg);
        let describe = |sink: &mut SpanSink<'_>| P::describe(conn, &msg, sink);
        match role {
            Role::Request(key) => {
                driver.request(ExchangeKey(key.into()), P::family(dir), describe);
                MessageKind::Request
            }
            Role::Response(key) => {
                driver.response(ExchangeKey(key.into()), P::IN_ORDER, describe);
                MessageKind::Response
            }
        }
    })
}
