//! What users rely on: who may do what in a Profile's namespace, as the API server decides it.

use k8s_openapi::api::{
    core::v1::{Namespace, Pod, ResourceQuota},
    rbac::v1::RoleBinding,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use profile_api::{Profile, ProfileSpec, Subject};
use serde_json::{Value, json};

use crate::harness::{World, allowed, pod, run, shared, unique, until};

#[test]
fn an_owner_creates_pods_in_the_own_namespace_and_not_in_a_neighbours() {
    run(async {
        let world = shared().await;
        let (mine, theirs) = (unique("mine"), unique("theirs"));
        let (jane, joe) = (format!("{mine}@example.com"), format!("{theirs}@example.com"));
        world.ready_profile(&mine, &jane).await;
        world.ready_profile(&theirs, &joe).await;
        let jane = world.cluster.user(&jane, &[]).await.unwrap();
        let joe = world.cluster.user(&joe, &[]).await.unwrap();

        until("each creates a pod at home", async || creates_pod(&jane, &mine, "home").await.then_some(()))
            .await;
        until("each creates a pod at home", async || creates_pod(&joe, &theirs, "home").await.then_some(()))
            .await;
        for (visitor, namespace) in [(&jane, &theirs), (&joe, &mine)] {
            assert!(!creates_pod(visitor, namespace, "away").await);
            assert!(!lists_pods(visitor, namespace).await);
        }
        let stranger = world.cluster.user("stranger@example.com", &[]).await.unwrap();
        assert!(!lists_pods(&stranger, &mine).await);
    });
}

#[test]
fn every_member_of_an_owning_group_gets_in_and_nobody_else() {
    run(async {
        let world = shared().await;
        let name = unique("group-home");
        let group = format!("{name}@groups.example.com");
        world.create(Profile::new(&name, ProfileSpec::owned_by(Subject::group(&group)))).await;
        world.ready(&name).await;
        for member in ["jane@example.com", "joe@example.com"] {
            let member = world.cluster.user(member, &["everybody", &group]).await.unwrap();
            let pod = unique("pod");
            until("a member creates a pod", async || creates_pod(&member, &name, &pod).await.then_some(()))
                .await;
        }
        let outsider = world.cluster.user("jane@example.com", &["everybody"]).await.unwrap();
        assert!(!lists_pods(&outsider, &name).await);
        let namesake = world.cluster.user(&group, &[]).await.unwrap();
        assert!(!lists_pods(&namesake, &name).await, "a user called like the group is not a member");
    });
}

#[test]
fn a_pod_of_default_editor_may_change_things_but_give_access_to_nobody() {
    run(async {
        let world = shared().await;
        let name = unique("editor");
        world.ready_profile(&name, "a@example.com").await;
        let editor = world.cluster.service_account(&name, "default-editor").await.unwrap();
        until("it creates a pod", async || creates_pod(&editor, &name, "step").await.then_some(())).await;
        assert!(lists_pods(&editor, &name).await);
        assert!(!creates_binding(&editor, &name, "kubeflow-view").await);
        let neighbour = unique("editor-next-door");
        world.ready_profile(&neighbour, "b@example.com").await;
        assert!(!lists_pods(&editor, &neighbour).await);
    });
}

#[test]
fn a_pod_of_default_viewer_may_look_and_nothing_else() {
    run(async {
        let world = shared().await;
        let name = unique("viewer");
        world.ready_profile(&name, "a@example.com").await;
        world.furnished(&name).await;
        let viewer = world.cluster.service_account(&name, "default-viewer").await.unwrap();
        until("it lists pods", async || lists_pods(&viewer, &name).await.then_some(())).await;
        assert!(!creates_pod(&viewer, &name, "step").await);
        assert!(!creates_binding(&viewer, &name, "kubeflow-view").await);
    });
}

#[test]
fn an_owner_shares_the_namespace_but_cannot_give_away_more_than_they_have() {
    run(async {
        let world = shared().await;
        let (name, owner) = owned(world, "sharing").await;
        until("the owner lets somebody look", async || {
            creates_binding(&owner, &name, "kubeflow-view").await.then_some(())
        })
        .await;
        assert!(!creates_binding(&owner, &name, "cluster-admin").await);
    });
}

#[test]
fn the_quota_refuses_the_pod_that_is_too_much() {
    run(async {
        let world = shared().await;
        let name = unique("limited");
        let profile: Profile = serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": { "owner": { "kind": "User", "name": name }, "resourceQuotaSpec": { "hard": { "cpu": 2 } } },
        }))
        .unwrap();
        world.create(profile).await;
        world.ready(&name).await;
        until("the quota is in force", async || {
            let quota = world.quotas(&name).get("kf-resource-quota").await.unwrap();
            quota.status?.hard.filter(|hard| hard.contains_key("cpu"))
        })
        .await;
        let owner = world.cluster.user(&name, &[]).await.unwrap();
        until("a pod within the limit", async || creates_pod(&owner, &name, "fits").await.then_some(()))
            .await;
        let pods: Api<Pod> = Api::namespaced(owner, &name);
        let error = pods.create(&PostParams::default(), &pod("too-much", "1500m")).await.unwrap_err();
        let kube::Error::Api(refusal) = error else { panic!("{error}") };
        assert_eq!(refusal.code, 403);
        assert!(refusal.message.contains("exceeded quota: kf-resource-quota"), "{}", refusal.message);
        assert!(pods.get_opt("too-much").await.unwrap().is_none());
    });
}

