//! What the tests share: a control plane, the controller as a process under its own role, and words to tell a story with.
//!
//! Most tests share one cluster and one controller ([`shared`]) and keep to Profiles of their own, whose names are theirs
//! alone ([`unique`]). A test that needs other flags, kills something or counts everything starts its own [`World`].

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use dev_cluster::{AuditEvent, Cluster, Process};
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Event, Namespace, Pod, ResourceQuota, Secret, ServiceAccount},
        rbac::v1::{Role, RoleBinding},
    },
    serde::de::DeserializeOwned,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind, NamespaceResourceScope},
};
use profile_api::{Profile, ProfileCondition, ProfileSpec, ProfileStatus, STORED_VERSION, Subject, names};
use profile_render::{OwnedKind, mesh::AuthorizationPolicy};
use serde_json::{Value, json};
use test_support::kustomized_without_crds;
pub(crate) use test_support::{repository_file, run, unique, until, until_ok};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::OnceCell,
};

/// The namespace and the ServiceAccount of the controller, as in the manifests.
const SYSTEM_NAMESPACE: &str = "profiles-system";
const SERVICE_ACCOUNT: &str = "profiles-controller-service-account";
/// How the API server names the controller.
pub(crate) const CONTROLLER_USER: &str =
    "system:serviceaccount:profiles-system:profiles-controller-service-account";

/// The CRD, from the root of the repository.
pub(crate) const CRD: &str = "manifests/base/crd/kubeflow.org_profiles.yaml";

/// A CRD of Profiles that takes anything, as if from before there were rules: the versions of the Go controller, which has the
/// status subresource on v1 only.
const PERMISSIVE_CRD: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: profiles.kubeflow.org}
spec:
  group: kubeflow.org
  scope: Cluster
  names: {kind: Profile, plural: profiles, singular: profile}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
  - name: v1beta1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// The flags that Kubeflow's manifests give, with servers on ports of the system's choice.
const FLAGS: [&str; 7] = [
    "-userid-header",
    "kubeflow-userid",
    "-userid-prefix",
    "",
    "--metrics-bind-address=127.0.0.1:0",
    "--health-probe-bind-address=127.0.0.1:0",
    "--log-format=json",
];

static SHARED: OnceCell<(World, Controller)> = OnceCell::const_new();

/// The cluster that most tests share, with its controller running.
pub(crate) async fn shared() -> &'static World {
    let (world, _) = SHARED
        .get_or_init(|| async {
            let world = World::start().await;
            let controller = world.controller(&[]);
            (world, controller)
        })
        .await;
    world
}

/// A cluster with what the controller needs to be installed, but no controller.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) admin: Client,
    kubeconfig: PathBuf,
}

impl World {
    /// Starts a control plane and installs the CRD and the roles, as a platform engineer does.
    pub(crate) async fn start() -> Self {
        Self::with(Cluster::builder()).await
    }

    /// The same on a cluster with other contents.
    pub(crate) async fn with(builder: dev_cluster::Builder) -> Self {
        Self::with_crd(builder, &repository_file(CRD)).await
    }

    async fn with_crd(builder: dev_cluster::Builder, crd: &str) -> Self {
        // What a platform engineer installs beside the CRD.
        let installation =
            tokio::task::spawn_blocking(|| kustomized_without_crds("manifests/overlays/standalone"));
        let installation = installation.await.expect("manifests");
        let builder = builder.manifest(crd).manifest(installation);
        let cluster = builder.start().await.expect("a control plane");
        let admin = cluster.admin();
        let kubeconfig = cluster
            .service_account_kubeconfig(SYSTEM_NAMESPACE, SERVICE_ACCOUNT)
            .await
            .expect("a kubeconfig");
        Self { cluster, admin, kubeconfig }
    }

    /// Starts a control plane whose CRD takes any Profile, so that it can hold those from before there were rules.
    pub(crate) async fn permissive() -> Self {
        Self::with_crd(Cluster::builder(), PERMISSIVE_CRD).await
    }

    /// Installs the CRD, or updates it, and waits until its rules hold.
    pub(crate) async fn install_crd(&self) {
        self.cluster.apply(&repository_file(CRD)).await.expect("installing the CRD");
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let wrong = raw_profile(
            STORED_VERSION,
            &unique("refused"),
            json!({ "owner": { "kind": "User", "name": "*" } }),
        );
        until("the rules hold", async || {
            self.raw_profiles(STORED_VERSION).create(&dry_run, &wrong).await.err()
        })
        .await;
    }

