//! What preflight says of a cluster as a whole, and of a command line or a cluster that it cannot work with.

use dev_cluster::{Cluster, IstioCrds};
use k8s_openapi::api::{coordination::v1::Lease, rbac::v1::ClusterRole};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    harness::{CRD, World, patch, repository_file, run, unique},
    preflight_run::{ACCOUNT, check, preflight, profile, reader, reasons},
};

#[test]
fn what_is_missing_in_the_cluster_fails_a_check_that_says_what_to_do() {
    run(async {
        // A cluster without Istio, with a CRD from before there were rules.
        let permissive = World::permissive().await;
        let roles: Api<ClusterRole> = Api::all(permissive.admin.clone());
        roles.delete("kubeflow-view", &DeleteParams::default()).await.unwrap();
        roles.delete("profiles-controller-role", &DeleteParams::default()).await.unwrap();
        let report = preflight(reader(&permissive).await, &["--output=json", ACCOUNT]).await;
        assert_eq!(report.code, Some(1), "{}", report.errors);
        let report = report.report();
        let (result, message) = check(&report, "ClusterRoles");
        assert_eq!(result, "failed");
        assert!(message.starts_with("kubeflow-view missing"), "{message}");
        let (result, message) = check(&report, "Permissions");
        assert_eq!(result, "failed");
        for part in
            ["profiles-system/profiles-controller-service-account lacks", "create namespaces", "ClusterRole"]
        {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(check(&report, "LabelsFile").0, "note");
    });
}

#[test]
fn a_cluster_without_istio_or_without_profiles_is_told_as_such() {
    run(async {
        let builder = Cluster::builder().istio_crds(IstioCrds::None).manifest(repository_file(CRD));
        let world = World::with(builder).await;
        world.create_profile("jane", "jane@example.com").await;
        let run = preflight(reader(&world).await, &["--output=json", ACCOUNT]).await;
        assert_eq!(run.code, Some(1), "{}", run.errors);
        let report = run.report();
        let (result, message) = check(&report, "PoliciesServed");
        assert_eq!(result, "failed");
        assert!(message.contains("AuthorizationPolicy security.istio.io/v1"), "{message}");
        assert_eq!(reasons(profile(&report, "jane")), ["KindNotServed"]);

        let definitions = "customresourcedefinitions.apiextensions.k8s.io";
        world.kubectl(&["delete", definitions, "profiles.kubeflow.org", "--wait"]).await;
        let run = preflight(world.cluster.kubeconfig().to_owned(), &["--output=json"]).await;
        assert_eq!(run.code, Some(1), "{}", run.errors);
        let report = run.report();
        assert_eq!(check(&report, "ProfilesServed").0, "failed");
        assert_eq!(check(&report, "ProfileSchema").0, "failed");
        assert_eq!(report["profiles"], json!([]));
    });
}

#[test]
fn a_crd_of_the_go_controller_fails_because_it_drops_the_records_of_grants() {
    run(async {
        let world = World::start().await;
        let crd: Value = serde_saphyr::from_str(&repository_file(CRD)).unwrap();
        let mut old = crd.clone();
        for version in old["spec"]["versions"].as_array_mut().unwrap() {
            let condition = json!({ "type": "object", "properties": {
                "type": { "type": "string" }, "status": { "type": "string" }, "message": { "type": "string" } } });
            version["schema"]["openAPIV3Schema"]["properties"]["status"] = json!({ "type": "object", "properties": { "conditions": { "type": "array", "items": condition } } });
            version["additionalPrinterColumns"] = json!([]);
        }
        world.cluster.apply(&old.to_string()).await.unwrap();
        let report = preflight(world.cluster.kubeconfig().to_owned(), &["--output=json"]).await.report();
        let (result, message) = check(&report, "ProfileSchema");
        assert_eq!(result, "failed", "{message}");
        for part in ["status.plugins", "status.observedGeneration", "Apply the CRD of this version"] {
            assert!(message.contains(part), "{message}");
        }
        world.cluster.apply(&crd.to_string()).await.unwrap();
        let report = preflight(world.cluster.kubeconfig().to_owned(), &["--output=json"]).await.report();
        assert_eq!(check(&report, "ProfileSchema").0, "ok");
    });
}

#[test]
fn who_holds_the_lease_is_told_in_whichever_namespace_and_two_are_wrong() {
    run(async {
        let world = World::start().await;
        let kubeconfig = reader(&world).await;
        let lease = async |namespace: &str, holder: &str| {
            let lease = json!({ "metadata": { "name": "kubeflow-profile-controller" }, "spec": { "holderIdentity": holder } });
            let lease: Lease = serde_json::from_value(lease).unwrap();
            world.namespaced::<Lease>(namespace).create(&PostParams::default(), &lease).await.unwrap();
        };
        let look = async || {
            let run = preflight(kubeconfig.clone(), &["--output=json", ACCOUNT]).await;
            let report = run.report();
            let (result, message) = check(&report, "Lease");
            (run.code, result.to_owned(), message.to_owned())
        };
        assert_eq!((look().await.0, look().await.1.as_str()), (Some(0), "ok"));
        lease("default", "go-controller").await;
        let (code, result, message) = look().await;
        assert_eq!((code, result.as_str()), (Some(0), "note"), "the Go controller runs until it is replaced");
        assert!(
            message.contains("go-controller holds Lease default/kubeflow-profile-controller"),
            "{message}"
        );
        lease("profiles-system", "other").await;
        let (code, result, _) = look().await;
        assert_eq!((code, result.as_str()), (Some(1), "failed"));
    });
}

#[test]
fn the_flags_decide_what_is_foreseen_and_the_table_tells_it_in_a_row() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&[]);
        let name = unique("flagged");
        world.ready_profile(&name, "jane@example.com").await;
        assert_eq!(controller.stop().await, Some(0));
        let kubeconfig = reader(&world).await;
        let labels = world.cluster.folder().join("labels.yaml");
        std::fs::write(&labels, "team: vision\n").unwrap();
        let labels = format!("-namespace-labels-path={}", labels.display());

        let run = preflight(kubeconfig.clone(), &["-userid-header", "x-user", &labels]).await;
        assert_eq!(run.code, Some(0), "{}", run.errors);
        let table = run.printed;
        for row in [
            format!(
                "{name}  patch AuthorizationPolicy ns-owner-access-istio  spec.rules[0].when[0].key: \
                     \"request.headers[kubeflow-userid]\" → \"request.headers[x-user]\""
            ),
            format!("{name}  patch Namespace"),
            "metadata.labels.team: (none) → \"vision\"".to_owned(),
        ] {
            assert!(table.contains(&row), "{row} in\n{table}");
        }
        assert!(!table.contains("applied-labels"), "marks are not told:\n{table}");
        let all = preflight(kubeconfig, &["-userid-header", "x-user", &labels, "--all"]).await.printed;
        assert!(all.contains("applied-labels"), "unless they are asked for:\n{all}");
    });
}

