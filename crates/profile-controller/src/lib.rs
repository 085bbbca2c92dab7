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
mod labels_file;
mod leader;
mod lease;
mod metrics;
mod namespace;
mod operations;
mod outside;
mod packed;
mod plugins;
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
    let result = match cli.command {
        Some(Command::Render(args)) => render::render(&args),
        None => {
            logging::init(cli.run.log_format, env!("CARGO_CRATE_NAME"));
            run::run_blocking(cli.run)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
