//! On a cluster where the Go controller is installed, of either of its two generations of manifests.

use serde_json::Value;
use test_support::run;

use crate::world::World;

/// What matters of its installation in namespace kubeflow: the names, selectors, bindings and containers.
fn go_installation(selector: &str, kfam_container: &str, binding: &str) -> String {
    format!(
        "
apiVersion: v1
kind: ServiceAccount
metadata: {{name: profiles-controller-service-account, namespace: kubeflow}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {binding}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: ServiceAccount, name: profiles-controller-service-account, namespace: kubeflow}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: profiles-config, namespace: kubeflow}}
data: {{ADMIN: '', USERID_HEADER: kubeflow-userid, USERID_PREFIX: '', WORKLOAD_IDENTITY: ''}}
---
apiVersion: v1
kind: Service
metadata: {{name: profiles-kfam, namespace: kubeflow}}
spec: {{selector: {{{selector}}}, ports: [{{port: 8081}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: profiles-deployment, namespace: kubeflow}}
spec:
  replicas: 1
  selector: {{matchLabels: {{{selector}}}}}
  template:
    metadata: {{labels: {{{selector}, sidecar.istio.io/inject: 'true', theirs: 'true'}}}}
    spec:
      serviceAccountName: profiles-controller-service-account
      containers:
      - name: manager
        image: go.example.com/profile-controller
        command: [/manager, -userid-header, $(USERID_HEADER)]
        args: [--leader-elect, --health-probe-bind-address=:9876, --metrics-bind-address=0]
        envFrom: [{{configMapRef: {{name: profiles-config}}}}]
        ports: [{{name: http, containerPort: 9876}}]
      - name: {kfam_container}
        image: go.example.com/kfam
        command: [/access-management]
        ports: [{{name: kfam-http, containerPort: 8081}}]
        livenessProbe: {{httpGet: {{path: /metrics, port: 8081}}}}
"
    )
}

async fn installed_by_go(selector: &str, kfam_container: &str, binding: &str) -> (World, Value) {
    let world = World::start().await;
    let manifest = go_installation(selector, kfam_container, binding);
    world.kubectl_with(&["apply", "-f", "-"], &manifest).await.done();
    let deployment = deployment(&world).await;
    (world, deployment)
}

async fn deployment(world: &World) -> Value {
    world.get(&["deployment", "profiles-deployment", "-n", "kubeflow"]).await.unwrap()
}

fn containers(deployment: &Value) -> Vec<(String, String)> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut containers: Vec<_> = containers.map(|c| (text(&c["name"]), text(&c["image"]))).collect();
    containers.sort_unstable();
    containers
}

fn ours() -> Vec<(String, String)> {
    ["access-management", "manager"]
        .map(|name| (name.to_owned(), "ghcr.io/kubeflow/profile-controller:v0.1.0".to_owned()))
        .to_vec()
}

async fn role_of(world: &World, binding: &str) -> Value {
    world.get(&["clusterrolebinding", binding]).await.unwrap()["roleRef"]["name"].clone()
}

#[test]
fn the_deployment_of_kubeflow_2_is_updated_in_place_and_is_no_longer_cluster_admin() {
    run(async {
        let selector = "app: profile-controller, app.kubernetes.io/component: controller-manager";
        let (world, before) =
            installed_by_go(selector, "access-management", "profiles-cluster-rolebinding").await;
        let told = world.make("deploy", &["OVERLAY=kubeflow"]).await.done();
        assert!(told.contains("profiles-cluster-rolebinding is to cluster-admin"), "{told}");
        assert!(!told.contains("Deployment profiles-deployment selects"), "{told}");
        assert_eq!(role_of(&world, "profiles-cluster-rolebinding").await, "profiles-controller-role");
        let after = deployment(&world).await;
        assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(containers(&after), ours());
        let template = &after["spec"]["template"];
        assert_eq!(template["metadata"]["labels"]["theirs"], Value::Null, "what was theirs is gone");
        for container in template["spec"]["containers"].as_array().unwrap() {
            assert_eq!(container["ports"].as_array().unwrap().len(), 1, "{container}");
            assert_ne!(container["livenessProbe"]["httpGet"]["path"], "/metrics");
        }
    });
}

#[test]
fn the_deployment_of_kubeflow_1_is_made_anew_and_a_left_binding_is_named() {
    run(async {
        let binding = "profiles-cluster-role-binding";
        let (world, before) = installed_by_go("kustomize.component: profiles", "kfam", binding).await;
        let told = world.make("deploy", &["OVERLAY=kubeflow"]).await.done();
        assert!(
            told.contains(r#"selects {"kustomize.component":"profiles"}, which cannot be changed"#),
            "{told}"
        );
        assert!(told.contains("profiles-cluster-role-binding gives the controller cluster-admin"), "{told}");
        let after = deployment(&world).await;
        assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(containers(&after), ours());
        let service = world.get(&["service", "profiles-kfam", "-n", "kubeflow"]).await.unwrap();
        assert_eq!(service["spec"]["selector"]["kustomize.component"], Value::Null);
        assert_eq!(service["spec"]["ports"].as_array().unwrap().len(), 1);

        world.kubectl(&["delete", "clusterrolebinding", binding]).await.done();
        let told = world.make("deploy", &["OVERLAY=kubeflow"]).await.done();
        assert!(!told.contains("gives the controller"), "{told}");
    });
}
