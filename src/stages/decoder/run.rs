//! The decoder's thread.

use anyhow::Result;
use crossbeam_channel::{Receiver, Sender, TrySendError, select};

use super::{Decoder, Seen, VerdictUpdate};
use crate::abi::RawBatch;
use crate::model::batch::SpanBatch;
use crate::model::ids::Tgid;
use crate::model::process::{ProcessFact, ProcessRecord};
use crate::telemetry::Stage;

/// Bytes of record memory an empty batch keeps.
pub const BATCH_KEEP_BYTES: usize = 4 * 1024 * 1024;

/// What the decoder's thread is connected to. All bounded.
#[derive(Debug)]
pub struct Channels {
    /// Batches from the reader. It sends an empty one when idle (about five a second), because
    /// deadlines are kept in batch time. Its end is the end of the decoder.
    pub batches: Receiver<RawBatch>,
    /// Empty batches back to the reader; dropped when full.
    pub recycled: Sender<RawBatch>,
    /// Conclusions of discovery.
    pub facts: Receiver<ProcessFact>,
    /// Process records for discovery to judge.
    pub processes: Sender<ProcessRecord>,
    /// Spans to the next stage.
    pub spans: Sender<SpanBatch>,
    /// Empty batches of spans back from the exporters.
    pub spares: Receiver<SpanBatch>,
    /// What somebody wants to know; answered behind the next batch.
    pub questions: Receiver<Question>,
}

/// What somebody wants to know of a running decoder.
#[derive(Debug)]
pub enum Question {
    /// The account so far.
    Account(Sender<Account>),
    /// What was seen of these processes.
    Seen(Vec<Tgid>, Sender<Vec<Seen>>),
}

/// The decoder's account at its end.
#[derive(Clone, Debug)]
pub struct Account {
    /// Of records and of spans.
    pub stages: [Stage; 2],
    /// See [`Decoder::unknown_payloads`].
    pub unknown_payloads: Vec<(String, u64)>,
}

impl Decoder {
    /// Decodes until the reader is gone, then ends what is open and returns the account.
    /// `verdict` hands one update to the kernel. Ends early, without error, when nobody takes
    /// the spans any more.
    pub fn run(
        mut self,
        channels: Channels,
        mut verdict: impl FnMut(VerdictUpdate),
    ) -> Result<Account> {
        let mut out = SpanBatch::default();
        while let Ok(mut batch) = channels.batches.recv() {
            while let Ok(fact) = channels.facts.try_recv() {
                self.fact(fact);
            }
            self.decode(&batch, &mut out);
            self.verdicts().iter().for_each(|v| verdict(*v));
            self.tell_discovery(&channels);
            for question in channels.questions.try_iter() {
                self.answer(question);
            }
            batch.clear(BATCH_KEEP_BYTES);
            match channels.recycled.try_send(batch) {
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
            if out.spans.is_empty() {
                continue;
            }
            let spare = channels.spares.try_recv().unwrap_or_default();
            if channels.spans.send(std::mem::replace(&mut out, spare)).is_err() {
                return Ok(self.account());
            }
        }
        // Discovery ends when it has judged everything that it was handed.
        drop(channels.processes);
        for fact in channels.facts {
            self.fact(fact);
        }
        self.finish(&mut out);
        if !out.spans.is_empty() {
            // The next stage outlives this one unless it failed, which main reports.
            channels.spans.send(out).unwrap_or_default();
        }
        Ok(self.account())
    }

    /// Whoever asked and went away needs no answer.
    fn answer(&self, question: Question) {
        match question {
            Question::Account(to) => to.try_send(self.account()).unwrap_or_default(),
            Question::Seen(tgids, to) => to.try_send(self.seen(&tgids)).unwrap_or_default(),
        }
    }

    /// The account so far.
    pub fn account(&self) -> Account {
        Account { stages: self.ledger(), unknown_payloads: self.unknown_payloads() }
    }

    /// Hands process records on. Takes facts meanwhile: discovery may itself wait for a place
    /// in that queue.
    fn tell_discovery(&mut self, channels: &Channels) {
        for record in std::mem::take(&mut self.processes) {
            loop {
                select! {
                    send(channels.processes, record.clone()) -> _ => break,
                    recv(channels.facts) -> fact => match fact {
                        Ok(fact) => self.fact(fact),
                        // Discovery is gone: nobody is left to tell.
                        Err(_) => return,
                    },
                }
            }
        }
    }
}
