//! What can stand between a Profile and being ready, with the reason that its status gives and whether trying again helps.

use profile_render::{ObjectKey, OwnedKind, Refusal, ownership, plan::Obstacle};
use thiserror::Error;

use crate::{backoff::Retry, profile::WriteError, request::ApiError};

/// Why a Profile is not ready.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    /// It does not decode.
    #[error("this Profile cannot be read: {0}; correct the field and apply it again")]
    Undecodable(String),
    /// Its name or a field is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its namespace is somebody else's.
    #[error(
        "namespace {name} exists and does not belong to owner {owner} ({}): nothing in it is touched; \
         to hand it over, {}annotate it with {}={name}, else choose another name for the Profile",
        describe(.reason),
        release(.reason),
        profile_api::names::ADOPT_ANNOTATION
    )]
    NotOwned { name: String, owner: String, reason: ownership::Reason },
    /// Its namespace is being deleted.
    #[error("namespace {0} is being deleted; it will be created again once it is gone")]
    NamespaceTerminating(String),
    /// The namespace could not be read or written.
    #[error(transparent)]
    Namespace(ApiError),
    /// The Profile itself could not be written.
    #[error(transparent)]
    Profile(#[from] WriteError),
    /// Some objects are not as they should be; the others are.
    #[error("{}", join(.0))]
    Objects(Vec<ObjectProblem>),
    /// What plugins grant outside the cluster is not as it should be; everything in the cluster is.
    #[error("{0}")]
    Plugins(PluginProblem),
    /// The reconcile itself broke off.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Why what plugins grant is not as it should be.
#[derive(Debug, Error)]
#[error("{message}")]
pub(crate) struct PluginProblem {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// Whether it is under way and nothing has gone wrong.
    pub(crate) is_pending: bool,
}

/// Why an object is not as it should be.
#[derive(Debug, Error)]
pub(crate) enum ObjectProblem {
    /// Something stands in the way.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// The API server refused.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The API server does not know the kind.
    #[error("{0}: this cluster does not serve {kind} ({group}/{version})",
        kind = .0.kind, group = .0.kind.api_resource().group, version = .0.kind.api_resource().version)]
    NotServed(ObjectKey),
    /// It kept changing under our hands.
    #[error("{0} is being changed by somebody else at the same time, again and again")]
    Contended(ObjectKey),
}

impl Problem {
    /// The reason that the condition gives, one word.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "Undecodable",
            Self::Refused(Refusal::ReservedName { .. }) => "ReservedName",
            Self::Refused(Refusal::Invalid(_)) => "InvalidSpec",
            Self::NotOwned { .. } => "NamespaceNotOwned",
            Self::NamespaceTerminating(_) => "NamespaceTerminating",
            Self::Namespace(error) => api_reason(error),
            Self::Objects(problems) => match problems.first() {
                Some(ObjectProblem::Obstacle(Obstacle::Controlled { .. })) => "ObjectConflict",
                Some(ObjectProblem::Obstacle(Obstacle::Terminating { .. })) => "ObjectTerminating",
                Some(ObjectProblem::NotServed(_)) => "KindNotServed",
                Some(ObjectProblem::Api(error)) => api_reason(error),
                Some(ObjectProblem::Contended(_)) | None => "ApplyFailed",
            },
            Self::Plugins(problem) => problem.reason,
            Self::Profile(_) => "ApplyFailed",
            Self::Internal(_) => "InternalError",
        }
    }

    /// Whether trying again helps.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            // The operations of plugins have the Profile looked at again when there is something to do.
            Self::Undecodable(_) | Self::Refused(_) | Self::Plugins(_) => Retry::OnChange,
            Self::Namespace(error) => error.retry(),
            Self::Objects(problems) => {
                problems.iter().map(ObjectProblem::retry).reduce(Retry::sooner).unwrap_or(Retry::WithBackoff)
            }
            Self::NotOwned { .. } | Self::NamespaceTerminating(_) | Self::Profile(_) | Self::Internal(_) => {
                Retry::WithBackoff
            }
        }
    }

    /// How bad it is, in the words of the reference's metric: `minor` for what a user has to mend.
    pub(crate) fn severity(&self) -> &'static str {
        match self {
            Self::Undecodable(_)
            | Self::Refused(_)
            | Self::NotOwned { .. }
            | Self::NamespaceTerminating(_) => "minor",
            Self::Namespace(_) | Self::Profile(_) | Self::Objects(_) | Self::Plugins(_) => "major",
            Self::Internal(_) => "critical",
        }
    }
}

impl ObjectProblem {
    fn retry(&self) -> Retry {
        match self {
            Self::Api(error) => error.retry(),
            Self::Obstacle(_) | Self::NotServed(_) | Self::Contended(_) => Retry::WithBackoff,
        }
    }

    /// Which kind of object it is about.
    pub(crate) fn kind(&self) -> OwnedKind {
        match self {
            Self::Obstacle(Obstacle::Controlled { key, .. } | Obstacle::Terminating { key })
            | Self::NotServed(key)
            | Self::Contended(key) => key.kind,
            Self::Api(error) => error.key.kind,
        }
    }
}

fn api_reason(error: &ApiError) -> &'static str {
    if error.is_forbidden() {
        "Forbidden"
    } else if error.is_rejected() {
        "ObjectRejected"
    } else {
        "ApplyFailed"
    }
}

fn join(problems: &[ObjectProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn describe(reason: &ownership::Reason) -> String {
    match reason {
        ownership::Reason::Controlled(controller) => format!("it is managed by {controller}"),
        ownership::Reason::OtherOwner(owner) => format!("its annotation names the owner {owner:?}"),
        ownership::Reason::Unmarked => "it has no owner annotation".to_owned(),
    }
}

/// What has to be done before the annotation counts.
fn release(reason: &ownership::Reason) -> &'static str {
    match reason {
        ownership::Reason::Controlled(_) => "remove that owner reference and ",
        ownership::Reason::OtherOwner(_) | ownership::Reason::Unmarked => "",
    }
}
