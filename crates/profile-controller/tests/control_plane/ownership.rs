//! Whose namespace it is: nobody's is taken over, what was handed over or restored is taken up again.

use std::collections::BTreeMap;

use futures::future::{join, join_all};
use k8s_openapi::api::{
    core::v1::{ConfigMap, ServiceAccount},
    rbac::v1::{ClusterRole, RoleBinding},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};
use profile_api::{Profile, names};
use serde_json::{Value, json};

use crate::harness::{World, patch, run, shared, unique, until};

const OWNER: &str = "jane@example.com";

/// What makes a namespace somebody else's: its metadata, and what the status has to say about it.
struct Foreign {
    what: &'static str,
    metadata: Value,
    found: String,
    advice: &'static str,
}

#[test]
fn somebody_elses_namespace_is_not_touched_and_the_status_says_what_to_do() {
    run(async {
        let world = shared().await;
        let role = Api::<ClusterRole>::all(world.admin.clone()).get("kubeflow-view").await.unwrap();
        let neighbour = unique("neighbour");
        let neighbours_uid = world.ready_profile(&neighbour, OWNER).await.uid().unwrap();
        let controlled = |api_version: &str, kind: &str, name: &str, uid: &str| {
            let reference = json!({ "apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true });
            json!({ "annotations": { "owner": OWNER }, "ownerReferences": [reference] })
        };
        let hand_over = "annotate it with profiles.kubeflow.org/adopt=";
        let release = "remove that owner reference";
        for Foreign { what, metadata, found, advice } in [
            Foreign {
                what: "no marks",
                metadata: json!({}),
                found: "it has no owner annotation".to_owned(),
                advice: hand_over,
            },
            Foreign {
                what: "another owner",
                metadata: json!({ "annotations": { "owner": "joe@example.com" } }),
                found: "its annotation names the owner \"joe@example.com\"".to_owned(),
                advice: hand_over,
            },
            Foreign {
                what: "the owner in another case",
                metadata: json!({ "annotations": { "owner": "Jane@example.com" } }),
                found: "its annotation names the owner \"Jane@example.com\"".to_owned(),
                advice: hand_over,
            },
            Foreign {
                what: "handed to another Profile",
                metadata: json!({ "annotations": { "profiles.kubeflow.org/adopt": neighbour } }),
                found: "it has no owner annotation".to_owned(),
                advice: hand_over,
            },
            Foreign {
                what: "labelled like ours",
                metadata: json!({ "labels": { names::PROFILE_LABEL: neighbour } }),
                found: "it has no owner annotation".to_owned(),
                advice: hand_over,
            },
            Foreign {
                what: "managed by another controller",
                metadata: controlled(
                    "rbac.authorization.k8s.io/v1",
                    "ClusterRole",
                    "kubeflow-view",
                    &role.uid().unwrap(),
                ),
                found: "it is managed by ClusterRole kubeflow-view".to_owned(),
                advice: release,
            },
            Foreign {
                what: "owned by another Profile that lives",
                metadata: controlled("kubeflow.org/v1", "Profile", &neighbour, &neighbours_uid),
                found: format!("it is managed by Profile {neighbour}"),
                advice: release,
            },
        ] {
            let name = unique("foreign");
            world.create_namespace(&name, metadata).await;
            fill(world, &name).await;
            let before = world.contents(&name).await;

            world.create_profile(&name, OWNER).await;
            let ready = world.not_ready(&name, "NamespaceNotOwned").await;
            for part in [name.as_str(), OWNER, &found, advice, "choose another name"] {
                assert!(ready.message.contains(part), "{what}: no {part:?} in {:?}", ready.message);
            }
            world.caught_up().await;
            assert_eq!(world.contents(&name).await, before, "{what}");

            world.delete_profile(&name).await;
            world.caught_up().await;
            assert_eq!(world.contents(&name).await, before, "{what}, after the Profile was deleted");
        }
    });
}

#[test]
fn a_namespace_that_an_admin_hands_over_is_adopted_with_what_is_in_it() {
    run(async {
        let world = shared().await;
        let name = unique("adopted");
        let metadata = json!({
            "labels": { "team": "vision" },
            "annotations": { "owner": "joe@example.com", "note": "keep" },
        });
        world.create_namespace(&name, metadata).await;
        fill(world, &name).await;
        let before = world.contents(&name).await;
        world.create_profile(&name, OWNER).await;
        let advice = world.not_ready(&name, "NamespaceNotOwned").await.message;
        assert!(advice.contains(&format!("{}={name}", names::ADOPT_ANNOTATION)), "{advice}");
        world.caught_up().await;
        assert_eq!(world.contents(&name).await, before);

        let adopt = json!({ "metadata": { "annotations": { names::ADOPT_ANNOTATION: name } } });
        patch(&world.namespaces(), &name, adopt).await;
        let profile = world.ready(&name).await;
        world.assert_in_place(&profile).await;

        let after = world.contents(&name).await;
        assert_eq!(after["ConfigMap theirs"], before["ConfigMap theirs"]);
        assert_eq!(after["RoleBinding theirs"], before["RoleBinding theirs"]);
        let metadata = &after["Namespace"]["metadata"];
        assert_eq!(metadata["uid"], before["Namespace"]["metadata"]["uid"]);
        assert_eq!(
            (&metadata["labels"]["team"], &metadata["annotations"]["note"]),
            (&json!("vision"), &json!("keep"))
        );
        assert_eq!(owner_uids(&after["Namespace"]), [profile.uid().unwrap()]);
        let binding = world.role_bindings(&name).get("namespaceAdmin").await.unwrap();
        assert_eq!(binding.role_ref.name, "kubeflow-admin", "the one that was there gave another role");
        assert_eq!(json!(binding.subjects)[0]["name"], OWNER);
    });
}

#[test]
fn a_namespace_with_the_owners_annotation_and_no_owner_reference_is_taken_up() {
    run(async {
        let world = shared().await;
        let name = unique("left");
        let metadata = json!({ "annotations": { "owner": OWNER } });
        let namespace = world.create_namespace(&name, metadata).await;
        fill(world, &name).await;
        let before = world.contents(&name).await;
        let profile = world.ready_profile(&name, OWNER).await;
        world.assert_in_place(&profile).await;
        let after = world.contents(&name).await;
        assert_eq!(after["ConfigMap theirs"], before["ConfigMap theirs"]);
        assert_eq!(after["Namespace"]["metadata"]["uid"], json!(namespace.uid()));
    });
}

/// While nothing is garbage collected, Profiles are deleted and created again: the same contents with new UIDs, as when a
/// backup is restored.
#[test]
fn a_restored_backup_is_taken_up_and_garbage_collection_leaves_it_alone() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&[]);
        let (labelled, unlabelled) = (unique("restored"), unique("restored"));
        let names = [&labelled, &unlabelled];
        let mut stale_uids = Vec::new();
        for name in names {
            let profile = world.create(limited(name)).await;
            stale_uids.push(profile.uid().unwrap());
            world.ready(name).await;
            world.furnished(name).await;
        }
        assert_eq!(controller.stop().await, Some(0));
        remove_labels(&world, &unlabelled).await;
        world.cluster.stop_controller_manager();
        for (name, stale_uid) in names.into_iter().zip(&stale_uids) {
            let reference =
                json!({ "apiVersion": "kubeflow.org/v1", "kind": "Profile", "name": name, "uid": stale_uid });
            create_config_map(&world, name, json!({ "name": "stale", "ownerReferences": [reference] })).await;
            world.delete_profile(name).await;
            world.create(limited(name)).await;
        }
        let before = [world.contents(&labelled).await, world.contents(&unlabelled).await];

        let _controller = world.controller(&[]);
        let profiles = [world.ready(&labelled).await, world.ready(&unlabelled).await];
        world.cluster.start_controller_manager().unwrap();
        for name in names {
            until("garbage collection is at work", async || {
                let maps: Api<ConfigMap> = world.namespaced(name);
                maps.get_opt("stale").await.unwrap().is_none().then_some(())
            })
            .await;
        }
        world.caught_up().await;
        for ((profile, stale_uid), before) in profiles.iter().zip(&stale_uids).zip(before) {
            let uid = profile.uid().unwrap();
            assert_ne!(uid, *stale_uid);
            world.assert_in_place(profile).await;
            let after = world.contents(&profile.name_any()).await;
            assert_eq!(after["Namespace"]["metadata"]["deletionTimestamp"], Value::Null);
            let ours: Vec<_> = before
                .iter()
                .filter(|(key, object)| {
                    owner_uids(object) == [stale_uid.as_str()] && *key != "ConfigMap stale"
                })
                .collect();
            assert_eq!(ours.len(), 8, "{:?}", before.keys());
            for (key, object) in ours {
                assert_eq!(after[key]["metadata"]["uid"], object["metadata"]["uid"], "{key}");
                assert_eq!(owner_uids(&after[key]), [uid.as_str()], "{key}");
            }
        }
    });
}

