//! The cluster as its user sees it: started with what was asked for, with clients and kubeconfigs
//! for whoever is wanted. How the processes run is left to `control_plane`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DynamicObject, PostParams};
use kube::{Api, Client, Config};
use tokio::process::Command;
use tokio::task::spawn_blocking;

use crate::assets::Assets;
use crate::audit::AuditLog;
use crate::control_plane::{ControlPlane, PORT_TAKEN};
use crate::kubeconfig::Credentials;
use crate::manifest;
use crate::process::Process;

const ISTIO_AUTHORIZATION_POLICIES: &str = "authorizationpolicies.security.istio.io";
const START_ATTEMPTS: u32 = 5;
const TOKEN_SECONDS: i64 = 365 * 24 * 60 * 60;

/// Which of Istio's CRDs a cluster has from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IstioCrds {
    /// None: Istio is not installed.
    None,
    /// Only AuthorizationPolicy of security.istio.io, to start quickly.
    #[default]
    AuthorizationPolicy,
    /// All of them.
    All,
}

/// Says what a cluster should be like; [`Cluster::builder`] makes one.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    istio_crds: IstioCrds,
    manifests: Vec<String>,
    api_server_flags: Vec<String>,
}

impl Builder {
    /// Which of Istio's CRDs there are. Without this call: AuthorizationPolicy.
    #[must_use]
    pub fn istio_crds(mut self, crds: IstioCrds) -> Self {
        self.istio_crds = crds;
        self
    }

    /// A manifest to apply before the controllers start. The place for CRDs: the garbage collector
    /// and the quota controller know them from the start, whereas they notice one that comes later
    /// only after up to 30 s.
    #[must_use]
    pub fn manifest(mut self, yaml: impl Into<String>) -> Self {
        self.manifests.push(yaml.into());
        self
    }

    /// One more flag for kube-apiserver, as `--flag=value`, in place of a flag of that name which it would have.
    #[must_use]
    pub fn api_server_flag(mut self, flag: impl Into<String>) -> Self {
        self.api_server_flags.push(flag.into());
        self
    }

    /// Starts the cluster and waits until it can be used.
    ///
    /// # Errors
    /// The programs can't be found or built (see [`Assets::find`]), one of them doesn't start (with
    /// the end of its log), or a manifest can't be applied.
    pub async fn start(self) -> anyhow::Result<Cluster> {
        let crds = self.istio_crds;
        let (assets, mut objects) = spawn_blocking(move || {
            let assets = Assets::find()?;
            let objects = read_istio_crds(&assets, crds)?;
            anyhow::Ok((assets, objects))
        })
        .await??;
        for yaml in &self.manifests {
            objects.extend(manifest::parse(yaml)?);
        }
        for _ in 1..START_ATTEMPTS {
            match Cluster::try_start(&assets, &self.api_server_flags, &objects).await {
                Err(error) if format!("{error:#}").contains(PORT_TAKEN) => {
                    tracing::info!("a port of the control plane was taken, starting again");
                }
                result => return result,
            }
        }
        Cluster::try_start(&assets, &self.api_server_flags, &objects).await
    }
}

/// A running control plane. Dropping it kills its processes and removes its folder.
///
/// Namespaces, resource quotas, owner references, default service accounts and aggregated
/// ClusterRoles work as in any cluster. That a deleted namespace takes at least 5 s to go is
/// compiled into Kubernetes.
///
/// A client belongs to the tokio runtime it was made in: tests that share a cluster, each in its own
/// runtime, should each ask for their own.
pub struct Cluster {
    control_plane: ControlPlane,
    assets: Assets,
    admin: Config,
    admin_kubeconfig: PathBuf,
    kubeconfigs: AtomicU32,
}

