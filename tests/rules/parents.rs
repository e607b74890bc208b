//! A call is a child of the one request its thread works on, or a root.

use obi::model::ids::{SpanId, Tid, TraceId};
use obi::telemetry::Counter;

use super::host::{Host, Recv, Send, get, ok};
use crate::support::wire::TGID;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const H: TraceId = TraceId([
    0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c,
]);

fn with_header(path: &str, trace: &str, parent: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\ntraceparent: 00-{trace}-{parent}-01\r\n\r\n")
}

fn on_thread(host: &mut Host, tid: u32) {
    host.thread = (TGID, Tid(tid));
}

/// A whole call on a connection of its own.
fn call(host: &mut Host, conn: u64, request: &str) {
    host.wire.open(conn);
    host.moves(conn, Send, request);
    host.moves(conn, Recv, &ok(""));
}

/// A request comes in and stays open.
fn asked(host: &mut Host, conn: u64, request: &str) {
    host.wire.open(conn);
    host.moves(conn, Recv, request);
}

fn answered(host: &mut Host, conn: u64) {
    host.moves(conn, Send, &ok(""));
}

#[track_caller]
fn is_child(host: &Host, child: &str, parent: &str) {
    let (child, parent) = (host.span(child).ctx, host.span(parent).ctx);
    assert_eq!(child.trace_id, parent.trace_id);
    assert_eq!(child.parent_id, parent.span_id);
    assert_ne!(child.span_id, parent.span_id);
}

#[track_caller]
fn is_root(host: &Host, path: &str) {
    let ctx = host.span(path).ctx;
    assert_eq!(ctx.parent_id, SpanId::NONE);
    assert!(!ctx.trace_id.is_none() && !ctx.span_id.is_none());
    assert_eq!(ctx.flags, 1);
}

#[test]
fn a_call_made_while_one_request_is_open_is_its_child() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/in"));
    call(&mut host, 2, &get("/out"));
    answered(&mut host, 1);
    host.decode();
    is_root(&host, "/in");
    is_child(&host, "/out", "/in");
    assert_eq!(host.count(Counter::ParentFound), 1);
}

#[test]
fn with_two_open_requests_a_call_is_a_root() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/a"));
    asked(&mut host, 2, &get("/b"));
    call(&mut host, 3, &get("/out"));
    answered(&mut host, 2);
    // Only /a is open, but /b was read since.
    call(&mut host, 4, &get("/out2"));
    answered(&mut host, 1);
    host.decode();
    is_root(&host, "/out");
    is_root(&host, "/out2");
    assert_eq!(host.count(Counter::ParentAmbiguous), 2);
}

#[test]
fn a_call_after_the_response_is_a_root() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/in"));
    on_thread(&mut host, 555);
    answered(&mut host, 1);
    on_thread(&mut host, TGID.0);
    call(&mut host, 2, &get("/out"));
    host.decode();
    is_root(&host, "/out");
    assert_eq!(host.count(Counter::ParentNone), 1);
}

#[test]
fn a_call_after_an_early_response_is_a_root_although_the_request_goes_on() {
    let mut host = Host::new();
    asked(&mut host, 1, "POST /in HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    answered(&mut host, 1);
    call(&mut host, 2, &get("/out"));
    host.moves(1, Recv, "cd");
    host.decode();
    is_root(&host, "/out");
    assert_eq!(host.lines(), ["GET /out 200", "POST /in 200"]);
}

#[test]
fn a_call_on_another_thread_is_a_root() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/in"));
    on_thread(&mut host, 555);
    call(&mut host, 2, &get("/out"));
    answered(&mut host, 1);
    host.decode();
    is_root(&host, "/out");
}

#[test]
fn each_request_of_a_kept_connection_has_its_own_children() {
    let mut host = Host::new();
    host.wire.open(1);
    host.wire.open(2);
    for n in 0..3 {
        host.moves(1, Recv, &get(&format!("/in{n}")));
        host.moves(2, Send, &get(&format!("/out{n}")));
        host.moves(2, Recv, &ok(""));
        answered(&mut host, 1);
    }
    host.decode();
    for n in 0..3 {
        is_child(&host, &format!("/out{n}"), &format!("/in{n}"));
    }
    assert_ne!(host.span("/in0").ctx.trace_id, host.span("/in1").ctx.trace_id);
}

