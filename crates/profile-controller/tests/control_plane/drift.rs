//! What somebody else changes in a Profile's objects is put right; what is theirs stays.

use std::collections::BTreeSet;

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use profile_api::{Profile, names};
use profile_render::OwnedKind::{
    self, AuthorizationPolicy, Namespace, ResourceQuota, RoleBinding, ServiceAccount,
};
use serde_json::{Value, json};

use crate::harness::{World, condition, patch, run, shared, unique, until};

/// Every object in a Profile's namespace that has limits.
const OBJECTS: [(OwnedKind, &str); 7] = [
    (AuthorizationPolicy, names::OWNER_POLICY),
    (ResourceQuota, names::RESOURCE_QUOTA),
    (RoleBinding, names::DEFAULT_EDITOR),
    (RoleBinding, names::DEFAULT_VIEWER),
    (RoleBinding, names::OWNER_ROLE_BINDING),
    (ServiceAccount, names::DEFAULT_EDITOR),
    (ServiceAccount, names::DEFAULT_VIEWER),
];

#[test]
fn every_object_that_is_deleted_comes_back_as_it_was() {
    run(async {
        let world = shared().await;
        let name = unique("comes-back");
        limited(world, &name).await;
        for (kind, object) in OBJECTS {
            let api = world.owned(&name, kind);
            let before = api.get(object).await.unwrap();
            api.delete(object, &DeleteParams::default()).await.unwrap();
            let after = until(&format!("{kind} {object} is back"), async || {
                api.get_opt(object).await.unwrap().filter(|after| after.uid() != before.uid())
            })
            .await;
            assert_eq!(lasting(&after), lasting(&before), "{kind} {object}");
        }
    });
}

#[test]
fn every_field_of_ours_that_is_changed_is_repaired_in_place() {
    run(async {
        let world = shared().await;
        let name = unique("repaired");
        let policy = names::OWNER_POLICY;
        let quota = names::RESOURCE_QUOTA;
        let owner = names::OWNER_ROLE_BINDING;
        let mallory =
            json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory@example.com" });
        let jane =
            json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane@example.com" });
        let metadata =
            |field: &str, key: &str, value: Value| json!({ "metadata": { field: { key: value } } });
        let mut damages = vec![
            (Namespace, name.as_str(), metadata("annotations", "owner", json!("mallory@example.com"))),
            (Namespace, &name, metadata("annotations", "owner", Value::Null)),
            (Namespace, &name, metadata("labels", "istio-injection", json!("disabled"))),
            (Namespace, &name, metadata("labels", "istio-injection", Value::Null)),
            (RoleBinding, owner, metadata("annotations", "user", json!("mallory@example.com"))),
            (RoleBinding, owner, metadata("annotations", "role", json!("view"))),
            (RoleBinding, owner, metadata("annotations", "role", Value::Null)),
            (RoleBinding, owner, json!({ "subjects": [mallory] })),
            (RoleBinding, owner, json!({ "subjects": [jane, mallory] })),
            (RoleBinding, owner, json!({ "subjects": null })),
            (RoleBinding, names::DEFAULT_EDITOR, json!({ "subjects": [mallory] })),
            (RoleBinding, names::DEFAULT_VIEWER, json!({ "subjects": [] })),
            (AuthorizationPolicy, policy, metadata("annotations", "user", Value::Null)),
            (AuthorizationPolicy, policy, metadata("annotations", "role", json!("edit"))),
            (
                AuthorizationPolicy,
                policy,
                json!({ "spec": { "selector": { "matchLabels": { "app": "none" } } } }),
            ),
            (AuthorizationPolicy, policy, json!({ "spec": { "action": "DENY" } })),
            (AuthorizationPolicy, policy, json!({ "spec": { "action": null } })),
            (AuthorizationPolicy, policy, json!({ "spec": { "rules": [{}] } })),
            (AuthorizationPolicy, policy, json!({ "spec": { "rules": [] } })),
            (AuthorizationPolicy, policy, json!({ "spec": null })),
            (ResourceQuota, quota, json!({ "spec": { "hard": { "cpu": "100" } } })),
            (ResourceQuota, quota, json!({ "spec": { "hard": { "pods": "1" } } })),
            (ResourceQuota, quota, json!({ "spec": { "hard": null } })),
        ];
        for (kind, object) in OBJECTS.into_iter().chain([(Namespace, name.as_str())]) {
            damages.extend([
                (kind, object, metadata("labels", names::PROFILE_LABEL, Value::Null)),
                (kind, object, metadata("labels", names::PROFILE_LABEL, json!("another"))),
                (kind, object, json!({ "metadata": { "ownerReferences": null } })),
            ]);
        }
        let damaged: BTreeSet<_> = damages.iter().map(|(kind, object, _)| (*kind, *object)).collect();
        assert_eq!(damaged.len(), OBJECTS.len() + 1, "each object at least once");

        limited(world, &name).await;
        for (kind, object, damage) in damages {
            let api = world.owned(&name, kind);
            let before = api.get(object).await.unwrap();
            let damaged = damaged_by(&api, object, &damage).await;
            assert_ne!(lasting(&damaged), lasting(&before), "{kind} {object}: {damage} changes nothing");
            until(&format!("{kind} {object} is repaired after {damage}"), async || {
                let after = api.get_opt(object).await.unwrap()?;
                assert_eq!(after.uid(), before.uid(), "{kind} {object} was replaced after {damage}");
                (lasting(&after) == lasting(&before)).then_some(())
            })
            .await;
        }
    });
}

