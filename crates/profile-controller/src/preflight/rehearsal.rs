//! Hands that write into a picture of the cluster: the controller's own steps, without the cluster.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use profile_api::names::PROFILE_LABEL;
use profile_plugin::Registry;
use profile_render::{
    Manifest, ObjectKey, Observed, OwnedKind, PlatformConfig, foresight,
    plan::{Change, Precondition},
};

use crate::{
    hands::Hands,
    operations::{Operation, Progress},
    preflight::picture::Picture,
    profile::{ReadProfile, WriteError},
    request::ApiError,
};

/// What would be made of one Profile.
pub(super) struct Rehearsal<'a> {
    picture: &'a Picture,
    config: Arc<PlatformConfig>,
    registry: &'a Registry,
    /// The objects that were written, as they are then.
    written: Mutex<BTreeMap<ObjectKey, Option<Arc<Observed>>>>,
    finalizer: Mutex<Option<bool>>,
}

/// An object that was written: as it is now, and as it would be.
pub(super) struct Rehearsed {
    pub(super) key: ObjectKey,
    pub(super) before: Option<Arc<Observed>>,
    pub(super) after: Option<Arc<Observed>>,
}

impl<'a> Rehearsal<'a> {
    pub(super) fn new(picture: &'a Picture, config: &Arc<PlatformConfig>, registry: &'a Registry) -> Self {
        Self {
            picture,
            config: config.clone(),
            registry,
            written: Mutex::default(),
            finalizer: Mutex::default(),
        }
    }

    /// The objects that were written.
    pub(super) fn written(&self) -> Vec<Rehearsed> {
        let written = self.written.lock();
        let rehearsed = written.iter().map(|(key, after)| Rehearsed {
            key: key.clone(),
            before: self.picture.object(key).cloned(),
            after: after.clone(),
        });
        rehearsed.collect()
    }

    /// Whether the finalizer was set or removed, if either.
    pub(super) fn finalizer(&self) -> Option<bool> {
        *self.finalizer.lock()
    }

    fn current(&self, key: &ObjectKey) -> Option<Arc<Observed>> {
        let written = self.written.lock().get(key).cloned();
        written.unwrap_or_else(|| self.picture.object(key).cloned())
    }

    fn write(&self, key: &ObjectKey, object: Option<Arc<Observed>>) {
        self.written.lock().insert(key.clone(), object);
    }
}

impl Hands for Rehearsal<'_> {
    fn config(&self) -> Arc<PlatformConfig> {
        self.config.clone()
    }

    fn registry(&self) -> &Registry {
        self.registry
    }

    fn known(&self, profile: &str) -> Vec<Arc<Observed>> {
        let objects = self.picture.of(profile).iter();
        objects.filter(|object| object.labels.contains_key(PROFILE_LABEL)).cloned().collect()
    }

    fn is_live(&self, uid: &str) -> bool {
        self.picture.is_live(uid)
    }

    fn is_served(&self, kind: OwnedKind) -> bool {
        self.picture.serves(kind)
    }

    /// No cloud is asked for anything.
    fn progress(&self, _: &ReadProfile, _: &Operation) -> Progress {
        Progress::New
    }

    async fn read(&self, key: &ObjectKey) -> Result<Option<Observed>, ApiError> {
        Ok(self.current(key).as_deref().cloned())
    }

    async fn make(&self, desired: &Manifest, change: &Change) -> Result<Option<Arc<Observed>>, ApiError> {
        // The controller may not know of an object without our label; it looks when creating it fails.
        let current = self.current(&desired.key);
        if let (Change::Create, Some(current)) = (change, &current) {
            return Ok(Some(current.clone()));
        }
        let after = foresight::after(desired, change, current.as_deref()).map(Arc::new);
        self.write(&desired.key, after.clone());
        Ok(after)
    }

    async fn delete(&self, key: &ObjectKey, _: &Precondition) -> Result<(), ApiError> {
        self.write(key, None);
        Ok(())
    }

    async fn set_finalizer(&self, _: &ReadProfile, wanted: bool) -> Result<(), WriteError> {
        *self.finalizer.lock() = Some(wanted);
        Ok(())
    }
}
