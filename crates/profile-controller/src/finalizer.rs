//! The finalizer of the Go controller. A Profile without grants outside the cluster needs none: garbage collection deletes
//! what the Profile owns. One that is there is honoured and removed.

use kube::ResourceExt;
use profile_api::names::FINALIZER;
use serde_json::json;
use tracing::{info, warn};

use crate::{
    backoff::Retry,
    context::Context,
    profile::{Part, ReadProfile, WriteError},
};

impl Context {
    /// Removes the finalizer from a Profile that lives and needs none. With plugins it stays: what the Go controller granted
    /// for them has to be seen when the Profile is deleted.
    pub(crate) async fn drop_unneeded_finalizer(&self, profile: &ReadProfile) -> Result<(), WriteError> {
        if profile.has_finalizer() && profile.plugins().is_empty() {
            self.remove_finalizer(profile).await?;
        }
        Ok(())
    }

    /// Lets go of a Profile that is being deleted. Nothing in its namespace is touched: garbage collection deletes it.
    pub(crate) async fn release(&self, profile: &ReadProfile) -> Option<Retry> {
        if !profile.has_finalizer() {
            return None;
        }
        if !profile.plugins().is_empty() {
            let kinds: Vec<_> = profile.plugins().iter().map(|plugin| plugin.kind.as_str()).collect();
            let note = format!(
                "what was granted outside the cluster for {} is not revoked: revoke it there by hand",
                kinds.join(", ")
            );
            warn!(profile = profile.name_any(), "{note}");
            self.events.warning(profile, "GrantsNotRevoked", &note).await;
        }
        match self.remove_finalizer(profile).await {
            Err(error) if !error.is_gone() => {
                warn!("{error}");
                Some(Retry::WithBackoff)
            }
            _ => None,
        }
    }

    async fn remove_finalizer(&self, profile: &ReadProfile) -> Result<(), WriteError> {
        let others: Vec<_> =
            profile.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).collect();
        let metadata = json!({ "finalizers": others, "resourceVersion": profile.resource_version() });
        self.patch_profile(profile, Part::Metadata, json!({ "metadata": metadata })).await?;
        info!(profile = profile.name_any(), "removed finalizer {FINALIZER}");
        Ok(())
    }
}
