//! A Profile becomes its namespace and everything in it: every row of the table in docs/architecture.md.

use kube::ResourceExt;
use profile_api::{Profile, ProfileCondition, ProfileSpec, Subject};
use serde_json::{Value, json};

use crate::harness::{World, condition, run, shared, unique, until};

#[test]
fn a_user_gets_a_namespace_with_everything_in_it() {
    run(async {
        let world = shared().await;
        let name = unique("everything");
        let profile: Profile = serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": {
                "owner": { "kind": "User", "name": "jane@example.com" },
                "resourceQuotaSpec": { "hard": { "cpu": 2, "memory": "2Gi", "requests.nvidia.com/gpu": "1" } },
            },
        }))
        .unwrap();
        world.create(profile).await;
        let profile = world.ready(&name).await;
        world.assert_in_place(&profile).await;

        let namespace = world.namespaces().get(&name).await.unwrap();
        assert_eq!(namespace.annotations()["owner"], "jane@example.com");
        assert_eq!(namespace.labels()["istio-injection"], "enabled");
        assert_eq!(namespace.labels()["profiles.kubeflow.org/profile"], name);

        for (binding, role, subject) in [
            (
                "default-editor",
                "kubeflow-edit",
                json!({ "kind": "ServiceAccount", "name": "default-editor", "namespace": name }),
            ),
            (
                "default-viewer",
                "kubeflow-view",
                json!({ "kind": "ServiceAccount", "name": "default-viewer", "namespace": name }),
            ),
            (
                "namespaceAdmin",
                "kubeflow-admin",
                json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane@example.com" }),
            ),
        ] {
            let binding = world.role_bindings(&name).get(binding).await.unwrap();
            assert_eq!(
                (binding.role_ref.kind.as_str(), binding.role_ref.name.as_str()),
                ("ClusterRole", role)
            );
            assert_eq!(json!(binding.subjects), json!([subject]));
        }
        let admin = world.role_bindings(&name).get("namespaceAdmin").await.unwrap();
        let policy = world.policies(&name).get("ns-owner-access-istio").await.unwrap();
        for annotations in [admin.annotations(), policy.annotations()] {
            assert_eq!(
                (annotations["user"].as_str(), annotations["role"].as_str()),
                ("jane@example.com", "admin")
            );
        }
        let quota = world.quotas(&name).get("kf-resource-quota").await.unwrap();
        assert_eq!(
            json!(quota.spec.unwrap().hard),
            json!({ "cpu": "2", "memory": "2Gi", "requests.nvidia.com/gpu": "1" })
        );
    });
}

#[test]
fn the_policy_has_the_four_rules_of_the_contract() {
    run(async {
        let world = shared().await;
        let name = unique("rules");
        world.ready_profile(&name, "jane@example.com").await;
        let policy = world.policies(&name).get("ns-owner-access-istio").await.unwrap();
        let gateways = ["istio-system/sa/istio-ingressgateway-service-account", "kubeflow/sa/ml-pipeline-ui"];
        assert_eq!(
            json!(policy.spec),
            json!({
                "action": "ALLOW",
                "rules": [
                    {
                        "from": [{ "source": { "principals": gateways.map(|sa| format!("cluster.local/ns/{sa}")) } }],
                        "when": [{ "key": "request.headers[kubeflow-userid]", "values": ["jane@example.com"] }],
                    },
                    { "when": [{ "key": "source.namespace", "values": [name] }] },
                    { "to": [{ "operation": { "paths": ["/healthz", "/metrics", "/wait-for-drain"] } }] },
                    {
                        "from": [{ "source": { "principals":
                            ["cluster.local/ns/kubeflow/sa/notebook-controller-service-account"] } }],
                        "to": [{ "operation": { "methods": ["GET"], "paths": ["*/api/kernels"] } }],
                    },
                ],
            })
        );
    });
}

#[test]
fn a_group_gets_in_by_kubectl_and_its_status_says_that_the_browser_is_closed() {
    run(async {
        let world = shared().await;
        let name = unique("group");
        world.create(Profile::new(&name, ProfileSpec::owned_by(Subject::group("vision@example.com")))).await;
        let profile = world.ready(&name).await;
        world.assert_in_place(&profile).await;
        let binding = world.role_bindings(&name).get("namespaceAdmin").await.unwrap();
        assert_eq!(json!(binding.subjects)[0]["kind"], "Group");
        let policy = world.policies(&name).get("ns-owner-access-istio").await.unwrap();
        assert_eq!(policy.spec.rules.len(), 3, "no rule for an owner who cannot be recognised");
        let browser = condition(&profile, ProfileCondition::BROWSER_ACCESS);
        assert_eq!((browser.status.as_str(), browser.reason.as_str()), ("False", "GroupsClaimNotSet"));
        assert!(browser.message.contains("--groups-claim"), "{}", browser.message);
    });
}

#[test]
fn a_service_account_gets_in_by_its_mesh_identity() {
    run(async {
        let world = shared().await;
        let name = unique("robot");
        world
            .create(Profile::new(&name, ProfileSpec::owned_by(Subject::service_account("ci", "runner"))))
            .await;
        world.ready(&name).await;
        let binding = world.role_bindings(&name).get("namespaceAdmin").await.unwrap();
        assert_eq!(
            json!(binding.subjects),
            json!([{ "kind": "ServiceAccount", "name": "runner", "namespace": "ci" }])
        );
        let policy: Value = json!(world.policies(&name).get("ns-owner-access-istio").await.unwrap().spec);
        assert_eq!(
            policy["rules"][0],
            json!({ "from": [{ "source": { "principals": ["cluster.local/ns/ci/sa/runner"] } }] })
        );
    });
}

#[test]
fn new_settings_of_the_platform_reach_profiles_that_are_there() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&[]);
        let [group, user] = ["by-claim", "by-header"].map(unique);
        world.create(Profile::new(&group, ProfileSpec::owned_by(Subject::group("vision@example.com")))).await;
        world.ready(&group).await;
        world.ready_profile(&user, "jane@example.com").await;
        assert_eq!(controller.stop().await, Some(0));

        let _controller = world.controller(&[
            "--groups-claim=groups",
            "-userid-header",
            "x-user",
            "-userid-prefix",
            "corp:",
        ]);
        let rule = async |name: &str| {
            json!(world.policies(name).get("ns-owner-access-istio").await.ok()?.spec)["rules"].get(0).cloned()
        };
        let by_claim = json!([{ "key": "request.auth.claims[groups]", "values": ["vision@example.com"] }]);
        until("the group gets in by its claim", async || {
            rule(&group).await.filter(|rule| rule["when"] == by_claim)
        })
        .await;
        let by_header = json!([{ "key": "request.headers[x-user]", "values": ["corp:jane@example.com"] }]);
        until("the user gets in by the new header", async || {
            rule(&user).await.filter(|rule| rule["when"] == by_header)
        })
        .await;
        until("the status says so", async || {
            let profile = world.profiles().get(&group).await.ok()?;
            condition(&profile, ProfileCondition::BROWSER_ACCESS).is_true().then_some(())
        })
        .await;
    });
}
