//! What the tests share: what kustomizations make, a control plane with the CRDs that they need, and kubectl and make on it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::LazyLock,
};

use dev_cluster::{Assets, Cluster, IstioCrds};
use serde_json::Value;
use test_support::{repository, repository_file};
use tokio::{io::AsyncWriteExt, process::Command, sync::OnceCell, task::spawn_blocking};

pub(crate) const CRD: &str = "manifests/base/crd/kubeflow.org_profiles.yaml";
pub(crate) const ACCOUNT: &str = "profiles-controller-service-account";

/// The overlays with their namespaces.
pub(crate) const OVERLAYS: [(&str, &str); 3] =
    [("standalone", "profiles-system"), ("kubeflow", "kubeflow"), ("kubeflow-pss", "kubeflow")];

/// Overlays as users have them, beside the tests.
pub(crate) const USERS_OVERLAYS: [(&str, &str); 2] =
    [("users-overlay", "kubeflow"), ("standalone-prometheus", "profiles-system")];

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets::find().unwrap());

/// The folder of an overlay.
pub(crate) fn overlay(name: &str) -> PathBuf {
    repository(&format!("manifests/overlays/{name}"))
}

/// The folder of an overlay of [`USERS_OVERLAYS`].
pub(crate) fn users_overlay(name: &str) -> PathBuf {
    repository(&format!("crates/profile-controller/tests/installation/{name}"))
}

/// Every overlay with its namespace.
pub(crate) fn all_overlays() -> impl Iterator<Item = (PathBuf, &'static str)> {
    let own = OVERLAYS.map(|(name, namespace)| (overlay(name), namespace));
    own.into_iter().chain(USERS_OVERLAYS.map(|(name, namespace)| (users_overlay(name), namespace)))
}

/// What a folder makes, as text.
pub(crate) fn kustomized(folder: &Path) -> String {
    ASSETS.kustomize(folder).unwrap()
}

/// What a folder makes, as objects.
pub(crate) fn built(folder: &Path) -> Vec<Value> {
    objects(&kustomized(folder))
}

/// The documents of a manifest, without empty ones.
pub(crate) fn objects(manifest: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The object of a kind and a name.
pub(crate) fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects.iter().filter(|o| o["kind"] == kind && o["metadata"]["name"] == name);
    found.next().unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// The objects of a kind.
pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// A container of the Deployment, by its name.
pub(crate) fn container<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    let deployment = object(objects, "Deployment", "profiles-deployment");
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().find(|container| container["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) success: bool,
    /// Both outputs.
    pub(crate) text: String,
}

impl Outcome {
    fn of(output: &Output) -> Self {
        let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
        Self { success: output.status.success(), text }
    }

    /// What was printed, of a command that has to succeed.
    pub(crate) fn done(self) -> String {
        assert!(self.success, "{}", self.text);
        self.text
    }

    /// What was printed, of a command that has to fail.
    pub(crate) fn refused(self) -> String {
        assert!(!self.success, "this should have failed: {}", self.text);
        self.text
    }
}

/// A cluster to install in.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
}

static SHARED: OnceCell<World> = OnceCell::const_new();

impl World {
    /// With all of Istio's CRDs, the Prometheus operator's, and the namespaces of the overlays; not with ours.
    pub(crate) async fn start() -> Self {
        Self::with(Cluster::builder().istio_crds(IstioCrds::All)).await
    }

    /// The one for tests that leave nothing behind, with our CRD.
    pub(crate) async fn shared() -> &'static Self {
        let builder = || Cluster::builder().istio_crds(IstioCrds::All).manifest(repository_file(CRD));
        SHARED.get_or_init(async || Self::with(builder()).await).await
    }

    async fn with(builder: dev_cluster::Builder) -> Self {
        let prometheus = spawn_blocking(|| dev_cluster::prometheus_operator_crds().unwrap()).await.unwrap();
        let cluster = builder.manifest(prometheus).start().await.unwrap();
        for namespace in ["kubeflow", "profiles-system"] {
            let object = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
            cluster.apply(&object).await.unwrap();
        }
        Self { cluster }
    }

    /// Runs kubectl as the admin.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&self.cluster.kubectl().args(arguments).output().await.unwrap())
    }

    /// The same with something on its standard input.
    pub(crate) async fn kubectl_with(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut command = self.cluster.kubectl();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        Outcome::of(&child.wait_with_output().await.unwrap())
    }

    /// An object, if it is there: the arguments of `kubectl get`.
    pub(crate) async fn get(&self, arguments: &[&str]) -> Option<Value> {
        let get = [&["get", "--ignore-not-found", "-o", "json"], arguments].concat();
        let text = self.kubectl(&get).await.done();
        (!text.is_empty()).then(|| serde_json::from_str(&text).unwrap())
    }

    /// Runs `make` in the repository with variables such as `OVERLAY=kubeflow`.
    pub(crate) async fn make(&self, target: &str, variables: &[&str]) -> Outcome {
        Outcome::of(&self.make_command(target, variables).output().await.unwrap())
    }

    pub(crate) fn make_command(&self, target: &str, variables: &[&str]) -> Command {
        let kubectl = ASSETS.program("kubectl").display().to_string();
        let mut make = self.on_cluster("make");
        make.args(["--no-print-directory", "-C"]).arg(repository(".")).arg(target).args(variables);
        make.arg(format!("KUBECTL={kubectl}"));
        make
    }

    /// Runs `helm`.
    pub(crate) async fn helm(&self, arguments: &[&str]) -> Outcome {
        let helm = spawn_blocking(|| dev_cluster::helm().unwrap()).await.unwrap();
        Outcome::of(&self.on_cluster(helm).args(arguments).output().await.unwrap())
    }

    /// A program that finds the cluster as kubectl does. The variables of a make that runs the tests are none of its business.
    fn on_cluster(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", self.cluster.kubeconfig()).kill_on_drop(true);
        command.env("KUBECACHEDIR", self.cluster.folder().join("kubectl-cache"));
        for variable in ["OVERLAY", "IMG", "KUBECTL", "CONFIRM", "ARGS", "MAKEFLAGS", "MAKELEVEL"] {
            command.env_remove(variable);
        }
        command
    }
}
