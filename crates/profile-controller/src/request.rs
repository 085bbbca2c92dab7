//! Requests to the API server: how long they may take, and what their failures mean.

use std::{fmt, future::Future, time::Duration};

use profile_render::ObjectKey;
pub(crate) use profile_runtime::request::RequestError;

use crate::backoff::Retry;

/// Name under which the API server records our writes.
pub(crate) const FIELD_MANAGER: &str = "profile-controller";

/// How long a request may take before it counts as failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A request that failed.
#[derive(Debug)]
pub(crate) struct ApiError {
    /// Which object.
    pub(crate) key: ObjectKey,
    verb: &'static str,
    source: RequestError,
}

/// A request about an object, with a bound on how long it may take.
pub(crate) async fn request<T>(
    verb: &'static str,
    key: &ObjectKey,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    bounded(request).await.map_err(|source| ApiError::new(verb, key, source))
}

/// A request with a bound on how long it may take.
pub(crate) async fn bounded<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, RequestError> {
    profile_runtime::request::bounded(REQUEST_TIMEOUT, request).await
}

impl ApiError {
    /// What was tried (a verb of the API), on which object, and why it failed.
    pub(crate) fn new(verb: &'static str, key: &ObjectKey, source: RequestError) -> Self {
        Self { key: key.clone(), verb, source }
    }

    fn status(&self) -> Option<&kube::core::Status> {
        self.source.status()
    }

    /// Whether the object is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// Whether what was known of the object is not how it is: it is there, has changed, or is gone.
    pub(crate) fn is_outdated(&self) -> bool {
        self.status().is_some_and(|status| status.code == 409 || (status.code == 404 && self.verb == "patch"))
    }

    /// Whether we lack the permission.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.status().is_some_and(|status| status.code == 403) && !self.is_namespace_terminating()
    }

    /// Whether the API server will not have the object as it is.
    pub(crate) fn is_rejected(&self) -> bool {
        self.status().is_some_and(|status| matches!(status.code, 400 | 422))
    }

    /// Whether nothing can be created because the namespace is being deleted.
    pub(crate) fn is_namespace_terminating(&self) -> bool {
        let details = self.status().and_then(|status| status.details.as_ref());
        details
            .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
    }

    /// Whether trying again helps.
    pub(crate) fn retry(&self) -> Retry {
        let seconds =
            self.status().and_then(|status| status.details.as_ref()).map_or(0, |d| d.retry_after_seconds);
        match seconds {
            _ if self.is_rejected() => Retry::OnChange,
            0 => Retry::WithBackoff,
            seconds => Retry::After(Duration::from_secs(u64::from(seconds))),
        }
    }
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {} {}: {}", self.verb, self.key, self.source)
    }
}
