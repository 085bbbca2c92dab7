//! All Profiles, for cluster admins.

use std::sync::Arc;

use askama::{Template, filters::urlencode_strict};
use axum::{extract::State, response::Response};
use profile_api::SubjectKind;
use serde::Deserialize;

use super::{
    chrome::{Chrome, show},
    form::{Asked, asked},
    pager::Pager,
    visitor::Visitor,
    words::kind_text,
};
use crate::{app::App, error::ApiError, index::ProfileEntry, overview::StateFilter};

const STATES: [(&str, &str); 3] = [("", "Any"), ("ready", "Ready"), ("not-ready", "Not ready")];

#[derive(Template)]
#[template(path = "profiles.html")]
struct ProfilesPage {
    chrome: Chrome,
    asked: Query,
    total: usize,
    rows: Vec<Arc<ProfileEntry>>,
    pages: Pager,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    q: String,
    state: String,
    page: usize,
}

pub(super) async fn profiles(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    query: Asked<Query>,
) -> Result<Response, ApiError> {
    let query = asked(query)?;
    let state = match query.state.as_str() {
        "ready" => StateFilter::Ready,
        "not-ready" => StateFilter::NotReady,
        _ => StateFilter::Any,
    };
    let found = app.service().search(&visitor.caller, &query.q, state)?;
    let link = format!("/kfam/ui/profiles?q={}&state={}&page=", encoded(&query.q), encoded(&query.state));
    let (total, pages) = (found.len(), Pager::new(query.page, found.len(), link));
    let rows = pages.of(found);
    show(&ProfilesPage { chrome: Chrome::new(Some(&visitor), "profiles"), asked: query, total, rows, pages })
}

/// For a query.
fn encoded(text: &str) -> String {
    urlencode_strict(text).map_or_else(|never| match never {}, |text| text.to_string())
}
