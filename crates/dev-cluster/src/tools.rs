//! What tests of an installation need beside a control plane: Helm, and the CRDs of the Prometheus
//! operator. Each has a Go module of its own, so that a new version of one leaves the others in the
//! cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::assets::{cached, cached_folder, fingerprint, required_version};
use crate::go::Module;

const HELM_MODULE: &str = "helm.sh/helm/v4";
const HELM_PROGRAM: &str = "helm.sh/helm/v4/cmd/helm";
/// No symbols.
const LINKER_FLAGS: &str = "-s -w";

const OPERATOR_MODULE: &str = "github.com/prometheus-operator/prometheus-operator";
const OPERATOR_CRDS: &str = "example/prometheus-operator-crd";
const USED_CRDS: [&str; 2] =
    ["monitoring.coreos.com_prometheusrules.yaml", "monitoring.coreos.com_servicemonitors.yaml"];

/// The path of `helm`, built from its Go module if it isn't in the cache, which takes minutes the
/// first time and shows its progress on stderr. Blocks.
///
/// # Errors
/// The build failed: Go missing, no network, the cache directory not writable.
pub fn helm() -> anyhow::Result<PathBuf> {
    let (dir, version) = module("helm", HELM_MODULE)?;
    let name = format!("helm-{version}-{}", fingerprint(&dir, LINKER_FLAGS)?);
    let folder = cached_folder(&name, |partial| {
        eprintln!("helm: building {version} from source; the first time takes about 4 minutes on 2 cores");
        let module = Module::new("helm", dir, LINKER_FLAGS.to_owned()).package(HELM_PROGRAM);
        module.build(&partial.join("helm"))
    })?;
    Ok(folder.join("helm"))
}

/// A manifest with the CRDs of ServiceMonitor and PrometheusRule. Blocks.
///
/// # Errors
/// They aren't in the cache and could not be downloaded.
pub fn prometheus_operator_crds() -> anyhow::Result<String> {
    let (dir, version) = module("prometheus-operator", OPERATOR_MODULE)?;
    let file = cached(&format!("prometheus-operator-crds-{version}.yaml"), |partial, _| {
        let module = Module::new("prometheus-operator", dir, String::new());
        let crds = module.directory_of(OPERATOR_MODULE)?.join(OPERATOR_CRDS);
        let read = |name| fs::read_to_string(crds.join(name)).with_context(|| format!("reading {name}"));
        let crds = USED_CRDS.map(read).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        Ok(fs::write(partial, crds.join("\n---\n"))?)
    })?;
    fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
}

/// A Go module next to this crate, and the version that it requires of another.
fn module(folder: &str, required: &str) -> anyhow::Result<(PathBuf, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let go_mod = fs::read_to_string(dir.join("go.mod"))
        .with_context(|| format!("reading go.mod in {}", dir.display()))?;
    let version = required_version(&go_mod, required)?;
    Ok((dir, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_name_the_versions() {
        for (folder, required) in [("helm", HELM_MODULE), ("prometheus-operator", OPERATOR_MODULE)] {
            let (_, version) = module(folder, required).unwrap();
            assert!(version.starts_with('v'), "{folder}: {version}");
        }
    }
}
