//! Google's IAM API for service accounts, and the metadata server, by the rules that matter here: a policy is written with the
//! etag that it was read with, or refused with ABORTED; one that is read in an older version lacks its conditions' bindings.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    extract::State as Shared,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{Fate, Weather};

/// The project that the metadata server names.
const PROJECT: &str = "the-pool";
const ROLE: &str = "roles/iam.workloadIdentityUser";

/// Google Cloud, until it is dropped.
pub struct Gcp {
    /// What happens to calls.
    pub weather: Weather,
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    weather: Weather,
    policies: Mutex<HashMap<String, Value>>,
}

impl Gcp {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("binding a port")?;
        let address = listener.local_addr()?;
        let weather = Weather::new();
        let state = Arc::new(State { weather: weather.clone(), policies: Mutex::default() });
        let app = Router::new().fallback(answer).with_state(state.clone());
        let server = tokio::spawn(async move {
            // Ends with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { weather, address, state, server })
    }

    /// Where it listens, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment in which a program finds its credentials here and nowhere else.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("GCE_METADATA_HOST", self.address.to_string()), ("HOME", "/nonexistent".to_owned())]
    }

    /// Creates a service account, with bindings in its policy.
    pub fn create(&self, email: &str, bindings: Value) {
        let policy = json!({ "version": 3, "bindings": bindings, "etag": etag(1) });
        self.state.policies.lock().insert(email.to_owned(), policy);
    }

    /// The bindings in the policy of a service account.
    pub fn bindings(&self, email: &str) -> Value {
        self.state.policies.lock().get(email).map(|policy| policy["bindings"].clone()).unwrap_or_default()
    }

    /// The members of the role for workload identity, in bindings without a condition.
    pub fn members(&self, email: &str) -> Vec<String> {
        let bindings = self.bindings(email);
        let ours = bindings.as_array().into_iter().flatten();
        let ours = ours.filter(|binding| binding["role"] == ROLE && binding["condition"].is_null());
        ours.flat_map(|binding| binding["members"].as_array().cloned().unwrap_or_default())
            .filter_map(|member| member.as_str().map(str::to_owned))
            .collect()
    }
}

