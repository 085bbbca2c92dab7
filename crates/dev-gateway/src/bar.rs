//! Where the user is chosen: a corner of each page, and a page of its own. Both say that they are for development.

use axum::{
    http::header,
    response::{Html, IntoResponse},
};

use crate::Settings;

const STYLE: &str = "\
.dev-corner { position: fixed; right: 8px; bottom: 8px; max-width: calc(100vw - 16px); padding: 8px 12px; border: 2px dashed #b06000;
  border-radius: 8px; background: #fff8e1; color: #3c2a00; font: 13px/1.4 system-ui, sans-serif; }
.dev-corner form { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin: 0; }
.dev-corner input { width: 15em; min-height: 0; padding: 3px 6px; border: 1px solid #b06000; background: #fff; color: #000; font: inherit; }
.dev-corner button { min-height: 0; padding: 3px 10px; border: 1px solid #b06000; border-radius: 4px; background: #b06000; color: #fff; font: inherit; }
.dev-corner label { font: inherit; font-weight: 600; }
";

pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], STYLE)
}

/// What is put at the end of each page.
pub(crate) fn corner(settings: &Settings, user: Option<&str>) -> String {
    let users: String =
        settings.users.iter().map(|user| format!("<option value=\"{}\"></option>", escape(user))).collect();
    let user = escape(user.unwrap_or_default());
    format!(
        "<link rel=\"stylesheet\" href=\"/_dev/style.css\"><aside class=\"dev-corner\" aria-label=\"Development\">\
         <form method=\"post\" action=\"/_dev/user\"><label for=\"dev-user\">Development only: be</label>\
         <input id=\"dev-user\" name=\"name\" value=\"{user}\" list=\"dev-users\" autocomplete=\"off\" placeholder=\"nobody\">\
         <datalist id=\"dev-users\">{users}</datalist><button>OK</button></form></aside>"
    )
}

/// The page.
pub(crate) fn page(settings: &Settings, user: Option<&str>) -> Html<String> {
    let links: String = settings
        .users
        .iter()
        .map(|user| {
            let encoded = percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC);
            format!("<li><a href=\"/_dev/user?name={encoded}\">{}</a></li>", escape(user))
        })
        .collect();
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Development gateway</title>\
         <h1>Development gateway</h1><p>It plays the identity proxy: choose who you are. For development only.</p>\
         <ul>{links}</ul>{}</html>",
        corner(settings, user)
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
