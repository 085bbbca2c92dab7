//! Starts the processes of a control plane, each with the flags that make it quick and small, and
//! waits until they answer. What is in the cluster, and for whom, is left to others.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, anyhow};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};

use crate::assets::Assets;
use crate::audit;
use crate::certs::{self, Authority};
use crate::component::Component;
use crate::kubeconfig::{Credentials, Endpoint};
use crate::process::{Folder, Process};
use crate::wait;

/// Generous, for a machine that runs several of these at once: a component that dies ends the wait
/// anyway.
const DEADLINE: Duration = Duration::from_secs(120);

/// Those that namespaces, quotas, ownership and roles need. The others serve workloads and nodes,
/// of which there are none.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,resourcequota-controller,serviceaccount-controller,clusterrole-aggregation-controller";

/// The running processes. The fields are dropped in this order: clients before servers, and the
/// folder when nobody is left in it.
pub(crate) struct ControlPlane {
    controller_manager: Component,
    api_server: Component,
    etcd: Component,
    folder: Folder,
    endpoint: Endpoint,
    admin: Credentials,
}

struct Ports {
    etcd: u16,
    api_server: u16,
}

impl ControlPlane {
    /// Prepares everything and starts etcd and the API server, without waiting for them.
    pub(crate) fn start(assets: &Assets, api_server_flags: &[String]) -> anyhow::Result<Self> {
        let folder = Folder::create()?;
        let ports = free_ports()?;
        let authority = Authority::new()?;
        write_api_server_files(&authority, folder.path())?;
        let endpoint = Endpoint {
            server: format!("https://127.0.0.1:{}", ports.api_server),
            authority: authority.certificate(),
        };
        write_controller_manager_files(&authority, &endpoint, folder.path())?;

        let component = |name, flags| Component::new(name, assets.program(name), flags, folder.path());
        let mut flags = api_server_arguments(&ports, folder.path());
        flags.retain(|ours| api_server_flags.iter().all(|given| flag_name(given) != flag_name(ours)));
        flags.extend_from_slice(api_server_flags);
        let control_plane = ControlPlane {
            controller_manager: component(
                "kube-controller-manager",
                controller_manager_arguments(folder.path()),
            ),
            api_server: component("kube-apiserver", flags),
            etcd: component("etcd", etcd_arguments(&ports, folder.path())),
            admin: Credentials::certificate(&authority.client("admin", "system:masters")?),
            endpoint,
            folder,
        };
        control_plane.etcd.start(&control_plane.folder)?;
        control_plane.start_api_server()?;
        Ok(control_plane)
    }

    /// Runs a further program that goes when the control plane goes.
    pub(crate) fn run(&self, command: &Command, log: &Path) -> anyhow::Result<Process> {
        Process::start(command, log, &self.folder)
    }

    /// The running components, by name, with the identifiers of their processes.
    pub(crate) fn processes(&self) -> Vec<(&'static str, u32)> {
        let components = [&self.etcd, &self.api_server, &self.controller_manager];
        components.into_iter().filter_map(Component::process).collect()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn admin(&self) -> &Credentials {
        &self.admin
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder().join(AUDIT_LOG)
    }

    pub(crate) fn start_api_server(&self) -> anyhow::Result<()> {
        self.api_server.start(&self.folder)
    }

    pub(crate) fn kill_api_server(&self) {
        self.api_server.kill();
    }

    pub(crate) fn start_controller_manager(&self) -> anyhow::Result<()> {
        self.controller_manager.start(&self.folder)
    }

    pub(crate) fn kill_controller_manager(&self) {
        self.controller_manager.kill();
    }

    /// Waits until the API server says that it is ready.
    pub(crate) async fn await_api_server(&self, admin: &Client) -> anyhow::Result<()> {
        let ready = http::Request::get("/readyz").body(Vec::new())?;
        self.until("the API server is ready", async || {
            Ok(admin.request_text(ready.clone()).await.ok().map(|_| ()))
        })
        .await
    }

    /// Waits until Pods can be created: they need a service account, which a controller makes.
    pub(crate) async fn await_controllers(&self, admin: &Client) -> anyhow::Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), "default");
        self.until("the controllers are at work", async || Ok(accounts.get_opt("default").await?.map(|_| ())))
            .await
    }

    async fn until(
        &self,
        what: &str,
        mut attempt: impl AsyncFnMut() -> anyhow::Result<Option<()>>,
    ) -> anyhow::Result<()> {
        let components = [&self.etcd, &self.api_server, &self.controller_manager];
        let result = wait::until(what, DEADLINE, async || {
            components.iter().try_for_each(|c| c.check())?;
            attempt().await
        })
        .await;
        // The error of one that has ended holds its log already.
        if components.iter().any(|c| c.check().is_err()) {
            return result;
        }
        result.map_err(|error| {
            let logs: String = components.iter().map(|c| c.log_tail()).collect();
            anyhow!("{error:#}{logs}")
        })
    }
}

