//! A cluster of the Go controller with fifty Profiles, among them each kind of trouble that there can be.

use k8s_openapi::api::{core::v1::ConfigMap, rbac::v1::RoleBinding};
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
};
use profile_api::{STORED_VERSION, names};
use profile_render::{OwnedKind, mesh::AuthorizationPolicy};
use serde_json::{Value, json};

use crate::{
    harness::{World, patch},
    reference,
};

pub(crate) const PROFILES: usize = 50;
/// A subject, the policy and a ServiceAccount were changed.
pub(crate) const DRIFTED: &str = "p00002";
/// Its namespace is somebody else's.
pub(crate) const FOREIGN: &str = "p00003";
/// Its owner has no name.
pub(crate) const UNDECODABLE: &str = "p00004";
/// Its owner is `*`.
pub(crate) const WILDCARD: &str = "p00005";
/// A binding is to another role.
pub(crate) const OTHER_ROLE: &str = "p00006";
/// Its limits are gone, its quota is not.
pub(crate) const NO_QUOTA: &str = "p00007";
/// Its owner was changed.
pub(crate) const NEW_OWNER: &str = "p00008";
/// It has a plugin that grants nothing outside the cluster.
pub(crate) const ANNOTATED: &str = "p00009";
/// Its plugin is gone, the annotation is not.
pub(crate) const UNRECORDED: &str = "p00010";
/// Its plugin is of no kind that is known.
pub(crate) const UNKNOWN_PLUGIN: &str = "p00011";
/// The settings of its plugin cannot be used.
pub(crate) const BAD_PLUGIN: &str = "p00012";
/// It was deleted, and waits for the finalizer.
pub(crate) const DELETED: &str = "p00013";
/// Its objects are from a backup without owner references.
pub(crate) const RESTORED: &str = "p00014";
/// Its namespace is gone.
pub(crate) const WITHOUT_NAMESPACE: &str = "p00015";
/// Its quota has another controller.
pub(crate) const CONTROLLED: &str = "p00016";

pub(crate) fn name(number: usize) -> String {
    format!("p{number:05}")
}

pub(crate) fn owner(name: &str) -> String {
    format!("{name}@example.com")
}

/// Fifty Profiles in a cluster whose CRD is from before there were rules, and then that of today.
pub(crate) async fn cluster_of_the_go_controller() -> World {
    let world = World::permissive().await;
    for name in (1..=PROFILES).map(name) {
        match name.as_str() {
            FOREIGN => {
                world
                    .create_namespace(&name, json!({ "annotations": { "owner": "somebody@example.com" } }))
                    .await;
                world.create(reference::profile(&name, &owner(&name))).await;
            }
            WITHOUT_NAMESPACE => {
                world.create(reference::profile(&name, &owner(&name))).await;
            }
            RESTORED => leave_restored(&world, &name).await,
            _ => {
                reference::leave(&world, &name, &owner(&name)).await;
            }
        }
    }
    for number in (20..=PROFILES).step_by(5) {
        share(&world, &name(number)).await;
    }
    spoil(&world).await;
    world.install_crd().await;
    world
}

/// As from a backup without owner references.
async fn leave_restored(world: &World, name: &str) {
    world.create(reference::profile(name, &owner(name))).await;
    for mut object in reference::objects(name, &owner(name), "") {
        object.metadata.owner_references = None;
        reference::create(world, &object).await;
    }
}

