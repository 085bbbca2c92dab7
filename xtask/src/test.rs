//! `cargo xtask test`: all tests.

use anyhow::ensure;
use dev_cluster::Assets;

/// Run all tests; the control plane that they need is built first
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments for `cargo test`, such as `-p profile-render` or the name of a test
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // Before any test starts, so that its progress is seen.
    Assets::find()?.istio_crds()?;
    let status = crate::cargo().args(["test", "--workspace"]).args(&args.arguments).status()?;
    ensure!(status.success(), "tests failed");
    Ok(())
}