const AUDIT_POLICY: &str = "audit-policy.yaml";
const AUDIT_LOG: &str = "audit.log";
const AUTHORITY: &str = "ca.crt";
const SERVING_CERTIFICATE: &str = "kube-apiserver.crt";
const SERVING_KEY: &str = "kube-apiserver.key";
const TOKEN_PUBLIC_KEY: &str = "service-accounts.pub";
const TOKEN_PRIVATE_KEY: &str = "service-accounts.key";
const CONTROLLER_MANAGER_KUBECONFIG: &str = "kube-controller-manager.kubeconfig";

fn write_api_server_files(authority: &Authority, folder: &Path) -> anyhow::Result<()> {
    let serving = authority.serving()?;
    let tokens = certs::token_keys()?;
    for (file, content) in [
        (AUDIT_POLICY, audit::POLICY),
        (AUTHORITY, &authority.certificate()),
        (SERVING_CERTIFICATE, &serving.public),
        (SERVING_KEY, &serving.private),
        (TOKEN_PUBLIC_KEY, &tokens.public),
        (TOKEN_PRIVATE_KEY, &tokens.private),
    ] {
        fs::write(folder.join(file), content).with_context(|| format!("writing {file}"))?;
    }
    // There from the start, so that a mark can be taken before the first request.
    audit::create_log(&folder.join(AUDIT_LOG))
}

/// Its own name, so that its requests can be told apart in the audit log; all rights, because the
/// role of that name expects each controller to have a service account.
fn write_controller_manager_files(
    authority: &Authority,
    endpoint: &Endpoint,
    folder: &Path,
) -> anyhow::Result<()> {
    let identity = authority.client("system:kube-controller-manager", "system:masters")?;
    let credentials = Credentials::certificate(&identity);
    endpoint.write(&credentials, &folder.join(CONTROLLER_MANAGER_KUBECONFIG))
}

fn etcd_arguments(ports: &Ports, folder: &Path) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    // Nobody else joins: any port will do, and the advertised one is never called.
    let peer = "http://127.0.0.1:0";
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // The data dies with the process, so nothing is gained by waiting for the disk.
        "--unsafe-no-fsync".to_owned(),
        // It elects itself; how soon depends on these.
        "--heartbeat-interval=10".to_owned(),
        "--election-timeout=100".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server_arguments(ports: &Ports, folder: &Path) -> Vec<String> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.api_server),
        file("tls-cert-file", SERVING_CERTIFICATE),
        file("tls-private-key-file", SERVING_KEY),
        file("client-ca-file", AUTHORITY),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        file("service-account-key-file", TOKEN_PUBLIC_KEY),
        file("service-account-signing-key-file", TOKEN_PRIVATE_KEY),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        // Nothing routes to the Service `kubernetes`.
        "--endpoint-reconciler-type=none".to_owned(),
        file("audit-policy-file", AUDIT_POLICY),
        file("audit-log-path", AUDIT_LOG),
        // An answer is sent when it has been logged.
        "--audit-log-mode=blocking".to_owned(),
        // One file: readers keep their place in it.
        "--audit-log-maxsize=1000000".to_owned(),
        // Tests and benchmarks should meet the limits of the machine, not of fairness.
        "--max-requests-inflight=4000".to_owned(),
        "--max-mutating-requests-inflight=2000".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn flag_name(flag: &str) -> &str {
    flag.split_once('=').map_or(flag, |(name, _)| name)
}

fn controller_manager_arguments(folder: &Path) -> Vec<String> {
    let kubeconfig = folder.join(CONTROLLER_MANAGER_KUBECONFIG);
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--controllers={CONTROLLERS}"),
        "--leader-elect=false".to_owned(),
        // Serves nothing, so it needs no port.
        "--secure-port=0".to_owned(),
        // Its default limits make the deletion of a namespace take many seconds.
        "--kube-api-qps=2000".to_owned(),
        "--kube-api-burst=4000".to_owned(),
        "--concurrent-namespace-syncs=50".to_owned(),
        "--concurrent-gc-syncs=50".to_owned(),
        "--concurrent-resource-quota-syncs=20".to_owned(),
    ]
}

/// Ports that are free now. They may be taken a moment later; then the component ends with
/// [`PORT_TAKEN`] in its log.
fn free_ports() -> anyhow::Result<Ports> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port");
    // Both are held until both are known, or they could be the same.
    let (etcd, api_server) = (listen()?, listen()?);
    Ok(Ports { etcd: etcd.local_addr()?.port(), api_server: api_server.local_addr()?.port() })
}

/// What a component says if its port was taken before it could listen on it.
pub(crate) const PORT_TAKEN: &str = "address already in use";
