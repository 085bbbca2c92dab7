//! Registering and letting go of Profiles.

use http::Method;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::harness::{ADMIN, GATEWAY, Who, World, certificate, run, shared, unique, until};

#[test]
fn a_user_registers_and_lets_go() {
    run(async {
        let (world, kfam) = shared().await;
        let (name, user) = (unique("jane"), unique("jane@example.com"));
        let answer = kfam.register(Who::User(&user), &name, &user).await;
        answer.done();
        assert_eq!(answer.json(), json!({}));
        let profile = world.profiles().get(&name).await.unwrap();
        assert_eq!((profile.spec.owner.kind.as_str(), &profile.spec.owner.name), ("User", &user));
        kfam.register(Who::User(&user), &name, &user).await.refused(409, "AlreadyExists");
        let other = unique("joe@example.com");
        kfam.register(Who::User(&other), &name, &other).await.refused(409, "AlreadyExists");

        kfam.delete_profile(Who::User(&other), &name).await.refused(403, "Forbidden");
        kfam.delete_profile(Who::Dashboard, &name).await.refused(401, "UserNeeded");
        kfam.delete_profile(Who::User(&user), &name).await.done();
        until("the Profile is gone", async || {
            world.profiles().get_opt(&name).await.unwrap().is_none().then_some(())
        })
        .await;
        until("kfam knows", async || {
            (kfam.delete_profile(Who::User(ADMIN), &name).await.code() == 404).then_some(())
        })
        .await;
        // Whether there is one is nobody else's business.
        kfam.delete_profile(Who::User(&user), &name).await.refused(403, "Forbidden");
        kfam.delete_profile(Who::User(ADMIN), &unique("never")).await.refused(404, "NotFound");
    });
}

#[test]
fn the_dashboard_registers_its_users_and_a_cluster_admin_anyone() {
    run(async {
        let (world, kfam) = shared().await;
        for who in [Who::Dashboard, Who::User(ADMIN)] {
            let name = unique("anyone");
            kfam.register(who, &name, "anyone@example.com").await.done();
            assert_eq!(world.profiles().get(&name).await.unwrap().spec.owner.name, "anyone@example.com");
        }
        let gateway = certificate(GATEWAY);
        let headers =
            [("x-forwarded-client-cert", gateway.as_str()), ("kubeflow-userid", "jane@example.com")];
        kfam.register(Who::Headers(&headers), &unique("own"), "jane@example.com").await.done();
        kfam.register(Who::Headers(&headers), &unique("not-own"), "joe@example.com")
            .await
            .refused(403, "Forbidden");
        kfam.register(Who::User("jane@example.com"), &unique("not-own"), ADMIN)
            .await
            .refused(403, "Forbidden");
        let group = json!({ "metadata": { "name": unique("group") }, "spec": { "owner": { "kind": "Group", "name": "jane@example.com" } } });
        kfam.call(Who::User("jane@example.com"), Method::POST, "/kfam/v1/profiles", Some(group.clone()))
            .await
            .refused(403, "Forbidden");
        kfam.call(Who::User(ADMIN), Method::POST, "/kfam/v1/profiles", Some(group)).await.done();
    });
}

#[test]
fn only_a_cluster_admin_sets_more_than_the_owner() {
    run(async {
        let (world, kfam) = shared().await;
        let user = unique("jane@example.com");
        for more in [
            json!({ "resourceQuotaSpec": { "hard": { "cpu": "1000" } } }),
            json!({ "plugins": [{ "kind": "WorkloadIdentity", "spec": { "a": "b" } }] }),
        ] {
            let name = unique("more");
            let mut spec = more.clone();
            spec["owner"] = json!({ "kind": "User", "name": user });
            let profile = json!({ "metadata": { "name": name, "labels": { "a": "b" }, "finalizers": ["x.y/z"] }, "spec": spec });
            let call = |who| kfam.call(who, Method::POST, "/kfam/v1/profiles", Some(profile.clone()));
            call(Who::User(&user)).await.refused(403, "Forbidden");
            call(Who::Dashboard).await.refused(403, "Forbidden");
            call(Who::User(ADMIN)).await.done();
            let created = world.profiles().get(&name).await.unwrap();
            assert!(
                created.labels().is_empty() && created.finalizers().is_empty(),
                "of metadata the name counts"
            );
            let (field, value) = more.as_object().unwrap().iter().next().unwrap();
            assert_eq!(&json!(created.spec)[field], value);
        }
    });
}

