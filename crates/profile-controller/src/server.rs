//! The HTTP servers: health for the kubelet, metrics for Prometheus.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use profile_runtime::{
    bind_address::BindAddress,
    server::{metrics_answer, serve},
};

use crate::{context::Context, leader::Leadership};

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
    metrics_answer(context.metrics.encode(&context.profiles))
}
