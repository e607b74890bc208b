//! Order is by position within a direction, never by time or arrival.

use obi::model::ids::{ConnId, StreamPos};
use obi::semconv::AttrKey;
use obi::stages::decoder::VerdictUpdate;
use obi::telemetry::Counter;

use super::host::{Host, Recv, Send, get, ok};

#[test]
fn an_exchange_starts_with_the_requests_first_byte_and_ends_with_the_responses_last() {
    let mut host = Host::new();
    host.wire.open(1); // 1 ms
    host.moves(1, Recv, "GET /a HT"); // 2
    host.moves(1, Recv, "TP/1.1\r\n\r\n"); // 3
    host.moves(1, Send, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"); // 4
    host.moves(1, Send, "cd"); // 5
    host.decode();
    assert_eq!(host.lines(), ["GET /a 200"]);
    assert_eq!(host.times("/a"), (2, 5));
    let ends = host.span("/a").ends;
    assert_eq!((ends.server.port, ends.client.port), (8080, 40_000));
    assert_eq!(host.out.service(host.span("/a")).unwrap().name, "svc");
}

#[test]
fn a_client_span_has_the_local_end_as_client() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Send, &get("/c"));
    host.moves(1, Recv, &ok("x"));
    host.decode();
    let ends = host.span("/c").ends;
    assert_eq!((ends.client.port, ends.server.port), (8080, 40_000));
}

#[test]
fn records_that_overtook_each_other_are_put_back_in_order() {
    let mut host = Host::new();
    host.wire.open(1);
    let first = host.reserve(1, Recv, 9);
    let second = host.reserve(1, Recv, 4);
    let third = host.reserve(1, Recv, 8);
    host.late(1, Recv, third, "1.1\r\n\r\n\n"); // 2 ms; the last line end is an empty line
    host.late(1, Recv, second, "TTP/"); // 3
    host.decode();
    assert_eq!(host.count(Counter::OutOfOrder), 2);
    host.late(1, Recv, first, "GET /oo H"); // 4
    host.moves(1, Send, &ok("")); // 5
    host.decode();
    assert_eq!(host.lines(), ["GET /oo 200"]);
    assert_eq!(host.times("/oo"), (4, 5));
    assert_eq!(host.count(Counter::Gaps), 0);
}

#[test]
fn a_response_seen_before_its_request_waits_for_it() {
    let mut host = Host::new();
    host.wire.open(1);
    let asked = host.reserve(1, Send, get("/early").len() as u64);
    host.moves(1, Recv, &ok("hi")); // 2 ms
    host.decode();
    assert_eq!(host.lines().len(), 0);
    host.late(1, Send, asked, &get("/early")); // 3 ms
    host.decode();
    assert_eq!(host.lines(), ["GET /early 200"]);
    assert_eq!(host.times("/early"), (3, 3));
    assert_eq!(host.count(Counter::TimesClamped), 1);
    assert_eq!(host.count(Counter::ResponseWithoutRequest), 0);
}

#[test]
fn a_response_whose_request_never_comes_is_counted_after_a_second() {
    let mut host = Host::new();
    host.wire.open(1);
    host.reserve(1, Send, get("/lost").len() as u64);
    host.moves(1, Recv, &ok("hi"));
    host.pause(999);
    assert_eq!(host.count(Counter::ResponseWithoutRequest), 0);
    host.pause(1);
    assert_eq!(host.count(Counter::ResponseWithoutRequest), 1);
    host.moves(1, Send, &get("/next"));
    host.pause(250);
    host.moves(1, Recv, &ok("hi"));
    host.decode();
    assert_eq!(host.lines(), ["GET /next 200"]);
}

#[test]
fn a_response_that_nobody_asked_for_is_counted_at_once() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &ok("hi"));
    host.decode();
    assert_eq!(host.count(Counter::ResponseWithoutRequest), 1);
    host.moves(1, Send, &get("/next"));
    host.moves(1, Recv, &ok("hi"));
    host.decode();
    assert_eq!(host.lines(), ["GET /next 200"]);
}

