//! The controller: watches Profiles and what they own, compares, writes, reports.
//!
//! What should be and what differs is decided in `profile-render`. Here is the I/O around it, in the order in which a
//! Profile passes through: `watches` fill `stores`, `reconcile` decides the steps, `apply` writes objects,
//! `status` says how it went. `run` puts the parts together.

mod apply;
mod args;
mod backoff;
mod context;
mod events;
mod finalizer;
mod grants;
mod hands;
mod labels_file;
mod leader;
mod lease;
mod metrics;
mod namespace;
mod operations;
mod outside;
mod packed;
mod plugins;
mod preflight;
mod problem;
mod profile;
mod queue;
mod read_object;
mod reconcile;
mod render;
mod request;
mod run;
mod server;
mod status;
mod stores;
mod watches;

use std::{ffi::OsString, process::ExitCode};

use profile_runtime::logging;

use crate::args::{Cli, Command};

/// Reads the arguments, the program's name first, and does what they ask for.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = Cli::read(args).unwrap_or_else(|error| error.exit());
    match cli.command {
        Some(Command::Render(args)) => {
            ended(render::render(&args).map(|()| ExitCode::SUCCESS), ExitCode::FAILURE)
        }
        // 1 is for a cluster in which somebody has to look at something.
        Some(Command::Preflight(args)) => ended(preflight::preflight(&args), ExitCode::from(2)),
        None => {
            logging::init(cli.run.log_format, env!("CARGO_CRATE_NAME"));
            ended(run::run_blocking(cli.run).map(|()| ExitCode::SUCCESS), ExitCode::FAILURE)
        }
    }
}

fn ended(result: anyhow::Result<ExitCode>, failure: ExitCode) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("Error: {error:#}");
        failure
    })
}
