//! What is known of the cluster, in memory: Profiles, and the objects that carry our label.
//!
//! Watches fill it. Our own writes go into it at once, so that the next look sees them and nothing is written twice; an
//! older state that a watch delivers afterwards is passed over.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use kube::{
    ResourceExt,
    runtime::{
        reflector::{self, ObjectRef, Store},
        watcher::Event,
    },
};
use parking_lot::{Mutex, RwLock};
use profile_render::{ObjectKey, Observed, OwnedKind};
use tokio::sync::watch;

use crate::profile::ReadProfile;

/// All Profiles.
pub(crate) struct Profiles {
    filled: watch::Sender<bool>,
    writer: Mutex<reflector::store::Writer<ReadProfile>>,
    store: Store<ReadProfile>,
}

impl Profiles {
    pub(crate) fn new() -> Self {
        let (store, writer) = reflector::store();
        Self { filled: watch::Sender::new(false), writer: Mutex::new(writer), store }
    }

    /// The store to read from.
    pub(crate) fn store(&self) -> &Store<ReadProfile> {
        &self.store
    }

    /// The Profile of a name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<ReadProfile>> {
        self.store.get(&ObjectRef::new(name))
    }

    /// Whether every Profile has been listed.
    pub(crate) fn is_filled(&self) -> bool {
        *self.filled.borrow()
    }

    /// Waits until [`is_filled`](Self::is_filled).
    pub(crate) async fn filled(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.filled.subscribe().wait_for(|filled| *filled).await;
    }

    /// Whether a Profile with this UID exists.
    pub(crate) fn is_live(&self, uid: &str) -> bool {
        self.store.find(|profile| profile.uid().as_deref() == Some(uid)).is_some()
    }

    /// Takes in what a watch delivers; the names of the Profiles to look at.
    pub(crate) fn observe(&self, event: Event<ReadProfile>) -> Vec<String> {
        let mut writer = self.writer.lock();
        if let Event::Apply(profile) = &event
            && let Some(known) = self.store.get(&ObjectRef::from(profile))
            && known.uid() == profile.uid()
            && !is_newer(
                &profile.resource_version().unwrap_or_default(),
                &known.resource_version().unwrap_or_default(),
            )
        {
            return Vec::new();
        }
        writer.apply_watcher_event(&event);
        match event {
            Event::Apply(profile) => vec![profile.name_any()],
            Event::InitDone => {
                self.filled.send_replace(true);
                self.store.state().iter().map(|profile| profile.name_any()).collect()
            }
            Event::Delete(_) | Event::Init | Event::InitApply(_) => Vec::new(),
        }
    }

    /// Takes in the answer to one of our own writes.
    pub(crate) fn written(&self, profile: ReadProfile) {
        self.observe(Event::Apply(profile));
    }
}

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
    by_profile: RwLock<HashMap<String, Vec<Arc<Observed>>>>,
    kinds: watch::Sender<HashMap<OwnedKind, KindState>>,
}

impl Objects {
    pub(crate) fn new() -> Self {
        let filling = OwnedKind::ALL.map(|kind| (kind, KindState::Filling)).into();
        Self { by_profile: RwLock::default(), kinds: watch::Sender::new(filling) }
    }

    /// The objects of a Profile.
    pub(crate) fn of(&self, profile: &str) -> Vec<Arc<Observed>> {
        self.by_profile.read().get(profile).cloned().unwrap_or_default()
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

    /// Takes in the state of an object; whether it was news.
    pub(crate) fn insert(&self, object: Observed) -> bool {
        let mut by_profile = self.by_profile.write();
        let objects = by_profile.entry(object.key.profile.clone()).or_default();
        match objects.iter_mut().find(|known| known.key == object.key) {
            Some(known) if is_newer(&object.resource_version, &known.resource_version) => {
                *known = Arc::new(object)
            }
            Some(_) => return false,
            None => objects.push(Arc::new(object)),
        }
        true
    }

    /// Notes that an object is gone, or no longer carries our label; whether that was news. `resource_version` is that of
    /// its end: an object of the same name that was created since stays.
    pub(crate) fn remove(&self, key: &ObjectKey, resource_version: &str) -> bool {
        let mut by_profile = self.by_profile.write();
        let Some(objects) = by_profile.get_mut(&key.profile) else {
            return false;
        };
        let before = objects.len();
        objects.retain(|known| known.key != *key || is_newer(&known.resource_version, resource_version));
        let removed = objects.len() < before;
        if objects.is_empty() {
            by_profile.remove(&key.profile);
        }
        removed
    }

    /// Takes in a whole list of a kind; the Profiles for which something has changed.
    pub(crate) fn replace_kind(&self, kind: OwnedKind, listed: Vec<Observed>) -> HashSet<String> {
        let mut changed = HashSet::new();
        let present: HashSet<ObjectKey> = listed.iter().map(|object| object.key.clone()).collect();
        self.by_profile.write().retain(|profile, objects| {
            let before = objects.len();
            objects.retain(|known| known.key.kind != kind || present.contains(&known.key));
            if objects.len() < before {
                changed.insert(profile.clone());
            }
            !objects.is_empty()
        });
        for object in listed {
            let profile = object.key.profile.clone();
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

/// Resource versions of one kind are ordered as numbers. Where they are not numbers, what comes later counts as newer.
fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => version != than,
    }
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
    fn a_list_tells_which_profiles_have_changed() {
        let objects = Objects::new();
        for profile in ["same", "changed", "gone"] {
            objects.insert(binding(profile, "a", "1"));
        }
        let listed = vec![binding("same", "a", "1"), binding("changed", "a", "2"), binding("new", "a", "3")];
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