#[test]
fn where_hooks_count_positions_a_response_waits_for_its_request_but_once_in_vain() {
    let mut host = Host::new();
    host.wire.open_with(1, |open| open.counted = true);
    // The sender's hook counts its bytes behind the receiver's, which sees none yet.
    host.moves(1, Recv, &ok("hi"));
    host.moves(1, Send, &get("/late"));
    host.decode();
    assert_eq!(host.lines(), ["GET /late 200"]);
    for orphans in 1..3 {
        host.moves(1, Recv, &ok(""));
        if orphans == 1 {
            host.pause(1000);
        }
        host.decode();
        assert_eq!(host.count(Counter::ResponseWithoutRequest), orphans);
    }
    host.moves(1, Send, &get("/next"));
    host.moves(1, Recv, &ok("hi"));
    host.decode();
    assert_eq!(host.lines(), ["GET /late 200", "GET /next 200"]);
}

#[test]
fn bytes_that_were_seen_already_are_cut_and_counted() {
    let mut host = Host::new();
    host.wire.open(1);
    let at = host.reserve(1, Recv, get("/peek").len() as u64);
    host.late(1, Recv, at, "GET /peek HTTP/1.1\r\n");
    host.late(1, Recv, at, &get("/peek"));
    host.late(1, Recv, at, &get("/peek"));
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["GET /peek 200"]);
    assert_eq!(host.count(Counter::OldBytes), 20 + get("/peek").len() as u64);
    assert_eq!(host.count(Counter::RecordOld), 1);
}

#[test]
fn a_thousand_pipelined_requests_are_answered_in_order() {
    let mut host = Host::new();
    host.wire.open(1);
    for n in 0..1000 {
        host.moves(1, Recv, &get(&format!("/{n}")));
    }
    let answers: String = (0..1000)
        .map(|n| format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", 200 + n % 300))
        .collect();
    for part in answers.as_bytes().chunks(1000) {
        host.call(1, Send, part, 0, b"");
    }
    host.decode();
    let expected: Vec<_> = (0..1000)
        .filter(|n| 200 + n % 300 != 204 && 200 + n % 300 != 304)
        .map(|n| format!("GET /{n} {}", 200 + n % 300))
        .collect();
    let mut lines = host.lines();
    lines.retain(|l| !l.ends_with(" 204") && !l.ends_with(" 304"));
    assert_eq!(lines, expected);
    assert_eq!(host.out.spans.len(), 1000);
}

#[test]
fn a_body_that_was_not_captured_is_skipped_and_its_last_byte_ends_the_span() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/big")); // 2 ms
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n";
    host.call(1, Send, head.as_bytes(), 1000, b"tail"); // 3
    host.decode();
    let last_byte = head.len() as u64 + 199_999;
    let skip = VerdictUpdate::SkipUntil(ConnId(1), Send, StreamPos(last_byte));
    assert_eq!(host.verdicts, [skip]);
    host.reserve(1, Send, 98_996); // the kernel leaves these out
    host.call(1, Send, b"", 99_999, b""); // 4: all but the last byte
    host.decode();
    assert_eq!(host.lines().len(), 0);
    host.call(1, Send, b"", 1, b""); // 5
    host.moves(1, Recv, &get("/after"));
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.times("/big"), (2, 5));
    let size = host.out.attr_i64(host.span("/big"), AttrKey::HttpResponseBodySize);
    assert_eq!(size, Some(200_000));
    assert_eq!(host.lines(), ["GET /big 200", "GET /after 200"]);
    assert_eq!(host.verdicts.len(), 1);
    assert_eq!((host.count(Counter::Gaps), host.count(Counter::LostBytes)), (0, 0));
}

