//! Puts the parts together and runs them until told to stop.

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future};
use kube::runtime::controller::{self, applier};
use profile_runtime::{client, stop::stop_signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    args::RunArgs,
    context::Context,
    labels_file::LabelsFile,
    leader::{Election, Role},
    metrics::Metrics,
    reconcile::reconcile,
    server::{self, Health},
    watches,
};

/// How long what is in flight may take after a signal to stop; less than the 30 s that a pod gets.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs the controller in a runtime of its own, on one thread: the work is the API server's, and what is freed on one thread
/// is of no use to another, so that memory would grow with the cores of the node.
pub(crate) fn run_blocking(args: RunArgs) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(args))
}

/// Runs the controller until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, or has lost the leadership.
async fn run(args: RunArgs) -> anyhow::Result<()> {
    // For what plugins bring along. It fails only if there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = stop_signal()?;
    info!(version = env!("CARGO_PKG_VERSION"), "starting");
    let kube_config = client::infer_cluster().await?;
    let lease_namespace =
        args.leader_election_namespace.clone().unwrap_or_else(|| kube_config.default_namespace.clone());
    let metrics = Arc::new(Metrics::new(args.max_concurrent_reconciles.get())?);
    let client = client::counted(kube_config, metrics.client_requests.clone())?;
    let labels = LabelsFile::load(args.platform.namespace_labels_path.clone());
    let config = args.platform.config(labels.labels().clone());
    let plugins = args.plugins.registry(Some(client.clone()));
    let context = Arc::new(Context::new(client.clone(), config, metrics, args.resync_period, plugins));

    let (role, leadership) = watch::channel(if args.leader_elect { Role::Starting } else { Role::Alone });
    server::serve_metrics(args.metrics_bind_address, context.clone()).await?;
    server::serve_health(args.health_probe_bind_address, Health { context: context.clone(), leadership })
        .await?;
    watches::start(&context);
    tokio::spawn(follow_labels(labels, context.clone()));
    tokio::spawn({
        let context = context.clone();
        async move { context.metrics.heartbeat.beat().await }
    });

    let concurrency = args.max_concurrent_reconciles.get();
    if !args.leader_elect {
        work(context, concurrency, stop).await;
        return Ok(());
    }
    lead(client, lease_namespace, role, context, concurrency, stop).await
}

/// Waits for the leadership, then works until told to stop or until the leadership is lost.
async fn lead(
    client: kube::Client,
    namespace: String,
    role: watch::Sender<Role>,
    context: Arc<Context>,
    concurrency: u16,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let mut stop = pin!(stop.shared());
    context.metrics.stand();
    let mut election = Election::join(client, namespace, role);
    tokio::select! {
        () = election.win() => {}
        () = stop.as_mut() => return Ok(()),
    }
    context.metrics.lead();
    let result = tokio::select! {
        () = work(context, concurrency, stop.clone()) => Ok(()),
        lost = election.hold() => lost,
    };
    if result.is_ok() {
        election.resign().await;
    }
    result
}

/// Works on Profiles until told to stop, then finishes what is in flight.
async fn work(context: Arc<Context>, concurrency: u16, stop: impl Future<Output = ()> + Send) {
    let mut stop = pin!(stop.fuse());
    tokio::select! {
        () = context.filled() => {}
        () = stop.as_mut() => return,
    }
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let queue = context.open_queue().map(Ok::<_, Infallible>).take_until(stopped);
    let store = context.profiles.store().clone();
    let config = controller::Config::default().concurrency(concurrency);
    let reconcile = |profile, context| reconcile(profile, context).map(Ok::<_, Infallible>).boxed();
    let never = |_, error: &Infallible, _| match *error {};
    let reconciles = applier(reconcile, never, context.clone(), store, queue, config);
    // An item may be an error: a Profile that was deleted while it was queued. There is nothing to do for it.
    let mut reconciles = pin!(reconciles.for_each(|_| future::ready(())));
    tokio::select! {
        () = reconciles.as_mut() => return,
        () = stop.as_mut() => info!("stopping: finishing what is in flight"),
    }
    drop(stopping);
    if tokio::time::timeout(STOP_TIMEOUT, reconciles).await.is_err() {
        warn!("stopping with work in flight, which the next start takes up again");
    }
}

async fn follow_labels(labels: LabelsFile, context: Arc<Context>) {
    labels
        .watch(|labels| {
            context.config.send_modify(|config| Arc::make_mut(config).namespace_labels = labels.clone());
            context.enqueue_all();
        })
        .await;
}
