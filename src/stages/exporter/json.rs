//! The `json` and `json_indent` printers: one array a batch, as Go's encoder writes it.
//!
//! Every number is a string, `<`, `>` and `&` are escaped, and keys keep the contract's order.

use std::fmt;
use std::io::{self, Write};

use super::duration::GoDuration;
use super::headers::{Headers, SIDES, of};
use super::hex::Hex;
use super::text::host_name;
use crate::model::attrs::AttrValue;
use crate::model::batch::SpanBatch;
use crate::model::ids::KtimeNs;
use crate::model::span::SpanHead;
use crate::semconv::AttrKey;

/// Writes `spans` of `batch` as one array and a newline.
pub(super) fn array(
    out: &mut Vec<u8>,
    batch: &SpanBatch,
    spans: &[SpanHead],
    indent: bool,
) -> io::Result<()> {
    let mut json = Json { out, indent, depth: 0, first: true };
    json.open(b'[')?;
    for span in spans {
        object(&mut json, batch, span)?;
    }
    json.close(b']')?;
    json.out.write_all(b"\n")
}

fn object(json: &mut Json<'_>, batch: &SpanBatch, span: &SpanHead) -> io::Result<()> {
    let (client, server) = (&span.ends.client, &span.ends.server);
    let ctx = &span.ctx;
    json.item()?;
    json.open(b'{')?;
    json.field("type", span.family.printed())?;
    json.field("peer", client.address())?;
    json.field("peerPort", client.port)?;
    json.field("host", server.address())?;
    json.field("hostPort", server.port)?;
    json.field("traceID", Hex(&ctx.trace_id.0))?;
    json.field("spanID", Hex(&ctx.span_id.0))?;
    json.field("parentSpanID", Hex(&ctx.parent_id.0))?;
    json.field("traceFlags", ctx.flags)?;
    json.field("peerName", batch.attr_text(span, AttrKey::ClientAddress))?;
    json.field("hostName", host_name(batch, span))?;
    let headers = SIDES.map(|(key, name)| (key, name, of(batch, span, key)));
    for (_, name, headers) in &headers {
        of_side(json, name, headers)?;
    }
    json.field("kind", span.family.kind().word())?;
    times(json, batch, span)?;
    attributes(json, batch, span, &headers)?;
    json.close(b'}')
}

fn times(json: &mut Json<'_>, batch: &SpanBatch, span: &SpanHead) -> io::Result<()> {
    let times = &span.times;
    let unix_us = |t: KtimeNs| batch.clock.unix_ns(t) / 1_000;
    let total = times.end.since(times.request_start);
    let handler = times.end.since(times.start);
    json.field("start", unix_us(times.request_start))?;
    json.field("handlerStart", unix_us(times.start))?;
    json.field("end", unix_us(times.end))?;
    json.field("duration", GoDuration(total))?;
    json.field("durationUSec", total / 1_000)?;
    json.field("handlerDuration", GoDuration(handler))?;
    json.field("handlerDurationUSec", handler / 1_000)
}