#[test]
fn an_early_response_ends_the_span_although_the_request_goes_on() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, "POST /up HTTP/1.1\r\nContent-Length: 6\r\n\r\nab"); // 2 ms
    host.moves(1, Send, "HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n"); // 3
    host.moves(1, Recv, "cdef"); // 4
    host.moves(1, Recv, &get("/then")); // 5
    host.moves(1, Send, &ok("")); // 6
    host.decode();
    assert_eq!(host.lines(), ["POST /up 413", "GET /then 200"]);
    assert_eq!(host.times("/up"), (2, 3));
}

#[test]
fn the_same_batches_give_the_same_spans_ids_included() {
    let run = || {
        let mut host = Host::new();
        for conn in 0..20 {
            host.wire.open(conn);
            host.moves(conn, Recv, &get("/in"));
            host.moves(conn + 100, Send, "nobody opened this");
            host.wire.open(conn + 200);
            host.moves(conn + 200, Send, &get("/out"));
            host.moves(conn + 200, Recv, &ok("hello"));
            host.moves(conn, Send, &ok("hello"));
        }
        host.decode();
        host.decoder.finish(&mut host.out);
        format!("{:?}", host.out)
    };
    assert_eq!(run(), run());
    assert_eq!(run().matches("SpanHead").count(), 40);
}

#[test]
fn data_of_a_connection_nobody_opened_is_dropped_and_counted() {
    let mut host = Host::new();
    host.moves(9, Recv, &get("/x"));
    host.decode();
    assert_eq!(host.lines().len(), 0);
    assert_eq!(host.count(Counter::RecordWithoutOpen), 1);
}

#[test]
fn a_connection_with_another_protocol_is_given_up_after_four_records() {
    let mut host = Host::new();
    host.wire.open(1);
    for _ in 0..3 {
        host.moves(1, Recv, "\x16\x03\x01 not http");
    }
    host.decode();
    assert_eq!(host.verdicts, []);
    host.moves(1, Send, "\x16\x03\x01 not http");
    host.moves(1, Recv, &get("/hidden"));
    host.decode();
    assert_eq!(host.verdicts, [VerdictUpdate::Nothing(ConnId(1))]);
    assert_eq!(host.count(Counter::NotAKnownProtocol), 1);
    assert_eq!(host.count(Counter::RecordNothing), 1);
    // The kernel shows it again after a pause: it is probed again.
    host.pause(5001);
    host.moves(1, Recv, &get("/later"));
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["GET /later 200"]);
    let conn = ConnId(1);
    assert_eq!(host.verdicts, [VerdictUpdate::Nothing(conn), VerdictUpdate::Capture(conn)]);
    host.close(1);
    host.decode();
    assert_eq!(host.decoder.ledger()[0].in_flight, 0);
    assert_eq!(host.count(Counter::UnseenBytes), 0);
}

#[test]
fn a_connection_given_up_and_shown_again_only_in_part_closes_at_once() {
    let mut host = Host::new();
    host.wire.open(1);
    (0..4).for_each(|_| host.moves(1, Recv, "not http\n"));
    host.pause(5001);
    host.reserve(1, Send, 500); // left out by the kernel
    host.moves(1, Recv, &get("/again"));
    host.close(1);
    host.decode();
    assert_eq!(host.lines(), ["GET /again -"]);
    assert_eq!(host.count(Counter::UnseenBytes), 0);
}

#[test]
fn a_connection_older_than_the_agent_is_probed_until_the_body_under_way_is_over() {
    let mut host = Host::new();
    host.reopen(1);
    for _ in 0..1000 {
        host.moves(1, Send, "the middle of a body\n");
    }
    host.moves(1, Recv, &get("/adopted"));
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["GET /adopted 200"]);
    assert_eq!(host.count(Counter::NotAKnownProtocol), 0);
}

