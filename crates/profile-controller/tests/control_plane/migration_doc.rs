//! The commands of docs/migration.md work, one after the other, on a cluster of the Go controller.

use std::{path::Path, process::Command};

use dev_cluster::{Assets, Cluster, IstioCrds};
use serde_json::json;
use test_support::repository;

use crate::{
    harness::{World, repository_file, run},
    reference,
};

/// What only a cluster with nodes can answer.
const NEEDS_NODES: &str = "rollout status";

#[test]
fn the_commands_of_the_migration_guide_work() {
    run(async {
        // The overlay has a route through Istio in it.
        let world = World::with(Cluster::builder().istio_crds(IstioCrds::All)).await;
        installation_of_the_go_controller(&world).await;
        reference::leave(&world, "jane", "jane@example.com").await;
        let labels = world.cluster.folder().join("labels.yaml");
        std::fs::write(&labels, reference::LABELS_FILE).unwrap();
        let _controller = world.controller(&[&format!("--namespace-labels-path={}", labels.display())]);
        world.ready("jane").await;

        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(repository("manifests"), folder.path().join("manifests")).unwrap();
        let guide = repository_file("docs/migration.md");
        let blocks = shell_blocks(&guide);
        assert!(blocks.len() > 10, "{blocks:#?}");
        for block in blocks {
            let lines = block.lines().filter(|line| !line.contains(NEEDS_NODES));
            let script: String = lines.map(|line| format!("{line}\n")).collect();
            run_script(&world, folder.path(), script).await;
        }
        let summary = std::fs::read_to_string(folder.path().join("preflight.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(
            report["summary"]["unchanged"], 1,
            "the labels file that was got is the one in force: {report:#}"
        );
        assert_eq!(report["summary"]["checksFailed"], 0, "{report:#}");
    });
}

/// What the guide finds in the namespace `kubeflow`.
async fn installation_of_the_go_controller(world: &World) {
    let labels = json!({ "app": "profile-controller", "app.kubernetes.io/component": "controller-manager" });
    let containers = json!([{ "name": "manager", "image": "none.example/none" }]);
    let objects = [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "kubeflow" } }),
        json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "namespace": "kubeflow", "name": "profiles-namespace-labels-data" },
            "data": { "namespace-labels.yaml": reference::LABELS_FILE } }),
        json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "namespace": "kubeflow", "name": "profiles-deployment" },
            "spec": { "replicas": 1, "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": { "containers": containers } } } }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": "profiles-cluster-rolebinding-of-old" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
            "subjects": [{ "kind": "ServiceAccount", "namespace": "kubeflow", "name": "profiles-controller-service-account" }] }),
    ];
    world.cluster.apply(&objects.map(|object| object.to_string()).join("\n---\n")).await.unwrap();
}

fn shell_blocks(guide: &str) -> Vec<&str> {
    let blocks = guide.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

/// Runs a block as a person would, with this build's programs first. That preflight has something to say is no failure.
async fn run_script(world: &World, folder: &Path, script: String) {
    let (kubeconfig, folder) = (world.cluster.kubeconfig().to_owned(), folder.to_owned());
    let output = tokio::task::spawn_blocking(move || {
        let kubectl = Assets::find().unwrap().program("kubectl");
        let controller = Path::new(env!("CARGO_BIN_EXE_profile-controller"));
        let programs = [kubectl.parent().unwrap(), controller.parent().unwrap()];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = programs.into_iter().map(Path::to_owned).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(paths).unwrap();
        let wrapped = "profile-controller() { command profile-controller \"$@\" || [ $? = 1 ]; }";
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", &format!("{wrapped}\n{script}")])
            .current_dir(&folder)
            .env("PATH", path)
            .env("KUBECONFIG", kubeconfig)
            .env("KUBECACHEDIR", folder.join("kubectl-cache"))
            .output()
            .map(|output| (script, output))
    });
    let (script, output) = output.await.unwrap().unwrap();
    assert!(
        output.status.success(),
        "{script}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
