//! One setting's value as it was written, and the parsers of the contract's value formats.

use std::time::Duration;

use figment::value::Value;

/// What was written. Environment values are always text; YAML values have a type.
#[derive(Clone, Debug)]
pub(super) enum Raw {
    /// Text of an environment variable (or of a built-in default).
    Env(String),
    /// A YAML text.
    Text(String),
    /// A YAML integer.
    Int(i128),
    /// A YAML number with a fraction.
    Float(f64),
    /// A YAML truth value.
    Bool(bool),
    /// A YAML sequence.
    List(Vec<Self>),
    /// A YAML mapping.
    Map,
}

impl Raw {
    /// `yaml` tells a YAML value from an environment one.
    pub(super) fn new(value: &Value, yaml: bool) -> Self {
        match value {
            Value::String(_, s) if yaml => Self::Text(s.clone()),
            Value::String(_, s) => Self::Env(s.clone()),
            Value::Char(_, c) => Self::Text(c.to_string()),
            Value::Bool(_, b) => Self::Bool(*b),
            Value::Num(_, n) => match (n.to_i128(), n.to_u128(), n.to_f64()) {
                (Some(i), _, _) => Self::Int(i),
                (_, Some(u), _) => Self::Int(i128::try_from(u).unwrap_or(i128::MAX)),
                (_, _, f) => Self::Float(f.unwrap_or(f64::NAN)),
            },
            Value::Array(_, items) => {
                Self::List(items.iter().map(|v| Self::new(v, yaml)).collect())
            }
            Value::Dict(..) | Value::Empty(..) => Self::Map,
        }
    }

    /// As an error message shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Env(s) | Self::Text(s) => format!("{:?}", without_userinfo(s)),
            Self::Int(i) => i.to_string(),
            Self::Float(f) => f.to_string(),
            Self::Bool(b) => b.to_string(),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::shown).collect::<Vec<_>>().join(", "))
            }
            Self::Map => "a mapping".to_owned(),
        }
    }
}

/// The text without the `user:password@` of a URL.
pub fn without_userinfo(s: &str) -> String {
    let Some((scheme, rest)) = s.split_once("://") else { return s.to_owned() };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    path.map_or_else(|| format!("{scheme}://{host}"), |p| format!("{scheme}://{host}/{p}"))
}

/// Text. An unquoted YAML integer or truth value counts as its text; a number with a fraction does
/// not, because its spelling is lost (`1.10` would become `1.1`).
pub(super) fn text(raw: &Raw) -> Result<String, String> {
    match raw {
        Raw::Env(s) | Raw::Text(s) => Ok(s.clone()),
        Raw::Int(i) => Ok(i.to_string()),
        Raw::Bool(b) => Ok(b.to_string()),
        Raw::Float(_) => Err("must be text: put it in quotes".to_owned()),
        Raw::List(_) | Raw::Map => Err("must be text".to_owned()),
    }
}

/// One of `names`, spelled exactly so.
pub(super) fn one_of<T: Copy>(raw: &Raw, names: &[(&str, T)]) -> Result<T, String> {
    let wanted = text(raw)?;
    names.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value).ok_or_else(|| {
        format!(
            "must be one of {}",
            names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        )
    })
}

/// A truth value: in YAML also the YAML 1.1 words, in the environment Go's `ParseBool`.
pub(super) fn boolean(raw: &Raw) -> Result<bool, String> {
    const YAML_ALLOWED: &str = "must be true or false";
    match raw {
        Raw::Bool(b) => Ok(*b),
        Raw::Env(s) => match s.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err("must be true or false (also 1, t, T, TRUE, True, 0, f, F, FALSE, False)"
                .to_owned()),
        },
        Raw::Text(s) => match s.as_str() {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Ok(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Ok(false),
            _ => Err(YAML_ALLOWED.to_owned()),
        },
        _ => Err(YAML_ALLOWED.to_owned()),
    }
}

/// A whole number, not negative. YAML text may hold digits too (`1_000`, or a quoted
/// `"${VARIABLE}"`).
pub(super) fn count(raw: &Raw) -> Result<usize, String> {
    let parsed = match raw {
        Raw::Int(i) => usize::try_from(*i).ok(),
        Raw::Env(s) => s.parse().ok(),
        Raw::Text(s) => s.replace('_', "").parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| "must be a whole number, 0 or more".to_owned())
}

/// A Go duration that is not negative. A bare `0` is only accepted in the environment.
pub(super) fn duration(raw: &Raw) -> Result<Duration, String> {
    const ALLOWED: &str = "must be a duration with a unit, 0 or more, such as 300ms, 5s or 1m30s";
    let (Raw::Env(s) | Raw::Text(s)) = raw else { return Err(ALLOWED.to_owned()) };
    let ns = go_duration_ns(s).ok_or_else(|| ALLOWED.to_owned())?;
    u64::try_from(ns).map(Duration::from_nanos).map_err(|_| ALLOWED.to_owned())
}

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
