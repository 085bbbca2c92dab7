//! What the tests share: a control plane with Profiles as the controller leaves them, access management as a process under its own
//! role, and words to call it with.
//!
//! Most tests share one cluster and one process ([`shared`]) and keep to Profiles of their own ([`unique`]). A test that needs
//! other flags, or stops something, starts its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use dev_cluster::{Cluster, Process};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    core::v1::Namespace,
    rbac::v1::RoleBinding,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use profile_api::{Profile, ProfileSpec, Subject};
use profile_render::{PlatformConfig, mesh::AuthorizationPolicy, render, validate};
use serde_json::{Value, json};
use test_support::{kustomized_without_crds, repository_file};
pub(crate) use test_support::{run, unique, until};
use tokio::sync::OnceCell;

/// The workloads that are answered.
pub(crate) const DASHBOARD: &str = "cluster.local/ns/kubeflow/sa/dashboard";
pub(crate) const GATEWAY: &str = "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account";
/// A user who may do everything.
pub(crate) const ADMIN: &str = "root@example.com";

/// The ServiceAccount that has the role of access management and no other.
const NAMESPACE: &str = "profiles-system";
const SERVICE_ACCOUNT: &str = "kfam-alone";
const BINDING: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kfam-alone}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: profiles-kfam-role}
subjects: [{kind: ServiceAccount, name: kfam-alone, namespace: profiles-system}]
";

static SHARED: OnceCell<(World, Kfam)> = OnceCell::const_new();

/// The cluster and the process that most tests share.
pub(crate) async fn shared() -> (&'static World, &'static Kfam) {
    let (world, kfam) = SHARED
        .get_or_init(|| async {
            let world = World::start().await;
            let kfam = world.kfam(&[]).await;
            (world, kfam)
        })
        .await;
    (world, kfam)
}

