//! The plugins of this controller, and their settings.

use std::sync::Arc;

use async_trait::async_trait;
use clap::Args;
use kube::Client;
use plugin_eks_irsa::{EksIrsa, Issuer, IssuerSource};
use plugin_gke_workload_identity::{GkeWorkloadIdentity, ServiceAccountEmail};
use profile_plugin::{Cause, Plugin as _, PluginError, Registry};
use serde_json::json;

use crate::request::bounded;

/// An annotation by which a cloud gives an identity to the pods of a ServiceAccount.
pub(crate) struct CloudAnnotation {
    pub(crate) key: &'static str,
    /// Kind of the plugin that sets it.
    pub(crate) plugin: &'static str,
    /// What its value names.
    pub(crate) identity: &'static str,
}

/// The annotations that the plugins set, which the Go controller sets too.
pub(crate) const CLOUD_ANNOTATIONS: [CloudAnnotation; 2] = [
    CloudAnnotation {
        key: plugin_gke_workload_identity::SERVICE_ACCOUNT_ANNOTATION,
        plugin: GkeWorkloadIdentity::KIND,
        identity: "the Google service account",
    },
    CloudAnnotation {
        key: plugin_eks_irsa::ROLE_ANNOTATION,
        plugin: EksIrsa::KIND,
        identity: "the trust policy of the AWS role",
    },
];

/// Settings of the plugins.
#[derive(Debug, Args)]
#[command(next_help_heading = "Plugins")]
pub(crate) struct PluginArgs {
    /// Google service account for every Profile without a plugin of kind WorkloadIdentity.
    #[arg(long, default_value = "", value_name = "EMAIL", hide_default_value = true, value_parser = parse_email)]
    pub(crate) workload_identity: String,

    /// Google Cloud project of the cluster's workload identity pool [default: that of the controller's own credentials or of
    /// the metadata server, else that of the service account].
    #[arg(long, value_name = "PROJECT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) workload_pool_project: Option<String>,

    /// Address of Google's IAM API, for private endpoints.
    #[arg(long, value_name = "URL")]
    pub(crate) gke_iam_endpoint: Option<String>,

    /// OIDC issuer of the EKS cluster, such as https://oidc.eks.eu-west-1.amazonaws.com/id/ABC [default: what the API server
    /// says, else the only one in the role's trust policy].
    #[arg(long, value_name = "URL")]
    pub(crate) eks_oidc_issuer: Option<Issuer>,
}

impl PluginArgs {
    /// The plugins. A plugin of your own goes here, with one line.
    pub(crate) fn registry(&self, client: Option<Client>) -> Registry {
        let issuer = match (&self.eks_oidc_issuer, client) {
            (Some(issuer), _) => IssuerSource::Given(issuer.clone()),
            (None, Some(client)) => IssuerSource::Cluster(Arc::new(ApiServer(client))),
            (None, None) => IssuerSource::Unknown,
        };
        let registry = Registry::new()
            .with(GkeWorkloadIdentity::new(self.workload_pool_project.clone(), self.gke_iam_endpoint.clone()))
            .with(EksIrsa::new(issuer));
        match self.workload_identity.as_str() {
            "" => registry,
            email => registry.with_default(profile_api::Plugin {
                kind: GkeWorkloadIdentity::KIND.to_owned(),
                spec: [("gcpServiceAccount".to_owned(), json!(email))].into_iter().collect(),
                ..profile_api::Plugin::default()
            }),
        }
    }
}

fn parse_email(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    text.parse::<ServiceAccountEmail>().map(|_| text.to_owned())
}

/// The API server, which says who issues its ServiceAccounts' tokens.
struct ApiServer(Client);

#[async_trait]
impl plugin_eks_irsa::ClusterIssuer for ApiServer {
    async fn issuer(&self) -> Result<String, PluginError> {
        const PATH: &str = "/.well-known/openid-configuration";
        let failed = |what: String| {
            let message = format!(
                "could not ask the API server for its OIDC issuer (GET {PATH}): {what}; \
                 the flag --eks-oidc-issuer names it instead"
            );
            PluginError::new(Cause::Unavailable, message)
        };
        let request = http::Request::get(PATH).body(Vec::new()).map_err(|error| failed(error.to_string()))?;
        let answer: serde_json::Value =
            bounded(self.0.request(request)).await.map_err(|error| failed(error.to_string()))?;
        let issuer = answer["issuer"].as_str();
        issuer.map(str::to_owned).ok_or_else(|| failed("its answer names no issuer".to_owned()))
    }
}
