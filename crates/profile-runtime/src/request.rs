//! Requests to the API server, with a bound on how long they may take.

use std::{fmt, future::Future, time::Duration};

/// Why a request failed.
#[derive(Debug)]
pub enum RequestError {
    /// The API server refused, or could not be reached.
    Kube(kube::Error),
    /// There was no answer within this time.
    TimedOut(Duration),
}

/// A request that counts as failed after `limit`.
///
/// # Errors
/// When it fails or takes too long.
pub async fn bounded<T>(
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, RequestError> {
    match tokio::time::timeout(limit, request).await {
        Ok(result) => result.map_err(RequestError::Kube),
        Err(_) => Err(RequestError::TimedOut(limit)),
    }
}

impl RequestError {
    /// What the API server answered, if it did.
    pub fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Kube(kube::Error::Api(status)) => Some(status),
            _ => None,
        }
    }
}

impl std::error::Error for RequestError {}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kube(kube::Error::Api(status)) if !status.message.is_empty() => {
                f.write_str(&status.message)
            }
            Self::Kube(error) => error.fmt(f),
            Self::TimedOut(limit) => {
                write!(f, "no answer from the API server within {} s", limit.as_secs())
            }
        }
    }
}
