//! The objects that carry our label, by Profile.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::RwLock;
use profile_render::{ObjectKey, Observed, OwnedKind};
use profile_runtime::{ends::Ends, resource_version::ResourceVersion};
use tokio::sync::watch;

use crate::packed::Packed;

/// How far the watch of a kind has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KindState {
    /// The first list is not complete.
    Filling,
    /// The store has what there is.
    Filled,
    /// The API server does not know the kind.
    NotServed,
}

/// The objects that carry our label, by Profile.
pub(crate) struct Objects {
    known: RwLock<Known>,
    kinds: watch::Sender<HashMap<OwnedKind, KindState>>,
}

#[derive(Default)]
struct Known {
    by_profile: HashMap<String, Vec<Packed>>,
    ends: Ends<ObjectKey>,
    /// How often each kind was listed.
    lists: HashMap<OwnedKind, u64>,
}

/// A moment before a request, so that its answer can be told from news.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    lists: u64,
}

impl Objects {
    pub(crate) fn new() -> Self {
        let filling = OwnedKind::ALL.map(|kind| (kind, KindState::Filling)).into();
        Self { known: RwLock::default(), kinds: watch::Sender::new(filling) }
    }

    /// The objects of a Profile.
    pub(crate) fn of(&self, profile: &str) -> Vec<Arc<Observed>> {
        let known = self.known.read();
        known.by_profile.get(profile).into_iter().flatten().filter_map(Packed::unpack).map(Arc::new).collect()
    }

    /// How far the watch of a kind has come.
    pub(crate) fn state(&self, kind: OwnedKind) -> KindState {
        self.kinds.borrow().get(&kind).copied().unwrap_or(KindState::Filling)
    }

    /// Notes how far the watch of a kind has come; whether that is news.
    pub(crate) fn set_state(&self, kind: OwnedKind, state: KindState) -> bool {
        self.kinds.send_if_modified(|kinds| kinds.insert(kind, state) != Some(state))
    }

    /// Whether every kind has been listed, or is known not to be served.
    pub(crate) fn is_filled(&self) -> bool {
        all_filled(&self.kinds.borrow())
    }

    /// Waits until [`is_filled`](Self::is_filled).
    pub(crate) async fn filled(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.kinds.subscribe().wait_for(all_filled).await;
    }

    /// The moment before a request about an object of a kind.
    pub(crate) fn moment(&self, kind: OwnedKind) -> Moment {
        Moment { lists: self.known.read().lists.get(&kind).copied().unwrap_or_default() }
    }

    /// Takes in the answer to one of our own writes, asked for at a moment. If everything was listed since, the list knows
    /// better: the object may have ended in between.
    pub(crate) fn insert_written(&self, object: Observed, asked: Moment) {
        let mut known = self.known.write();
        if known.lists.get(&object.key.kind).copied().unwrap_or_default() == asked.lists {
            known.insert(Packed::new(&object));
        }
    }

    /// Takes in the state of an object; whether it was news.
    pub(crate) fn insert(&self, object: Observed) -> bool {
        self.known.write().insert(Packed::new(&object))
    }

    /// Notes that an object is gone, or no longer carries our label; whether that was news. `resource_version` is that of
    /// its end: an object of the same name that was created since stays.
    pub(crate) fn remove(&self, key: &ObjectKey, resource_version: &str) -> bool {
        self.known.write().remove(key, resource_version.into())
    }

    /// Takes in a whole list of a kind; the Profiles for which something has changed.
    pub(crate) fn replace_kind(&self, kind: OwnedKind, listed: Vec<Packed>) -> HashSet<String> {
        self.known.write().replace_kind(kind, listed)
    }
}

impl Known {
    fn insert(&mut self, object: Packed) -> bool {
        let key = object.key();
        if self.ends.cover(key, object.resource_version()) {
            return false;
        }
        let objects = self.by_profile.entry(key.profile.clone()).or_default();
        match objects.iter_mut().find(|known| known.key() == key) {
            Some(known) if object.resource_version().is_newer(known.resource_version()) => *known = object,
            Some(_) => return false,
            None => objects.push(object),
        }
        true
    }

    fn remove(&mut self, key: &ObjectKey, resource_version: ResourceVersion) -> bool {
        self.ends.note(key.clone(), resource_version);
        let Some(objects) = self.by_profile.get_mut(&key.profile) else {
            return false;
        };
        let before = objects.len();
        objects.retain(|known| known.key() != key || known.resource_version().is_newer(resource_version));
        let removed = objects.len() < before;
        if objects.is_empty() {
            self.by_profile.remove(&key.profile);
        }
        removed
    }

