//! What forms and addresses bring: text of any kind, until the service has looked at it.

use axum::extract::{
    Form, Path, Query,
    rejection::{FormRejection, PathRejection, QueryRejection},
};
use profile_api::SubjectKind;
use serde::Deserialize;

use crate::{
    error::ApiError,
    wire::{WireBinding, WireRole, WireSubject},
};

/// A form that may not be one.
pub(super) type Sent<T> = Result<Form<T>, FormRejection>;
/// A query that may not be one.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;
/// A part of the path.
pub(super) type Named = Result<Path<String>, PathRejection>;

/// A contributor, as a form names them. A service account is `namespace/name`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Person {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) role: String,
    /// The role that they are to have.
    pub(super) to: String,
}

impl Person {
    /// Their access to a namespace, as the API takes it.
    pub(super) fn binding(&self, namespace: &str) -> WireBinding {
        let name = self.name.trim();
        let (home, name) = match name.split_once('/') {
            Some((home, name)) if self.kind == SubjectKind::ServiceAccount.as_str() => (Some(home), name),
            _ => (None, name),
        };
        WireBinding {
            user: WireSubject {
                kind: self.kind.clone(),
                api_group: None,
                name: name.to_owned(),
                namespace: home.map(str::to_owned),
            },
            referred_namespace: namespace.to_owned(),
            role_ref: WireRole {
                api_group: String::new(),
                kind: "ClusterRole".to_owned(),
                name: self.role.clone(),
            },
        }
    }

    /// Whether it is a user of this name.
    pub(super) fn is_user(&self, user: &str) -> bool {
        self.kind == SubjectKind::User.as_str() && self.name.trim() == user
    }
}

pub(super) fn sent<T>(form: Sent<T>) -> Result<T, ApiError> {
    form.map(|Form(form)| form).map_err(|rejection| match rejection.status() {
        status @ http::StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(status, "TooLarge", "the form does not take so many bytes")
        }
        _ => ApiError::malformed(format!("the form cannot be read: {}", rejection.body_text())),
    })
}

pub(super) fn asked<T>(query: Asked<T>) -> Result<T, ApiError> {
    query.map(|Query(query)| query).map_err(|rejection| ApiError::malformed(rejection.body_text()))
}

pub(super) fn named(path: Named) -> Result<String, ApiError> {
    path.map(|Path(name)| name).map_err(|rejection| ApiError::malformed(rejection.body_text()))
}
