//! Access follows `spec.owner`: the new owner gets in, and the old one has nothing left.

use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PostParams},
};
use profile_api::{Profile, names};
use serde_json::{Value, json};

use crate::harness::{World, allowed, pod, run, shared, unique, until};

#[test]
fn another_user_becomes_the_owner_and_the_old_one_is_shut_out() {
    run(async {
        let world = shared().await;
        let name = unique("to-user");
        let (old, new) = (unique("old"), unique("new"));
        let client = world.cluster.user(&new, &[]).await.unwrap();
        let owner = json!({ "kind": "User", "name": new });
        let profile = hand_over(world, &name, &old, owner, &client).await;

        let subject = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": new });
        assert_eq!(admins(world, &name).await, json!([subject]));
        assert_eq!(annotated_owners(world, &name).await, [new.as_str(); 3]);
        let rules = &policy(world, &name).await["rules"];
        assert_eq!(rules.as_array().unwrap().len(), 4);
        assert_eq!(rules[0]["when"], json!([{ "key": "request.headers[kubeflow-userid]", "values": [new] }]));
        world.assert_in_place(&profile).await;
    });
}

#[test]
fn a_group_becomes_the_owner_and_the_user_is_shut_out() {
    run(async {
        let world = shared().await;
        let name = unique("to-group");
        let (old, group) = (unique("old"), unique("group"));
        let client = world.cluster.user("member@example.com", &[&group]).await.unwrap();
        let owner = json!({ "kind": "Group", "name": group });
        let profile = hand_over(world, &name, &old, owner, &client).await;

        let subject = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group });
        assert_eq!(admins(world, &name).await, json!([subject]));
        assert_eq!(annotated_owners(world, &name).await, [group.as_str(); 3]);
        assert_eq!(
            policy(world, &name).await["rules"].as_array().unwrap().len(),
            3,
            "no rule for a user any more"
        );
        world.assert_in_place(&profile).await;
    });
}

#[test]
fn a_service_account_becomes_the_owner_and_the_user_is_shut_out() {
    run(async {
        let world = shared().await;
        let name = unique("to-robot");
        let (old, home) = (unique("old"), unique("ci"));
        world.create_namespace(&home, json!({})).await;
        let mut account = ServiceAccount::default();
        account.metadata.name = Some("runner".to_owned());
        world.service_accounts(&home).create(&PostParams::default(), &account).await.unwrap();
        let client = world.cluster.service_account(&home, "runner").await.unwrap();
        let owner =
            json!({ "apiGroup": null, "kind": "ServiceAccount", "name": "runner", "namespace": home });
        let profile = hand_over(world, &name, &old, owner, &client).await;

        let subject = json!({ "kind": "ServiceAccount", "name": "runner", "namespace": home });
        assert_eq!(admins(world, &name).await, json!([subject]));
        assert_eq!(annotated_owners(world, &name).await, ["runner"; 3]);
        let principals = json!([format!("cluster.local/ns/{home}/sa/runner")]);
        let rules = &policy(world, &name).await["rules"];
        assert_eq!(rules[0], json!({ "from": [{ "source": { "principals": principals } }] }));
        world.assert_in_place(&profile).await;
    });
}

#[test]
fn two_changes_in_quick_succession_end_in_the_last_one() {
    run(async {
        let world = shared().await;
        let name = unique("twice");
        let [first, second, third] = ["first", "second", "third"].map(unique);
        world.ready_profile(&name, &first).await;
        world.patch_spec(&name, json!({ "owner": { "name": second } })).await;
        world.patch_spec(&name, json!({ "owner": { "name": third } })).await;
        let profile = world.ready(&name).await;
        world.assert_in_place(&profile).await;
        assert_eq!(admins(world, &name).await[0]["name"], json!(third));
        assert_eq!(annotated_owners(world, &name).await, [third.as_str(); 3]);
        for gone in [first, second] {
            assert_eq!(mentions(world, &name, &gone).await, Vec::<String>::new());
        }
    });
}

#[test]
fn an_owner_who_is_changed_and_changed_back_is_in_again() {
    run(async {
        let world = shared().await;
        let name = unique("back");
        let (jane, joe) = (unique("jane"), unique("joe"));
        let client = world.cluster.user(&joe, &[]).await.unwrap();
        hand_over(world, &name, &jane, json!({ "name": joe }), &client).await;
        world.patch_spec(&name, json!({ "owner": { "name": jane } })).await;
        world.ready(&name).await;
        let jane = world.cluster.user(&jane, &[]).await.unwrap();
        until("the first owner is in again", async || lists_pods(&jane, &name).await.then_some(())).await;
        until("the second owner is out", async || (!lists_pods(&client, &name).await).then_some(())).await;
    });
}

/// Makes a Profile of a user, hands it over, and sees that access has followed: `new_client` is one of the new owner.
async fn hand_over(world: &World, name: &str, old: &str, new: Value, new_client: &Client) -> Profile {
    world.ready_profile(name, old).await;
    world.furnished(name).await;
    let old_client = world.cluster.user(old, &[]).await.expect("a client");
    until("the old owner is in", async || creates_pod(&old_client, name).await.then_some(())).await;
    assert!(!lists_pods(new_client, name).await, "the new owner is not in yet");
    let namespace = world.namespaces().get(name).await.expect("a namespace");

    world.patch_spec(name, json!({ "owner": new })).await;
    let profile = world.ready(name).await;
    assert_eq!(mentions(world, name, old).await, Vec::<String>::new());
    assert_eq!(world.namespaces().get(name).await.expect("a namespace").uid(), namespace.uid());
    until("the new owner is in", async || creates_pod(new_client, name).await.then_some(())).await;
    assert!(lists_pods(new_client, name).await);
    until("the old owner is out", async || (!lists_pods(&old_client, name).await).then_some(())).await;
    assert!(!creates_pod(&old_client, name).await);
    profile
}

/// The objects in which a name occurs.
async fn mentions(world: &World, namespace: &str, name: &str) -> Vec<String> {
    let contents = world.contents(namespace).await.into_iter();
    let mentioning = contents.filter(|(_, object)| object.to_string().contains(&format!("\"{name}\"")));
    mentioning.map(|(key, _)| key).collect()
}

async fn admins(world: &World, name: &str) -> Value {
    json!(world.role_bindings(name).get(names::OWNER_ROLE_BINDING).await.expect("a RoleBinding").subjects)
}

async fn policy(world: &World, name: &str) -> Value {
    json!(world.policies(name).get(names::OWNER_POLICY).await.expect("a policy").spec)
}

/// The owner as the annotations of the namespace, the RoleBinding and the policy name them.
async fn annotated_owners(world: &World, name: &str) -> [String; 3] {
    let namespace = world.namespaces().get(name).await.expect("a namespace");
    let binding = world.role_bindings(name).get(names::OWNER_ROLE_BINDING).await.expect("a RoleBinding");
    let policy = world.policies(name).get(names::OWNER_POLICY).await.expect("a policy");
    [
        namespace.annotations()[names::OWNER_ANNOTATION].clone(),
        binding.annotations()[names::USER_ANNOTATION].clone(),
        policy.annotations()[names::USER_ANNOTATION].clone(),
    ]
}

async fn lists_pods(client: &Client, namespace: &str) -> bool {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    allowed(pods.list(&ListParams::default()).await)
}

async fn creates_pod(client: &Client, namespace: &str) -> bool {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    allowed(pods.create(&PostParams::default(), &pod(&unique("pod"), "1")).await)
}