/// Does to each of the special Profiles what makes them so.
async fn spoil(world: &World) {
    let profiles = world.raw_profiles(STORED_VERSION);
    let subject = json!({ "apiGroup": names::RBAC_GROUP, "kind": "User", "name": "mallory@example.com" });
    patch(&world.role_bindings(DRIFTED), "namespaceAdmin", json!({ "subjects": [subject] })).await;
    let selector = json!({ "spec": { "selector": { "matchLabels": { "app": "none" } } } });
    patch(&world.owned(DRIFTED, OwnedKind::AuthorizationPolicy), names::OWNER_POLICY, selector).await;
    world.service_accounts(DRIFTED).delete("default-viewer", &DeleteParams::default()).await.unwrap();

    patch(&profiles, UNDECODABLE, json!({ "spec": { "owner": { "name": null } } })).await;
    patch(&profiles, WILDCARD, json!({ "spec": { "owner": { "name": "*" } } })).await;
    patch(&profiles, NEW_OWNER, json!({ "spec": { "owner": { "name": "new@example.com" } } })).await;
    patch(&profiles, NO_QUOTA, json!({ "spec": { "resourceQuotaSpec": { "hard": null } } })).await;

    let bindings = world.role_bindings(OTHER_ROLE);
    let mut binding = bindings.get("default-editor").await.unwrap();
    bindings.delete("default-editor", &DeleteParams::default()).await.unwrap();
    binding.role_ref.name = "admin".to_owned();
    (binding.metadata.resource_version, binding.metadata.uid) = (None, None);
    bindings.create(&PostParams::default(), &binding).await.unwrap();

    let plugins =
        |kind: &str, spec: Value| json!({ "spec": { "plugins": [{ "kind": kind, "spec": spec }] } });
    let role = json!({ "awsIamRole": "arn:aws:iam::123456789012:role/reader", "annotateOnly": true });
    patch(&profiles, ANNOTATED, plugins("AwsIamForServiceAccount", role)).await;
    patch(&profiles, UNKNOWN_PLUGIN, plugins("AzureIdentity", json!({ "id": "x" }))).await;
    patch(&profiles, BAD_PLUGIN, plugins("WorkloadIdentity", json!({ "gcpServiceAccount": "nobody" }))).await;
    let stale = json!({ "iam.gke.io/gcp-service-account": "old@project.iam.gserviceaccount.com" });
    let stale = json!({ "metadata": { "annotations": stale } });
    patch(&world.service_accounts(UNRECORDED), "default-editor", stale).await;

    let other: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": "other" } })).unwrap();
    let other =
        world.namespaced::<ConfigMap>(CONTROLLED).create(&PostParams::default(), &other).await.unwrap();
    // Garbage collection would take an object whose owner is not there.
    let other = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": other.uid(), "controller": true });
    let controlled = json!({ "metadata": { "ownerReferences": [other] } });
    patch(&world.quotas(CONTROLLED), names::RESOURCE_QUOTA, controlled).await;
    world.delete_profile(DELETED).await;
}

/// As KFAM shares a namespace: a RoleBinding and a policy of one name.
async fn share(world: &World, namespace: &str) {
    let name = "user-joe-example-com-clusterrole-edit";
    let metadata = json!({ "name": name, "annotations": { "user": "joe@example.com", "role": "edit" } });
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": metadata,
        "roleRef": { "apiGroup": names::RBAC_GROUP, "kind": "ClusterRole", "name": "kubeflow-edit" },
        "subjects": [{ "apiGroup": names::RBAC_GROUP, "kind": "User", "name": "joe@example.com" }],
    }))
    .unwrap();
    world.role_bindings(namespace).create(&PostParams::default(), &binding).await.unwrap();
    let when = json!([{ "key": "request.headers[kubeflow-userid]", "values": ["joe@example.com"] }]);
    let policy: AuthorizationPolicy = serde_json::from_value(json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": metadata, "spec": { "action": "ALLOW", "rules": [{ "when": when }] },
    }))
    .unwrap();
    world.policies(namespace).create(&PostParams::default(), &policy).await.unwrap();
}

/// Everything that was shared, whole.
pub(crate) async fn contributors(world: &World) -> Vec<Value> {
    let mut shared = Vec::new();
    for number in (20..=PROFILES).step_by(5) {
        let name = "user-joe-example-com-clusterrole-edit";
        shared.push(json!(world.role_bindings(&self::name(number)).get(name).await.unwrap()));
        shared.push(json!(world.policies(&self::name(number)).get(name).await.unwrap()));
    }
    shared
}
