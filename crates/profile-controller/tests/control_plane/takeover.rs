//! Taking over what the Go controller has left: nothing is deleted or created again.

use std::collections::BTreeMap;

use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use profile_api::{Profile, names};
use serde_json::{Value, json};

use crate::harness::{World, run, until};

/// What the Go controller leaves for one Profile, as captured from a real cluster.
const STATE: &str = include_str!("reference-state.yaml");

#[test]
fn the_state_of_the_reference_is_taken_over_without_creating_anything_again() {
    run(async {
        let world = World::start().await;
        let name = "p00001";
        leave_reference_state(&world, name).await;
        let uids = uids(&world, name).await;
        assert_eq!(uids.len(), 8, "{uids:?}");

        let mark = world.cluster.audit().settled().await.unwrap();
        let controller = world.controller(&[]);
        let profile = world.ready(name).await;
        world.assert_in_place(&profile).await;
        assert_eq!(self::uids(&world, name).await, uids, "the same objects");
        let writes = world.writes_since(mark).await;
        assert!(writes.iter().all(|write| write.starts_with("patch ")), "{writes:#?}");
        assert_eq!(writes.len(), 10, "one for each of 8 objects, the finalizer and the status: {writes:#?}");
        assert_eq!(
            profile.finalizers(),
            <[String; 0]>::default(),
            "a finalizer that is not needed is removed"
        );
        let namespace = world.namespaces().get(name).await.unwrap();
        assert_eq!(
            namespace.labels()["katib.kubeflow.org/metrics-collector-injection"],
            "enabled",
            "labels stay"
        );

        assert_eq!(controller.stop().await, Some(0));
        let mark = world.cluster.audit().settled().await.unwrap();
        let _controller = world.controller(&[]);
        world.caught_up().await;
        let writes = world.writes_since(mark).await;
        assert!(
            writes.iter().all(|write| !write.contains(name)),
            "the second start changes nothing: {writes:#?}"
        );
    });
}

#[test]
fn a_takeover_that_was_broken_off_is_completed() {
    run(async {
        let world = World::start().await;
        let name = "p00001";
        leave_reference_state(&world, name).await;
        let before = uids(&world, name).await;
        // As if the controller had been killed after the first object.
        let label = json!({ "metadata": { "labels": { names::PROFILE_LABEL: name } } });
        let params = PatchParams::default();
        world.role_bindings(name).patch("namespaceAdmin", &params, &Patch::Merge(label)).await.unwrap();
        let _controller = world.controller(&[]);
        let profile = world.ready(name).await;
        world.assert_in_place(&profile).await;
        assert_eq!(uids(&world, name).await, before);
    });
}

#[test]
fn a_quota_that_the_reference_left_is_removed_with_the_limits() {
    run(async {
        let world = World::start().await;
        let name = "p00001";
        leave_reference_state(&world, name).await;
        world.patch_spec(name, json!({ "resourceQuotaSpec": null })).await;
        let _controller = world.controller(&[]);
        let profile = world.ready(name).await;
        world.assert_in_place(&profile).await;
        assert!(world.quotas(name).get_opt("kf-resource-quota").await.unwrap().is_none());
    });
}

#[test]
fn a_status_with_twenty_conditions_of_the_reference_is_read_and_replaced() {
    run(async {
        let world = World::start().await;
        let name = "p00001";
        leave_reference_state(&world, name).await;
        let failed = json!({ "type": "Failed", "status": "False", "message": "error reading plugin" });
        let status = json!({ "status": { "conditions": vec![failed; 20] } });
        world.profiles().patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
        let _controller = world.controller(&[]);
        let profile = world.ready(name).await;
        let conditions = profile.status.unwrap().conditions;
        let types: Vec<_> = conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, ["Ready", "NamespaceReady", "ObjectsReady", "BrowserAccess"]);
        assert!(
            conditions
                .iter()
                .all(|condition| !condition.reason.is_empty() && condition.last_transition_time.is_some())
        );
    });
}

#[test]
fn a_profile_that_the_reference_left_with_a_plugin_that_cannot_be_read_keeps_its_finalizer_until_it_is_deleted()
 {
    run(async {
        let world = World::start().await;
        let name = "p00001";
        leave_reference_state(&world, name).await;
        let plugins = json!([{ "kind": "WorkloadIdentity", "spec": { "gcpServiceAccount": "nobody" } }]);
        world.patch_spec(name, json!({ "plugins": plugins })).await;
        let _controller = world.controller(&[]);
        world.not_ready(name, "InvalidPluginSpec").await;
        let profile = world.profiles().get(name).await.unwrap();
        assert_eq!(profile.finalizers(), [names::FINALIZER]);
        world.delete_profile(name).await;
        until("the Profile is gone", async || {
            world.profiles().get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
        let events = world.kubectl(&["get", "events", "-n", "default", "-o", "json"]).await;
        let events: Value = serde_json::from_str(&events).unwrap();
        let warned = events["items"].as_array().unwrap().iter().any(|event| {
            event["reason"] == "GrantsNotRevoked"
                && event["message"].as_str().unwrap().contains("WorkloadIdentity")
        });
        assert!(warned, "an event tells of grants that are not revoked");
    });
}

/// Creates the objects as the reference has left them.
async fn leave_reference_state(world: &World, name: &str) {
    let documents: Vec<Value> = serde_saphyr::from_multiple(STATE).unwrap();
    let (profile, objects) = documents.split_first().unwrap();
    let profile: Profile = serde_json::from_value(profile.clone()).unwrap();
    assert_eq!(profile.name_any(), name);
    let uid = world.create(profile).await.uid().unwrap();
    for object in objects {
        let object: DynamicObject =
            serde_json::from_str(&object.to_string().replace("PROFILE_UID", &uid)).unwrap();
        api_of(world, &object).create(&PostParams::default(), &object).await.unwrap();
    }
}

/// The UID of every object in the state of the reference, by kind and name.
async fn uids(world: &World, name: &str) -> BTreeMap<String, String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(STATE).unwrap();
    let mut uids = BTreeMap::new();
    for object in documents.into_iter().skip(1) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let kind = object.types.clone().unwrap().kind;
        if let Some(found) = api_of(world, &object).get_opt(&object.name_any()).await.unwrap() {
            uids.insert(format!("{kind} {name}/{}", object.name_any()), found.uid().unwrap());
        }
    }
    uids
}

fn api_of(world: &World, object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.clone().unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types).unwrap());
    match object.namespace() {
        Some(namespace) => Api::namespaced_with(world.admin.clone(), &namespace, &resource),
        None => Api::all_with(world.admin.clone(), &resource),
    }
}
