//! What the tests share: a control plane, the controller and access management as processes under their own roles, and the gateway.

use std::process::Command;

use dev_cluster::{Cluster, Process};
use dev_gateway::{Gateway, Settings};
use kube::{Api, Client};
use profile_api::Profile;
use test_support::{binary, kustomized_without_crds, repository_file, unique, until};
use tokio::sync::OnceCell;

/// A user who may do everything.
pub(crate) const ADMIN: &str = "root@example.com";
const GATEWAY: &str = "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account";
const NAMESPACE: &str = "profiles-system";
const CONTROLLER: &str = "profiles-controller-service-account";
const KFAM: &str = "kfam-alone";
const BINDING: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kfam-alone}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: profiles-kfam-role}
subjects: [{kind: ServiceAccount, name: kfam-alone, namespace: profiles-system}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kfam-alone, namespace: profiles-system}
";
const HEADERS: [&str; 4] = ["-userid-header", "kubeflow-userid", "-userid-prefix", ""];

static SHARED: OnceCell<World> = OnceCell::const_new();

/// Everything that a browser needs to show something.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) admin: Client,
    pub(crate) gateway: Gateway,
    pub(crate) driver: String,
    _processes: [Process; 3],
}

impl World {
    /// The one that all tests share.
    pub(crate) async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        let made = tokio::task::spawn_blocking(|| {
            let controller = binary("profile-controller", env!("CARGO_BIN_EXE_kfam"));
            (controller, kustomized_without_crds("manifests/overlays/standalone"))
        });
        let (controller, installation) = made.await.unwrap();
        let builder = Cluster::builder()
            .manifest(repository_file("manifests/base/crd/kubeflow.org_profiles.yaml"))
            .manifest(installation)
            .manifest(repository_file("manifests/components/kfam/role.yaml"))
            .manifest(BINDING);
        let cluster = builder.start().await.expect("a control plane");
        let start = |mut command: Command, kubeconfig: &std::path::Path, log: &str| {
            let log = cluster.folder().join(log);
            cluster.run(command.env("KUBECONFIG", kubeconfig), &log).expect("a process")
        };

        let kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, CONTROLLER).await.unwrap();
        let mut command = Command::new(controller);
        command.args(HEADERS);
        command.args(["--metrics-bind-address=0", "--health-probe-bind-address=127.0.0.1:0"]);
        let controller = start(command, &kubeconfig, "controller.log");

        let kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, KFAM).await.unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kfam"));
        command.args(HEADERS).args(["-cluster-admin", ADMIN, "--bind-address=127.0.0.1:0"]);
        let kfam = start(command, &kubeconfig, "kfam.log");
        let upstream = said(&cluster, "kfam.log", "serving access management on ").await;

        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let driver = start(command, &kubeconfig, "chromedriver.log");
        let port = said(&cluster, "chromedriver.log", "started successfully on port ").await;

        let settings = Settings {
            upstream,
            userid_header: "kubeflow-userid".to_owned(),
            principal: GATEWAY.to_owned(),
            users: Vec::new(),
            corner: false,
        };
        let gateway = Gateway::start(settings, 0).await.expect("the gateway");
        let driver_url = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
        Self {
            admin: cluster.admin(),
            cluster,
            gateway,
            driver: driver_url,
            _processes: [controller, kfam, driver],
        }
    }

    pub(crate) fn profiles(&self) -> Api<Profile> {
        Api::all(self.admin.clone())
    }
}

/// Waits for a text in a log; the word that follows it.
async fn said(cluster: &Cluster, log: &str, text: &str) -> String {
    let file = cluster.folder().join(log);
    until(&format!("{log} says {text:?}"), async || {
        let log = std::fs::read_to_string(&file).unwrap_or_default();
        // A line that is written to its end.
        let (_, after) = log.split_once(text)?;
        let (line, _) = after.split_once('\n')?;
        line.split_whitespace().next().map(|word| word.trim_end_matches("\u{1b}[0m").to_owned())
    })
    .await
}

/// A user whom no other test knows.
pub(crate) fn user(beginning: &str) -> String {
    format!("{}@example.com", unique(beginning))
}