impl Cluster {
    /// Starts a cluster with nothing but the CRD of Istio's AuthorizationPolicy.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn start() -> anyhow::Result<Cluster> {
        Cluster::builder().start().await
    }

    /// To start a cluster that has more.
    pub fn builder() -> Builder {
        Builder::default()
    }

    async fn try_start(
        assets: &Assets,
        api_server_flags: &[String],
        objects: &[DynamicObject],
    ) -> anyhow::Result<Cluster> {
        let control_plane = ControlPlane::start(assets, api_server_flags)?;
        let endpoint = control_plane.endpoint();
        let admin_kubeconfig = control_plane.folder().join("admin.kubeconfig");
        endpoint.write(control_plane.admin(), &admin_kubeconfig)?;
        let admin = endpoint.config(control_plane.admin()).await?;
        let client = Client::try_from(admin.clone())?;

        control_plane.await_api_server(&client).await?;
        manifest::apply(&client, objects).await?;
        control_plane.start_controller_manager()?;
        control_plane.await_controllers(&client).await?;
        Ok(Cluster {
            control_plane,
            assets: assets.clone(),
            admin,
            admin_kubeconfig,
            kubeconfigs: AtomicU32::new(0),
        })
    }

    /// A new client of the user `admin`, who may do everything.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn admin(&self) -> Client {
        Client::try_from(self.admin.clone())
            .expect("a client was made from this configuration when the cluster started")
    }

    /// The kubeconfig file of [`admin`](Self::admin).
    pub fn kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// A client of the user `name` in `groups` (and in `system:authenticated`, as everybody). Users
    /// need not exist: any name will do. The user is impersonated by the admin, as `kubectl --as`
    /// does; for the API server's decisions and for [`audit`](Self::audit) that is the same.
    ///
    /// # Errors
    /// Not expected in a running cluster.
    pub async fn user(&self, name: &str, groups: &[&str]) -> anyhow::Result<Client> {
        self.client(&self.user_credentials(name, groups)).await
    }

    /// The kubeconfig file of a [`user`](Self::user).
    ///
    /// # Errors
    /// The file can't be written.
    pub fn user_kubeconfig(&self, name: &str, groups: &[&str]) -> anyhow::Result<PathBuf> {
        self.write_kubeconfig(&self.user_credentials(name, groups))
    }

    /// A client with a token of the service account, which must exist. It is valid for a year or
    /// until the service account is deleted.
    ///
    /// # Errors
    /// There is no such service account.
    pub async fn service_account(&self, namespace: &str, name: &str) -> anyhow::Result<Client> {
        self.client(&self.token(namespace, name).await?).await
    }

    /// The kubeconfig file of a [`service_account`](Self::service_account).
    ///
    /// # Errors
    /// There is no such service account, or the file can't be written.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> anyhow::Result<PathBuf> {
        self.write_kubeconfig(&self.token(namespace, name).await?)
    }

    /// Applies a manifest of one or more documents as the admin (server-side apply, by force), in
    /// the order they are written. Waits for CRDs to be usable; but the garbage collector and the
    /// quota controller notice a CRD only after up to 30 s, so [`Builder::manifest`] is the better
    /// place for those.
    ///
    /// # Errors
    /// The manifest can't be parsed, names an unknown kind, or the API server refuses an object;
    /// the ones before it are applied then.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<()> {
        crate::apply(&self.admin(), yaml).await
    }

    /// The log of all requests.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.control_plane.audit_log(), self.admin())
    }

    /// `kubectl` as the admin, to which arguments can be added.
    pub fn kubectl(&self) -> Command {
        self.kubectl_as(&self.admin_kubeconfig)
    }

    /// `kubectl` with any kubeconfig.
    pub fn kubectl_as(&self, kubeconfig: &Path) -> Command {
        let mut kubectl = Command::new(self.assets.program("kubectl"));
        kubectl
            .env("KUBECONFIG", kubeconfig)
            // The port may belong to another cluster tomorrow: what is discovered stays in here.
            .env("KUBECACHEDIR", self.folder().join("kubectl-cache"))
            .kill_on_drop(true);
        kubectl
    }

    /// Starts a program that goes when the cluster goes, such as a controller under test. What it prints is added to the file
    /// `log`. Drop the [`Process`] before the cluster, which waits for it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, command: &std::process::Command, log: &Path) -> anyhow::Result<Process> {
        self.control_plane.run(command, log)
    }

    /// The running components of the control plane, by name, with the identifiers of their processes.
    pub fn processes(&self) -> Vec<(&'static str, u32)> {
        self.control_plane.processes()
    }

    /// Kills the API server with SIGKILL, in the middle of whatever it does. Does nothing if it was
    /// stopped before.
    pub fn stop_api_server(&self) {
        self.control_plane.kill_api_server();
    }

    /// Starts the API server at the same address with the same data, and waits until it is ready.
    /// Existing clients go on working.
    ///
    /// # Errors
    /// It doesn't start; with the end of its log.
    pub async fn start_api_server(&self) -> anyhow::Result<()> {
        self.control_plane.start_api_server()?;
        self.control_plane.await_api_server(&self.admin()).await
    }

    /// Kills the controller manager: nothing is garbage collected, no namespace goes away, until it is started again. To set
    /// up what would be collected at once otherwise.
    pub fn stop_controller_manager(&self) {
        self.control_plane.kill_controller_manager();
    }

    /// Starts the controller manager again. It begins with a look at everything there is.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_controller_manager(&self) -> anyhow::Result<()> {
        self.control_plane.start_controller_manager()
    }

    /// Where the cluster keeps its data and the logs of its components (`<component>.log`).
    pub fn folder(&self) -> &Path {
        self.control_plane.folder()
    }

    fn user_credentials(&self, name: &str, groups: &[&str]) -> Credentials {
        self.control_plane.admin().acting_as(name, groups)
    }

    async fn token(&self, namespace: &str, name: &str) -> anyhow::Result<Credentials> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin(), namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("a token for service account {namespace}/{name}"))?;
        let token =
            answer.status.and_then(|status| status.token).context("the TokenRequest came back empty")?;
        Ok(Credentials::token(&token))
    }

    async fn client(&self, credentials: &Credentials) -> anyhow::Result<Client> {
        let config = self.control_plane.endpoint().config(credentials).await?;
        Ok(Client::try_from(config)?)
    }

    fn write_kubeconfig(&self, credentials: &Credentials) -> anyhow::Result<PathBuf> {
        let number = self.kubeconfigs.fetch_add(1, Ordering::Relaxed);
        let file = self.folder().join(format!("{number}.kubeconfig"));
        self.control_plane.endpoint().write(credentials, &file)?;
        Ok(file)
    }
}

fn read_istio_crds(assets: &Assets, wanted: IstioCrds) -> anyhow::Result<Vec<DynamicObject>> {
    if wanted == IstioCrds::None {
        return Ok(Vec::new());
    }
    let file = assets.istio_crds()?;
    let yaml = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    match wanted {
        IstioCrds::AuthorizationPolicy => manifest::parse(document(&yaml, ISTIO_AUTHORIZATION_POLICIES)?),
        _ => manifest::parse(&yaml),
    }
}

/// The document of a manifest that has an object of that name. Found in the text, because parsing
/// all of Istio's CRDs takes longer than starting etcd.
fn document<'a>(yaml: &'a str, name: &str) -> anyhow::Result<&'a str> {
    let line = format!("\n  name: {name}\n");
    yaml.split("\n---\n")
        .find(|document| document.contains(&line))
        .with_context(|| format!("{name} is not among Istio's CRDs"))
}
