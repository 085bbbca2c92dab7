//! Sharing a namespace: both objects or none, under the names of the reference.

use kube::{ResourceExt, api::DeleteParams};
use profile_render::{
    Owner,
    contributor::{Role, contributor_binding, contributor_policy},
    mesh::AuthorizationPolicy,
};
use serde_json::json;

use crate::harness::{ADMIN, Who, binding, platform, run, shared, unique, until};

#[test]
fn a_contributor_gets_in_and_is_shut_out_again() {
    run(async {
        let (world, kfam) = shared().await;
        let (owner, guest) = (unique("owner@example.com"), "joe.doe@example.com");
        let team = world.team(kfam, &owner).await;
        assert!(!world.can(guest, &[], "create", &team).await);
        kfam.share(Who::User(&owner), binding(&team, guest, "edit")).await.done();
        assert!(world.can(guest, &[], "create", &team).await);
        let name = "user-joe-doe-example-com-clusterrole-edit";
        assert_eq!(world.halves(&team).await, (vec![name.to_owned()], vec![name.to_owned()]));

        // Each object whole, as it is rendered.
        let subject = Owner::User(guest.to_owned());
        let expected = contributor_binding(&team, name, &subject, Role::Edit);
        let made = world.role_bindings(&team).get(name).await.unwrap();
        assert_eq!((made.role_ref, made.subjects), (expected.role_ref, expected.subjects));
        assert_eq!(made.metadata.annotations, expected.metadata.annotations);
        let expected = contributor_policy(&team, name, &subject, Role::Edit, &platform()).unwrap();
        let made = world.policies(&team).get(name).await.unwrap();
        assert_eq!(made.spec, expected.spec);
        assert_eq!(made.metadata.annotations, expected.metadata.annotations);

        // A read after the write sees it at once.
        let seen = kfam.bindings(Who::Dashboard, &format!("?namespace={team}")).await;
        assert_eq!(seen, [format!("{team} User {guest} edit"), format!("{team} User {owner} admin")]);
        kfam.share(Who::User(&owner), binding(&team, guest, "edit")).await.refused(409, "AlreadyExists");

        kfam.unshare(Who::User(&owner), binding(&team, guest, "edit")).await.done();
        assert_eq!(kfam.bindings(Who::Dashboard, &format!("?user={guest}&namespace={team}")).await, [""; 0]);
        assert_eq!(world.halves(&team).await, (vec![], vec![]));
        assert!(!world.can(guest, &[], "create", &team).await);
        kfam.unshare(Who::User(&owner), binding(&team, guest, "edit")).await.refused(404, "NotFound");
    });
}

#[test]
fn one_with_the_role_admin_shares_too_and_one_with_less_does_not() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        let (admin, editor, viewer) = ("admin@x.com", "editor@x.com", "viewer@x.com");
        for (user, role) in [(admin, "admin"), (editor, "edit"), (viewer, "view")] {
            kfam.share(Who::User(&owner), binding(&team, user, role)).await.done();
        }
        for role in ["admin", "edit", "view"] {
            for caller in [editor, viewer, "stranger@x.com"] {
                let answer = kfam.share(Who::User(caller), binding(&team, "eve@x.com", role)).await;
                answer.refused(403, "Forbidden");
                kfam.unshare(Who::User(caller), binding(&team, admin, "admin"))
                    .await
                    .refused(403, "Forbidden");
            }
            kfam.share(Who::User(admin), binding(&team, "pal@x.com", role)).await.done();
            kfam.unshare(Who::User(ADMIN), binding(&team, "pal@x.com", role)).await.done();
        }
        // One whose role is taken away is no admin from that moment on.
        kfam.unshare(Who::User(&owner), binding(&team, admin, "admin")).await.done();
        kfam.share(Who::User(admin), binding(&team, "pal@x.com", "view")).await.refused(403, "Forbidden");
        // The owner cannot be shut out.
        kfam.unshare(Who::User(editor), binding(&team, &owner, "admin")).await.refused(403, "Forbidden");
        kfam.unshare(Who::User(ADMIN), binding(&team, &owner, "admin")).await.refused(409, "OwnersAccess");
        kfam.share(Who::User(ADMIN), binding(&team, &owner, "admin")).await.refused(409, "AlreadyExists");
        assert!(world.can(&owner, &[], "create", &team).await);
    });
}

