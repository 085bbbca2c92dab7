//! The REST API: from HTTP to the use cases and back.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        FromRequestParts, Path, Query, State,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
    http::request::Parts,
    response::Response,
    routing::{delete, get, post},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    error::{ApiError, ErrorBody},
    identity::{Caller, identify},
    listing,
    service::BindingQuery,
    sharing::Shared,
    wire::{WireBinding, WireBindings, WireProfile},
};

/// The calls of the contract.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/kfam/", get(live))
        .route("/kfam/v1/profiles", post(create_profile))
        .route("/kfam/v1/profiles/{profile}", delete(delete_profile))
        .route("/kfam/v1/bindings", get(read_bindings).post(create_binding).delete(delete_binding))
        .route("/kfam/v1/role/clusteradmin", get(is_cluster_admin))
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        Ok(identify(&parts.headers, app.identity())?)
    }
}

/// What came of a change.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// What to know about it, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub notice: Option<String>,
}

/// Which bindings are meant; what is left out or empty matches everything.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BindingParams {
    /// Name of the subject.
    #[param(nullable = false)]
    user: Option<String>,
    /// Name of the Profile.
    #[param(nullable = false)]
    namespace: Option<String>,
    /// `admin`, `edit` or `view`.
    #[param(nullable = false)]
    role: Option<String>,
}

/// Which user is meant; without a name it is the caller.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserParams {
    /// Name of the user.
    #[param(nullable = false)]
    user: Option<String>,
}

/// Tells that the service is there.
#[utoipa::path(get, path = "/kfam/", responses((status = 200, description = "It is.", body = String, content_type = "text/plain")))]
async fn live() -> &'static str {
    "Kubeflow access management is here.\n"
}

/// Creates a Profile: users for themselves; the dashboard for its users; cluster admins for anyone.
#[utoipa::path(post, path = "/kfam/v1/profiles", request_body = WireProfile, responses(
    (status = 200, description = "Created; its namespace follows.", body = Outcome),
    (status = 400, description = "The body is not a Profile.", body = ErrorBody),
    (status = 401, description = "It is not clear who asks.", body = ErrorBody),
    (status = 403, description = "Not allowed.", body = ErrorBody),
    (status = 409, description = "The name is taken.", body = ErrorBody),
    (status = 413, description = "The body is too large.", body = ErrorBody),
    (status = 422, description = "A field is wrong, or the name is reserved.", body = ErrorBody),
    (status = 503, description = "Try again.", body = ErrorBody),
))]
async fn create_profile(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Outcome>, ApiError> {
    let profile: WireProfile = read(body, "a Profile")?;
    app.service().create_profile(&caller, profile).await?;
    Ok(Json(Outcome::default()))
}

/// Deletes a Profile and its namespace: its owner, or a cluster admin.
#[utoipa::path(delete, path = "/kfam/v1/profiles/{profile}",
    params(("profile" = String, Path, description = "Name of the Profile")), responses(
    (status = 200, description = "Deleted; its namespace follows.", body = Outcome),
    (status = 400, description = "The path cannot be read.", body = ErrorBody),
    (status = 401, description = "It is not clear who asks.", body = ErrorBody),
    (status = 403, description = "Not allowed.", body = ErrorBody),
    (status = 404, description = "There is none.", body = ErrorBody),
    (status = 409, description = "It has changed; look again.", body = ErrorBody),
    (status = 503, description = "Try again.", body = ErrorBody),
))]
async fn delete_profile(
    State(app): State<Arc<App>>,
    caller: Caller,
    profile: Result<Path<String>, PathRejection>,
) -> Result<Json<Outcome>, ApiError> {
    let Path(profile) = profile.map_err(|error| ApiError::malformed(error.body_text()))?;
    app.service().delete_profile(&caller, &profile).await?;
    Ok(Json(Outcome::default()))
}

/// Lists bindings: the dashboard and cluster admins see all; users see their own and those of namespaces where they have the
/// role `admin`.
#[utoipa::path(get, path = "/kfam/v1/bindings", params(BindingParams), responses(
    (status = 200, description = "Those that match.", body = WireBindings),
    (status = 400, description = "The query cannot be read.", body = ErrorBody),
    (status = 401, description = "It is not clear who asks.", body = ErrorBody),
    (status = 403, description = "Not allowed.", body = ErrorBody),
    (status = 503, description = "Try again.", body = ErrorBody),
))]
async fn read_bindings(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Result<Query<BindingParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(BindingParams { user, namespace, role }) = params.map_err(bad_query)?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let query = BindingQuery { user: given(user), namespace: given(namespace), role: given(role) };
    Ok(listing::answer(app.service().bindings(&caller, &query)?))
}

