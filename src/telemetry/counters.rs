//! Every counter of the agent, in one enum so that names cannot drift.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal $(/ $reason:literal)? ),+ $(,)?) => {
        /// A counter. It only grows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Counter { $( $(#[$doc])* $variant ),+ }

        impl Counter {
            /// Every counter, in the table's order.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),+ ];

            /// What is counted: `<stage>_<noun>_<unit>`.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $name ),+ }
            }

            /// Why, where one name is counted for several reasons; empty otherwise.
            pub fn reason(self) -> &'static str {
                match self { $( Self::$variant => concat!($($reason)?) ),+ }
            }

            /// Whether it is part of a stage's account in the ledger.
            pub fn is_accounted(self) -> bool {
                ACCOUNTED.iter().any(|noun| self.name().starts_with(noun))
            }
        }
    };
}

/// What the stages' accounts are of.
const ACCOUNTED: [&str; 5] =
    ["reader_records_", "decoder_records_", "decoder_spans_", "decorator_spans_", "exporter_"];

counters! {
    // The agent itself.
    /// Times the configuration was read again.
    Reloads = "config_reloads" / "valid",
    /// Times it was not valid, and stayed as it was.
    ReloadsFailed = "config_reloads" / "invalid",

    // Discovery and loader: processes.
    /// Processes that were refused because discovery remembers no more of them.
    DiscoveryProcessesFull = "discovery_processes_refused" / "table_full",
    /// Processes, there at the start, whose executable could not be seen.
    DiscoveryProcessesHidden = "discovery_processes_hidden",
    /// Executables that were examined for their language.
    DiscoveryExecutablesExamined = "discovery_executables_examined",
    /// Times an executable had been examined before.
    DiscoveryExecutablesKnown = "discovery_executables_known",
    /// Executables that made room for others; they are examined anew when they run again.
    DiscoveryExecutablesForgotten = "discovery_executables_forgotten",
    /// Processes whose judgement found no room in the kernel's table: they stay pending.
    LoaderJudgementsFailed = "loader_judgements_failed",

    // Reader: records. in = out + dropped.
    /// Records taken from the ring.
    ReaderRecordsIn = "reader_records_in",
    /// Records handed to the decoder.
    ReaderRecordsOut = "reader_records_out",
    /// Records that nobody took any more.
    ReaderDecoderGone = "reader_records_dropped" / "decoder_gone",

    // Decoder: records. in = out + dropped + in flight.
    /// Records taken from batches.
    RecordsIn = "decoder_records_in",
    /// Records that were used: fed to a stream, or applied to a connection or process.
    RecordsOut = "decoder_records_out",
    /// Shorter than its kind's struct.
    RecordShort = "decoder_records_dropped" / "short",
    /// A kind this build does not know.
    RecordKind = "decoder_records_dropped" / "unknown_kind",
    /// Lengths inside contradict the record's length.
    RecordLength = "decoder_records_dropped" / "length",
    /// Stream positions that no connection reaches.
    RecordPosition = "decoder_records_dropped" / "position",
    /// Data, shut or close of a connection that is not in the table.
    RecordWithoutOpen = "decoder_records_dropped" / "without_open",
    /// Data at positions that were passed already.
    RecordOld = "decoder_records_dropped" / "old",
    /// Data of a connection that carries no protocol we know.
    RecordNothing = "decoder_records_dropped" / "not_a_known_protocol",
    /// Data behind an upgrade or CONNECT.
    RecordTunnel = "decoder_records_dropped" / "tunnel",

    // Decoder: streams.
    /// Gaps in front of data that came.
    Gaps = "decoder_gaps",
    /// Bytes of those gaps.
    GapBytes = "decoder_gap_bytes",
    /// Bytes the kernel moved before the close and no record told of.
    UnseenBytes = "decoder_unseen_bytes",
    /// Calls whose buffer could not be proved to be theirs.
    PayloadUnknown = "decoder_payload_unknown_calls",
    /// Bytes at positions that were passed already.
    OldBytes = "decoder_old_bytes",
    /// Records that came before an earlier position of their direction.
    OutOfOrder = "decoder_out_of_order_records",
    /// Captured bytes thrown away because the reassembly memory was full.
    BufferFullBytes = "decoder_buffer_full_bytes",
    /// Times a stream was lost because framing bytes were not captured.
    StreamsLost = "decoder_streams_lost" / "not_captured",
    /// See [`crate::protocols::Malformed`]; one reason each.
    InvalidStartLine = "decoder_streams_lost" / "start_line",
    /// A control byte where none may be.
    InvalidControlByte = "decoder_streams_lost" / "control_byte",
    /// A malformed header line.
    InvalidHeaderLine = "decoder_streams_lost" / "header_line",
    /// A head beyond the protocol's bound.
    InvalidHeadTooLarge = "decoder_streams_lost" / "head_too_large",
    /// Contradicting or non-numeric lengths.
    InvalidContentLength = "decoder_streams_lost" / "content_length",
    /// A chunk size that is no number or too large.
    InvalidChunkSize = "decoder_streams_lost" / "chunk_size",
    /// A chunk that does not end where its size says.
    InvalidChunkEnd = "decoder_streams_lost" / "chunk_end",
    /// More requests in flight than the protocol's bound.
    InvalidTooManyInFlight = "decoder_streams_lost" / "too_many_in_flight",
    /// Times a lost stream, or one that is older than the agent, was found.
    StreamsFound = "decoder_streams_found",
    /// Bytes that passed before a stream was found.
    LostBytes = "decoder_lost_bytes",

    // Decoder: connections.
    /// Connections taken into the table.
    ConnectionsOpened = "decoder_connections_opened",
    /// Connections that ended by their close record.
    ConnectionsClosed = "decoder_connections_closed",
    /// Connections pushed out by newer ones.
    ConnectionsEvicted = "decoder_connections_evicted",
    /// Open records of a connection that was open already.
    ConnectionsAnnouncedTwice = "decoder_connections_announced_twice",
    /// Connections that carry no protocol we know.
    NotAKnownProtocol = "decoder_connections_given_up" / "not_a_known_protocol",
    /// Connections that became a tunnel.
    Tunnels = "decoder_connections_given_up" / "tunnel",
    /// Connections with several requests under way of which a message was lost: nothing tells
    /// any more which response answers which request.
    PairingAmbiguous = "decoder_connections_given_up" / "ambiguous",
    /// Connections whose request found no room.
    ExchangesFull = "decoder_connections_given_up" / "exchanges_full",

    // Decoder: exchanges. in = out + dropped + in flight.
    /// Requests parsed: exchanges opened.
    SpansIn = "decoder_spans_in",
    /// Spans handed on.
    SpansOut = "decoder_spans_out",
    /// The process is not to be observed.
    ProcessRefused = "decoder_spans_dropped" / "process_refused",
    /// Nobody told in time who the process is.
    ProcessUnknown = "decoder_spans_dropped" / "process_unknown_timeout",
    /// More spans waited for their process than the bound.
    HeldFull = "decoder_spans_dropped" / "held_full",
    /// More exchanges were open than the bound.
    ExchangeNoRoom = "decoder_spans_dropped" / "exchanges_full",
    /// Requests found behind a loss that what followed showed to be text.
    SpanTakenBack = "decoder_spans_dropped" / "no_message",
    /// Responses whose request was not seen.
    ResponseWithoutRequest = "decoder_responses_without_request",
    /// Exchanges that ended without a response.
    Unanswered = "decoder_exchanges_unanswered",
    /// Exchanges that ended inside their response.
    ResponseCut = "decoder_responses_cut",
    /// Spans whose end was seen before their start; both became the start.
    TimesClamped = "decoder_times_clamped",
    /// Texts cut at the attribute's bound.
    TextsTruncated = "decoder_texts_truncated",
    /// Client calls with a parent in the same process.
    ParentFound = "decoder_parents" / "found",
    /// Client calls whose thread had more than one request, or another one last.
    ParentAmbiguous = "decoder_parents" / "ambiguous",
    /// Client calls whose request had as many as it may have.
    ParentFull = "decoder_parents" / "too_many",
    /// Client calls, found, that went on after their request had ended: they are released.
    ParentOutlived = "decoder_parents" / "outlived",
    /// Client calls whose thread had no request.
    ParentNone = "decoder_parents" / "none",

    // Decoder: processes.
    /// Process lives that found no room.
    ProcessesFull = "decoder_processes_full",
    /// Verdicts sent to the kernel.
    Verdicts = "decoder_verdicts",

    // Decorator: spans. in = out + dropped.
    /// Spans taken from the decoder.
    DecoratorSpansIn = "decorator_spans_in",
    /// Spans that the user does not want.
    SpansFiltered = "decorator_spans_dropped" / "filtered",
    /// Spans handed to the exporters.
    DecoratorSpansOut = "decorator_spans_out",

    // Names of addresses.
    /// Spans that went on before the name of an address was known.
    SpansNamedLate = "names_late_spans",
    /// Addresses whose names were asked for.
    NamesAsked = "names_asked",
    /// Answers with a name.
    NamesFound = "names_answers" / "found",
    /// Addresses that have none.
    NamesNone = "names_answers" / "none",
    /// Addresses that nobody could be asked about.
    NamesFailed = "names_answers" / "failed",
    /// Addresses that were not asked about: too many questions were under way.
    NamesNotAsked = "names_not_asked",

    // Metrics.
    /// Values that went to the series of what is beyond the limit of a metric.
    MetricsOverflowed = "metrics_values_overflowed",

    // OTLP exporters: the queues account for spans.
    /// Spans that receivers took.
    TracesExported = "exporter_traces",
    /// Attempts that failed and were made again.
    TracesRetried = "exporter_trace_errors" / "retried",
    /// Requests that the receiver refused for good.
    TracesRefused = "exporter_trace_errors" / "refused",
    /// Requests that were given up.
    TracesExhausted = "exporter_trace_errors" / "retries_exhausted",
    /// Data points of metrics that receivers took.
    MetricsExported = "exporter_metrics",
    /// As of traces.
    MetricsRetried = "exporter_metric_errors" / "retried",
    /// As of traces.
    MetricsRefused = "exporter_metric_errors" / "refused",
    /// As of traces.
    MetricsExhausted = "exporter_metric_errors" / "retries_exhausted",
}

