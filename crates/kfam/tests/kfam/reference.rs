//! Bindings that the reference has made, and such as people have made by hand: read, changed, deleted.

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{
    Api,
    api::{ApiResource, PostParams},
    core::{DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::harness::{ADMIN, Kfam, Who, World, binding, run, shared, unique, until};

/// What the reference leaves for a contributor: a policy of the older version, without an action.
async fn left_by_reference(world: &World, team: &str, user: &str, role: &str) {
    let slug = user.replace(['@', '.'], "-");
    let name = format!("user-{slug}-clusterrole-{role}");
    let annotations = json!({ "user": user, "role": role });
    let _: RoleBinding = world
        .create(
            team,
            json!({
                "metadata": { "name": name, "annotations": annotations },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": format!("kubeflow-{role}") },
                "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
            }),
        )
        .await;
    let older =
        ApiResource::from_gvk(&GroupVersionKind::gvk("security.istio.io", "v1beta1", "AuthorizationPolicy"));
    let older = ApiResource { plural: "authorizationpolicies".to_owned(), ..older };
    let policy = json!({
        "apiVersion": "security.istio.io/v1beta1", "kind": "AuthorizationPolicy",
        "metadata": { "name": name, "annotations": annotations },
        "spec": { "rules": [{
            "from": [{ "source": { "principals": [
                "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
                "cluster.local/ns/kubeflow/sa/ml-pipeline-ui",
            ] } }],
            "when": [{ "key": "request.headers[kubeflow-userid]", "values": [user] }],
        }] },
    });
    let policy: DynamicObject = serde_json::from_value(policy).unwrap();
    let api: Api<DynamicObject> = Api::namespaced_with(world.admin.clone(), team, &older);
    api.create(&PostParams::default(), &policy).await.unwrap();
}

#[test]
fn contributors_of_the_reference_are_listed_kept_and_removed() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        for (user, role) in
            [("joe@example.com", "edit"), ("ann@example.com", "admin"), ("joe@example.com", "view")]
        {
            left_by_reference(world, &team, user, role).await;
            kfam.knows(user, &team, role).await;
        }
        let seen = kfam.bindings(Who::Dashboard, "?user=joe@example.com&namespace=").await;
        assert!(seen.contains(&format!("{team} User joe@example.com edit")));
        // They count: the admin shares.
        kfam.share(Who::User("ann@example.com"), binding(&team, "pal@example.com", "view")).await.done();
        // They are there: nothing is made beside them.
        kfam.share(Who::User(&owner), binding(&team, "joe@example.com", "edit"))
            .await
            .refused(409, "AlreadyExists");
        // They go, both halves.
        kfam.unshare(Who::User(&owner), binding(&team, "joe@example.com", "edit")).await.done();
        kfam.unshare(Who::User(&owner), binding(&team, "ann@example.com", "admin")).await.done();
        let (mut bindings, mut policies) = world.halves(&team).await;
        bindings.sort_unstable();
        policies.sort_unstable();
        assert_eq!(
            bindings,
            ["user-joe-example-com-clusterrole-view", "user-pal-example-com-clusterrole-view"]
        );
        assert_eq!(bindings, policies);
        kfam.share(Who::User("ann@example.com"), binding(&team, "x@example.com", "view"))
            .await
            .refused(403, "Forbidden");
    });
}

#[test]
fn bindings_made_by_hand_are_listed_or_passed_over_and_never_an_error() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        let user =
            |name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name });
        let both = |user: &str| json!({ "user": user, "role": "edit" });
        for (name, annotations, role, subjects) in [
            ("no-annotations", json!({}), "kubeflow-edit", json!([user("a@x")])),
            ("no-role", json!({ "user": "b@x" }), "kubeflow-edit", json!([user("b@x")])),
            ("no-user", json!({ "role": "edit" }), "kubeflow-edit", json!([user("c@x")])),
            ("no-subject", both("d@x"), "kubeflow-edit", json!([])),
            ("another-subject", both("e@x"), "kubeflow-edit", json!([user("other@x")])),
            ("unknown-role", both("f@x"), "cluster-admin", json!([user("f@x")])),
            ("two-subjects", both("g@x"), "kubeflow-edit", json!([user("h@x"), user("g@x")])),
            ("By.Hand_1", both("i@x"), "kubeflow-edit", json!([user("i@x")])),
            ("another-role", both("j@x"), "kubeflow-view", json!([user("j@x")])),
        ] {
            let role =
                json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role });
            let object = json!({ "metadata": { "name": name, "annotations": annotations }, "roleRef": role, "subjects": subjects });
            let _: RoleBinding = world.create(&team, object).await;
        }
        kfam.knows("j@x", &team, "view").await;
        let mut expected = vec![
            format!("{team} User g@x edit"),
            format!("{team} User i@x edit"),
            format!("{team} User j@x view"),
            format!("{team} User {owner} admin"),
        ];
        expected.sort_unstable();
        assert_eq!(kfam.bindings(Who::Dashboard, &format!("?namespace={team}")).await, expected);
        kfam.share(Who::User(&owner), binding(&team, "j@x", "view")).await.done();
        assert_eq!(world.halves(&team).await.1, ["another-role"], "completed under the name that it has");

        // What others share is not taken from them.
        kfam.unshare(Who::User(ADMIN), binding(&team, "g@x", "edit")).await.refused(409, "SeveralSubjects");
        for name in ["i@x", "j@x"] {
            let role = if name == "i@x" { "edit" } else { "view" };
            kfam.unshare(Who::User(&owner), binding(&team, name, role)).await.done();
        }
        assert!(!world.can("i@x", &[], "create", &team).await);
        assert!(world.can("h@x", &[], "create", &team).await);
    });
}

#[test]
fn what_is_done_with_kubectl_is_seen() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        left_by_reference(world, &team, "joe@example.com", "edit").await;
        kfam.knows("joe@example.com", &team, "edit").await;
        let name = "user-joe-example-com-clusterrole-edit";
        let patch = |body: Value| kube::api::Patch::Merge(body);
        // An annotation goes: it is no binding any more.
        let api = world.role_bindings(&team);
        let without = patch(json!({ "metadata": { "annotations": { "role": null } } }));
        api.patch(name, &Default::default(), &without).await.unwrap();
        gone(kfam, &team).await;
        let with = patch(json!({ "metadata": { "annotations": { "role": "edit" } } }));
        api.patch(name, &Default::default(), &with).await.unwrap();
        kfam.knows("joe@example.com", &team, "edit").await;
        api.delete(name, &Default::default()).await.unwrap();
        gone(kfam, &team).await;
    });
}

async fn gone(kfam: &Kfam, team: &str) {
    until("the binding is not listed any more", async || {
        let listed = kfam.bindings(Who::Dashboard, &format!("?namespace={team}&user=joe@example.com")).await;
        listed.is_empty().then_some(())
    })
    .await;
}
