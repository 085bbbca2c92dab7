//! The Deployment as it is written starts the controller: its command, arguments, environment and labels file.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;
use test_support::run;
use tokio::task::spawn_blocking;

use crate::world::{ACCOUNT, World, built, container, object, overlay};

/// Command and arguments of a container, with $(NAME) filled in as the kubelet does.
fn command_line(container: &Value, environment: &BTreeMap<String, String>) -> Vec<String> {
    let parts =
        ["command", "args"].into_iter().flat_map(|key| container[key].as_array().into_iter().flatten());
    let fill = |part: &Value| {
        let part = part.as_str().unwrap();
        match part.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')')) {
            Some(name) => environment[name].clone(),
            None => part.to_owned(),
        }
    };
    parts.map(fill).collect()
}

fn environment(objects: &[Value]) -> BTreeMap<String, String> {
    serde_json::from_value(object(objects, "ConfigMap", "profiles-config")["data"].clone()).unwrap()
}

#[test]
fn the_controller_runs_as_the_deployment_starts_it() {
    run(async {
        let world = World::start().await;
        world.make("deploy", &["OVERLAY=kubeflow-pss"]).await.done();
        let objects = spawn_blocking(|| built(&overlay("kubeflow-pss"))).await.unwrap();
        let environment = environment(&objects);
        let line = command_line(container(&objects, "manager"), &environment);
        assert_eq!(line[0], "/manager");

        let labels = world.cluster.folder().join("namespace-labels.yaml");
        let data = &object(&objects, "ConfigMap", "profiles-namespace-labels-data")["data"];
        std::fs::write(&labels, data["namespace-labels.yaml"].as_str().unwrap()).unwrap();
        let kubeconfig = world.cluster.service_account_kubeconfig("kubeflow", ACCOUNT).await.unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_profile-controller"));
        command.args(&line[1..]).envs(&environment).env("KUBECONFIG", kubeconfig);
        // What a pod has and this process has not: a port and a namespace of its own, and the mounted file.
        command.args(["--health-probe-bind-address=127.0.0.1:0", "--leader-election-namespace=kubeflow"]);
        command.arg("--namespace-labels-path").arg(&labels);
        let log = world.cluster.folder().join("controller.log");
        let _running = world.cluster.run(&command, &log).unwrap();

        let profile = "{apiVersion: kubeflow.org/v1, kind: Profile, metadata: {name: jane}, spec: {owner: {kind: User, name: jane@example.com}}}";
        world.kubectl_with(&["apply", "-f", "-"], profile).await.done();
        let waited = ["wait", "--for=condition=Ready", "--timeout=60s", "profile/jane"];
        let told = world.kubectl(&waited).await;
        assert!(told.success, "{}\n{}", told.text, std::fs::read_to_string(&log).unwrap());
        let namespace = world.get(&["namespace", "jane"]).await.unwrap();
        let labels = &namespace["metadata"]["labels"];
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline");
        assert_eq!(labels["pipelines.kubeflow.org/enabled"], "true");
    });
}

#[test]
fn access_management_understands_what_the_deployment_gives_it() {
    let objects = built(&overlay("kubeflow"));
    let line = command_line(container(&objects, "access-management"), &environment(&objects));
    assert_eq!(line[0], "/access-management");
    let kfam = test_support::binary("kfam", env!("CARGO_BIN_EXE_profile-controller"));
    // It would go on to look for a cluster; an argument that it does not understand ends it before.
    for (further, code) in [(&["--help"][..], 0), (&["--no-such-flag"], 2)] {
        let output = Command::new(&kfam).args(&line[1..]).args(further).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
