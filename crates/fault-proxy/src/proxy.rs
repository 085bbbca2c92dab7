//! The proxy: hands requests on to the API server, or does to them what was decided.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
use futures::{SinkExt, StreamExt, channel::mpsc};
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::sleep};

use crate::{Fate, Faults, fate::Oracle};

/// How long a watch lives that is to be cut.
const CUT_AFTER: Duration = Duration::from_millis(150);

type Answer = Response<UnsyncBoxBody<Bytes, anyhow::Error>>;

/// A proxy that serves until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    /// To the API server, as whom the controller is to be.
    upstream: Client,
    oracle: Mutex<Oracle>,
    passed_since_heal: AtomicUsize,
    healed: watch::Sender<bool>,
}

impl Proxy {
    /// Starts a proxy on a free port of this machine. Whoever calls it is to the API server who `upstream` is.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(upstream: Client, faults: Faults) -> anyhow::Result<Self> {
        Self::serve(upstream, Oracle::new(faults)).await
    }

    /// The same, with a script that decides what happens to a request, given as `<method> <path>`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn scripted(
        upstream: Client,
        script: impl FnMut(&str) -> Fate + Send + 'static,
    ) -> anyhow::Result<Self> {
        Self::serve(upstream, Oracle::scripted(script)).await
    }

    async fn serve(upstream: Client, oracle: Oracle) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("binding a port")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            upstream,
            oracle: Mutex::new(oracle),
            passed_since_heal: AtomicUsize::new(0),
            healed: watch::Sender::new(false),
        });
        let server = tokio::spawn(serve(listener, state.clone()));
        Ok(Self { address, state, server })
    }

    /// Where it listens, for a kubeconfig.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the faults: from now on everything passes, and watches that were under a fault are cut.
    pub fn heal(&self) {
        self.state.oracle().heal();
        self.state.healed.send_replace(true);
    }

    /// How many requests went wrong so far for a seed.
    pub fn faults(&self, seed: u64) -> usize {
        self.state.oracle().spent(seed)
    }

    /// How many requests were handed on since [`heal`](Self::heal).
    pub fn requests_since_heal(&self) -> usize {
        self.state.passed_since_heal.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(request, state.clone()));
            // An error is a connection that ended, which is what was decided.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// An error closes the connection without an answer.
async fn answer(request: Request<Incoming>, state: Arc<State>) -> anyhow::Result<Answer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let is_watch = head.uri.query().is_some_and(|query| query.contains("watch=true"));
    let is_write = head.method != Method::GET;
    let what = format!("{} {}{}", head.method, head.uri.path(), if is_watch { " watch" } else { "" });
    let fate = state.oracle().decide(&what, &subject(head.uri.path(), &body), is_write, is_watch);
    match fate {
        Fate::Refused => return Ok(status(503, "ServiceUnavailable", "refused by the fault proxy")),
        Fate::Conflict => {
            return Ok(status(409, "Conflict", "the object has been modified; refused by the fault proxy"));
        }
        Fate::Throttled => return Ok(status(429, "TooManyRequests", "throttled by the fault proxy")),
        Fate::Expired => {
            return Ok(status(410, "Expired", "too old resource version; refused by the fault proxy"));
        }
        Fate::Lost => return Err(anyhow!("lost")),
        Fate::Pass | Fate::AnswerLost | Fate::Garbled | Fate::Cut | Fate::Late(_) => {}
    }
    if *state.healed.borrow() {
        state.passed_since_heal.fetch_add(1, Ordering::Relaxed);
    }
    let passed = pass(head, body, &state.upstream).await?;
    match fate {
        Fate::AnswerLost => {
            passed.into_body().collect().await?;
            Err(anyhow!("answer lost"))
        }
        Fate::Garbled => {
            let (head, body) = passed.into_parts();
            body.collect().await?;
            Ok(Response::from_parts(head, full("<html>this is not the API server</html>")))
        }
        Fate::Cut => {
            Ok(passed.map(|body| troubled(body, Duration::ZERO, Some(CUT_AFTER), state.healed.subscribe())))
        }
        Fate::Late(delay) => Ok(passed.map(|body| troubled(body, delay, None, state.healed.subscribe()))),
        _ => Ok(passed.map(|body| body.map_err(anyhow::Error::from).boxed_unsync())),
    }
}

/// The name of the namespace or of the cluster-scoped object that a request is about; empty for a list of all.
fn subject(path: &str, body: &[u8]) -> String {
    let mut segments = path.split('/').skip_while(|segment| !matches!(*segment, "namespaces" | "profiles"));
    let named = segments.nth(1).unwrap_or_default();
    // An Event is kept in namespace default, about what it regards; a new object is named by its body only.
    if !named.is_empty() && named != "default" {
        return named.to_owned();
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let name =
        ["/regarding/name", "/metadata/name"].iter().find_map(|pointer| body.pointer(pointer)?.as_str());
    name.unwrap_or_default().to_owned()
}

async fn pass(head: Parts, body: Bytes, upstream: &Client) -> anyhow::Result<Response<Body>> {
    let mut builder = Request::builder().method(head.method).uri(head.uri);
    for name in [header::CONTENT_TYPE, header::ACCEPT] {
        if let Some(value) = head.headers.get(&name) {
            builder = builder.header(name, value);
        }
    }
    let mut answer = upstream.send(builder.body(Body::from(body.to_vec()))?).await?;
    // The length is that of what is sent here.
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        answer.headers_mut().remove(name);
    }
    Ok(answer)
}

/// A watch whose events come late, or that ends after a while; at the latest when the faults end.
fn troubled(
    body: Body,
    delay: Duration,
    cut_after: Option<Duration>,
    mut healed: watch::Receiver<bool>,
) -> UnsyncBoxBody<Bytes, anyhow::Error> {
    let (mut sender, receiver) = mpsc::channel::<Bytes>(16);
    tokio::spawn(async move {
        let mut body = std::pin::pin!(body);
        let end = async {
            match cut_after {
                Some(after) => sleep(after).await,
                None => std::future::pending().await,
            }
        };
        let forward = async {
            while let Some(Ok(frame)) = body.frame().await {
                sleep(delay).await;
                if let Ok(data) = frame.into_data()
                    && sender.send(data).await.is_err()
                {
                    return;
                }
            }
        };
        tokio::select! {
            () = forward => {}
            () = end => {}
            _ = healed.wait_for(|healed| *healed) => {}
        }
    });
    StreamBody::new(receiver.map(|data| Ok(Frame::data(data)))).boxed_unsync()
}

/// An answer in the API server's own words.
fn status(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message,
        "details": { "retryAfterSeconds": u8::from(code == 429) },
    });
    let mut answer = Response::new(full(status.to_string()));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    if code == 429 {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

fn full(text: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, anyhow::Error> {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}
