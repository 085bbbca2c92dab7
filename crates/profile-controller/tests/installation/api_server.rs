//! The API server takes everything that is made, without a warning, and pod security `restricted` admits the pods.

use serde_json::{Value, json};
use test_support::{run, unique, until};
use tokio::task::spawn_blocking;

use crate::world::{ACCOUNT, World, all_overlays, built, kustomized, object, users_overlay};

const DRY_RUN: [&str; 6] =
    ["apply", "--dry-run=server", "--validate=strict", "--server-side", "--force-conflicts", "-f"];

/// Asserts that the API server would store a manifest as it is.
pub(crate) async fn assert_valid(world: &World, what: &str, manifest: &str) {
    let told = world.kubectl_with(&[&DRY_RUN[..], &["-"]].concat(), manifest).await;
    let told = told.done();
    assert!(!told.contains("Warning"), "{what}: {told}");
}

#[test]
fn every_object_of_every_overlay_is_valid() {
    run(async {
        let world = World::shared().await;
        for (folder, _) in all_overlays() {
            let manifest = spawn_blocking({
                let folder = folder.clone();
                move || kustomized(&folder)
            });
            assert_valid(world, &folder.display().to_string(), &manifest.await.unwrap()).await;
        }
        let wrong = "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: kubeflow}, dota: {}}";
        let told = world.kubectl_with(&[&DRY_RUN[..], &["-"]].concat(), wrong).await.refused();
        assert!(told.contains("dota"), "a misspelt field is found: {told}");
    });
}

#[test]
fn every_sample_is_valid() {
    run(async {
        let world = World::shared().await;
        let samples = spawn_blocking(|| kustomized(&test_support::repository("manifests/samples")));
        assert_valid(world, "samples", &samples.await.unwrap()).await;
    });
}

/// The pod of the Deployment, to be created by itself.
fn pod(objects: &[Value], namespace: &str) -> Value {
    let template = &object(objects, "Deployment", "profiles-deployment")["spec"]["template"];
    let metadata = json!({ "name": "pod", "namespace": namespace, "labels": template["metadata"]["labels"] });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] })
}

#[test]
fn pod_security_restricted_admits_the_pods() {
    run(async {
        let world = World::shared().await;
        let namespace = unique("restricted");
        world.kubectl(&["create", "namespace", &namespace]).await.done();
        let label = "pod-security.kubernetes.io/enforce=restricted";
        world.kubectl(&["label", "namespace", &namespace, label]).await.done();
        world.kubectl(&["create", "serviceaccount", ACCOUNT, "-n", &namespace]).await.done();
        until("the ServiceAccount is seen", async || {
            world.get(&["serviceaccount", ACCOUNT, "-n", &namespace]).await
        })
        .await;

        let objects = spawn_blocking(|| built(&users_overlay("users-overlay"))).await.unwrap();
        let pod = pod(&objects, &namespace);
        assert_eq!(pod["spec"]["containers"].as_array().unwrap().len(), 2);
        let create = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
        let told = world.kubectl_with(&create, &pod.to_string()).await.done();
        assert!(!told.contains("Warning"), "{told}");

        for container in pod["spec"]["containers"].as_array().unwrap() {
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{}", container["name"]);
        }
        let mut lax = pod;
        lax["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
        let told = world.kubectl_with(&create, &lax.to_string()).await.refused();
        assert!(told.contains("restricted"), "the namespace is held to it: {told}");
    });
}
