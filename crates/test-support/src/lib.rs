//! What tests against a control plane have in common: one runtime, names of their own, waiting on a condition, and what the
//! repository installs. What fails here panics, as a test does.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use dev_cluster::Assets;
use tokio::runtime::Runtime;

/// Long enough for a loaded machine; a test that waits so long has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// One runtime for all tests of a binary: a client belongs to the runtime that it was made in.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Runs a test.
pub fn run(test: impl Future<Output = ()>) {
    RUNTIME.block_on(test);
}

/// A name that no other test of this binary uses.
pub fn unique(beginning: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{beginning}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until `attempt` gives a value.
///
/// # Panics
/// When the deadline passes.
pub async fn until<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    until_ok(what, async || attempt().await.ok_or("no")).await
}

/// Waits until `attempt` succeeds.
///
/// # Panics
/// When the deadline passes, with the latest error.
pub async fn until_ok<T, E: Display>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        let error = match attempt().await {
            Ok(value) => return value,
            Err(error) => error,
        };
        assert!(Instant::now() < end, "{what}: still not so after {DEADLINE:?}: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Builds a binary of another package of the workspace, into the folder of one that cargo has built for the test, and gives its
/// path. Blocks; it takes a moment when there is nothing to build.
///
/// # Panics
/// When it cannot be built.
pub fn binary(package: &str, beside: &str) -> PathBuf {
    let folder = Path::new(beside).parent().expect("a folder");
    let target = folder.parent().expect("a target folder");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository(".")).args(["build", "--quiet", "-p", package, "--target-dir"]).arg(target);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo");
    assert!(status.success(), "building {package} failed");
    folder.join(package)
}

/// Where a file or folder of the repository is, by its path from the root.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A file of the repository, by its path from the root.
///
/// # Panics
/// When it cannot be read.
pub fn repository_file(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What `kubectl kustomize` makes of a folder of the repository, without CRDs, which have to be there before all else.
///
/// # Panics
/// When it cannot be built.
pub fn kustomized_without_crds(folder: &str) -> String {
    let manifests = Assets::find().and_then(|assets| assets.kustomize(&repository(folder)));
    let manifests = manifests.unwrap_or_else(|error| panic!("{folder}: {error:#}"));
    let documents =
        manifests.split("\n---\n").filter(|document| !document.contains("kind: CustomResourceDefinition"));
    documents.collect::<Vec<_>>().join("\n---\n")
}