/// A cluster with everything installed.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) admin: Client,
    kubeconfig: PathBuf,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Cluster::builder()).await
    }

    pub(crate) async fn with(builder: dev_cluster::Builder) -> Self {
        let installation =
            tokio::task::spawn_blocking(|| kustomized_without_crds("manifests/overlays/standalone"));
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": SERVICE_ACCOUNT, "namespace": NAMESPACE },
        });
        let builder = builder
            .manifest(repository_file("manifests/base/crd/kubeflow.org_profiles.yaml"))
            .manifest(installation.await.expect("manifests"))
            .manifest(repository_file("manifests/components/kfam/role.yaml"))
            .manifest(account.to_string())
            .manifest(BINDING);
        let cluster = builder.start().await.expect("a control plane");
        let kubeconfig =
            cluster.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT).await.expect("a kubeconfig");
        Self { admin: cluster.admin(), cluster, kubeconfig }
    }

    /// Starts access management with Kubeflow's flags and further ones, and waits until it listens.
    pub(crate) async fn kfam(&self, flags: &[&str]) -> Kfam {
        self.kfam_with(&self.kubeconfig, flags).await
    }

    /// A client that is to the API server what access management is.
    pub(crate) async fn kfam_client(&self) -> Client {
        self.cluster.service_account(NAMESPACE, SERVICE_ACCOUNT).await.expect("a client")
    }

    /// Starts access management with the API server at another address.
    pub(crate) async fn kfam_behind(&self, url: &str) -> Kfam {
        let kubeconfig = self.cluster.folder().join(unique("proxy")).with_extension("kubeconfig");
        let content = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "contexts": [{ "name": "proxy", "context": { "cluster": "proxy", "user": "nobody" } }],
            "clusters": [{ "name": "proxy", "cluster": { "server": url } }],
            "users": [{ "name": "nobody", "user": {} }],
        });
        std::fs::write(&kubeconfig, content.to_string()).expect("a kubeconfig");
        self.kfam_with(&kubeconfig, &[]).await
    }

    async fn kfam_with(&self, kubeconfig: &Path, flags: &[&str]) -> Kfam {
        let log = self.cluster.folder().join(unique("kfam")).with_extension("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_kfam"));
        command.args(["-cluster-admin", ADMIN, "-userid-header", "kubeflow-userid", "-userid-prefix", ""]);
        command.args(["--bind-address=127.0.0.1:0", "--log-format=json"]).args(flags);
        let process = self.cluster.run(command.env("KUBECONFIG", kubeconfig), &log);
        let mut kfam = Kfam {
            process: process.expect("starting kfam"),
            log,
            address: String::new(),
            http: HttpClient::builder(TokioExecutor::new()).build_http(),
        };
        let line = kfam.logged("serving access management on").await;
        let address = line["message"].as_str().and_then(|message| message.rsplit(' ').next());
        address.expect("an address").clone_into(&mut kfam.address);
        kfam
    }

    pub(crate) fn profiles(&self) -> Api<Profile> {
        Api::all(self.admin.clone())
    }

    pub(crate) fn role_bindings(&self, namespace: &str) -> Api<RoleBinding> {
        Api::namespaced(self.admin.clone(), namespace)
    }

    pub(crate) fn policies(&self, namespace: &str) -> Api<AuthorizationPolicy> {
        Api::namespaced(self.admin.clone(), namespace)
    }

    /// A Profile of a user as the controller leaves it, with everything that it owns, once access management knows it.
    pub(crate) async fn team(&self, kfam: &Kfam, owner: &str) -> String {
        let name = unique("team");
        self.furnished(&name, owner).await;
        kfam.knows(owner, &name, "admin").await;
        name
    }

    /// A Profile of a user as the controller leaves it.
    pub(crate) async fn furnished(&self, name: &str, owner: &str) {
        let profile = Profile::new(name, ProfileSpec::owned_by(Subject::user(owner)));
        let profile = self.profiles().create(&PostParams::default(), &profile).await.expect("a Profile");
        let config = platform();
        let valid = validate(&profile.metadata, &profile.spec, &config).expect("a valid Profile");
        let rendered = render(&valid, &config);
        let namespaces: Api<Namespace> = Api::all(self.admin.clone());
        namespaces.create(&PostParams::default(), &rendered.namespace).await.expect("a namespace");
        for manifest in rendered.manifests() {
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.admin.clone(), name, &manifest.key.kind.api_resource());
            let object = serde_json::from_value(manifest.to_json()).expect("an object");
            match api.create(&PostParams::default(), &object).await {
                // On a cluster without Istio.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                created => drop(created.expect("an object of the Profile")),
            }
        }
        let status = json!({ "status": { "conditions": [
            { "type": "Ready", "status": "True", "reason": "Reconciled", "message": "in place" },
        ] } });
        let patch = Patch::Merge(status);
        self.profiles().patch_status(name, &PatchParams::default(), &patch).await.expect("a status");
    }

    /// Creates an object from JSON.
    pub(crate) async fn create<K>(&self, namespace: &str, object: Value) -> K
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType: Default>
            + serde::de::DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        let object: K = serde_json::from_value(object).expect("an object");
        Api::namespaced(self.admin.clone(), namespace)
            .create(&PostParams::default(), &object)
            .await
            .expect("created")
    }

    /// The names of the contributors' objects in a namespace: RoleBindings, then policies; those of the Profile left out.
    pub(crate) async fn halves(&self, namespace: &str) -> (Vec<String>, Vec<String>) {
        let ours = |labels: &std::collections::BTreeMap<String, String>| {
            labels.contains_key(profile_api::names::PROFILE_LABEL)
        };
        let bindings = self.role_bindings(namespace).list(&ListParams::default()).await.expect("listing");
        let bindings = bindings.items.iter().filter(|it| !ours(it.labels())).map(ResourceExt::name_any);
        // The metadata: the reference leaves fields out that it does not need.
        let policies = self.policies(namespace).list_metadata(&ListParams::default()).await.expect("listing");
        let policies = policies.items.iter().filter(|it| !ours(it.labels())).map(ResourceExt::name_any);
        (bindings.collect(), policies.collect())
    }

    /// Whether the API server lets a subject do something with pods in a namespace.
    pub(crate) async fn can(&self, user: &str, groups: &[&str], verb: &str, namespace: &str) -> bool {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.to_owned()),
                groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
                resource_attributes: Some(ResourceAttributes {
                    namespace: Some(namespace.to_owned()),
                    verb: Some(verb.to_owned()),
                    resource: Some("pods".to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.admin.clone());
        let answer = api.create(&PostParams::default(), &review).await.expect("a review");
        answer.status.expect("a status").allowed
    }
}

/// The settings that the flags of [`World::kfam`] make.
pub(crate) fn platform() -> PlatformConfig {
    PlatformConfig {
        userid_header: "kubeflow-userid".to_owned(),
        userid_prefix: String::new(),
        ..PlatformConfig::default()
    }
}

