//! All Profiles.

use std::sync::Arc;

use kube::{
    ResourceExt,
    runtime::{
        reflector::{self, ObjectRef, Store},
        watcher::Event,
    },
};
use parking_lot::Mutex;
use profile_runtime::resource_version::ResourceVersion;
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
            && !ResourceVersion::of(profile).is_newer(ResourceVersion::of(&*known))
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

    /// Takes in the answer to one of our own writes. A Profile that is not known any more has ended in the meantime.
    pub(crate) fn written(&self, profile: ReadProfile) {
        if self.get(&profile.name_any()).is_some_and(|known| known.uid() == profile.uid()) {
            self.observe(Event::Apply(profile));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_to_a_write_does_not_bring_a_deleted_profile_back() {
        let profile: ReadProfile = serde_json::from_value(json!({
            "metadata": { "name": "p", "uid": "u", "resourceVersion": "1" },
            "spec": { "owner": { "kind": "User", "name": "a" } },
        }))
        .unwrap();
        let profiles = Profiles::new();
        profiles.observe(Event::Apply(profile.clone()));
        profiles.written(profile.clone());
        assert!(profiles.is_live("u"));
        profiles.observe(Event::Delete(profile.clone()));
        profiles.written(profile);
        assert!(!profiles.is_live("u"));
    }
}
