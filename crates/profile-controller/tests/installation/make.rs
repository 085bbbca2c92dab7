//! Each make target, on clusters of their own.

use std::{
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use test_support::{run, until};

use crate::world::{ACCOUNT, World};

const JANE: &str = "{apiVersion: kubeflow.org/v1, kind: Profile, metadata: {name: jane}, spec: {owner: {kind: User, name: jane@example.com}}}";

impl World {
    /// Starts the controller under the ServiceAccount that was installed.
    async fn controller(&self, namespace: &str) -> dev_cluster::Process {
        let kubeconfig = self.cluster.service_account_kubeconfig(namespace, ACCOUNT).await.unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_profile-controller"));
        command.args(["--userid-header=kubeflow-userid", "--userid-prefix="]).env("KUBECONFIG", kubeconfig);
        command.args(["--metrics-bind-address=0", "--health-probe-bind-address=127.0.0.1:0"]);
        self.cluster.run(&command, &self.cluster.folder().join("controller.log")).unwrap()
    }

    /// Creates the Profile jane and waits until it is ready.
    async fn jane(&self) {
        self.kubectl_with(&["apply", "-f", "-"], JANE).await.done();
        self.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "profile/jane"]).await.done();
    }

    async fn is_there(&self, kind: &str, name: &str) -> bool {
        self.get(&[kind, name]).await.is_some()
    }

    async fn deployment(&self, namespace: &str) -> Option<Value> {
        self.get(&["deployment", "profiles-deployment", "-n", namespace]).await
    }

    async fn images(&self, namespace: &str) -> Vec<String> {
        let deployment = self.deployment(namespace).await.unwrap();
        let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap().clone();
        containers.iter().map(|container| container["image"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn deploy_installs_everything_undeploy_leaves_the_profiles_uninstall_asks_first() {
    run(async {
        let world = World::start().await;
        world.make("deploy", &[]).await.done();
        assert_eq!(world.images("profiles-system").await, ["ghcr.io/kubeflow/profile-controller:v0.1.0"]);
        let controller = world.controller("profiles-system").await;
        world.jane().await;
        let again = world.make("deploy", &[]).await.done();
        // kubectl sends the budget's selector each time; that changes nothing.
        let changed = again
            .lines()
            .filter(|line| line.ends_with("configured") && !line.starts_with("poddisruptionbudget"));
        assert_eq!(changed.collect::<Vec<_>>(), [""; 0]);
        assert!(!again.contains("made anew"), "{again}");

        let told = world.make("undeploy", &[]).await.done();
        assert!(told.contains("Profiles, their namespaces"), "{told}");
        assert!(world.deployment("profiles-system").await.is_none());
        for (kind, name) in [
            ("serviceaccount", ACCOUNT),
            ("configmap", "profiles-config"),
            ("role", "profiles-leader-election-role"),
        ] {
            assert!(world.get(&[kind, name, "-n", "profiles-system"]).await.is_none(), "{kind} {name}");
        }
        assert!(!world.is_there("clusterrole", "profiles-controller-role").await);
        for (kind, name) in [
            ("crd", "profiles.kubeflow.org"),
            ("profile", "jane"),
            ("namespace", "jane"),
            ("namespace", "profiles-system"),
            ("clusterrole", "kubeflow-edit"),
            ("clusterrole", "profiles-profile-viewer-role"),
        ] {
            assert!(world.is_there(kind, name).await, "{kind} {name}");
        }
        drop(controller);

        let told = world.make("uninstall", &[]).await.refused();
        for text in [
            "jane",
            "jane@example.com",
            "namespaces with everything in them",
            "Nothing was deleted",
            "CONFIRM=yes",
        ] {
            assert!(told.contains(text), "{text:?} in {told}");
        }
        assert!(world.is_there("profile", "jane").await && world.is_there("namespace", "jane").await);
        world.make("uninstall", &["CONFIRM=no"]).await.refused();

        world.make("uninstall", &["CONFIRM=yes"]).await.done();
        for (kind, name) in
            [("namespace", "jane"), ("crd", "profiles.kubeflow.org"), ("clusterrole", "kubeflow-edit")]
        {
            assert!(!world.is_there(kind, name).await, "{kind} {name}");
        }
        assert!(world.is_there("namespace", "kubeflow").await, "the namespaces of others stay");
        world.make("uninstall", &[]).await.done();
    });
}

#[test]
fn uninstall_leaves_all_as_it_is_while_nobody_can_revoke_what_was_granted() {
    run(async {
        let world = World::start().await;
        world.make("deploy", &[]).await.done();
        world.kubectl_with(&["apply", "-f", "-"], JANE).await.done();
        let held = r#"{"metadata":{"finalizers":["profile-finalizer"]}}"#;
        world.kubectl(&["patch", "profile", "jane", "--type=merge", "-p", held]).await.done();
        let told = world.make("uninstall", &["CONFIRM=yes"]).await.refused();
        assert!(
            told.contains("Nothing was deleted") && told.contains("granted outside the cluster to jane"),
            "{told}"
        );
        let jane = world.get(&["profile", "jane"]).await.unwrap();
        assert_eq!(jane["metadata"]["deletionTimestamp"], Value::Null);

        // With a controller that is ready it revokes, and lets go.
        let _controller = world.controller("profiles-system").await;
        let ready = r#"{"status":{"replicas":1,"readyReplicas":1}}"#;
        let patch =
            ["patch", "deployment", "profiles-deployment", "-n", "profiles-system", "--subresource=status"];
        world.kubectl(&[&patch[..], &["--type=merge", "-p", ready]].concat()).await.done();
        world.make("uninstall", &["CONFIRM=yes"]).await.done();
        assert!(!world.is_there("crd", "profiles.kubeflow.org").await);
    });
}

#[test]
fn deploy_takes_an_overlay_and_an_image() {
    run(async {
        let world = World::start().await;
        let digest = format!("registry.example.com:5000/a/b@sha256:{}", "0".repeat(64));
        for (image, expected) in [
            ("registry.example.com/p:v2", "registry.example.com/p:v2"),
            ("registry.example.com:5000/p", "registry.example.com:5000/p:latest"),
            (digest.as_str(), digest.as_str()),
        ] {
            world.make("deploy", &["OVERLAY=kubeflow", &format!("IMG={image}")]).await.done();
            assert_eq!(world.images("kubeflow").await, [expected, expected]);
        }
        let route = world.get(&["virtualservice", "profiles-kfam", "-n", "kubeflow"]).await.unwrap();
        assert_eq!(route["spec"]["http"][0]["route"][0]["destination"]["host"], "profiles-kfam");
        world.make("undeploy", &["OVERLAY=kubeflow"]).await.done();
        assert!(world.get(&["virtualservice", "profiles-kfam", "-n", "kubeflow"]).await.is_none());
        assert!(world.is_there("namespace", "kubeflow").await);

        let told = world.make("deploy", &["OVERLAY=nothing"]).await.refused();
        assert!(
            told.contains("OVERLAY: there is no overlay nothing") && told.contains("standalone"),
            "{told}"
        );
        for image in ["a b", "a:", "a;b", "a/"] {
            let told = world.make("deploy", &[&format!("IMG={image}")]).await.refused();
            assert!(told.contains("IMG: ") && told.contains("such as"), "{told}");
        }
        let mut make = world.make_command("deploy", &[]);
        let output = make.arg("KUBECTL=no-such-kubectl").output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("KUBECTL: there is no no-such-kubectl"), "{told}");
    });
}

#[test]
fn install_and_run_are_enough_for_a_controller_outside_of_the_cluster() {
    run(async {
        let world = World::start().await;
        world.make("install", &[]).await.done();
        assert!(world.is_there("crd", "profiles.kubeflow.org").await);
        assert!(world.deployment("profiles-system").await.is_none());

        // The binary that the tests have built: cargo would build it again, with other features.
        let cargo = world.cluster.folder().join("cargo");
        let script = format!(
            "#!/bin/sh\n[ \"$1 $2 $3 $4\" = 'run -p profile-controller --' ] || exit 9\nshift 4\nexec {} \"$@\" --metrics-bind-address=0 --health-probe-bind-address=127.0.0.1:0\n",
            env!("CARGO_BIN_EXE_profile-controller")
        );
        std::fs::write(&cargo, script).unwrap();
        std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut make = world.make_command("run", &[&format!("CARGO={}", cargo.display())]);
        // In a group of its own, so that the end of make is that of what it has started.
        let mut running = make.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        world.jane().await;
        let policy =
            world.get(&["authorizationpolicy", "ns-owner-access-istio", "-n", "jane"]).await.unwrap();
        let header = &policy["spec"]["rules"][0]["when"][0];
        assert_eq!(
            header,
            &json!({ "key": "request.headers[kubeflow-userid]", "values": ["jane@example.com"] })
        );
        let group = format!("-{}", running.id().unwrap());
        let killed =
            tokio::process::Command::new("kill").args(["-TERM", "--", &group]).status().await.unwrap();
        assert!(killed.success());
        until("make ends", async || running.try_wait().unwrap()).await;
    });
}

#[test]
fn docker_build_names_the_image() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let docker = folder.path().join("docker");
        std::fs::write(&docker, "#!/bin/sh\necho \"docker $*\"\n").unwrap();
        std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        for (variables, expected) in [
            (&["IMG=registry.example.com/p:v2"][..], "docker build -t registry.example.com/p:v2 ."),
            (&[], "docker build -t ghcr.io/kubeflow/profile-controller:dev ."),
        ] {
            let mut make = Command::new("make");
            make.arg("-C").arg(test_support::repository(".")).arg("docker-build").args(variables);
            let output = make.env("PATH", &path).env_remove("IMG").env_remove("MAKEFLAGS").output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(told.lines().any(|line| line == expected), "{told}");
        }
    });
}
