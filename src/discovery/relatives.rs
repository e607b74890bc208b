//! Who is above and below whom.

use std::collections::HashMap;

use crate::model::ids::Tgid;
use crate::model::process::TaskFact;

/// The host's first process.
const INIT: Tgid = Tgid(1);

/// Every process above `tgids`.
pub(super) fn ancestors(tgids: &[Tgid], tasks: &[TaskFact]) -> Vec<Tgid> {
    let parents: HashMap<Tgid, Tgid> = tasks.iter().map(|t| (t.tgid, t.parent)).collect();
    let mut found = Vec::new();
    for tgid in tgids {
        let above = std::iter::successors(parents.get(tgid), |tgid| parents.get(tgid));
        found.extend(above.take(tasks.len()));
    }
    found
}

/// Every process below `masters` that is there, with the nearest process above it that is; parents
/// first. The host's init may listen for others (socket activation), but what is below it are not its
/// workers.
pub(super) fn workers(
    masters: &[Tgid],
    tasks: &[TaskFact],
    is_there: impl Fn(Tgid) -> bool,
) -> Vec<(Tgid, Tgid)> {
    let mut children: HashMap<Tgid, Vec<Tgid>> = HashMap::new();
    for task in tasks.iter().filter(|t| t.ns_tgid != 0) {
        children.entry(task.parent).or_default().push(task.tgid);
    }
    let mut found = Vec::new();
    let mut open: Vec<(Tgid, Tgid)> =
        masters.iter().filter(|tgid| **tgid != INIT).map(|tgid| (*tgid, *tgid)).collect();
    while let Some((tgid, above)) = open.pop() {
        for child in children.remove(&tgid).unwrap_or_default() {
            if is_there(child) {
                found.push((child, above));
                open.push((child, child));
            } else {
                open.push((child, above));
            }
        }
    }
    found
}
