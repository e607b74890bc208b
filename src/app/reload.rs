//! Another configuration for an agent that runs. One that is invalid changes nothing.

use std::path::Path;

use crossbeam_channel::Sender;
use tracing::{error, info, warn};

use crate::config::{Change, Config, Loaded, Source};
use crate::discovery::Request;
use crate::telemetry::{Counter, Counters};

/// The configuration that the agent was started with, but for what was changed since.
pub(super) struct Current<'a> {
    source: &'a Source,
    loaded: Loaded,
}

impl<'a> Current<'a> {
    pub(super) fn new(source: &'a Source, loaded: Loaded) -> Self {
        Self { source, loaded }
    }

    pub(super) fn file(&self) -> Option<&Path> {
        self.source.path()
    }

    pub(super) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Reads the configuration again, says what that means, and hands on what takes effect.
    pub(super) fn reload(&mut self, why: &str, discovery: &Sender<Request>, counters: &Counters) {
        let file = self.file().map(|path| path.display().to_string()).unwrap_or_default();
        info!(file, "reading the configuration again: {why}");
        let loaded = match self.source.load() {
            Ok(loaded) => loaded,
            Err(invalid) => {
                counters.add(Counter::ReloadsFailed, 1);
                for problem in &invalid.problems {
                    error!("{problem}");
                }
                error!("the configuration stays as it was: {file} is not valid");
                return;
            }
        };
        if loaded.config.everything && !self.loaded.config.everything {
            counters.add(Counter::ReloadsFailed, 1);
            error!(
                "the configuration stays as it was: nothing in {file} chooses processes any more, \
                 which would mean every process; was it written whole?"
            );
            return;
        }
        counters.add(Counter::Reloads, 1);
        for notice in loaded.notices.iter().filter(|n| !self.loaded.notices.contains(n)) {
            warn!("{notice}");
        }
        let changes = loaded.changes_since(&self.loaded);
        let (live, later): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(|c| c.live);
        tell(&live, &later);
        // Those of the start stay.
        if self.loaded.config.metrics.lacks_of(&loaded.config.metrics) {
            warn!(
                "a selector asks for metric families that nobody had at the start: these need a restart"
            );
        }
        // What needs a restart is told at every reload until there is one.
        self.loaded.adopt_live(&loaded);
        if !live.is_empty() && discovery.send(Request::Reload(loaded.config.selection)).is_err() {
            warn!("the agent stops: the configuration is not used any more");
        }
    }
}

fn tell(live: &[Change], later: &[Change]) {
    if live.is_empty() && later.is_empty() {
        info!("no setting is another");
    }
    for Change { name, was, is, .. } in live {
        info!(setting = name, was, is, "changes now");
    }
    for Change { name, was, is, .. } in later {
        warn!(setting = name, was, is, "needs a restart: the agent goes on with what it was");
    }
}
