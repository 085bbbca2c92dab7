//! Whatever is killed in the middle: in the end everything is in place, and nothing is there twice.

use std::collections::BTreeSet;

use kube::{ResourceExt, api::ListParams};
use profile_api::Profile;
use serde_json::Value;

use crate::harness::{World, patch, run, unique, until};

#[test]
fn the_api_server_may_go_away_in_the_middle_of_a_hundred_profiles() {
    run(async {
        let world = World::start().await;
        let _controller = world.controller(&[]);
        let names = create_profiles(&world, 100).await;
        until("some are ready and others are not", async || {
            some_ready(&world).await.filter(|ready| *ready < 100)
        })
        .await;
        world.cluster.stop_api_server();
        world.cluster.start_api_server().await.expect("the API server starts again");
        for name in &names {
            let profile = world.ready(name).await;
            world.assert_in_place(&profile).await;
        }
    });
}

#[test]
fn drift_during_an_outage_of_the_watch_is_repaired() {
    run(async {
        let world = World::start().await;
        let _controller = world.controller(&[]);
        let name = unique("outage");
        world.ready_profile(&name, "a@example.com").await;
        world.cluster.stop_api_server();
        world.cluster.start_api_server().await.expect("the API server starts again");
        // Perhaps before the controller has taken up its watches again.
        world.role_bindings(&name).delete("namespaceAdmin", &Default::default()).await.unwrap();
        until("the RoleBinding is back", async || {
            world.role_bindings(&name).get_opt("namespaceAdmin").await.ok().flatten()
        })
        .await;
    });
}

#[test]
fn the_controller_may_be_killed_at_any_moment() {
    run(async {
        let world = World::start().await;
        let mark = world.cluster.audit().settled().await.unwrap();
        let names = create_profiles(&world, 50).await;
        // Each life ends after a few more Profiles, wherever it stands then.
        for goal in [3, 11, 19, 30, 42] {
            let controller = world.controller(&[]);
            until("some more are ready", async || some_ready(&world).await.filter(|ready| *ready >= goal))
                .await;
            controller.kill();
        }
        let controller = world.controller(&[]);
        for name in &names {
            let profile = world.ready(name).await;
            world.assert_in_place(&profile).await;
        }
        world.caught_up().await;
        drop(controller);

        // What a killed controller had under way may have been carried out; then a second attempt is refused and does no harm.
        let mut created = world.successful_writes_since(mark).await;
        created.retain(|write| write.starts_with("create ") && !write.contains(" events "));
        let distinct: BTreeSet<&String> = created.iter().collect();
        assert_eq!(created.len(), distinct.len(), "nothing is deleted and created again: {created:?}");
    });
}

#[test]
fn a_role_binding_is_replaced_even_if_the_controller_is_killed_between_the_two_steps() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&[]);
        let name = unique("replaced");
        world.ready_profile(&name, "a@example.com").await;
        controller.kill();
        // What is there after the first step of the replacement: nothing.
        world.role_bindings(&name).delete("default-editor", &Default::default()).await.unwrap();
        let _controller = world.controller(&[]);
        let binding = until("the RoleBinding is back", async || {
            world.role_bindings(&name).get_opt("default-editor").await.ok().flatten()
        })
        .await;
        assert_eq!(binding.role_ref.name, "kubeflow-edit");
    });
}

#[test]
fn a_stop_finishes_what_is_in_flight_and_ends_with_success() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&[]);
        create_profiles(&world, 30).await;
        until("work is in flight", async || some_ready(&world).await.filter(|ready| *ready < 30)).await;
        assert_eq!(controller.stop().await, Some(0));
        // Whatever was begun was ended: a namespace that was created is complete and its Profile is ready.
        for profile in world.profiles().list(&ListParams::default()).await.unwrap() {
            if world.namespaces().get_opt(&profile.name_any()).await.unwrap().is_some() {
                assert!(
                    profile.status.clone().unwrap_or_default().is_ready(),
                    "{} was left half made",
                    profile.name_any()
                );
                world.assert_in_place(&profile).await;
            }
        }
    });
}

#[test]
fn two_controllers_without_leader_election_do_not_harm_each_other() {
    run(async {
        let world = World::start().await;
        let _controllers = [world.controller(&[]), world.controller(&[])];
        for name in create_profiles(&world, 20).await {
            let profile = world.ready(&name).await;
            world.assert_in_place(&profile).await;
            patch(
                &world.profiles(),
                &name,
                serde_json::json!({ "spec": { "owner": { "name": "b@example.com" } } }),
            )
            .await;
            let profile = world.ready(&name).await;
            let binding = world.role_bindings(&name).get("namespaceAdmin").await.unwrap();
            assert_eq!(serde_json::json!(binding.subjects)[0]["name"], Value::from("b@example.com"));
            world.assert_in_place(&profile).await;
        }
    });
}

async fn create_profiles(world: &World, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|_| unique("fault")).collect();
    for name in &names {
        world.create_profile(name, "a@example.com").await;
    }
    names
}

/// How many Profiles are ready, if any is.
async fn some_ready(world: &World) -> Option<usize> {
    let profiles = world.profiles().list(&ListParams::default()).await.ok()?;
    let is_ready = |profile: &&Profile| profile.status.as_ref().is_some_and(|status| status.is_ready());
    Some(profiles.iter().filter(is_ready).count()).filter(|ready| *ready > 0)
}