#[test]
fn an_owner_can_neither_change_nor_delete_what_binds_them() {
    run(async {
        let world = shared().await;
        let (name, owner) = owned(world, "bound").await;
        world.patch_spec(&name, json!({ "resourceQuotaSpec": { "hard": { "cpu": 1 } } })).await;
        world.ready(&name).await;
        until("the owner is in", async || lists_pods(&owner, &name).await.then_some(())).await;

        let profiles: Api<Profile> = Api::all(owner.clone());
        let namespaces: Api<Namespace> = Api::all(owner.clone());
        let quotas: Api<ResourceQuota> = Api::namespaced(owner.clone(), &name);
        let more = json!({ "spec": { "resourceQuotaSpec": { "hard": { "cpu": 100 } } } });
        let adopt = json!({ "metadata": { "annotations": { "profiles.kubeflow.org/adopt": "another" } } });
        let lifted = json!({ "spec": { "hard": { "cpu": "100" } } });
        let as_owner = PatchParams::default();
        let before = world.contents(&name).await;
        assert!(!allowed(profiles.patch(&name, &as_owner, &Patch::Merge(&more)).await));
        assert!(!allowed(
            profiles.patch_status(&name, &as_owner, &Patch::Merge(&json!({ "status": {} }))).await
        ));
        assert!(!allowed(profiles.delete(&name, &DeleteParams::default()).await));
        assert!(!allowed(namespaces.patch(&name, &as_owner, &Patch::Merge(&adopt)).await));
        assert!(!allowed(namespaces.delete(&name, &DeleteParams::default()).await));
        assert!(!allowed(quotas.patch("kf-resource-quota", &as_owner, &Patch::Merge(&lifted)).await));
        assert!(!allowed(quotas.delete("kf-resource-quota", &DeleteParams::default()).await));
        let changed = changed_specs(&before, &world.contents(&name).await);
        assert_eq!(changed, Vec::<String>::new());
    });
}

/// A ready Profile and a client of its owner, who owns nothing else.
async fn owned(world: &World, beginning: &str) -> (String, Client) {
    let name = unique(beginning);
    let owner = format!("{name}@example.com");
    world.ready_profile(&name, &owner).await;
    let client = world.cluster.user(&owner, &[]).await.expect("a client");
    (name, client)
}

async fn lists_pods(client: &Client, namespace: &str) -> bool {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    allowed(pods.list(&ListParams::default()).await)
}

async fn creates_pod(client: &Client, namespace: &str, name: &str) -> bool {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    allowed(pods.create(&PostParams::default(), &pod(name, "1")).await)
}

async fn creates_binding(client: &Client, namespace: &str, role: &str) -> bool {
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    let binding = serde_json::from_value(json!({
        "metadata": { "name": unique("access") },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "friend@example.com" }],
    }))
    .expect("a RoleBinding");
    allowed(bindings.create(&PostParams::default(), &binding).await)
}

/// The objects whose `spec` is not what it was, or that are not there any more.
fn changed_specs(
    before: &std::collections::BTreeMap<String, Value>,
    after: &std::collections::BTreeMap<String, Value>,
) -> Vec<String> {
    let spec = |object: &Value| (object["metadata"]["uid"].clone(), object["spec"].clone());
    let changed = before.iter().filter(|(key, object)| after.get(*key).map(spec) != Some(spec(object)));
    changed.map(|(key, _)| key.clone()).collect()
}
