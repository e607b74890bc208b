//! Other selectors for an agent that runs: what was judged is judged again. Of what stays as it is
//! nobody hears.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;

use super::run::Channels;
use super::{Discovery, Process, listeners_from_proc};
use crate::model::ids::Tgid;
use crate::model::process::{
    LoaderOrder, ProcessFact, ProcessImage, Surroundings, TaskFact, ThreadModel,
};
use crate::model::selector::Selectors;
use crate::model::time::ktime_now;

/// Processes of each kind that the plan names; the others are counted.
const NAMED_MAX: usize = 16;

/// What other selectors come to.
#[derive(Debug, Default)]
struct Plan {
    /// Processes that are observed from now on.
    attaches: Vec<Tgid>,
    /// Those that are not any more, as they were.
    detaches: Vec<(Tgid, Process)>,
    /// Those that get another name.
    changes: Vec<Tgid>,
    /// Those that stay as they are.
    untouched: usize,
}

impl Discovery {
    /// Chooses by `selectors` from now on.
    pub(super) fn reload(
        &mut self,
        selectors: Selectors,
        channels: &Channels,
        look: &impl Fn() -> Result<Surroundings>,
    ) {
        // The kernel asks about what happens from here on before anything is looked at.
        let (exec, ports) = (selectors.judge_exec(), selectors.ports());
        channels.order(LoaderOrder::Ask { exec, ports });
        channels.await_loader();
        let old = std::mem::replace(&mut self.selectors, selectors);
        self.ports = self.selectors.ports();
        // Of a selector that is not new nothing is said again.
        let old = old.include.iter().enumerate();
        let told: Vec<String> =
            old.filter(|(i, _)| !self.unmatched.contains(i)).map(|(_, s)| s.asks()).collect();
        let include = self.selectors.include.iter().enumerate();
        self.unmatched =
            include.filter(|(_, s)| !told.contains(&s.asks())).map(|(i, _)| i).collect();
        // The second look finds what forked or listened before the first decisions were entered.
        for first in [true, false] {
            match look() {
                Ok(around) => {
                    let plan = self.judge_again(around, first);
                    plan.tell(self, first);
                    self.carry_out(&plan, channels);
                }
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "processes cannot be listed: those that run stay as they are, others are judged \
                     by the new configuration"
                ),
            }
        }
    }

    /// Judges every process by the selectors of now.
    fn judge_again(&mut self, around: Surroundings, first: bool) -> Plan {
        let Surroundings { tasks, listeners } = around;
        let listeners = listeners.unwrap_or_else(|| listeners_from_proc(&tasks));
        let before = std::mem::take(&mut self.processes);
        self.survey(&tasks, &listeners);
        for (tgid, was) in &before {
            match self.processes.get_mut(tgid) {
                Some(process) => {
                    process.told.clone_from(&was.told);
                    if !was.exe.is_empty() {
                        process.exe.clone_from(&was.exe);
                    }
                }
                // Its own record will tell that it ended.
                None if was.is_selected() => self.remember(*tgid, was.clone()),
                None => {}
            }
        }
        self.choose(&tasks);
        self.keep_orphans(&before, &tasks);
        if first {
            self.tell_unmatched(&listeners);
        }
        let plan = self.compare(before);
        self.forget_the_rest();
        plan
    }

    /// Selects what had its selection from a process that is gone, or from what it was itself before
    /// an exec, where there is a selector that asks for the same.
    fn keep_orphans(&mut self, before: &HashMap<Tgid, Process>, tasks: &[TaskFact]) {
        let mut kept = Vec::new();
        for (tgid, was) in before {
            let (Some(asked), Some(process)) = (&was.inherited, self.processes.get_mut(tgid))
            else {
                continue;
            };
            (process.inherited, process.after) = (Some(Arc::clone(asked)), was.after);
            // Who is not selected beside its parent is not because of its parent.
            let has_parent = was.after.is_some_and(|parent| before.contains_key(&parent));
            let by = self.selectors.include.iter().position(|s| s.asks() == **asked);
            let open = !process.is_selected() && !has_parent && by.is_some();
            if open && self.processes.get(tgid).is_some_and(|process| self.judge(process, true)) {
                kept.push((*tgid, by));
            }
        }
        for (tgid, by) in &kept {
            let says = by.and_then(|by| self.selectors.include.get(by));
            let refinement = says.map(|s| s.refinement.clone()).unwrap_or_default();
            if let Some(process) = self.processes.get_mut(tgid) {
                (process.refinement, process.by) = (refinement, *by);
            }
            self.select(*tgid, &ProcessImage::default());
        }
        let kept: Vec<Tgid> = kept.into_iter().map(|(tgid, _)| tgid).collect();
        self.choose_below(&kept, tasks);
    }

    /// What is different from `before`. What is the same keeps the very identity that it had.
    fn compare(&mut self, before: HashMap<Tgid, Process>) -> Plan {
        let mut plan = Plan::default();
        for (tgid, process) in &mut self.processes {
            let was = before.get(tgid).and_then(|was| was.service.as_ref());
            match (was, &process.service) {
                (None, Some(_)) => plan.attaches.push(*tgid),
                (Some(was), Some(is)) if was != is => plan.changes.push(*tgid),
                (Some(was), Some(_)) => {
                    process.service = Some(Arc::clone(was));
                    plan.untouched += 1;
                }
                (_, None) => {}
            }
        }
        for (tgid, was) in before {
            let is = self.processes.get(&tgid);
            if was.is_selected() && is.is_some_and(|process| !process.is_selected()) {
                plan.detaches.push((tgid, was));
            }
        }
        plan.attaches.sort_unstable();
        plan.changes.sort_unstable();
        plan.detaches.sort_unstable_by_key(|(tgid, _)| *tgid);
        plan
    }

    /// The decoder hears of a process before its first record, and of its leaving behind its last.
    fn carry_out(&self, plan: &Plan, channels: &Channels) {
        let now = ktime_now();
        for tgid in plan.attaches.iter().chain(&plan.changes) {
            channels.tell(self.fact(*tgid, now));
        }
        let attaches = plan.attaches.iter().map(|tgid| (*tgid, true));
        let detaches = plan.detaches.iter().map(|(tgid, _)| (*tgid, false));
        channels.order(LoaderOrder::Change(attaches.chain(detaches).collect()));
        channels.await_loader();
        for (tgid, _) in &plan.detaches {
            let threads = ThreadModel::default();
            let since = ktime_now();
            channels.tell(Some(ProcessFact {
                tgid: *tgid,
                since,
                service: None,
                threads,
                left: true,
            }));
        }
    }
}

