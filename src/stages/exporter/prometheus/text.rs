//! The text formats: what a scrape reads.
//! See <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt;
use std::io::Write as _;

use crate::model::service::Service;
use crate::semconv::metrics::{Instrument as Kind, Metric};
use crate::stages::exporter::aggregate::{
    Exemplar, Instrument, Label, Packed, Series, Shape, unpack,
};
use crate::stages::exporter::levels::{Amount, Histogram, Level};

/// One of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stages::exporter) enum Format {
    /// Prometheus' own, version 0.0.4.
    Text,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What a client asks for in its `Accept` header.
    pub(super) fn accepted(accept: &str) -> Self {
        let wants = accept.split(',').map(str::trim);
        let open = |entry: &str| entry.starts_with("application/openmetrics-text");
        if wants.into_iter().any(open) { Self::OpenMetrics } else { Self::Text }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            Self::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
        }
    }

    /// What stands behind the last metric.
    pub(super) fn end(self) -> &'static [u8] {
        match self {
            Self::Text => b"",
            Self::OpenMetrics => b"# EOF\n",
        }
    }
}

/// Writes the lines above the series of a metric.
pub(super) fn head(out: &mut Vec<u8>, format: Format, metric: &Metric) {
    let kind = match metric.instrument {
        Kind::Counter => "counter",
        Kind::UpDownCounter | Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    // There, the suffix belongs to the sample.
    let name = match (format, metric.instrument) {
        (Format::OpenMetrics, Kind::Counter) => {
            metric.prometheus.strip_suffix("_total").unwrap_or(metric.prometheus)
        }
        _ => metric.prometheus,
    };
    put(out, format_args!("# HELP {name} {}\n# TYPE {name} {kind}\n", metric.help));
}

/// The labels of one series as they stand between the braces.
pub(super) fn labels(
    out: &mut Vec<u8>,
    labels: &[(String, Label)],
    series: &Series,
    service: Option<&Service>,
) {
    out.clear();
    if series.overflow {
        out.extend_from_slice(b"otel_metric_overflow=\"true\",");
    }
    let values: [Option<Packed<'_>>; LABELS_MAX] = {
        let mut values = unpack(&series.key);
        std::array::from_fn(|_| values.next())
    };
    for (name, label) in labels {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        match (label.place, service) {
            (Some(place), _) => match values.get(place) {
                Some(Some(Packed::Text(text))) => escape(out, text),
                Some(Some(Packed::Int(n))) => put(out, format_args!("{n}")),
                _ => {}
            },
            (None, Some(service)) => label.source.write(service, |text| escape(out, text)),
            (None, None) => {}
        }
        out.extend_from_slice(b"\",");
    }
    out.pop();
}

/// Labels of a metric at most.
const LABELS_MAX: usize = 64;

/// Writes the lines of one series.
pub(super) fn series(
    out: &mut Vec<u8>,
    format: Format,
    instrument: &Instrument,
    labels: &[u8],
    cells: &[u64],
    seen: &[Seen],
) {
    let name = instrument.metric.prometheus;
    let Shape::Explicit(limits) = &instrument.shape else {
        line(out, name, "", labels, None);
        number(out, instrument.of_sum(Shape::sum(cells)), Format::Text);
        out.push(b'\n');
        return;
    };
    let counts = instrument.shape.buckets(cells);
    let mut cumulative = 0;
    for (n, count) in counts.iter().enumerate() {
        cumulative += count;
        let limit =
            limits.get(n).map_or(f64::INFINITY, |limit| instrument.of_sum(u128::from(*limit)));
        line(out, name, "_bucket", labels, Some((limit, format)));
        put(out, format_args!("{cumulative}"));
        if format == Format::OpenMetrics {
            let above = n.checked_sub(1).and_then(|n| limits.get(n)).copied();
            let within = |seen: &&Seen| {
                above.is_none_or(|above| seen.exemplar.value > above)
                    && limits.get(n).is_none_or(|limit| seen.exemplar.value <= *limit)
            };
            let newest = seen.iter().filter(within).max_by_key(|seen| seen.exemplar.at);
            newest.into_iter().for_each(|seen| seen.write(out, instrument));
        }
        out.push(b'\n');
    }
    line(out, name, "_sum", labels, None);
    number(out, instrument.of_sum(Shape::sum(cells)), Format::Text);
    out.push(b'\n');
    line(out, name, "_count", labels, None);
    put(out, format_args!("{cumulative}\n"));
}

/// An exemplar that is shown, and when it was seen: nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) exemplar: Exemplar,
    pub(super) unix_ns: u64,
}

impl Seen {
    fn write(&self, out: &mut Vec<u8>, instrument: &Instrument) {
        let Exemplar { trace_id, span_id, value, .. } = &self.exemplar;
        put(
            out,
            format_args!(" # {{traceID=\"{}\",spanID=\"{}\"}} ", Hex(&trace_id.0), Hex(&span_id.0)),
        );
        number(out, instrument.of_sum(u128::from(*value)), Format::Text);
        let (seconds, millis) = (self.unix_ns / 1_000_000_000, self.unix_ns / 1_000_000 % 1000);
        put(out, format_args!(" {seconds}.{millis:03}"));
    }
}

/// Bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Writes the lines of a level.
pub(super) fn level(out: &mut Vec<u8>, format: Format, level: &Level) {
    let name = level.metric.prometheus;
    let mut labels = Vec::new();
    for (name, value) in &level.labels {
        put(&mut labels, format_args!("{name}=\""));
        escape(&mut labels, value);
        labels.extend_from_slice(b"\",");
    }
    labels.pop();
    match &level.value {
        Amount::Int(n) => {
            line(out, name, "", &labels, None);
            put(out, format_args!("{n}\n"));
        }
        Amount::Float(n) => {
            line(out, name, "", &labels, None);
            number(out, *n, Format::Text);
            out.push(b'\n');
        }
        Amount::Histogram(Histogram { limits, counts, sum }) => {
            let mut cumulative = 0;
            for (n, count) in counts.iter().enumerate() {
                cumulative += count;
                let limit = limits.get(n).copied().unwrap_or(f64::INFINITY);
                line(out, name, "_bucket", &labels, Some((limit, format)));
                put(out, format_args!("{cumulative}\n"));
            }
            line(out, name, "_sum", &labels, None);
            number(out, *sum, Format::Text);
            out.push(b'\n');
            line(out, name, "_count", &labels, None);
            put(out, format_args!("{cumulative}\n"));
        }
    }
}

/// Writes a line up to its value.
fn line(out: &mut Vec<u8>, name: &str, suffix: &str, labels: &[u8], le: Option<(f64, Format)>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    if !labels.is_empty() || le.is_some() {
        out.push(b'{');
        out.extend_from_slice(labels);
        if let Some((limit, format)) = le {
            if !labels.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(b"le=\"");
            number(out, limit, format);
            out.push(b'"');
        }
        out.push(b'}');
    }
    out.push(b' ');
}

/// Writes a number; OpenMetrics wants to see that a limit is no integer.
fn number(out: &mut Vec<u8>, n: f64, format: Format) {
    if n.is_infinite() {
        out.extend_from_slice(b"+Inf");
    } else if format == Format::OpenMetrics && n.fract() == 0.0 {
        put(out, format_args!("{n}.0"));
    } else {
        put(out, format_args!("{n}"));
    }
}

fn escape(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => out.push(byte),
        }
    }
}

fn put(out: &mut Vec<u8>, what: fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let written = out.write_fmt(what);
    debug_assert!(written.is_ok());
}
