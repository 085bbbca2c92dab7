//! What is around every page: who is signed in, where one can go, what has just been done.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    assets::{ICON, SCRIPT, STYLE},
    visitor::Visitor,
};
use crate::{api::notice, error::ApiError, sharing::Shared};

/// What has just been done; it goes through the address as a code, never as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Flash {
    Registered,
    Shared,
    SharedWithoutBrowser,
    SharedWithoutMesh,
    Changed,
    Removed,
}

impl Flash {
    pub(super) const ALL: [Self; 6] = [
        Self::Registered,
        Self::Shared,
        Self::SharedWithoutBrowser,
        Self::SharedWithoutMesh,
        Self::Changed,
        Self::Removed,
    ];

    /// What came of sharing.
    pub(super) fn of(shared: Shared) -> Self {
        match shared {
            Shared::Whole => Self::Shared,
            Shared::WithoutBrowser => Self::SharedWithoutBrowser,
            Shared::WithoutMesh => Self::SharedWithoutMesh,
        }
    }

    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Shared => "shared",
            Self::SharedWithoutBrowser => "shared-without-browser",
            Self::SharedWithoutMesh => "shared-without-mesh",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }

    /// The code's meaning; an unknown one means nothing.
    pub(super) fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flash| flash.code() == code)
    }

    pub(super) fn text(self) -> String {
        let shared = |shared| format!("Shared, but {}.", notice(shared).unwrap_or_default());
        match self {
            Self::Registered => "Registered.".to_owned(),
            Self::Shared => "Shared.".to_owned(),
            Self::SharedWithoutBrowser => shared(Shared::WithoutBrowser),
            Self::SharedWithoutMesh => shared(Shared::WithoutMesh),
            Self::Changed => "The role is changed.".to_owned(),
            Self::Removed => "Removed.".to_owned(),
        }
    }
}

/// A query that may say what has been done.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

impl Done {
    pub(super) fn flash(&self) -> Option<Flash> {
        Flash::parse(&self.done)
    }
}

/// What is around a page.
pub(super) struct Chrome {
    pub(super) user: Option<String>,
    pub(super) admin: bool,
    pub(super) flash: Option<Flash>,
    here: &'static str,
}

impl Chrome {
    pub(super) fn new(visitor: Option<&Visitor>, here: &'static str) -> Self {
        let user = visitor.map(|visitor| visitor.user().to_owned());
        Self { user, admin: visitor.is_some_and(|visitor| visitor.admin), flash: None, here }
    }

    pub(super) fn with(self, flash: Option<Flash>) -> Self {
        Self { flash, ..self }
    }

    pub(super) fn at(&self, here: &str) -> bool {
        self.here == here
    }

    pub(super) fn style(&self) -> String {
        STYLE.path()
    }

    pub(super) fn script(&self) -> String {
        SCRIPT.path()
    }

    pub(super) fn icon(&self) -> String {
        ICON.path()
    }
}

/// A page as an answer.
pub(super) fn show(page: &impl Template) -> Result<Response, ApiError> {
    show_with(StatusCode::OK, page)
}

/// A page as an answer of another status, such as a form with what is wrong with it.
pub(super) fn show_with(status: StatusCode, page: &impl Template) -> Result<Response, ApiError> {
    let html = page.render().map_err(|error| {
        let message = format!("a mistake in kfam, report it: cannot make the page: {error}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", message)
    })?;
    Ok((status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response())
}

/// Leads on after a change, so that loading the page again does not repeat it.
pub(super) fn go_on(path: &str, flash: Flash) -> Result<Response, ApiError> {
    let location = HeaderValue::try_from(format!("{path}?done={}", flash.code()))
        .map_err(|_| ApiError::malformed("the path has characters that it cannot have"))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}
