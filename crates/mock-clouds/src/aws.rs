//! AWS IAM: moto, behind a front that brings the weather, and shows old trust policies for a while as the real one does.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use axum::{
    Router,
    body::Bytes,
    extract::State as Shared,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{Fate, Weather, moto::Moto};

/// The account that the roles are in.
pub const ACCOUNT: &str = "123456789012";
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=mock/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=mock";
/// How long moto may take to start.
const START: Duration = Duration::from_secs(60);

/// AWS, until it is dropped.
pub struct Aws {
    /// What happens to calls.
    pub weather: Weather,
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    weather: Weather,
    moto: Moto,
    lag: Mutex<Duration>,
    /// Until when a role is shown as it was, and how that was.
    stale: Mutex<HashMap<String, (Instant, Answer)>>,
}

type Answer = (u16, String);

impl Aws {
    /// Starts it on a free port; the first time, moto is installed.
    ///
    /// # Errors
    /// It cannot be installed or does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let moto = tokio::task::spawn_blocking(Moto::start).await??;
        let weather = Weather::new();
        let (lag, stale) = (Mutex::default(), Mutex::default());
        let state = Arc::new(State { weather: weather.clone(), moto, lag, stale });
        let begin = Instant::now();
        while state.ask("Action=ListRoles&Version=2010-05-08").await.is_err() {
            ensure!(begin.elapsed() < START, "moto does not answer after {START:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("binding a port")?;
        let address = listener.local_addr()?;
        let app = Router::new().fallback(answer).with_state(state.clone());
        let server = tokio::spawn(async move {
            // Ends with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { weather, address, state, server })
    }

    /// The environment in which a program finds this AWS and credentials for it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL_IAM", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", "mock".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "mock".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// Shows a role as it was for so long after each change.
    pub fn lag(&self, lag: Duration) {
        *self.state.lag.lock() = lag;
    }

    /// Creates a role; its ARN.
    ///
    /// # Errors
    /// moto refuses it.
    pub async fn create_role(&self, path: &str, name: &str, trust: &Value) -> anyhow::Result<String> {
        let form = [
            ("Action", "CreateRole"),
            ("RoleName", name),
            ("Path", path),
            ("AssumeRolePolicyDocument", &trust.to_string()),
        ]
        .map(|(key, value)| format!("{key}={}", encoded(value)))
        .join("&");
        let (status, body) = self.state.ask(&format!("{form}&Version=2010-05-08")).await?;
        ensure!(status == 200, "moto refuses the role: {body}");
        Ok(format!("arn:aws:iam::{ACCOUNT}:role{path}{name}"))
    }

    /// The trust policy of a role, as it is in truth.
    ///
    /// # Errors
    /// There is no such role.
    pub async fn trust_policy(&self, name: &str) -> anyhow::Result<Value> {
        let (status, body) =
            self.state.ask(&format!("Action=GetRole&Version=2010-05-08&RoleName={name}")).await?;
        ensure!(status == 200, "{body}");
        let document = body
            .split_once("<AssumeRolePolicyDocument>")
            .and_then(|(_, rest)| Some(rest.split_once("</AssumeRolePolicyDocument>")?.0));
        let document = document.context("no policy in the answer")?;
        Ok(serde_json::from_str(&decoded(document))?)
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    /// Asks moto.
    async fn ask(&self, form: &str) -> anyhow::Result<Answer> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.moto.port)).await?;
        let request = format!(
            "POST / HTTP/1.0\r\nHost: iam.amazonaws.com\r\nAuthorization: {AUTHORIZATION}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
        Ok((status, body.to_owned()))
    }

    async fn carry_out(&self, action: &str, role: &str, form: &str) -> anyhow::Result<Answer> {
        match action {
            "GetRole" => {
                let stale = self.stale.lock().get(role).cloned();
                match stale.filter(|(until, _)| Instant::now() < *until) {
                    Some((_, answer)) => Ok(answer),
                    None => self.ask(form).await,
                }
            }
            "UpdateAssumeRolePolicy" => {
                let lag = *self.lag.lock();
                if !lag.is_zero() {
                    let is = self.ask(&format!("Action=GetRole&Version=2010-05-08&RoleName={role}")).await?;
                    let mut stale = self.stale.lock();
                    let until = Instant::now() + lag;
                    match stale.get_mut(role).filter(|(until, _)| Instant::now() < *until) {
                        Some(known) => known.0 = until,
                        None => {
                            stale.insert(role.to_owned(), (until, is));
                        }
                    }
                }
                self.ask(form).await
            }
            _ => self.ask(form).await,
        }
    }
}

async fn answer(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = String::from_utf8_lossy(&body).into_owned();
    let field = |name: &str| {
        let fields = form.split('&').filter_map(|field| field.split_once('='));
        fields.filter(|(key, _)| *key == name).map(|(_, value)| decoded(value)).next().unwrap_or_default()
    };
    let (action, role) = (field("Action"), field("RoleName"));
    if !headers.contains_key(header::AUTHORIZATION) {
        return error(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
    }
    let fate = state.weather.meet(&action, &role).await;
    let refused = match fate {
        Some(Fate::Throttled) => Some((400, "Throttling", "Rate exceeded")),
        Some(Fate::Denied) => {
            Some((403, "AccessDenied", "User: mock is not authorized to perform this action"))
        }
        Some(Fate::Unavailable) => Some((503, "ServiceUnavailable", "The service is unavailable.")),
        Some(Fate::Conflict) => {
            Some((409, "ConcurrentModification", "Multiple requests to change this object were submitted."))
        }
        Some(Fate::TooLarge) => Some((409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048")),
        Some(Fate::HangBefore | Fate::HangAfter) | None => None,
    };
    if let Some((status, code, message)) = refused {
        return error(status, code, message);
    }
    let answer = state.carry_out(&action, &role, &form).await;
    if fate == Some(Fate::HangAfter) {
        state.weather.hang_after(&action, &role).await;
    }
    match answer {
        Ok((status, body)) => xml(status, body),
        Err(problem) => error(500, "ServiceFailure", &format!("moto: {problem:#}")),
    }
}

/// As IAM words its errors.
fn error(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>mock</RequestId></ErrorResponse>"
    );
    xml(status, body)
}

fn xml(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "text/xml")], body).into_response()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
