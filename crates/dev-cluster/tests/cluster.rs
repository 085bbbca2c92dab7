//! What a user of a dev cluster can rely on, against real ones. Tests that do it no harm share one;
//! it goes with the process, as all of them do.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use dev_cluster::{Cluster, IstioCrds};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::OnceCell;

const DEADLINE: Duration = Duration::from_secs(60);
const HOLDER: &str = "DEV_CLUSTER_TEST_HOLDER";

async fn shared() -> &'static Cluster {
    static SHARED: OnceCell<Cluster> = OnceCell::const_new();
    SHARED
        .get_or_init(async || Cluster::builder().manifest(crd("owners", "Owner")).start().await.unwrap())
        .await
}

async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < DEADLINE, "{what}: not in {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn from_json<K: serde::de::DeserializeOwned>(object: serde_json::Value) -> K {
    serde_json::from_value(object).unwrap()
}

async fn create_namespace(client: Client, name: &str) {
    Api::all(client)
        .create(&PostParams::default(), &from_json::<Namespace>(json!({"metadata": {"name": name}})))
        .await
        .unwrap();
}

async fn who_am_i(client: Client) -> (String, Vec<String>) {
    let review = Api::<SelfSubjectReview>::all(client)
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .unwrap();
    let user = review.status.unwrap().user_info.unwrap();
    (user.username.unwrap(), user.groups.unwrap_or_default())
}

fn is_forbidden<T>(result: kube::Result<T>) -> bool {
    matches!(result, Err(kube::Error::Api(status)) if status.is_forbidden())
}

#[tokio::test]
async fn a_deleted_namespace_disappears_with_what_is_in_it() {
    let cluster = shared().await;
    let namespaces: Api<Namespace> = Api::all(cluster.admin());
    create_namespace(cluster.admin(), "short-lived").await;
    cluster
        .apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: short-lived}}")
        .await
        .unwrap();

    namespaces.delete("short-lived", &DeleteParams::default()).await.unwrap();

    eventually("the namespace is gone", async || namespaces.get_opt("short-lived").await.unwrap().is_none())
        .await;
}

#[tokio::test]
async fn a_pod_can_be_created_at_once() {
    let cluster = shared().await;
    let pods: Api<Pod> = Api::namespaced(cluster.admin(), "default");
    let pod = json!({
        "metadata": {"name": "idle"},
        "spec": {"containers": [{"name": "idle", "image": "none"}]},
    });
    pods.create(&PostParams::default(), &from_json(pod)).await.unwrap();
}

#[tokio::test]
async fn a_user_may_do_what_a_role_binding_says_and_nothing_else() {
    let cluster = shared().await;
    create_namespace(cluster.admin(), "guarded").await;
    let alice = cluster.user("alice", &["readers", "others"]).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(alice.clone(), "guarded");
    assert!(is_forbidden(maps.list(&ListParams::default()).await));

    cluster
        .apply(
            "
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: guarded}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: readers}
",
        )
        .await
        .unwrap();

    eventually("the group may read", async || maps.list(&ListParams::default()).await.is_ok()).await;
    let elsewhere: Api<ConfigMap> = Api::namespaced(alice.clone(), "default");
    assert!(is_forbidden(elsewhere.list(&ListParams::default()).await));
    let (name, groups) = who_am_i(alice).await;
    assert_eq!(name, "alice");
    assert_eq!(groups, ["readers", "others", "system:authenticated"]);
}

#[tokio::test]
async fn a_service_account_client_is_who_it_says() {
    let cluster = shared().await;
    create_namespace(cluster.admin(), "robots").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.admin(), "robots");
    let account = from_json(json!({"metadata": {"name": "r2d2"}}));
    accounts.create(&PostParams::default(), &account).await.unwrap();

    let client = cluster.service_account("robots", "r2d2").await.unwrap();

    let (name, groups) = who_am_i(client).await;
    assert_eq!(name, "system:serviceaccount:robots:r2d2");
    assert!(groups.contains(&"system:serviceaccounts:robots".to_owned()));
    let kubeconfig = cluster.service_account_kubeconfig("robots", "r2d2").await.unwrap();
    assert_eq!(kubectl_user(cluster, &kubeconfig).await, name);
}

#[tokio::test]
async fn kubeconfig_files_work_for_other_programs() {
    let cluster = shared().await;
    assert_eq!(kubectl_user(cluster, cluster.kubeconfig()).await, "admin");
    let bob = cluster.user_kubeconfig("bob", &[]).unwrap();
    assert_eq!(kubectl_user(cluster, &bob).await, "bob");
}

