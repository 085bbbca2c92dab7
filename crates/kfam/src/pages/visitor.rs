//! The user who looks at a page.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::{
    app::App,
    error::ApiError,
    identity::{Caller, Unidentified, identify},
};

/// A user, recognised as for the API. There is no page for nobody.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) caller: Caller,
    pub(super) admin: bool,
}

impl Visitor {
    /// The name.
    pub(super) fn user(&self) -> &str {
        self.caller.user().unwrap_or_default()
    }

    /// Recognises the user by the headers of a request.
    pub(super) fn of(headers: &http::HeaderMap, app: &App) -> Result<Self, ApiError> {
        let caller = identify(headers, app.identity())?;
        let user = caller.user().ok_or(Unidentified::NoUser)?;
        let admin = app.service().is_cluster_admin(user);
        Ok(Self { caller, admin })
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        Self::of(&parts.headers, app)
    }
}