/// Access management as a process.
pub(crate) struct Kfam {
    process: Process,
    log: PathBuf,
    pub(crate) address: String,
    http: HttpClient<HttpConnector, Full<bytes::Bytes>>,
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who<'a> {
    /// The dashboard on its own account.
    Dashboard,
    /// A user through the dashboard.
    User(&'a str),
    /// Somebody with these headers.
    Headers(&'a [(&'a str, &'a str)]),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn code(&self) -> u16 {
        self.status.as_u16()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that it is an error as every error is: with a word and a sentence.
    #[track_caller]
    pub(crate) fn refused(&self, code: u16, word: &str) {
        assert_eq!(self.code(), code, "{self:?}");
        let body = self.json();
        assert_eq!(body["error"], word, "{self:?}");
        assert!(body["message"].as_str().is_some_and(|message| message.len() > 10), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.headers.contains_key("retry-after"), code == 503, "{self:?}");
    }

    /// Asserts that it was done.
    #[track_caller]
    pub(crate) fn done(&self) {
        assert_eq!(self.code(), 200, "{self:?}");
    }
}

/// What Istio's sidecar says of a peer.
pub(crate) fn certificate(principal: &str) -> String {
    format!(
        "By=spiffe://cluster.local/ns/kubeflow/sa/profiles;Hash=0a1b2c;Subject=\"\";URI=spiffe://{principal}"
    )
}

impl Kfam {
    /// Sends a request.
    pub(crate) async fn call(&self, who: Who<'_>, method: Method, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut headers = HeaderMap::new();
        let mut add = |name: &str, value: &str| {
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        };
        add("content-type", "application/json");
        match who {
            Who::Dashboard => add("x-forwarded-client-cert", &certificate(DASHBOARD)),
            Who::User(user) => {
                add("x-forwarded-client-cert", &certificate(DASHBOARD));
                add("kubeflow-userid", user);
            }
            Who::Headers(given) => given.iter().for_each(|(name, value)| add(name, value)),
        }
        self.send(method, path, headers, body.into()).await.expect("an answer")
    }

    /// Sends a request as it is given.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: bytes::Bytes,
    ) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        request.headers_mut().extend(headers);
        let response = self.http.request(request).await.map_err(|error| format!("{error:?}"))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: parts.status, headers: parts.headers, text })
    }

    pub(crate) async fn get(&self, who: Who<'_>, path: &str) -> Answer {
        self.call(who, Method::GET, path, None).await
    }

    pub(crate) async fn register(&self, who: Who<'_>, name: &str, owner: &str) -> Answer {
        let profile =
            json!({ "metadata": { "name": name }, "spec": { "owner": { "kind": "User", "name": owner } } });
        self.call(who, Method::POST, "/kfam/v1/profiles", Some(profile)).await
    }

    pub(crate) async fn delete_profile(&self, who: Who<'_>, name: &str) -> Answer {
        self.call(who, Method::DELETE, &format!("/kfam/v1/profiles/{name}"), None).await
    }

    pub(crate) async fn share(&self, who: Who<'_>, binding: Value) -> Answer {
        self.call(who, Method::POST, "/kfam/v1/bindings", Some(binding)).await
    }

    pub(crate) async fn unshare(&self, who: Who<'_>, binding: Value) -> Answer {
        self.call(who, Method::DELETE, "/kfam/v1/bindings", Some(binding)).await
    }

    /// The bindings that match, each as `namespace kind user role`, sorted.
    pub(crate) async fn bindings(&self, who: Who<'_>, query: &str) -> Vec<String> {
        let answer = self.get(who, &format!("/kfam/v1/bindings{query}")).await;
        answer.done();
        let body = answer.json();
        let mut bindings: Vec<String> = body["bindings"]
            .as_array()
            .expect("bindings")
            .iter()
            .map(|it| {
                let text =
                    |pointer: &str| it.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
                let [namespace, kind, user, role] =
                    ["/referredNamespace", "/user/kind", "/user/name", "/RoleRef/name"].map(text);
                format!("{namespace} {kind} {user} {role}")
            })
            .collect();
        bindings.sort_unstable();
        bindings
    }

    /// Waits until it knows of a user's role in a namespace.
    pub(crate) async fn knows(&self, user: &str, namespace: &str, role: &str) {
        let query = format!("/kfam/v1/bindings?user={user}&namespace={namespace}&role={role}");
        until(&format!("kfam knows {user} in {namespace}"), async || {
            let answer = self.get(Who::Dashboard, &query).await;
            (answer.code() == 200 && answer.json()["bindings"][0].is_object()).then_some(())
        })
        .await;
    }

    /// Waits until it has read what there is.
    pub(crate) async fn ready(&self) {
        until("kfam is ready", async || {
            (self.get(Who::Headers(&[]), "/readyz").await.code() == 200).then_some(())
        })
        .await;
    }

    /// Asks it to stop (SIGTERM), and waits until it has; its exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        self.process.terminate().expect("SIGTERM");
        until("kfam stops", async || self.process.ended().expect("a status")).await.code()
    }

    /// The log so far, one JSON object a line.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The file of its log.
    pub(crate) fn log_file(&self) -> &Path {
        &self.log
    }

    /// Waits for a log line whose message contains a text.
    pub(crate) async fn logged(&self, text: &str) -> Value {
        until(&format!("a log line with {text:?}"), async || {
            let holds = |line: &Value| line["message"].as_str().is_some_and(|it| it.contains(text));
            self.log().into_iter().find(holds)
        })
        .await
    }

    /// The lines of the audit log about a Profile.
    pub(crate) fn audit(&self, profile: &str) -> Vec<Value> {
        let about = |line: &Value| line["audit"] == true && line["profile"] == profile;
        self.log().into_iter().filter(about).collect()
    }
}

/// A binding as it goes over the wire.
pub(crate) fn binding(namespace: &str, user: &str, role: &str) -> Value {
    json!({
        "user": { "kind": "User", "name": user },
        "referredNamespace": namespace,
        "RoleRef": { "kind": "ClusterRole", "name": role },
    })
}
