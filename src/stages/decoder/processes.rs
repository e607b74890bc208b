//! Who a process is, by its lives: from exec (or fork, or before us) to the next exec or its end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::bounded::BoundedMap;
use crate::model::ids::{KtimeNs, Tgid};
use crate::model::living::Living;
use crate::model::process::{ProcessFact, ProcessRecord};
use crate::model::service::Service;

/// Processes known at the same time.
pub(super) const PROCESSES_MAX: usize = 32_768;
/// Lives of one process that are remembered; the oldest goes first.
const LIVES_MAX: usize = 4;
/// How long an ended process is remembered, in batch time.
const EXITED_KEEP_NS: u64 = 10_000_000_000;

/// The identity of a process at some time.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// Observed, under this name.
    Known(Arc<Service>),
    /// Not to be observed.
    Refused,
    /// Not judged yet.
    Unknown,
}

#[derive(Debug)]
struct Life {
    since: KtimeNs,
    identity: LifeIdentity,
}

#[derive(Debug)]
enum LifeIdentity {
    /// Discovery has not judged yet.
    Pending,
    /// Judged; `None` = refused.
    Judged(Option<Arc<Service>>),
}

/// What a process's connections that are over came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) connections: u64,
    pub(super) spans: u64,
    pub(super) gap_bytes: u64,
}

#[derive(Debug, Default)]
struct Process {
    lives: Vec<Life>,
    past: Past,
    /// When a process of this id last ended; 0 = not yet.
    ended: KtimeNs,
}

/// All processes.
#[derive(Debug)]
pub(super) struct Processes {
    by_tgid: BoundedMap<Tgid, Process>,
    /// Ended processes: when to forget them, who, and when they ended.
    exited: VecDeque<(KtimeNs, Tgid, KtimeNs)>,
    /// Lives that found no room since last asked.
    pub(super) refused_room: u64,
    /// Who is observed now, for whoever wants to know.
    living: Living,
}

impl Processes {
    pub(super) fn new(max: usize) -> Self {
        Self {
            by_tgid: BoundedMap::new(max),
            exited: VecDeque::new(),
            refused_room: 0,
            living: Living::default(),
        }
    }

    /// Tells `living` from now on who is observed.
    pub(super) fn tell(&mut self, living: Living) {
        self.living = living;
    }

    /// What discovery concluded.
    pub(super) fn fact(&mut self, fact: ProcessFact) {
        self.put(fact.tgid, fact.since, LifeIdentity::Judged(fact.service));
    }

    /// What the kernel told. `now` is batch time.
    pub(super) fn record(&mut self, record: &ProcessRecord, now: KtimeNs) {
        match record {
            ProcessRecord::Exec { at, tgid, .. } => self.put(*tgid, *at, LifeIdentity::Pending),
            ProcessRecord::Fork { at, child, .. } => self.put(*child, *at, LifeIdentity::Pending),
            ProcessRecord::Exit { at, tgid } => {
                if let Some(process) = self.by_tgid.get_mut(tgid) {
                    process.ended = process.ended.max(*at);
                }
                self.tell_of(*tgid);
                let forget = KtimeNs(now.0.saturating_add(EXITED_KEEP_NS));
                if self.exited.len() >= PROCESSES_MAX {
                    self.forget_first();
                }
                self.exited.push_back((forget, *tgid, *at));
            }
            ProcessRecord::Listen { .. } => {}
        }
    }

    /// Forgets processes that ended long ago.
    pub(super) fn expire(&mut self, now: KtimeNs) {
        while self.exited.front().is_some_and(|(forget, ..)| *forget <= now) {
            self.forget_first();
        }
    }

    /// Who `tgid` was at `at`: the newest life that had begun.
    pub(super) fn identity(&self, tgid: Tgid, at: KtimeNs) -> Identity {
        let Some(process) = self.by_tgid.get(&tgid) else { return Identity::Unknown };
        match process.lives.iter().rev().find(|life| life.since <= at).map(|life| &life.identity) {
            Some(LifeIdentity::Judged(Some(service))) => Identity::Known(Arc::clone(service)),
            Some(LifeIdentity::Judged(None)) => Identity::Refused,
            Some(LifeIdentity::Pending) | None => Identity::Unknown,
        }
    }

    /// A connection of `tgid` is over, of which this was seen.
    pub(super) fn connection_over(&mut self, tgid: Tgid, spans: u64, gap_bytes: u64) {
        if let Some(Process { past, .. }) = self.by_tgid.get_mut(&tgid) {
            past.connections += 1;
            past.spans += spans;
            past.gap_bytes = past.gap_bytes.saturating_add(gap_bytes);
        }
    }

    /// What the connections of `tgid` that are over came to.
    pub(super) fn past(&self, tgid: Tgid) -> Past {
        self.by_tgid.get(&tgid).map(|process| process.past).unwrap_or_default()
    }

    fn put(&mut self, tgid: Tgid, since: KtimeNs, identity: LifeIdentity) {
        let Some(Process { lives, .. }) = self.by_tgid.get_or_insert(tgid, Process::default) else {
            self.refused_room += 1;
            return;
        };
        match lives.iter_mut().find(|life| life.since == since) {
            // A record may come behind the fact that was concluded from it.
            Some(life) if matches!(identity, LifeIdentity::Judged(_)) => life.identity = identity,
            Some(_) => {}
            None => {
                let at = lives.partition_point(|life| life.since < since);
                lives.insert(at, Life { since, identity });
                if lives.len() > LIVES_MAX {
                    lives.remove(0);
                }
            }
        }
        self.tell_of(tgid);
    }

