//! What failed is tried again, and what has changed in between is looked at, also where no watch would tell.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fault_proxy::{Fate, Proxy};
use serde_json::json;

use crate::harness::{Controller, World, patch, run, unique, until};

/// A controller of whose requests the first that ends like this, given as `<method> <path>`, is refused with a conflict.
async fn controller_with_a_conflict(
    world: &World,
    method: &'static str,
    path: String,
) -> (Proxy, Controller) {
    let mut done = false;
    let script = move |what: &str| {
        let now = !done && what.starts_with(method) && what.ends_with(&path);
        done |= now;
        if now { Fate::Conflict } else { Fate::Pass }
    };
    let proxy = Proxy::scripted(world.controller_client().await, script).await.unwrap();
    let controller = world.controller_behind(&proxy.url());
    (proxy, controller)
}

#[test]
fn a_conflict_on_the_status_of_a_ready_profile() {
    run(async {
        let world = World::start().await;
        let name = unique("status");
        let running = controller_with_a_conflict(&world, "PATCH", format!("{name}/status")).await;
        world.ready_profile(&name, "a@example.com").await;
        drop(running);
    });
}

#[test]
fn a_conflict_on_the_status_of_a_refused_profile() {
    run(async {
        let world = World::start().await;
        let running = controller_with_a_conflict(&world, "PATCH", "kubeflow/status".to_owned()).await;
        world.create_profile("kubeflow", "a@example.com").await;
        world.not_ready("kubeflow", "ReservedName").await;
        drop(running);
    });
}

#[test]
fn a_conflict_on_the_finalizer_of_a_deleted_profile() {
    run(async {
        let world = World::start().await;
        let name = unique("finalizer");
        world.create_profile(&name, "a@example.com").await;
        let finalizer = json!({ "metadata": { "finalizers": ["profile-finalizer"] } });
        patch(&world.profiles(), &name, finalizer).await;
        world.delete_profile(&name).await;
        let running = controller_with_a_conflict(&world, "PATCH", name.clone()).await;
        until("the Profile is gone", async || {
            world.profiles().get_opt(&name).await.unwrap().is_none().then_some(())
        })
        .await;
        drop(running);
    });
}

#[test]
fn a_change_that_the_answer_to_our_own_write_brings_before_the_watch_does() {
    run(async {
        let world = World::start().await;
        // While it looks whether there is a namespace the owner changes, which it learns from its own status write.
        let name = unique("overtaken");
        let looks = Arc::new(AtomicBool::new(false));
        let (look, seen) = (format!("GET /api/v1/namespaces/{name}"), looks.clone());
        let script = move |what: &str| match what {
            _ if what.ends_with(" watch") => Fate::Late(Duration::from_secs(3)),
            _ if what == look => {
                seen.store(true, Ordering::Relaxed);
                Fate::Late(Duration::from_secs(1))
            }
            _ => Fate::Pass,
        };
        let proxy = Proxy::scripted(world.controller_client().await, script).await.unwrap();
        let controller = world.controller_behind(&proxy.url());
        world.create_profile(&name, "a@example.com").await;
        until("the controller is at work", async || looks.load(Ordering::Relaxed).then_some(())).await;
        world.patch_spec(&name, json!({ "owner": { "name": "b@example.com" } })).await;
        let profile = world.ready(&name).await;
        world.assert_in_place(&profile).await;
        drop(controller);
    });
}