#[test]
fn a_request_that_ended_with_its_connection_is_nobodys_parent() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/in"));
    host.close(1);
    call(&mut host, 2, &get("/out"));
    host.decode();
    is_root(&host, "/out");
}

/// A client of a unix socket that goes away leaves the request open: the end of that is not seen.
#[test]
fn a_request_over_a_unix_socket_whose_client_is_gone_is_nobodys_parent() {
    for unix in [true, false] {
        let mut host = Host::new();
        host.wire.open_with(1, |open| open.unix = unix);
        host.moves(1, Recv, &get("/in"));
        host.eof(1);
        call(&mut host, 2, &get("/out"));
        asked(&mut host, 3, &get("/next"));
        call(&mut host, 4, &get("/child"));
        answered(&mut host, 3);
        host.pause(5_000);
        if unix {
            is_root(&host, "/out");
            is_child(&host, "/child", "/next");
        } else {
            answered(&mut host, 1);
            host.decode();
            is_child(&host, "/out", "/in");
        }
    }
}

#[test]
fn a_request_whose_answer_is_not_followed_is_nobodys_parent() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/in"));
    host.call(1, Send, b"HTTP/1.1 200 OK\r\nContent-Len", 100, b"");
    call(&mut host, 2, &get("/out"));
    host.moves(1, Recv, &get("/next"));
    host.moves(1, Send, &ok(""));
    host.decode();
    assert_eq!(host.count(Counter::StreamsLost), 1);
    is_root(&host, "/out");
    assert_eq!(host.lines(), ["GET /out 200", "GET /in 200", "GET /next 200"]);
}

/// Behind a loss, a method that nobody would know for a start.
#[test]
fn a_request_that_is_passed_over_takes_the_parent_away() {
    let mut host = Host::new();
    host.wire.open(3);
    host.call(3, Recv, b"GET /cut HTTP/1.1\r\nHo", 100, b"");
    answered(&mut host, 3);
    asked(&mut host, 1, &get("/in"));
    host.moves(3, Recv, "XYZZY /passed HTTP/1.1\r\nHost: h\r\n\r\n");
    call(&mut host, 2, &get("/out"));
    answered(&mut host, 1);
    host.decode();
    is_root(&host, "/out");
}

/// Its requests are not seen any more, and the kernel is asked not to show them.
#[test]
fn a_connection_given_up_takes_the_parents_of_its_process_away() {
    let mut host = Host::new();
    host.wire.open(3);
    host.call(3, Recv, b"PUT /0 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 2000, b"");
    for n in 1..4 {
        host.moves(3, Send, &ok(""));
        host.moves(3, Recv, &get(&format!("/{n}")));
    }
    asked(&mut host, 1, &get("/in"));
    call(&mut host, 2, &get("/out"));
    answered(&mut host, 1);
    host.decode();
    assert_eq!(host.count(Counter::PairingAmbiguous), 1);
    is_root(&host, "/out");
}

/// The answer to one request and the whole of the next were lost.
#[test]
fn a_call_behind_a_loss_is_a_root() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/in"));
    host.reserve(1, Send, 40);
    host.reserve(1, Recv, 40);
    host.losses = 2;
    call(&mut host, 2, &get("/out"));
    host.decode();
    is_root(&host, "/out");
    assert_eq!(host.count(Counter::ParentAmbiguous), 1);
}

/// A call whose connection has a gap is parsed when the gap is given up; its thread works on
/// another request by then.
#[test]
fn a_call_that_is_understood_late_is_not_a_child_of_what_came_later() {
    let mut host = Host::new();
    host.wire.open(2);
    host.reserve(2, Send, 40);
    host.moves(2, Send, &get("/out"));
    asked(&mut host, 1, &get("/later"));
    host.pause(300);
    host.moves(2, Recv, &ok(""));
    answered(&mut host, 1);
    host.decode();
    is_root(&host, "/out");
}

