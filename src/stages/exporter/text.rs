//! The `text` printer: one line a span.
//!
//! ```text
//! <start> (<total>[<handler>]) <Type>(subType=<n>) <status> <method> <path>[(<route>)]
//!   [<peer> as <name>[.<ns>]:<port>]->[<host> as <name>[.<ns>]:<port>]
//!   contentLen:<n>B responseLen:<n>B svc=[<ns/name> <language>] traceparent=[00-…-…[…]-01]
//! ```

use std::fmt;
use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::duration::GoDuration;
use super::hex::Hex;
use crate::model::batch::SpanBatch;
use crate::model::conn::Endpoint;
use crate::model::service::Service;
use crate::model::span::{SpanHead, TraceCtx};
use crate::semconv::{AttrKey, SpanKind};

/// Writes the line of `span`, times in `zone`.
pub(super) fn line(
    out: &mut Vec<u8>,
    batch: &SpanBatch,
    span: &SpanHead,
    zone: &TimeZone,
) -> io::Result<()> {
    let columns = span.family.text_columns();
    let number = |key| batch.attr_i64(span, key).unwrap_or(0);
    let times = &span.times;
    start(out, batch.clock.unix_ns(times.start), zone)?;
    write!(
        out,
        " ({}[{}]) {}(subType=0) {} {} {}",
        GoDuration(times.end.since(times.request_start)),
        GoDuration(times.end.since(times.start)),
        span.family.printed(),
        number(columns.status),
        batch.attr_text(span, columns.method),
        batch.attr_text(span, columns.path),
    )?;
    match batch.attr_text(span, columns.route) {
        "" => {}
        route => write!(out, "({route})")?,
    }
    let service = batch.service(span).map(AsRef::as_ref);
    sides(out, batch, span, service)?;
    write!(
        out,
        " contentLen:{}B responseLen:{}B",
        number(columns.request_bytes),
        number(columns.response_bytes)
    )?;
    write!(out, " svc=[{}]", Named(service))?;
    writeln!(out, " traceparent=[{}]", TraceParent(&span.ctx))
}

/// `2026-07-03 14:05:09.` and then, unpadded, month, day, hour of 12, minute, second: what the
/// contract's layout means to Go, although fractions were meant.
fn start(out: &mut Vec<u8>, unix_ns: u64, zone: &TimeZone) -> io::Result<()> {
    let timestamp = Timestamp::from_nanosecond(i128::from(unix_ns)).unwrap_or_default();
    let t = zone.to_datetime(timestamp);
    write!(
        out,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.",
        t.year(),
        t.month(),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )?;
    let hour = (t.hour() + 11) % 12 + 1;
    write!(out, "{}{}{hour}{}{}", t.month(), t.day(), t.minute(), t.second())
}

/// ` [peer as name:port]->[host as name:port]`; each side carries its namespace, as far as it is known.
fn sides(
    out: &mut Vec<u8>,
    batch: &SpanBatch,
    span: &SpanHead,
    service: Option<&Service>,
) -> io::Result<()> {
    let own = service.map_or("", |s| s.namespace.as_str());
    let other = batch.attr_text(span, AttrKey::PeerNamespace);
    let (peer_ns, host_ns) = match span.family.kind() {
        SpanKind::Client => (own, other),
        SpanKind::Server | SpanKind::Internal => (other, own),
    };
    let peer = batch.attr_text(span, AttrKey::ClientAddress);
    let host = host_name(batch, span);
    out.write_all(b" ")?;
    side(out, &span.ends.client, peer, peer_ns)?;
    out.write_all(b"->")?;
    side(out, &span.ends.server, host, host_ns)
}

/// What the side that answers is called, without its namespace.
pub(super) fn host_name<'a>(batch: &'a SpanBatch, span: &SpanHead) -> &'a str {
    let keys = match span.family.kind() {
        SpanKind::Client => &[AttrKey::PeerName, AttrKey::ServicePeerName][..],
        SpanKind::Server | SpanKind::Internal => &[],
    };
    let names = keys.iter().map(|key| batch.attr_text(span, *key));
    let own = || batch.attr_text(span, AttrKey::ServerAddress);
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(own)
}

fn side(out: &mut Vec<u8>, end: &Endpoint, name: &str, namespace: &str) -> io::Result<()> {
    let dot = if namespace.is_empty() { "" } else { "." };
    let (name, namespace) = (OneLine(name), OneLine(namespace));
    write!(out, "[{} as {name}{dot}{namespace}:{}]", end.address(), end.port)
}

/// A name that an observed process chose, its control characters percent-encoded as those of a
/// path are: no process writes lines of its own.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(char::is_control) {
            let text = piece.trim_end_matches(char::is_control);
            f.write_str(text)?;
            for byte in piece.bytes().skip(text.len()) {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// `namespace/name language`.
struct Named<'a>(Option<&'a Service>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(service) = self.0 else { return Ok(()) };
        if !service.namespace.is_empty() {
            write!(f, "{}/", OneLine(&service.namespace))?;
        }
        write!(f, "{} {}", OneLine(&service.name), service.language)
    }
}

/// `00-trace-span[parent]-flags`; nothing without a trace.
struct TraceParent<'a>(&'a TraceCtx);

impl fmt::Display for TraceParent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ctx = self.0;
        if ctx.trace_id.is_none() {
            return Ok(());
        }
        let (trace, span, parent) = (&ctx.trace_id.0, &ctx.span_id.0, &ctx.parent_id.0);
        write!(f, "00-{}-{}[{}]-{:02x}", Hex(trace), Hex(span), Hex(parent), ctx.flags)
    }
}
