//! `profile-controller preflight`: what would change in a cluster if this controller took over now, told without writing anything.
//!
//! `picture` lists what is there; `foresee` has the controller's own steps act on that picture (`rehearsal`) and tells what came of
//! it; `checks` looks at the cluster as a whole; `report` is the result, `table` shows it to people.

mod checks;
mod foresee;
mod picture;
mod rehearsal;
mod report;
mod table;
mod unrecorded;

pub(crate) use checks::ServiceAccountName;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use kube::Client;
use profile_runtime::client;

use crate::{
    args::{OutputFormat, PreflightArgs},
    labels_file,
    preflight::{
        checks::{Checks, labels_check},
        picture::Picture,
        report::Report,
    },
};

/// Exit code when somebody has to look at something.
const ATTENTION: u8 = 1;

/// Looks at the cluster and prints what would happen; the exit code says whether somebody has to look at something.
///
/// # Errors
/// When the cluster cannot be looked at.
pub(crate) fn preflight(args: &PreflightArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(look(args))?;
    let text = match args.output {
        OutputFormat::Table => table::table(&report, args.all),
        OutputFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.context("cannot print the report")?,
    }
    Ok(if report.needs_attention() { ExitCode::from(ATTENTION) } else { ExitCode::SUCCESS })
}

async fn look(args: &PreflightArgs) -> anyhow::Result<Report> {
    // It fails only if there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = &args.run.platform.namespace_labels_path;
    let labels = labels_file::read(path)?;
    let labels_check = labels_check(path, labels.as_ref());
    let config = Arc::new(args.run.platform.config(labels.unwrap_or_default()));
    let registry = args.run.plugins.registry(None);
    let client = Client::try_from(client::infer_cluster().await?)?;

    let picture = Picture::take(&client, args.chunk_size.get(), tell).await?;
    let checks = Checks { client, service_account: args.service_account.clone() };
    let checks = checks.look(&picture, labels_check).await?;
    let mut profiles = Vec::new();
    for profile in picture.profiles.iter().flatten() {
        profiles.push(foresee::foresee(profile, &picture, &config, &registry).await);
    }
    Ok(Report::new(checks, profiles))
}

/// For somebody who waits; not for a log.
fn tell(resource: &str, count: usize) {
    if io::stderr().is_terminal() {
        eprintln!("read {count} {resource}");
    }
}
