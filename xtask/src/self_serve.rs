//! Access management of `cargo xtask dev`, and the gateway in front of it.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use dev_cluster::{Cluster, Process};
use dev_gateway::{Gateway, Settings};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// A user who may do everything.
const ADMIN: &str = "admin@example.com";
const GATEWAY: &str = "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account";
/// Where the gateway is, if the port is free.
const PORT: u16 = 8082;
const DEADLINE: Duration = Duration::from_secs(60);

/// Access management at work.
pub(crate) struct SelfServe {
    gateway: Gateway,
    _process: Process,
}

impl SelfServe {
    /// Starts it in a control plane under a kubeconfig.
    ///
    /// # Errors
    /// When it does not listen within a minute, with its log.
    pub(crate) async fn start(
        cluster: &Cluster,
        binary: &Path,
        kubeconfig: &Path,
        users: &[String],
    ) -> anyhow::Result<Self> {
        let log = cluster.folder().join("kfam.log");
        let mut command = Command::new(binary);
        command.args(["--userid-header=kubeflow-userid", "--userid-prefix=", "--bind-address=127.0.0.1:0"]);
        command.args(["--cluster-admin", ADMIN, "--log-format=json"]).env("KUBECONFIG", kubeconfig);
        let process = cluster.run(&command, &log)?;
        let settings = Settings {
            upstream: address(&log).await?,
            userid_header: "kubeflow-userid".to_owned(),
            principal: GATEWAY.to_owned(),
            users: [users, &[ADMIN.to_owned()]].concat(),
            corner: true,
        };
        // The same address each time, so that a page can stay open; another one while somebody else has it.
        let gateway = match Gateway::start(settings.clone(), PORT).await {
            Ok(gateway) => gateway,
            Err(_) => Gateway::start(settings, 0).await?,
        };
        Ok(Self { gateway, _process: process })
    }

    /// Where to look.
    pub(crate) fn url(&self) -> String {
        format!("{}/_dev/", self.gateway.url())
    }

    /// Asserts that a user sees a namespace of theirs.
    ///
    /// # Errors
    /// When they do not within a minute.
    pub(crate) async fn check(&self, user: &str, namespace: &str) -> anyhow::Result<()> {
        let client: Client<HttpConnector, Empty<&[u8]>> = Client::builder(TokioExecutor::new()).build_http();
        let user = user.replace('@', "%40");
        let end = Instant::now() + DEADLINE;
        loop {
            let request = http::Request::get(format!("{}/kfam/ui/", self.gateway.url()))
                .header(http::header::COOKIE, format!("dev-user={user}"))
                .body(Empty::new())?;
            let answer = client.request(request).await.context("asking for the page of access management")?;
            let status = answer.status();
            let page = answer.into_body().collect().await?.to_bytes();
            if status == 200 && String::from_utf8_lossy(&page).contains(namespace) {
                return Ok(());
            }
            ensure!(
                Instant::now() < end,
                "the page of access management answers {status} and does not show {namespace} to {user}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The address that it says it serves on.
async fn address(log: &Path) -> anyhow::Result<String> {
    let end = Instant::now() + DEADLINE;
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut messages = messages.filter_map(|line| Some(line["message"].as_str()?.to_owned()));
        if let Some(message) = messages.find(|message| message.starts_with("serving access management on ")) {
            return Ok(message.rsplit(' ').next().unwrap_or_default().to_owned());
        }
        if Instant::now() > end {
            bail!("access management does not listen; its log:\n{text}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
