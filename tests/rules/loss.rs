//! What is lost is missing, never invented, and always counted.

use obi::abi::RawBatch;
use obi::model::ids::ConnId;
use obi::semconv::AttrKey;
use obi::stages::decoder::VerdictUpdate;
use obi::telemetry::Counter;

use obi::model::conn::Direction;
use obi::semconv::SpanKind;

use super::host::{Host, Recv, Send, get, ok};

fn kind(asks: Direction) -> SpanKind {
    if asks == Recv { SpanKind::Server } else { SpanKind::Client }
}

#[test]
fn a_gap_inside_a_body_is_harmless() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/a"));
    host.moves(1, Send, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n0123456789");
    host.reserve(1, Send, 10);
    host.moves(1, Send, "0123456789");
    host.decode();
    assert_eq!(host.lines(), ["GET /a 200"]);
    assert_eq!((host.count(Counter::Gaps), host.count(Counter::StreamsLost)), (0, 0));
}

/// A server that always reads one request ahead of its answers. The ones behind the first, in the
/// same call, were not captured.
#[test]
fn a_request_cut_behind_one_that_waits_tells_of_pipelining() {
    let answer = |status: u16| format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    for cut in ["", "GET /1?q=", "GET /1?qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"] {
        let mut host = Host::new();
        host.wire.open(1);
        let head = format!("PUT /0 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc{cut}");
        host.call(1, Recv, head.as_bytes(), 2000, b"");
        for n in 0..4 {
            host.moves(1, Send, &answer(200 + n));
        }
        for n in 4..9 {
            host.moves(1, Recv, &get(&format!("/{}", n + 1)));
            host.moves(1, Send, &answer(200 + n));
        }
        host.pause(5_000);
        let wrong = |line: &String| !line.ends_with(" -") && line != "PUT /0 200";
        let lines = host.lines();
        assert!(!lines.iter().any(wrong), "behind {cut:?}: {lines:?}");
        assert!(lines.contains(&"PUT /0 200".to_owned()), "{lines:?}");
        assert_eq!(host.count(Counter::PairingAmbiguous), 1, "{lines:?}");
    }
}

#[test]
fn a_gap_inside_a_head_loses_the_stream_until_the_next_message() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, "GET /cut HTTP/1.1\r\nHo");
    host.reserve(1, Recv, 50);
    host.moves(1, Send, &ok("for the cut one"));
    host.moves(1, Recv, &get("/next"));
    host.moves(1, Send, &ok("for the next"));
    host.pause(249);
    assert_eq!(host.count(Counter::Gaps), 0);
    host.pause(1);
    assert_eq!((host.count(Counter::Gaps), host.count(Counter::GapBytes)), (1, 50));
    assert_eq!((host.count(Counter::StreamsLost), host.count(Counter::StreamsFound)), (1, 1));
    let size = |path| host.out.attr_i64(host.span(path), AttrKey::HttpResponseBodySize);
    assert_eq!((size("/cut"), size("/next")), (Some(15), Some(12)));
    assert_eq!(host.lines(), ["GET /cut 200", "GET /next 200"]);
}

#[test]
fn a_gap_that_is_filled_in_time_was_none() {
    let mut host = Host::new();
    host.wire.open(1);
    let at = host.reserve(1, Recv, 10);
    host.moves(1, Recv, "TTP/1.1\r\n\r\n");
    host.pause(249);
    host.late(1, Recv, at, "GET /gap H");
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["GET /gap 200"]);
    assert_eq!(host.count(Counter::Gaps), 0);
}

#[test]
fn gaps_of_both_directions_are_given_up_together_so_that_no_answer_overtakes_its_request() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Send, "GET /before HTTP/1.1\r\nHost: test\r\n");
    host.reserve(1, Send, 2);
    host.reserve(1, Recv, 41);
    for path in ["/after-0", "/after-1", "/after-2"] {
        host.moves(1, Send, &get(path));
        for byte in ok(path).chars() {
            host.moves(1, Recv, &byte.to_string());
        }
    }
    host.decode();
    host.pause(250);
    host.close(1);
    host.pause(5000);
    let wanted = ["GET /after-0 200", "GET /after-1 200", "GET /after-2 200", "GET /before -"];
    let mut lines = host.lines();
    lines.sort_unstable();
    assert_eq!(lines, wanted);
    let size = |path| host.out.attr_i64(host.span(path), AttrKey::HttpResponseBodySize);
    assert_eq!(["/after-0", "/after-1", "/after-2"].map(size), [Some(8); 3]);
    assert_eq!(host.count(Counter::ResponseWithoutRequest), 0);
}