#[test]
fn the_owner_of_a_profile_whose_namespace_is_somebody_elses_shares_nothing() {
    run(async {
        let (world, kfam) = shared().await;
        let (owner, mallory) = (unique("owner@example.com"), unique("mallory@example.com"));
        let name = unique("foreign");
        // Somebody's namespace, in which the controller touches nothing; then a Profile of that name.
        let namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> =
            kube::Api::all(world.admin.clone());
        namespaces.create(&Default::default(), &namespace).await.unwrap();
        kfam.register(Who::User(&mallory), &name, &mallory).await.done();
        let answer = kfam.share(Who::User(&mallory), binding(&name, &mallory, "admin")).await;
        answer.refused(409, "NotReady");
        kfam.share(Who::User(&owner), binding(&name, &owner, "admin")).await.refused(403, "Forbidden");
        assert_eq!(world.halves(&name).await, (vec![], vec![]));
    });
}

#[test]
fn half_of_a_binding_is_completed_by_adding_it_and_removed_by_deleting_it() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        let name = "user-joe-x-com-clusterrole-view";
        let whole = || (vec![name.to_owned()], vec![name.to_owned()]);
        let nothing = || (vec![], vec![]);
        let joe = || binding(&team, "joe@x.com", "view");

        kfam.share(Who::User(&owner), joe()).await.done();
        world.policies(&team).delete(name, &DeleteParams::default()).await.unwrap();
        kfam.share(Who::User(&owner), joe()).await.done();
        assert_eq!(world.halves(&team).await, whole(), "the policy is made again");

        world.role_bindings(&team).delete(name, &DeleteParams::default()).await.unwrap();
        kfam.share(Who::User(&owner), joe()).await.done();
        assert_eq!(world.halves(&team).await, whole(), "the RoleBinding is made again, under the same name");

        world.policies(&team).delete(name, &DeleteParams::default()).await.unwrap();
        kfam.unshare(Who::User(&owner), joe()).await.done();
        assert_eq!(world.halves(&team).await, nothing(), "with the policy missing");

        kfam.share(Who::User(&owner), joe()).await.done();
        world.role_bindings(&team).delete(name, &DeleteParams::default()).await.unwrap();
        kfam.unshare(Who::User(&owner), joe()).await.done();
        assert_eq!(world.halves(&team).await, nothing(), "with the RoleBinding missing");
    });
}

#[test]
fn a_binding_whose_policy_is_refused_is_taken_back() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        // The platform admits no policy in this namespace.
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": { "name": team },
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": { "resourceRules": [{ "apiGroups": ["security.istio.io"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["authorizationpolicies"] }] },
                "validations": [{ "expression": format!("object.metadata.namespace != '{team}'"), "message": "not here" }],
            },
        });
        let bound = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": { "name": team },
            "spec": { "policyName": team, "validationActions": ["Deny"] },
        });
        world.cluster.apply(&format!("{policy}\n---\n{bound}")).await.unwrap();
        until("the admission policy holds", async || {
            let try_it =
                json!({ "metadata": { "name": "probe" }, "spec": { "action": "ALLOW", "rules": [] } });
            let try_it: AuthorizationPolicy = serde_json::from_value(try_it).unwrap();
            let dry_run = kube::api::PostParams { dry_run: true, ..Default::default() };
            world.policies(&team).create(&dry_run, &try_it).await.err()
        })
        .await;
        let answer = kfam.share(Who::User(&owner), binding(&team, "joe@x.com", "edit")).await;
        answer.refused(422, "Invalid");
        assert!(answer.text.contains("not here"), "{answer:?}");
        assert_eq!(world.halves(&team).await, (vec![], vec![]));
        assert_eq!(
            kfam.bindings(Who::Dashboard, &format!("?user=joe@x.com&namespace={team}")).await,
            [""; 0]
        );
        assert!(!world.can("joe@x.com", &[], "get", &team).await);
    });
}

#[test]
fn users_who_map_to_one_name_do_not_get_in_each_others_way() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        let users = ["a.b@x", "a-b@x", "A.B@X"];
        for user in users {
            kfam.share(Who::User(&owner), binding(&team, user, "edit")).await.done();
        }
        let (mut bindings, mut policies) = world.halves(&team).await;
        bindings.sort_unstable();
        policies.sort_unstable();
        assert_eq!(bindings, policies);
        assert_eq!(bindings.len(), 3);
        assert_eq!(bindings[0], "user-a-b-x-clusterrole-edit");
        assert!(bindings.iter().all(|name| name.starts_with("user-a-b-x-clusterrole-edit")));
        for user in users {
            assert_eq!(
                kfam.bindings(Who::Dashboard, &format!("?user={user}&namespace={team}")).await.len(),
                1
            );
        }
        // The first goes; the second is still found, whatever it is called.
        kfam.unshare(Who::User(&owner), binding(&team, "a.b@x", "edit")).await.done();
        assert!(!world.can("a.b@x", &[], "create", &team).await);
        assert!(world.can("a-b@x", &[], "create", &team).await);
        kfam.share(Who::User(&owner), binding(&team, "a-b@x", "edit")).await.refused(409, "AlreadyExists");
        kfam.unshare(Who::User(&owner), binding(&team, "a-b@x", "edit")).await.done();
        kfam.unshare(Who::User(&owner), binding(&team, "A.B@X", "edit")).await.done();
        assert_eq!(world.halves(&team).await, (vec![], vec![]));
    });
}