#[test]
fn a_namespace_that_is_going_away_is_waited_for_and_created_again() {
    run(async {
        let world = shared().await;
        let name = unique("going");
        let profile = world.ready_profile(&name, OWNER).await;
        create_config_map(world, &name, json!({ "name": "holding", "finalizers": ["example.com/hold"] }))
            .await;
        let first = world.namespaces().get(&name).await.unwrap();
        world.namespaces().delete(&name, &DeleteParams::default()).await.unwrap();

        let ready = world.not_ready(&name, "NamespaceTerminating").await;
        assert!(ready.message.contains("will be created again once it is gone"), "{}", ready.message);
        until("only what holds it is left in it", async || {
            world.role_bindings(&name).list(&Default::default()).await.unwrap().items.is_empty().then_some(())
        })
        .await;
        world.caught_up().await;
        let bindings = world.role_bindings(&name).list(&Default::default()).await.unwrap();
        assert!(bindings.items.is_empty(), "nothing is created in a namespace that goes away");

        let maps: Api<ConfigMap> = world.namespaced(&name);
        patch(&maps, "holding", json!({ "metadata": { "finalizers": null } })).await;
        world.ready(&name).await;
        world.assert_in_place(&profile).await;
        assert_ne!(world.namespaces().get(&name).await.unwrap().uid(), first.uid());
    });
}

