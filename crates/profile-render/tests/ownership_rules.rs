//! Whose namespace it is, case by case.

use profile_api::{Profile, ProfileSpec, Subject};
use profile_render::{
    Observed, OwnedKind, PlatformConfig, ValidProfile,
    ownership::{Adoption, Ownership, Reason, decide},
    validate,
};
use serde_json::{Value, json};

fn profile() -> ValidProfile {
    let mut profile = Profile::new("jane", ProfileSpec::owned_by(Subject::user("jane@example.com")));
    profile.metadata.uid = Some("ours".to_owned());
    validate(&profile.metadata, &profile.spec, &PlatformConfig::default()).unwrap()
}

fn namespace(metadata: Value) -> Observed {
    let mut object = json!({ "metadata": metadata });
    object["metadata"]["name"] = json!("jane");
    Observed::new(OwnedKind::Namespace, serde_json::from_value(object).unwrap())
}

fn owned_by(kind: &str, uid: &str) -> Value {
    let api_version = if kind == "Profile" { "kubeflow.org/v1" } else { "example.com/v1" };
    json!([{ "apiVersion": api_version, "kind": kind, "name": "x", "uid": uid, "controller": true }])
}

/// Decides in a cluster in which the Profiles with the UIDs `ours` and `theirs` exist.
fn decision(metadata: Value) -> Ownership {
    decide(&profile(), Some(&namespace(metadata)), |uid| ["ours", "theirs"].contains(&uid))
}

#[test]
fn a_namespace_that_does_not_exist_may_be_created() {
    assert_eq!(decide(&profile(), None, |_| true), Ownership::Absent);
}

#[test]
fn a_namespace_with_our_uid_is_ours_whatever_its_annotations_say() {
    let metadata = json!({ "ownerReferences": owned_by("Profile", "ours"), "annotations": { "owner": "old@example.com" } });
    assert_eq!(decision(metadata), Ownership::Ours);
}

#[test]
fn one_without_an_owner_reference_that_names_the_same_owner_may_be_adopted() {
    let metadata = json!({ "annotations": { "owner": "jane@example.com" } });
    assert_eq!(decision(metadata), Ownership::Adoptable(Adoption::SameOwner));
}

#[test]
fn one_restored_from_a_backup_with_a_stale_owner_reference_may_be_adopted() {
    let metadata = json!({ "ownerReferences": owned_by("Profile", "stale"), "annotations": { "owner": "jane@example.com" } });
    assert_eq!(decision(metadata), Ownership::Adoptable(Adoption::SameOwner));
}

#[test]
fn one_that_an_admin_handed_over_may_be_adopted_by_that_profile_only() {
    let handed_to = |profile: &str| json!({ "annotations": { "profiles.kubeflow.org/adopt": profile } });
    assert_eq!(decision(handed_to("jane")), Ownership::Adoptable(Adoption::HandedOver));
    assert_eq!(decision(handed_to("joe")), Ownership::Foreign(Reason::Unmarked));
}

#[test]
fn one_that_a_live_profile_owns_is_foreign_even_with_every_annotation() {
    let metadata = json!({
        "ownerReferences": owned_by("Profile", "theirs"),
        "annotations": { "owner": "jane@example.com", "profiles.kubeflow.org/adopt": "jane" },
    });
    assert_eq!(decision(metadata), Ownership::Foreign(Reason::Controlled("Profile x".to_owned())));
}

#[test]
fn one_that_another_controller_manages_is_foreign() {
    let metadata =
        json!({ "ownerReferences": owned_by("Tenant", "t"), "annotations": { "owner": "jane@example.com" } });
    assert_eq!(decision(metadata), Ownership::Foreign(Reason::Controlled("Tenant x".to_owned())));
}

#[test]
fn one_of_another_owner_or_without_marks_is_foreign() {
    let metadata = json!({ "annotations": { "owner": "joe@example.com" } });
    assert_eq!(decision(metadata), Ownership::Foreign(Reason::OtherOwner("joe@example.com".to_owned())));
    assert_eq!(decision(json!({})), Ownership::Foreign(Reason::Unmarked));
}

#[test]
fn one_that_is_being_deleted_is_waited_for() {
    let metadata = json!({ "deletionTimestamp": "2026-01-01T00:00:00Z", "ownerReferences": owned_by("Profile", "ours") });
    assert_eq!(decision(metadata), Ownership::Terminating);
}