    /// Tells who `tgid` is now. What is concluded of a process that ended comes too late.
    fn tell_of(&self, tgid: Tgid) {
        let process = self.by_tgid.get(&tgid);
        let now = process.and_then(|process| {
            let ended = |life: &&Life| process.ended.0 > 0 && life.since <= process.ended;
            let life = process.lives.last().filter(|life| !ended(life))?;
            match &life.identity {
                LifeIdentity::Judged(service) => service.clone(),
                LifeIdentity::Pending => None,
            }
        });
        self.living.set(tgid, now);
    }

    fn forget_first(&mut self) {
        let Some((_, tgid, ended)) = self.exited.pop_front() else { return };
        let Some(Process { lives, .. }) = self.by_tgid.get_mut(&tgid) else { return };
        lives.retain(|life| life.since > ended);
        if lives.is_empty() {
            self.by_tgid.remove(&tgid);
            self.living.set(tgid, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::process::ThreadModel;

    const P: Tgid = Tgid(10);
    const C: Tgid = Tgid(11);

    fn fact(tgid: Tgid, since: u64, name: Option<&str>) -> ProcessFact {
        let named = |n: &str| Arc::new(Service { name: n.to_owned(), ..Service::default() });
        ProcessFact {
            tgid,
            since: KtimeNs(since),
            service: name.map(named),
            threads: ThreadModel::default(),
            left: false,
        }
    }

    fn exec(at: u64) -> ProcessRecord {
        ProcessRecord::Exec {
            at: KtimeNs(at),
            tgid: P,
            ns_tgid: 10,
            image: crate::model::process::ProcessImage::default(),
        }
    }

    fn fork(at: u64) -> ProcessRecord {
        ProcessRecord::Fork { at: KtimeNs(at), parent: P, child: C, child_ns_tgid: 11 }
    }

    fn name(processes: &Processes, tgid: Tgid, at: u64) -> String {
        match processes.identity(tgid, KtimeNs(at)) {
            Identity::Known(service) => service.name.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_life_has_its_own_identity() {
        let mut all = Processes::new(4);
        all.fact(fact(P, 0, Some("sh")));
        all.record(&exec(100), KtimeNs(0));
        assert_eq!(name(&all, P, 99), "sh");
        assert_eq!(name(&all, P, 100), "Unknown");
        all.fact(fact(P, 100, None));
        assert_eq!(name(&all, P, 100), "Refused");
        assert_eq!(name(&all, P, 99), "sh");
        assert_eq!(name(&all, C, 99), "Unknown");
    }

    #[test]
    fn a_child_is_nobody_until_it_was_judged_itself() {
        let mut all = Processes::new(4);
        all.fact(fact(P, 0, Some("gunicorn")));
        all.record(&fork(150), KtimeNs(0));
        assert_eq!(name(&all, C, 300), "Unknown");
        all.fact(fact(C, 150, Some("worker")));
        assert_eq!(name(&all, C, 300), "worker");
    }

    #[test]
    fn who_is_observed_now_is_told() {
        let mut all = Processes::new(4);
        let living = Living::default();
        all.tell(living.clone());
        let names =
            || living.all().into_iter().map(|(t, s)| (t, s.name.clone())).collect::<Vec<_>>();
        all.fact(fact(P, 0, Some("a")));
        all.fact(fact(C, 0, None));
        assert_eq!(names(), [(P, "a".to_owned())]);
        all.record(&exec(100), KtimeNs(0));
        assert_eq!(names(), []);
        all.fact(fact(P, 100, Some("b")));
        all.record(&ProcessRecord::Exit { at: KtimeNs(50), tgid: P }, KtimeNs(0));
        assert_eq!(names(), [(P, "b".to_owned())], "the end of an earlier life");
        all.record(&ProcessRecord::Exit { at: KtimeNs(150), tgid: P }, KtimeNs(0));
        assert_eq!(names(), []);
        all.fact(fact(P, 100, Some("late")));
        assert_eq!(names(), [], "what is concluded of a process that ended");
        all.fact(fact(P, 200, Some("c")));
        assert_eq!(names(), [(P, "c".to_owned())]);
    }

    #[test]
    fn an_ended_process_is_remembered_for_ten_seconds() {
        let mut all = Processes::new(4);
        all.fact(fact(P, 0, Some("a")));
        all.record(&ProcessRecord::Exit { at: KtimeNs(5), tgid: P }, KtimeNs(7));
        all.expire(KtimeNs(10_000_000_006));
        assert_eq!(name(&all, P, 3), "a");
        all.expire(KtimeNs(10_000_000_007));
        assert_eq!(name(&all, P, 3), "Unknown");
    }

    #[test]
    fn a_reused_id_keeps_the_life_that_began_after_the_end() {
        let mut all = Processes::new(4);
        all.fact(fact(P, 0, Some("a")));
        all.record(&ProcessRecord::Exit { at: KtimeNs(5), tgid: P }, KtimeNs(7));
        all.fact(fact(P, 6, Some("b")));
        all.expire(KtimeNs(10_000_000_007));
        assert_eq!(name(&all, P, 8), "b");
    }
}
