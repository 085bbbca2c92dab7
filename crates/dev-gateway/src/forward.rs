//! Passes requests on, with what the mesh and the identity proxy say about them; what the browser says about that itself is dropped.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{Shared, bar, user};

const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

pub(crate) type Client = legacy::Client<HttpConnector, Body>;

pub(crate) fn client() -> Client {
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match try_forward(&shared, request).await {
        Ok(response) => response,
        Err(error) => {
            let upstream = &shared.settings.upstream;
            let text = format!("the development gateway cannot reach {upstream}: {error}\n");
            (StatusCode::BAD_GATEWAY, text).into_response()
        }
    }
}

async fn try_forward(
    shared: &Shared,
    mut request: Request,
) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
    let settings = &shared.settings;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::try_from(format!("http://{}{path}", settings.upstream))?;
    let user = user(request.headers());
    let userid: HeaderName = settings.userid_header.parse()?;
    let headers = request.headers_mut();
    headers.remove(&userid);
    headers.remove(header::CONNECTION);
    if let Some(user) = &user {
        headers.insert(userid, HeaderValue::from_bytes(user.as_bytes())?);
    }
    let certificate = format!("By=spiffe://upstream;Hash=0;Subject=\"\";URI=spiffe://{}", settings.principal);
    headers.insert(CLIENT_CERT, HeaderValue::try_from(certificate)?);
    let response = shared.client.request(request).await?.map(Body::new);
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|it| it.as_bytes().starts_with(b"text/html"));
    if !(settings.corner && is_page) {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let page = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
    let page = page.replacen("</body>", &format!("{}</body>", bar::corner(settings, user.as_deref())), 1);
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(page)))
}
