//! Which traces go out (OpenTelemetry SDK specification, "Built-in samplers").

use super::ids::TraceId;

/// Decides by the trace id alone, so that every span of a trace has the same answer wherever the
/// same ratio holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampler {
    /// Every trace.
    #[default]
    Always,
    /// None.
    Never,
    /// Those whose id, its last 63 random bits, is below this.
    Below(u64),
}

impl Sampler {
    /// By its name and argument in the contract, whose parent-based samplers see no parent. `None`
    /// when the argument is no number: then every trace goes out.
    pub fn named(name: &str, arg: &str) -> Option<Self> {
        match name {
            "always_off" | "parentbased_always_off" => Some(Self::Never),
            "traceidratio" | "parentbased_traceidratio" => {
                let ratio: f64 = arg.parse().ok()?;
                (!ratio.is_nan()).then(|| Self::ratio(ratio))
            }
            _ => Some(Self::Always),
        }
    }

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

    /// Whether the trace goes out.
    pub fn samples(self, trace: TraceId) -> bool {
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

    fn trace(low: u64) -> TraceId {
        let mut id = [0xee; 16];
        id[8..].copy_from_slice(&low.to_be_bytes());
        TraceId(id)
    }

    #[test]
    fn a_ratio_takes_the_lower_part_of_all_trace_ids() {
        let quarter = Sampler::named("traceidratio", "0.25").unwrap();
        assert_eq!(quarter, Sampler::named("parentbased_traceidratio", "0.25").unwrap());
        assert!(quarter.samples(trace(0)) && quarter.samples(trace((1 << 62) - 1)));
        assert!(!quarter.samples(trace(1 << 62)) && !quarter.samples(trace(u64::MAX)));
        let taken = (0..4000_u64).filter(|n| quarter.samples(trace(n << 52))).count();
        assert_eq!(taken, 1000 + 24, "4096 ids would give 1024");
    }

    #[test]
    fn names_and_arguments_are_those_of_the_contract() {
        let named = |name, arg| Sampler::named(name, arg);
        for (name, arg) in
            [("always_on", ""), ("parentbased_always_on", "x"), ("traceidratio", "1")]
        {
            assert_eq!(named(name, arg), Some(Sampler::Always), "{name}");
        }
        for (name, arg) in
            [("always_off", ""), ("parentbased_always_off", ""), ("traceidratio", "-0.5")]
        {
            assert_eq!(named(name, arg), Some(Sampler::Never), "{name}");
        }
        for arg in ["", "half", "NaN"] {
            assert_eq!(named("traceidratio", arg), None, "{arg:?}");
        }
    }
}
