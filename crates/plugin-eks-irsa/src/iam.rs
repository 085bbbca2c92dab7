//! The two requests to IAM, with clients that are made when they are first needed.

use std::{collections::HashMap, time::Duration};

use aws_config::{AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_iam::Client;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use percent_encoding::percent_decode_str;
use profile_plugin::{Cause, PluginError};
use tokio::sync::{Mutex, OnceCell};

use crate::{Json, RoleArn, errors::plugin_error};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// IAM, of whichever partition.
#[derive(Default)]
pub(crate) struct Iam {
    config: OnceCell<SdkConfig>,
    clients: Mutex<HashMap<String, Client>>,
}

impl Iam {
    /// The trust policy of a role, as IAM shows it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn trust_policy(&self, role: &RoleArn) -> Result<Json, PluginError> {
        let answer = self.client(role).await.get_role().role_name(role.name()).send().await;
        let found = answer
            .map_err(|error| plugin_error(&format!("could not read role {role} (iam:GetRole)"), error))?;
        let found = found.role.filter(|found| found.arn() == role.to_string());
        let Some(found) = found else {
            let message = format!(
                "there is no role {role}: the role of that name in the account of the controller's credentials is another one"
            );
            return Err(PluginError::new(Cause::NotFound, message));
        };
        let encoded = found.assume_role_policy_document().unwrap_or_default();
        let unreadable = |error: String| {
            let message = format!("the trust policy of {role} cannot be read: {error}");
            PluginError::new(Cause::Refused, message)
        };
        let text =
            percent_decode_str(encoded).decode_utf8().map_err(|error| unreadable(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
    }

    /// Replaces the trust policy of a role.
    ///
    /// # Errors
    /// It may not have been replaced.
    pub(crate) async fn set_trust_policy(&self, role: &RoleArn, policy: &str) -> Result<(), PluginError> {
        let request = self.client(role).await.update_assume_role_policy();
        let answer = request.role_name(role.name()).policy_document(policy).send().await;
        let what = format!("could not change the trust policy of role {role} (iam:UpdateAssumeRolePolicy)");
        match answer.map_err(|error| plugin_error(&what, error)) {
            Ok(_) => Ok(()),
            Err(error) if error.cause == Cause::LimitExceeded => {
                let message = format!(
                    "{error}; it would have {} characters: raise the quota \"Role trust policy length\", use several roles, \
                     or let in all Profiles with one StringLike pattern (system:serviceaccount:*:default-editor)",
                    policy.len()
                );
                Err(PluginError::new(Cause::LimitExceeded, message))
            }
            Err(error) => Err(error),
        }
    }

    async fn client(&self, role: &RoleArn) -> Client {
        let config = self.config.get_or_init(load).await;
        let mut clients = self.clients.lock().await;
        let client = clients.entry(role.partition().to_owned()).or_insert_with(|| {
            let region = region_of(role.partition()).map(Region::from_static);
            let region = region.or_else(|| config.region().cloned());
            let builder = aws_sdk_iam::config::Builder::from(config);
            Client::from_conf(builder.region(region).build())
        });
        client.clone()
    }
}

/// From the environment, as every program that uses AWS: variables, files, a pod's role, an instance's role. Nothing is asked
/// for before the first request.
async fn load() -> SdkConfig {
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts =
        TimeoutConfig::builder().connect_timeout(REQUEST_TIMEOUT / 3).operation_timeout(REQUEST_TIMEOUT);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts.build())
        // The controller tries again, each Profile on its own.
        .retry_config(RetryConfig::disabled());
    if let Ok(name) = AppName::new("kubeflow-profile-controller") {
        loader = loader.app_name(name);
    }
    loader.load().await
}

/// IAM has one endpoint a partition; requests to it are signed for this region.
fn region_of(partition: &str) -> Option<&'static str> {
    match partition {
        "aws" => Some("us-east-1"),
        "aws-cn" => Some("cn-north-1"),
        "aws-us-gov" => Some("us-gov-west-1"),
        "aws-iso" => Some("us-iso-east-1"),
        "aws-iso-b" => Some("us-isob-east-1"),
        "aws-eusc" => Some("eusc-de-east-1"),
        _ => None,
    }
}
