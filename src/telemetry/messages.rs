//! What the agent says on stderr: the log and the ledger, through one bounded queue, so that a
//! stderr which is closed, full or not read neither ends nor delays anybody.

use std::io::{self, Write};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Messages that wait for whoever reads stderr. More are dropped and counted.
const MESSAGES_MAX: usize = 1024;

/// The way to stderr. Dropped last: it then waits, at most a second, until everything is written.
#[derive(Debug)]
pub struct Messages {
    writer: NonBlocking,
    _flushes_when_dropped: WorkerGuard,
}

impl Messages {
    /// Starts the thread that writes to stderr.
    pub fn to_stderr() -> Self {
        Self::to(io::stderr())
    }

    fn to(out: impl Write + Send + 'static) -> Self {
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(MESSAGES_MAX)
            .thread_name("messages")
            .finish(out);
        Self { writer, _flushes_when_dropped: guard }
    }

    /// For the log.
    pub fn writer(&self) -> NonBlocking {
        self.writer.clone()
    }

    /// Says one message, whole or not at all.
    pub fn say(&mut self, message: &str) {
        // The queue takes or counts it: it has no error to give.
        let _infallible = self.writer.write_all(message.as_bytes());
    }

    /// Messages that met a full queue.
    pub fn dropped(&self) -> u64 {
        self.writer.error_counter().dropped_lines() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, Sender, bounded};

    /// Says when it is written to, and is stuck until told to go on.
    struct Stuck {
        reached: Sender<()>,
        go_on: Receiver<()>,
    }

    impl Write for Stuck {
        fn write(&mut self, message: &[u8]) -> io::Result<usize> {
            let _nobody_waits = self.reached.try_send(());
            let _told_or_closed = self.go_on.recv();
            Ok(message.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn messages_beyond_the_bound_are_dropped_and_counted() {
        let (reached, reached_by) = bounded(1);
        let (release, go_on) = bounded(0);
        let mut messages = Messages::to(Stuck { reached, go_on });
        messages.say("under way");
        reached_by.recv().unwrap();
        (0..MESSAGES_MAX).for_each(|_| messages.say("waits"));
        assert_eq!(messages.dropped(), 0);
        (0..3).for_each(|_| messages.say("finds no room"));
        assert_eq!(messages.dropped(), 3);
        drop(release);
    }
}