async fn kubectl_user(cluster: &Cluster, kubeconfig: &Path) -> String {
    let output = cluster
        .kubectl_as(kubeconfig)
        .args(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn crd(plural: &str, kind: &str) -> String {
    format!(
        "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.example.com}}
spec:
  group: example.com
  names: {{kind: {kind}, plural: {plural}}}
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"
    )
}

#[tokio::test]
async fn objects_of_a_crd_can_be_applied_in_the_same_manifest() {
    let cluster = shared().await;
    let crd = crd("toys", "Toy");
    let manifest = "
---
---
{apiVersion: example.com/v1, kind: Toy, metadata: {name: bear}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody}
spec: {}
";
    cluster.apply(&format!("{crd}{manifest}")).await.unwrap();
}

#[tokio::test]
async fn an_object_goes_with_its_owner_of_a_kind_known_from_the_start() {
    let cluster = shared().await;
    let owner = "{apiVersion: example.com/v1, kind: Owner, metadata: {name: parent}}";
    cluster.apply(owner).await.unwrap();
    let kind =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("example.com", "v1", "Owner"), "owners");
    let owners: Api<DynamicObject> = Api::all_with(cluster.admin(), &kind);
    let uid = owners.get("parent").await.unwrap().uid().unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.admin(), "default");
    let owned = json!({"metadata": {"name": "child", "ownerReferences": [
        {"apiVersion": "example.com/v1", "kind": "Owner", "name": "parent", "uid": uid},
    ]}});
    maps.create(&PostParams::default(), &from_json(owned)).await.unwrap();

    owners.delete("parent", &DeleteParams::default()).await.unwrap();

    eventually("the owned object is gone", async || maps.get_opt("child").await.unwrap().is_none()).await;
}

#[tokio::test]
async fn an_unknown_kind_is_an_error_that_names_it() {
    let cluster = shared().await;
    let error = cluster
        .apply("{apiVersion: example.org/v1, kind: Mistake, metadata: {name: a}}")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("example.org/v1 Mistake"), "{error}");
}

#[tokio::test]
async fn the_audit_log_counts_requests_by_user() {
    let cluster = shared().await;
    let audit = cluster.audit();
    let carol = cluster.user("carol", &[]).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(carol, "default");
    let _ = maps.get("before").await;
    let mark = audit.settled().await.unwrap();

    let _ = maps.get("a").await;
    let _ = maps.get("b").await;
    let _ = maps.list(&ListParams::default()).await;
    audit.settled().await.unwrap();

    let mut events = audit.since(mark).unwrap();
    events.retain(|event| event.user == "carol");
    let seen: Vec<_> = events.iter().map(|e| (e.verb.as_str(), e.name.as_str(), e.code)).collect();
    assert_eq!(seen, [("get", "a", 403), ("get", "b", 403), ("list", "", 403)]);
    assert!(events.iter().all(|e| e.resource == "configmaps" && e.namespace == "default"));
    assert!(audit.events().unwrap().len() > events.len());
}

#[tokio::test]
async fn what_was_stored_survives_a_killed_api_server() {
    let cluster = Cluster::builder()
        .istio_crds(IstioCrds::None)
        .manifest("{apiVersion: v1, kind: Namespace, metadata: {name: kept}}")
        .start()
        .await
        .unwrap();
    let namespaces: Api<Namespace> = Api::all(cluster.admin());
    let stored = namespaces.get("kept").await.unwrap();

    cluster.stop_api_server();
    assert!(namespaces.get("kept").await.is_err());
    cluster.start_api_server().await.unwrap();

    let found = namespaces.get("kept").await.unwrap();
    assert_eq!(found.uid(), stored.uid());
}

#[tokio::test]
async fn dropping_a_cluster_ends_its_processes_and_removes_its_folder() {
    let cluster = Cluster::builder().istio_crds(IstioCrds::None).start().await.unwrap();
    let folder = cluster.folder().to_owned();
    assert!(has_processes(&folder).await);

    drop(cluster);

    assert!(!has_processes(&folder).await);
    assert!(!folder.exists());
}

#[tokio::test]
async fn nothing_outlives_a_parent_killed_with_sigkill() {
    let note = tempfile::tempdir().unwrap();
    let note = note.path().join("folder");
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holder", "--nocapture"])
        .env(HOLDER, &note)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("the parent has a cluster", async || note.exists()).await;
    let folder = PathBuf::from(std::fs::read_to_string(&note).unwrap());
    assert!(has_processes(&folder).await);

    parent.kill().await.unwrap();

    eventually("the processes are gone", async || !has_processes(&folder).await).await;
    eventually("the folder is gone", async || !folder.exists()).await;
}

/// The parent of the test above: notes the folder of its cluster and waits to be killed.
#[tokio::test]
async fn holder() {
    let Some(note) = std::env::var_os(HOLDER).map(PathBuf::from) else {
        return;
    };
    let cluster = Cluster::start().await.unwrap();
    let partial = note.with_extension("partial");
    std::fs::write(&partial, cluster.folder().to_str().unwrap()).unwrap();
    std::fs::rename(&partial, &note).unwrap();
    std::future::pending::<()>().await;
}

/// Each process of a cluster, and each shell that watches over one, has the folder in its arguments.
async fn has_processes(folder: &Path) -> bool {
    let output = Command::new("ps").args(["-A", "-ww", "-o", "args="]).output().await.unwrap();
    let processes = String::from_utf8_lossy(&output.stdout).into_owned();
    processes.contains(folder.to_str().unwrap())
}
