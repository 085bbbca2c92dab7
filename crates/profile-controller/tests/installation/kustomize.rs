//! What the kustomizations make.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use profile_render::NamespaceLabels;
use serde_json::{Value, json};
use test_support::repository;

use crate::world::{all_overlays, built, container, object, objects, of_kind, overlay, users_overlay};

/// What other manifests patch.
const NAMES: [(&str, &str); 19] = [
    ("CustomResourceDefinition", "profiles.kubeflow.org"),
    ("ServiceAccount", "profiles-controller-service-account"),
    ("ConfigMap", "profiles-config"),
    ("ConfigMap", "profiles-namespace-labels-data"),
    ("Deployment", "profiles-deployment"),
    ("ClusterRoleBinding", "profiles-cluster-rolebinding"),
    ("Role", "profiles-leader-election-role"),
    ("RoleBinding", "profiles-leader-election-rolebinding"),
    ("ClusterRole", "profiles-controller-role"),
    ("ClusterRole", "profiles-profile-editor-role"),
    ("ClusterRole", "profiles-profile-viewer-role"),
    ("ClusterRole", "profiles-kfam-role"),
    ("Service", "profiles-kfam"),
    ("VirtualService", "profiles-kfam"),
    ("AuthorizationPolicy", "profiles-kfam"),
    ("NetworkPolicy", "profiles-kfam"),
    ("Service", "profiles-controller-manager-metrics-service"),
    ("ServiceMonitor", "profiles-controller-manager-metrics-monitor"),
    ("PrometheusRule", "profiles-controller-alerts"),
];

fn kustomizations(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(kustomizations(&path));
        } else if path.ends_with("kustomization.yaml") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_kustomization_builds_and_every_component_is_part_of_one_that_does() {
    let files = kustomizations(&repository("manifests"));
    let used: String = files
        .iter()
        .cloned()
        .chain([users_overlay("users-overlay").join("kustomization.yaml")])
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    for file in &files {
        let folder = file.parent().unwrap();
        if fs::read_to_string(file).unwrap().contains("kind: Component") {
            let name = folder.file_name().unwrap().to_str().unwrap();
            assert!(used.contains(&format!("/components/{name}\n")), "nothing uses the component {name}");
        } else {
            assert!(!built(folder).is_empty(), "{}", folder.display());
        }
    }
    assert!(files.len() >= 10, "{files:?}");
}

#[test]
fn the_names_that_other_manifests_patch_are_there() {
    let objects = built(&users_overlay("users-overlay"));
    for (kind, name) in NAMES {
        object(&objects, kind, name);
    }
    for name in ["manager", "access-management"] {
        container(&objects, name);
    }
}

#[test]
fn patches_of_an_existing_overlay_apply() {
    let objects = built(&users_overlay("users-overlay"));
    let config = &object(&objects, "ConfigMap", "profiles-config")["data"];
    assert_eq!((&config["ADMIN"], &config["USERID_HEADER"]), (&json!("admin@example.com"), &json!("x-user")));
    assert_eq!(config["USERID_PREFIX"], "", "what is not patched stays");
    let labels = &object(&objects, "ConfigMap", "profiles-namespace-labels-data")["data"];
    assert!(labels["namespace-labels.yaml"].as_str().unwrap().contains("example.com/team"));
    let manager = container(&objects, "manager");
    assert_eq!(manager["env"][0]["value"], "debug");
    assert_eq!(manager["command"][0], "/manager", "the rest of the container stays");
    assert!(manager["args"].as_array().unwrap().contains(&json!("--metrics-bind-address=:8080")));
    for name in ["manager", "access-management"] {
        let image = &container(&objects, name)["image"];
        assert_eq!(image, "registry.example.com/profile-controller:v9", "{name}");
    }
    assert_eq!(container(&objects, "access-management")["args"][0], "--max-profiles-per-user=3");
    let policy = object(&objects, "AuthorizationPolicy", "profiles-kfam");
    let dashboard = &policy["spec"]["rules"][0]["from"][0]["source"]["principals"];
    assert_eq!(dashboard, &json!(["example.org/ns/kubeflow/sa/dashboard"]));
    let route = object(&objects, "VirtualService", "profiles-kfam");
    assert_eq!(route["spec"]["gateways"], json!(["istio-system/other-gateway"]));
}

