//! Printers on stdout, each in a thread of its own. A reader that stops reading delays nothing but
//! the printer, and that only until the stop's deadline.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::warn;

use super::queue::{DropReason, Slice, SpanQueue};
use super::{json, text};
use crate::model::time::instant_now;
use crate::telemetry::Seldom;

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One line a span.
    Text,
    /// One JSON array a batch.
    Json {
        /// One line an item.
        indent: bool,
    },
    /// The number of spans, at the end.
    Counter,
}

/// A printer.
pub(super) struct Printer {
    format: Format,
    out: Output,
    zone: TimeZone,
    /// What is being written.
    buffer: Vec<u8>,
    /// Where in `buffer` each span is complete.
    marks: Vec<usize>,
    counted: u64,
    failed: Seldom,
    /// The output ends in the middle of a line, because it took no more: what is printed next
    /// begins a line of its own.
    torn: bool,
}

impl Printer {
    /// A printer that writes to `out`, times in the system's time zone.
    pub(super) fn new(format: Format, out: File) -> Self {
        Self {
            format,
            out: Output(out),
            zone: TimeZone::system(),
            buffer: Vec::new(),
            marks: Vec::new(),
            counted: 0,
            failed: Seldom::default(),
            torn: false,
        }
    }

    /// Prints until the queue is closed and empty, the deadline is over, or the reader is gone.
    pub(super) fn run(mut self, queue: &SpanQueue) {
        while let Some(slice) = queue.take_batch() {
            if let Err(reason) = self.print(&slice, queue) {
                queue.end(reason);
                return;
            }
            queue.give_back(&mut vec![slice]);
        }
        if self.format == Format::Counter {
            let line = format!("Processed {} requests\n", self.counted);
            self.out.write(line.as_bytes(), queue);
        }
    }

    /// Prints one batch and accounts for its spans. `Err` = no more can be printed.
    fn print(&mut self, slice: &Slice, queue: &SpanQueue) -> Result<(), DropReason> {
        let spans = slice.spans().len() as u64;
        if self.render(slice).is_err() {
            queue.settle(0, &[(DropReason::OutputFailed, spans)]);
            return Ok(());
        }
        let (written, end) = self.out.write(&self.buffer, queue);
        if let Some(last) = self.buffer.get(..written).and_then(<[u8]>::last) {
            self.torn = *last != b'\n';
        }
        let printed = self.marks.iter().filter(|mark| **mark <= written).count() as u64;
        let left = spans.saturating_sub(printed);
        match end {
            WriteEnd::Done => queue.settle(printed, &[]),
            WriteEnd::Deadline => {
                queue.settle(printed, &[(DropReason::Shutdown, left)]);
                return Err(DropReason::Shutdown);
            }
            WriteEnd::Failed(Errno::EPIPE) => {
                queue.settle(printed, &[(DropReason::OutputFailed, left)]);
                warn!("nobody reads the spans on stdout any more: further spans are dropped");
                return Err(DropReason::OutputFailed);
            }
            WriteEnd::Failed(error) => {
                queue.settle(printed, &[(DropReason::OutputFailed, left)]);
                if let Some(kept_back) = self.failed.pass(instant_now()) {
                    warn!(
                        %error,
                        spans = left,
                        kept_back,
                        "spans could not be printed and are dropped"
                    );
                }
            }
        }
        Ok(())
    }

    fn render(&mut self, slice: &Slice) -> io::Result<()> {
        self.buffer.clear();
        self.marks.clear();
        if self.torn {
            self.buffer.push(b'\n');
        }
        let spans = slice.spans();
        match self.format {
            Format::Text => {
                for span in spans {
                    text::line(&mut self.buffer, &slice.batch, span, &self.zone)?;
                    self.marks.push(self.buffer.len());
                }
            }
            Format::Json { indent } => {
                json::array(&mut self.buffer, &slice.batch, spans, indent)?;
                self.marks.resize(spans.len(), self.buffer.len());
            }
            Format::Counter => {
                self.counted += spans.len() as u64;
                self.marks.resize(spans.len(), 0);
            }
        }
        Ok(())
    }
}

/// Why writing ended.
#[derive(Debug)]
enum WriteEnd {
    /// Everything is written.
    Done,
    /// The stop's deadline is over.
    Deadline,
    /// The output failed.
    Failed(Errno),
}

/// A file, pipe or terminal that may stop taking bytes at any time.
struct Output(File);

impl Output {
    /// A pipe that polls as writable takes this many bytes without blocking (`PIPE_BUF`).
    const CHUNK_BYTES: usize = 4096;
    /// How soon the beginning of the stop is noticed.
    const POLL: Duration = Duration::from_millis(100);

    /// Writes `bytes`, never blocking beyond the deadline. Gives the number of bytes written.
    fn write(&self, bytes: &[u8], queue: &SpanQueue) -> (usize, WriteEnd) {
        let mut written = 0;
        while let Some(chunk) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let now = instant_now();
            let deadline = queue.deadline();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return (written, WriteEnd::Deadline);
            }
            match self.wait_writable(now, deadline) {
                Ok(false) | Err(Errno::EINTR) => continue,
                Ok(true) => {}
                Err(error) => return (written, WriteEnd::Failed(error)),
            }
            let chunk = chunk.get(..Self::CHUNK_BYTES).unwrap_or(chunk);
            match nix::unistd::write(&self.0, chunk) {
                Ok(n) => written += n,
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(error) => return (written, WriteEnd::Failed(error)),
            }
        }
        (written, WriteEnd::Done)
    }

    fn wait_writable(&self, now: Instant, deadline: Option<Instant>) -> Result<bool, Errno> {
        let left = deadline.map_or(Self::POLL, |d| d.duration_since(now).min(Self::POLL));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
        Ok(poll(&mut fds, timeout)? > 0)
    }
}
