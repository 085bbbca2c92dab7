//! Serves HTTP to many clients, none of which can hold it up: headers are bounded in size and time, and a stop lets requests end.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tracing::{debug, info, warn};

/// How long a client may take to send its headers, or keep a connection open without a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// The most bytes that the headers of a request may have.
const HEADER_BYTES: usize = 64 * 1024;
/// How many connections there may be; more wait until one is closed.
const CONNECTIONS: usize = 4096;
/// How long what is in flight may take after a signal to stop; less than the 30 s that a pod gets.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves until `stop`, then lets what is in flight end.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_BYTES);
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let permit = connections.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accepted => accepted,
            () = stop.as_mut() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, or a client that is gone already.
                debug!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are small, and someone waits for them.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            hyper::service::Service::call(&service, request)
        });
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!("a connection broke: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    info!("stopping: finishing what is in flight");
    if tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await.is_err() {
        warn!("stopping with requests in flight");
    }
}