#[test]
fn names_that_are_reserved_or_wrong_are_refused() {
    run(async {
        let (world, kfam) = shared().await;
        let user = "jane@example.com";
        for name in ["kube-system", "kube-jane", "default", "istio-system", "kubeflow"] {
            kfam.register(Who::User(user), name, user).await.refused(422, "ReservedName");
            kfam.register(Who::User(ADMIN), name, user).await.refused(422, "ReservedName");
        }
        let long = "x".repeat(64);
        for name in ["", "Jane", "jane.doe", "-jane", "jane_doe", "a/b", "../x", long.as_str()] {
            kfam.register(Who::User(user), name, user).await.refused(422, "Invalid");
        }
        for owner in ["*", "*@example.com", "", " jane"] {
            kfam.register(Who::Dashboard, &unique("wrong"), owner).await.refused(422, "Invalid");
        }
        let listed = world.profiles().list(&Default::default()).await.unwrap();
        assert!(listed.items.iter().all(|profile| !profile.name_any().starts_with("wrong")));
    });
}

#[test]
fn a_user_has_no_more_profiles_than_the_platform_lets_them() {
    run(async {
        let world = World::start().await;
        let kfam = world.kfam(&["--max-profiles-per-user=2"]).await;
        kfam.ready().await;
        let user = "jane@example.com";
        // All at once: they are counted all the same.
        let tries = (0..8).map(|number| {
            let kfam = &kfam;
            async move { kfam.register(Who::User(user), &format!("jane-{number}"), user).await.code() }
        });
        let mut codes = futures::future::join_all(tries).await;
        codes.sort_unstable();
        assert_eq!(codes, [200, 200, 403, 403, 403, 403, 403, 403]);
        kfam.register(Who::User(user), "more", user).await.refused(403, "TooManyProfiles");
        kfam.register(Who::Dashboard, "more", user).await.refused(403, "TooManyProfiles");
        kfam.register(Who::User("joe@example.com"), "joe", "joe@example.com").await.done();
        kfam.register(Who::User(ADMIN), "more", user).await.done();
        let profiles: Api<profile_api::Profile> = world.profiles();
        let own = profiles.list(&Default::default()).await.unwrap().items;
        assert_eq!(own.iter().filter(|profile| profile.spec.owner.name == user).count(), 3);
        // One that is let go makes room.
        for profile in own.iter().filter(|profile| profile.spec.owner.name == user).take(2) {
            kfam.delete_profile(Who::User(user), &profile.name_any()).await.done();
        }
        until("there is room", async || {
            (kfam.register(Who::User(user), "again", user).await.code() == 200).then_some(())
        })
        .await;
    });
}

#[test]
fn an_owner_change_hands_the_rights_over() {
    run(async {
        let (world, kfam) = shared().await;
        let (old, new) = (unique("old@example.com"), unique("new@example.com"));
        let team = world.team(kfam, &old).await;
        let patch = kube::api::Patch::Merge(json!({ "spec": { "owner": { "name": new } } }));
        world.profiles().patch(&team, &Default::default(), &patch).await.unwrap();
        until("the new owner has a say", async || {
            let page = kfam.get(Who::User(&new), &format!("/kfam/ui/namespaces/{team}")).await;
            (page.code() == 200).then_some(())
        })
        .await;
        kfam.delete_profile(Who::User(&old), &team).await.refused(403, "Forbidden");
        kfam.delete_profile(Who::User(&new), &team).await.done();
    });
}