impl Plan {
    /// Says what is about to happen; the second look only what the first one did not find.
    fn tell(&self, discovery: &Discovery, first: bool) {
        let Self { attaches, detaches, changes, untouched } = self;
        let none = attaches.is_empty() && detaches.is_empty() && changes.is_empty();
        if first || !none {
            tracing::info!(
                attaches = attaches.len(),
                detaches = detaches.len(),
                changes = changes.len(),
                untouched,
                "processes judged again"
            );
        }
        let known = |tgids: &[Tgid]| -> Vec<Process> {
            let named = tgids.iter().take(NAMED_MAX);
            named.filter_map(|tgid| discovery.processes.get(tgid).cloned()).collect()
        };
        let were: Vec<Process> =
            detaches.iter().take(NAMED_MAX).map(|(_, was)| was.clone()).collect();
        say("attaches", &known(attaches), attaches.len());
        say("detaches", &were, detaches.len());
        say("is renamed", &known(changes), changes.len());
    }
}

fn say(what: &str, processes: &[Process], all: usize) {
    for process in processes {
        let service = process.service.as_ref().map(|s| s.name.as_str()).unwrap_or_default();
        tracing::info!(pid = process.ns_tgid, exe = process.exe, service, "{what}");
    }
    if all > processes.len() {
        tracing::info!("{what}: {} more", all - processes.len());
    }
}
