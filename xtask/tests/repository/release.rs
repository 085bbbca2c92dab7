//! The workflows, and the files that a release is made of.

use std::{path::PathBuf, process::Command};

use dev_cluster::{Assets, cached_folder};
use test_support::repository;

const ACTIONLINT: &str = "v1.7.12";

/// The linter of workflows, built once from its Go module.
fn actionlint() -> PathBuf {
    let folder = cached_folder(&format!("actionlint-{ACTIONLINT}"), |folder| {
        let mut go = Command::new("go");
        go.args(["install", &format!("github.com/rhysd/actionlint/cmd/actionlint@{ACTIONLINT}")]);
        let status = go.env("GOBIN", folder).env("CGO_ENABLED", "0").env("GOFLAGS", "-trimpath").status()?;
        anyhow::ensure!(status.success(), "building actionlint failed");
        Ok(())
    });
    folder.expect("actionlint").join("actionlint")
}

#[test]
fn the_workflows_are_valid() {
    let workflows = std::fs::read_dir(repository(".github/workflows")).unwrap();
    let workflows: Vec<PathBuf> = workflows.map(|entry| entry.unwrap().path()).collect();
    assert!(workflows.len() >= 2);
    let output = Command::new(actionlint()).args(&workflows).current_dir(repository(".")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_release_has_the_crd_and_every_overlay_with_the_image_by_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let (image, digest) = (
        "registry.example/profiles",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    );
    let kubectl = Assets::find().unwrap().program("kubectl");
    let path = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(kubectl.parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    let output = Command::new(repository(".github/release-files"))
        .args([image, digest])
        .arg(folder.path())
        .env("PATH", std::env::join_paths(path).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut expected = vec!["kubeflow.org_profiles.yaml".to_owned()];
    let overlays = std::fs::read_dir(repository("manifests/overlays")).unwrap();
    expected
        .extend(overlays.map(|it| format!("profiles-{}.yaml", it.unwrap().file_name().to_str().unwrap())));
    expected.sort_unstable();
    let files = std::fs::read_dir(folder.path()).unwrap();
    let mut files: Vec<String> = files.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    files.sort_unstable();
    assert_eq!(files, expected);
    for file in files.iter().filter(|file| file.starts_with("profiles-")) {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(text.contains("kind: ClusterRole"), "{file} is the overlay");
        let images = text
            .lines()
            .filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("image: "));
        for found in images {
            assert_eq!(found, format!("{image}@{digest}"), "{file}");
        }
    }
}
