//! `cargo xtask cluster`: a control plane with everything installed but the controller.

use anyhow::Context;
use dev_cluster::{Assets, Cluster};
use tokio::signal::ctrl_c;

/// Start a control plane with the Profile CRD and the roles, and print its kubeconfig
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> anyhow::Result<()> {
    let assets = Assets::find()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let cluster = start(&assets).await?;
        println!("The control plane is ready. In another terminal:\n");
        println!("{}", how_to_use(&assets, &cluster));
        println!("\nIt stays until Ctrl-C; then everything in it is gone.");
        ctrl_c().await.context("waiting for Ctrl-C")
    })
}

/// Starts a control plane with the manifests of a standalone installation.
pub(crate) async fn start(assets: &Assets) -> anyhow::Result<Cluster> {
    eprintln!("Starting a control plane (etcd, kube-apiserver, kube-controller-manager)");
    Cluster::builder().manifest(installation(assets)?).start().await
}

/// What a standalone installation consists of, but for the controller's Deployment: whoever asks for this starts the controller
/// itself, also in a cluster that would run its pods.
pub(crate) fn installation(assets: &Assets) -> anyhow::Result<String> {
    let manifest = assets.kustomize(&crate::root().join("manifests/overlays/standalone"))?;
    Ok(without_deployments(&manifest))
}

fn without_deployments(manifest: &str) -> String {
    let documents = manifest.split("\n---\n");
    let kept = documents.filter(|document| !document.lines().any(|line| line == "kind: Deployment"));
    kept.collect::<Vec<_>>().join("\n---\n")
}

/// The words that let somebody look at the cluster from another terminal.
pub(crate) fn how_to_use(assets: &Assets, cluster: &Cluster) -> String {
    let kubectl = assets.program("kubectl");
    format!("  export KUBECONFIG={}\n  {} get profiles", cluster.kubeconfig().display(), kubectl.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_is_not_installed_beside_the_one_that_is_started() {
        let manifest = installation(&Assets::find().unwrap()).unwrap();
        assert!(manifest.contains("kind: ClusterRoleBinding") && manifest.contains("kind: ConfigMap"));
        assert!(!manifest.contains("profiles-deployment"), "{manifest}");
    }
}
