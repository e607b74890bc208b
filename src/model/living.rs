//! Processes that are observed now: whoever keeps their lives tells, whoever describes them reads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ids::Tgid;
use super::service::Service;

/// The observed processes, shared. As many as whoever keeps their lives remembers.
#[derive(Clone, Debug, Default)]
pub struct Living(Arc<Mutex<BTreeMap<Tgid, Arc<Service>>>>);

impl Living {
    /// `tgid` is observed as `service` from now on; `None` = it is not (any more).
    pub fn set(&self, tgid: Tgid, service: Option<Arc<Service>>) {
        let mut all = self.lock();
        match service {
            Some(service) => all.insert(tgid, service),
            None => all.remove(&tgid),
        };
    }

    /// All of them, by process.
    pub fn all(&self) -> Vec<(Tgid, Arc<Service>)> {
        self.lock().iter().map(|(tgid, service)| (*tgid, Arc::clone(service))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Tgid, Arc<Service>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
