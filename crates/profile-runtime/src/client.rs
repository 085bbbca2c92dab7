//! The client of the API server, which counts its requests.

use std::{
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use anyhow::Context as _;
use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use kube::{
    Client, Config,
    client::{ClientBuilder, retry::RetryPolicy},
};
use tower::{Layer, Service, buffer::BufferLayer, retry::RetryLayer};

use crate::metrics::ClientRequests;

/// The cluster of the current kubeconfig, or inside a pod its own.
///
/// # Errors
/// When there is neither; with where was looked.
pub async fn infer_cluster() -> anyhow::Result<Config> {
    Config::infer().await.with_context(|| {
        let kubeconfig = std::env::var("KUBECONFIG").unwrap_or_else(|_| "~/.kube/config".to_owned());
        format!(
            "no cluster to talk to: neither a kubeconfig that can be used ({kubeconfig}) nor a pod's service account"
        )
    })
}

/// How a request is tried again that the API server was too busy for (429, 503, 504), unless it says when: a few times within
/// seconds. What fails for longer is a failure that has to be seen.
const FIRST_DELAY: Duration = Duration::from_millis(20);
const LONGEST_DELAY: Duration = Duration::from_secs(1);
const RETRIES: u32 = 5;

/// How many requests may wait for the connection to take them; more wait for these.
const REQUESTS_WAITING: usize = 1024;

/// A client for the cluster that `config` names.
///
/// # Errors
/// When the configuration cannot be used, such as a certificate that does not parse.
pub fn counted(mut config: Config, requests: ClientRequests) -> anyhow::Result<Client> {
    // Its delays grow to a quarter of an hour.
    config.default_retry = false;
    let retry = RetryLayer::new(RetryPolicy::new(FIRST_DELAY, LONGEST_DELAY, RETRIES, true)?);
    let host = config.cluster_url.authority().map_or_else(String::new, ToString::to_string);
    let counting = Counting { requests, host: host.into() };
    // Trying again takes a service that can be cloned, which the buffer makes of it.
    let buffer = BufferLayer::new(REQUESTS_WAITING);
    Ok(ClientBuilder::try_from(config)?.with_layer(&counting).with_layer(&buffer).with_layer(&retry).build())
}

#[derive(Clone)]
struct Counting {
    requests: ClientRequests,
    host: Arc<str>,
}

impl<S> Layer<S> for Counting {
    type Service = CountingService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CountingService { inner, counting: self.clone() }
    }
}

#[derive(Clone)]
struct CountingService<S> {
    inner: S,
    counting: Counting,
}

impl<S, Body, Answer> Service<Request<Body>> for CountingService<S>
where
    S: Service<Request<Body>, Response = Response<Answer>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Counting { requests, host } = self.counting.clone();
        let method = request.method().clone();
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            let code = answer
                .as_ref()
                .map_or_else(|_| "<error>".to_owned(), |answer| answer.status().as_str().to_owned());
            requests.count(&code, method.as_str(), &host);
            answer
        }
        .boxed()
    }
}
