//! What a running agent tells of itself: its ledger so far, and the figures behind its own metrics.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use crossbeam_channel::{Sender, bounded};

use super::accounts;
use crate::stages::decoder::{Account, Question};
use crate::stages::exporter::Exporter;
use crate::stages::exporter::queue::SpanQueue;
use crate::stages::loader::{KernelFigures, KernelMaps};
use crate::stages::{decorator, reader};
use crate::telemetry::{Counters, Figures, Ledger};

/// How long a running ledger waits for the decoder, which answers with its next batch.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Whoever can tell.
pub(super) struct Running {
    counters: Arc<Counters>,
    maps: KernelMaps,
    /// Exporters by name; `None` = the records are kept as they are.
    pipeline: Option<Vec<(&'static str, Arc<SpanQueue>)>>,
    ask_decoder: Sender<Question>,
}

impl Running {
    pub(super) fn new(
        counters: &Arc<Counters>,
        maps: &KernelMaps,
        exporters: Option<&[Exporter]>,
        ask_decoder: &Sender<Question>,
    ) -> Result<Self> {
        let named = |exporter: &Exporter| (exporter.name(), exporter.queue());
        Ok(Self {
            counters: Arc::clone(counters),
            maps: maps.try_clone()?,
            pipeline: exporters.map(|exporters| exporters.iter().map(named).collect()),
            ask_decoder: ask_decoder.clone(),
        })
    }

    /// The ledger so far. Its figures are not of one moment.
    ///
    /// # Errors
    /// When the kernel's counters cannot be read.
    pub(super) fn ledger(&self) -> Result<Ledger> {
        let hooks = self.maps.stats()?;
        let mut stages = vec![accounts::kernel(&hooks), reader::ledger(&self.counters)];
        if let Some(exporters) = &self.pipeline {
            stages.extend(self.decoder().into_iter().flat_map(|account| account.stages));
            stages.push(decorator::ledger(&self.counters));
            stages.extend(exporters.iter().map(|(name, queue)| queue.stage(name)));
        }
        let beside = accounts::beside(Some(&hooks), &self.counters);
        Ok(Ledger { stages, beside, ..Ledger::default() })
    }

    /// The decoder's account so far; `None` when it does not answer in time.
    fn decoder(&self) -> Option<Account> {
        let (answer, account) = bounded(1);
        self.ask_decoder.send_timeout(Question::Account(answer), ANSWER_TIMEOUT).ok()?;
        account.recv_timeout(ANSWER_TIMEOUT).ok()
    }

    /// What there is to show of this moment; what cannot be read is left out.
    pub(super) fn figures(&self, kernel: &KernelFigures) -> Figures {
        let Ledger { stages, beside, .. } = self.ledger().unwrap_or_default();
        let queues = self.pipeline.iter().flatten();
        let (programs, maps) = kernel.read();
        Figures {
            stages,
            beside,
            queues: queues.map(|(name, queue)| (*name, queue.filled())).collect(),
            programs,
            maps,
        }
    }
}
