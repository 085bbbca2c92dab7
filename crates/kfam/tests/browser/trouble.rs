//! What does not go well is told to people.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::PostParams};
use serde_json::json;
use test_support::{run, unique};

use crate::{
    browser::{Scripts, with_browser},
    world::{World, user},
};

#[test]
fn a_profile_that_does_not_become_ready_says_why() {
    run(async {
        let world = World::shared().await;
        let (jane, name) = (user("jane"), unique("foreign"));
        let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        let namespaces: Api<Namespace> = Api::all(world.admin.clone());
        namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        with_browser(world, Scripts::On, async |browser| {
            browser.be(&jane).await;
            browser.go("/kfam/ui/register").await;
            browser.fill("#name", &name).await;
            browser.click("Register").await;
            browser.shows("#status", "Not ready").await;
            let ready = world.profiles().get(&name).await.unwrap().status.unwrap_or_default();
            let message = &ready.condition("Ready").unwrap().message;
            browser.shows("#status .why", message).await;
            assert!(!browser.has("#who").await, "it is not hers to share");
        })
        .await;
    });
}

#[test]
fn nobody_is_asked_to_sign_in() {
    run(async {
        let world = World::shared().await;
        with_browser(world, Scripts::On, async |browser| {
            browser.go("/kfam/ui/").await;
            browser.shows("h1", "Please sign in").await;
            assert!(!browser.has("nav").await);
        })
        .await;
    });
}
