//! What holds on every page, light and dark: axe-core finds nothing, and on a narrow screen nothing is cut off. With SCREENSHOTS
//! set to a folder it takes the pictures of the documentation (`cargo xtask screenshots`).

use std::path::{Path, PathBuf};

use kube::api::PostParams;
use profile_api::Profile;
use serde_json::json;
use test_support::{run, until, until_ok};

use crate::{
    axe,
    browser::{Browser, Scripts, with_browser},
    world::{ADMIN, World},
};

/// Ann has a namespace with limits, shares it, and Bob shares one with her.
const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
/// Narrower than any telephone.
const NARROW: u32 = 320;
/// As wide as the pictures are.
const WIDE: u32 = 900;

#[test]
fn every_page_is_accessible_in_light_and_dark_wide_and_narrow() {
    run(async {
        let world = World::shared().await;
        furnish(world).await;
        with_browser(world, Scripts::On, async |browser| {
            share(browser).await;
            for scheme in ["light", "dark"] {
                browser.prefer(scheme).await;
                for (user, path, title, name) in [
                    (ANN, "/kfam/ui/", "My namespaces", "home"),
                    ("new@example.com", "/kfam/ui/", "My namespaces", "empty"),
                    (ANN, "/kfam/ui/register", "Register a namespace", "register"),
                    (ANN, "/kfam/ui/namespaces/ann", "ann", "namespace"),
                    (ANN, "/kfam/ui/namespaces/ann?done=shared", "ann", ""),
                    (ANN, "/kfam/ui/namespaces/archive", "archive", "not-ready"),
                    (
                        ANN,
                        "/kfam/ui/namespaces/ann/remove?kind=User&name=carla@example.com&role=view",
                        "Remove",
                        "remove",
                    ),
                    (ANN, "/kfam/ui/namespaces/kube-system", "That is not yours to do", "error"),
                    (ADMIN, "/kfam/ui/profiles?q=example.com", "All Profiles", "profiles"),
                    (ADMIN, "/kfam/ui/profiles?q=nobody-has-this-name", "All Profiles", ""),
                ] {
                    browser.be_wide(WIDE).await;
                    browser.be(user).await;
                    browser.go(path).await;
                    browser.shows("h1", title).await;
                    look(browser, &format!("{path} in {scheme}")).await;
                    if let (Some(folder), false) = (pictures(), name.is_empty()) {
                        save(browser, &folder.join(format!("{name}-{scheme}.png"))).await;
                    }
                    browser.be_wide(NARROW).await;
                    // The colours have been looked at.
                    if scheme == "light" {
                        look(browser, &format!("{path} in {scheme}, narrow")).await;
                    }
                    let width = browser.run("return document.documentElement.scrollWidth").await;
                    assert_eq!(width, NARROW, "{path} is wider than the screen");
                    if let (Some(folder), "namespace") = (pictures(), name) {
                        save(browser, &folder.join(format!("{name}-narrow-{scheme}.png"))).await;
                    }
                }
                browser.be_wide(WIDE).await;
                refused(browser, scheme).await;
            }
        })
        .await;
    });
}

async fn look(browser: &Browser, what: &str) {
    axe::finds_nothing(browser, what).await;
}

/// A form with what is wrong with it.
async fn refused(browser: &Browser, scheme: &str) {
    browser.be(ANN).await;
    browser.go("/kfam/ui/register").await;
    browser.fill("#name", "bob").await;
    browser.shows("#name-answer.bad", "choose another name").await;
    look(browser, &format!("a name that is taken, in {scheme}")).await;
    if let Some(folder) = pictures() {
        save(browser, &folder.join(format!("taken-{scheme}.png"))).await;
    }
    browser.click("Register").await;
    browser.shows("[role=alert]", "choose another name").await;
    look(browser, &format!("a form that is refused, in {scheme}")).await;
}

async fn furnish(world: &World) {
    for (name, owner, quota) in [
        ("ann", ANN, json!({ "hard": { "cpu": "8", "memory": "32Gi", "requests.nvidia.com/gpu": "1" } })),
        ("bob", BOB, json!({ "hard": { "cpu": "4" } })),
        ("vision", "carla@example.com", json!({})),
    ] {
        create(world, name, owner, quota).await;
    }
    // One whose namespace belongs to somebody else.
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: archive}}";
    world.cluster.apply(namespace).await.unwrap();
    create(world, "archive", ANN, json!({})).await;
    until("Ann's Profile is ready", async || {
        let profile = world.profiles().get("ann").await.unwrap();
        profile.status.is_some_and(|status| status.is_ready()).then_some(())
    })
    .await;
    // She uses some of it; nothing runs here, but it counts.
    let resources = json!({
        "requests": { "cpu": "3500m", "memory": "20Gi" },
        "limits": { "nvidia.com/gpu": "1" },
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "notebook", "namespace": "ann" },
        "spec": { "serviceAccountName": "default-editor", "containers": [
            { "name": "notebook", "image": "notebook", "resources": resources },
        ] },
    });
    // Until its limits are known nothing is let in.
    until_ok("a pod in Ann's namespace", async || world.cluster.apply(&pod.to_string()).await).await;
}

async fn create(world: &World, name: &str, owner: &str, quota: serde_json::Value) {
    let profile: Profile = serde_json::from_value(json!({
        "apiVersion": "kubeflow.org/v1", "kind": "Profile", "metadata": { "name": name },
        "spec": { "owner": { "kind": "User", "name": owner }, "resourceQuotaSpec": quota },
    }))
    .unwrap();
    world.profiles().create(&PostParams::default(), &profile).await.unwrap();
}

async fn share(browser: &Browser) {
    for (owner, namespace, name, kind, role) in [
        (ANN, "ann", BOB, "User", "edit"),
        (ANN, "ann", "carla@example.com", "User", "view"),
        (ANN, "ann", "ci/reports", "ServiceAccount", "edit"),
        (BOB, "bob", ANN, "User", "admin"),
    ] {
        browser.be(owner).await;
        browser.go(&format!("/kfam/ui/namespaces/{namespace}")).await;
        browser.fill("#who", name).await;
        browser.choose("#kind", kind).await;
        browser.choose("#role", role).await;
        browser.click("Share").await;
        browser.shows("tbody", name).await;
    }
    browser.be(ANN).await;
    browser.shows(".cards", "3.5 of 8").await;
    browser.go("/kfam/ui/namespaces/archive").await;
    browser.shows("#status", "Not ready").await;
}

/// Where pictures go, if they are wanted.
fn pictures() -> Option<PathBuf> {
    std::env::var_os("SCREENSHOTS").map(PathBuf::from)
}

async fn save(browser: &Browser, file: &Path) {
    use std::io::Write;
    let picture = browser.picture().await;
    let mut decode = std::process::Command::new("base64");
    decode.arg("-d").stdin(std::process::Stdio::piped()).stdout(std::fs::File::create(file).unwrap());
    let mut decode = decode.spawn().unwrap();
    decode.stdin.take().unwrap().write_all(picture.as_bytes()).unwrap();
    assert!(decode.wait().unwrap().success());
}