    /// Starts a controller under its own role, with Kubeflow's flags and further ones.
    pub(crate) fn controller(&self, flags: &[&str]) -> Controller {
        self.start_controller(self.controller_command(&self.kubeconfig, flags))
    }

    /// The same, with further environment variables.
    pub(crate) fn controller_in<'a>(
        &self,
        environment: impl IntoIterator<Item = (&'a str, String)>,
        flags: &[&str],
    ) -> Controller {
        let mut command = self.controller_command(&self.kubeconfig, flags);
        command.envs(environment);
        self.start_controller(command)
    }

    /// Starts a controller under another ServiceAccount, which may do what the ClusterRole of the same name says.
    pub(crate) async fn controller_of(&self, account: &str) -> Controller {
        let subject = json!({ "kind": "ServiceAccount", "name": account, "namespace": SYSTEM_NAMESPACE });
        let objects = [
            json!({
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": { "name": account, "namespace": SYSTEM_NAMESPACE },
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": { "name": account },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": account },
                "subjects": [subject],
            }),
        ];
        let yaml = objects.map(|object| object.to_string()).join("\n---\n");
        self.cluster.apply(&yaml).await.expect("an account");
        let kubeconfig = self.cluster.service_account_kubeconfig(SYSTEM_NAMESPACE, account).await;
        self.start_controller(self.controller_command(&kubeconfig.expect("a kubeconfig"), &[]))
    }

    /// Starts a controller that reaches the API server at another address, where it needs no credentials.
    pub(crate) fn controller_behind(&self, url: &str) -> Controller {
        let kubeconfig = self.cluster.folder().join(unique("proxy")).with_extension("kubeconfig");
        let content = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "contexts": [{ "name": "proxy", "context": { "cluster": "proxy", "user": "nobody" } }],
            "clusters": [{ "name": "proxy", "cluster": { "server": url } }],
            "users": [{ "name": "nobody", "user": {} }],
        });
        std::fs::write(&kubeconfig, content.to_string()).expect("a kubeconfig");
        self.start_controller(self.controller_command(&kubeconfig, &[]))
    }

    /// A client that is to the API server who the controller is.
    pub(crate) async fn controller_client(&self) -> Client {
        self.cluster.service_account(SYSTEM_NAMESPACE, SERVICE_ACCOUNT).await.expect("a client")
    }

    fn controller_command(&self, kubeconfig: &Path, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_profile-controller"));
        command.args(FLAGS).args(flags).env("KUBECONFIG", kubeconfig);
        command
    }

    fn start_controller(&self, command: Command) -> Controller {
        let log = self.cluster.folder().join(unique("controller")).with_extension("log");
        let process = self.cluster.run(&command, &log).expect("starting the controller");
        Controller { process, log }
    }

    /// Runs kubectl as the admin; what it prints.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.cluster.kubectl().args(arguments).output().await.expect("kubectl");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) fn profiles(&self) -> Api<Profile> {
        Api::all(self.admin.clone())
    }

    /// Profiles in one of the served versions, as they are stored: also those that do not decode.
    pub(crate) fn raw_profiles(&self, version: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(names::GROUP, version, names::KIND));
        Api::all_with(self.admin.clone(), &resource)
    }

    pub(crate) fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.admin.clone())
    }

    pub(crate) fn role_bindings(&self, namespace: &str) -> Api<RoleBinding> {
        self.namespaced(namespace)
    }

    pub(crate) fn policies(&self, namespace: &str) -> Api<AuthorizationPolicy> {
        self.namespaced(namespace)
    }

    pub(crate) fn quotas(&self, namespace: &str) -> Api<ResourceQuota> {
        self.namespaced(namespace)
    }

    pub(crate) fn service_accounts(&self, namespace: &str) -> Api<ServiceAccount> {
        self.namespaced(namespace)
    }

    pub(crate) fn namespaced<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType: Default>,
    {
        Api::namespaced(self.admin.clone(), namespace)
    }

    /// Creates a Profile that belongs to a user.
    pub(crate) async fn create_profile(&self, name: &str, owner: &str) -> Profile {
        self.create(Profile::new(name, ProfileSpec::owned_by(Subject::user(owner)))).await
    }

    /// Creates a Profile.
    pub(crate) async fn create(&self, profile: Profile) -> Profile {
        let name = profile.name_any();
        let created = self.profiles().create(&PostParams::default(), &profile).await;
        created.unwrap_or_else(|error| panic!("creating Profile {name}: {error}"))
    }

    /// Creates a Profile that belongs to a user and waits until it is ready.
    pub(crate) async fn ready_profile(&self, name: &str, owner: &str) -> Profile {
        self.create_profile(name, owner).await;
        self.ready(name).await
    }

    /// Waits until a Profile is ready, for its latest spec.
    pub(crate) async fn ready(&self, name: &str) -> Profile {
        self.profile_where(name, "ready", |profile| {
            let status = profile.status.clone().unwrap_or_default();
            status.is_ready() && status.observed_generation == profile.metadata.generation
        })
        .await
    }

    /// Waits until a Profile is not ready for a reason, and gives that condition.
    pub(crate) async fn not_ready(&self, name: &str, reason: &str) -> ProfileCondition {
        let holds = |profile: &Profile| {
            let ready = condition(profile, ProfileCondition::READY);
            !ready.is_true()
                && ready.reason == reason
                && ready.observed_generation == profile.metadata.generation
        };
        let profile = self.profile_where(name, reason, holds).await;
        condition(&profile, ProfileCondition::READY)
    }

    /// Waits until the controller has said something about the latest spec of a Profile, one that does not decode included;
    /// the condition `Ready`.
    pub(crate) async fn reported(&self, name: &str) -> ProfileCondition {
        until(&format!("Profile {name} has a status"), async || {
            let profile = self.raw_profiles(STORED_VERSION).get_opt(name).await.ok().flatten()?;
            let status: ProfileStatus = serde_json::from_value(profile.data["status"].clone()).ok()?;
            let latest = profile.metadata.generation;
            status
                .condition(ProfileCondition::READY)
                .filter(|ready| ready.observed_generation == latest)
                .cloned()
        })
        .await
    }

    /// The Events about a Profile.
    pub(crate) async fn events_about(&self, profile: &str) -> Vec<Event> {
        // Events about cluster-scoped objects are in namespace default.
        let about = format!("involvedObject.kind=Profile,involvedObject.name={profile}");
        let events = self.namespaced::<Event>("default").list(&ListParams::default().fields(&about)).await;
        events.expect("listing Events").items
    }

    async fn profile_where(&self, name: &str, what: &str, holds: impl Fn(&Profile) -> bool) -> Profile {
        let what = format!("Profile {name} {what}");
        until(&what, async || self.profiles().get_opt(name).await.ok().flatten().filter(&holds)).await
    }

    /// Waits until the controller has looked at everything that happened so far: it has dealt with a Profile that is
    /// created now.
    pub(crate) async fn caught_up(&self) {
        let name = unique("caught-up");
        self.ready_profile(&name, "nobody@example.com").await;
        self.delete_profile(&name).await;
    }

    /// Changes a Profile's spec.
    pub(crate) async fn patch_spec(&self, name: &str, spec: Value) {
        patch(&self.profiles(), name, json!({ "spec": spec })).await;
    }

    /// Deletes a Profile.
    pub(crate) async fn delete_profile(&self, name: &str) {
        self.profiles().delete(name, &DeleteParams::default()).await.expect("deleting a Profile");
    }

    /// The kinds of change requests that the controller has made since `mark`, without leader election.
    pub(crate) async fn writes_since(&self, mark: dev_cluster::Mark) -> Vec<String> {
        self.attempts_since(mark).await.iter().map(described).collect()
    }

    /// The same, without those that the API server refused.
    pub(crate) async fn successful_writes_since(&self, mark: dev_cluster::Mark) -> Vec<String> {
        self.attempts_since(mark).await.iter().filter(|event| event.code < 300).map(described).collect()
    }

    async fn attempts_since(&self, mark: dev_cluster::Mark) -> Vec<AuditEvent> {
        self.cluster.audit().settled().await.expect("the audit log");
        let mut events = self.cluster.audit().since(mark).expect("the audit log");
        events.retain(|event| {
            event.user == CONTROLLER_USER
                && !matches!(event.verb.as_str(), "get" | "list" | "watch")
                && event.resource != "leases"
        });
        events
    }

    /// Creates a namespace as somebody else would, with further metadata, and waits until it has what Kubernetes itself puts
    /// into each.
    pub(crate) async fn create_namespace(&self, name: &str, metadata: Value) -> Namespace {
        let mut namespace: Namespace =
            serde_json::from_value(json!({ "metadata": metadata })).expect("a namespace");
        namespace.metadata.name = Some(name.to_owned());
        let created = self.namespaces().create(&PostParams::default(), &namespace).await;
        let created = created.unwrap_or_else(|error| panic!("creating namespace {name}: {error}"));
        self.furnished(name).await;
        created
    }

    /// Waits until a namespace has what Kubernetes itself puts into each.
    pub(crate) async fn furnished(&self, namespace: &str) {
        until(&format!("namespace {namespace} has its default ServiceAccount"), async || {
            self.service_accounts(namespace).get_opt("default").await.ok().flatten()
        })
        .await;
    }

    /// A namespace and everything in it, whole, by kind and name: two of these are equal only if nothing was written in
    /// between.
    pub(crate) async fn contents(&self, namespace: &str) -> BTreeMap<String, Value> {
        let mut contents = BTreeMap::new();
        contents.insert(
            "Namespace".to_owned(),
            json!(self.namespaces().get(namespace).await.expect("a namespace")),
        );
        for resource in [
            ApiResource::erase::<ConfigMap>(&()),
            ApiResource::erase::<Pod>(&()),
            ApiResource::erase::<ResourceQuota>(&()),
            ApiResource::erase::<Role>(&()),
            ApiResource::erase::<RoleBinding>(&()),
            ApiResource::erase::<Secret>(&()),
            ApiResource::erase::<ServiceAccount>(&()),
            ApiResource::erase::<AuthorizationPolicy>(&()),
        ] {
            let api: Api<DynamicObject> = Api::namespaced_with(self.admin.clone(), namespace, &resource);
            for object in api.list(&ListParams::default()).await.expect("listing").items {
                contents.insert(format!("{} {}", resource.kind, object.name_any()), json!(object));
            }
        }
        contents
    }

    /// An object of a Profile, of any kind, through an API that keeps every field.
    pub(crate) fn owned(&self, profile: &str, kind: OwnedKind) -> Api<DynamicObject> {
        let resource = kind.api_resource();
        if kind.is_namespaced() {
            Api::namespaced_with(self.admin.clone(), profile, &resource)
        } else {
            Api::all_with(self.admin.clone(), &resource)
        }
    }

    /// The Events about a Profile, each as its reason and its note.
    pub(crate) async fn events(&self, profile: &str) -> Vec<(String, String)> {
        let events: Api<Event> = Api::namespaced(self.admin.clone(), "default");
        let about = ListParams::default()
            .fields(&format!("involvedObject.kind=Profile,involvedObject.name={profile}"));
        let events = events.list(&about).await.expect("listing").items.into_iter();
        events.map(|event| (event.reason.unwrap_or_default(), event.message.unwrap_or_default())).collect()
    }

    /// Asserts that every object that a Profile should have is there and belongs to it.
    pub(crate) async fn assert_in_place(&self, profile: &Profile) {
        let name = profile.name_any();
        let uid = profile.uid().expect("a uid");
        for (resource, names) in owned_objects(profile) {
            let api: Api<DynamicObject> = Api::namespaced_with(self.admin.clone(), &name, &resource);
            let list = api.list(&ListParams::default()).await.expect("listing");
            let owned = list
                .items
                .into_iter()
                .filter(|object| object.owner_references().iter().any(|r| r.uid == uid));
            let mut found: Vec<String> = owned.map(|object| object.name_any()).collect();
            found.sort_unstable();
            assert_eq!(found, names, "{} of Profile {name}", resource.plural);
        }
        let namespace = self.namespaces().get(&name).await.expect("a namespace");
        assert!(namespace.owner_references().iter().any(|reference| reference.uid == uid));
        assert_eq!(namespace.annotations()["owner"], profile.spec.owner.name);
    }
}

