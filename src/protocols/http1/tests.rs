use Direction::{Recv, Send};

use super::body::Chunked;
use super::head::MAX_LENGTH;
use super::target::{Target, host_of};
use super::*;
use crate::protocols::End;

/// A server's connection: requests come in, responses go out. Both directions stand where the
/// messages that were found in them end.
#[derive(Default)]
struct Server(Http1Conn, [u64; 2]);

impl Server {
    fn step<'a>(&mut self, dir: Direction, bytes: &'a [u8], missing: u64) -> Step<Message<'a>> {
        let (own, other) = (self.1[dir.index()], self.1[dir.flip().index()]);
        let at = Position { own, other, other_to_come: false };
        self.step_at(dir, bytes, missing, at)
    }

    fn step_at<'a>(
        &mut self,
        dir: Direction,
        bytes: &'a [u8],
        missing: u64,
        at: Position,
    ) -> Step<Message<'a>> {
        let step = Http1::parse(&mut self.0, dir, Input { bytes, missing, ended: false, at });
        if let Step::Message { consumed, .. } | Step::Part { consumed, .. } = &step {
            let at = &mut self.1[dir.index()];
            *at = at.saturating_add(*consumed);
        }
        step
    }

    /// A step without its message.
    fn moves(&mut self, dir: Direction, bytes: &[u8], missing: u64) -> Step<u64> {
        let step = self.step(dir, bytes, missing);
        Self::number(step)
    }

    fn number(step: Step<Message<'_>>) -> Step<u64> {
        match step {
            Step::Message { consumed, msg, end } => {
                let (Role::Request(msg) | Role::Response(msg)) = Http1::role(&msg);
                Step::Message { consumed, msg, end }
            }
            Step::Part { consumed, last } => Step::Part { consumed, last },
            Step::Skip { consumed } => Step::Skip { consumed },
            Step::NeedMore { at_least } => Step::NeedMore { at_least },
            Step::Blocked => Step::Blocked,
            Step::Invalid(rule) => Step::Invalid(rule),
            Step::Lost => Step::Lost,
            Step::Tunnel => Step::Tunnel,
            Step::Ambiguous => Step::Ambiguous,
        }
    }

    /// A response whose request may still come.
    fn answers_early(&mut self) -> Step<u64> {
        let at = Position { own: self.1[Send.index()], other: u64::MAX, other_to_come: true };
        Self::number(self.step_at(Send, OK, 0, at))
    }

    fn asks(&mut self) -> Step<u64> {
        self.moves(Recv, GET, 0)
    }

    fn answers(&mut self) -> Step<u64> {
        self.moves(Send, OK, 0)
    }
}

/// A client's connection: requests go out, responses come in.
#[derive(Default)]
struct Client(Http1Conn);

