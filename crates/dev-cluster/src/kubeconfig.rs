//! Makes kubeconfigs that stand on their own: keys, certificates and tokens are inside, so a file
//! can be handed to any other process of this machine.

use std::fs;
use std::path::Path;

use anyhow::Context;
use k8s_openapi::ByteString;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::certs::Pair;

/// Where the API server is and how to recognize it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) server: String,
    pub(crate) authority: String,
}

/// How a user proves who it is, as the `user` entry of a kubeconfig.
#[derive(Clone)]
pub(crate) struct Credentials(Value);

impl Credentials {
    pub(crate) fn certificate(pair: &Pair) -> Self {
        Credentials(json!({
            "client-certificate-data": base64(&pair.public),
            "client-key-data": base64(&pair.private),
        }))
    }

    pub(crate) fn token(token: &str) -> Self {
        Credentials(json!({ "token": token }))
    }

    /// The same proof, acting as another user in exactly these groups (and those every
    /// authenticated user is in).
    pub(crate) fn acting_as(&self, user: &str, groups: &[&str]) -> Self {
        let mut entry = self.0.clone();
        entry["as"] = json!(user);
        entry["as-groups"] = json!(groups);
        Credentials(entry)
    }
}

impl Endpoint {
    pub(crate) async fn config(&self, credentials: &Credentials) -> anyhow::Result<Config> {
        let kubeconfig: Kubeconfig = serde_json::from_value(self.kubeconfig(credentials))?;
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .context("reading a kubeconfig of the cluster")
    }

    pub(crate) fn write(&self, credentials: &Credentials, file: &Path) -> anyhow::Result<()> {
        let yaml = serde_saphyr::to_string(&self.kubeconfig(credentials))?;
        fs::write(file, yaml).with_context(|| format!("writing {}", file.display()))
    }

    fn kubeconfig(&self, credentials: &Credentials) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "dev-cluster", "cluster": {
                "server": self.server,
                "certificate-authority-data": base64(&self.authority),
            }}],
            "users": [{"name": "user", "user": credentials.0}],
            "contexts": [{"name": "dev-cluster", "context": {"cluster": "dev-cluster", "user": "user"}}],
            "current-context": "dev-cluster",
        })
    }
}

/// As Kubernetes writes bytes.
fn base64(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}
