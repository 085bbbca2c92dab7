//! Which write each kind of difference takes.

#![allow(clippy::unwrap_used)]

use profile_api::{Profile, ProfileSpec, Quantity, ResourceQuotaSpec, Subject};
use profile_render::{
    EditorAnnotations, Manifest, NamespaceLabels, Observed, OwnedKind, PlatformConfig, Rendered,
    plan::{Change, Obstacle, plan, plan_absence},
    render, validate,
};
use serde_json::{Value, json};

fn rendered(owner: &str) -> Rendered {
    let config = PlatformConfig::default();
    let mut profile = Profile::new("jane", ProfileSpec::owned_by(Subject::user(owner)));
    profile.metadata.uid = Some("ours".to_owned());
    let hard =
        [("cpu", "2"), ("memory", "1024Mi")].map(|(key, amount)| (key.to_owned(), Quantity::from(amount)));
    profile.spec.resource_quota_spec =
        Some(ResourceQuotaSpec { hard: hard.into(), ..ResourceQuotaSpec::default() });
    render(&validate(&profile.metadata, &profile.spec, &config).unwrap(), &config)
}

fn manifest(name: &str) -> Manifest {
    let manifests = rendered("jane@example.com").manifests();
    manifests
        .into_iter()
        .find(|manifest| manifest.key.name == name && manifest.key.kind != OwnedKind::ServiceAccount)
        .unwrap()
}

/// The object as the API server holds it, after `edit`.
fn observed(manifest: &Manifest, edit: impl FnOnce(&mut Value)) -> Observed {
    let mut object = manifest.to_json();
    object["metadata"]["uid"] = json!("object");
    object["metadata"]["resourceVersion"] = json!("7");
    edit(&mut object);
    Observed::new(manifest.key.kind, serde_json::from_value(object).unwrap())
}

fn planned(name: &str, edit: impl FnOnce(&mut Value)) -> Option<Change> {
    let manifest = manifest(name);
    plan(&manifest, Some(&observed(&manifest, edit))).unwrap()
}

fn patch(change: Option<Change>) -> Value {
    match change {
        Some(Change::Apply(patch)) => patch.body,
        other => panic!("not applied: {other:?}"),
    }
}

#[test]
fn what_is_not_there_is_created() {
    assert_eq!(plan(&manifest("namespaceAdmin"), None), Ok(Some(Change::Create)));
}

#[test]
fn an_action_slipped_into_the_policy_is_removed_with_the_rest_untouched() {
    let change = planned("ns-owner-access-istio", |object| {
        object["spec"]["selector"] = json!({ "matchLabels": { "app": "x" } });
        object["spec"]["action"] = json!("AUDIT");
    });
    let body = patch(change);
    assert_eq!(body["spec"], json!({ "selector": null, "action": "ALLOW" }));
    assert_eq!(body["metadata"], json!({ "uid": "object", "resourceVersion": "7" }));
}

#[test]
fn a_quota_is_the_same_however_its_amounts_are_written() {
    let rewritten = |object: &mut Value| object["spec"]["hard"] = json!({ "cpu": "2", "memory": "1Gi" });
    assert_eq!(planned("kf-resource-quota", rewritten), None);
    let raised = |object: &mut Value| object["spec"]["hard"]["cpu"] = json!("200");
    assert_eq!(patch(planned("kf-resource-quota", raised))["spec"], json!({ "hard": { "cpu": "2" } }));
}

#[test]
fn a_changed_role_is_replaced_and_changed_subjects_are_not() {
    let role = |object: &mut Value| object["roleRef"]["name"] = json!("cluster-admin");
    assert!(matches!(planned("namespaceAdmin", role), Some(Change::Replace(it)) if it.uid == "object"));
    let subjects = |object: &mut Value| object["subjects"] = json!([]);
    let body = patch(planned("namespaceAdmin", subjects));
    assert_eq!(body["subjects"][0]["name"], "jane@example.com");
    assert_eq!(body.get("roleRef"), None);
}

#[test]
fn a_quota_with_other_scopes_is_replaced_because_they_cannot_be_changed() {
    let scopes = |object: &mut Value| object["spec"]["scopes"] = json!(["BestEffort"]);
    assert!(
        matches!(planned("kf-resource-quota", scopes), Some(Change::Replace(it)) if it.resource_version == "7")
    );
    let selector = |object: &mut Value| object["spec"]["scopeSelector"] = json!({ "matchExpressions": [] });
    assert_eq!(patch(planned("kf-resource-quota", selector))["spec"], json!({ "scopeSelector": null }));
}

#[test]
fn labels_and_annotations_of_others_stay_and_ours_are_restored() {
    let others = |object: &mut Value| {
        object["metadata"]["labels"]["team"] = json!("x");
        object["metadata"]["annotations"]["note"] = json!("x");
    };
    assert_eq!(planned("namespaceAdmin", others), None);
    let ours = |object: &mut Value| {
        object["metadata"]["labels"] = json!({});
        object["metadata"]["annotations"]["user"] = json!("joe@example.com");
    };
    let Some(Change::Label(patch)) = planned("namespaceAdmin", ours) else { panic!("not restored") };
    assert_eq!(patch.fields, ["labels", "annotations"]);
    assert_eq!(patch.body["metadata"]["annotations"], json!({ "user": "jane@example.com" }));
    assert_eq!(patch.body["metadata"]["labels"], json!({ "profiles.kubeflow.org/profile": "jane" }));
}

