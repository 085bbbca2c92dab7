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
        ensure!(
            committed == generated,
            "{PATH} is not what the types say: run `cargo xtask gen-crd` and commit it"
        );
        println!("{PATH} is up to date");
    } else {
        fs::write(&path, generated).with_context(|| format!("cannot write {PATH}"))?;
        println!("wrote {PATH}");
    }
    Ok(())
}
