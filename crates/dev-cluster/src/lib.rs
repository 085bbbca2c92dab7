//! A real Kubernetes control plane for development and tests: etcd, kube-apiserver and
//! kube-controller-manager as processes of this machine, ready in seconds and gone without a trace
//! when the [`Cluster`] is dropped or the process that started it dies. There are no nodes: a Pod
//! is stored, never run.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let cluster = dev_cluster::Cluster::start().await?;
//! cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: team-a}}").await?;
//! let alice = cluster.user("alice@example.com", &["team-a-readers"]).await?;
//! # Ok(()) }
//! ```
//!
//! The programs come from the directory named by `KUBEBUILDER_ASSETS` or, if that is not set, are
//! built once with Go from the module in `controlplane/` and kept in the user's cache.

mod assets;
mod audit;
mod certs;
mod cluster;
mod component;
mod control_plane;
mod go;
mod kubeconfig;
mod manifest;
mod process;
mod progress;
mod tools;
mod wait;

pub use assets::{Assets, cached_folder};
pub use audit::{AuditEvent, AuditLog, KEEP_AUDIT_LOGS, Mark, read_kept};
pub use cluster::{Builder, Cluster, IstioCrds};
pub use process::Process;
pub use tools::{helm, prometheus_operator_crds};

/// Applies a manifest of one or more documents to any cluster, as [`Cluster::apply`] does.
///
/// # Errors
/// As [`Cluster::apply`].
pub async fn apply(client: &kube::Client, yaml: &str) -> anyhow::Result<()> {
    manifest::apply(client, &manifest::parse(yaml)?).await
}