#[test]
fn an_overlay_puts_everything_into_its_namespace() {
    let kinds_of_the_cluster =
        ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"].map(Value::from);
    for (folder, namespace) in all_overlays() {
        for object in built(&folder) {
            let name = &object["metadata"]["name"];
            if !kinds_of_the_cluster.contains(&object["kind"]) {
                assert_eq!(object["metadata"]["namespace"], namespace, "{} {name}", object["kind"]);
            }
            for subject in object["subjects"].as_array().into_iter().flatten() {
                assert_eq!(subject["namespace"], namespace, "{} {name}", object["kind"]);
            }
        }
    }
}

/// Whether a pod with these labels is selected; a selector that selects everything is none.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value)
}

#[test]
fn whatever_selects_pods_selects_those_of_the_deployment() {
    let objects = built(&users_overlay("users-overlay"));
    let deployment = object(&objects, "Deployment", "profiles-deployment");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["kustomize.component"], "profiles");
    assert_eq!(labels["sidecar.istio.io/inject"], "true");
    // Those of the Go controller of Kubeflow 2: they cannot be changed.
    let selector =
        json!({ "app": "profile-controller", "app.kubernetes.io/component": "controller-manager" });
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], selector);

    let mut seen = BTreeMap::new();
    for object in &objects {
        let spec = &object["spec"];
        let selector = match object["kind"].as_str().unwrap() {
            "Service" => &spec["selector"],
            "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
            "PodDisruptionBudget" | "AuthorizationPolicy" | "Deployment" => &spec["selector"]["matchLabels"],
            _ => continue,
        };
        assert!(selects(selector, labels), "{} {}", object["kind"], object["metadata"]["name"]);
        *seen.entry(object["kind"].as_str().unwrap()).or_insert(0) += 1;
    }
    let expected = [
        ("AuthorizationPolicy", 1),
        ("Deployment", 1),
        ("NetworkPolicy", 3),
        ("PodDisruptionBudget", 1),
        ("Service", 2),
    ];
    assert_eq!(seen, BTreeMap::from(expected));
}

#[test]
fn services_lead_to_ports_of_containers_and_monitors_to_ports_of_services() {
    let objects = built(&users_overlay("users-overlay"));
    let ports = |name: &str| container(&objects, name)["ports"].as_array().unwrap().clone();
    let ports = [ports("manager"), ports("access-management")].concat();
    let services = of_kind(&objects, "Service");
    for service in &services {
        let port = &service["spec"]["ports"][0];
        let target = ports.iter().find(|p| p["name"] == port["targetPort"]).expect("a named port");
        assert_eq!(target["containerPort"], port["port"]);
    }
    for monitor in of_kind(&objects, "ServiceMonitor") {
        let selector = &monitor["spec"]["selector"]["matchLabels"];
        let found: Vec<_> =
            services.iter().filter(|service| selects(selector, &service["metadata"]["labels"])).collect();
        assert_eq!(found.len(), 1, "{}", monitor["metadata"]["name"]);
        assert_eq!(found[0]["spec"]["ports"][0]["name"], monitor["spec"]["endpoints"][0]["port"]);
    }
}

#[test]
fn metrics_are_off_until_the_component_turns_them_on() {
    for (folder, _) in all_overlays() {
        let objects = built(&folder);
        let on = !of_kind(&objects, "ServiceMonitor").is_empty();
        let argument = format!("--metrics-bind-address={}", if on { ":8080" } else { "0" });
        assert!(container(&objects, "manager")["args"].as_array().unwrap().contains(&json!(argument)));
        let open =
            of_kind(&objects, "NetworkPolicy").iter().any(|p| p["metadata"]["name"] == "profiles-metrics");
        assert_eq!(open, on);
    }
}

