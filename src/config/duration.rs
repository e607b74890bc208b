//! Durations in Go's notation.

/// Nanoseconds of a duration in Go's notation: `[-+]?` then `0` or a sequence of decimal numbers,
/// each with a unit (`ns us µs μs ms s m h`). `None` when malformed or beyond 292 years. See
/// <https://pkg.go.dev/time#ParseDuration>.
pub(super) fn go_duration_ns(s: &str) -> Option<i64> {
    let (negative, mut rest) = match s.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, s.strip_prefix('+').unwrap_or(s)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    loop {
        let (whole, after) = digits(rest)?;
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after)?,
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit_ns, after) = unit(after)?;
        total = total.checked_add(scaled(whole, fraction, unit_ns)?)?;
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// Splits leading digits off; the result may be empty.
fn digits(s: &str) -> Option<(&str, &str)> {
    s.split_at_checked(s.bytes().take_while(u8::is_ascii_digit).count())
}

fn unit(s: &str) -> Option<(i128, &str)> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("\u{b5}s", 1_000),
        ("\u{3bc}s", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    UNITS.iter().find_map(|(name, ns)| s.strip_prefix(name).map(|rest| (*ns, rest)))
}

/// `whole.fraction` of `unit_ns`; digits of the fraction beyond a nanosecond are cut.
fn scaled(whole: &str, fraction: &str, unit_ns: i128) -> Option<i128> {
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut ns = whole.checked_mul(unit_ns)?;
    let (mut numerator, mut denominator): (i128, i128) = (0, 1);
    for digit in fraction.bytes().take(18) {
        numerator = numerator * 10 + i128::from(digit - b'0');
        denominator *= 10;
    }
    ns = ns.checked_add(numerator * unit_ns / denominator)?;
    Some(ns)
}

/// A duration as Go writes it (`1m30s`, `1.5s`, `300ms`, `0s`), without loss.
pub(super) fn go_duration(ns: i64) -> String {
    let mut out = if ns < 0 { "-".to_owned() } else { String::new() };
    let ns = ns.unsigned_abs();
    let fraction = |value: u64, unit: u64, name: &str| {
        let (whole, rest) = (value / unit, value % unit);
        let digits = unit.ilog10() as usize;
        let text = format!("{whole}.{rest:0digits$}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        format!("{text}{name}")
    };
    match ns {
        0 => out.push_str("0s"),
        1..1_000 => out.push_str(&format!("{ns}ns")),
        1_000..1_000_000 => out.push_str(&fraction(ns, 1_000, "us")),
        1_000_000..1_000_000_000 => out.push_str(&fraction(ns, 1_000_000, "ms")),
        _ => {
            let seconds = ns / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            if hours > 0 {
                out.push_str(&format!("{hours}h"));
            }
            if minutes > 0 {
                out.push_str(&format!("{minutes}m"));
            }
            let rest = ns - (hours * 3600 + minutes * 60) * 1_000_000_000;
            if rest > 0 {
                out.push_str(&fraction(rest, 1_000_000_000, "s"));
            }
        }
    }
    out
}
