//! The finalizer. A Profile has it while it has, or may have, grants outside the cluster, which have to be revoked before it
//! goes. Without grants it needs none: garbage collection deletes what the Profile owns. One that the Go controller has left is
//! honoured and removed.

use std::sync::Arc;

use kube::ResourceExt;
use tracing::warn;

use crate::{
    backoff::Retry,
    context::Context,
    grants::Decision,
    hands::Hands,
    outside::{Outside, look_at_last_grants},
    problem::Problem,
    profile::{ReadProfile, WriteError},
    reconcile::Outcome,
};

/// Puts the finalizer on a Profile before something is granted outside the cluster, so that it is there until that is revoked.
pub(crate) async fn add_finalizer(hands: &impl Hands, profile: &ReadProfile) -> Result<(), WriteError> {
    if profile.has_finalizer() {
        return Ok(());
    }
    hands.set_finalizer(profile, true).await
}

/// Removes the finalizer from a Profile that lives and has nothing outside the cluster. One of the Go controller stays where
/// that cannot be told, because the settings of a plugin cannot be used.
pub(crate) async fn drop_unneeded_finalizer(
    hands: &impl Hands,
    profile: &ReadProfile,
    outside: &Outside,
) -> Result<(), WriteError> {
    let has_grants = outside.decision.as_ref().is_none_or(|decision| {
        !decision.records.is_empty() || !decision.relevant.is_empty() || !profile.status.plugins.is_empty()
    });
    if profile.has_finalizer() && !has_grants && outside.plan.invalid.is_empty() {
        hands.set_finalizer(profile, false).await?;
    }
    Ok(())
}

/// Whether a Profile that is being deleted has nothing left outside the cluster, as far as is known.
pub(crate) fn may_go(decision: &Decision) -> bool {
    decision.records.is_empty() && decision.failures.is_empty() && decision.pending.is_empty()
}

impl Context {
    /// Goes on with the grants of a Profile that lives, now that they are recorded.
    pub(crate) async fn follow(
        self: &Arc<Self>,
        profile: &Arc<ReadProfile>,
        outside: &Outside,
        decision: &Decision,
    ) -> Option<Retry> {
        self.tell_abandoned(profile, &decision.abandoned).await;
        self.carry_on(profile, decision);
        if profile.status.plugins.is_empty() {
            return None;
        }
        // The last record has gone with the status that was written just now.
        let profile = self.profiles.get(&profile.name_any())?;
        match drop_unneeded_finalizer(self.as_ref(), &profile, outside).await {
            Err(error) if !error.is_gone() => {
                warn!("{error}");
                Some(Retry::WithBackoff)
            }
            _ => None,
        }
    }

    /// Lets go of a Profile that is being deleted, once what it has outside the cluster is revoked. Nothing in its namespace is
    /// touched: garbage collection deletes it.
    pub(crate) async fn release(self: &Arc<Self>, profile: &Arc<ReadProfile>) -> Option<Retry> {
        if !profile.has_finalizer() {
            return None;
        }
        let outside = look_at_last_grants(self.as_ref(), profile);
        let decision = outside.decision.as_ref()?;
        if may_go(decision) {
            return self.let_go(profile, &outside, decision).await;
        }
        if !decision.failures.is_empty() {
            let problem = outside.problem(self.registry()).map(Problem::Plugins);
            problem.iter().for_each(|problem| self.metrics.failed(problem));
            let outcome = Outcome::of_deletion(outside, problem);
            let unreported = self.report(profile, &outcome).await.err();
            if let Some(decision) = &outcome.outside.decision {
                self.tell_abandoned(profile, &decision.abandoned).await;
                self.carry_on(profile, decision);
            }
            return unreported;
        }
        self.carry_on(profile, decision);
        None
    }

    /// Nothing is left outside the cluster.
    async fn let_go(&self, profile: &ReadProfile, outside: &Outside, decision: &Decision) -> Option<Retry> {
        self.tell_abandoned(profile, &decision.abandoned).await;
        for invalid in &outside.plan.invalid {
            let note = format!(
                "what was granted for plugin {} before it was taken over cannot be told, because its settings cannot be used \
                 ({}): if there is anything, revoke it by hand",
                invalid.kind, invalid.field
            );
            warn!(profile = profile.name_any(), "{note}");
            self.events.warning(profile, "GrantsNotRevoked", &note).await;
        }
        match self.set_finalizer(profile, false).await {
            Err(error) if !error.is_gone() => {
                warn!("{error}");
                Some(Retry::WithBackoff)
            }
            _ => None,
        }
    }
}
