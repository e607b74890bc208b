//! Messages whose cause may come back a thousand times a second.

use std::time::{Duration, Instant};

/// Between two messages of one kind.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets one message of a kind through every ten seconds. What the kept back ones told is in the
/// counters all the same.
#[derive(Debug, Default)]
pub struct Seldom {
    last: Option<Instant>,
    kept_back: u64,
}

impl Seldom {
    /// Whether to say it now: how many were kept back since the last one that was said.
    pub fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            self.kept_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_passes_in_ten_seconds_and_the_others_are_counted() {
        let (mut seldom, start) = (Seldom::default(), crate::model::time::instant_now());
        let at = |ms| start + Duration::from_millis(ms);
        let said = [0, 1, 9_999, 10_000, 10_001, 20_000].map(|ms| seldom.pass(at(ms)));
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
