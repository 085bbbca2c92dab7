//! The Helm chart makes what the kustomizations make.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use serde_json::{Value, json};
use test_support::{repository, repository_file, run};
use tokio::task::spawn_blocking;

use crate::{
    api_server::assert_valid,
    world::{World, built, container, object, objects, overlay, users_overlay},
};

const CHART: &str = "manifests/chart";

fn chart() -> String {
    repository(CHART).canonicalize().unwrap().display().to_string()
}

fn values(file: &str) -> String {
    format!("--values={}/{file}", chart())
}

/// What `helm template` prints.
fn template(arguments: &[&str]) -> Result<String, String> {
    let helm = dev_cluster::helm().unwrap();
    let output =
        Command::new(helm).args(["template", "profiles", &chart()]).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// By kind and name, without what only one of the two has to have: the namespace, which Helm creates by itself, Helm's word that
/// an object stays, and the way in which the labels file is written.
fn comparable(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let others = objects.into_iter().filter(|object| object["kind"] != "Namespace");
    let each = others.map(|mut object| {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("annotations");
        let key = format!("{} {}", object["kind"], object["metadata"]["name"]);
        if let Some(text) = object["data"]["namespace-labels.yaml"].as_str() {
            let labels: Option<BTreeMap<String, String>> = serde_saphyr::from_str(text).unwrap();
            object["data"]["namespace-labels.yaml"] = json!(labels.unwrap_or_default());
        }
        if let Some(containers) = object["spec"]["template"]["spec"]["containers"].as_array_mut() {
            let name = |part: &Value| part["name"].as_str().unwrap().to_owned();
            containers.sort_by_key(name);
            for container in containers {
                container["ports"].as_array_mut().unwrap().sort_by_key(name);
            }
        }
        (key, object)
    });
    each.collect()
}

fn assert_same(arguments: &[&str], folder: PathBuf) {
    let chart = comparable(objects(&template(arguments).unwrap()));
    let kustomized = comparable(built(&folder));
    let keys = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&chart), keys(&kustomized), "{}", folder.display());
    for (key, object) in &kustomized {
        assert_eq!(&chart[key], object, "{key} of {}", folder.display());
    }
}

#[test]
fn the_chart_makes_what_the_overlays_make() {
    let kubeflow = values("values-kubeflow.yaml");
    let pss = values("values-kubeflow-pss.yaml");
    assert_same(&["--namespace=profiles-system"], overlay("standalone"));
    assert_same(&["--namespace=kubeflow", &kubeflow], overlay("kubeflow"));
    assert_same(&["--namespace=kubeflow", &kubeflow, &pss], overlay("kubeflow-pss"));
    let prometheus = "--set=prometheus.enabled=true";
    assert_same(&["--namespace=profiles-system", prometheus], users_overlay("standalone-prometheus"));
    // The values that say what the patches of that overlay say.
    let same = [
        "--set=replicas=2,kubeflowRoles.create=false,kfam.enabled=true,istio.enabled=true",
        "--set=preflightRole.create=true",
        "--set=kfam.clusterAdmins={admin@example.com},userid.header=x-user",
        "--set=image.repository=registry.example.com/profile-controller,image.tag=v9",
        "--set-json=namespaceLabels={\"example.com/team\":\"vision\"}",
        "--set=kfam.dashboardPrincipals={example.org/ns/kubeflow/sa/dashboard}",
        "--set=istio.gateway=istio-system/other-gateway",
    ];
    let mut arguments = vec!["--namespace=kubeflow", prometheus];
    arguments.extend(same);
    let chart = comparable(objects(&template(&arguments).unwrap()));
    let mut kustomized = comparable(built(&users_overlay("users-overlay")));
    assert_eq!(chart.keys().collect::<Vec<_>>(), kustomized.keys().collect::<Vec<_>>());
    // The containers differ in what those patches add to them.
    kustomized.remove("\"Deployment\" \"profiles-deployment\"");
    for (key, object) in &kustomized {
        assert_eq!(&chart[key], object, "{key}");
    }
}

#[test]
fn whatever_stays_when_the_controller_is_undeployed_stays_when_the_release_is_uninstalled() {
    let mut kept = 0;
    for object in objects(&template(&[]).unwrap()) {
        let stays = object["metadata"]["labels"]["profiles.kubeflow.org/undeploy"] == "keep";
        let kept_by_helm = object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep";
        assert_eq!(kept_by_helm, stays, "{} {}", object["kind"], object["metadata"]["name"]);
        kept += usize::from(stays);
    }
    assert_eq!(kept, 9);
}

