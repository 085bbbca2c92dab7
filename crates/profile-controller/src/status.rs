//! Says how a reconcile went: in the status, as Events, in the log. What is as it was is not written again.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use profile_api::{CONDITION_FALSE, CONDITION_TRUE, ProfileCondition, ProfileStatus};
use profile_plugin::Registry;
use profile_render::{OwnedKind, mesh::BrowserAccess, plan::Change};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::{
    apply::Written,
    backoff::Retry,
    context::Context,
    hands::Hands,
    problem::Problem,
    profile::{Part, ReadProfile},
    reconcile::Outcome,
};

/// Reason of `Ready` when it is true.
const RECONCILED: &str = "Reconciled";

impl Context {
    /// Reports how a reconcile went.
    ///
    /// # Errors
    /// With when to try again, if the status could not be written.
    pub(crate) async fn report(&self, profile: &ReadProfile, outcome: &Outcome) -> Result<(), Retry> {
        let status = compose(self.registry(), outcome, profile, Timestamp::now());
        self.tell_changes(profile, outcome).await;
        if status == profile.status {
            return Ok(());
        }
        let mut body = json!({ "metadata": { "uid": profile.uid() }, "status": status });
        if status.plugins.is_empty() && !profile.status.plugins.is_empty() {
            // A merge patch removes only what it names.
            body["status"]["plugins"] = Value::Null;
        }
        match self.patch_profile(profile, Part::Status, body).await {
            Ok(()) => {}
            Err(error) if error.is_gone() => return Ok(()),
            Err(error) => {
                warn!("{error}");
                return Err(Retry::WithBackoff);
            }
        }
        self.tell_readiness(profile, &status, outcome).await;
        Ok(())
    }

    /// Events for what was changed on a Profile that had been dealt with before: drift that was repaired, an owner that was
    /// changed. The first time the status tells the story, and labels are too many to tell of.
    async fn tell_changes(&self, profile: &ReadProfile, outcome: &Outcome) {
        if profile.status.observed_generation.is_none() {
            return;
        }
        let told = outcome.writes.iter().filter(|written| !matches!(written.change, Change::Label(_)));
        let changes: Vec<String> = told.map(Written::to_string).collect();
        if !changes.is_empty() {
            self.events.normal(profile, "Updated", &changes.join("; ")).await;
        }
    }

    async fn tell_readiness(&self, profile: &ReadProfile, status: &ProfileStatus, outcome: &Outcome) {
        let ready =
            |status: &ProfileStatus| status.condition(ProfileCondition::READY).cloned().unwrap_or_default();
        let (before, now) = (ready(&profile.status), ready(status));
        if before.reason == now.reason && before.message == now.message {
            return;
        }
        let name = profile.name_any();
        if now.is_true() {
            info!(profile = name, "ready");
            if profile.status.observed_generation.is_some() {
                self.events.normal(profile, &now.reason, &now.message).await;
            }
        } else if outcome.problem.as_ref().is_none_or(|problem| !problem.is_pending()) {
            warn!(profile = name, reason = now.reason, "not ready: {}", now.message);
            self.events.warning(profile, &now.reason, &now.message).await;
        }
    }
}

/// The status after a reconcile, with the times of the conditions that have not changed since.
pub(crate) fn compose(
    registry: &Registry,
    outcome: &Outcome,
    profile: &ReadProfile,
    now: Timestamp,
) -> ProfileStatus {
    let generation = profile.metadata.generation;
    // The API server keeps whole seconds.
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let mut conditions = conditions(outcome, &profile.name_any());
    conditions.extend(outcome.outside.conditions(registry));
    for condition in &mut conditions {
        let before =
            profile.status.condition(&condition.type_).filter(|before| before.status == condition.status);
        let since = before.and_then(|before| before.last_transition_time.clone());
        condition.last_transition_time = Some(since.unwrap_or_else(|| now.clone()));
        condition.observed_generation = generation;
    }
    let plugins = outcome.outside.records(&profile.status.plugins);
    ProfileStatus { conditions, observed_generation: generation, plugins }
}

