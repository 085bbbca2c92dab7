//! Kubeflow access management: users register and share their namespace without an admin.
//!
//! A request passes through in this order: `serve` and `app` bound it, `identity` says who asks, `api` reads it, [`service`] has the
//! use case, which asks [`authorise`] and reads the [`index`] or changes the cluster (`sharing`), and `audit` and `metrics` say
//! how it went. `pages` shows the same to people. `watches` keep the index filled; `run` puts the parts together.

pub mod api;
pub mod app;
pub mod authorise;
pub mod error;
pub mod identity;
pub mod index;
pub mod metrics;
pub mod service;
pub mod sharing;
pub mod wire;

mod args;
mod audit;
mod cluster;
mod found;
mod listing;
mod locks;
mod naming;
mod observed;
mod overview;
mod pages;
mod quota;
mod registration;
mod run;
mod serve;
mod watches;
mod xfcc;

use std::{ffi::OsString, process::ExitCode};

use profile_runtime::logging;

use crate::args::Args;

/// Reads the arguments, the program's name first, and serves.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = Args::read(args).unwrap_or_else(|error| error.exit());
    logging::init(args.log_format, env!("CARGO_CRATE_NAME"));
    match run::run_blocking(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
