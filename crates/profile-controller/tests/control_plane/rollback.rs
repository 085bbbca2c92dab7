//! The way back: after this controller has run, the Go controller finds what it expects.

use std::collections::BTreeMap;

use kube::{
    ResourceExt,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use profile_api::{Profile, names};
use serde_json::{Value, json};

use crate::{
    clouds,
    harness::{CRD, World, repository_file, run, unique, until},
    reference,
};

const OWNER: &str = "jane@example.com";

#[test]
fn the_go_controller_finds_everything_as_it_would_have_made_it() {
    run(async {
        let world = World::start().await;
        let labels = world.cluster.folder().join("namespace-labels.yaml");
        std::fs::write(&labels, reference::LABELS_FILE).unwrap();
        reference::leave(&world, "taken-over", OWNER).await;
        let _controller = world.controller(&[&format!("--namespace-labels-path={}", labels.display())]);
        let mut new = reference::profile("new", OWNER);
        new.metadata.finalizers = None;
        world.create(new).await;
        for name in ["taken-over", "new"] {
            let profile = world.ready(name).await;
            for expected in reference::objects(name, OWNER, &profile.uid().unwrap()) {
                let found = reference::api_of(&world, &expected).get(&expected.name_any()).await.unwrap();
                assert_serves(&found, &expected);
            }
            assert_profile_can_be_read(&profile);
        }
        // It would refuse a new owner unless the namespace names them.
        const NEW_OWNER: &str = "joe@example.com";
        world.patch_spec("taken-over", json!({ "owner": { "name": NEW_OWNER } })).await;
        let profile = world.ready("taken-over").await;
        for expected in reference::objects("taken-over", NEW_OWNER, &profile.uid().unwrap()) {
            let found = reference::api_of(&world, &expected).get(&expected.name_any()).await.unwrap();
            assert_serves(&found, &expected);
        }
    });
}

/// Whether an object is what the Go controller expects: it looks its objects up by name, compares the `owner` of a namespace with the
/// owner's name, and `roleRef`, `subjects`, `spec` with its own; KFAM reads the annotations.
fn assert_serves(found: &DynamicObject, expected: &DynamicObject) {
    let what = format!("{} {}", expected.types.as_ref().unwrap().kind, expected.name_any());
    assert!(contains(found.labels(), expected.labels()), "{what}: labels {:?}", found.labels());
    assert!(
        contains(found.annotations(), expected.annotations()),
        "{what}: annotations {:?}",
        found.annotations()
    );
    assert_eq!(found.owner_references(), expected.owner_references(), "{what}: owner references");
    for field in ["roleRef", "subjects", "spec"] {
        let mut now = found.data.get(field).cloned().unwrap_or(Value::Null);
        // To Istio, and in the Go type, a policy without an action is one that allows.
        if what.starts_with("AuthorizationPolicy") && field == "spec" {
            assert_eq!(now.as_object_mut().unwrap().remove("action"), Some(json!("ALLOW")));
        }
        // Namespaces have finalizers in their spec, of Kubernetes itself.
        if !what.starts_with("Namespace") {
            assert_eq!(now, expected.data.get(field).cloned().unwrap_or(Value::Null), "{what}: {field}");
        }
    }
}

fn contains(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) -> bool {
    expected.iter().all(|(key, value)| found.get(key) == Some(value))
}

fn assert_profile_can_be_read(profile: &Profile) {
    let conditions = json!(profile.status.as_ref().unwrap().conditions);
    for condition in conditions.as_array().unwrap() {
        for field in ["type", "status", "message"] {
            assert!(condition[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {condition}");
        }
    }
    let spec = json!(profile.spec);
    let known = ["owner", "plugins", "resourceQuotaSpec"];
    assert!(spec.as_object().unwrap().keys().all(|field| known.contains(&field.as_str())), "{spec}");
}

#[test]
fn the_crd_asks_for_no_field_that_the_go_controller_does_not_write() {
    let crd: Value = serde_saphyr::from_str(&repository_file(CRD)).unwrap();
    for version in crd["spec"]["versions"].as_array().unwrap() {
        let schema = &version["schema"]["openAPIV3Schema"];
        let fields = |object: &Value| -> Vec<String> {
            object["properties"].as_object().unwrap().keys().cloned().collect()
        };
        let spec = &schema["properties"]["spec"];
        assert_eq!(fields(spec), ["owner", "plugins", "resourceQuotaSpec"]);
        assert_eq!(fields(&spec["properties"]["owner"]), ["apiGroup", "kind", "name", "namespace"]);
        assert_eq!(fields(&spec["properties"]["plugins"]["items"]), ["apiVersion", "kind", "spec"]);
        let status = &schema["properties"]["status"];
        let condition = &status["properties"]["conditions"]["items"];
        assert_eq!(schema.get("required"), None);
        assert_eq!(status.get("required"), None);
        assert_eq!(condition["required"], json!(["status", "type"]), "as the Go controller writes them");
    }
    assert_eq!(crd["spec"]["conversion"]["strategy"], "None", "no webhook that would be missing");
}

#[test]
fn the_status_that_the_go_controller_writes_is_still_accepted_and_replaced_again() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&[]);
        world.ready_profile("jane", OWNER).await;
        assert_eq!(controller.stop().await, Some(0));
        // It appends, and sends back what it has read of the others.
        let failed = json!({ "type": "Failed", "status": "True", "message": "could not create" });
        let mut conditions = json!(world.profiles().get("jane").await.unwrap().status.unwrap().conditions);
        for condition in conditions.as_array_mut().unwrap() {
            condition
                .as_object_mut()
                .unwrap()
                .retain(|field, _| ["type", "status", "message"].contains(&field.as_str()));
        }
        conditions.as_array_mut().unwrap().push(failed);
        let status = json!({ "status": { "conditions": conditions } });
        let params = kube::api::PatchParams::default();
        world.profiles().patch_status("jane", &params, &kube::api::Patch::Merge(status)).await.unwrap();
        let _controller = world.controller(&[]);
        until("the status is ours again", async || {
            let status = world.profiles().get("jane").await.ok()?.status?;
            (status.is_ready() && status.condition("Failed").is_none()).then_some(())
        })
        .await;
    });
}

