//! What can go wrong outside the cluster, and whether trying again helps.

use std::time::Duration;

use thiserror::Error;

/// Why a grant could not be made or revoked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct PluginError {
    /// What kind of failure it is.
    pub cause: Cause,
    /// What was tried, on what, what came back (the cloud's own words) and what to do.
    pub message: String,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There are no credentials, or they are not accepted. An admin has to mend it.
    Credentials,
    /// The credentials do not permit it. An admin has to mend it.
    PermissionDenied,
    /// What the spec names is not there. The user or an admin has to mend it.
    NotFound,
    /// Something is too large for the cloud's limits. An admin has to mend it.
    LimitExceeded,
    /// The cloud, or the plugin itself, will not have it as it is. The user or an admin has to mend it.
    Refused,
    /// Too many requests; worth trying again, not before the given time if there is one.
    Throttled {
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// Somebody else changed the same thing at the same time; worth trying again.
    Conflict,
    /// No answer, or an answer that says that the cloud is in trouble; worth trying again.
    Unavailable,
}

impl Cause {
    /// The cause as one word, for the reason of a condition.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Credentials => "CredentialsMissing",
            Self::PermissionDenied => "PermissionDenied",
            Self::NotFound => "NotFound",
            Self::LimitExceeded => "LimitExceeded",
            Self::Refused => "GrantRefused",
            Self::Throttled { .. } => "Throttled",
            Self::Conflict => "Conflict",
            Self::Unavailable => "Unavailable",
        }
    }

    /// Whether it may go away by itself, so that trying again soon helps.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Conflict | Self::Unavailable => true,
            Self::Credentials
            | Self::PermissionDenied
            | Self::NotFound
            | Self::LimitExceeded
            | Self::Refused => false,
        }
    }
}

impl PluginError {
    /// An error of a kind.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }
}