#[test]
fn what_was_changed_while_no_controller_ran_is_repaired_when_one_starts() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&[]);
        let name = unique("meanwhile");
        let profile = limited(&world, &name).await;
        assert_eq!(controller.stop().await, Some(0));

        // Fields that cannot be changed in place, so that somebody has to have made the object anew.
        let bindings = world.owned(&name, RoleBinding);
        let quotas = world.owned(&name, ResourceQuota);
        let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" });
        let remade = [
            (&bindings, names::OWNER_ROLE_BINDING, json!({ "roleRef": role })),
            (&bindings, names::DEFAULT_VIEWER, json!({ "roleRef": role, "metadata": { "labels": null } })),
            (
                &quotas,
                names::RESOURCE_QUOTA,
                json!({ "spec": { "hard": { "pods": 1 }, "scopes": ["BestEffort"] } }),
            ),
        ];
        let mut before = Vec::new();
        for (api, object, change) in &remade {
            before.push(lasting(&api.get(object).await.unwrap()));
            remake(api, object, change).await;
        }
        // And one object gone, one without our label.
        let accounts = world.owned(&name, ServiceAccount);
        accounts.delete(names::DEFAULT_EDITOR, &DeleteParams::default()).await.unwrap();
        patch(&accounts, names::DEFAULT_VIEWER, json!({ "metadata": { "labels": null } })).await;

        let _controller = world.controller(&[]);
        for ((api, object, _), before) in remade.iter().zip(before) {
            until(&format!("{object} is replaced"), async || {
                api.get_opt(object).await.unwrap().filter(|after| lasting(after) == before)
            })
            .await;
        }
        world.caught_up().await;
        assert!(condition(&world.ready(&name).await, "Ready").is_true());
        world.assert_in_place(&profile).await;
        assert_eq!(accounts.get(names::DEFAULT_VIEWER).await.unwrap().labels()[names::PROFILE_LABEL], name);
    });
}

#[test]
fn what_others_add_to_an_object_of_ours_stays_when_it_is_repaired() {
    run(async {
        let world = shared().await;
        let name = unique("theirs-stays");
        limited(world, &name).await;
        let theirs = json!({ "labels": { "team": "vision" }, "annotations": { "example.com/note": "keep" } });
        for (kind, object) in OBJECTS.into_iter().chain([(Namespace, name.as_str())]) {
            let api = world.owned(&name, kind);
            let mut addition = json!({ "metadata": theirs });
            if kind == ServiceAccount {
                addition["imagePullSecrets"] = json!([{ "name": "registry" }]);
                addition["secrets"] = json!([{ "name": "token" }]);
            }
            let before = damaged_by(&api, object, &addition).await;
            let damage =
                json!({ "metadata": { "labels": { names::PROFILE_LABEL: null }, "ownerReferences": null } });
            damaged_by(&api, object, &damage).await;
            until(&format!("{kind} {object} is repaired, with what others added"), async || {
                let after = api.get(object).await.unwrap();
                (lasting(&after) == lasting(&before)).then_some(())
            })
            .await;
        }
    });
}

