//! The only place that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use super::ids::KtimeNs;

/// Wall time minus `CLOCK_MONOTONIC`, in nanoseconds. Taken anew for every batch, so a clock step
/// shows in the next batch and never inside one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockOffset(pub i64);

impl ClockOffset {
    /// The offset now.
    #[expect(clippy::disallowed_methods, reason = "model::time owns the clocks")]
    pub fn now() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let wall = i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX);
        Self(wall.saturating_sub(i64::try_from(ktime_now().0).unwrap_or(i64::MAX)))
    }

    /// Nanoseconds since the Unix epoch of a kernel time.
    pub fn unix_ns(self, t: KtimeNs) -> u64 {
        t.0.saturating_add_signed(self.0)
    }
}

/// `CLOCK_MONOTONIC` now: the clock of `bpf_ktime_get_ns`.
pub fn ktime_now() -> KtimeNs {
    let Ok(t) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return KtimeNs(0) };
    let secs = u64::try_from(t.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(t.tv_nsec()).unwrap_or(0);
    KtimeNs(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// A monotonic instant for deadlines of the agent's own work.
#[expect(clippy::disallowed_methods, reason = "model::time owns the clocks")]
pub fn instant_now() -> Instant {
    Instant::now()
}
