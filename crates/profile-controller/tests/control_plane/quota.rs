//! The limits of a Profile are those of its namespace, for as long as it has any.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
};
use profile_api::{Profile, names};
use serde_json::{Value, json};

use crate::harness::{World, patch, run, shared, unique, until};

const QUOTA: &str = names::RESOURCE_QUOTA;

#[test]
fn limits_are_added_changed_and_removed() {
    run(async {
        let world = shared().await;
        let name = unique("limits");
        world.ready_profile(&name, "a@example.com").await;
        assert_eq!(limits(world, &name).await, None);
        for (limit, expected) in [
            (json!({ "hard": { "cpu": 2, "memory": "2Gi" } }), Some(json!({ "cpu": "2", "memory": "2Gi" }))),
            (
                json!({ "hard": { "cpu": "500m", "memory": 1048576 } }),
                Some(json!({ "cpu": "500m", "memory": "1048576" })),
            ),
            (
                json!({ "hard": { "cpu": null, "pods": 3 } }),
                Some(json!({ "memory": "1048576", "pods": "3" })),
            ),
            (json!({ "hard": null }), None),
            (
                json!({ "hard": { "requests.nvidia.com/gpu": 0 } }),
                Some(json!({ "requests.nvidia.com/gpu": "0" })),
            ),
            (json!({ "hard": { "requests.nvidia.com/gpu": null } }), None),
            (json!({ "hard": { "requests.storage": "1Ti" } }), Some(json!({ "requests.storage": "1Ti" }))),
            (Value::Null, None),
        ] {
            world.patch_spec(&name, json!({ "resourceQuotaSpec": limit })).await;
            let profile = world.ready(&name).await;
            let expected = expected.map(|hard| json!({ "hard": hard }));
            assert_eq!(limits(world, &name).await, expected, "after {limit}");
            world.assert_in_place(&profile).await;
        }
    });
}

#[test]
fn scopes_can_be_changed_although_those_of_a_quota_cannot() {
    run(async {
        let world = shared().await;
        let name = unique("scopes");
        world.create(limited(&name, json!({ "hard": { "pods": 3 } }))).await;
        world.ready(&name).await;
        for change in [
            json!({ "scopes": ["BestEffort"] }),
            json!({ "scopes": ["NotTerminating", "BestEffort"] }),
            json!({ "scopeSelector": { "matchExpressions": [{ "scopeName": "PriorityClass", "operator": "Exists" }] } }),
            json!({ "scopes": null, "scopeSelector": null }),
        ] {
            world.patch_spec(&name, json!({ "resourceQuotaSpec": change })).await;
            let profile = world.ready(&name).await;
            let quota = limits(world, &name).await.unwrap();
            let spec = json!(profile.spec.resource_quota_spec);
            assert_eq!(
                (&quota["scopes"], &quota["scopeSelector"]),
                (&spec["scopes"], &spec["scopeSelector"])
            );
            world.assert_in_place(&profile).await;
        }
    });
}

#[test]
fn a_quota_made_by_hand_is_left_alone_while_the_profile_has_no_limits() {
    run(async {
        let world = shared().await;
        let name = unique("by-hand");
        world.ready_profile(&name, "a@example.com").await;
        let by_hand: ResourceQuota = serde_json::from_value(json!({
            "metadata": { "name": QUOTA, "labels": { names::PROFILE_LABEL: name } },
            "spec": { "hard": { "cpu": "7" } },
        }))
        .unwrap();
        let uid = world.quotas(&name).create(&PostParams::default(), &by_hand).await.unwrap().uid();
        touch(world, &name).await;
        let quota = world.quotas(&name).get(QUOTA).await.unwrap();
        assert_eq!((quota.uid(), quota.owner_references().len()), (uid.clone(), 0));
        assert_eq!(limits(world, &name).await, Some(json!({ "hard": { "cpu": "7" } })));

        // With limits it is the Profile's.
        world.patch_spec(&name, json!({ "resourceQuotaSpec": { "hard": { "memory": "1Gi" } } })).await;
        let profile = world.ready(&name).await;
        world.assert_in_place(&profile).await;
        assert_eq!(limits(world, &name).await, Some(json!({ "hard": { "memory": "1Gi" } })));
        assert_eq!(world.quotas(&name).get(QUOTA).await.unwrap().uid(), uid);
    });
}

#[test]
fn an_amount_that_is_written_differently_is_not_written_again() {
    run(async {
        let world = shared().await;
        let name = unique("spelling");
        let hard = json!({ "cpu": "2000m", "memory": "1024Mi", "requests.storage": "1000G", "pods": "1e2" });
        world.create(limited(&name, json!({ "hard": hard }))).await;
        world.ready(&name).await;
        let quota = world.quotas(&name).get(QUOTA).await.unwrap();
        let mark = world.cluster.audit().settled().await.unwrap();

        touch(world, &name).await;
        // The same amounts in other words: no write but the status, which tells of the new generation.
        let other = json!({ "cpu": 2, "memory": "1Gi", "requests.storage": "1T", "pods": 100 });
        world.patch_spec(&name, json!({ "resourceQuotaSpec": { "hard": other } })).await;
        world.ready(&name).await;
        touch(world, &name).await;
        let writes: Vec<_> =
            world.writes_since(mark).await.into_iter().filter(|write| write.contains(&name)).collect();
        assert_eq!(writes, [format!("patch profiles /{name}")]);
        let after = world.quotas(&name).get(QUOTA).await.unwrap();
        assert_eq!((after.uid(), after.spec), (quota.uid(), quota.spec));
    });
}