#[test]
fn sixteen_records_behind_a_gap_are_enough_to_give_it_up() {
    let mut host = Host::new();
    host.wire.open(1);
    host.reserve(1, Recv, 5);
    for n in 0..15 {
        host.moves(1, Recv, &get(&format!("/{n}")));
        host.reserve(1, Send, 40);
    }
    host.decode();
    assert_eq!(host.count(Counter::Gaps), 0);
    let stages = host.decoder.ledger();
    assert_eq!((stages[0].in_flight, stages[1].in_flight), (15, 0));
    host.moves(1, Recv, &get("/15"));
    host.decode();
    assert_eq!(host.count(Counter::Gaps), 1);
    assert_eq!(host.decoder.ledger()[1].in_flight, 16);
}

#[test]
fn a_response_to_a_request_that_was_not_seen_may_answer_head() {
    for (framing, body) in [
        ("Content-Length: 1000000", ""),
        ("Content-Length: 31", "HTTP is what this text tells of"),
        ("Transfer-Encoding: chunked", ""),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
        ("Server: none", ""),
    ] {
        let mut host = Host::new();
        host.wire.open(1);
        host.reserve(1, Recv, 50);
        host.moves(1, Send, &format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
        host.call(1, Send, body.as_bytes(), 0, b"");
        for n in 0..3 {
            host.moves(1, Recv, &get(&format!("/{n}")));
            host.moves(1, Send, &ok(framing));
        }
        host.pause(250);
        assert_eq!(host.lines(), ["GET /0 200", "GET /1 200", "GET /2 200"], "{framing}");
        assert_eq!(host.verdicts, []);
    }
}

/// The hooks count the positions, so that a response may always be older than a request whose hook
/// has not run: that must not make a client of one request at a time look like one of several.
#[test]
fn a_client_of_a_unix_socket_is_followed_behind_a_loss() {
    for many in [1, 3] {
        let lost = |n: i32| (n % 400) / many == 1;
        for (loses_requests, loses_responses) in [(true, true), (true, false), (false, true)] {
            let mut host = Host::new();
            host.wire.open_with(1, |open| (open.counted, open.unix) = (true, true));
            let mut wanted = Vec::new();
            for n in 0..1500 {
                let (request, response) = (get(&format!("/{n}")), ok("done"));
                match lost(n) && loses_requests {
                    true => _ = host.reserve(1, Send, request.len() as u64),
                    false => host.moves(1, Send, &request),
                }
                match lost(n) && loses_responses {
                    true => _ = host.reserve(1, Recv, response.len() as u64),
                    false => host.moves(1, Recv, &response),
                }
                if !lost(n) {
                    wanted.push(format!("GET /{n} 200"));
                } else if !loses_requests {
                    wanted.push(format!("GET /{n} -"));
                }
                if n % 200 == 199 {
                    host.decode();
                }
            }
            host.pause(5_000);
            let mut lines = host.lines();
            let what = format!("{many}, requests {loses_requests} responses {loses_responses}");
            assert_eq!(host.count(Counter::PairingAmbiguous), 0, "{what}");
            lines.sort();
            wanted.sort();
            assert_eq!(lines, wanted, "{what}");
        }
    }
}

/// Whatever a body under way quotes, line by line, tells neither requests nor who asks.
#[test]
fn what_a_body_under_way_quotes_does_not_turn_the_roles_round() {
    let requests = ["GET /quoted HTTP/1.1\r\n", "Host: h\r\n", "\r\n"];
    let responses = ["HTTP/1.1 200 OK\r\n", "Content-Length: 0\r\n", "\r\n"];
    for (lines, body, asks, answers) in [
        (requests, Recv, Recv, Send),
        (requests, Send, Recv, Send),
        (responses, Recv, Recv, Send),
        (responses, Send, Recv, Send),
        (requests, Recv, Send, Recv),
        (responses, Send, Send, Recv),
    ] {
        let mut host = Host::new();
        host.reopen(1);
        for line in lines.iter().cycle().take(300) {
            host.moves(1, body, line);
        }
        if body == asks {
            host.moves(1, answers, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
        }
        for n in 0..3 {
            host.moves(1, asks, &get(&format!("/{n}")));
            host.moves(1, answers, &ok("abc"));
        }
        host.decode();
        let lines: Vec<_> = host.lines().into_iter().filter(|l| !l.ends_with(" 201")).collect();
        assert_eq!(
            lines,
            ["GET /0 200", "GET /1 200", "GET /2 200"],
            "{lines:?} {body:?} {asks:?}"
        );
        assert!(host.out.spans.iter().all(|s| s.family.kind() == kind(asks)));
    }
}

/// The first head of a new connection was moved in a way that is not read.
#[test]
fn the_body_of_a_first_head_that_was_not_captured_makes_no_method() {
    let mut host = Host::new();
    host.wire.open(1);
    host.call(1, Recv, b"", 60, b"");
    host.moves(1, Recv, "zzzz");
    host.moves(1, Send, &ok(""));
    host.moves(1, Recv, "POST /second HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    host.moves(1, Send, &ok(""));
    host.moves(1, Recv, &get("/third"));
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["POST /second 200", "GET /third 200"]);
}

/// Nor does a request begin while the one before, whose bytes still come, has no answer.
#[test]
fn what_a_body_under_way_quotes_in_calls_of_its_own_is_no_message() {
    let lines = ["PATCH /quoted HTTP/1.1\r\n", "Host: h\r\n", "\r\n", "--b\r\n"];
    let cases = (0..4).flat_map(|first| [(first, Recv, Send), (first, Send, Recv)]);
    for (first, asks, answers) in cases {
        let mut host = Host::new();
        host.reopen(1);
        for line in lines.iter().cycle().skip(first).take(200) {
            host.moves(1, asks, line);
        }
        host.moves(1, answers, "HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\n");
        host.moves(1, answers, "abc");
        host.moves(1, asks, &get("/next"));
        host.moves(1, answers, &ok(""));
        host.decode();
        assert_eq!(host.lines(), ["GET /next 200"]);
        assert_eq!(host.count(Counter::PairingAmbiguous), 0);
    }
}

/// Who sends one request at a time begins each with a call of its own.
#[test]
fn what_the_body_of_a_lost_head_quotes_is_no_message() {
    let quote = "--b\r\n\r\nPATCH /quoted HTTP/1.1\r\nHost: h\r\n\r\n--b--\r\n";
    let answer = "--b\r\n\r\nHTTP/1.1 599 Quoted\r\nContent-Length: 0\r\n\r\n--b--\r\n";
    for (asks, answers) in [(Recv, Send), (Send, Recv)] {
        let mut host = Host::new();
        host.wire.open(1);
        host.moves(1, asks, &get("/first"));
        host.moves(1, answers, &ok(""));
        host.reserve(1, asks, 60);
        host.moves(1, asks, quote);
        host.reserve(1, answers, 60);
        host.moves(1, answers, answer);
        host.moves(1, asks, &get("/next"));
        host.moves(1, answers, &ok(""));
        host.pause(250);
        assert_eq!(host.lines(), ["GET /first 200", "GET /next 200"]);
        assert_eq!(host.count(Counter::PairingAmbiguous), 0);
    }
}

#[test]
fn what_a_lost_body_quotes_is_no_message() {
    let mut host = Host::new();
    host.wire.open(1);
    let head = "POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    host.call(1, Recv, head.as_bytes(), 9000, b"");
    host.moves(1, Recv, &get("/quoted"));
    host.moves(1, Recv, &format!("text {}", get("/quoted-too")));
    let head = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n";
    host.call(1, Send, head.as_bytes(), 9000, b"");
    host.moves(1, Send, "HTTP/1.1 500 Quoted\r\n\r\n");
    host.moves(1, Send, "end\r\n0\r\n\r\n");
    host.moves(1, Recv, &get("/next"));
    host.moves(1, Send, &ok("next"));
    host.decode();
    assert_eq!(host.lines(), ["POST /upload 201", "GET /next 200"]);
    assert_eq!(host.count(Counter::ResponseWithoutRequest), 0);
}

#[test]
fn the_table_is_bounded_and_the_least_recently_used_connection_ends_first() {
    let mut host = Host::with_unknown_process(2);
    host.decoder.fact(crate::support::wire::fact(crate::support::wire::TGID, "svc"));
    host.wire.open(1);
    host.moves(1, Recv, &get("/1")); // 2 ms
    host.wire.open(2);
    host.moves(2, Recv, &get("/2")); // 4 ms
    host.moves(1, Send, "HTTP/1.1 200 OK\r\n");
    host.wire.open(3);
    host.moves(2, Send, &ok("too late"));
    host.moves(1, Send, "Content-Length: 0\r\n\r\n");
    host.decode();
    assert_eq!(host.lines(), ["GET /2 -", "GET /1 200"]);
    assert_eq!(host.times("/2"), (4, 4));
    assert_eq!(host.count(Counter::ConnectionsEvicted), 1);
    assert_eq!(host.count(Counter::RecordWithoutOpen), 1);
    // The kernel is asked once what connection that was; it goes on like one older than the agent.
    assert_eq!(host.verdicts, [VerdictUpdate::Open(ConnId(2))]);
    host.reopen(2);
    host.moves(2, Recv, &get("/again"));
    host.moves(2, Send, &ok("seen"));
    host.decode();
    assert_eq!(host.lines(), ["GET /2 -", "GET /1 200", "GET /again 200"]);
}

#[test]
fn a_request_still_open_at_the_close_ends_there_without_a_status() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/a")); // 2 ms
    host.close(1); // 3 ms
    host.decode();
    assert_eq!(host.lines(), ["GET /a -"]);
    assert_eq!(host.times("/a"), (2, 3));
    let observed = host.out.attr(host.span("/a"), AttrKey::HttpResponseObserved);
    assert_eq!(observed, Some(obi::model::attrs::AttrValue::Bool(false)));
    assert_eq!(host.count(Counter::Unanswered), 1);
    assert_eq!(host.decoder.ledger()[1].in_flight, 0);
}

#[test]
fn a_response_cut_by_the_close_ends_with_its_last_byte() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/cut")); // 2 ms
    host.moves(1, Send, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"); // 3
    host.moves(1, Send, "7\r\nwo"); // 4
    host.close(1); // 5
    host.decode();
    assert_eq!(host.lines(), ["GET /cut 200"]);
    assert_eq!(host.times("/cut"), (2, 4));
    assert_eq!(host.count(Counter::ResponseCut), 1);
}

#[test]
fn a_chunk_that_breaks_off_counts_the_bytes_that_moved() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/cut"));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    host.moves(1, Send, &format!("{head}ffff\r\nwo"));
    host.close(1);
    host.decode();
    let size = host.out.attr_i64(host.span("/cut"), AttrKey::HttpResponseBodySize);
    assert_eq!(size, Some(7));
}

