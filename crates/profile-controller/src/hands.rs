//! What the steps for one Profile need of the world: what is known, and one act at a time on the cluster.
//!
//! The controller's hands are requests to the API server. Those of a rehearsal, from which `preflight` tells what would happen,
//! change a picture of the cluster in memory. The steps themselves are the same code for both.

use std::{future::Future, sync::Arc};

use kube::ResourceExt;
use profile_api::names::FINALIZER;
use profile_plugin::Registry;
use profile_render::{
    Manifest, ObjectKey, Observed, OwnedKind, PlatformConfig,
    plan::{Change, Precondition},
};
use serde_json::json;
use tracing::info;

use crate::{
    context::Context,
    operations::{Operation, Progress, Verb},
    profile::{Part, ReadProfile, WriteError},
    request::ApiError,
    stores::KindState,
};

/// What the steps for one Profile need.
pub(crate) trait Hands: Sync {
    /// The settings in force.
    fn config(&self) -> Arc<PlatformConfig>;

    /// The plugins.
    fn registry(&self) -> &Registry;

    /// The objects of a Profile that carry our label.
    fn known(&self, profile: &str) -> Vec<Arc<Observed>>;

    /// Whether a Profile with this UID exists.
    fn is_live(&self, uid: &str) -> bool;

    /// Whether the cluster serves a kind, as far as is known.
    fn is_served(&self, kind: OwnedKind) -> bool;

    /// How far an operation of a plugin is.
    fn progress(&self, profile: &ReadProfile, operation: &Operation) -> Progress;

    /// Reads an object, whether it carries our label or not.
    fn read(&self, key: &ObjectKey) -> impl Future<Output = Result<Option<Observed>, ApiError>> + Send;

    /// Makes one change; what is there afterwards.
    fn make(
        &self,
        desired: &Manifest,
        change: &Change,
    ) -> impl Future<Output = Result<Option<Arc<Observed>>, ApiError>> + Send;

    /// Deletes an object, if it is the one that was looked at.
    fn delete(
        &self,
        key: &ObjectKey,
        precondition: &Precondition,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Puts our finalizer on a Profile, or removes it; those of others stay.
    fn set_finalizer(
        &self,
        profile: &ReadProfile,
        wanted: bool,
    ) -> impl Future<Output = Result<(), WriteError>> + Send;
}

impl Hands for Context {
    fn config(&self) -> Arc<PlatformConfig> {
        self.config.borrow().clone()
    }

    fn registry(&self) -> &Registry {
        &self.operations.registry
    }

    fn known(&self, profile: &str) -> Vec<Arc<Observed>> {
        self.objects.of(profile)
    }

    fn is_live(&self, uid: &str) -> bool {
        self.profiles.is_live(uid)
    }

    fn is_served(&self, kind: OwnedKind) -> bool {
        self.objects.state(kind) != KindState::NotServed
    }

    /// A request that can be resolved at once is.
    fn progress(&self, profile: &ReadProfile, operation: &Operation) -> Progress {
        match operation.verb {
            Verb::Resolve => self.operations.resolve_now(profile, operation),
            Verb::Apply | Verb::Revoke => self.operations.progress(profile, operation),
        }
    }

    async fn read(&self, key: &ObjectKey) -> Result<Option<Observed>, ApiError> {
        self.read_object(key).await
    }

    async fn make(&self, desired: &Manifest, change: &Change) -> Result<Option<Arc<Observed>>, ApiError> {
        self.make_change(desired, change).await
    }

    async fn delete(&self, key: &ObjectKey, precondition: &Precondition) -> Result<(), ApiError> {
        self.delete_object(key, precondition).await
    }

    async fn set_finalizer(&self, profile: &ReadProfile, wanted: bool) -> Result<(), WriteError> {
        let others = profile.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER);
        let ours = wanted.then_some(FINALIZER);
        let finalizers: Vec<&str> = others.map(String::as_str).chain(ours).collect();
        let metadata = json!({ "finalizers": finalizers, "resourceVersion": profile.resource_version() });
        self.patch_profile(profile, Part::Metadata, json!({ "metadata": metadata })).await?;
        let done = if wanted { "added" } else { "removed" };
        info!(profile = profile.name_any(), "{done} finalizer {FINALIZER}");
        Ok(())
    }
}
