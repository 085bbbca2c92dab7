//! What happens to a request. A pure function of the seed and the request.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// How much goes wrong. Each seed is a story of its own, and many are told at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Which share of the requests goes wrong, from 0 to 1.
    pub share: f64,
    /// How many requests go wrong at the most, for each seed.
    pub most: usize,
    /// The seed that decides over requests about an object of this name, or in a namespace of this name.
    pub seed_of: fn(&str) -> Option<u64>,
    /// The seed that decides over what is about no such object: lists and watches.
    pub seed_of_others: u64,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out and answered.
    Pass,
    /// It is not carried out; the answer is 503.
    Refused,
    /// It is not carried out; the connection is closed without an answer.
    Lost,
    /// It is carried out; the connection is closed without an answer.
    AnswerLost,
    /// It is not carried out; the answer is 409 with reason Conflict.
    Conflict,
    /// It is not carried out; the answer is 429 with Retry-After: 1.
    Throttled,
    /// It is carried out; the answer is not JSON.
    Garbled,
    /// A watch: it is told that its resource version is too old (410).
    Expired,
    /// A watch: the connection is closed after a while.
    Cut,
    /// A watch: every event comes late.
    Late(Duration),
}

/// Decides over one request after the other.
pub(crate) struct Oracle {
    decide: Decide,
    healed: bool,
}

enum Decide {
    BySeed(BySeed),
    ByScript(Box<dyn FnMut(&str) -> Fate + Send>),
}

struct BySeed {
    faults: Faults,
    asked: HashMap<String, u32>,
    spent: HashMap<u64, usize>,
}

impl Oracle {
    pub(crate) fn new(faults: Faults) -> Self {
        let by_seed = BySeed { faults, asked: HashMap::new(), spent: HashMap::new() };
        Self { decide: Decide::BySeed(by_seed), healed: false }
    }

    pub(crate) fn scripted(script: impl FnMut(&str) -> Fate + Send + 'static) -> Self {
        Self { decide: Decide::ByScript(Box::new(script)), healed: false }
    }

    /// From now on everything passes.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
    }

    /// How many requests went wrong so far for a seed.
    pub(crate) fn spent(&self, seed: u64) -> usize {
        match &self.decide {
            Decide::BySeed(by_seed) => by_seed.spent.get(&seed).copied().unwrap_or_default(),
            Decide::ByScript(_) => 0,
        }
    }

    /// What happens to the next request for `what` (its method and path), which is about an object or namespace `subject`.
    pub(crate) fn decide(&mut self, what: &str, subject: &str, is_write: bool, is_watch: bool) -> Fate {
        match &mut self.decide {
            _ if self.healed => Fate::Pass,
            Decide::BySeed(by_seed) => by_seed.decide(what, subject, is_write, is_watch),
            Decide::ByScript(script) => script(what),
        }
    }
}

impl BySeed {
    fn decide(&mut self, what: &str, subject: &str, is_write: bool, is_watch: bool) -> Fate {
        let seed = (self.faults.seed_of)(subject).unwrap_or(self.faults.seed_of_others);
        let occurrence = self.asked.entry(format!("{what} {subject}")).or_default();
        *occurrence += 1;
        let spent = self.spent.entry(seed).or_default();
        if *spent >= self.faults.most {
            return Fate::Pass;
        }
        let mut hasher = DefaultHasher::new();
        (seed, what, subject, *occurrence).hash(&mut hasher);
        let mut random = fastrand::Rng::with_seed(hasher.finish());
        if random.f64() >= self.faults.share {
            return Fate::Pass;
        }
        *spent += 1;
        let fates: &[Fate] = match (is_watch, is_write) {
            (true, _) => {
                &[Fate::Refused, Fate::Lost, Fate::Expired, Fate::Cut, Fate::Late(Duration::from_millis(50))]
            }
            (false, true) => {
                &[Fate::Refused, Fate::Lost, Fate::AnswerLost, Fate::Conflict, Fate::Throttled, Fate::Garbled]
            }
            (false, false) => &[Fate::Refused, Fate::Lost, Fate::Throttled, Fate::Garbled],
        };
        fates[random.usize(..fates.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(share: f64, most: usize) -> Faults {
        Faults { share, most, seed_of: |name| name.parse().ok(), seed_of_others: 0 }
    }

    fn fates(seed: u64) -> Vec<Fate> {
        let mut oracle = Oracle::new(faults(0.5, 100));
        (0..50).map(|_| oracle.decide("POST /api/v1/namespaces", &seed.to_string(), true, false)).collect()
    }

    #[test]
    fn a_seed_always_decides_the_same() {
        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
    }

    #[test]
    fn another_request_in_between_changes_nothing() {
        let mut alone = Oracle::new(faults(0.5, 100));
        let mut beside = Oracle::new(faults(0.5, 100));
        for _ in 0..20 {
            beside.decide("GET /other", "3", false, false);
            beside.decide("PUT /x", "4", true, false);
            assert_eq!(alone.decide("PUT /x", "3", true, false), beside.decide("PUT /x", "3", true, false));
        }
    }

    #[test]
    fn faults_end_when_those_of_the_seed_are_spent_or_all_are_healed() {
        let mut oracle = Oracle::new(faults(1.0, 2));
        let mut passes = |subject: &str| oracle.decide("POST /x", subject, true, false) == Fate::Pass;
        assert_eq!([(); 4].map(|()| passes("1")), [false, false, true, true]);
        assert!(!passes("2"), "another seed has faults of its own");
        assert!(!passes("nobody"), "so has what belongs to no seed");
        assert_eq!([0, 1, 2, 3].map(|seed| oracle.spent(seed)), [1, 2, 1, 0]);
        oracle.heal();
        assert_eq!(oracle.decide("POST /x", "2", true, false), Fate::Pass);
    }
}