#[test]
fn the_policy_can_be_read_in_the_version_in_which_the_go_controller_writes_it() {
    run(async {
        let world = World::start().await;
        let _controller = world.controller(&[]);
        world.ready_profile("jane", OWNER).await;
        let read = async |version: &str| {
            let kind = GroupVersionKind::gvk("security.istio.io", version, "AuthorizationPolicy");
            let resource = ApiResource::from_gvk_with_plural(&kind, "authorizationpolicies");
            let api = kube::Api::<DynamicObject>::namespaced_with(world.admin.clone(), "jane", &resource);
            api.get(names::OWNER_POLICY).await.unwrap().data["spec"].clone()
        };
        assert_eq!(read("v1beta1").await, read("v1").await);
    });
}

#[test]
fn a_profile_with_a_grant_keeps_the_finalizer_and_the_spec_by_which_the_go_controller_revokes_it() {
    run(async {
        let clouds = clouds::shared().await;
        let name = unique("way-back");
        let role = unique("way-back");
        let arn = clouds.aws.create_role("/", &role, &clouds::trust_of_others()).await.unwrap();
        clouds.create(&name, clouds::role(&arn)).await;
        let profile = clouds.world.ready(&name).await;
        assert_eq!(profile.finalizers(), [names::FINALIZER]);
        assert_eq!(json!(profile.spec.plugins), clouds::role(&arn), "as the user wrote it");
        assert_eq!(clouds.subjects(&role).await, [clouds::subject(&name)], "what it grants itself");
        assert_eq!(clouds.annotations(&name).await["eks.amazonaws.com/role-arn"], arn);
    });
}
