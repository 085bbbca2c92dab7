//! Tasks of development: `cargo xtask --help`.

mod bench;
mod cluster;
mod debian;
mod dev;
mod gen_crd;
mod least_privilege;
mod samples;
mod screenshots;
mod self_serve;
mod story;
mod test;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Tasks of development.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Dev(dev::Args),
    Cluster(cluster::Args),
    Test(test::Args),
    Bench(bench::Args),
    GenCrd(gen_crd::Args),
    Screenshots(screenshots::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Dev(args) => dev::run(&args),
        Task::Cluster(args) => cluster::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::GenCrd(args) => gen_crd::run(&args),
        Task::Screenshots(args) => screenshots::run(&args),
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo builds to: xtask itself was built into a folder of it.
fn target_folder() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let target = here.ancestors().nth(2).context("xtask is not in a target folder")?;
    Ok(target.to_owned())
}

/// The cargo that runs this.
fn cargo() -> std::process::Command {
    let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}
