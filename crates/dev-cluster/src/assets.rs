//! Finds the programs of the control plane and Istio's CRDs, and makes them when they aren't there:
//! built once from the Go module next to this crate and kept in the user's cache directory.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::go::Module;

const PROGRAMS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"];
const ISTIO_MODULE: &str = "istio.io/api";
const ISTIO_CRDS: &str = "kubernetes/customresourcedefinitions.gen.yaml";
const PARTIAL: &str = ".partial-";

/// Where the programs of the control plane are.
#[derive(Clone, Debug)]
pub struct Assets {
    programs: PathBuf,
}

impl Assets {
    /// Takes the directory named by `KUBEBUILDER_ASSETS`, else the cached build, else builds,
    /// which takes minutes the first time and shows its progress on stderr. Processes that need
    /// the build at the same time wait for one of them.
    ///
    /// This blocks: from async code, call it where blocking is allowed.
    ///
    /// # Errors
    /// A program is missing in `KUBEBUILDER_ASSETS`, or the build failed (Go missing, no network,
    /// the cache directory not writable).
    pub fn find() -> anyhow::Result<Assets> {
        let programs = match env::var_os("KUBEBUILDER_ASSETS") {
            Some(dir) if !dir.is_empty() => given(PathBuf::from(dir))?,
            _ => cached_build(&Source::read()?)?,
        };
        Ok(Assets { programs })
    }