#[test]
fn the_labels_of_namespaces_are_those_of_the_reference() {
    let kubeflow = [
        ("app.kubernetes.io/part-of", "kubeflow-profile"),
        ("katib.kubeflow.org/metrics-collector-injection", "enabled"),
        ("pipelines.kubeflow.org/enabled", "true"),
        ("serving.kubeflow.org/inferenceservice", "enabled"),
    ];
    let pss = [("pod-security.kubernetes.io/enforce", "baseline")];
    for (name, expected) in [
        ("standalone", vec![]),
        ("kubeflow", kubeflow.to_vec()),
        ("kubeflow-pss", [&kubeflow[..], &pss].concat()),
    ] {
        let objects = built(&overlay(name));
        let data = &object(&objects, "ConfigMap", "profiles-namespace-labels-data")["data"];
        let text = data["namespace-labels.yaml"].as_str().unwrap();
        NamespaceLabels::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let labels: Option<BTreeMap<String, String>> = serde_saphyr::from_str(text).unwrap();
        let labels = labels.unwrap_or_default();
        let labels: Vec<_> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(labels, expected, "{name}");
    }
}

#[test]
fn what_profiles_depend_on_is_marked_to_stay_when_the_controller_goes() {
    let marked: Vec<String> = built(&overlay("standalone"))
        .iter()
        .filter(|object| object["metadata"]["labels"]["profiles.kubeflow.org/undeploy"] == "keep")
        .map(|object| {
            format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
        })
        .collect();
    let expected = [
        "Namespace profiles-system",
        "CustomResourceDefinition profiles.kubeflow.org",
        "ClusterRole kubeflow-admin",
        "ClusterRole kubeflow-edit",
        "ClusterRole kubeflow-kubernetes-admin",
        "ClusterRole kubeflow-kubernetes-edit",
        "ClusterRole kubeflow-kubernetes-view",
        "ClusterRole kubeflow-view",
        "ClusterRole profiles-profile-editor-role",
        "ClusterRole profiles-profile-viewer-role",
    ];
    assert_eq!(marked, expected);
}

#[test]
fn two_replicas_stand_by_for_each_other_in_kubeflow() {
    for (name, replicas) in [("standalone", 1), ("kubeflow", 2), ("kubeflow-pss", 2)] {
        let objects = built(&overlay(name));
        assert_eq!(object(&objects, "Deployment", "profiles-deployment")["spec"]["replicas"], replicas);
        assert!(
            container(&objects, "manager")["args"].as_array().unwrap().contains(&json!("--leader-elect"))
        );
    }
}

#[test]
fn the_callers_that_access_management_answers_are_those_that_the_mesh_lets_in() {
    let objects = built(&overlay("kubeflow"));
    let policy = object(&objects, "AuthorizationPolicy", "profiles-kfam");
    let principals: Vec<&str> = policy["spec"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["from"][0]["source"]["principals"].as_array().unwrap())
        .map(|principal| principal.as_str().unwrap())
        .collect();
    // The defaults of --dashboard-principals and of ISTIO_INGRESS_GATEWAY_PRINCIPAL.
    let expected = [
        "cluster.local/ns/kubeflow/sa/dashboard",
        "cluster.local/ns/kubeflow/sa/centraldashboard",
        "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
    ];
    assert_eq!(principals, expected);
    let network = object(&objects, "NetworkPolicy", "profiles-kfam");
    let from = &network["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchExpressions"][0];
    assert_eq!(from["values"], json!(["istio-system", "kubeflow"]));
}

#[test]
fn the_samples_are_each_of_another_kind() {
    let samples = built(&repository("manifests/samples"));
    let text = objects(&serde_json::to_string(&samples).unwrap());
    assert_eq!(samples.len(), fs::read_dir(repository("manifests/samples")).unwrap().count() - 1);
    for part in [
        "\"User\"",
        "\"Group\"",
        "\"ServiceAccount\"",
        "WorkloadIdentity",
        "annotateOnly",
        "kubeflow.org/v1beta1",
    ] {
        assert!(json!(text).to_string().contains(part), "{part}");
    }
}