/// A write in words: what, and to which object.
fn described(write: &AuditEvent) -> String {
    match write.resource.as_str() {
        // The API server files a Namespace under itself.
        "namespaces" => format!("{} namespaces /{}", write.verb, write.name),
        resource => format!("{} {resource} {}/{}", write.verb, write.namespace, write.name),
    }
}

/// The kinds in a Profile's namespace with the names of the objects that it should have, sorted.
fn owned_objects(profile: &Profile) -> Vec<(ApiResource, Vec<&'static str>)> {
    let quota = profile.spec.resource_quota_spec.as_ref().is_some_and(|quota| !quota.hard.is_empty());
    vec![
        (ApiResource::erase::<ServiceAccount>(&()), vec!["default-editor", "default-viewer"]),
        (ApiResource::erase::<RoleBinding>(&()), vec!["default-editor", "default-viewer", "namespaceAdmin"]),
        (ApiResource::erase::<AuthorizationPolicy>(&()), vec!["ns-owner-access-istio"]),
        (ApiResource::erase::<ResourceQuota>(&()), if quota { vec!["kf-resource-quota"] } else { vec![] }),
    ]
}

/// The controller as a process.
pub(crate) struct Controller {
    process: Process,
    log: PathBuf,
}

impl Controller {
    /// Kills it where it stands (SIGKILL).
    pub(crate) fn kill(self) {
        drop(self.process);
    }

