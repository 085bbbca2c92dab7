//! The HTTP servers: health for the kubelet, metrics for Prometheus.

use std::{io, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use axum::{Router, extract::State, http::StatusCode, http::header, response::IntoResponse, routing::get};
use tokio::net::TcpListener;
use tracing::info;

use crate::{args::BindAddress, context::Context, leader::Leadership};

/// What the health server reports on.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) context: Arc<Context>,
    pub(crate) leadership: Leadership,
}

/// Serves `/healthz` and `/readyz`.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) async fn serve_health(address: BindAddress, health: Health) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(health);
    serve(address, router, "health probes", "--health-probe-bind-address").await
}

/// Serves `/metrics`.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) async fn serve_metrics(address: BindAddress, context: Arc<Context>) -> anyhow::Result<()> {
    let router = Router::new().route("/metrics", get(metrics)).with_state(context);
    serve(address, router, "metrics", "--metrics-bind-address").await
}

async fn serve(address: BindAddress, router: Router, what: &str, flag: &str) -> anyhow::Result<()> {
    let Some(address) = address else {
        return Ok(());
    };
    let listener = bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for {what} (flag {flag})"))?;
    info!("serving {what} on {}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(())
}

/// Every address of the machine means the old ones alone where there are no new ones.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error)
            if address.is_ipv6()
                && address.ip().is_unspecified()
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        result => result,
    }
}

/// Ready when the stores are filled. A replica that waits for its turn is ready, to take over at once, and says so; one whose
/// lease is in doubt is not.
async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    let filled = health.context.profiles.is_filled() && health.context.objects.is_filled();
    let leadership = health.leadership.borrow().clone();
    let ready = filled && leadership.is_sound();
    let stores = if filled { "filled" } else { "being filled" };
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("stores: {stores}\nleader election: {leadership}\n"))
}

async fn metrics(State(context): State<Arc<Context>>) -> impl IntoResponse {
    match context.metrics.encode(&context.profiles) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
