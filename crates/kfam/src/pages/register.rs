//! Registering: a user gets a Profile.

use std::sync::Arc;

use askama::Template;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use profile_api::{ProfileSpec, Subject};
use serde::{Deserialize, Serialize};

use super::{
    chrome::{self, Chrome, Flash, go_on, show_with},
    form::{Asked, Sent, asked, sent},
    protect::sentence,
    visitor::Visitor,
};
use crate::{
    app::App,
    error::ApiError,
    wire::{WireMetadata, WireProfile},
};

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage {
    chrome: Chrome,
    name: String,
    problem: Option<String>,
}

/// The name that is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    name: String,
}

/// Whether it can be had.
#[derive(Serialize)]
struct Checked {
    free: bool,
    message: String,
}

pub(super) async fn show(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, ApiError> {
    app.service().filled()?;
    let name = app.service().suggest_name(&visitor.caller);
    chrome::show(&RegisterPage { chrome: Chrome::new(Some(&visitor), "register"), name, problem: None })
}

/// Answers while a name is typed.
pub(super) async fn check(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    query: Asked<Wanted>,
) -> Result<Response, ApiError> {
    let Wanted { name } = asked(query)?;
    let checked = match app.service().check_name(&visitor.caller, &name) {
        Ok(()) => Checked { free: true, message: format!("{name} is free.") },
        Err(error) if error.status == StatusCode::SERVICE_UNAVAILABLE => return Err(error),
        Err(error) => Checked { free: false, message: sentence(&error.message) },
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(checked)).into_response())
}

pub(super) async fn register(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    form: Sent<Wanted>,
) -> Result<Response, ApiError> {
    let name = sent(form)?.name.trim().to_owned();
    let profile = WireProfile {
        metadata: WireMetadata { name: name.clone() },
        spec: ProfileSpec::owned_by(Subject::user(visitor.user())),
    };
    match app.service().create_profile(&visitor.caller, profile).await {
        Ok(()) => go_on(&format!("/kfam/ui/namespaces/{name}"), Flash::Registered),
        // The form again, with what is wrong with it.
        Err(error) => {
            let problem = Some(sentence(&error.message));
            let page = RegisterPage { chrome: Chrome::new(Some(&visitor), "register"), name, problem };
            show_with(error.status, &page)
        }
    }
}