fn attributes(
    json: &mut Json<'_>,
    batch: &SpanBatch,
    span: &SpanHead,
    headers: &[(AttrKey, &str, Headers<'_>)],
) -> io::Result<()> {
    let lines = headers.iter().flat_map(|(key, _, headers)| {
        let name = move |name: &&str| format!("{}.{name}", key.name());
        headers.iter().map(move |(header, values)| (name(header), values.join(", ")))
    });
    let mut lines = lines.peekable();
    json.key("attributes")?;
    json.open(b'{')?;
    for (name, key) in span.family.printed_attributes() {
        while let Some((header, value)) = lines.next_if(|(header, _)| header.as_str() < *name) {
            json.field(&header, value)?;
        }
        match batch.attr(span, *key) {
            Some(AttrValue::I64(n)) => json.field(name, n)?,
            Some(AttrValue::Bool(b)) => json.field(name, b)?,
            Some(AttrValue::Static(s)) => json.field(name, s)?,
            Some(AttrValue::Text(r)) => json.field(name, batch.text_of(r))?,
            None if key.is_integer() => json.field(name, 0)?,
            None => json.field(name, "")?,
        }
    }
    for (header, value) in lines {
        json.field(&header, value)?;
    }
    json.close(b'}')
}

/// Headers as an object of arrays, if there are some.
fn of_side(json: &mut Json<'_>, name: &str, headers: &Headers<'_>) -> io::Result<()> {
    if headers.is_empty() {
        return Ok(());
    }
    json.key(name)?;
    json.open(b'{')?;
    for (header, values) in headers {
        json.key(header)?;
        json.open(b'[')?;
        for value in values {
            json.item()?;
            json.text(value)?;
        }
        json.close(b']')?;
    }
    json.close(b'}')
}

/// Writes JSON with, if wanted, a line for each item, indented by one blank a level.
struct Json<'a> {
    out: &'a mut Vec<u8>,
    indent: bool,
    depth: usize,
    /// Nothing was written yet on this level.
    first: bool,
}

impl Json<'_> {
    fn open(&mut self, bracket: u8) -> io::Result<()> {
        self.depth += 1;
        self.first = true;
        self.out.write_all(&[bracket])
    }

    fn close(&mut self, bracket: u8) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if !self.first {
            self.line()?;
        }
        self.first = false;
        self.out.write_all(&[bracket])
    }

    /// Begins an item of the array or object that is open.
    fn item(&mut self) -> io::Result<()> {
        if !self.first {
            self.out.write_all(b",")?;
        }
        self.first = false;
        self.line()
    }

    fn key(&mut self, key: &str) -> io::Result<()> {
        self.item()?;
        write!(self.out, "\"{key}\":{}", if self.indent { " " } else { "" })
    }

    fn field(&mut self, key: &str, value: impl fmt::Display) -> io::Result<()> {
        self.key(key)?;
        self.text(value)
    }

    fn text(&mut self, value: impl fmt::Display) -> io::Result<()> {
        self.out.write_all(b"\"")?;
        write!(Escaped(self.out), "{value}")?;
        self.out.write_all(b"\"")
    }

    fn line(&mut self) -> io::Result<()> {
        if !self.indent {
            return Ok(());
        }
        write!(self.out, "\n{:1$}", "", self.depth)
    }
}

/// The inside of a JSON string, escaped as Go's encoder escapes it.
struct Escaped<'a>(&'a mut Vec<u8>);

impl Write for Escaped<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // Only whole UTF-8 texts come in: through `fmt::Display`.
        for (i, byte) in text.iter().enumerate() {
            match byte {
                b'"' => self.0.extend_from_slice(b"\\\""),
                b'\\' => self.0.extend_from_slice(b"\\\\"),
                b'\n' => self.0.extend_from_slice(b"\\n"),
                b'\r' => self.0.extend_from_slice(b"\\r"),
                b'\t' => self.0.extend_from_slice(b"\\t"),
                0x08 => self.0.extend_from_slice(b"\\b"),
                0x0c => self.0.extend_from_slice(b"\\f"),
                0..0x20 | b'<' | b'>' | b'&' => write!(self.0, "\\u{byte:04x}")?,
                // U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
                0xe2 if is_separator(text, i) => {}
                0x80 if is_separator(text, i.wrapping_sub(1)) => {}
                0xa8 | 0xa9 if is_separator(text, i.wrapping_sub(2)) => {
                    write!(self.0, "\\u20{:02x}", byte - 0x80)?;
                }
                _ => self.0.push(*byte),
            }
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_separator(text: &[u8], at: usize) -> bool {
    text.get(at..)
        .is_some_and(|rest| rest.starts_with(b"\xe2\x80\xa8") || rest.starts_with(b"\xe2\x80\xa9"))
}
