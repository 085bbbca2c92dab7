//! A cluster as the documents leave it, with the binaries as an administrator starts them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use dev_cluster::{Assets, Cluster, Process};
use test_support::{binary, repository, repository_file, unique, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The binaries, by the names of their packages: built once.
pub(crate) static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let xtask = env!("CARGO_BIN_EXE_xtask");
    binary("kfam", xtask);
    let controller = binary("profile-controller", xtask);
    controller.parent().expect("a folder").to_owned()
});

const NAMESPACE: &str = "profiles-system";
const SERVICE_ACCOUNT: &str = "profiles-controller-service-account";

/// A control plane with what a standalone installation brings, and with the roles of access management.
pub(crate) async fn installed() -> Cluster {
    let overlay = || {
        let assets = Assets::find().expect("the control plane");
        // Built beside, so that no test waits for it.
        LazyLock::force(&PROGRAMS);
        assets.kustomize(&repository("manifests/overlays/standalone")).expect("manifests")
    };
    let overlay = tokio::task::spawn_blocking(overlay).await.expect("manifests");
    let cluster = Cluster::builder().manifest(overlay).start().await.expect("a control plane");
    for file in ["role.yaml", "role-binding.yaml"] {
        cluster.apply(&repository_file(&format!("manifests/components/kfam/{file}"))).await.expect("a role");
    }
    cluster
}

/// The kubeconfig of the ServiceAccount that the controller has in its pod.
pub(crate) async fn service_account(cluster: &Cluster) -> PathBuf {
    cluster.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT).await.expect("a kubeconfig")
}

/// A running program with its log.
pub(crate) struct Running {
    pub(crate) process: Process,
    log: PathBuf,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(cluster: &Cluster, command: &Command) -> Self {
        let log = cluster.folder().join(unique("program")).with_extension("log");
        let process = cluster.run(command, &log).expect("starting it");
        Self { process, log }
    }

    /// Asks it to stop, as the kubelet does. It has to end with success.
    pub(crate) async fn stop(mut self) {
        self.process.terminate().expect("SIGTERM");
        let status = until("it stops", async || self.process.ended().expect("a status")).await;
        assert!(status.success(), "{status}: {}", self.printed());
    }

    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The address that it has said it serves something on.
    pub(crate) async fn address(&self, what: &str) -> String {
        let said = format!("serving {what} on ");
        until(&said, async || {
            let printed = self.printed();
            let after = printed.split(&said).nth(1)?;
            let (address, _) = after.split_once(|c: char| c == '"' || c.is_whitespace())?;
            Some(address.to_owned())
        })
        .await
    }

    /// What it answers: status and body.
    pub(crate) async fn get(&self, what: &str, path: &str, headers: &str) -> (u16, String) {
        let address = self.address(what).await;
        let mut connection = TcpStream::connect(&address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n");
        connection.write_all(request.as_bytes()).await.expect("sending");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (code, body.to_owned())
    }
}

/// The servers of the controller, as its log names them.
pub(crate) const METRICS: &str = "metrics";
/// That of access management.
pub(crate) const ACCESS_MANAGEMENT: &str = "access management";

/// Flags so that several can run on one machine.
pub(crate) const CONTROLLER_PORTS: [&str; 2] =
    ["--metrics-bind-address=127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:0"];
pub(crate) const KFAM_PORTS: [&str; 1] = ["--bind-address=127.0.0.1:0"];

/// The controller, with the flags of Kubeflow.
pub(crate) fn controller(program: impl AsRef<Path>, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(["-userid-header", "kubeflow-userid", "-userid-prefix", ""]).args(CONTROLLER_PORTS);
    command.env("KUBECONFIG", kubeconfig);
    command
}

/// Access management, with the flags of Kubeflow.
pub(crate) fn kfam(program: impl AsRef<Path>, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(["-userid-header", "kubeflow-userid", "-userid-prefix", ""]).args(KFAM_PORTS);
    command.env("KUBECONFIG", kubeconfig);
    command
}
