//! What would happen to one Profile: the controller's own steps, rehearsed, and what came of them in words.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use profile_api::names::{
    APPLIED_ANNOTATIONS_ANNOTATION, APPLIED_LABELS_ANNOTATION, FINALIZER, GROUP, KIND, OWNER_ANNOTATION,
    PROFILE_LABEL,
};
use profile_plugin::Registry;
use profile_render::{
    ObjectKey, Observed, OwnedKind, PlatformConfig,
    foresight::{FieldChange, differences},
    mesh::{self, BrowserAccess},
};
use serde_json::json;

use crate::{
    finalizer::may_go,
    grants::Decision,
    operations::{Operation, Verb},
    outside::{Outside, look_at_last_grants},
    preflight::{
        picture::Picture,
        rehearsal::{Rehearsal, Rehearsed},
        report::{Action, Field, Finding, GrantAction, GrantChange, ObjectChange, ProfileReport},
        unrecorded,
    },
    problem::Problem,
    profile::ReadProfile,
    reconcile::{Outcome, settle},
    status::compose,
};

/// What would happen to a Profile.
pub(super) async fn foresee(
    profile: &ReadProfile,
    picture: &Picture,
    config: &Arc<PlatformConfig>,
    registry: &Registry,
) -> ProfileReport {
    let rehearsal = Rehearsal::new(picture, config, registry);
    if profile.is_terminating() {
        return foresee_end(profile, &rehearsal, registry);
    }
    let outcome = match &profile.spec {
        Ok(spec) => settle(profile, spec, &rehearsal).await,
        Err(error) => Outcome::failed(Problem::Undecodable(error.clone())),
    };
    let written = rehearsal.written();
    let grants =
        outcome.outside.decision.as_ref().map(|decision| grants(decision, registry)).unwrap_or_default();

    let mut findings: Vec<Finding> = problem(profile, &outcome, picture).into_iter().collect();
    findings.extend(unknown_plugins(&outcome.outside));
    // Known only where the namespace is the Profile's.
    if outcome.outside.decision.is_some() {
        findings.extend(unrecorded::findings(profile, picture, &outcome.outside.plan));
    }
    findings.extend(remarks(profile, &outcome, &written));
    let mut changes: Vec<ObjectChange> = written.iter().filter_map(object_change).collect();
    // Before the first grant is recorded.
    let to_be_set = (!grants.is_empty() && !profile.has_finalizer()).then_some(true);
    changes.extend(rehearsal.finalizer().or(to_be_set).map(|wanted| finalizer_change(profile, wanted)));
    if compose(registry, &outcome, profile, Timestamp::now()) != profile.status {
        changes.push(profile_change(profile, Some("status"), true, Vec::new()));
    }
    ProfileReport::new(profile.name_any(), findings, changes, grants)
}

/// A Profile that is being deleted is let go once nothing is left outside the cluster.
fn foresee_end(profile: &ReadProfile, rehearsal: &Rehearsal<'_>, registry: &Registry) -> ProfileReport {
    let name = profile.name_any();
    if !profile.has_finalizer() {
        return ProfileReport::new(name, Vec::new(), Vec::new(), Vec::new());
    }
    let outside = look_at_last_grants(rehearsal, profile);
    let decision = outside.decision.unwrap_or_default();
    let revoked = grants(&decision, registry).into_iter();
    let revoked = revoked.map(|grant| GrantChange { action: GrantAction::Revoke, ..grant }).collect();
    let unclear = outside.plan.invalid.iter().map(|invalid| {
        let message = format!(
            "it is being deleted, and what was granted for plugin {} cannot be told, because its settings cannot be used ({}): \
             if there is anything, revoke it by hand",
            invalid.kind, invalid.field
        );
        Finding::attention("GrantsNotRevoked", message)
    });
    let mut change = finalizer_change(profile, false);
    change.marks_only = false;
    let note = if may_go(&decision) {
        "it is being deleted, and waits for nothing but the finalizer: it and its namespace go"
    } else {
        "it is being deleted: once its grants are revoked it and its namespace go"
    };
    let findings = unclear.chain([Finding::note("Terminating", note)]).collect();
    ProfileReport::new(name, findings, vec![change], revoked)
}

/// Why the Profile will not be ready, if somebody has to do something about it.
fn problem(profile: &ReadProfile, outcome: &Outcome, picture: &Picture) -> Option<Finding> {
    let problem = outcome.problem.as_ref().filter(|problem| !problem.is_pending())?;
    let mut message = problem.to_string();
    let untouched = matches!(problem, Problem::Undecodable(_) | Problem::Refused(_));
    let name = profile.name_any();
    if untouched && picture.object(&ObjectKey::namespace(&name)).is_some() {
        message +=
            &format!("; until then namespace {name} stays as it is, with whatever access there is to it");
    }
    Some(Finding::attention(problem.reason(), message))
}

fn unknown_plugins(outside: &Outside) -> impl Iterator<Item = Finding> {
    outside.plan.unknown.iter().map(|kind| {
        let message = format!(
            "this controller has no plugin {kind}, which is ignored: what it did before is not kept up"
        );
        Finding::attention("UnknownPlugin", message)
    })
}

