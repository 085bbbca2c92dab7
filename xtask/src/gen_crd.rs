//! `cargo xtask gen-crd`: the CustomResourceDefinition from the types of `profile-api`.

use std::fs;

use anyhow::{Context, ensure};

/// Where the CRD is committed, from the root of the repository.
pub(crate) const PATH: &str = "manifests/base/crd/kubeflow.org_profiles.yaml";

const HEADER: &str = "# Generated from crates/profile-api by `cargo xtask gen-crd`; do not edit.\n";

/// Write the CustomResourceDefinition of Profiles to manifests/base/crd
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if the committed file differs
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let path = crate::root().join(PATH);
    let generated = format!("{HEADER}{}", serde_saphyr::to_string(&profile_api::crd())?);
    if args.check {
        let committed = fs::read_to_string(&path).with_context(|| format!("cannot read {PATH}"))?;
        check(&committed, &generated)?;
        println!("{PATH} is up to date");
    } else {
        fs::write(&path, generated).with_context(|| format!("cannot write {PATH}"))?;
        println!("wrote {PATH}");
    }
    Ok(())
}

fn check(committed: &str, generated: &str) -> anyhow::Result<()> {
    ensure!(
        committed == generated,
        "{PATH} is not what the types say: run `cargo xtask gen-crd` and commit it"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_file_that_differs_is_refused_with_what_to_do() {
        assert!(check("a: 1\n", "a: 1\n").is_ok());
        let error = check("a: 1\n", "a: 2\n").unwrap_err().to_string();
        assert!(error.contains(PATH) && error.contains("cargo xtask gen-crd"), "{error}");
    }
}