#[test]
fn heads_that_are_longer_than_a_capture_keep_their_status() {
    for tail in ["", "\r\n\r\n", "x\r\n\r\nbody"] {
        let mut host = Host::new();
        host.wire.open(1);
        let head = format!("HTTP/1.1 201 OK\r\nSet-Cookie: {}", "c".repeat(16_000));
        for n in 0..5 {
            host.moves(1, Recv, &get(&format!("/{n}")));
            host.call(1, Send, head.as_bytes(), 14_000, tail.as_bytes());
            host.decode();
        }
        host.close(1);
        host.decode();
        let wanted: Vec<_> = (0..5).map(|n| format!("GET /{n} 201")).collect();
        assert_eq!(host.lines(), wanted, "{tail:?}");
    }
}

#[test]
fn answers_of_pipelined_requests_end_where_the_requests_become_unknown() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &[get("/1"), get("/2"), "GET /3 HTTP/1.1\r\nHo".into()].concat());
    host.reserve(1, Recv, 100);
    host.moves(1, Recv, &get("/unknown-number"));
    host.pause(250);
    for body in ["1", "22", "333", "4444", "55555"] {
        host.moves(1, Send, &ok(body));
    }
    host.close(1);
    host.decode();
    let wanted = ["GET /1 200", "GET /2 200", "GET /3 200", "GET /unknown-number -"];
    assert_eq!(host.lines(), wanted);
    assert_eq!(host.count(Counter::PairingAmbiguous), 1);
    let size = |path| host.out.attr_i64(host.span(path), AttrKey::HttpResponseBodySize);
    assert_eq!(["/1", "/2", "/3"].map(size), [Some(1), Some(2), Some(3)]);
}