#[test]
fn a_connection_older_than_the_agent_is_given_up_after_sixteen_turns_or_65_536_records() {
    for (turns, records) in [(16, 1), (1, 65_536)] {
        let mut host = Host::new();
        host.reopen(1);
        for n in 0..turns * records {
            host.decode();
            assert_eq!(host.count(Counter::NotAKnownProtocol), 0, "after {n}");
            let dir = if n / records % 2 == 0 { Recv } else { Send };
            host.moves(1, dir, "\x16\x03\x01 not http\n");
        }
        host.decode();
        assert_eq!(host.count(Counter::NotAKnownProtocol), 1);
    }
}

#[test]
fn a_connection_first_seen_by_its_answer_still_begins_with_the_request() {
    let mut host = Host::new();
    let asked = get("/a");
    let start = asked.len() as u64;
    host.wire.open_with(1, |open| {
        open.from_birth = false;
        open.start[Send.index()] = StreamPos(start);
    });
    let sent = host.reserve(1, Send, start);
    host.moves(1, Recv, &ok("early"));
    host.late(1, Send, sent, &asked);
    host.moves(1, Send, &get("/b"));
    host.moves(1, Recv, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["GET /a 200", "GET /b 200"]);
    assert_eq!(host.count(Counter::RecordOld), 0);
}

#[test]
fn the_answer_that_was_under_way_when_the_agent_came_answers_nothing_it_saw() {
    let mut host = Host::new();
    host.wire.open_with(1, |open| {
        open.from_birth = false;
        open.start = [StreamPos(1000); 2];
    });
    for dir in [Send, Recv] {
        host.reserve(1, dir, 1000);
    }
    host.moves(1, Send, "HTTP/1.1 500 Before\r\nContent-Length: 0\r\n\r\n");
    host.moves(1, Recv, &get("/next"));
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["GET /next 200"]);
    assert_eq!(host.count(Counter::ResponseWithoutRequest), 1);
}

#[test]
fn what_an_upload_that_was_under_way_leaves_in_front_of_a_request_line_is_no_method() {
    let answer = |status: u16| format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    for answers_first in [false, true] {
        let mut host = Host::new();
        host.reopen(1);
        if answers_first {
            host.moves(1, Send, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        host.moves(1, Recv, "TpasswordOPTIONS /second HTTP/1.1\r\nHost: h\r\n\r\n");
        host.moves(1, Send, &answer(400));
        host.moves(1, Send, &answer(301));
        host.moves(1, Recv, "PROPFIND /third HTTP/1.1\r\nHost: h\r\n\r\n");
        host.moves(1, Send, &answer(207));
        host.decode();
        assert_eq!(host.lines(), ["PROPFIND /third 207"]);
        assert_eq!(host.count(Counter::ResponseWithoutRequest), 2);
    }
}

#[test]
fn a_call_over_a_unix_socket_names_its_path() {
    let mut host = Host::new();
    for (conn, path) in [(1, &b"/run/app.sock"[..]), (2, &b"\0abstract"[..])] {
        host.wire.open_with(conn, |open| {
            open.unix = true;
            open.unix_path = path;
        });
        host.moves(conn, Send, &get(&format!("/{conn}")));
        host.moves(conn, Recv, &ok(""));
    }
    host.decode();
    let address = |path| host.out.attr_text(host.span(path), AttrKey::ServerAddress).to_owned();
    assert_eq!((address("/1"), address("/2")), ("/run/app.sock".into(), "@abstract".into()));
}

#[test]
fn behind_an_upgrade_there_is_silence() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
    host.moves(1, Send, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
    host.moves(1, Recv, "\u{1}\u{2}");
    host.moves(1, Send, &ok("looks like http"));
    host.moves(1, Recv, &get("/tunnelled"));
    host.decode();
    assert_eq!(host.lines(), ["GET /ws 101"]);
    assert_eq!(host.verdicts, [VerdictUpdate::Nothing(ConnId(1))]);
    assert_eq!((host.count(Counter::Tunnels), host.count(Counter::RecordTunnel)), (1, 2));
}