    /// The path of `etcd`, `kube-apiserver`, `kube-controller-manager` or `kubectl`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// What a kustomization makes, as a manifest. Blocks.
    ///
    /// # Errors
    /// kubectl cannot build it; with what it says.
    pub fn kustomize(&self, folder: &Path) -> anyhow::Result<String> {
        let output = Command::new(self.program("kubectl")).arg("kustomize").arg(folder).output()?;
        if !output.status.success() {
            bail!(
                "kubectl kustomize {}: {}",
                folder.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The file with all of Istio's CRDs, in the version that the Go module names. Blocks.
    ///
    /// # Errors
    /// It isn't in the cache and could not be downloaded.
    pub fn istio_crds(&self) -> anyhow::Result<PathBuf> {
        cached_istio_crds(&Source::read()?)
    }
}

/// The Go module the control plane is built from.
struct Source {
    module: Module,
    kubernetes_version: String,
    istio_version: String,
    fingerprint: String,
}

impl Source {
    fn read() -> anyhow::Result<Source> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane");
        let go_mod = fs::read_to_string(dir.join("go.mod"))
            .with_context(|| format!("reading go.mod in {}", dir.display()))?;
        let kubernetes_version = required_version(&go_mod, "k8s.io/kubernetes")?;
        let linker_flags = linker_flags(&kubernetes_version);
        Ok(Source {
            istio_version: required_version(&go_mod, ISTIO_MODULE)?,
            fingerprint: fingerprint(&dir, &linker_flags)?,
            module: Module::new("control plane", dir, linker_flags),
            kubernetes_version,
        })
    }
}

fn given(dir: PathBuf) -> anyhow::Result<PathBuf> {
    for program in PROGRAMS {
        if !dir.join(program).is_file() {
            bail!(
                "KUBEBUILDER_ASSETS is {}, and there is no {program} in it. (setup-envtest's bundle comes without kube-controller-manager.) Add it, or unset KUBEBUILDER_ASSETS to have all four programs built from source",
                dir.display()
            );
        }
    }
    Ok(dir)
}

fn cached_build(source: &Source) -> anyhow::Result<PathBuf> {
    let name = format!("controlplane-{}-{}", source.kubernetes_version, source.fingerprint);
    cached(&name, |partial, destination| {
        eprintln!(
            "control plane: building Kubernetes {} from source; the first time takes about 7 minutes on 2 cores, after that it is taken from {}",
            source.kubernetes_version,
            destination.display()
        );
        fs::create_dir(partial)?;
        source.module.build(&partial.join("controlplane"))?;
        for program in PROGRAMS {
            symlink("controlplane", partial.join(program))?;
        }
        Ok(())
    })
}

fn cached_istio_crds(source: &Source) -> anyhow::Result<PathBuf> {
    let name = format!("istio-crds-{}.yaml", source.istio_version);
    cached(&name, |partial, destination| {
        eprintln!("control plane: downloading Istio's CRDs to {}", destination.display());
        let crds = source.module.directory_of(ISTIO_MODULE)?.join(ISTIO_CRDS);
        // Not copied as a file: those of Go's module cache are read-only.
        fs::write(partial, fs::read(crds)?)?;
        Ok(())
    })
}

/// A folder of the user's cache, for what tests and tools need besides: if it isn't there, `make` fills it under a temporary path
/// that becomes the folder in one rename. One process at a time. Blocks.
///
/// # Errors
/// The cache isn't writable, or `make` failed: then nothing is left of it.
pub fn cached_folder(name: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    cached(name, |partial, _| {
        fs::create_dir(partial)?;
        make(partial)
    })
}

/// The cache entry `name`; if it isn't there, `make` makes it under a temporary path that becomes
/// the entry in one rename, so that a killed build leaves nothing half-made. One process at a time.
pub(crate) fn cached(
    name: &str,
    make: impl FnOnce(&Path, &Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let cache = cache_dir()?;
    let entry = cache.join(name);
    if entry.exists() {
        return Ok(entry);
    }
    fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
    let lock = File::create(cache.join(".lock"))?;
    lock.lock().context("waiting for another process that builds something")?;
    if entry.exists() {
        return Ok(entry);
    }
    remove_leftovers(&cache)?;
    let partial = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(&cache)?;
    let made = partial.path().join(name);
    make(&made, &entry).with_context(|| format!("making {}", entry.display()))?;
    fs::rename(&made, &entry)?;
    Ok(entry)
}

/// What a killed build left. Only called under the lock: nobody is at work there.
fn remove_leftovers(cache: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn cache_dir() -> anyhow::Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => env::home_dir()
            .context("neither XDG_CACHE_HOME nor HOME says where to keep what is built")?
            .join(".cache"),
    };
    Ok(base.join("kubeflow-profile-controller"))
}

pub(crate) fn required_version(go_mod: &str, module: &str) -> anyhow::Result<String> {
    go_mod
        .lines()
        .map(|line| line.trim().trim_start_matches("require "))
        .filter_map(|line| line.strip_prefix(module)?.strip_prefix(' '))
        .find_map(|rest| rest.split_whitespace().next().filter(|v| v.starts_with('v')))
        .map(str::to_owned)
        .with_context(|| format!("go.mod does not require {module}"))
}

/// No symbols, and the version that a release build would report.
fn linker_flags(kubernetes_version: &str) -> String {
    let mut parts = kubernetes_version.trim_start_matches('v').split('.');
    let major = parts.next().unwrap_or_default();
    let minor = parts.next().unwrap_or_default();
    let mut flags = "-s -w".to_owned();
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (variable, value) in
            [("gitVersion", kubernetes_version), ("gitMajor", major), ("gitMinor", minor)]
        {
            flags.push_str(&format!(" -X {package}.{variable}={value}"));
        }
    }
    flags
}

/// Changes with everything the program is made from.
pub(crate) fn fingerprint(dir: &Path, linker_flags: &str) -> anyhow::Result<String> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|ext| ext == "go" || ext == "mod" || ext == "sum"));
    files.sort();
    let mut hash = Sha256::new_with_prefix(linker_flags);
    for file in files {
        hash.update(fs::read(file)?);
    }
    let digest = hash.finalize();
    Ok(digest.iter().take(6).map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_and_says_how_to_go_on() {
        let dir = tempfile::tempdir().unwrap();
        for program in ["etcd", "kube-apiserver", "kubectl"] {
            File::create(dir.path().join(program)).unwrap();
        }
        let error = given(dir.path().to_owned()).unwrap_err().to_string();
        assert!(error.contains("there is no kube-controller-manager in it"), "{error}");
        assert!(error.contains("unset KUBEBUILDER_ASSETS"), "{error}");
    }

    #[test]
    fn the_module_names_the_versions() {
        let source = Source::read().unwrap();
        assert!(source.kubernetes_version.starts_with("v1."));
        assert!(source.istio_version.starts_with("v1."));
        assert_eq!(source.fingerprint.len(), 12);
    }
}