impl Client {
    /// Bytes at a position of their own direction, when the other stood at another.
    fn moves(&mut self, dir: Direction, bytes: &[u8], [own, other]: [u64; 2]) -> Step<u64> {
        let at = Position { own, other, other_to_come: false };
        let input = Input { bytes, missing: 0, ended: false, at };
        Server::number(Http1::parse(&mut self.0, dir, input))
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A message of the exchange `number` that is over with all of `bytes`.
fn whole(bytes: &[u8], number: u64) -> Step<u64> {
    Step::Message { consumed: wire(bytes.len()), msg: number, end: End::Here }
}

fn more(bytes: &[u8], number: u64) -> Step<u64> {
    Step::Message { consumed: wire(bytes.len()), msg: number, end: End::Later }
}

/// A server in the middle of a chunked response.
fn in_chunked() -> Server {
    let mut server = Server::default();
    server.asks();
    assert_eq!(server.moves(Send, CHUNKED, 0), more(CHUNKED, 0));
    server
}

#[test]
fn a_whole_start_line_is_recognised() {
    let heads: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.0\n",
        b"M-SEARCH * HTTP/1.1\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost",
        b"\r\nGET /after/an/empty/line HTTP/1.1\r\n",
        b"GET http://example.com/ HTTP/1.9\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 404\r\n",
    ];
    for head in heads {
        assert_eq!(Http1::probe(head), Verdict::Yes, "{}", head.escape_ascii());
    }
}

#[test]
fn a_prefix_of_a_start_line_may_be_one() {
    let heads: [&[u8]; 9] = [
        b"",
        b"\r\n",
        b"G",
        b"GET",
        b"GET ",
        b"GET /a/long",
        b"HTTP",
        b"HTTP/1.1 2",
        b"PRI * HTTP/",
    ];
    for head in heads {
        assert_eq!(Http1::probe(head), Verdict::Maybe, "{}", head.escape_ascii());
    }
}

#[test]
fn other_protocols_are_refused_by_their_first_bytes() {
    let heads: [&[u8]; 14] = [
        b"*1\r\n$4\r\nPING\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"PRI * HTTP/2.0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example ESMTP\r\n",
        b"GET /0.9\r\n",
        b"GET / HTTP/2.0\r\n",
        b"GET  HTTP/1.1\r\n",
        b"HTTP/2.0 200 OK\r\n",
        b"HTTP/1.1 20x OK\r\n",
        b"HTTP/1.1 020 OK\r\n",
        b"\0\0\0\x13\0\x03\0\0",
        b"RTSP/1.0 200 OK\r\n",
    ];
    for head in heads {
        assert_eq!(Http1::probe(head), Verdict::No, "{}", head.escape_ascii());
    }
}

#[test]
fn a_method_has_at_most_32_bytes() {
    let longest = [b"M".repeat(32).as_slice(), b" / HTTP/1.1\r\n\r\n"].concat();
    let longer = [b"M", longest.as_slice()].concat();
    assert_eq!(Server::default().moves(Recv, &longest, 0), whole(&longest, 0));
    assert_eq!(Server::default().moves(Recv, &longer, 0), Step::Invalid(Malformed::StartLine));
    assert_eq!(Http1::probe(&b"M".repeat(32)), Verdict::Maybe);
    assert_eq!(Http1::probe(&b"M".repeat(33)), Verdict::No);
}

#[test]
fn an_incomplete_head_wants_one_byte_more_and_is_scanned_once() {
    let mut server = Server::default();
    let head = b"GET / HTTP/1.1\r\nHost: h\r\n\r";
    for n in 1..head.len() {
        assert_eq!(server.moves(Recv, &head[..n], 0), Step::NeedMore { at_least: n + 1 });
    }
    assert_eq!(server.0.recv.scanned, head.len() - 1);
}

#[test]
fn a_head_of_32_kib_is_whole_and_one_byte_more_is_too_large() {
    let head = |len: usize| {
        let mut head = b"GET / HTTP/1.1\r\nX: ".to_vec();
        head.resize(len - 4, b'x');
        head.extend(b"\r\n\r\n");
        head
    };
    let (fits, long) = (head(MAX_HEAD), head(MAX_HEAD + 1));
    assert_eq!(Server::default().moves(Recv, &fits, 0), whole(&fits, 0));
    let mut server = Server::default();
    assert_eq!(server.moves(Recv, &long, 0), more(&long[..MAX_HEAD], 0));
    assert_eq!(server.moves(Recv, b"\n", 0), Step::Invalid(Malformed::HeadTooLarge));
}

#[test]
fn a_request_line_that_fills_the_bound_is_too_large() {
    let line = [b"GET /".as_slice(), &b"a".repeat(MAX_HEAD)].concat();
    let mut server = Server::default();
    assert_eq!(server.moves(Recv, &line, 0), more(&line[..MAX_HEAD], 0));
    assert_eq!(server.moves(Recv, b"a", 0), Step::Invalid(Malformed::HeadTooLarge));
    let line = [b"PURGE /".as_slice(), &b"a".repeat(MAX_HEAD)].concat();
    let step = Server::default().moves(Recv, &line, 0);
    assert_eq!(step, Step::Invalid(Malformed::HeadTooLarge));
}

#[test]
fn more_requests_than_the_bound_are_passed_over_and_counted() {
    let mut server = Server::default();
    for n in 0..MAX_IN_FLIGHT {
        assert_eq!(server.asks(), whole(GET, wire(n)));
    }
    assert_eq!(server.asks(), Step::Skip { consumed: wire(GET.len()) });
    assert_eq!(server.asks(), Step::Invalid(Malformed::TooManyInFlight));
    assert_eq!(server.answers(), whole(OK, 0));
}

#[test]
fn a_response_waits_for_a_request_that_is_to_come() {
    let mut server = Server::default();
    assert_eq!(server.answers_early(), Step::Blocked);
    assert_eq!(server.asks(), whole(GET, 0));
    assert_eq!(server.answers_early(), whole(OK, 0));
}

#[test]
fn a_response_without_request_has_a_number_that_no_request_has() {
    let mut server = Server::default();
    assert_eq!(server.answers(), whole(OK, 0));
    assert_eq!(server.asks(), whole(GET, 1));
    assert_eq!(server.answers(), whole(OK, 1));
}

#[test]
fn a_response_that_was_read_before_a_request_was_sent_does_not_answer_it() {
    let mut client = Client::default();
    let asked = wire(GET.len());
    assert_eq!(client.moves(Send, GET, [100, 0]), whole(GET, 0));
    assert_eq!(client.moves(Recv, OK, [0, 100]), whole(OK, 1));
    assert_eq!(client.moves(Recv, OK, [38, 100 + asked]), whole(OK, 0));
}

#[test]
fn a_server_may_answer_before_it_reads() {
    let mut server = Server::default();
    server.1[Send.index()] = 100;
    assert_eq!(server.asks(), whole(GET, 0));
    server.1[Send.index()] = 50;
    assert_eq!(server.answers(), whole(OK, 0));
}

#[test]
fn a_response_on_a_connection_taken_up_late_does_not_wait() {
    let mut server = Server::default();
    for dir in [Send, Recv] {
        Http1::reset(&mut server.0, dir);
    }
    assert_eq!(server.answers(), whole(OK, 0));
    assert_eq!(server.asks(), whole(GET, 1));
    assert_eq!(server.answers(), whole(OK, 1));
}

#[test]
fn requests_and_responses_do_not_change_sides() {
    let mut server = Server::default();
    server.asks();
    assert_eq!(server.moves(Send, GET, 0), Step::Invalid(Malformed::StartLine));
    assert_eq!(server.moves(Recv, OK, 0), Step::Invalid(Malformed::StartLine));
}

#[test]
fn behind_a_connect_request_the_answer_decides() {
    let mut server = Server::default();
    let connect = b"CONNECT h:1 HTTP/1.1\r\n\r\n";
    assert_eq!(server.moves(Recv, connect, 0), whole(connect, 0));
    assert_eq!(server.asks(), Step::Blocked);
    Http1::unblock(&mut server.0, Recv);
    assert_eq!(server.asks(), whole(GET, 1));
}

#[test]
fn behind_an_upgrade_request_the_answer_decides() {
    let mut server = Server::default();
    let upgrade = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n";
    assert_eq!(server.moves(Recv, upgrade, 0), whole(upgrade, 0));
    assert_eq!(server.moves(Recv, b"", 0), Step::NeedMore { at_least: 1 });
    assert_eq!(server.asks(), Step::Blocked);
    server.answers();
    assert_eq!(server.asks(), whole(GET, 1));
}

#[test]
fn a_request_line_beyond_what_a_span_shows_needs_no_end() {
    let mut server = Server::default();
    let line = format!("GET /{}", "a".repeat(SpanSink::TEXT_MAX));
    let short = line.get(..line.len() - 1).unwrap();
    assert_eq!(head::probe(line.as_bytes()), Verdict::Yes);
    assert_eq!(server.moves(Recv, short.as_bytes(), 100), Step::Lost);
    Http1::reset(&mut server.0, Recv);
    assert_eq!(server.moves(Recv, line.as_bytes(), 100), more(line.as_bytes(), 0));
    assert_eq!(server.moves(Recv, b"", 100), Step::Lost);
    Http1::reset(&mut server.0, Recv);
    assert_eq!(server.answers(), whole(OK, 0));
    assert_eq!(server.asks(), whole(GET, 1));
    let unknown = line.replace("GET", "GETS");
    assert_eq!(server.moves(Recv, unknown.as_bytes(), 100), Step::Lost);
}

#[test]
fn a_loss_ends_the_wait_for_an_answer() {
    let mut server = Server::default();
    let connect = b"CONNECT h:1 HTTP/1.1\r\n\r\n";
    server.moves(Recv, connect, 0);
    Http1::reset(&mut server.0, Recv);
    assert_eq!(server.asks(), whole(GET, 1));
}

#[test]
fn a_stream_that_was_found_is_not_lost_any_more() {
    let mut server = Server::default();
    Http1::reset(&mut server.0, Recv);
    assert_eq!(server.asks(), whole(GET, 0));
    assert_eq!(server.answers(), whole(OK, 0));
    assert_eq!(server.asks(), whole(GET, 1));
    assert_eq!(server.answers(), whole(OK, 1));
}

#[test]
fn behind_a_loss_a_response_answers_the_request_that_came_since_the_one_before() {
    for lost in [vec![Send], vec![Recv], vec![Send, Recv]] {
        let mut server = Server::default();
        assert_eq!(server.asks(), whole(GET, 0));
        server.1[Send.index()] += 77; // its answer is lost
        assert_eq!(server.asks(), whole(GET, 1));
        lost.iter().for_each(|dir| Http1::reset(&mut server.0, *dir));
        let late = if lost.contains(&Send) { 1 } else { 0 };
        assert_eq!(server.answers(), whole(OK, late), "{lost:?}");
    }
}

#[test]
fn behind_a_loss_a_response_to_a_lost_request_answers_none_that_is_known() {
    let mut server = Server::default();
    server.asks();
    assert_eq!(server.answers(), whole(OK, 0));
    Http1::reset(&mut server.0, Recv);
    let began = server.1[Send.index()];
    server.1[Send.index()] += 77;
    assert_eq!(server.asks(), whole(GET, 1));
    server.1[Send.index()] = began;
    assert_eq!(server.answers(), whole(OK, 2));
    server.1[Send.index()] = began + 77;
    assert_eq!(server.answers(), whole(OK, 1));
}

#[test]
fn behind_a_loss_an_interim_response_belongs_to_the_one_that_follows() {
    let mut server = Server::default();
    server.asks();
    server.1[Send.index()] += 77;
    assert_eq!(server.asks(), whole(GET, 1));
    Http1::reset(&mut server.0, Send);
    let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n";
    assert_eq!(server.moves(Send, interim, 0), Step::Skip { consumed: wire(interim.len()) });
    server.1[Send.index()] += wire(interim.len());
    assert_eq!(server.answers(), whole(OK, 1));
}

#[test]
fn behind_a_loss_nothing_tells_pipelined_requests_apart() {
    let mut server = Server::default();
    server.asks();
    server.asks();
    Http1::reset(&mut server.0, Send);
    assert_eq!(server.answers(), Step::Ambiguous);
}

#[test]
fn requests_before_a_loss_of_requests_are_still_answered_in_order() {
    let mut server = Server::default();
    server.asks();
    server.asks();
    Http1::reset(&mut server.0, Recv);
    assert_eq!(server.asks(), whole(GET, 2));
    assert_eq!(server.answers(), whole(OK, 0));
    assert_eq!(server.answers(), whole(OK, 1));
    assert_eq!(server.answers(), Step::Ambiguous);
}

#[test]
fn a_client_is_seen_to_pipeline_by_what_it_sent_before_an_answer() {
    let mut client = Client::default();
    let (asked, answered) = (wire(GET.len()), wire(OK.len()));
    // Another thread reads before the sender's calls are recorded: their positions are too far on.
    assert_eq!(client.moves(Send, GET, [0, answered]), whole(GET, 0));
    assert_eq!(client.moves(Recv, OK, [0, asked]), whole(OK, 0));
    assert_eq!(client.moves(Send, GET, [asked, 3 * answered]), whole(GET, 1));
    assert_eq!(client.moves(Send, GET, [2 * asked, 3 * answered]), whole(GET, 2));
    assert_eq!(client.moves(Recv, OK, [answered, 3 * asked]), whole(OK, 1));
    assert_eq!(client.moves(Send, GET, [3 * asked, 3 * answered]), whole(GET, 3));
    Http1::reset(&mut client.0, Recv);
    assert_eq!(client.moves(Recv, OK, [2 * answered + 9, 4 * asked]), Step::Ambiguous);
}

#[test]
fn behind_a_granted_upgrade_both_directions_are_a_tunnel() {
    let mut server = Server::default();
    server.asks();
    let switching = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    assert_eq!(server.moves(Send, switching, 0), whole(switching, 0));
    assert_eq!(server.answers(), Step::Tunnel);
    assert_eq!(server.asks(), Step::Tunnel);
}

#[test]
fn a_declared_length_fits_an_attribute() {
    let fits = b"POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n";
    let step = Step::Message { consumed: wire(fits.len()) + MAX_LENGTH, msg: 0, end: End::Here };
    assert_eq!(Server::default().moves(Recv, fits, 0), step);
    let long = b"POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n";
    let mut server = Server::default();
    assert_eq!(server.moves(Recv, long, 0), more(long, 0));
    assert_eq!(server.moves(Recv, b"", 0), Step::Invalid(Malformed::ContentLength));
}

#[test]
fn several_chunks_at_hand_are_one_part() {
    let mut server = in_chunked();
    let body = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n";
    assert_eq!(server.moves(Send, body, 0), Step::Part { consumed: 30, last: true });
    assert_eq!(server.0.send.seen, Some(5));
}

#[test]
fn a_chunk_that_is_still_to_come_is_passed_over_at_once() {
    let mut server = in_chunked();
    assert_eq!(server.moves(Send, b"ff\r\nab", 0), Step::Part { consumed: 4 + 255, last: false });
    assert_eq!(server.moves(Send, b"\r\n0\r\n\r\n", 0), Step::Part { consumed: 7, last: true });
}

#[test]
fn a_line_end_behind_a_chunk_that_was_not_captured_is_taken_for_granted() {
    for (captured, missing, consumed) in [(b"" as &[u8], 2, 2), (b"\r", 1, 2), (b"", 9, 2)] {
        let mut server = in_chunked();
        server.moves(Send, b"1\r\n", 0);
        let step = server.moves(Send, captured, missing);
        assert_eq!(step, Step::Part { consumed, last: false });
        assert_eq!(server.0.send.state, State::Chunked(Chunked::Size));
    }
}

#[test]
fn half_a_line_end_that_was_not_captured_leaves_the_other_half() {
    let mut server = in_chunked();
    server.moves(Send, b"1\r\n", 0);
    assert_eq!(server.moves(Send, b"", 1), Step::Part { consumed: 1, last: false });
    assert_eq!(server.moves(Send, b"\n0\r\n\r\n", 0), Step::Part { consumed: 6, last: true });
}

#[test]
fn a_chunk_size_that_was_not_captured_loses_the_stream() {
    for (captured, missing) in [(b"" as &[u8], 5), (b"1f", 40), (b"1f\r", 40)] {
        assert_eq!(in_chunked().moves(Send, captured, missing), Step::Lost);
    }
}

#[test]
fn chunk_sizes_are_bounded() {
    let sizes: [(&[u8], Step<u64>); 6] = [
        (b"7fffffffffffffff\r\n", Step::Part { consumed: 18 + MAX_LENGTH, last: false }),
        (b"8000000000000000\r\n", Step::Invalid(Malformed::ChunkSize)),
        (b"00000000000000001\r\n", Step::Invalid(Malformed::ChunkSize)),
        (b"-1\r\n", Step::Invalid(Malformed::ChunkSize)),
        (b"1g\r\n", Step::Invalid(Malformed::ChunkSize)),
        (b"\r\n", Step::Invalid(Malformed::ChunkSize)),
    ];
    for (line, step) in sizes {
        assert_eq!(in_chunked().moves(Send, line, 0), step, "{}", line.escape_ascii());
    }
}

#[test]
fn chunk_extensions_and_trailers_are_bounded() {
    let extension = [b"1;".as_slice(), &b"x".repeat(4095)].concat();
    assert_eq!(in_chunked().moves(Send, &extension, 0), Step::Invalid(Malformed::ChunkSize));
    let mut server = in_chunked();
    server.moves(Send, b"0\r\n", 0);
    let line = [b"T: ".as_slice(), &b"x".repeat(16_379), b"\r\n"].concat();
    for _ in 0..2 {
        assert_eq!(server.moves(Send, &line, 0), Step::Part { consumed: 16_384, last: false });
    }
    assert_eq!(server.moves(Send, b"T: 1\r\n", 0), Step::Invalid(Malformed::HeadTooLarge));
}

#[test]
fn a_lost_stream_is_found_at_a_start_line_of_its_own_kind() {
    let mut server = Server::default();
    server.asks();
    let requests = b"x\r\n\r\nGET / HTTP/1.1\r\nHost: h";
    assert_eq!(Http1::resync(&server.0, Recv, requests, &|_| true), Some(5));
    assert_eq!(Http1::resync(&server.0, Send, requests, &|_| true), None);
    assert_eq!(Http1::resync(&server.0, Send, b"x HTTP/1.1 200 OK\r\n", &|_| true), None);
    assert_eq!(Http1::resync(&server.0, Send, b"x\nHTTP/1.1 200 OK\r\n\r\n", &|_| true), Some(2));
}

#[test]
fn a_start_line_without_a_header_behind_it_is_text() {
    let server = Server::default();
    for text in ["GET / HTTP/1.1\r\nis a request line", "GET / HTTP/1.1\n<p>", "GET / HTTP/1.1"] {
        assert_eq!(Http1::resync(&server.0, Recv, text.as_bytes(), &|_| true), None, "{text}");
    }
    assert_eq!(Http1::resync(&server.0, Recv, b"GET / HTTP/1.1\r\n", &|_| true), Some(0));
}

#[test]
fn a_lost_stream_is_found_at_a_long_request_line_whose_end_is_out_of_sight() {
    let server = Server::default();
    for (line, found) in [("MOVE /", true), ("XYZZY /", false), ("GET a /", false)] {
        let text = format!("x\n{line}{}", "q".repeat(2048));
        assert_eq!(
            Http1::resync(&server.0, Recv, text.as_bytes(), &|_| true),
            found.then_some(2),
            "{line}"
        );
    }
    assert_eq!(Http1::resync(&server.0, Recv, b"GET /short", &|_| true), None);
}

#[test]
fn a_last_chunk_ends_only_a_lost_chunked_message() {
    let end = b"data\r\n0\r\n\r\n";
    let mut server = in_chunked();
    Http1::reset(&mut server.0, Send);
    assert_eq!(Http1::resync(&server.0, Send, end, &|_| true), Some(end.len()));
    assert_eq!(Http1::resync(&server.0, Send, b"0\r\n\r\n", &|_| true), Some(5));
    assert_eq!(Http1::resync(&server.0, Send, b"data0\r\n\r\n", &|_| true), None);
    Http1::reset(&mut server.0, Recv);
    assert_eq!(Http1::resync(&server.0, Recv, end, &|_| true), None);
}

#[test]
fn a_body_cut_by_the_end_of_the_connection_is_not_whole() {
    let mut server = in_chunked();
    let input = Input { bytes: b"5", missing: 0, ended: true, at: Position::default() };
    let step = Http1::parse(&mut server.0, Send, input);
    assert!(matches!(step, Step::NeedMore { at_least: 2 }), "{step:?}");
}

#[test]
fn targets_are_taken_apart() {
    let origin = |path, query| Target { scheme: "http", host: None, path, query };
    assert_eq!(Target::read(b"/a?b?c", false), origin(b"/a", b"b?c"));
    assert_eq!(Target::read(b"*", false), origin(b"*", b""));
    assert_eq!(Target::read(b"/p?u=http://x/y", false), origin(b"/p", b"u=http://x/y"));
    assert_eq!(Target::read(b"odd", false), origin(b"odd", b""));
    let proxied = Target { scheme: "https", host: Some(b"h"), path: b"/", query: b"" };
    assert_eq!(Target::read(b"HTTPS://u:p@h:8443", false), proxied);
    let tunnel = Target { scheme: "http", host: Some(b"h"), path: b"", query: b"" };
    assert_eq!(Target::read(b"h:443", true), tunnel);
}

#[test]
fn a_host_has_no_user_port_or_brackets() {
    let hosts: [(&[u8], Option<&[u8]>); 7] = [
        (b"h", Some(b"h")),
        (b"h:80", Some(b"h")),
        (b"[2001:db8::1]:80", Some(b"2001:db8::1")),
        (b"2001:db8::1", Some(b"2001:db8::1")),
        (b"u@h:80", Some(b"h")),
        (b":80", None),
        (b"", None),
    ];
    for (authority, host) in hosts {
        assert_eq!(host_of(authority), host, "{}", authority.escape_ascii());
    }
}

#[test]
fn the_state_of_an_idle_connection_is_small() {
    assert!(size_of::<Http1Conn>() <= 256, "{}", size_of::<Http1Conn>());
}

/// Two threads of a client whose positions the hooks count: the answer's hook ran first.
#[test]
fn a_request_that_is_told_after_its_answer_does_not_shift_the_ones_behind() {
    let mut client = Client::default();
    let (asked, answered) = (wire(GET.len()), wire(OK.len()));
    assert_eq!(client.moves(Recv, OK, [0, 0]), whole(OK, 0));
    assert_eq!(client.moves(Send, GET, [0, answered]), whole(GET, 1));
    assert_eq!(client.moves(Send, GET, [asked, answered]), whole(GET, 2));
    assert_eq!(client.moves(Recv, OK, [answered, 2 * asked]), Step::Ambiguous);
}
