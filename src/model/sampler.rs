//! Which traces go out (OpenTelemetry SDK specification, "Built-in samplers").

use super::ids::TraceId;
use super::span::TraceCtx;

/// Decides which traces go out. Every span of a trace has the same answer wherever the same sampler
/// holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    /// Of traces that begin here.
    root: Root,
    /// Whether somebody who was there before decides about the others.
    parent_based: bool,
}

/// Decides by the trace id alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    /// Every trace.
    Always,
    /// None.
    Never,
    /// Those whose id, its last 63 random bits, is below this.
    Below(u64),
}

impl Default for Sampler {
    /// `parentbased_always_on`.
    fn default() -> Self {
        Self { root: Root::Always, parent_based: true }
    }
}

impl Sampler {
    /// `always_on`.
    pub const ALWAYS: Self = Self { root: Root::Always, parent_based: false };
    /// `always_off`.
    pub const NEVER: Self = Self { root: Root::Never, parent_based: false };

    /// By its name and argument in the contract. `None` when the argument is no number: then the
    /// default holds.
    pub fn named(name: &str, arg: &str) -> Option<Self> {
        let (parent_based, of_root) = match name.strip_prefix("parentbased_") {
            Some(of_root) => (true, of_root),
            None => (false, name),
        };
        let root = match of_root {
            "always_off" => Root::Never,
            "traceidratio" => {
                let ratio: f64 = arg.parse().ok()?;
                if ratio.is_nan() {
                    return None;
                }
                Root::ratio(ratio)
            }
            "always_on" => Root::Always,
            _ => return Some(Self::default()),
        };
        Some(Self { root, parent_based })
    }

    /// Whether the span goes out with its trace.
    pub fn samples(self, ctx: &TraceCtx) -> bool {
        match self.parent_based && ctx.remote {
            true => ctx.flags & 1 == 1,
            false => self.root.samples(ctx.trace_id),
        }
    }
}

impl Root {
    fn ratio(ratio: f64) -> Self {
        if ratio >= 1.0 {
            return Self::Always;
        }
        if ratio <= 0.0 {
            return Self::Never;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between 0 and 2^63"
        )]
        let below = (ratio * (1_u64 << 63) as f64) as u64;
        Self::Below(below)
    }

    fn samples(self, trace: TraceId) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Below(limit) => {
                let low = trace.0.last_chunk().copied().unwrap_or_default();
                u64::from_be_bytes(low) >> 1 < limit
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(low: u64) -> TraceCtx {
        let mut id = [0xee; 16];
        id[8..].copy_from_slice(&low.to_be_bytes());
        TraceCtx { trace_id: TraceId(id), flags: 1, ..TraceCtx::default() }
    }

    #[test]
    fn a_ratio_takes_the_lower_part_of_all_trace_ids() {
        for name in ["traceidratio", "parentbased_traceidratio"] {
            let quarter = Sampler::named(name, "0.25").unwrap();
            assert!(quarter.samples(&trace(0)) && quarter.samples(&trace((1 << 62) - 1)));
            assert!(!quarter.samples(&trace(1 << 62)) && !quarter.samples(&trace(u64::MAX)));
            let taken = (0..4000_u64).filter(|n| quarter.samples(&trace(n << 52))).count();
            assert_eq!(taken, 1000 + 24, "4096 ids would give 1024");
        }
    }

    #[test]
    fn who_was_there_before_decides_where_the_sampler_asks_it() {
        let before = |sampled| TraceCtx { flags: u8::from(sampled), remote: true, ..trace(0) };
        for name in ["always_on", "always_off", "traceidratio"] {
            let alone = Sampler::named(name, "0.5").unwrap();
            let asking = Sampler::named(&format!("parentbased_{name}"), "0.5").unwrap();
            assert_eq!(alone.samples(&trace(0)), asking.samples(&trace(0)), "{name}");
            assert_eq!(alone.samples(&before(true)), alone.samples(&before(false)), "{name}");
            assert!(asking.samples(&before(true)) && !asking.samples(&before(false)), "{name}");
        }
    }

    #[test]
    fn names_and_arguments_are_those_of_the_contract() {
        let default = Some(Sampler::default());
        for (name, arg, sampler) in [
            ("always_on", "", Some(Sampler::ALWAYS)),
            ("parentbased_always_on", "x", default),
            ("", "", default),
            ("traceidratio", "1", Some(Sampler::ALWAYS)),
            ("always_off", "", Some(Sampler::NEVER)),
            ("traceidratio", "-0.5", Some(Sampler::NEVER)),
            ("traceidratio", "", None),
            ("traceidratio", "half", None),
            ("parentbased_traceidratio", "NaN", None),
        ] {
            assert_eq!(Sampler::named(name, arg), sampler, "{name} {arg:?}");
        }
    }
}