#[test]
fn an_event_tells_of_a_repair() {
    run(async {
        let world = shared().await;
        let name = unique("told");
        limited(world, &name).await;
        let told = |events: Vec<(String, String)>, note: &str| {
            events
                .into_iter()
                .any(|(reason, message)| reason == "Updated" && message.contains(note))
                .then_some(())
        };
        let policies = world.owned(&name, AuthorizationPolicy);
        patch(&policies, names::OWNER_POLICY, json!({ "spec": { "action": "DENY" } })).await;
        until("an event tells of the policy", async || {
            told(world.events(&name).await, "AuthorizationPolicy ns-owner-access-istio: apply spec")
        })
        .await;
        let accounts = world.owned(&name, ServiceAccount);
        accounts.delete(names::DEFAULT_EDITOR, &DeleteParams::default()).await.unwrap();
        until("an event tells of the ServiceAccount", async || {
            told(world.events(&name).await, "ServiceAccount default-editor: create")
        })
        .await;
    });
}

#[test]
fn an_object_that_another_controller_took_is_reported_and_the_others_stay_in_repair() {
    run(async {
        let world = shared().await;
        let name = unique("taken");
        limited(world, &name).await;
        let bindings = world.owned(&name, RoleBinding);
        // An owner that is there, or garbage collection deletes the object.
        let account = world.service_accounts(&name).get(names::DEFAULT_VIEWER).await.unwrap();
        let taken = json!([{
            "apiVersion": "v1", "kind": "ServiceAccount", "name": account.name_any(), "uid": account.uid(), "controller": true,
        }]);
        let damage = json!({ "metadata": { "ownerReferences": taken }, "subjects": [] });
        let damaged = damaged_by(&bindings, names::OWNER_ROLE_BINDING, &damage).await;

        let ready = world.not_ready(&name, "ObjectConflict").await;
        for part in ["namespaceAdmin", "ServiceAccount default-viewer", "delete or rename"] {
            assert!(ready.message.contains(part), "{}", ready.message);
        }
        let policies = world.owned(&name, AuthorizationPolicy);
        let policy = policies.get(names::OWNER_POLICY).await.unwrap();
        damaged_by(&policies, names::OWNER_POLICY, &json!({ "spec": { "action": "DENY" } })).await;
        until("the policy is repaired", async || {
            let after = policies.get(names::OWNER_POLICY).await.unwrap();
            (lasting(&after) == lasting(&policy)).then_some(())
        })
        .await;
        let after = bindings.get(names::OWNER_ROLE_BINDING).await.unwrap();
        assert_eq!(after.resource_version(), damaged.resource_version(), "theirs is not touched");

        patch(&bindings, names::OWNER_ROLE_BINDING, json!({ "metadata": { "ownerReferences": null } })).await;
        let profile = world.ready(&name).await;
        world.assert_in_place(&profile).await;
    });
}

/// A ready Profile of jane@example.com with limits, so that it has one of every object.
async fn limited(world: &World, name: &str) -> Profile {
    let profile = serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "owner": { "kind": "User", "name": "jane@example.com" },
            "resourceQuotaSpec": { "hard": { "cpu": 2, "memory": "2Gi" } },
        },
    }))
    .expect("a Profile");
    world.create(profile).await;
    world.ready(name).await
}

/// Changes an object with a merge patch; what it is right after that.
async fn damaged_by(api: &Api<DynamicObject>, name: &str, damage: &Value) -> DynamicObject {
    let damaged = api.patch(name, &PatchParams::default(), &Patch::Merge(damage)).await;
    damaged.unwrap_or_else(|error| panic!("{name}: {damage}: {error}"))
}

/// Deletes an object and creates it again with some fields changed.
async fn remake(api: &Api<DynamicObject>, name: &str, change: &Value) {
    let mut object = lasting(&api.get(name).await.expect("an object"));
    api.delete(name, &DeleteParams::default()).await.expect("deleting");
    for (field, value) in change.as_object().expect("fields") {
        match (field.as_str(), value) {
            ("metadata", Value::Object(metadata)) => {
                metadata.iter().for_each(|(field, value)| object["metadata"][field] = value.clone());
            }
            _ => object[field] = value.clone(),
        }
    }
    let object = serde_json::from_value(object).expect("an object");
    api.create(&PostParams::default(), &object).await.unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// An object without what the API server and the quota controller keep in it.
fn lasting(object: &DynamicObject) -> Value {
    let mut object = json!(object);
    object.as_object_mut().expect("fields").remove("status");
    let metadata = object["metadata"].as_object_mut().expect("fields");
    for field in ["resourceVersion", "uid", "managedFields", "generation", "creationTimestamp"] {
        metadata.remove(field);
    }
    object
}