#[test]
fn limits_that_the_api_server_rejects_are_reported_in_its_words_and_harm_nothing_else() {
    run(async {
        let world = shared().await;
        for (hard, words) in [
            (json!({ "not a resource": 1 }), "not a resource"),
            (json!({ "gold": 1 }), "must be a standard resource for quota"),
            (json!({ "pods": "1500m" }), "must be an integer"),
        ] {
            let name = unique("rejected");
            let unlimited = world.ready_profile(&unique("unlimited"), "a@example.com").await;
            world.create(limited(&name, json!({ "hard": hard }))).await;
            let ready = world.not_ready(&name, "ObjectRejected").await;
            assert!(ready.message.contains(QUOTA) && ready.message.contains(words), "{}", ready.message);
            assert_eq!(limits(world, &name).await, None);
            assert_eq!(
                keys(world, &name).await,
                keys(world, &unlimited.name_any()).await,
                "everything else is there"
            );

            // What is there stays in repair.
            let bindings = world.role_bindings(&name);
            bindings.delete(names::OWNER_ROLE_BINDING, &DeleteParams::default()).await.unwrap();
            until("the binding is back", async || bindings.get_opt(names::OWNER_ROLE_BINDING).await.unwrap())
                .await;

            world.patch_spec(&name, json!({ "resourceQuotaSpec": null })).await;
            world.patch_spec(&name, json!({ "resourceQuotaSpec": { "hard": { "pods": 1 } } })).await;
            let profile = world.ready(&name).await;
            world.assert_in_place(&profile).await;
            assert_eq!(limits(world, &name).await, Some(json!({ "hard": { "pods": "1" } })));
        }
    });
}

#[test]
fn a_change_that_is_rejected_leaves_the_limits_as_they_are() {
    run(async {
        let world = shared().await;
        let name = unique("kept");
        world.create(limited(&name, json!({ "hard": { "pods": 3 } }))).await;
        world.ready(&name).await;
        let uid = world.quotas(&name).get(QUOTA).await.unwrap().uid();
        // The second one asks for a field that cannot be changed in place.
        for (change, words) in [
            (json!({ "hard": { "pods": "1500m" } }), "must be an integer"),
            (json!({ "hard": { "pods": 1 }, "scopes": ["BestEfort"] }), "unsupported scope"),
        ] {
            world.patch_spec(&name, json!({ "resourceQuotaSpec": change })).await;
            let ready = world.not_ready(&name, "ObjectRejected").await;
            assert!(ready.message.contains(words), "{}", ready.message);
            assert_eq!(limits(world, &name).await, Some(json!({ "hard": { "pods": "3" } })));
            assert_eq!(world.quotas(&name).get(QUOTA).await.unwrap().uid(), uid);
        }
    });
}

fn limited(name: &str, quota: Value) -> Profile {
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": { "owner": { "kind": "User", "name": "a@example.com" }, "resourceQuotaSpec": quota },
    }))
    .expect("a Profile")
}

/// The spec of the quota, if there is one.
async fn limits(world: &World, name: &str) -> Option<Value> {
    world.quotas(name).get_opt(QUOTA).await.expect("an answer").map(|quota| json!(quota.spec))
}

/// Kinds and names of what the controller has put into a namespace.
async fn keys(world: &World, name: &str) -> Vec<String> {
    let contents = world.contents(name).await.into_iter();
    let ours =
        contents.filter(|(_, object)| object["metadata"]["labels"][names::PROFILE_LABEL] == json!(name));
    ours.map(|(key, _)| key).collect()
}

/// Has the controller look at a Profile, and waits until it has.
async fn touch(world: &World, name: &str) {
    let mark = json!({ "metadata": { "annotations": { "example.com/touched": unique("at") } } });
    patch(&world.profiles(), name, mark).await;
    world.caught_up().await;
}

#[test]
fn limits_that_are_removed_while_no_controller_runs_are_gone_even_if_our_label_is_gone_too() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&[]);
        let name = unique("stripped");
        world.create(limited(&name, json!({ "hard": { "cpu": 1 } }))).await;
        world.ready(&name).await;
        assert_eq!(controller.stop().await, Some(0));
        let label = json!({ "metadata": { "labels": { names::PROFILE_LABEL: null } } });
        patch(&world.quotas(&name), QUOTA, label).await;
        world.patch_spec(&name, json!({ "resourceQuotaSpec": null })).await;
        let _controller = world.controller(&[]);
        world.ready(&name).await;
        assert_eq!(limits(&world, &name).await, None);
    });
}