#[test]
fn a_response_whose_framing_is_lost_ends_where_the_next_one_is_found() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/lost")); // 2 ms
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    host.call(1, Send, head.as_bytes(), 100, b"data"); // 3
    host.moves(1, Recv, &get("/found")); // 4
    host.moves(1, Send, &ok("")); // 5
    host.decode();
    assert_eq!(host.lines(), ["GET /lost 200", "GET /found 200"]);
    assert_eq!((host.times("/lost"), host.times("/found")), ((2, 3), (4, 5)));
    assert_eq!((host.count(Counter::StreamsLost), host.count(Counter::StreamsFound)), (1, 1));
    assert_eq!(host.count(Counter::LostBytes), 104);
}

#[test]
fn what_is_open_when_the_agent_stops_is_told_as_far_as_it_is_known() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Send, &get("/stream")); // 2 ms
    host.moves(1, Recv, "HTTP/1.0 200 OK\r\n\r\nhel"); // 3
    host.wire.open(2);
    host.moves(2, Send, &get("/silent")); // 5
    host.decode();
    assert_eq!(host.decoder.ledger()[1].in_flight, 2);
    host.decoder.finish(&mut host.out);
    assert_eq!(host.lines(), ["GET /stream 200", "GET /silent -"]);
    assert_eq!((host.times("/stream"), host.times("/silent")), ((2, 3), (5, 5)));
    let size = host.out.attr_i64(host.span("/stream"), AttrKey::HttpResponseBodySize);
    assert_eq!(size, Some(3));
    assert_eq!(host.decoder.ledger()[1].in_flight, 0);
}