#[test]
fn a_stale_owner_reference_is_replaced_and_one_of_somebody_else_stays() {
    let change = planned("namespaceAdmin", |object| {
        object["metadata"]["ownerReferences"] = json!([
            { "apiVersion": "kubeflow.org/v1", "kind": "Profile", "name": "jane", "uid": "stale", "controller": true },
            { "apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "c" },
        ]);
    });
    let references = patch(change)["metadata"]["ownerReferences"].clone();
    let uids: Vec<_> =
        references.as_array().unwrap().iter().map(|reference| reference["uid"].clone()).collect();
    assert_eq!(uids, ["ours", "c"]);
}

#[test]
fn an_object_of_another_controller_is_an_obstacle() {
    let manifest = manifest("namespaceAdmin");
    let observed = observed(&manifest, |object| {
        object["metadata"]["ownerReferences"] =
            json!([{ "apiVersion": "x/v1", "kind": "Tenant", "name": "t", "uid": "t", "controller": true }]);
    });
    let obstacle = plan(&manifest, Some(&observed)).unwrap_err();
    assert!(
        matches!(&obstacle, Obstacle::Controlled { controller, .. } if controller == "Tenant t"),
        "{obstacle}"
    );
}

#[test]
fn an_object_that_is_being_deleted_is_waited_for() {
    let manifest = manifest("namespaceAdmin");
    let terminating =
        |object: &mut Value| object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let obstacle = plan(&manifest, Some(&observed(&manifest, terminating))).unwrap_err();
    assert!(matches!(obstacle, Obstacle::Terminating { .. }));
}

#[test]
fn only_a_quota_of_ours_is_deleted() {
    let manifest = manifest("kf-resource-quota");
    assert!(matches!(plan_absence(Some(&observed(&manifest, |_| {})), "ours"), Some(Change::Delete(_))));
    let by_hand = observed(&manifest, |object| object["metadata"]["ownerReferences"] = json!([]));
    assert_eq!(plan_absence(Some(&by_hand), "ours"), None);
    assert_eq!(plan_absence(None, "ours"), None);
}

#[test]
fn annotations_of_plugins_are_set_and_go_with_the_plugin_and_those_of_others_stay() {
    let annotations = |wanted: &[(&str, &str)], keep_others| EditorAnnotations {
        wanted: wanted.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        keep_others,
    };
    let editor = |annotations| {
        let manifests = rendered("jane@example.com").annotate_editor(annotations).manifests();
        let editor = manifests.into_iter().find(|manifest| {
            manifest.key.kind == OwnedKind::ServiceAccount && manifest.key.name == "default-editor"
        });
        editor.unwrap()
    };
    let both = editor(annotations(&[("cloud/role", "a"), ("cloud/region", "b")], false));
    let there = observed(&both, |object| object["metadata"]["annotations"]["theirs"] = json!("x"));
    assert_eq!(plan(&both, Some(&there)), Ok(None));

    let planned = |wanted: Manifest| match plan(&wanted, Some(&there)).unwrap() {
        Some(Change::Label(patch)) => patch.body["metadata"]["annotations"].clone(),
        None => Value::Null,
        other => panic!("{other:?}"),
    };
    let record = "profiles.kubeflow.org/applied-annotations";
    assert_eq!(
        planned(editor(annotations(&[("cloud/role", "c")], false))),
        json!({ "cloud/role": "c", "cloud/region": null, record: "cloud/role" })
    );
    assert_eq!(
        planned(editor(annotations(&[], false))),
        json!({ "cloud/role": null, "cloud/region": null, record: null })
    );
    assert_eq!(planned(editor(annotations(&[], true))), Value::Null);
    let by_hand = observed(&editor(annotations(&[], false)), |object| {
        object["metadata"]["annotations"] = json!({ "cloud/role": "theirs" });
    });
    assert_eq!(plan(&editor(annotations(&[], false)), Some(&by_hand)), Ok(None));
}

#[test]
fn a_label_change_of_the_platform_is_one_harmless_write_to_the_namespace() {
    let rendered = rendered("jane@example.com");
    let before = rendered.namespace_manifest(None, &NamespaceLabels::default());
    let observed = observed(&before, |object| object["metadata"]["labels"]["theirs"] = json!("x"));
    let labels = NamespaceLabels::parse("team: vision\ntheirs: mine\n").unwrap();
    let desired = rendered.namespace_manifest(Some(&observed), &labels);
    let Ok(Some(Change::Label(patch))) = plan(&desired, Some(&observed)) else { panic!("not labelled") };
    assert_eq!(patch.body["metadata"]["labels"], json!({ "team": "vision" }));
    assert_eq!(
        patch.body["metadata"]["annotations"]["profiles.kubeflow.org/applied-labels"],
        r#"{"team":"vision"}"#
    );
}
