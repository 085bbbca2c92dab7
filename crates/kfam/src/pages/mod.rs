//! Pages for people, served under `/kfam/ui/`. They show what [`Service`](crate::service::Service) says and change what it
//! changes; they decide nothing themselves. All of them work without JavaScript.

mod assets;
mod chrome;
mod form;
mod home;
mod namespace;
mod origin;
mod pager;
mod profiles;
mod protect;
mod register;
#[cfg(test)]
mod tests;
mod visitor;
mod words;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use crate::app::App;

pub(crate) use protect::for_people;

/// Where the pages are.
const BASE: &str = "/kfam/ui/";

/// The pages.
pub(crate) fn router() -> Router<Arc<App>> {
    let pages = Router::new()
        .route("/kfam/ui", get(home::home))
        .route("/kfam/ui/", get(home::home))
        .route("/kfam/ui/register", get(register::show).post(register::register))
        .route("/kfam/ui/register/check", get(register::check))
        .route("/kfam/ui/profiles", get(profiles::profiles))
        .route("/kfam/ui/namespaces/{namespace}", get(namespace::show))
        .route("/kfam/ui/namespaces/{namespace}/add", post(namespace::add))
        .route("/kfam/ui/namespaces/{namespace}/role", post(namespace::change_role))
        .route("/kfam/ui/namespaces/{namespace}/remove", get(namespace::ask_remove).post(namespace::remove))
        .route("/kfam/ui/assets/{name}", get(assets::serve));
    pages.layer(middleware::from_fn(protect::own_pages_only))
}