/// What a person may want to know although the controller deals with it.
fn remarks(profile: &ReadProfile, outcome: &Outcome, written: &[Rehearsed]) -> Vec<Finding> {
    let mut remarks = Vec::new();
    let namespace = written.iter().find(|it| it.key.kind == OwnedKind::Namespace);
    let owner = |object: &Option<Arc<Observed>>| object.as_ref()?.annotations.get(OWNER_ANNOTATION).cloned();
    if let Some((before, after)) = namespace.and_then(|it| Some((owner(&it.before)?, owner(&it.after)?)))
        && before != after
    {
        let message = format!(
            "the owner was changed from {before} to {after}, which the Go controller refused: access moves to {after}"
        );
        remarks.push(Finding::attention("OwnerChanged", message));
    }
    if namespace.is_some_and(|it| it.before.is_none()) && profile.has_finalizer() {
        let message = "its namespace is gone: it is created again, empty";
        remarks.push(Finding::note("NamespaceMissing", message));
    }
    if outcome.browser_access == Some(BrowserAccess::NotForGroups) && outcome.problem.is_none() {
        let message = "the owner is a group: without --groups-claim its members have access by kubectl only";
        remarks.push(Finding::note("GroupsClaimNotSet", message));
    }
    remarks
}

/// What the plugins would do outside the cluster.
fn grants(decision: &Decision, registry: &Registry) -> Vec<GrantChange> {
    let told = |operation: &Operation| GrantChange {
        action: match operation.verb {
            Verb::Resolve | Verb::Apply => GrantAction::Grant,
            Verb::Revoke => GrantAction::Revoke,
        },
        plugin: operation.kind.clone(),
        about: operation.describe(registry),
    };
    decision.start.iter().map(told).collect()
}

fn object_change(rehearsed: &Rehearsed) -> Option<ObjectChange> {
    let Rehearsed { key, before, after } = rehearsed;
    let (action, fields) = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => (Action::Create, Vec::new()),
        (Some(_), None) => (Action::Delete, Vec::new()),
        (Some(before), Some(after)) => {
            let same = before.uid == after.uid;
            (if same { Action::Patch } else { Action::Replace }, differences(before, after))
        }
    };
    let fields: Vec<Field> = fields
        .into_iter()
        .map(|change| {
            let mark = is_mark(&change, key.kind);
            Field::new(change, mark)
        })
        .collect();
    let marks_only = action == Action::Patch && fields.iter().all(|field| field.mark);
    let resource = key.kind.api_resource();
    Some(ObjectChange {
        action,
        kind: key.kind.as_str(),
        group: resource.group,
        resource: resource.plural,
        subresource: None,
        namespace: key.kind.is_namespaced().then(|| key.profile.clone()),
        name: key.name.clone(),
        marks_only,
        fields,
    })
}

/// Whether a field is the controller's own mark, or says what holds already.
fn is_mark(field: &FieldChange, kind: OwnedKind) -> bool {
    let marks = [
        format!("metadata.labels[{PROFILE_LABEL}]"),
        format!("metadata.annotations[{APPLIED_LABELS_ANNOTATION}]"),
        format!("metadata.annotations[{APPLIED_ANNOTATIONS_ANNOTATION}]"),
    ];
    marks.contains(&field.path) || (kind == OwnedKind::AuthorizationPolicy && mesh::is_implied(field))
}

fn finalizer_change(profile: &ReadProfile, wanted: bool) -> ObjectChange {
    let before = profile.finalizers().to_vec();
    let mut after = before.clone();
    after.retain(|finalizer| finalizer != FINALIZER);
    after.extend(wanted.then(|| FINALIZER.to_owned()));
    let path = "metadata.finalizers".to_owned();
    let field = Field { path, from: Some(json!(before)), to: Some(json!(after)), mark: true };
    profile_change(profile, None, true, vec![field])
}

fn profile_change(
    profile: &ReadProfile,
    subresource: Option<&'static str>,
    marks_only: bool,
    fields: Vec<Field>,
) -> ObjectChange {
    ObjectChange {
        action: Action::Patch,
        kind: KIND,
        group: GROUP.to_owned(),
        resource: "profiles".to_owned(),
        subresource,
        namespace: None,
        name: profile.name_any(),
        marks_only,
        fields,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_the_controllers_own_marks_count_as_such() {
        let field =
            |path: &str| FieldChange { path: path.to_owned(), from: None, to: Some(Value::from("ALLOW")) };
        for (path, kind, expected) in [
            ("metadata.labels[profiles.kubeflow.org/profile]", OwnedKind::ServiceAccount, true),
            ("metadata.annotations[profiles.kubeflow.org/applied-labels]", OwnedKind::Namespace, true),
            ("spec.action", OwnedKind::AuthorizationPolicy, true),
            ("spec.action", OwnedKind::ResourceQuota, false),
            ("metadata.labels[pod-security.kubernetes.io/enforce]", OwnedKind::Namespace, false),
            ("metadata.annotations.owner", OwnedKind::Namespace, false),
            ("metadata.ownerReferences", OwnedKind::Namespace, false),
            ("subjects[0].name", OwnedKind::RoleBinding, false),
        ] {
            assert_eq!(is_mark(&field(path), kind), expected, "{path}");
        }
    }
}