#[test]
fn a_namespace_that_was_deleted_by_hand_is_created_again_with_everything_in_it() {
    run(async {
        let world = shared().await;
        let name = unique("deleted-by-hand");
        world.create(limited(&name)).await;
        let profile = world.ready(&name).await;
        let first = world.namespaces().get(&name).await.unwrap();
        world.namespaces().delete(&name, &DeleteParams::default()).await.unwrap();
        world.not_ready(&name, "NamespaceTerminating").await;
        world.ready(&name).await;
        world.assert_in_place(&profile).await;
        assert_ne!(world.namespaces().get(&name).await.unwrap().uid(), first.uid());
    });
}

#[test]
fn reserved_names_are_refused_until_the_platform_says_otherwise() {
    run(async {
        let world = World::start().await;
        world.create_namespace("istio-system", json!({})).await;
        let existing = ["default", "kube-system", "istio-system"];
        let mut before = Vec::new();
        for name in existing {
            // The marks that would make any other namespace the Profile's.
            let marks =
                json!({ "metadata": { "annotations": { "owner": OWNER, names::ADOPT_ANNOTATION: name } } });
            patch(&world.namespaces(), name, marks).await;
            before.push(world.contents(name).await);
        }

        let controller = world.controller(&[]);
        for name in ["default", "kube-system", "istio-system", "kubeflow", "kube-anything"] {
            world.create_profile(name, OWNER).await;
            let ready = world.not_ready(name, "ReservedName").await;
            for part in [name, "is reserved", "choose another name"] {
                assert!(ready.message.contains(part), "{:?}", ready.message);
            }
        }
        world.caught_up().await;
        for (name, before) in existing.into_iter().zip(before) {
            assert_eq!(world.contents(name).await, before, "{name}");
        }
        for name in ["kubeflow", "kube-anything"] {
            assert!(world.namespaces().get_opt(name).await.unwrap().is_none(), "{name}");
        }

        assert_eq!(controller.stop().await, Some(0));
        let _controller = world.controller(&["--reserved-names=default,kube-*,istio-system,shared-*"]);
        world.create_profile("shared-models", OWNER).await;
        world.not_ready("shared-models", "ReservedName").await;
        let profile = world.ready("kubeflow").await;
        world.assert_in_place(&profile).await;
        world.not_ready("default", "ReservedName").await;
        assert!(world.namespaces().get_opt("shared-models").await.unwrap().is_none());
    });
}

