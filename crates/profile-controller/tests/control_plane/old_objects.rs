//! Profiles from before there were rules: they say what is wrong with them and grant nothing, and can still be changed
//! elsewhere, released and deleted under the CRD of today.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    core::DynamicObject,
};
use profile_api::{STORED_VERSION, names};
use serde_json::{Value, json};

use crate::harness::{World, patch, raw_profile, run, until};

/// The violations that a CRD of the Go controller or before could have let in: a name, a spec, and the reason and the field that the status has to name.
fn violations() -> Vec<(String, Value, &'static str, &'static str)> {
    let jane = json!({ "kind": "User", "name": "jane@example.com" });
    let owned = |owner: Value| json!({ "owner": owner });
    let plugin =
        json!({ "kind": "WorkloadIdentity", "spec": { "gcpServiceAccount": "a@b.iam.gserviceaccount.com" } });
    vec![
        ("l".repeat(70), owned(jane.clone()), "InvalidSpec", "metadata.name"),
        ("with.dot".to_owned(), owned(jane.clone()), "InvalidSpec", "metadata.name"),
        (
            "wildcard".to_owned(),
            owned(json!({ "kind": "User", "name": "*" })),
            "InvalidSpec",
            "spec.owner.name",
        ),
        ("blank".to_owned(), owned(json!({ "kind": "User", "name": "" })), "InvalidSpec", "spec.owner.name"),
        (
            "lower-case-kind".to_owned(),
            owned(json!({ "kind": "user", "name": "jane" })),
            "InvalidSpec",
            "spec.owner.kind",
        ),
        (
            "robot-of-nowhere".to_owned(),
            owned(json!({ "kind": "ServiceAccount", "name": "runner" })),
            "InvalidSpec",
            "spec.owner.namespace",
        ),
        (
            "two-plugins".to_owned(),
            json!({ "owner": jane, "plugins": [plugin, plugin] }),
            "InvalidSpec",
            "spec.plugins",
        ),
        (
            "many-cpus".to_owned(),
            json!({ "owner": jane, "resourceQuotaSpec": { "hard": { "cpu": "many" } } }),
            "InvalidSpec",
            "spec.resourceQuotaSpec.hard[cpu]",
        ),
        ("no-owner".to_owned(), json!({}), "Undecodable", "spec: missing field `owner`"),
        (
            "no-owner-name".to_owned(),
            owned(json!({ "kind": "User" })),
            "Undecodable",
            "spec.owner: missing field `name`",
        ),
        (
            "no-owner-kind".to_owned(),
            owned(json!({ "name": "jane" })),
            "Undecodable",
            "spec.owner: missing field `kind`",
        ),
        (
            "plugin-without-kind".to_owned(),
            json!({ "owner": jane, "plugins": [{ "spec": {} }, plugin] }),
            "Undecodable",
            "spec.plugins[0]: missing field `kind`",
        ),
        (
            "quota-as-list".to_owned(),
            json!({ "owner": jane, "resourceQuotaSpec": ["cpu"] }),
            "Undecodable",
            "spec.resourceQuotaSpec",
        ),
        ("no-spec".to_owned(), Value::Null, "Undecodable", "spec"),
    ]
}

#[test]
fn an_object_from_before_the_rules_says_what_is_wrong_grants_nothing_and_can_be_changed_and_deleted() {
    run(async {
        let world = World::permissive().await;
        for (name, spec, ..) in violations() {
            create(&world, &name, spec, &[]).await;
            let held = format!("h{}", &name[1..]);
            let (_, spec, ..) = violations().into_iter().find(|(it, ..)| *it == name).unwrap();
            create(&world, &held, spec, &[names::FINALIZER]).await;
        }
        world.install_crd().await;
        let _controller = world.controller(&[]);

        let profiles = world.raw_profiles(STORED_VERSION);
        for (name, _, reason, field) in violations() {
            let ready = world.reported(&name).await;
            assert_eq!(
                (ready.status.as_str(), ready.reason.as_str()),
                ("False", reason),
                "{name}: {}",
                ready.message
            );
            assert!(ready.message.contains(field), "{name}: {}", ready.message);
        }
        world.caught_up().await;
        let namespaces: Vec<String> = Api::<Namespace>::all(world.admin.clone())
            .list(&ListParams::default())
            .await
            .unwrap()
            .into_iter()
            .map(|n| n.name_any())
            .collect();
        for (name, ..) in violations() {
            assert!(!namespaces.contains(&name), "nothing is granted to {name}");
        }

        for (name, ..) in violations() {
            patch(&profiles, &name, json!({ "metadata": { "labels": { "team": "vision" } } })).await;
            patch(&profiles, &name, json!({ "metadata": { "finalizers": ["example.com/held"] } })).await;
            profiles.delete(&name, &DeleteParams::default()).await.unwrap();
            let labelled = profiles.get(&name).await.unwrap();
            assert_eq!(labelled.labels()["team"], "vision");
            assert!(labelled.metadata.deletion_timestamp.is_some());
            patch(&profiles, &name, json!({ "metadata": { "finalizers": [] } })).await;
            gone(&world, &name).await;
            // One that the Go controller has put its finalizer on is released by the controller.
            let held = format!("h{}", &name[1..]);
            profiles.delete(&held, &DeleteParams::default()).await.unwrap();
            gone(&world, &held).await;
        }
    });
}

#[test]
fn a_status_of_any_shape_from_before_the_rules_is_replaced() {
    run(async {
        let world = World::permissive().await;
        let spec = json!({ "owner": { "kind": "User", "name": "jane@example.com" } });
        let statuses = [
            ("empty-conditions", json!({ "conditions": [{}, { "message": "error reading plugin" }] })),
            ("conditions-of-text", json!({ "conditions": ["Failed"] })),
            (
                "number-for-text",
                json!({ "conditions": [{ "type": "Ready", "status": true }], "observedGeneration": "one" }),
            ),
        ];
        for (name, status) in &statuses {
            create(&world, name, spec.clone(), &[names::FINALIZER]).await;
            let profiles = world.raw_profiles(STORED_VERSION);
            let params = kube::api::PatchParams::default();
            let body = kube::api::Patch::Merge(json!({ "status": status }));
            profiles.patch_status(name, &params, &body).await.unwrap();
        }
        world.install_crd().await;
        let _controller = world.controller(&[]);
        for (name, _) in &statuses {
            let profile = world.ready(name).await;
            world.assert_in_place(&profile).await;
            until("the finalizer is gone", async || {
                let profile = world.profiles().get(name).await.ok()?;
                profile.finalizers().is_empty().then_some(())
            })
            .await;
        }
    });
}

async fn create(world: &World, name: &str, spec: Value, finalizers: &[&str]) {
    let mut profile: DynamicObject = raw_profile(STORED_VERSION, name, spec);
    if profile.data["spec"].is_null() {
        profile.data.as_object_mut().unwrap().remove("spec");
    }
    profile.metadata.finalizers = Some(finalizers.iter().map(|finalizer| (*finalizer).to_owned()).collect());
    let created = world.raw_profiles(STORED_VERSION).create(&PostParams::default(), &profile).await;
    created.unwrap_or_else(|error| panic!("{name}: {error}"));
}

async fn gone(world: &World, name: &str) {
    let profiles = world.raw_profiles(STORED_VERSION);
    until(&format!("{name} is gone"), async || profiles.get_opt(name).await.unwrap().is_none().then_some(()))
        .await;
}