    /// Asks it to stop (SIGTERM), and waits until it has; its exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        self.process.terminate().expect("SIGTERM");
        until("the controller stops", async || self.process.ended().expect("a status")).await.code()
    }

    /// How it ended by itself, once it has.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        until("the controller ends", async || self.process.ended().expect("a status")).await.code()
    }

    /// Everything that it has printed so far.
    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The log so far, one JSON object a line.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.printed().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a log line whose message contains a text.
    pub(crate) async fn logged(&self, text: &str) -> Value {
        until(&format!("a log line with {text:?}"), async || {
            self.log()
                .into_iter()
                .find(|line| line["message"].as_str().is_some_and(|message| message.contains(text)))
        })
        .await
    }

    /// What it serves under a path: status and body.
    pub(crate) async fn get(&self, server: Server, path: &str) -> (u16, String) {
        let line = self.logged(server.log_line()).await;
        let address = line["message"]
            .as_str()
            .and_then(|message| message.rsplit(' ').next())
            .expect("an address")
            .to_owned();
        let mut connection = TcpStream::connect(&address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        connection.write_all(request.as_bytes()).await.expect("sending");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (code, body.to_owned())
    }

    /// The value of a metric, given as it is written with its labels.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let (_, text) = self.get(Server::Metrics, "/metrics").await;
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }
}

