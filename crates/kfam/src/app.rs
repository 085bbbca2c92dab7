//! The whole HTTP service: the API, what operators look at, and what protects them. Pages are mounted beside the API: they have
//! the same state, and call the same [`Service`].

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use profile_runtime::server::metrics_answer;
use tokio::sync::Semaphore;
use tower_http::{catch_panic::CatchPanicLayer, csrf::CsrfLayer};
use tracing::error;
use utoipa::OpenApi;

use crate::{
    api,
    error::{ApiError, Failure},
    identity::IdentityConfig,
    metrics::Metrics,
    pages,
    service::Service,
};

/// The most bytes that a body may have; a Profile with all its limits has far fewer.
const BODY_LIMIT: usize = 64 * 1024;
/// How long a request may take as a whole.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// How many requests are worked on at a time.
const MAX_REQUESTS: usize = 1024;
/// How many of them may be changes, each of which waits for the API server.
const MAX_CHANGES: usize = 512;

/// What every request shares.
pub struct App {
    service: Service,
    identity: IdentityConfig,
    metrics: Arc<Metrics>,
    requests: Semaphore,
    changes: Semaphore,
}

impl App {
    /// Puts the parts together.
    pub fn new(service: Service, identity: IdentityConfig, metrics: Arc<Metrics>) -> Self {
        Self {
            service,
            identity,
            metrics,
            requests: Semaphore::new(MAX_REQUESTS),
            changes: Semaphore::new(MAX_CHANGES),
        }
    }

    /// The use cases.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Whose word counts.
    pub fn identity(&self) -> &IdentityConfig {
        &self.identity
    }
}

/// Everything that is served.
pub fn router(app: Arc<App>) -> Router {
    // Work is bounded; what tells how the service is, is not, so that it can be asked when there is too much work.
    let work = api::router()
        .merge(pages::router())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), bounded))
        .layer(CsrfLayer::new().with_rejection_response(|_| cross_site()));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/kfam/openapi.json", get(|| async { Json(api::Description::openapi()) }))
        .merge(work)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), pages::for_people))
        .layer(middleware::from_fn_with_state(app.clone(), measured))
        .with_state(app)
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.service.index().is_filled() {
        return "index: filled\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "index: being filled\n").into_response()
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    metrics_answer(app.metrics.encode(app.service.index()))
}

async fn unknown() -> ApiError {
    ApiError::not_found("there is nothing at this path: see /kfam/openapi.json")
}

async fn wrong_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "this path does not take this method: see /kfam/openapi.json",
    )
}

/// Refuses what is too much at once, and ends what takes too long.
async fn bounded(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let busy = || {
        ApiError::unavailable("Busy", "too many requests at a time: try again in a moment").into_response()
    };
    let Ok(_request) = app.requests.try_acquire() else {
        return busy();
    };
    let _change = if matches!(*request.method(), Method::GET | Method::HEAD) {
        None
    } else {
        match app.changes.try_acquire() {
            Ok(permit) => Some(permit),
            Err(_) => return busy(),
        }
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = "the request took too long and may have taken effect: look, and try again";
            ApiError::unavailable("TimedOut", message).into_response()
        }
    }
}

async fn measured(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = method_label(request.method());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let path = path.as_ref().map_or("", MatchedPath::as_str);
    let failure = response.extensions().get::<Failure>().copied();
    app.metrics.answered(method, path, response.status().as_u16(), begin.elapsed(), failure);
    response
}

/// A method is whatever the client says: only those that mean something become a series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

pub(crate) fn cross_site() -> Response {
    let message = "a page of another site sent this request, which it may not: use the dashboard";
    ApiError::new(StatusCode::FORBIDDEN, "CrossSite", message).into_response()
}

#[allow(clippy::needless_pass_by_value, reason = "the signature is given")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    error!("a handler panicked: {text}");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", "a mistake in kfam: report it, with its log")
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::body::Body;
    use http_body_util::BodyExt;
    use profile_render::{Owner, PlatformConfig, contributor::Role};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tower::ServiceExt;

    use super::*;
    use crate::{
        identity::CLIENT_CERT_HEADER,
        index::{Index, NewBinding, NewProfile},
        service::ServiceConfig,
    };

    /// A service that knows of one Profile, `team` of `jane`, and asks an API server at an address.
    fn app(api_server: SocketAddr) -> Arc<App> {
        let index = Index::default();
        index.begin_profiles();
        index.begin_bindings();
        let jane = || Owner::User("jane".to_owned());
        index.insert_profile(NewProfile {
            name: "team".to_owned(),
            uid: "u".to_owned(),
            owner: Some(jane()),
            ready: Some(true),
            reason: String::new(),
            message: String::new(),
            terminating: false,
            resource_version: 1.into(),
        });
        index.insert_binding(NewBinding {
            namespace: "team".to_owned(),
            name: "namespaceAdmin".to_owned(),
            subject: jane(),
            role: Role::Admin,
            managed: true,
            resource_version: 1.into(),
        });
        index.end_profiles();
        index.end_bindings();
        let url = format!("http://{api_server}").parse().unwrap();
        let client = kube::Client::try_from(kube::Config::new(url)).unwrap();
        let platform = PlatformConfig::default();
        let config =
            ServiceConfig { platform, cluster_admins: Default::default(), max_profiles_per_user: None };
        let identity = IdentityConfig {
            userid_header: "userid".to_owned(),
            userid_prefix: String::new(),
            trusted: vec!["gateway".to_owned()],
            dashboards: Vec::new(),
            trust_all: false,
        };
        let service = Service::new(config, Arc::new(index), client);
        Arc::new(App::new(service, identity, Arc::new(Metrics::new().unwrap())))
    }

    async fn call(router: &Router, method: Method, user: &str) -> (StatusCode, Value) {
        let body = json!({
            "user": { "kind": "User", "name": user },
            "referredNamespace": "team",
            "RoleRef": { "kind": "ClusterRole", "name": "view" },
        });
        let request = Request::builder()
            .method(method)
            .uri("/kfam/v1/bindings")
            .header(CLIENT_CERT_HEADER, "URI=spiffe://gateway")
            .header("userid", "jane")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Time stands still unless everybody waits, so that this takes none.
    #[tokio::test(start_paused = true)]
    async fn when_the_api_server_hangs_changes_are_shed_and_reads_go_on() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let router = router(app(silent.local_addr().unwrap()));
        let changes = futures::future::join_all((0..MAX_CHANGES + 10).map(|number| {
            let router = router.clone();
            async move { call(&router, Method::POST, &format!("u{number}")).await }
        }));
        let (changes, read) = tokio::join!(changes, call(&router, Method::GET, "jane"));
        assert_eq!(read.0, StatusCode::OK);
        let errors = |word: &str| changes.iter().filter(|(_, body)| body["error"] == word).count();
        assert!(changes.iter().all(|(status, _)| *status == StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!((errors("Busy"), errors("ApiServerUnavailable")), (10, MAX_CHANGES));
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_an_error_as_any_other() {
        let router = Router::new()
            .route(
                "/",
                get(|| async {
                    if true {
                        panic!("on purpose")
                    }
                }),
            )
            .layer(CatchPanicLayer::custom(panicked));
        let response =
            router.oneshot(Request::builder().uri("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"], "Internal");
    }
}
