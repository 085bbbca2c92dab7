//! The description of the API is true: schemathesis derives requests from it, right and wrong ones, and checks what comes back.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use dev_cluster::cached_folder;

use crate::harness::{ADMIN, DASHBOARD, World, certificate, run};

/// Every package that it needs, pinned.
const REQUIREMENTS: &str = include_str!("schemathesis.txt");
/// How many requests are made of each kind of each call.
const EXAMPLES: &str = "40";

#[test]
fn schemathesis_finds_nothing_that_is_not_as_described() {
    let packages = packages();
    run(async {
        let world = World::start().await;
        let kfam = world.kfam(&[]).await;
        kfam.ready().await;
        // What the examples of the description name.
        world.furnished("team-vision", "owner@example.com").await;
        kfam.knows("owner@example.com", "team-vision", "admin").await;
        for user in [Some(ADMIN), None] {
            let mut command = Command::new("python3");
            command.env("PYTHONPATH", &packages).current_dir(world.cluster.folder());
            command.args(["-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]);
            command.arg(format!("http://{}/kfam/openapi.json", kfam.address));
            command.args([
                "--max-examples",
                EXAMPLES,
                "--seed",
                "1",
                "--no-color",
                "--generation-database",
                "none",
            ]);
            // Of the data that the description allows some is refused all the same, such as a reserved name.
            command.args(["--exclude-checks", "positive_data_acceptance"]);
            command.arg("--header").arg(format!("x-forwarded-client-cert: {}", certificate(DASHBOARD)));
            if let Some(user) = user {
                command.arg("--header").arg(format!("kubeflow-userid: {user}"));
            }
            let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "as {user:?}: {said}{errors}");
        }
    });
}

/// Where its packages are: in the cache, brought from the Python registry the first time.
fn packages() -> PathBuf {
    let fill = |folder: &Path| {
        let requirements = folder.join("requirements.txt");
        std::fs::write(&requirements, REQUIREMENTS)?;
        let status = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target"])
            .arg(folder)
            .arg("--requirement")
            .arg(&requirements)
            .status()?;
        anyhow::ensure!(status.success(), "pip could not install schemathesis: {status}");
        Ok(())
    };
    let version = REQUIREMENTS.lines().find_map(|line| line.strip_prefix("schemathesis==")).unwrap();
    cached_folder(&format!("schemathesis-{version}"), fill).unwrap()
}
