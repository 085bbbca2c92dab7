//! What can go wrong with a request, as the caller sees it: a status, one word for programs, and a sentence that says what to do.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use profile_render::{InvalidField, Refusal};
use profile_runtime::request::RequestError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{authorise::Denial, identity::Unidentified};

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status of the answer.
    pub status: StatusCode,
    /// One word for programs.
    pub error: &'static str,
    /// What is wrong and what to do, for people.
    pub message: String,
}

/// The body of an answer to a request that failed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// One word for programs.
    #[schema(example = "Forbidden")]
    pub error: String,
    /// What is wrong and what to do, for people.
    pub message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into() }
    }

    /// The request cannot be read.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Malformed", message)
    }

    /// There is nothing of that name.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// There is a Profile of that name.
    pub(crate) fn name_taken(name: &str) -> Self {
        Self::conflict("AlreadyExists", format!("there is a Profile {name} already: choose another name"))
    }

    /// What is there stands in the way.
    pub(crate) fn conflict(error: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error, message)
    }

    /// It may work in a moment.
    pub(crate) fn unavailable(error: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error, message)
    }

    /// The caller is not allowed to do something, such as `delete Profile jane`.
    pub(crate) fn denied(denial: Denial, what: &str) -> Self {
        let (status, error, message) = match denial {
            Denial::UserNeeded => (
                StatusCode::UNAUTHORIZED,
                "UserNeeded",
                format!("cannot {what} for nobody: send the header that carries the user"),
            ),
            Denial::NotYours => (
                StatusCode::FORBIDDEN,
                "Forbidden",
                format!("you may not {what}: ask the owner of the Profile or a cluster admin"),
            ),
            Denial::NotInPlace => (
                StatusCode::CONFLICT,
                "NotReady",
                format!(
                    "cannot {what} yet: your access to the namespace is not in place; try again when the Profile is ready"
                ),
            ),
            Denial::AdminsOnly => (
                StatusCode::FORBIDDEN,
                "Forbidden",
                format!(
                    "cannot {what} with more than spec.owner: plugins and limits are set by a cluster admin"
                ),
            ),
        };
        Self::new(status, error, message)
    }

    /// The API server did not do what was tried, such as `create RoleBinding team/x`.
    pub(crate) fn from_cluster(tried: &str, error: &RequestError) -> Self {
        let Some(status) = error.status() else {
            let message =
                format!("could not {tried}: the API server does not answer ({error}); try again in a moment");
            return Self::unavailable("ApiServerUnavailable", message);
        };
        let said = &status.message;
        match status.code {
            401 | 403 if !said.contains("being terminated") => {
                let message = format!(
                    "could not {tried}: {said}; a cluster admin has to apply the ClusterRole of this version of kfam"
                );
                Self::unavailable("PermissionMissing", message)
            }
            403 => {
                Self::conflict("Terminating", format!("could not {tried}: the namespace is being deleted"))
            }
            404 => Self::not_found(format!("could not {tried}: {said}")),
            409 => Self::conflict("Conflict", format!("could not {tried}: {said}")),
            400 | 422 => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", format!("could not {tried}: {said}"))
            }
            code => {
                let message = format!(
                    "could not {tried}: the API server answers {code} ({said}); try again in a moment"
                );
                Self::unavailable("ApiServerUnavailable", message)
            }
        }
    }

    /// How bad it is, in the words of the reference's metric.
    pub(crate) fn severity(&self) -> &'static str {
        match self.status.as_u16() {
            500 => "critical",
            501.. => "major",
            _ => "minor",
        }
    }
}

impl From<Unidentified> for ApiError {
    fn from(why: Unidentified) -> Self {
        let unauthorized = |error, message: &str| Self::new(StatusCode::UNAUTHORIZED, error, message);
        match why {
            Unidentified::NoPeer => unauthorized(
                "NoPeer",
                "the request does not prove which workload sends it: call through the mesh, with mutual TLS",
            ),
            Unidentified::Untrusted(peer) => Self::new(
                StatusCode::FORBIDDEN,
                "UntrustedPeer",
                format!(
                    "workload {peer} is not answered: call through the dashboard or the ingress gateway (flag --trusted-principals)"
                ),
            ),
            Unidentified::NoUser => unauthorized(
                "NoUser",
                "the request does not say which user it is for: sign in, and call again",
            ),
            Unidentified::BadUser(problem) => unauthorized(
                "BadUser",
                &format!("the header that carries the user cannot be used: {problem}"),
            ),
        }
    }
}

impl From<InvalidField> for ApiError {
    fn from(invalid: InvalidField) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", invalid.to_string())
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(invalid) => invalid.into(),
            reserved @ Refusal::ReservedName { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "ReservedName", reserved.to_string())
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: self.error.to_owned(), message: self.message.clone() };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        // For the metrics.
        response.extensions_mut().insert(Failure { error: self.error, severity: self.severity() });
        // For the pages.
        response.extensions_mut().insert(self);
        response
    }
}

/// What the metrics say of a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) error: &'static str,
    pub(crate) severity: &'static str,
}
