//! Addresses whose names are known, or are being asked for.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use hashbrown::HashMap;

use crate::config::DnsConfig;
use crate::model::time::instant_now;
use crate::resolver::{Answer, Outcome, Resolver};
use crate::telemetry::{Counter, Counters, Seldom};

/// How long spans wait for a name at most.
pub(super) const WAIT: Duration = Duration::from_secs(1);
/// How long an address of which nobody could be asked has no name, where `cache_expiry` is longer.
const FAILED_FOR: Duration = Duration::from_secs(30);
/// Of the addresses that are remembered, how many are forgotten at once, as a part of all.
const FORGOTTEN: usize = 8;

/// The addresses. As many as `cache_len` says; those that had no span for longest are forgotten first.
pub(super) struct Known {
    resolver: Resolver,
    answers: Receiver<Answer>,
    config: DnsConfig,
    addresses: HashMap<Ipv6Addr, Entry>,
    /// Counts batches.
    turn: u64,
    counters: Arc<Counters>,
    said: Seldom,
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// How long spans wait for the answer, or how long it is good.
    until: Instant,
    /// The last batch that had a span of it.
    used: u64,
}

#[derive(Debug)]
enum State {
    Asked,
    Named(Box<str>),
    Nameless,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

impl Known {
    pub(super) fn new(
        (resolver, answers): (Resolver, Receiver<Answer>),
        config: DnsConfig,
        counters: Arc<Counters>,
    ) -> Self {
        let (addresses, said) = (HashMap::new(), Seldom::default());
        Self { resolver, answers, config, addresses, turn: 0, counters, said }
    }

    /// Where answers come from. Each is to be given to [`Self::learn`].
    pub(super) fn answers(&self) -> &Receiver<Answer> {
        &self.answers
    }

    /// A new batch begins.
    pub(super) fn begin(&mut self) {
        self.turn += 1;
    }

    /// Asks for the name of `address` if it is not known; until when to wait for it. `None` = there is
    /// nothing to wait for.
    pub(super) fn want(&mut self, address: Ipv6Addr, now: Instant) -> Option<Instant> {
        if let Some(entry) = self.addresses.get_mut(&address) {
            entry.used = self.turn;
            match entry.state {
                State::Asked => return Some(entry.until),
                _ if entry.until > now => return None,
                _ => {}
            }
        }
        if !self.resolver.ask(address.to_canonical()) {
            // What it was called is too old to be said.
            self.addresses.remove(&address);
            self.counters.add(Counter::NamesNotAsked, 1);
            return None;
        }
        self.counters.add(Counter::NamesAsked, 1);
        let until = now + WAIT;
        self.enter(address, State::Asked, until);
        Some(until)
    }

    /// Whether an answer is still to come that spans wait for.
    pub(super) fn is_asked(&self, address: Ipv6Addr) -> bool {
        self.addresses.get(&address).is_some_and(|entry| matches!(entry.state, State::Asked))
    }

    /// The name of `address`, as DNS has it.
    pub(super) fn name(&self, address: Ipv6Addr) -> Option<&str> {
        match &self.addresses.get(&address)?.state {
            State::Named(name) => Some(name),
            State::Asked | State::Nameless => None,
        }
    }

    /// Remembers an answer.
    pub(super) fn learn(&mut self, Answer { address, outcome }: Answer) {
        self.resolver.took_answer();
        let now = instant_now();
        let expiry = self.config.cache_expiry;
        let (counter, state, good_for) = match outcome {
            Outcome::Name(name) => (Counter::NamesFound, State::Named(name), expiry),
            Outcome::Nameless => (Counter::NamesNone, State::Nameless, expiry),
            Outcome::Failed(why) => {
                self.say(&why, now);
                (Counter::NamesFailed, State::Nameless, expiry.min(FAILED_FOR))
            }
        };
        self.counters.add(counter, 1);
        let address = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        self.enter(address, state, now + good_for);
    }

    /// How many addresses are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    fn say(&mut self, why: &str, now: Instant) {
        if let Some(kept_back) = self.said.pass(now) {
            tracing::warn!(
                why,
                kept_back,
                "a name server cannot be asked: spans say addresses instead of names; see \
                 /etc/resolv.conf, or take dns out of name_resolver.sources"
            );
        }
    }

    fn enter(&mut self, address: Ipv6Addr, state: State, until: Instant) {
        let used = self.turn;
        if let Some(entry) = self.addresses.get_mut(&address) {
            *entry = Entry { state, until, used: entry.used };
            return;
        }
        if self.addresses.len() >= self.config.cache_len {
            self.forget();
        }
        self.addresses.insert(address, Entry { state, until, used });
    }

    /// Makes room for more than one, so that it is not done for each.
    fn forget(&mut self) {
        let mut ages: Vec<u64> = self.addresses.values().map(|entry| entry.used).collect();
        if ages.is_empty() {
            return;
        }
        let (older, oldest, _) = ages.select_nth_unstable(self.addresses.len() / FORGOTTEN);
        let oldest = *oldest;
        let mut of_these = 1 + older.iter().filter(|used| **used == oldest).count();
        self.addresses.retain(|_, entry| {
            let goes = entry.used < oldest || entry.used == oldest && of_these > 0;
            of_these -= usize::from(goes && entry.used == oldest);
            !goes
        });
    }
}
