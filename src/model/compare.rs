//! Conditions on numbers.

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equals,
    /// `≠`
    NotEquals,
    /// `>`
    Greater,
    /// `≥`
    GreaterEquals,
    /// `<`
    Less,
    /// `≤`
    LessEquals,
}

impl Comparison {
    /// Whether `value` compares so to `with`.
    pub fn holds(self, value: i64, with: i64) -> bool {
        match self {
            Self::Equals => value == with,
            Self::NotEquals => value != with,
            Self::Greater => value > with,
            Self::GreaterEquals => value >= with,
            Self::Less => value < with,
            Self::LessEquals => value <= with,
        }
    }
}
