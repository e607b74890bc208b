//! What the receiver's answers mean, whatever carries them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::Value;

use super::wire::{Field, next_field};

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it, but for `rejected` of its items.
    Accepted {
        /// Spans or data points that it refused.
        rejected: u64,
        /// What it says to that, or to the request as it is.
        said: String,
    },
    /// Perhaps another time, `after` this long at the earliest.
    Retry {
        /// The cause.
        why: String,
        /// What the receiver asked for.
        after: Duration,
    },
    /// Never.
    Refused(String),
}

/// Characters of a receiver's message that are kept.
const SAID_MAX: usize = 500;

/// Reads an `ExportTraceServiceResponse`, or that of metrics: field 1 is the partial success, its field 1 the number
/// of rejected items, 2 a message. What is no such message rejects nothing.
/// See <https://opentelemetry.io/docs/specs/otlp/#partial-success>.
pub(super) fn accepted(response: &[u8]) -> Outcome {
    let (mut rest, mut rejected, mut said) = (response, 0, String::new());
    while let Some((number, field)) = next_field(&mut rest) {
        let (1, Field::Bytes(mut partial)) = (number, field) else { continue };
        while let Some((number, field)) = next_field(&mut partial) {
            match (number, field) {
                (1, Field::Number(n)) => rejected = u64::try_from(n.cast_signed()).unwrap_or(0),
                (2, Field::Bytes(text)) => said = shortened(&String::from_utf8_lossy(text)),
                _ => {}
            }
        }
    }
    Outcome::Accepted { rejected, said }
}

/// The same in its JSON form, where a 64-bit number is a string, or a number after all.
pub(super) fn accepted_json(response: &[u8]) -> Outcome {
    let response: Value = serde_json::from_slice(response).unwrap_or_default();
    let partial = &response["partialSuccess"];
    let rejected = ["rejectedSpans", "rejectedDataPoints"].into_iter().find_map(|key| {
        let number = &partial[key];
        number.as_u64().or_else(|| number.as_str()?.parse().ok())
    });
    let said = partial["errorMessage"].as_str().map(shortened).unwrap_or_default();
    Outcome::Accepted { rejected: rejected.unwrap_or(0), said }
}

fn shortened(text: &str) -> String {
    text.chars().take(SAID_MAX).collect()
}

/// How long a `Retry-After` of HTTP asks to wait at the Unix time `now`: seconds, or a date.
/// See RFC 9110, 10.2.3.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Duration {
    if let Ok(seconds) = value.trim().parse() {
        return Duration::from_secs(seconds);
    }
    let date = DateTimeParser::new().parse_timestamp(value.trim());
    let wait = date.ok().and_then(|date| Duration::try_from(date.duration_since(now)).ok());
    wait.unwrap_or_default()
}

/// How long a `google.rpc.RetryInfo` among the details of a gRPC status asks to wait; `None` when there
/// is none. A status is code, message, and details of type and value; the value's field 1 is a duration
/// of seconds and nanoseconds.
/// See <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling>.
pub(super) fn retry_info(status: &[u8]) -> Option<Duration> {
    let mut rest = status;
    while let Some((number, field)) = next_field(&mut rest) {
        let (3, Field::Bytes(mut detail)) = (number, field) else { continue };
        let (mut is_retry, mut value) = (false, &[][..]);
        while let Some((number, field)) = next_field(&mut detail) {
            match (number, field) {
                (1, Field::Bytes(name)) => is_retry = name.ends_with(b"/google.rpc.RetryInfo"),
                (2, Field::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        if is_retry {
            return Some(delay(value));
        }
    }
    None
}

/// The delay of a `RetryInfo`.
fn delay(mut info: &[u8]) -> Duration {
    let mut delay = Duration::ZERO;
    while let Some((number, field)) = next_field(&mut info) {
        let (1, Field::Bytes(mut parts)) = (number, field) else { continue };
        while let Some((number, field)) = next_field(&mut parts) {
            let Field::Number(n) = field else { continue };
            // A negative number is a wait that is over.
            let n = u64::try_from(n.cast_signed()).unwrap_or(0);
            let part = match number {
                1 => Duration::from_secs(n),
                2 => Duration::from_nanos(n),
                _ => continue,
            };
            delay = delay.saturating_add(part);
        }
    }
    delay
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    use prost::Message;

    use super::*;

    fn taken(rejected: u64, said: &str) -> Outcome {
        Outcome::Accepted { rejected, said: said.to_owned() }
    }

    #[test]
    fn a_partial_success_tells_how_many_items_were_rejected_and_why() {
        for (rejected, counted) in [(0, 0), (300, 300), (-1, 0)] {
            let error_message = "too old".to_owned();
            let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message };
            let response = ExportTraceServiceResponse { partial_success: Some(partial) };
            assert_eq!(accepted(&response.encode_to_vec()), taken(counted, "too old"));
            let error_message = "too many".to_owned();
            let partial =
                ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message };
            let response = ExportMetricsServiceResponse { partial_success: Some(partial) };
            assert_eq!(accepted(&response.encode_to_vec()), taken(counted, "too many"));
        }
        assert_eq!(accepted(b""), taken(0, ""));
        assert_eq!(accepted(b"<html>"), taken(0, ""));
    }

    #[test]
    fn a_partial_success_in_json_tells_the_same() {
        for (body, outcome) in [
            (r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"}}"#, taken(2, "old")),
            (r#"{"partialSuccess":{"rejectedDataPoints":3}}"#, taken(3, "")),
            (r#"{"partialSuccess":{}}"#, taken(0, "")),
            (r#"{"partialSuccess":{"rejectedSpans":"-4"}}"#, taken(0, "")),
            ("{}", taken(0, "")),
            ("[1]", taken(0, "")),
            ("<html>", taken(0, "")),
        ] {
            assert_eq!(accepted_json(body.as_bytes()), outcome, "{body}");
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let error_message = "ä".repeat(SAID_MAX + 1);
        let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message };
        let response = ExportTraceServiceResponse { partial_success: Some(partial) };
        assert_eq!(accepted(&response.encode_to_vec()), taken(1, &"ä".repeat(SAID_MAX)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_second(784_111_777).unwrap();
        for (value, seconds) in [
            ("120", 120),
            (" 0 ", 0),
            ("Sun, 06 Nov 1994 08:50:07 GMT", 30),
            ("Sun, 06 Nov 1994 08:49:07 GMT", 0),
            ("soon", 0),
            ("-1", 0),
            ("", 0),
        ] {
            assert_eq!(retry_after(value, now), Duration::from_secs(seconds), "{value}");
        }
    }

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    #[test]
    fn a_retry_info_is_found_among_the_details_of_a_status() {
        let kind = b"type.googleapis.com/google.rpc.RetryInfo";
        let duration = field(1, &[1 << 3, 2, 2 << 3, 0x80, 0xca, 0xb5, 0xee, 0x01]);
        let other =
            field(3, &[field(1, b"type.googleapis.com/google.rpc.Help"), field(2, b"?")].concat());
        let info = field(3, &[field(1, kind), field(2, &duration)].concat());
        let status = [vec![1 << 3, 8], field(2, b"full"), other.clone(), info].concat();
        assert_eq!(retry_info(&status), Some(Duration::from_millis(2500)));
        assert_eq!(retry_info(&other), None);
        assert_eq!(retry_info(b""), None);
        assert_eq!(retry_info(&field(3, &field(1, kind))), Some(Duration::ZERO));
        assert_eq!(retry_info(&status[..status.len() - 1]), None, "cut short");
    }
}
