//! Whether and when a Profile that failed is tried again: after twice as long each time, with jitter, each Profile on its own.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Whether trying again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Only a change of the Profile helps; it is looked at again when it changes (and at the resync).
    OnChange,
    /// It may go away by itself.
    WithBackoff,
    /// The API server said when.
    After(Duration),
}

impl Retry {
    /// Of two the one that decides: what can go away soonest, but not before the API server said.
    pub(crate) fn sooner(a: Self, b: Self) -> Self {
        match (a, b) {
            (Self::OnChange, other) | (other, Self::OnChange) => other,
            (Self::After(a), Self::After(b)) => Self::After(a.max(b)),
            (Self::After(after), Self::WithBackoff) | (Self::WithBackoff, Self::After(after)) => {
                Self::After(after)
            }
            (Self::WithBackoff, Self::WithBackoff) => Self::WithBackoff,
        }
    }
}

/// Counts the failures of each Profile since it last succeeded.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

impl Backoff {
    /// Counts a failure of a Profile; how long to wait before it is tried again.
    pub(crate) fn next(&self, profile: &str) -> Duration {
        let mut failures = self.failures.lock();
        let count = failures.entry(profile.to_owned()).or_default();
        let delay = FIRST.saturating_mul(1 << (*count).min(16)).min(LONGEST);
        *count = count.saturating_add(1);
        jittered(delay)
    }

    /// Forgets the failures of a Profile.
    pub(crate) fn reset(&self, profile: &str) {
        self.failures.lock().remove(profile);
    }
}

/// A duration between three quarters and five quarters of the given one, so that many do not come due at one moment.
pub(crate) fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_a_bound_and_starts_again_after_success() {
        let backoff = Backoff::default();
        let within = |delay: Duration, middle: Duration| {
            delay >= middle.mul_f64(0.75) && delay <= middle.mul_f64(1.25)
        };
        for exponent in 0..20 {
            let expected = FIRST.saturating_mul(1 << exponent).min(LONGEST);
            assert!(within(backoff.next("a"), expected), "after {exponent} failures");
        }
        assert!(within(backoff.next("b"), FIRST), "another Profile is not affected");
        backoff.reset("a");
        assert!(within(backoff.next("a"), FIRST));
    }
}
