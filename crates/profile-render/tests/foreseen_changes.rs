//! What a change will have made of an object, without making it.

#![allow(clippy::unwrap_used)]

use profile_api::{Profile, ProfileSpec, Quantity, ResourceQuotaSpec, Subject};
use profile_render::{
    Manifest, Observed, PlatformConfig,
    foresight::{FieldChange, after, differences},
    mesh,
    plan::plan,
    render, validate,
};
use serde_json::{Value, json};

fn manifests() -> Vec<Manifest> {
    let config = PlatformConfig::default();
    let mut profile = Profile::new("jane", ProfileSpec::owned_by(Subject::user("jane@example.com")));
    profile.metadata.uid = Some("ours".to_owned());
    profile.spec.resource_quota_spec = Some(ResourceQuotaSpec {
        hard: [("cpu".to_owned(), Quantity::from("2"))].into(),
        ..ResourceQuotaSpec::default()
    });
    let rendered = render(&validate(&profile.metadata, &profile.spec, &config).unwrap(), &config);
    let namespace = rendered.namespace_manifest(None, &config.namespace_labels);
    std::iter::once(namespace).chain(rendered.manifests()).collect()
}

fn observed(manifest: &Manifest, edit: impl FnOnce(&mut Value)) -> Observed {
    let mut object = manifest.to_json();
    object["metadata"]["uid"] = json!("object");
    object["metadata"]["resourceVersion"] = json!("7");
    edit(&mut object);
    Observed::new(manifest.key.kind, serde_json::from_value(object).unwrap())
}

/// The one object of a name and kind, after `edit`, and what its repair comes to.
fn foreseen(kind: &str, name: &str, edit: impl FnOnce(&mut Value)) -> (Vec<FieldChange>, bool) {
    let manifests = manifests();
    let manifest = manifests.iter().find(|it| it.key.name == name && it.key.kind.as_str() == kind).unwrap();
    let before = observed(manifest, edit);
    let change = plan(manifest, Some(&before)).unwrap().unwrap();
    let Some(after) = after(manifest, &change, Some(&before)) else {
        return (Vec::new(), false);
    };
    assert_eq!(plan(manifest, Some(&after)), Ok(None), "then nothing is left to do");
    (differences(&before, &after), true)
}

fn field(path: &str, from: Option<Value>, to: Option<Value>) -> FieldChange {
    FieldChange { path: path.to_owned(), from, to }
}

#[test]
fn an_object_that_is_created_needs_nothing_more() {
    for manifest in manifests() {
        let change = plan(&manifest, None).unwrap().unwrap();
        let created = after(&manifest, &change, None).unwrap();
        assert_eq!(plan(&manifest, Some(&created)), Ok(None), "{}", manifest.key);
        assert_eq!(created.key, manifest.key);
    }
}

#[test]
fn drift_is_told_field_by_field() {
    let (changes, stays) = foreseen("RoleBinding", "namespaceAdmin", |object| {
        object["subjects"][0]["name"] = json!("mallory@example.com");
        object["metadata"]["labels"] = json!({ "team": "vision" });
    });
    assert!(stays);
    let label = "metadata.labels[profiles.kubeflow.org/profile]";
    let name = field("subjects[0].name", Some(json!("mallory@example.com")), Some(json!("jane@example.com")));
    assert_eq!(changes, [field(label, None, Some(json!("jane"))), name]);
}

#[test]
fn a_field_that_somebody_added_is_told_to_go() {
    let (changes, _) = foreseen("AuthorizationPolicy", "ns-owner-access-istio", |object| {
        object["spec"]["selector"] = json!({ "matchLabels": { "app": "x" } });
        object["spec"]["rules"][1]["when"][0]["values"] = json!(["jane", "joe"]);
    });
    assert_eq!(
        changes,
        [
            field("spec.rules[1].when[0].values", Some(json!(["jane", "joe"])), Some(json!(["jane"]))),
            field("spec.selector", Some(json!({ "matchLabels": { "app": "x" } })), None),
        ]
    );
}

#[test]
fn an_owner_reference_and_annotations_are_told_too() {
    let (changes, _) = foreseen("Namespace", "jane", |object| {
        object["metadata"]["annotations"] = json!({ "owner": "joe@example.com" });
        object["metadata"]["ownerReferences"][0]["uid"] = json!("stale");
    });
    let owner =
        field("metadata.annotations.owner", Some(json!("joe@example.com")), Some(json!("jane@example.com")));
    let uid = field("metadata.ownerReferences[0].uid", Some(json!("stale")), Some(json!("ours")));
    assert_eq!(changes, [owner, uid]);
}

#[test]
fn between_the_halves_of_a_replacement_nothing_is_there() {
    let (changes, stays) = foreseen("RoleBinding", "default-editor", |object| {
        object["roleRef"]["name"] = json!("cluster-admin");
    });
    assert!(!stays && changes.is_empty());
}

#[test]
fn a_policy_without_an_action_allows_already() {
    let (changes, _) = foreseen("AuthorizationPolicy", "ns-owner-access-istio", |object| {
        object["spec"].as_object_mut().unwrap().remove("action");
    });
    assert_eq!(changes, [field("spec.action", None, Some(json!("ALLOW")))]);
    assert!(changes.iter().all(mesh::is_implied));
    let (changes, _) = foreseen("AuthorizationPolicy", "ns-owner-access-istio", |object| {
        object["spec"]["action"] = json!("DENY");
    });
    assert!(!changes.iter().any(mesh::is_implied));
}