/// Shares a namespace: whoever has the role `admin` in it, or a cluster admin.
#[utoipa::path(post, path = "/kfam/v1/bindings", request_body = WireBinding, responses(
    (status = 200, description = "Shared.", body = Outcome),
    (status = 400, description = "The body is not a binding.", body = ErrorBody),
    (status = 401, description = "It is not clear who asks.", body = ErrorBody),
    (status = 403, description = "Not allowed.", body = ErrorBody),
    (status = 404, description = "There is no such Profile.", body = ErrorBody),
    (status = 409, description = "There already, or the namespace is not ready.", body = ErrorBody),
    (status = 413, description = "The body is too large.", body = ErrorBody),
    (status = 422, description = "A field is wrong.", body = ErrorBody),
    (status = 503, description = "Try again.", body = ErrorBody),
))]
async fn create_binding(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Outcome>, ApiError> {
    let binding: WireBinding = read(body, "a binding")?;
    let shared = app.service().add_binding(&caller, binding).await?;
    Ok(Json(Outcome { notice: notice(shared).map(str::to_owned) }))
}

/// Stops sharing a namespace: whoever has the role `admin` in it, or a cluster admin.
#[utoipa::path(delete, path = "/kfam/v1/bindings", request_body = WireBinding, responses(
    (status = 200, description = "Not shared any more.", body = Outcome),
    (status = 400, description = "The body is not a binding.", body = ErrorBody),
    (status = 401, description = "It is not clear who asks.", body = ErrorBody),
    (status = 403, description = "Not allowed.", body = ErrorBody),
    (status = 404, description = "There is no such binding.", body = ErrorBody),
    (status = 409, description = "It is the owner's, or others share it.", body = ErrorBody),
    (status = 413, description = "The body is too large.", body = ErrorBody),
    (status = 422, description = "A field is wrong.", body = ErrorBody),
    (status = 503, description = "Try again.", body = ErrorBody),
))]
async fn delete_binding(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Outcome>, ApiError> {
    let binding: WireBinding = read(body, "a binding")?;
    app.service().remove_binding(&caller, binding).await?;
    Ok(Json(Outcome::default()))
}

/// Tells whether a user is a cluster admin: the dashboard and cluster admins may ask about anyone, users about themselves.
#[utoipa::path(get, path = "/kfam/v1/role/clusteradmin", params(UserParams), responses(
    (status = 200, description = "Whether they are.", body = bool, content_type = "application/json"),
    (status = 400, description = "Nobody is named.", body = ErrorBody),
    (status = 401, description = "It is not clear who asks.", body = ErrorBody),
    (status = 403, description = "Not allowed.", body = ErrorBody),
    (status = 503, description = "Try again.", body = ErrorBody),
))]
async fn is_cluster_admin(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Result<Query<UserParams>, QueryRejection>,
) -> Result<Json<bool>, ApiError> {
    let Query(UserParams { user }) = params.map_err(bad_query)?;
    app.service().ask_cluster_admin(&caller, user.as_deref()).map(Json)
}

/// What to tell whoever shared a namespace.
pub(crate) fn notice(shared: Shared) -> Option<&'static str> {
    match shared {
        Shared::Whole => None,
        Shared::WithoutBrowser => Some(
            "the members of this group get in by kubectl but not through the browser: the platform does not say which claim lists a user's groups (flag --groups-claim)",
        ),
        Shared::WithoutMesh => Some(
            "there is access through RBAC alone: this cluster has no AuthorizationPolicy, which Istio brings",
        ),
    }
}

/// The body as JSON, whatever its content type says, as the reference reads it.
fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>, what: &str) -> Result<T, ApiError> {
    let body = body.map_err(|rejection| match rejection.status() {
        status @ http::StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(status, "TooLarge", format!("{what} does not take so many bytes"))
        }
        _ => ApiError::malformed(format!("cannot read the body: {}", rejection.body_text())),
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| ApiError::malformed(format!("the body is not {what}: {error}")))
}

fn bad_query(rejection: QueryRejection) -> ApiError {
    ApiError::malformed(rejection.body_text())
}

/// The description of the API.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Kubeflow access management",
        description = "Users register and share their namespace without an admin."
    ),
    paths(
        live,
        create_profile,
        delete_profile,
        read_bindings,
        create_binding,
        delete_binding,
        is_cluster_admin
    ),
    components(schemas(crate::wire::WireProfileSpec))
)]
pub(crate) struct Description;
