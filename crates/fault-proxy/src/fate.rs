//! What happens to a request. A pure function of the seed and the request.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// How much goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Decides what goes wrong.
    pub seed: u64,
    /// Which share of the requests goes wrong, from 0 to 1.
    pub share: f64,
    /// How many requests go wrong at the most.
    pub most: usize,
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
#[derive(Debug)]
pub(crate) struct Oracle {
    faults: Faults,
    asked: HashMap<String, u32>,
    spent: usize,
    healed: bool,
}

impl Oracle {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { faults, asked: HashMap::new(), spent: 0, healed: false }
    }

    /// From now on everything passes.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
    }

    /// How many requests went wrong so far.
    pub(crate) fn spent(&self) -> usize {
        self.spent
    }

    /// What happens to the next request for `what` (its method and path).
    pub(crate) fn decide(&mut self, what: &str, is_write: bool, is_watch: bool) -> Fate {
        let occurrence = self.asked.entry(what.to_owned()).or_default();
        *occurrence += 1;
        if self.healed || self.spent >= self.faults.most {
            return Fate::Pass;
        }
        let mut hasher = DefaultHasher::new();
        (self.faults.seed, what, *occurrence).hash(&mut hasher);
        let mut random = fastrand::Rng::with_seed(hasher.finish());
        if random.f64() >= self.faults.share {
            return Fate::Pass;
        }
        self.spent += 1;
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

    fn fates(seed: u64) -> Vec<Fate> {
        let mut oracle = Oracle::new(Faults { seed, share: 0.5, most: 100 });
        (0..50).map(|_| oracle.decide("POST /api/v1/namespaces", true, false)).collect()
    }

    #[test]
    fn a_seed_always_decides_the_same() {
        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
    }

    #[test]
    fn another_request_in_between_changes_nothing() {
        let mut alone = Oracle::new(Faults { seed: 3, share: 0.5, most: 100 });
        let mut beside = Oracle::new(Faults { seed: 3, share: 0.5, most: 100 });
        for _ in 0..20 {
            beside.decide("GET /other", false, false);
            assert_eq!(alone.decide("PUT /x", true, false), beside.decide("PUT /x", true, false));
        }
    }

    #[test]
    fn faults_end_when_they_are_spent_or_healed() {
        let mut oracle = Oracle::new(Faults { seed: 1, share: 1.0, most: 2 });
        let fates: Vec<_> = (0..4).map(|_| oracle.decide("POST /x", true, false) == Fate::Pass).collect();
        assert_eq!(fates, [false, false, true, true]);
        let mut oracle = Oracle::new(Faults { seed: 1, share: 1.0, most: 9 });
        oracle.heal();
        assert_eq!(oracle.decide("POST /x", true, false), Fate::Pass);
        assert_eq!(oracle.spent(), 0);
    }
}
