//! Puts the parts together and runs them until told to stop.

use std::{sync::Arc, thread::available_parallelism};

use anyhow::Context as _;
use profile_runtime::{client, server::listen, stop::stop_signal};
use tracing::{info, warn};

use crate::{
    app::{App, router},
    args::Args,
    index::Index,
    metrics::Metrics,
    serve::serve,
    service::Service,
    watches,
};

/// How many threads answer at most. Two answer tens of thousands of requests a second, and each takes memory.
const MOST_THREADS: usize = 4;

/// Runs the service in a runtime of its own.
pub(crate) fn run_blocking(args: &Args) -> anyhow::Result<()> {
    let threads = available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(threads).enable_all().build()?.block_on(run(args))
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
async fn run(args: &Args) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    info!(version = env!("CARGO_PKG_VERSION"), "starting");
    if args.trust_all_callers {
        warn!(
            "--trust-all-callers: anybody who reaches the port can act as any user; something else has to keep strangers away"
        );
    }
    let metrics = Arc::new(Metrics::new()?);
    let config = client::infer_cluster().await?;
    let client = client::counted(config, metrics.client_requests.clone())?;
    let index = Arc::new(Index::default());
    watches::start(&client, &index);
    tokio::spawn({
        let metrics = metrics.clone();
        async move { metrics.heartbeat.beat().await }
    });
    let service = Service::new(args.service(), index, client);
    let app = Arc::new(App::new(service, args.identity(), metrics));
    let address = args.bind_address.context("an address is needed: --bind-address=:8081")?;
    let listener = listen(address, "access management", "--bind-address").await?;
    serve(listener, router(app), stop).await;
    Ok(())
}