impl Drop for Gcp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    Shared(state): Shared<Arc<State>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path();
    if let Some(path) = path.strip_prefix("/computeMetadata/v1") {
        return metadata(path, &headers);
    }
    if headers.get(header::AUTHORIZATION).is_none_or(|token| token != "Bearer the-token") {
        return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
    }
    let call = path.rsplit_once(':').and_then(|(resource, call)| {
        let (_, email) = resource.strip_prefix("/v1/projects/")?.split_once("/serviceAccounts/")?;
        Some((email.to_owned(), call.to_owned()))
    });
    let Some((email, call)) = call.filter(|_| method == Method::POST) else {
        return error(404, "NOT_FOUND", "Method not found.");
    };
    let fate = state.weather.meet(&call, &email).await;
    let refused = match fate {
        Some(Fate::Throttled) => Some((429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric.")),
        Some(Fate::Denied) => Some((
            403,
            "PERMISSION_DENIED",
            "Permission 'iam.serviceAccounts.setIamPolicy' denied on resource (or it may not exist).",
        )),
        Some(Fate::Unavailable) => Some((503, "UNAVAILABLE", "The service is currently unavailable.")),
        Some(Fate::Conflict) => Some((409, "ABORTED", "There were concurrent policy changes. Please retry.")),
        Some(Fate::TooLarge) => Some((400, "INVALID_ARGUMENT", "The policy is too large.")),
        Some(Fate::HangBefore | Fate::HangAfter) | None => None,
    };
    if let Some((code, status, message)) = refused {
        return error(code, status, message);
    }
    let query = uri.query().unwrap_or_default();
    let answer = state.carry_out(&call, &email, &serde_json::from_slice(&body).unwrap_or_default(), query);
    if fate == Some(Fate::HangAfter) {
        state.weather.hang_after(&call, &email).await;
    }
    answer
}

fn metadata(path: &str, headers: &HeaderMap) -> Response {
    if headers.get("metadata-flavor").is_none_or(|flavor| flavor != "Google") {
        return error(403, "PERMISSION_DENIED", "Missing Metadata-Flavor:Google header.");
    }
    let flavor = [("metadata-flavor", "Google")];
    match path {
        "/project/project-id" => (flavor, PROJECT).into_response(),
        "/instance/service-accounts/default/token" => {
            let token = json!({ "access_token": "the-token", "expires_in": 3600, "token_type": "Bearer" });
            (flavor, json_body(&token)).into_response()
        }
        "/universe/universe-domain" => (flavor, "googleapis.com").into_response(),
        _ => error(404, "NOT_FOUND", "no such metadata"),
    }
}

impl State {
    fn carry_out(&self, call: &str, email: &str, body: &Value, query: &str) -> Response {
        let mut policies = self.policies.lock();
        let Some(policy) = policies.get_mut(email) else {
            return error(404, "NOT_FOUND", &format!("Unknown service account: {email}"));
        };
        match call {
            "getIamPolicy" => {
                let in_body = &body["options"]["requestedPolicyVersion"];
                let is_3 = *in_body == 3 || query.contains("requestedPolicyVersion=3");
                json_body(&if is_3 { policy.clone() } else { without_conditions(policy) })
            }
            "setIamPolicy" => {
                let new = &body["policy"];
                if new["etag"] != policy["etag"] {
                    return error(409, "ABORTED", "There were concurrent policy changes. Please retry.");
                }
                let is_conditional = |policy: &Value| {
                    policy["bindings"].as_array().is_some_and(|bindings| {
                        bindings.iter().any(|binding| !binding["condition"].is_null())
                    })
                };
                if is_conditional(new) && new["version"] != 3 {
                    return error(400, "INVALID_ARGUMENT", "Conditions need policy version 3.");
                }
                let next = etag(serial(policy) + 1);
                let bindings = folded(new["bindings"].as_array().map(Vec::as_slice).unwrap_or_default());
                *policy = json!({ "version": 3, "bindings": bindings, "etag": next });
                json_body(policy)
            }
            _ => error(404, "NOT_FOUND", "Method not found."),
        }
    }
}

fn without_conditions(policy: &Value) -> Value {
    let mut policy = policy.clone();
    policy["version"] = json!(1);
    if let Some(bindings) = policy["bindings"].as_array_mut() {
        bindings.retain(|binding| binding["condition"].is_null());
    }
    policy
}

/// Of equal members of equal bindings the real one keeps one.
fn folded(bindings: &[Value]) -> Vec<Value> {
    let mut folded: Vec<Value> = Vec::new();
    for binding in bindings {
        let same = folded
            .iter()
            .position(|other| other["role"] == binding["role"] && other["condition"] == binding["condition"]);
        let members = binding["members"].as_array().cloned().unwrap_or_default();
        match same.and_then(|index| folded[index]["members"].as_array_mut()) {
            Some(known) => {
                for member in members {
                    if !known.contains(&member) {
                        known.push(member);
                    }
                }
            }
            None => folded.push(binding.clone()),
        }
    }
    folded
}

/// An etag is bytes, in base64: here of four digits, so that it needs no padding to be told.
fn etag(serial: u64) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..8).rev().map(|place| char::from(DIGITS[(serial >> (6 * place)) as usize & 63])).collect()
}

fn serial(policy: &Value) -> u64 {
    (1..).find(|serial| policy["etag"] == etag(*serial)).unwrap_or_default()
}

fn json_body(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// As Google words its errors.
fn error(code: u16, status: &str, message: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": message, "status": status } });
    let code = StatusCode::from_u16(code).unwrap_or_default();
    (code, json_body(&body)).into_response()
}
