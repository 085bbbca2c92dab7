//! Stands in for the ingress gateway and the identity proxy, in development and tests: it says who the user is, as the mesh would,
//! and passes requests on. Whoever reaches it can be anybody: **for development only**, never in front of a real cluster.

mod bar;
mod forward;

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{
    Form, Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{any, get},
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use tokio::{net::TcpListener, task::JoinHandle};

/// The cookie that says who somebody wants to be.
const COOKIE: &str = "dev-user";

/// How the gateway is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where requests go: host and port.
    pub upstream: String,
    /// The header that carries the user.
    pub userid_header: String,
    /// The gateway's identity in the mesh, such as `cluster.local/ns/istio-system/sa/…`.
    pub principal: String,
    /// Users to choose from; any other name can be typed.
    pub users: Vec<String>,
    /// Whether pages get a corner where the user is chosen.
    pub corner: bool,
}

/// A gateway that runs until it is dropped.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

struct Shared {
    settings: Settings,
    client: forward::Client,
}

impl Gateway {
    /// Starts one on a port of this machine; 0 is any.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(settings: Settings, port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("the gateway cannot have 127.0.0.1:{port}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { settings, client: forward::client() });
        let router = Router::new()
            .route("/", get(|| async { Redirect::to("/kfam/ui/") }))
            .route("/_dev/", get(choose))
            .route("/_dev/user", get(by_link).post(by_form))
            .route("/_dev/style.css", get(bar::style))
            .fallback(any(forward::forward))
            .with_state(shared);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, serving })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Deserialize)]
struct Choice {
    name: String,
}

async fn choose(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    bar::page(&shared.settings, user(&headers).as_deref()).into_response()
}

async fn by_link(Query(choice): Query<Choice>) -> Response {
    chosen(&choice, "/kfam/ui/")
}

/// Back to the page in whose corner it was chosen.
async fn by_form(headers: HeaderMap, Form(choice): Form<Choice>) -> Response {
    let from = headers.get(header::REFERER).and_then(|from| from.to_str().ok());
    let path = from.and_then(|from| from.splitn(4, '/').nth(3)).filter(|path| !path.starts_with("_dev"));
    chosen(&choice, &path.map_or_else(|| "/kfam/ui/".to_owned(), |path| format!("/{path}")))
}

/// An empty name signs out.
fn chosen(choice: &Choice, next: &str) -> Response {
    let name = utf8_percent_encode(choice.name.trim(), NON_ALPHANUMERIC);
    let cookie = format!("{COOKIE}={name}; Path=/; HttpOnly; SameSite=Lax");
    match HeaderValue::try_from(cookie) {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Who the one who sends these headers wants to be.
fn user(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, name) = pairs.find(|(name, _)| *name == COOKIE)?;
    let name = percent_decode_str(name).decode_utf8().ok()?;
    (!name.is_empty()).then(|| name.into_owned())
}
