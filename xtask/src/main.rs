//! Tasks of development: `cargo xtask --help`.

mod gen_crd;

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
    GenCrd(gen_crd::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::GenCrd(args) => gen_crd::run(&args),
    }
}

/// The root of the repository.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Into::into).unwrap_or_default()
}