/// Limits between the sizes of batches that are told apart: those that OTLP has and those that
/// Prometheus has.
pub const FLUSH_LIMITS: [u64; 20] = [
    0, 5, 10, 20, 25, 40, 50, 75, 80, 100, 160, 250, 320, 500, 750, 1000, 2500, 5000, 7500, 10_000,
];

/// All counters, shared by the stages that add to them and the endpoints that read them.
#[derive(Debug)]
pub struct Counters {
    cells: [AtomicU64; Counter::ALL.len()],
    /// Batches that the decoder handed on, by size; the last one holds what is beyond the last limit.
    flushes: [AtomicU64; FLUSH_LIMITS.len() + 1],
    /// Spans that the decorator holds now.
    waiting: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            cells: std::array::from_fn(|_| AtomicU64::new(0)),
            flushes: std::array::from_fn(|_| AtomicU64::new(0)),
            waiting: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// Adds `n`.
    pub fn add(&self, counter: Counter, n: u64) {
        if let Some(cell) = self.cells.get(counter as usize) {
            cell.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// The value now.
    pub fn get(&self, counter: Counter) -> u64 {
        self.cells.get(counter as usize).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// A batch of so many spans was handed on.
    pub fn flushed(&self, spans: usize) {
        let bucket = FLUSH_LIMITS.partition_point(|limit| *limit < spans as u64);
        if let Some(cell) = self.flushes.get(bucket) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// So many spans wait in the decorator now.
    pub fn set_waiting(&self, spans: usize) {
        self.waiting.store(spans as u64, Ordering::Relaxed);
    }

    /// How many spans wait in the decorator.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many batches lie up to each limit and above the one before, and beyond the last.
    pub fn flushes(&self) -> [u64; FLUSH_LIMITS.len() + 1] {
        std::array::from_fn(|n| self.flushes.get(n).map_or(0, |cell| cell.load(Ordering::Relaxed)))
    }
}

/// One stage's own counts: added to without atomics, published once a batch.
#[derive(Clone, Debug)]
pub struct Tally {
    total: [u64; Counter::ALL.len()],
    published: [u64; Counter::ALL.len()],
}

impl Default for Tally {
    fn default() -> Self {
        Self { total: [0; Counter::ALL.len()], published: [0; Counter::ALL.len()] }
    }
}

impl Tally {
    /// Adds one.
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Adds `n`. A damaged recording may name gaps of any length: a total stays at its largest.
    pub fn add(&mut self, counter: Counter, n: u64) {
        if let Some(cell) = self.total.get_mut(counter as usize) {
            *cell = cell.saturating_add(n);
        }
    }

    /// The total so far.
    pub fn get(&self, counter: Counter) -> u64 {
        self.total.get(counter as usize).copied().unwrap_or(0)
    }

    /// Adds what was counted since the last call to `shared`.
    pub fn publish(&mut self, shared: &Counters) {
        let cells = self.total.iter().zip(self.published.iter_mut());
        for (counter, (total, published)) in Counter::ALL.iter().zip(cells) {
            if total != published {
                shared.add(*counter, total - *published);
                *published = *total;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_counters_share_name_and_reason() {
        let names: HashSet<_> = Counter::ALL.iter().map(|c| (c.name(), c.reason())).collect();
        assert_eq!(names.len(), Counter::ALL.len());
        assert!(Counter::ALL.len() > 10);
    }

    #[test]
    fn a_tally_publishes_each_count_once() {
        let shared = Counters::default();
        let mut tally = Tally::default();
        tally.add(Counter::GapBytes, 7);
        tally.publish(&shared);
        tally.publish(&shared);
        tally.count(Counter::GapBytes);
        tally.publish(&shared);
        assert_eq!(shared.get(Counter::GapBytes), 8);
        assert_eq!(shared.get(Counter::Gaps), 0);
    }
}
