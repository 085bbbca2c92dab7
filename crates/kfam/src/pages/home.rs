//! The namespaces of a user.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use futures::{StreamExt, stream};
use profile_render::contributor::Role;
use serde::Deserialize;

use super::{
    chrome::{Chrome, Flash, show},
    form::{Asked, asked},
    pager::Pager,
    visitor::Visitor,
};
use crate::{
    app::App,
    error::ApiError,
    index::ProfileEntry,
    overview::{Limits, look_again_after},
};

/// How many quotas are read at a time.
const QUOTAS_AT_A_TIME: usize = 10;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    chrome: Chrome,
    rows: Vec<Row>,
    pages: Pager,
    live: Option<u8>,
}

struct Row {
    profile: Arc<ProfileEntry>,
    owner: bool,
    role: Option<Role>,
    limits: Limits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    page: usize,
    done: String,
}

pub(super) async fn home(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    query: Asked<Query>,
) -> Result<Response, ApiError> {
    let Query { page, done } = asked(query)?;
    let service = app.service();
    let memberships = service.memberships(&visitor.caller)?;
    let pages = Pager::new(page, memberships.len(), "/kfam/ui/?page=".to_owned());
    let rows = stream::iter(pages.of(memberships)).map(async |it| {
        let limits = service.limits(&it.profile).await;
        Row { profile: it.profile, owner: it.owner, role: it.role, limits }
    });
    let rows: Vec<Row> = rows.buffered(QUOTAS_AT_A_TIME).collect().await;
    let live = rows.iter().filter_map(|row| look_again_after(&row.profile)).min();
    show(&HomePage {
        chrome: Chrome::new(Some(&visitor), "home").with(Flash::parse(&done)),
        rows,
        pages,
        live,
    })
}