#[test]
fn a_body_without_a_length_ends_with_the_stream() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Send, &get("/old")); // 2 ms
    host.moves(1, Recv, "HTTP/1.0 200 OK\r\n\r\nhel"); // 3
    host.moves(1, Recv, "lo"); // 4
    host.decode();
    assert_eq!(host.lines().len(), 0);
    host.eof(1); // 5
    host.decode();
    assert_eq!(host.lines(), ["GET /old 200"]);
    assert_eq!(host.times("/old"), (2, 4));
    let size = host.out.attr_i64(host.span("/old"), AttrKey::HttpResponseBodySize);
    assert_eq!(size, Some(5));
}

#[test]
fn a_close_waits_for_records_that_other_threads_still_have_to_deliver() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/late"));
    let at = host.reserve(1, Send, ok("abc").len() as u64);
    host.close(1);
    host.decode();
    assert_eq!(host.lines().len(), 0);
    host.late(1, Send, at, &ok("abc"));
    host.decode();
    assert_eq!(host.lines(), ["GET /late 200"]);
    assert_eq!(host.count(Counter::UnseenBytes), 0);
}

#[test]
fn a_close_waits_five_seconds_for_what_was_not_read_and_counts_what_did_not_come() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/never")); // 2 ms
    host.reserve(1, Send, 77);
    host.close(1); // 3
    host.pause(4_999);
    assert_eq!(host.lines().len(), 0);
    host.pause(1);
    assert_eq!(host.lines(), ["GET /never -"]);
    assert_eq!(host.times("/never"), (2, 3));
    assert_eq!(host.count(Counter::UnseenBytes), 77);
}

#[test]
fn a_connection_that_is_announced_twice_is_the_same_one() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/a"));
    host.wire.open(1);
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["GET /a 200"]);
    assert_eq!(host.count(Counter::ConnectionsAnnouncedTwice), 1);
}

#[test]
fn records_that_cannot_be_decoded_are_counted_by_reason() {
    let mut host = Host::new();
    host.wire.open(1);
    host.wire.batch.push(b"short");
    host.moves(1, Recv, &get("/a"));
    let mut cut = RawBatch::default();
    for record in host.wire.batch.iter() {
        cut.push(record.get(..record.len() - 1).unwrap());
    }
    host.decoder.decode(&cut, &mut host.out);
    assert_eq!(host.count(Counter::RecordsIn), 3);
    assert_eq!(host.count(Counter::RecordShort), 1);
    assert_eq!(host.count(Counter::RecordLength), 2);
    assert!(host.decoder.ledger().iter().all(obi::telemetry::Stage::balanced));
}

#[test]
fn a_position_that_no_connection_reaches_is_refused() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, &get("/a"));
    host.late(1, Recv, 1 << 48, &get("/nonsense"));
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["GET /a 200"]);
    assert_eq!(host.count(Counter::RecordPosition), 1);
    assert_eq!(host.count(Counter::Gaps), 0);
}

#[test]
fn a_message_that_breaks_a_rule_is_counted_and_the_next_one_is_found() {
    let mut host = Host::new();
    host.wire.open(1);
    host.moves(1, Recv, "GET /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx");
    host.moves(1, Send, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
    host.moves(1, Recv, &get("/b"));
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.lines(), ["GET /a 400", "GET /b 200"]);
    assert_eq!(host.count(Counter::InvalidContentLength), 1);
    assert_eq!(host.count(Counter::StreamsFound), 1);
}
