//! What an exchange's span says: attributes of the HTTP server and client families.

use super::head::{Once, header_lines};
use super::target::{Target, host_of, scrubbed};
use super::{Message, Request, Response, traceparent};
use crate::model::conn::Direction;
use crate::model::span::SpanStatus;
use crate::protocols::SpanSink;
use crate::semconv::AttrKey;

/// Writes a message; its body's length only where the head told it.
pub(super) fn describe(msg: &Message<'_>, span: &mut SpanSink<'_>) {
    match msg {
        Message::Request(request) => describe_request(request, span),
        Message::Response(response) => describe_response(response, span),
    }
}

fn describe_request(request: &Request<'_>, span: &mut SpanSink<'_>) {
    match known_method(request.method) {
        Some(word) => span.word(AttrKey::HttpRequestMethod, word),
        None => span.text(AttrKey::HttpRequestMethod, request.method),
    }
    let target = Target::read(request.target, request.method == b"CONNECT");
    let host = target.host.or_else(|| request.host.and_then(host_of));
    if !target.path.is_empty() {
        span.text(AttrKey::UrlPath, target.path);
    }
    if request.cut {
        span.cut();
    }
    if !target.query.is_empty() {
        span.text_concat(AttrKey::UrlQuery, scrubbed(target.query, &span.shown.secrets));
    }
    if let Some(host) = host {
        span.text(AttrKey::HttpHost, host);
    }
    span.word(AttrKey::UrlScheme, target.scheme);
    if request.dir == Direction::Send {
        describe_full_url(&target, host, span);
    }
    if let Some(bytes) = request.body {
        body_size(AttrKey::HttpRequestBodySize, bytes, span);
    }
    if let Once::Value(value) = request.traceparent
        && let Some(tp) = traceparent::read(value)
    {
        span.traceparent(tp);
    }
    span.note_headers(header_lines(request.lines));
}

/// `scheme://host/path?query`, or `path?query` when the host is not known.
fn describe_full_url(target: &Target<'_>, host: Option<&[u8]>, span: &mut SpanSink<'_>) {
    let origin: [&[u8]; 5] = match host {
        Some(v6) if v6.contains(&b':') => [target.scheme.as_bytes(), b"://[", v6, b"]", b""],
        Some(name) => [target.scheme.as_bytes(), b"://", name, b"", b""],
        None => [b""; 5],
    };
    let path = if target.path == b"*" && host.is_some() { b"" } else { target.path };
    let mark: &[u8] = if target.query.is_empty() { b"" } else { b"?" };
    let pieces =
        origin.into_iter().chain([path, mark]).chain(scrubbed(target.query, &span.shown.secrets));
    span.text_concat(AttrKey::UrlFull, pieces);
}

fn describe_response(response: &Response<'_>, span: &mut SpanSink<'_>) {
    span.int(AttrKey::HttpResponseStatusCode, i64::from(response.status));
    if let Some(bytes) = response.body {
        body_size(AttrKey::HttpResponseBodySize, bytes, span);
    }
    let failed_from = match response.dir {
        Direction::Send => 500,
        Direction::Recv => 400,
    };
    if response.status >= failed_from {
        span.status(SpanStatus::Error);
    }
    span.settle_headers(Some(i64::from(response.status)), header_lines(response.lines));
}

/// Writes the length of a body that was only known at its end.
pub(super) fn describe_body(request: bool, bytes: u64, span: &mut SpanSink<'_>) {
    let key = if request { AttrKey::HttpRequestBodySize } else { AttrKey::HttpResponseBodySize };
    body_size(key, bytes, span);
}

fn body_size(key: AttrKey, bytes: u64, span: &mut SpanSink<'_>) {
    span.int(key, i64::try_from(bytes).unwrap_or(i64::MAX));
}

/// The methods of RFC 9110 and `PATCH` (RFC 5789).
pub(super) fn known_method(method: &[u8]) -> Option<&'static str> {
    Some(match method {
        b"GET" => "GET",
        b"POST" => "POST",
        b"HEAD" => "HEAD",
        b"PUT" => "PUT",
        b"DELETE" => "DELETE",
        b"OPTIONS" => "OPTIONS",
        b"PATCH" => "PATCH",
        b"CONNECT" => "CONNECT",
        b"TRACE" => "TRACE",
        _ => return None,
    })
}