    fn replace_kind(&mut self, kind: OwnedKind, listed: Vec<Packed>) -> HashSet<String> {
        *self.lists.entry(kind).or_default() += 1;
        let mut changed = HashSet::new();
        let present: HashSet<&ObjectKey> = listed.iter().map(Packed::key).collect();
        self.by_profile.retain(|profile, objects| {
            let before = objects.len();
            objects.retain(|known| known.key().kind != kind || present.contains(known.key()));
            if objects.len() < before {
                changed.insert(profile.clone());
            }
            !objects.is_empty()
        });
        for object in listed {
            let profile = object.key().profile.clone();
            if self.insert(object) {
                changed.insert(profile);
            }
        }
        changed
    }
}

fn all_filled(kinds: &HashMap<OwnedKind, KindState>) -> bool {
    kinds.values().all(|state| *state != KindState::Filling)
}

#[cfg(test)]
mod tests {
    use kube::core::DynamicObject;
    use serde_json::json;

    use super::*;

    fn binding(profile: &str, name: &str, resource_version: &str) -> Observed {
        let object: DynamicObject = serde_json::from_value(json!({
            "metadata": { "namespace": profile, "name": name, "uid": "u", "resourceVersion": resource_version },
        }))
        .unwrap();
        Observed::new(OwnedKind::RoleBinding, object)
    }

    fn versions(objects: &Objects, profile: &str) -> Vec<String> {
        objects.of(profile).iter().map(|object| object.resource_version.clone()).collect()
    }

    #[test]
    fn an_older_state_than_our_own_write_is_passed_over() {
        let objects = Objects::new();
        assert!(objects.insert(binding("p", "a", "10")));
        assert!(!objects.insert(binding("p", "a", "9")));
        assert!(!objects.insert(binding("p", "a", "10")));
        assert!(objects.insert(binding("p", "a", "11")));
        assert_eq!(versions(&objects, "p"), ["11"]);
    }

    #[test]
    fn the_end_of_an_older_object_does_not_remove_its_successor() {
        let objects = Objects::new();
        objects.insert(binding("p", "a", "20"));
        assert!(!objects.remove(&binding("p", "a", "").key, "15"));
        assert_eq!(versions(&objects, "p"), ["20"]);
        assert!(objects.remove(&binding("p", "a", "").key, "21"));
        assert!(objects.of("p").is_empty());
    }

    #[test]
    fn an_answer_that_comes_after_the_end_of_its_object_brings_no_ghost_back() {
        let objects = Objects::new();
        let asked = objects.moment(OwnedKind::RoleBinding);
        assert!(!objects.remove(&binding("p", "a", "").key, "12"));
        objects.insert_written(binding("p", "a", "10"), asked);
        assert!(objects.of("p").is_empty());
        objects.insert_written(binding("p", "a", "13"), asked);
        assert_eq!(versions(&objects, "p"), ["13"], "its successor is known");
    }

    #[test]
    fn an_answer_that_comes_after_a_list_brings_no_ghost_back() {
        let objects = Objects::new();
        let asked = objects.moment(OwnedKind::RoleBinding);
        objects.replace_kind(OwnedKind::RoleBinding, Vec::new());
        objects.insert_written(binding("p", "a", "10"), asked);
        assert!(objects.of("p").is_empty());
        let asked = objects.moment(OwnedKind::RoleBinding);
        objects.insert_written(binding("p", "a", "11"), asked);
        assert_eq!(versions(&objects, "p"), ["11"]);
    }

    #[test]
    fn a_list_tells_which_profiles_have_changed() {
        let objects = Objects::new();
        for profile in ["same", "changed", "gone"] {
            objects.insert(binding(profile, "a", "1"));
        }
        let listed = [binding("same", "a", "1"), binding("changed", "a", "2"), binding("new", "a", "3")];
        let listed = listed.iter().map(Packed::new).collect();
        let changed = objects.replace_kind(OwnedKind::RoleBinding, listed);
        assert_eq!(changed, ["changed", "gone", "new"].map(str::to_owned).into());
        assert!(objects.of("gone").is_empty());
    }

    #[tokio::test]
    async fn the_store_is_filled_when_every_kind_is_listed_or_not_served() {
        let objects = Objects::new();
        for kind in OwnedKind::ALL {
            assert!(!objects.is_filled());
            let istio = kind == OwnedKind::AuthorizationPolicy;
            assert!(objects.set_state(kind, if istio { KindState::NotServed } else { KindState::Filled }));
        }
        objects.filled().await;
        assert!(!objects.set_state(OwnedKind::Namespace, KindState::Filled), "no news");
    }
}
