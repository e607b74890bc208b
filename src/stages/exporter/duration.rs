//! Durations in Go's notation: `0s`, `750ns`, `1.5µs`, `12.5ms`, `1.5s`, `1m30s`, `1h0m0.5s`.

use std::fmt;

/// Nanoseconds, shown as Go's `time.Duration` shows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct GoDuration(pub(super) u64);

const SECOND: u64 = 1_000_000_000;

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0s"),
            ns @ 1..=999 => write!(f, "{ns}ns"),
            ns @ 1_000..=999_999 => decimal(f, ns, 1_000, "\u{b5}s"),
            ns @ 1_000_000..=999_999_999 => decimal(f, ns, 1_000_000, "ms"),
            ns => {
                let minutes = ns / (60 * SECOND);
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                decimal(f, ns % (60 * SECOND), SECOND, "s")
            }
        }
    }
}

/// `ns / unit` with as many decimals as it needs.
fn decimal(f: &mut fmt::Formatter<'_>, ns: u64, unit: u64, name: &str) -> fmt::Result {
    write!(f, "{}", ns / unit)?;
    let mut rest = ns % unit;
    if rest > 0 {
        f.write_str(".")?;
    }
    let mut place = unit / 10;
    while rest > 0 {
        write!(f, "{}", rest / place)?;
        rest %= place;
        place /= 10;
    }
    f.write_str(name)
}

#[cfg(test)]
mod tests {
    use super::GoDuration;

    #[test]
    fn every_magnitude_is_shown_as_go_shows_it() {
        for (ns, shown) in [
            (0, "0s"),
            (1, "1ns"),
            (999, "999ns"),
            (1_000, "1µs"),
            (1_500, "1.5µs"),
            (750_000, "750µs"),
            (999_999, "999.999µs"),
            (1_000_000, "1ms"),
            (1_234_567, "1.234567ms"),
            (12_500_000, "12.5ms"),
            (1_000_000_000, "1s"),
            (1_000_000_001, "1.000000001s"),
            (60_000_000_000, "1m0s"),
            (90_500_000_000, "1m30.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (7_261_001_000_000, "2h1m1.001s"),
        ] {
            assert_eq!(GoDuration(ns).to_string(), shown);
        }
    }
}