/// The servers of the controller.
#[derive(Clone, Copy)]
pub(crate) enum Server {
    Health,
    Metrics,
}

impl Server {
    fn log_line(self) -> &'static str {
        match self {
            Self::Health => "serving health probes on",
            Self::Metrics => "serving metrics on",
        }
    }
}

/// A condition of a Profile; empty if it is not reported.
pub(crate) fn condition(profile: &Profile, type_: &str) -> ProfileCondition {
    profile.status.as_ref().and_then(|status| status.condition(type_)).cloned().unwrap_or_default()
}

/// Patches an object as an admin would.
pub(crate) async fn patch<K>(api: &Api<K>, name: &str, body: Value)
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(body)).await;
    patched.unwrap_or_else(|error| panic!("patching {name}: {error}"));
}

/// A Profile with any spec, in one of the served versions.
pub(crate) fn raw_profile(version: &str, name: &str, spec: Value) -> DynamicObject {
    let api_version = format!("{}/{version}", names::GROUP);
    let profile =
        json!({ "apiVersion": api_version, "kind": names::KIND, "metadata": { "name": name }, "spec": spec });
    serde_json::from_value(profile).expect("an object")
}

/// Whether the API server let a request through or refused it for want of permission.
///
/// # Panics
/// When it failed for another reason.
pub(crate) fn allowed<T>(answer: kube::Result<T>) -> bool {
    match answer {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if status.code == 403 => false,
        Err(error) => panic!("neither allowed nor refused: {error}"),
    }
}

/// A pod that asks for some CPU.
pub(crate) fn pod(name: &str, cpu: &str) -> Pod {
    let resources = json!({ "requests": { "cpu": cpu }, "limits": { "cpu": cpu } });
    let container = json!({ "name": "main", "image": "none.example/none", "resources": resources });
    serde_json::from_value(json!({ "metadata": { "name": name }, "spec": { "containers": [container] } }))
        .expect("a pod")
}