#[test]
fn groups_and_service_accounts_are_let_in_as_what_they_are() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        let with = |user: serde_json::Value| {
            let mut binding = binding(&team, "", "edit");
            binding["user"] = user;
            binding
        };
        let group = with(json!({ "kind": "Group", "name": "vision" }));
        let answer = kfam.share(Who::User(&owner), group.clone()).await;
        answer.done();
        assert!(
            answer.json()["notice"].as_str().unwrap().contains("kubectl"),
            "no claim for groups: {answer:?}"
        );
        assert!(world.can("anybody", &["vision"], "create", &team).await);
        assert!(!world.can("vision", &[], "create", &team).await, "a user of the group's name");
        let name = "group-vision-clusterrole-edit";
        assert_eq!(world.halves(&team).await, (vec![name.to_owned()], vec![]));
        kfam.share(Who::User(&owner), group.clone()).await.refused(409, "AlreadyExists");

        let user = binding(&team, "vision", "edit");
        kfam.share(Who::User(&owner), user.clone()).await.done();
        let account = |namespace: &str| {
            with(json!({ "kind": "ServiceAccount", "name": "runner", "namespace": namespace }))
        };
        for namespace in ["ci", "cd"] {
            let answer = kfam.share(Who::User(&owner), account(namespace)).await;
            answer.done();
            assert_eq!(answer.json(), json!({}));
            let who = format!("system:serviceaccount:{namespace}:runner");
            assert!(world.can(&who, &[], "create", &team).await);
        }
        let seen = kfam.get(Who::Dashboard, &format!("/kfam/v1/bindings?namespace={team}&user=runner")).await;
        let mut homes: Vec<_> = seen.json()["bindings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["user"]["namespace"].as_str().unwrap().to_owned())
            .collect();
        homes.sort_unstable();
        assert_eq!(homes, ["cd", "ci"]);

        kfam.unshare(Who::User(&owner), account("ci")).await.done();
        assert!(!world.can("system:serviceaccount:ci:runner", &[], "create", &team).await);
        assert!(world.can("system:serviceaccount:cd:runner", &[], "create", &team).await);
        kfam.unshare(Who::User(&owner), group).await.done();
        assert!(world.can("vision", &[], "create", &team).await, "the user of the group's name stays");
        assert_eq!(
            world.policies(&team).get("user-vision-clusterrole-edit").await.unwrap().name_any(),
            "user-vision-clusterrole-edit"
        );
        kfam.unshare(Who::User(&owner), account("cd")).await.done();
        kfam.unshare(Who::User(&owner), user).await.done();
        assert_eq!(world.halves(&team).await, (vec![], vec![]));
    });
}

#[test]
fn names_that_would_let_others_in_are_refused() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        for user in ["*", "*@example.com", "jane*", "", " ", " jane", "jane\n"] {
            for who in [Who::User(&owner), Who::User(ADMIN)] {
                kfam.share(who, binding(&team, user, "view")).await.refused(422, "Invalid");
            }
        }
        for (field, value) in [("kind", "Everybody"), ("kind", "ServiceAccount"), ("kind", "user")] {
            let mut wrong = binding(&team, "jane", "view");
            wrong["user"][field] = json!(value);
            kfam.share(Who::User(&owner), wrong).await.refused(422, "Invalid");
        }
        for role in ["cluster-admin", "kubeflow-admin", "Admin", ""] {
            kfam.share(Who::User(&owner), binding(&team, "jane", role)).await.refused(422, "Invalid");
        }
        assert_eq!(world.halves(&team).await, (vec![], vec![]));
        for namespace in ["kube-system", "default", "no-such", "../../x", ""] {
            kfam.share(Who::User(ADMIN), binding(namespace, "jane", "view")).await.refused(404, "NotFound");
            kfam.share(Who::User(&owner), binding(namespace, "jane", "view")).await.refused(403, "Forbidden");
        }
    });
}
