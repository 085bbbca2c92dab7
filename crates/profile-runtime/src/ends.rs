//! The ends of objects. The answer to a write may come after a watch has told that the object is gone; who does not remember
//! that would take the answer for news, and keep what is not there.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

use crate::resource_version::ResourceVersion;

/// How long an end is remembered: longer than the answer to any request may be on its way.
const REMEMBERED: Duration = Duration::from_secs(120);

/// What has ended lately.
pub struct Ends<Key> {
    ends: HashMap<Key, End>,
    forgotten: Instant,
}

struct End {
    version: ResourceVersion,
    at: Instant,
}

impl<Key> Default for Ends<Key> {
    fn default() -> Self {
        Self { ends: HashMap::new(), forgotten: Instant::now() }
    }
}

impl<Key: Eq + Hash> Ends<Key> {
    /// Notes that an object was gone at a resource version.
    pub fn note(&mut self, key: Key, version: ResourceVersion) {
        let now = Instant::now();
        // Now and then, so that thousands of ends do not look at thousands each time.
        if now.duration_since(self.forgotten) > REMEMBERED {
            self.ends.retain(|_, end| now.duration_since(end.at) < REMEMBERED);
            self.forgotten = now;
        }
        self.ends.insert(key, End { version, at: now });
    }

    /// Whether a state of an object is from before its end; not so that of a later object of the same key.
    pub fn cover(&self, key: &Key, version: ResourceVersion) -> bool {
        self.ends.get(key).is_some_and(|end| !version.is_newer(end.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_from_before_the_end_is_covered_and_a_successor_is_not() {
        let mut ends = Ends::default();
        ends.note("a", 7.into());
        assert!(ends.cover(&"a", 6.into()) && ends.cover(&"a", 7.into()));
        assert!(!ends.cover(&"a", 8.into()));
        assert!(!ends.cover(&"b", 6.into()));
    }

    #[test]
    fn an_old_end_is_forgotten_when_another_comes() {
        let mut ends = Ends::default();
        ends.note("a", 1.into());
        ends.note("b", 1.into());
        let long_ago = Instant::now().checked_sub(REMEMBERED * 2).unwrap();
        ends.forgotten = long_ago;
        ends.ends.get_mut("a").unwrap().at = long_ago;
        ends.note("c", 1.into());
        assert!(!ends.cover(&"a", 1.into()));
        assert!(ends.cover(&"b", 1.into()));
    }
}