#[test]
fn reserved_names_and_groups_without_a_claim_are_told_and_a_profile_without_anything_gets_everything() {
    run(async {
        let world = World::start().await;
        world.create_profile("kubeflow", "a@example.com").await;
        world.create_profile("new", "a@example.com").await;
        let group = json!({ "owner": { "kind": "Group", "name": "vision" } });
        let group = serde_json::from_value(json!({ "metadata": { "name": "team" }, "spec": group })).unwrap();
        world.create(group).await;
        let gcp = json!([{ "kind": "WorkloadIdentity", "spec": { "gcpServiceAccount": "a@project.iam.gserviceaccount.com" } }]);
        world.create_profile("cloud", "a@example.com").await;
        patch(&world.profiles(), "cloud", json!({ "spec": { "plugins": gcp } })).await;

        let run = preflight(reader(&world).await, &["--output=json", ACCOUNT]).await;
        let report = run.report();
        assert_eq!(reasons(profile(&report, "kubeflow")), ["ReservedName"]);
        assert_eq!(reasons(profile(&report, "team")), ["GroupsClaimNotSet"]);
        assert_eq!(profile(&report, "team")["findings"][0]["level"], "note");
        let created = profile(&report, "new")["changes"].as_array().unwrap();
        let actions: Vec<_> = created.iter().filter(|change| change["action"] == "create").collect();
        assert_eq!(actions.len(), 7, "{created:#?}");
        let cloud = profile(&report, "cloud");
        assert_eq!(cloud["grants"][0]["action"], "grant");
        assert_eq!(cloud["grants"][0]["plugin"], "WorkloadIdentity");
        let finalizer =
            json!({ "path": "metadata.finalizers", "from": [], "to": ["profile-finalizer"], "mark": true });
        assert!(
            cloud["changes"].as_array().unwrap().iter().any(|change| change["fields"] == json!([finalizer]))
        );
    });
}

#[test]
fn what_it_cannot_look_at_ends_with_2_and_says_what_is_right() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let nowhere = file(
            "nowhere",
            "{\"apiVersion\": \"v1\", \"kind\": \"Config\", \"current-context\": \"c\", \
            \"contexts\": [{\"name\": \"c\", \"context\": {\"cluster\": \"c\", \"user\": \"u\"}}], \
            \"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": \"http://127.0.0.1:1\"}}], \
            \"users\": [{\"name\": \"u\", \"user\": {}}]}",
        );
        let labels = file("labels.yaml", "- team\n");
        let labels = format!("--namespace-labels-path={}", labels.display());
        for (flags, mentions) in [
            (vec![], vec!["cannot list profiles"]),
            (vec![labels.as_str()], vec!["labels.yaml", "mapping"]),
            (vec!["--output=yaml"], vec!["--output", "table, json"]),
            (vec!["--service-account=profiles"], vec!["--service-account", "NAMESPACE:NAME"]),
            (vec!["--chunk-size=0"], vec!["--chunk-size", "0"]),
            (vec!["--userid-header=a b"], vec!["--userid-header", "HTTP header"]),
        ] {
            let run = preflight(nowhere.clone(), &flags).await;
            assert_eq!(run.code, Some(2), "{flags:?}: {}", run.errors);
            for text in mentions {
                assert!(run.errors.contains(text), "{flags:?}: {} says {text:?}", run.errors);
            }
            assert!(run.printed.is_empty());
        }
        let world = World::start().await;
        let nobody = world.cluster.user_kubeconfig("nobody", &[]).unwrap();
        let run = preflight(nobody, &[]).await;
        assert_eq!(run.code, Some(2));
        assert!(
            run.errors.contains("cannot list profiles") && run.errors.contains("forbidden"),
            "{}",
            run.errors
        );
    });
}
