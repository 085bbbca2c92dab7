//! Preflight as a person or a pipeline runs it: a process, as somebody who may only look.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};
use test_support::repository_file;

use crate::harness::World;

/// Who may only look, as the API server names them.
pub(crate) const READER: &str = "system:serviceaccount:profiles-system:reader";

/// The flags that Kubeflow's manifests give the controller, those that do not matter to preflight included.
pub(crate) const FLAGS: [&str; 9] = [
    "-userid-header",
    "kubeflow-userid",
    "-userid-prefix",
    "",
    "-workload-identity",
    "",
    "--leader-elect",
    "--health-probe-bind-address=:9876",
    "--metrics-bind-address=0",
];

/// The ServiceAccount of the controller.
pub(crate) const ACCOUNT: &str = "--service-account=profiles-system:profiles-controller-service-account";

/// How a run of preflight ended.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) printed: String,
    pub(crate) errors: String,
}

impl Run {
    /// What it printed, as JSON.
    pub(crate) fn report(&self) -> Value {
        serde_json::from_str(&self.printed)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.printed, self.errors))
    }
}

/// Gives the role of the manifests to somebody who has no other; their kubeconfig.
pub(crate) async fn reader(world: &World) -> PathBuf {
    let role = repository_file("manifests/components/preflight/cluster-role.yaml");
    let subject = json!({ "kind": "ServiceAccount", "namespace": "profiles-system", "name": "reader" });
    let objects = [
        json!({ "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "namespace": "profiles-system", "name": "reader" } }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": "reader" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "profiles-preflight-role" },
            "subjects": [subject] }),
    ];
    let objects = objects.map(|object| object.to_string()).join("\n---\n");
    world.cluster.apply(&format!("{role}\n---\n{objects}")).await.unwrap();
    world.cluster.service_account_kubeconfig("profiles-system", "reader").await.unwrap()
}

/// Runs it with Kubeflow's flags and further ones.
pub(crate) async fn preflight(kubeconfig: PathBuf, flags: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_profile-controller"));
    command.arg("preflight").args(FLAGS).args(flags).env("KUBECONFIG", kubeconfig);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), printed: text(output.stdout), errors: text(output.stderr) }
}

/// A Profile in a report.
pub(crate) fn profile<'a>(report: &'a Value, name: &str) -> &'a Value {
    let profiles = report["profiles"].as_array().unwrap();
    profiles.iter().find(|profile| profile["name"] == name).unwrap_or_else(|| panic!("{name} in {report:#}"))
}

/// The reasons of the findings about a Profile.
pub(crate) fn reasons(profile: &Value) -> Vec<&str> {
    let findings = profile["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["reason"].as_str().unwrap()).collect()
}

/// The check of a name: its result and its message.
pub(crate) fn check<'a>(report: &'a Value, name: &str) -> (&'a str, &'a str) {
    let checks = report["checks"].as_array().unwrap();
    let check =
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name} in {report:#}"));
    (check["result"].as_str().unwrap(), check["message"].as_str().unwrap())
}
