//! What protects the pages and those who look at them: who may send forms, what a page may load, and errors that people can read.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    BASE,
    chrome::{Chrome, show_with},
    origin::is_own_page,
    visitor::Visitor,
};
use crate::{
    app::{App, cross_site},
    error::{ApiError, Failure},
};

/// Only what comes from here, no script or style in the page itself, and shown within no page of another site. The dashboard, which
/// has the same origin, shows pages in a frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'self'; base-uri 'none'";

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    chrome: Chrome,
    heading: &'static str,
    message: String,
    code: u16,
    word: &'a str,
}

/// Refuses forms that a page of another site has sent.
pub(super) async fn own_pages_only(request: Request, next: Next) -> Response {
    if *request.method() == Method::POST && !is_own_page(request.headers()) {
        return cross_site();
    }
    next.run(request).await
}

/// Makes pages of errors, wherever they come from, and protects what is shown.
pub(crate) async fn for_people(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !path.starts_with(BASE) && path != BASE.trim_end_matches('/') {
        return next.run(request).await;
    }
    let visitor = Visitor::of(request.headers(), &app).ok();
    let wants_json = path.ends_with("/check");
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>().filter(|_| !wants_json) {
        response = error_page(&error, visitor.as_ref(), response);
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// The same status and words as the API's answer.
fn error_page(error: &ApiError, visitor: Option<&Visitor>, answer: Response) -> Response {
    let page = ErrorPage {
        chrome: Chrome::new(visitor, ""),
        heading: heading(error.status),
        message: sentence(&error.message),
        code: error.status.as_u16(),
        word: error.error,
    };
    let mut response = show_with(error.status, &page).unwrap_or_else(IntoResponse::into_response);
    if let Some(failure) = answer.extensions().get::<Failure>() {
        response.extensions_mut().insert(*failure);
    }
    if let Some(after) = answer.headers().get(header::RETRY_AFTER) {
        response.headers_mut().insert(header::RETRY_AFTER, after.clone());
    }
    response
}

fn heading(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "Please sign in",
        403 => "That is not yours to do",
        404 => "There is no such thing",
        409 => "That does not go together",
        500 => "A mistake in this service",
        503 => "Not now",
        _ => "That cannot be done",
    }
}

/// The message of an error as a sentence of its own.
pub(super) fn sentence(message: &str) -> String {
    let mut rest = message.chars();
    let Some(first) = rest.next() else {
        return String::new();
    };
    // A field, such as metadata.name, keeps its spelling.
    let is_word = message.split([' ', ':']).next().is_some_and(|word| !word.contains('.'));
    let first = if is_word { first.to_uppercase().to_string() } else { first.to_string() };
    format!("{first}{}.", rest.as_str().trim_end_matches('.'))
}
