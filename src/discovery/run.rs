//! Discovery's thread.

use anyhow::Result;
use crossbeam_channel::{Receiver, Sender, bounded, never, select};

use super::explain::{Asked, Explanation};
use super::{Decision, Discovery};
use crate::model::process::{LoaderOrder, ProcessFact, ProcessRecord, Surroundings};
use crate::model::selector::Selectors;

/// What discovery's thread is connected to. All bounded.
#[derive(Debug)]
pub struct Channels {
    /// Process records; their end is the end of discovery.
    pub records: Receiver<ProcessRecord>,
    /// What the user asks.
    pub requests: Receiver<Request>,
    /// To the kernel's tables.
    pub loader: Sender<LoaderOrder>,
    /// To whoever needs the identities.
    pub decoder: Sender<ProcessFact>,
}

/// What the user asks of discovery.
#[derive(Debug)]
pub enum Request {
    /// Choose by these from now on.
    Reload(Selectors),
    /// Say why processes are observed or not.
    Explain(Asked, Sender<Result<(Vec<Explanation>, usize)>>),
}

impl Channels {
    /// Hands out what was decided. A receiver that is gone means that the agent stops: nothing is
    /// left to tell it.
    pub fn hand_out(&self, decisions: Vec<Decision>) {
        for Decision { event, fact } in decisions {
            self.tell(fact);
            if let Some(event) = event {
                self.order(LoaderOrder::Process(event));
            }
        }
    }

    pub(super) fn tell(&self, fact: Option<ProcessFact>) {
        if let Some(fact) = fact
            && self.decoder.send(fact).is_err()
        {
            tracing::debug!("decoder is gone, a process fact is not needed any more");
        }
    }

    pub(super) fn order(&self, order: LoaderOrder) {
        if self.loader.send(order).is_err() {
            tracing::debug!("loader is gone, a selection is not needed any more");
        }
    }

    /// Waits until the kernel's tables are as they were ordered to be.
    pub(super) fn await_loader(&self) {
        let (done, is_done) = bounded::<()>(0);
        self.order(LoaderOrder::Done(done));
        // It hangs up when it is done, or gone.
        let _hung_up = is_done.recv();
    }
}

impl Discovery {
    /// Judges records until their sender is gone. `look` lists every process and every listener.
    pub fn run(
        mut self,
        channels: &Channels,
        look: impl Fn() -> Result<Surroundings>,
    ) -> Result<()> {
        // Whoever asks may be gone before the records end.
        let mut requests = channels.requests.clone();
        loop {
            select! {
                recv(channels.records) -> record => match record {
                    Ok(record) => {
                        channels.hand_out(self.on_record(record));
                        // The process itself does not wait for its workers.
                        channels.hand_out(self.look_for_workers(&look));
                    }
                    Err(_) => return Ok(()),
                },
                recv(requests) -> request => match request {
                    Ok(Request::Reload(selectors)) => self.reload(selectors, channels, &look),
                    Ok(Request::Explain(asked, answer)) => {
                        // Whoever asked and went away needs no answer.
                        answer.try_send(self.explain(&asked, &look)).unwrap_or_default();
                    }
                    Err(_) => requests = never(),
                },
            }
        }
    }
}