#[test]
fn of_two_who_create_a_namespace_at_once_one_gets_all_of_it() {
    run(async {
        let world = shared().await;
        let names: Vec<String> = (0..20).map(|_| unique("race")).collect();
        let races = names.iter().enumerate().map(|(index, name)| async move {
            let somebody = async {
                let mut namespace = k8s_openapi::api::core::v1::Namespace::default();
                namespace.metadata.name = Some(name.clone());
                match world.namespaces().create(&PostParams::default(), &namespace).await {
                    Ok(namespace) => Some(namespace),
                    Err(kube::Error::Api(status)) if status.code == 409 => None,
                    Err(error) => panic!("{name}: {error}"),
                }
            };
            // Each is the first to ask in half of the races.
            if index % 2 == 0 {
                join(world.create_profile(name, OWNER), somebody).await.1
            } else {
                join(somebody, world.create_profile(name, OWNER)).await.0
            }
        });
        for (name, theirs) in names.iter().zip(join_all(races).await) {
            match theirs {
                Some(namespace) => {
                    world.not_ready(name, "NamespaceNotOwned").await;
                    world.furnished(name).await;
                    let contents = world.contents(name).await;
                    assert_eq!(contents["Namespace"], json!(namespace), "it is as they created it");
                    let keys: Vec<_> = contents.keys().map(String::as_str).collect();
                    assert_eq!(keys, ["Namespace", "ServiceAccount default"], "{name}");
                }
                None => world.assert_in_place(&world.ready(name).await).await,
            }
        }
    });
}

/// A Profile with limits, so that it has one of every object.
fn limited(name: &str) -> Profile {
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": { "owner": { "kind": "User", "name": OWNER }, "resourceQuotaSpec": { "hard": { "cpu": 2 } } },
    }))
    .expect("a Profile")
}

/// Puts into a namespace what somebody else might have there, under names of ours too.
async fn fill(world: &World, namespace: &str) {
    create_config_map(world, namespace, json!({ "name": "theirs" })).await;
    for name in ["theirs", names::OWNER_ROLE_BINDING] {
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubeflow-view" },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "joe@example.com" }],
        }))
        .expect("a RoleBinding");
        world.role_bindings(namespace).create(&PostParams::default(), &binding).await.expect("creating");
    }
    let mut account = ServiceAccount::default();
    account.metadata.name = Some(names::DEFAULT_EDITOR.to_owned());
    world.service_accounts(namespace).create(&PostParams::default(), &account).await.expect("creating");
}

async fn create_config_map(world: &World, namespace: &str, metadata: Value) {
    let map: ConfigMap = serde_json::from_value(json!({ "metadata": metadata, "data": { "key": "value" } }))
        .expect("a ConfigMap");
    world.namespaced(namespace).create(&PostParams::default(), &map).await.expect("creating");
}

/// Takes our label off the namespace and everything in it, as the Go controller would have left them.
async fn remove_labels(world: &World, name: &str) {
    let unlabelled = json!({ "metadata": { "labels": { names::PROFILE_LABEL: null } } });
    for kind in profile_render::OwnedKind::ALL {
        let api = world.owned(name, kind);
        let labelled = kube::api::ListParams::default().labels(&format!("{}={name}", names::PROFILE_LABEL));
        for object in api.list(&labelled).await.expect("listing") {
            patch(&api, &object.name_any(), unlabelled.clone()).await;
        }
    }
    let contents: BTreeMap<String, Value> = world.contents(name).await;
    let left =
        contents.values().filter(|object| object["metadata"]["labels"].get(names::PROFILE_LABEL).is_some());
    assert_eq!(left.count(), 0);
}

fn owner_uids(object: &Value) -> Vec<&str> {
    let references = object["metadata"]["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
    references.iter().filter_map(|reference| reference["uid"].as_str()).collect()
}