#[test]
fn a_closed_connection_that_waits_for_late_records_is_nobodys_parent() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/in"));
    host.reserve(1, Send, 10);
    host.close(1);
    call(&mut host, 2, &get("/out"));
    host.pause(5_000);
    is_root(&host, "/out");
    is_root(&host, "/in");
}

#[test]
fn a_request_that_carries_a_context_continues_it() {
    let mut host = Host::new();
    asked(&mut host, 1, &with_header("/in", TRACE, "b7ad6b7169203331"));
    call(&mut host, 2, &get("/out"));
    answered(&mut host, 1);
    host.decode();
    let ctx = host.span("/in").ctx;
    assert_eq!(ctx.trace_id, H);
    assert_eq!(ctx.parent_id, SpanId([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]));
    is_child(&host, "/out", "/in");
}

#[test]
fn a_call_with_a_context_of_its_own_and_no_request_open_continues_that() {
    let mut host = Host::new();
    call(&mut host, 1, &with_header("/out", TRACE, "00f067aa0ba902b7"));
    host.decode();
    let ctx = host.span("/out").ctx;
    assert_eq!(ctx.trace_id, H);
    assert_eq!(ctx.parent_id, SpanId([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
}

#[test]
fn a_context_forwarded_unchanged_makes_a_child_of_the_request() {
    let mut host = Host::new();
    asked(&mut host, 1, &with_header("/in", TRACE, "b7ad6b7169203331"));
    call(&mut host, 2, &with_header("/out", TRACE, "b7ad6b7169203331"));
    answered(&mut host, 1);
    host.decode();
    is_child(&host, "/out", "/in");
    let parent = host.span("/in").ctx.parent_id;
    assert_ne!(host.span("/out").ctx.span_id, parent);
}

#[test]
fn a_span_the_application_made_itself_keeps_its_id() {
    let mut host = Host::new();
    asked(&mut host, 1, &with_header("/in", TRACE, "b7ad6b7169203331"));
    call(&mut host, 2, &with_header("/out", TRACE, "00f067aa0ba902b7"));
    answered(&mut host, 1);
    host.decode();
    is_child(&host, "/out", "/in");
    let own = SpanId([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    assert_eq!(host.span("/out").ctx.span_id, own);
}

#[test]
fn a_foreign_context_wins_over_the_thread() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/in"));
    call(&mut host, 2, &with_header("/out", TRACE, "00f067aa0ba902b7"));
    answered(&mut host, 1);
    host.decode();
    let ctx = host.span("/out").ctx;
    assert_eq!(ctx.trace_id, H);
    assert_eq!(ctx.parent_id, SpanId([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
}

#[test]
fn a_call_that_ends_after_its_request_is_released_and_one_that_ends_with_it_is_not() {
    // Each move is a millisecond, which is the tolerance.
    for (between, outlived) in [(0, 0), (1, 1)] {
        let mut host = Host::new();
        asked(&mut host, 1, &get("/in"));
        host.wire.open(2);
        host.moves(2, Send, &get("/out"));
        answered(&mut host, 1);
        host.wire.now_ms += between;
        host.moves(2, Recv, &ok(""));
        host.decode();
        assert_eq!(host.count(Counter::ParentFound), 1);
        assert_eq!(host.count(Counter::ParentOutlived), outlived);
        if outlived == 0 {
            is_child(&host, "/out", "/in");
        } else {
            is_root(&host, "/out");
            assert_ne!(host.span("/out").ctx.trace_id, host.span("/in").ctx.trace_id);
        }
    }
}

#[test]
fn a_call_that_outlives_even_the_next_request_in_the_same_place_is_released() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/in"));
    host.wire.open(2);
    host.moves(2, Send, &get("/out"));
    answered(&mut host, 1);
    host.moves(1, Recv, &get("/next"));
    host.moves(2, Recv, &ok(""));
    answered(&mut host, 1);
    host.decode();
    is_root(&host, "/out");
    assert_eq!(host.count(Counter::ParentOutlived), 1);
}

#[test]
fn a_released_call_is_where_its_header_says_unless_it_is_the_span_that_it_names() {
    for (parent, released) in [("b7ad6b7169203331", true), ("00f067aa0ba902b7", false)] {
        let mut host = Host::new();
        asked(&mut host, 1, &with_header("/in", TRACE, "b7ad6b7169203331"));
        host.wire.open(2);
        host.moves(2, Send, &with_header("/out", TRACE, parent));
        answered(&mut host, 1);
        host.pause(5);
        host.moves(2, Recv, &ok(""));
        host.decode();
        let (call, request) = (host.span("/out").ctx, host.span("/in").ctx);
        assert_eq!(call.trace_id, H);
        assert_ne!(call.parent_id, call.span_id);
        if released {
            assert_eq!(call.parent_id, request.parent_id, "beside its request");
        } else {
            is_child(&host, "/out", "/in");
        }
        assert_eq!(host.count(Counter::ParentOutlived), u64::from(released));
    }
}

#[test]
fn a_request_has_so_many_children_and_no_more() {
    let mut host = Host::new();
    asked(&mut host, 1, &get("/in"));
    host.wire.open(2);
    for _ in 0..10_002 {
        host.moves(2, Send, &get("/out"));
        host.moves(2, Recv, &ok(""));
    }
    answered(&mut host, 1);
    host.decode();
    let request = host.span("/in").ctx;
    let children = host.out.spans.iter().filter(|s| s.ctx.parent_id == request.span_id).count();
    assert_eq!(children, 10_000);
    assert_eq!(host.count(Counter::ParentFull), 2);
}

/// Requests and calls of a few threads in every order, some of them cut off.
#[test]
fn whatever_happens_a_trace_has_one_root_and_children_lie_inside_their_parents() {
    let mut random = 1_u64;
    let mut below = |n: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % n
    };
    let (mut children, mut released) = (0, 0);
    for _ in 0..500 {
        let mut host = Host::new();
        for conn in 1..=8 {
            host.wire.open(conn);
        }
        // Odd connections are served, even ones called over; one exchange at a time each.
        let mut open = [false; 9];
        for n in 0..60 {
            let conn = below(8) + 1;
            let served = conn % 2 == 1;
            on_thread(&mut host, 500 + u32::try_from(below(2)).unwrap() * 100);
            let at = usize::try_from(conn).unwrap();
            let (dir, text) = match (served, open[at]) {
                (true, false) => (Recv, get(&format!("/in/{n}"))),
                (true, true) => (Send, ok("")),
                (false, false) => (Send, get(&format!("/out/{n}"))),
                (false, true) => (Recv, ok("")),
            };
            host.moves(conn, dir, &text);
            open[at] = !open[at];
            if below(10) == 0 {
                host.pause(1 + below(5));
            }
        }
        host.decode();
        host.decoder.finish(&mut host.out);
        children += check_traces(&host);
        released += host.count(Counter::ParentOutlived);
    }
    assert!(children > 100 && released > 10, "{children} children, {released} released");
}

/// Fails unless every trace is one; gives the number of children.
fn check_traces(host: &Host) -> usize {
    let spans = &host.out.spans;
    let mut roots = std::collections::HashMap::new();
    let mut children = 0;
    for span in spans {
        if span.ctx.parent_id.is_none() {
            *roots.entry(span.ctx.trace_id).or_insert(0) += 1;
            continue;
        }
        let parent = spans.iter().find(|other| other.ctx.span_id == span.ctx.parent_id);
        let Some(parent) = parent else { panic!("nothing came from elsewhere") };
        assert_eq!(parent.ctx.trace_id, span.ctx.trace_id);
        assert!(parent.ctx.parent_id.is_none(), "a request has no parent here: no cycle");
        assert!(span.times.start >= parent.times.start);
        assert!(span.times.end.0 <= parent.times.end.0 + 1_000_000);
        children += 1;
    }
    assert!(spans.iter().all(|span| roots.get(&span.ctx.trace_id) == Some(&1)));
    children
}