#[test]
fn versions_agree() {
    let chart: Value = serde_saphyr::from_str(&repository_file("manifests/chart/Chart.yaml")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(chart["version"], version);
    assert_eq!(chart["appVersion"], format!("v{version}"));
    let objects = built(&overlay("kubeflow"));
    for name in ["manager", "access-management"] {
        let image = &container(&objects, name)["image"];
        assert_eq!(image, &format!("ghcr.io/kubeflow/profile-controller:v{version}"), "{name}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_name() {
    for (value, field) in [
        ("replica=1", "replica"),
        ("replicas=two", "replicas"),
        ("userid.header=a b", "userid/header"),
        ("userid.prefx=a", "prefx"),
        ("image.digest=v1", "image/digest"),
        ("image.pullPolicy=Sometimes", "image/pullPolicy"),
        ("namespaceLabels.a=b c", "namespaceLabels/a"),
        ("namespaceLabels.a=true", "namespaceLabels/a"),
        ("kfam.enabled=maybe", "kfam/enabled"),
        ("kfam.clusterAdmins=admin@example.com", "kfam/clusterAdmins"),
        ("principals.kfpUi=ml-pipeline-ui", "principals/kfpUi"),
        ("extraArgs={groups-claim}", "extraArgs/0"),
        ("resources.request.cpu=1", "request"),
        ("istio.enabled=true", "kfam.enabled"),
    ] {
        let told = template(&["--set", value]).expect_err(value);
        assert!(told.contains(field), "{value}: {told}");
    }
}

#[test]
fn every_value_that_can_be_set_makes_valid_objects() {
    run(async {
        let world = World::shared().await;
        let all = r#"{
            "image": {"digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000"},
            "imagePullSecrets": [{"name": "pull"}],
            "workloadIdentity": "a@b.iam.gserviceaccount.com",
            "principals": {"istioIngressGateway": "example.org/ns/mesh/sa/gateway"},
            "namespaceLabels": {"example.com/a": "true", "example.com/b": ""},
            "extraArgs": ["--groups-claim=groups"],
            "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/r"}},
            "podAnnotations": {"example.com/x": "y"},
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "system-cluster-critical",
            "kfam": {"enabled": true, "dashboardPrincipals": ["example.org/ns/kubeflow/sa/dashboard"], "extraArgs": ["--max-profiles-per-user=2"], "callerNamespaces": ["mesh"]},
            "istio": {"enabled": true, "gateway": "mesh/gateway"},
            "preflightRole": {"create": true},
            "prometheus": {"enabled": true}
        }"#;
        let file = world.cluster.folder().join("values.json");
        std::fs::write(&file, all).unwrap();
        let argument = format!("--values={}", file.display());
        let made =
            spawn_blocking(move || template(&["--namespace=kubeflow", &argument]).unwrap()).await.unwrap();
        assert_valid(world, "all values", &made).await;
        let objects = objects(&made);
        let pod = &object(&objects, "Deployment", "profiles-deployment")["spec"]["template"]["spec"];
        for (pointer, value) in [
            ("/imagePullSecrets/0/name", json!("pull")),
            ("/nodeSelector/kubernetes.io~1os", json!("linux")),
            ("/tolerations/0/key", json!("a")),
            ("/priorityClassName", json!("system-cluster-critical")),
        ] {
            assert_eq!(pod.pointer(pointer), Some(&value), "{pointer}");
        }
        let manager = container(&objects, "manager");
        assert!(manager["image"].as_str().unwrap().contains("profile-controller@sha256:000"));
        assert!(manager["args"].as_array().unwrap().contains(&json!("--groups-claim=groups")));
        let arguments = &container(&objects, "access-management")["args"];
        let principals = "--dashboard-principals=example.org/ns/kubeflow/sa/dashboard";
        assert_eq!(arguments, &json!([principals, "--max-profiles-per-user=2"]));
        let policy = object(&objects, "AuthorizationPolicy", "profiles-kfam").to_string();
        assert!(
            policy.contains("example.org/ns/mesh/sa/gateway") && !policy.contains("cluster.local"),
            "{policy}"
        );
    });
}

#[test]
fn an_upgrade_updates_the_crd_and_uninstalling_leaves_it() {
    run(async {
        let world = World::start().await;
        let chart = chart();
        let release = ["profiles", &chart, "--namespace=profiles-system"];
        // A version whose CRD says less.
        let older = world.cluster.folder().join("older-chart");
        let copied = Command::new("cp").arg("-r").arg(&chart).arg(&older).status().unwrap();
        assert!(copied.success());
        let file = older.join("files/kubeflow.org_profiles.yaml");
        let mut crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        crd["spec"]["versions"][0].as_object_mut().unwrap().remove("additionalPrinterColumns").unwrap();
        std::fs::write(&file, crd.to_string()).unwrap();
        let older = older.display().to_string();
        world.helm(&["install", "profiles", &older, "--namespace=profiles-system"]).await.done();
        let profile = "{apiVersion: kubeflow.org/v1, kind: Profile, metadata: {name: jane}, spec: {owner: {kind: User, name: jane@example.com}}}";
        world.kubectl_with(&["apply", "-f", "-"], profile).await.done();

        let columns = "/spec/versions/0/additionalPrinterColumns";
        let crd = world.get(&["crd", "profiles.kubeflow.org"]).await.unwrap();
        assert!(crd.pointer(columns).is_none_or(|columns| columns.as_array().unwrap().len() == 1), "{crd}");
        world.helm(&[&["upgrade"], &release[..], &["--set=replicas=2"]].concat()).await.done();
        let crd = world.get(&["crd", "profiles.kubeflow.org"]).await.unwrap();
        assert!(crd.pointer(columns).unwrap().as_array().unwrap().len() > 1);
        let deployment = ["deployment", "profiles-deployment", "-n", "profiles-system"];
        assert_eq!(world.get(&deployment).await.unwrap()["spec"]["replicas"], 2);

        world.helm(&["uninstall", "profiles", "--namespace=profiles-system"]).await.done();
        assert!(world.get(&deployment).await.is_none());
        for (kind, name) in
            [("crd", "profiles.kubeflow.org"), ("profile", "jane"), ("clusterrole", "kubeflow-edit")]
        {
            assert!(world.get(&[kind, name]).await.is_some(), "{kind} {name}");
        }
        world.helm(&[&["install"], &release[..]].concat()).await.done();
        assert!(world.get(&deployment).await.is_some(), "what stayed is taken up again");
    });
}
