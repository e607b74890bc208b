//! The ledger: for every stage, in = out + drops + in flight, each counted at its own place.

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use super::counters::{Counter, Tally};

/// The account of one stage. No figure is computed from the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Which stage, and of what: `decoder.records`.
    pub name: &'static str,
    /// Things that came in.
    pub in_: u64,
    /// Things handed on.
    pub out: u64,
    /// Things dropped, by reason.
    pub drops: Vec<(&'static str, u64)>,
    /// Things still inside, counted where they lie.
    pub in_flight: u64,
}

impl Stage {
    /// A stage out of its tally. `drops` are counters with a reason.
    pub fn from_tally(
        name: &'static str,
        tally: &Tally,
        [in_, out]: [Counter; 2],
        drops: &[Counter],
        in_flight: u64,
    ) -> Self {
        Self {
            name,
            in_: tally.get(in_),
            out: tally.get(out),
            drops: drops.iter().map(|c| (c.reason(), tally.get(*c))).collect(),
            in_flight,
        }
    }

    /// All drops together.
    pub fn dropped(&self) -> u64 {
        self.drops.iter().map(|(_, n)| n).sum()
    }

    /// Whether every thing that came in is accounted for.
    pub fn balanced(&self) -> bool {
        u128::from(self.in_)
            == u128::from(self.out) + u128::from(self.dropped()) + u128::from(self.in_flight)
    }
}

/// All stages in flow order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The stages.
    pub stages: Vec<Stage>,
    /// Calls without payload because their buffer could not be proved to be theirs, by process.
    pub unknown_payloads: Vec<(String, u64)>,
    /// What was counted beside the accounts, by name; zeros left out.
    pub beside: Vec<(String, u64)>,
}

impl Ledger {
    /// Whether every stage balances.
    pub fn balanced(&self) -> bool {
        self.stages.iter().all(Stage::balanced)
    }
}

struct Drops<'a, K>(&'a [(K, u64)]);

impl<K: Serialize> Serialize for Drops<'_, K> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (reason, n) in self.0 {
            map.serialize_entry(reason, n)?;
        }
        map.end()
    }
}

impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut stage = to.serialize_struct("Stage", 6)?;
        stage.serialize_field("name", self.name)?;
        stage.serialize_field("in", &self.in_)?;
        stage.serialize_field("out", &self.out)?;
        stage.serialize_field("drops", &Drops(&self.drops))?;
        stage.serialize_field("in_flight", &self.in_flight)?;
        stage.serialize_field("balanced", &self.balanced())?;
        stage.end()
    }
}

impl Serialize for Ledger {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut ledger = to.serialize_struct("Ledger", 4)?;
        ledger.serialize_field("balanced", &self.balanced())?;
        ledger.serialize_field("payload_unknown", &Drops(&self.unknown_payloads))?;
        ledger.serialize_field("stages", &self.stages)?;
        ledger.serialize_field("beside", &Drops(&self.beside))?;
        ledger.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> Stage {
        let drops = vec![("old", 2), ("short", 1)];
        Stage { name: "decoder.records", in_: 10, out: 6, drops, in_flight: 1 }
    }

    #[test]
    fn a_stage_balances_when_nothing_is_unaccounted() {
        assert!(stage().balanced());
        assert!(!Stage { in_: 11, ..stage() }.balanced());
        assert!(!Stage { in_flight: 0, ..stage() }.balanced());
    }

    #[test]
    fn the_json_says_at_the_top_whether_all_stages_balance() {
        let lost = Stage { out: 5, ..stage() };
        let ledger = Ledger {
            stages: vec![lost],
            unknown_payloads: vec![("a (7)".to_owned(), 3)],
            beside: vec![("decoder_gaps".to_owned(), 4)],
        };
        let json = serde_json::to_string(&ledger).unwrap();
        assert_eq!(
            json,
            r#"{"balanced":false,"payload_unknown":{"a (7)":3},"stages":[{"name":"decoder.records","in":10,"out":5,"#.to_owned()
                + r#""drops":{"old":2,"short":1},"in_flight":1,"balanced":false}],"#
                + r#""beside":{"decoder_gaps":4}}"#
        );
    }
}
