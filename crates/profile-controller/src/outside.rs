//! What the plugins of a Profile grant outside the cluster, from a reconcile's point of view: looks at how far it is, records it,
//! has the next operations started. Nothing here waits for a cloud.

use std::sync::Arc;

use kube::ResourceExt;
use profile_api::{
    CONDITION_FALSE, CONDITION_TRUE, GrantRecord, GrantState, ProfileCondition,
    names::ABANDON_GRANTS_ANNOTATION,
};
use profile_plugin::{Cause, Plan, Registry, Request};
use tracing::warn;

use crate::{
    context::Context,
    grants::{Decision, Facts, Failure, decide},
    hands::Hands,
    operations::{Operation, Verb},
    problem::{PluginProblem, Problem},
    profile::ReadProfile,
};

/// Reasons of the condition while nothing has gone wrong.
const GRANTED: &str = "Granted";
const GRANTING: &str = "Granting";
const REVOKING: &str = "Revoking";
/// Reason for a plugin whose settings cannot be used.
const INVALID: &str = "InvalidPluginSpec";
/// Reason for a plugin that the controller does not know.
const UNKNOWN: &str = "UnknownPlugin";

/// What a reconcile knows of the plugins of a Profile.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) plan: Plan,
    /// What follows; nothing is decided for a Profile whose namespace is not its own.
    pub(crate) decision: Option<Decision>,
}

impl Outside {
    /// The records as they should be, given how they are.
    pub(crate) fn records(&self, current: &[GrantRecord]) -> Vec<GrantRecord> {
        self.decision.as_ref().map_or_else(|| current.to_vec(), |decision| decision.records.clone())
    }

    /// Why the Profile is not ready, if that is so for its plugins.
    pub(crate) fn problem(&self, registry: &Registry) -> Option<PluginProblem> {
        let decision = self.decision.as_ref()?;
        let invalid = self.plan.invalid.iter().map(|invalid| {
            let field = &invalid.field;
            (INVALID, format!("plugin {}: {field}", invalid.kind))
        });
        let failed = decision
            .failures
            .iter()
            .map(|failure| (failure.error.cause.reason(), tell_failure(failure, registry)));
        let wrong: Vec<_> = invalid.chain(failed).collect();
        if let Some((reason, _)) = wrong.first() {
            let messages: Vec<_> = wrong.iter().map(|(_, message)| message.as_str()).collect();
            return Some(PluginProblem { reason, message: messages.join("; "), is_pending: false });
        }
        let reason = match decision.pending.first()?.verb {
            Verb::Resolve | Verb::Apply => GRANTING,
            Verb::Revoke => REVOKING,
        };
        let pending: Vec<_> = decision.pending.iter().map(|operation| tell(operation, registry)).collect();
        let message = format!("waiting for plugins outside the cluster: {}", pending.join("; "));
        Some(PluginProblem { reason, message, is_pending: true })
    }

    /// The conditions about plugins. What is not known is left out.
    pub(crate) fn conditions(&self, registry: &Registry) -> Vec<ProfileCondition> {
        let condition = |type_: &str, holds: bool, reason: &str, message: String| ProfileCondition {
            type_: type_.to_owned(),
            status: if holds { CONDITION_TRUE } else { CONDITION_FALSE }.to_owned(),
            reason: reason.to_owned(),
            message,
            ..ProfileCondition::default()
        };
        let mut conditions = Vec::new();
        if let Some(problem) = self.problem(registry) {
            let PluginProblem { reason, message, .. } = problem;
            conditions.push(condition(ProfileCondition::PLUGINS_READY, false, reason, message));
        } else if self.decision.is_some() && !self.plan.is_empty() {
            let message = "what the plugins grant outside the cluster is in place".to_owned();
            conditions.push(condition(ProfileCondition::PLUGINS_READY, true, GRANTED, message));
        }
        if !self.plan.unknown.is_empty() {
            let known: Vec<_> = registry.kinds().collect();
            let message = format!(
                "this controller has no plugin {}, which is ignored; it has {}",
                self.plan.unknown.join(", "),
                known.join(", ")
            );
            conditions.push(condition(ProfileCondition::PLUGINS_KNOWN, false, UNKNOWN, message));
        }
        conditions
    }
}

