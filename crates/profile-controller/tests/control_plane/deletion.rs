//! Deleting a Profile deletes its namespace, and nothing is created again on the way.

use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use profile_api::names;
use serde_json::json;

use crate::harness::{World, patch, run, shared, unique, until};

#[test]
fn a_deleted_profile_takes_its_namespace_with_it() {
    run(async {
        let world = shared().await;
        let name = unique("deleted");
        world.ready_profile(&name, "a@example.com").await;
        world.delete_profile(&name).await;
        until("the namespace is gone", async || gone(world, &name).await).await;
        assert!(world.profiles().get_opt(&name).await.unwrap().is_none());
    });
}

#[test]
fn the_finalizer_of_the_reference_is_honoured_and_removed() {
    run(async {
        let world = shared().await;
        let name = unique("finalizer");
        world.ready_profile(&name, "a@example.com").await;
        let finalizers = json!({ "metadata": { "finalizers": ["example.com/other", names::FINALIZER] } });
        patch(&world.profiles(), &name, finalizers).await;
        until("ours is removed and the other one is left", async || {
            let profile = world.profiles().get(&name).await.unwrap();
            (profile.finalizers() == ["example.com/other"]).then_some(())
        })
        .await;
        patch(&world.profiles(), &name, json!({ "metadata": { "finalizers": [] } })).await;
        world.delete_profile(&name).await;
        until("the namespace is gone", async || gone(world, &name).await).await;
    });
}

#[test]
fn nothing_is_written_for_a_profile_that_is_being_deleted() {
    run(async {
        let world = World::start().await;
        let _controller = world.controller(&[]);
        let name = unique("held");
        world.ready_profile(&name, "a@example.com").await;
        patch(&world.profiles(), &name, json!({ "metadata": { "finalizers": ["example.com/held"] } })).await;
        world.delete_profile(&name).await;
        let mark = world.cluster.audit().settled().await.unwrap();
        world.role_bindings(&name).delete("namespaceAdmin", &Default::default()).await.unwrap();
        world.caught_up().await;
        let writes: Vec<_> =
            world.writes_since(mark).await.into_iter().filter(|write| write.contains(&name)).collect();
        assert_eq!(writes, Vec::<String>::new());
        let release = Patch::Merge(json!({ "metadata": { "finalizers": [] } }));
        world.profiles().patch(&name, &PatchParams::default(), &release).await.unwrap();
        until("the namespace is gone", async || gone(&world, &name).await).await;
    });
}

#[test]
fn a_profile_that_is_created_again_gets_a_new_namespace_once_the_old_one_is_gone() {
    run(async {
        let world = shared().await;
        let name = unique("again");
        let first = world.ready_profile(&name, "a@example.com").await;
        world.delete_profile(&name).await;
        until("the Profile is gone", async || {
            world.profiles().get_opt(&name).await.unwrap().is_none().then_some(())
        })
        .await;
        let second = world.ready_profile(&name, "b@example.com").await;
        assert_ne!(first.uid(), second.uid());
        world.assert_in_place(&second).await;
    });
}

async fn gone(world: &World, name: &str) -> Option<()> {
    world.namespaces().get_opt(name).await.unwrap().is_none().then_some(())
}
