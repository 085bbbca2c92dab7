//! HTTP servers.

use std::{future::IntoFuture, io, net::SocketAddr};

use anyhow::Context as _;
use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;
use tracing::info;

use crate::bind_address::BindAddress;

/// Serves a router as a task until the process ends; does nothing without an address. `what` is served, as a log line
/// says, and `flag` chooses the address.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(address: BindAddress, router: Router, what: &str, flag: &str) -> anyhow::Result<()> {
    let Some(address) = address else {
        return Ok(());
    };
    let listener = listen(address, what, flag).await?;
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(())
}

/// Begins to listen, and logs where.
///
/// # Errors
/// When the address cannot be bound; with the flag that chooses another.
pub async fn listen(address: SocketAddr, what: &str, flag: &str) -> anyhow::Result<TcpListener> {
    let listener = bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for {what} (flag {flag})"))?;
    info!("serving {what} on {}", listener.local_addr()?);
    Ok(listener)
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

/// The answer to a scrape of Prometheus.
pub fn metrics_answer(encoded: prometheus::Result<String>) -> Response {
    match encoded {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
