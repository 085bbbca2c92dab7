//! Taking over what the Go controller has left: nothing is deleted or created again.

use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use profile_api::names;
use serde_json::{Value, json};

use crate::{
    harness::{World, run, until},
    reference,
};

#[test]
fn the_state_of_the_reference_is_taken_over_without_creating_anything_again() {
    run(async {
        let world = World::start().await;
        let name = "p00001";
        reference::leave(&world, name, "u1@example.com").await;
        let uids = reference::uids(&world, name).await;
        assert_eq!(uids.len(), 8, "{uids:?}");

        let mark = world.cluster.audit().settled().await.unwrap();
        let controller = world.controller(&[]);
        let profile = world.ready(name).await;
        world.assert_in_place(&profile).await;
        assert_eq!(reference::uids(&world, name).await, uids, "the same objects");
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
        reference::leave(&world, name, "u1@example.com").await;
        let before = reference::uids(&world, name).await;
        // As if the controller had been killed after the first object.
        let label = json!({ "metadata": { "labels": { names::PROFILE_LABEL: name } } });
        let params = PatchParams::default();
        world.role_bindings(name).patch("namespaceAdmin", &params, &Patch::Merge(label)).await.unwrap();
        let _controller = world.controller(&[]);
        let profile = world.ready(name).await;
        world.assert_in_place(&profile).await;
        assert_eq!(reference::uids(&world, name).await, before);
    });
}

#[test]
fn a_quota_that_the_reference_left_is_removed_with_the_limits() {
    run(async {
        let world = World::start().await;
        let name = "p00001";
        reference::leave(&world, name, "u1@example.com").await;
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
        reference::leave(&world, name, "u1@example.com").await;
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
        reference::leave(&world, name, "u1@example.com").await;
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