/// What follows for the grants of a Profile that lives and whose namespace is its own.
pub(crate) fn look_at_grants(hands: &impl Hands, profile: &ReadProfile, plan: &Plan) -> Decision {
    let records = &profile.status.plugins;
    if plan.requests.is_empty() && records.is_empty() {
        return Decision::default();
    }
    decide(&Facts {
        plan,
        records,
        abandon: abandons(profile),
        progress: &|operation| hands.progress(profile, operation),
    })
}

/// What follows for the grants of a Profile that is being deleted: all of them are revoked. Without a record they are those
/// that the Go controller made for the spec.
pub(crate) fn look_at_last_grants(hands: &impl Hands, profile: &ReadProfile) -> Outside {
    let records = &profile.status.plugins;
    if !records.is_empty() {
        return Outside { plan: Plan::default(), decision: Some(revoke_all(hands, profile, records)) };
    }
    let plan = hands.registry().plan(&profile.name_any(), profile.plugins());
    let mut unrecorded = Vec::new();
    let mut resolution = Decision::default();
    for Request { kind, request } in &plan.requests {
        let asked = Request { kind, request: request.clone() };
        let progress = |operation: &Operation| hands.progress(profile, operation);
        let facts = Facts { plan: &plan, records, abandon: false, progress: &progress };
        if let Some(grant) = resolution.resolve(&asked, &facts) {
            let state = GrantState::Revoking;
            let kind = (*kind).to_owned();
            unrecorded.push(GrantRecord { kind, state, request: request.clone(), grant });
        }
    }
    // What is not there has nothing granted in it.
    resolution.failures.retain(|failure| failure.error.cause != Cause::NotFound);
    if abandons(profile) {
        resolution.failures.clear();
    }
    let mut decision = revoke_all(hands, profile, &unrecorded);
    decision.start.extend(resolution.start);
    decision.relevant.extend(resolution.relevant);
    decision.failures.extend(resolution.failures);
    decision.pending.extend(resolution.pending);
    Outside { plan: Plan { requests: Vec::new(), ..plan }, decision: Some(decision) }
}

fn revoke_all(hands: &impl Hands, profile: &ReadProfile, records: &[GrantRecord]) -> Decision {
    decide(&Facts {
        plan: &Plan::default(),
        records,
        abandon: abandons(profile),
        progress: &|operation| hands.progress(profile, operation),
    })
}

impl Context {
    /// Starts what was decided, now that it is recorded.
    pub(crate) fn carry_on(self: &Arc<Self>, profile: &Arc<ReadProfile>, decision: &Decision) {
        self.operations.keep_only(profile, &decision.relevant);
        self.start(profile, decision.start.clone());
    }

    /// Says which grants are given up.
    pub(crate) async fn tell_abandoned(&self, profile: &ReadProfile, abandoned: &[GrantRecord]) {
        for record in abandoned {
            let operation = Operation::new(Verb::Revoke, &record.kind, &record.grant);
            let note = format!(
                "not revoked, because annotation {ABANDON_GRANTS_ANNOTATION} says so: {} {}",
                record.kind,
                operation.describe(&self.operations.registry)
            );
            warn!(profile = profile.name_any(), "{note}");
            self.events.warning(profile, "GrantAbandoned", &note).await;
        }
    }
}

fn abandons(profile: &ReadProfile) -> bool {
    profile.annotations().get(ABANDON_GRANTS_ANNOTATION).is_some_and(|value| value == "true")
}

/// For the condition: what cannot be done, why, and how to go on without it.
fn tell_failure(failure: &Failure, registry: &Registry) -> String {
    let Failure { operation, error } = failure;
    let give_up = match operation.verb {
        Verb::Revoke => {
            format!("; to give up on it, annotate the Profile with {ABANDON_GRANTS_ANNOTATION}=true")
        }
        Verb::Resolve | Verb::Apply => String::new(),
    };
    match operation.verb {
        Verb::Resolve => format!("{operation}: {error}"),
        Verb::Apply | Verb::Revoke => format!("{}: {error}{give_up}", tell(operation, registry)),
    }
}

fn tell(operation: &Operation, registry: &Registry) -> String {
    match operation.verb {
        Verb::Resolve => operation.to_string(),
        Verb::Apply | Verb::Revoke => format!("{operation} ({})", operation.describe(registry)),
    }
}

impl Problem {
    /// Whether something is under way and nothing has gone wrong.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self, Self::Plugins(problem) if problem.is_pending)
    }
}