/// What is not known, because it was not come to, is left out.
fn conditions(outcome: &Outcome, name: &str) -> Vec<ProfileCondition> {
    let Some(problem) = &outcome.problem else {
        let browser = outcome.browser_access.map(browser_access);
        let closed = browser.as_ref().is_some_and(|condition| !condition.is_true());
        let but = if closed { "; browser access is not granted, see condition BrowserAccess" } else { "" };
        let message =
            format!("namespace {name} and everything in it that the Profile asks for is in place{but}");
        let ready = condition(ProfileCondition::READY, true, RECONCILED, message);
        return [ready].into_iter().chain(in_place(outcome)).collect();
    };
    let (reason, message) = (problem.reason(), problem.to_string());
    if let Problem::Plugins(_) = problem {
        return [condition(ProfileCondition::READY, false, reason, message)]
            .into_iter()
            .chain(in_place(outcome))
            .collect();
    }
    let failed = |type_: &str| condition(type_, false, reason, message.clone());
    let mut conditions = vec![failed(ProfileCondition::READY)];
    match problem {
        Problem::Undecodable(_)
        | Problem::Refused(_)
        | Problem::Profile(_)
        | Problem::Plugins(_)
        | Problem::Internal(_) => {}
        Problem::NotOwned { .. } | Problem::NamespaceTerminating(_) | Problem::Namespace(_) => {
            conditions.push(failed(ProfileCondition::NAMESPACE_READY));
        }
        Problem::Objects(problems) => {
            let concerns = |kind| problems.iter().any(|problem| problem.kind() == kind);
            if concerns(OwnedKind::Namespace) {
                conditions.push(failed(ProfileCondition::NAMESPACE_READY));
                return conditions;
            }
            let owned = "the namespace belongs to the Profile";
            conditions.push(condition(ProfileCondition::NAMESPACE_READY, true, "Owned", owned));
            conditions.push(failed(ProfileCondition::OBJECTS_READY));
            let policy = concerns(OwnedKind::AuthorizationPolicy);
            conditions.extend(match outcome.browser_access {
                _ if policy => Some(failed(ProfileCondition::BROWSER_ACCESS)),
                access => access.map(browser_access),
            });
        }
    }
    conditions
}

/// Everything in the cluster is in place.
fn in_place(outcome: &Outcome) -> impl Iterator<Item = ProfileCondition> + use<> {
    let owned = "the namespace belongs to the Profile";
    let objects = "every object is as it should be";
    [
        condition(ProfileCondition::NAMESPACE_READY, true, "Owned", owned),
        condition(ProfileCondition::OBJECTS_READY, true, "InPlace", objects),
    ]
    .into_iter()
    .chain(outcome.browser_access.map(browser_access))
}

fn browser_access(access: BrowserAccess) -> ProfileCondition {
    let (granted, reason, message) = match access {
        BrowserAccess::ByUserHeader => (true, "UserHeader", "the owner is recognised by the userid header"),
        BrowserAccess::ByGroupsClaim => {
            (true, "GroupsClaim", "the owner is recognised by the groups in the request's token")
        }
        BrowserAccess::ByPrincipal => {
            (true, "Principal", "the owner is a ServiceAccount, recognised by its mesh identity")
        }
        BrowserAccess::NotForGroups => (
            false,
            "GroupsClaimNotSet",
            "the owner is a group, and the controller was not told which claim of a request's token lists the user's \
             groups (flag --groups-claim): members have access by kubectl only",
        ),
    };
    condition(ProfileCondition::BROWSER_ACCESS, granted, reason, message)
}

fn condition(type_: &str, holds: bool, reason: &str, message: impl Into<String>) -> ProfileCondition {
    ProfileCondition {
        type_: type_.to_owned(),
        status: if holds { CONDITION_TRUE } else { CONDITION_FALSE }.to_owned(),
        reason: reason.to_owned(),
        message: message.into(),
        ..ProfileCondition::default()
    }
}
