//! `cargo xtask test`: all tests.

use std::{env, process::Command, thread::available_parallelism};

use anyhow::{Context, ensure};
use dev_cluster::Assets;

use crate::{debian, least_privilege};

/// Most tests wait for a control plane most of the time: so many run at a time even where there are fewer cores.
const LEAST_THREADS: usize = 4;

/// Run all tests; the control plane and Helm, which they need, are built first. When all have run, the audit logs of their
/// clusters are looked at: each permission of the roles in `manifests` has to have been used, and none to have been missing
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments for `cargo test`, such as `-p profile-render` or the name of a test
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    debian::install_missing()?;
    // Before any test starts, so that its progress is seen.
    Assets::find()?.istio_crds()?;
    dev_cluster::prometheus_operator_crds()?;
    dev_cluster::helm()?;
    let mut cargo = crate::cargo();
    cargo.args(["test", "--workspace"]).args(&args.arguments);
    if env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = available_parallelism().map_or(1, usize::from);
        cargo.env("RUST_TEST_THREADS", cores.max(LEAST_THREADS).to_string());
    }
    if !args.arguments.is_empty() {
        return passed(&mut cargo);
    }
    let audit_logs = tempfile::tempdir()?;
    passed(cargo.env(dev_cluster::KEEP_AUDIT_LOGS, audit_logs.path()))?;
    let checked = least_privilege::check(&crate::root(), audit_logs.path());
    checked.with_context(|| format!("the audit logs are kept in {}", audit_logs.keep().display()))
}

fn passed(cargo: &mut Command) -> anyhow::Result<()> {
    ensure!(cargo.status()?.success(), "tests failed");
    Ok(())
}
