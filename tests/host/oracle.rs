//! nginx's access log as the truth, and spans held against it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::agent::Span;

/// What nginx wrote about one request.
#[derive(Debug)]
pub(crate) struct LogLine {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: String,
    /// `-` in chunks: nginx would count the sizes of the chunks with it.
    pub(crate) body_sent: String,
    /// `-` without one.
    pub(crate) content_length: String,
    pub(crate) seconds: f64,
}

/// The lines of the `oracle` format of [`crate::servers::nginx`].
pub(crate) fn read_log(path: &Path) -> Vec<LogLine> {
    parse_log(&fs::read_to_string(path).unwrap())
}

pub(crate) fn parse_log(text: &str) -> Vec<LogLine> {
    text.lines().map(|line| parse(line).unwrap_or_else(|| panic!("log line {line:?}"))).collect()
}

impl LogLine {
    /// What should stand in the log by what a span says.
    pub(crate) fn of(span: &Span) -> Self {
        let [method, path, status, content_length, body_sent] =
            ["method", "url", "status", "contentLen", "responseLen"]
                .map(|key| span.attribute(key).to_owned());
        let seconds = span.duration_us() as f64 / 1e6;
        Self { method, path, status, body_sent, content_length, seconds }
    }

    /// All of it that a span must say too.
    pub(crate) fn said(&self) -> String {
        let Self { method, path, status, body_sent, .. } = self;
        format!("{method} {path} {status} in={} out={body_sent}", self.received())
    }

    fn received(&self) -> &str {
        if self.content_length == "-" { "0" } else { &self.content_length }
    }
}

fn parse(line: &str) -> Option<LogLine> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [method, path, status, body_sent, content_length, _request_length, seconds] = fields[..]
    else {
        return None;
    };
    Some(LogLine {
        method: method.to_owned(),
        path: path.to_owned(),
        status: status.to_owned(),
        body_sent: body_sent.to_owned(),
        content_length: content_length.to_owned(),
        seconds: seconds.parse().ok()?,
    })
}

/// How spans and log differ. Paths are unique, so each line has its own span.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Lines without a span.
    pub(crate) missing: usize,
    /// Spans without a line, and second spans of a line.
    pub(crate) surplus: usize,
    /// Spans that say otherwise, the first ones told.
    pub(crate) wrong: usize,
    pub(crate) examples: Vec<String>,
    /// Lines whose span has the request right and says that no response was observed.
    pub(crate) unobserved: usize,
    /// Sums over the pairs, for the mean: span's duration and log's, in µs.
    span_us: u64,
    log_us: f64,
    pairs: usize,
}

impl Differences {
    pub(crate) fn durations(&self) -> String {
        let pairs = self.pairs.max(1) as f64;
        let [span, log] = [self.span_us as f64 / pairs, self.log_us / pairs];
        format!("mean duration: span {span:.0} µs, $request_time {log:.0} µs")
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < 10 {
            self.examples.push(text);
        }
    }
}

/// Holds every server span against the log, one by one.
pub(crate) fn compare(spans: &[Span], log: &[LogLine]) -> Differences {
    let mut found = Differences::default();
    let mut by_path: HashMap<&str, &Span> = HashMap::with_capacity(spans.len());
    for span in spans {
        if by_path.insert(span.path(), span).is_some() {
            found.surplus += 1;
            found.example(format!("two spans of {}", span.path()));
        }
    }
    for line in log {
        let Some(span) = by_path.remove(line.path.as_str()) else {
            found.missing += 1;
            continue;
        };
        let (said, wanted) = (LogLine::of(span).said(), line.said());
        if said != wanted && said == unobserved(line) {
            found.unobserved += 1;
        } else if said != wanted {
            found.wrong += 1;
            found.example(format!("{said} where the log has {wanted}"));
        }
        found.pairs += 1;
        found.span_us += span.duration_us();
        found.log_us += line.seconds * 1e6;
    }
    found.surplus += by_path.len();
    for path in by_path.keys().take(3) {
        found.example(format!("no log line of {path}"));
    }
    found
}

/// What a span says whose response was lost on the way to the agent.
fn unobserved(line: &LogLine) -> String {
    format!("{} {} 0 in={} out=0", line.method, line.path, line.received())
}
