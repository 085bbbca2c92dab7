//! The Dockerfile against what it builds from.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use test_support::{repository, repository_file};

/// The Debian releases by their numbers, as the base images name them.
const DEBIAN: [(&str, &str); 2] = [("bookworm", "12"), ("trixie", "13")];

/// The default of a build argument.
fn argument(dockerfile: &str, name: &str) -> String {
    let line = dockerfile.lines().find_map(|line| line.strip_prefix(&format!("ARG {name}=")));
    line.unwrap_or_else(|| panic!("the Dockerfile has a default for {name}")).to_owned()
}

#[test]
fn the_image_is_built_with_the_toolchain_of_the_repository_and_linked_with_what_its_base_has() {
    let dockerfile = repository_file("Dockerfile");
    let toolchain = repository_file("rust-toolchain.toml");
    let channel = format!("channel = \"{}\"", argument(&dockerfile, "RUST_VERSION"));
    assert!(toolchain.contains(&channel), "rust-toolchain.toml has {channel}");
    let debian = (argument(&dockerfile, "DEBIAN"), argument(&dockerfile, "DEBIAN_NUMBER"));
    assert!(DEBIAN.contains(&(&debian.0, &debian.1)), "{debian:?} is one release of Debian");
    let stages: Vec<&str> = dockerfile.lines().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(
        stages,
        [
            "FROM --platform=$BUILDPLATFORM rust:${RUST_VERSION}-slim-${DEBIAN} AS build",
            "FROM gcr.io/distroless/cc-debian${DEBIAN_NUMBER}:nonroot",
        ]
    );
}

#[test]
fn the_image_holds_both_programs_and_runs_as_nobody_in_particular() {
    let dockerfile = repository_file("Dockerfile");
    let metadata = metadata(&repository("."));
    let build = dockerfile.lines().find(|line| line.starts_with("cargo auditable build ")).unwrap();
    let built: Vec<&str> = build.split(" -p ").skip(1).collect();
    assert_eq!(built, ["profile-controller", "kfam"]);
    for (package, place) in [("profile-controller", "manager"), ("kfam", "access-management")] {
        assert!(dockerfile.contains(&format!("/release/{package}\" /out/{place}\n")));
        let packages = metadata["packages"].as_array().unwrap();
        let found = packages.iter().find(|it| it["name"] == package).unwrap();
        let targets = found["targets"].as_array().unwrap();
        assert!(
            targets.iter().any(|target| target["kind"][0] == "bin" && target["name"] == package),
            "{package}"
        );
    }
    for line in ["USER 65532:65532", "COPY --from=build /out/ /", "ENTRYPOINT [\"/manager\"]"] {
        assert!(dockerfile.lines().any(|it| it == line), "{line}");
    }
}

#[test]
fn what_goes_to_the_builder_is_a_whole_workspace_and_nothing_but_it() {
    let folder = tempfile::tempdir().unwrap();
    let listed = Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard"])
        .current_dir(repository("."))
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let ignored = Ignored::read(&repository_file(".dockerignore"));
    let sent: Vec<&str> = listed.lines().filter(|path| ignored.lets_through(path)).collect();
    for path in &sent {
        let expected =
            ["crates/", "xtask/", ".cargo/", "Cargo.", "LICENSE"].iter().any(|it| path.starts_with(it));
        assert!(expected && !path.contains("/tests/"), "{path} goes to the builder");
        let Ok(content) = fs::read(repository(path)) else { continue };
        let copy = folder.path().join(path);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(copy, content).unwrap();
    }
    // Every package is there with its sources; Cargo.lock fits.
    let packages = metadata(folder.path())["packages"].as_array().unwrap().len();
    assert_eq!(packages, metadata(&repository("."))["packages"].as_array().unwrap().len());
    // What code includes is there too.
    for path in sent.iter().filter(|path| path.ends_with(".rs")) {
        let text = fs::read_to_string(folder.path().join(path)).unwrap();
        for included in text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let target = folder.path().join(path).parent().unwrap().join(included);
            assert!(target.is_file(), "{path} includes {included}, which does not go to the builder");
        }
    }
}

fn metadata(folder: &Path) -> Value {
    let arguments = ["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// As much of the rules of .dockerignore as ours uses: the last pattern that fits decides.
struct Ignored(Vec<(bool, Vec<String>)>);

impl Ignored {
    fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let patterns = lines.map(|line| {
            let pattern = line.trim_start_matches('!').split('/').map(str::to_owned).collect();
            (line.starts_with('!'), pattern)
        });
        Self(patterns.collect())
    }

    fn lets_through(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let last = self.0.iter().rev().find(|(_, pattern)| fits(pattern, &parts));
        last.is_none_or(|(lets_through, _)| *lets_through)
    }
}

/// Whether a pattern names the path or a folder above it.
fn fits(pattern: &[String], parts: &[&str]) -> bool {
    match pattern.split_first() {
        None => true,
        Some((first, rest)) if first == "**" => {
            (0..=parts.len()).any(|skipped| fits(rest, &parts[skipped..]))
        }
        Some((first, rest)) => {
            let Some((part, parts)) = parts.split_first() else { return false };
            let one = match first.split_once('*') {
                None => first == part,
                Some((before, after)) => part.starts_with(before) && part.ends_with(after),
            };
            one && fits(rest, parts)
        }
    }
}

#[test]
fn the_last_pattern_that_fits_decides() {
    let ignored = Ignored::read("*\n!crates\ncrates/*/tests\n**/*.snap.new\n");
    assert!(ignored.lets_through("crates/a/src/lib.rs"));
    for path in ["docs/a.md", "crates/a/tests/b.rs", "crates/a/src/b.snap.new"] {
        assert!(!ignored.lets_through(path), "{path}");
    }
}
