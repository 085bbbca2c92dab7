//! Changes IAM policies, with a client that is made when it is first needed.

use std::time::Duration;

use google_cloud_gax::{options::RequestOptionsBuilder, retry_policy::NeverRetry};
use google_cloud_iam_admin_v1::client::Iam as Client;
use google_cloud_iam_v1::model::{GetPolicyOptions, Policy};
use profile_plugin::{Cause, PluginError};
use tokio::sync::OnceCell;

use crate::{Grant, errors, policy};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a policy that somebody else changes at the same time is read again.
const ATTEMPTS: usize = 4;
/// The first version of a policy in which bindings may have conditions. A policy that is read in an older one lacks them, and
/// they would be lost when it is written.
const POLICY_VERSION: i32 = 3;

/// What is done with a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Grant,
    Revoke,
}

/// Google's IAM API.
pub(crate) struct Iam {
    endpoint: Option<String>,
    client: OnceCell<Client>,
}

impl Iam {
    pub(crate) fn new(endpoint: Option<String>) -> Self {
        Self { endpoint, client: OnceCell::new() }
    }

    /// Makes a change, or sees that it has been made. The policy is written with the etag that it was read with, so that
    /// nobody's change is lost.
    pub(crate) async fn make(&self, grant: &Grant, change: Change) -> Result<(), PluginError> {
        for attempt in 1.. {
            let policy = match (self.policy(grant).await, change) {
                (Err(error), Change::Revoke) if error.cause == Cause::NotFound => return Ok(()),
                (policy, _) => policy?,
            };
            let mut wanted = policy.clone();
            match change {
                Change::Grant => policy::grant(&mut wanted, &grant.member),
                Change::Revoke => policy::revoke(&mut wanted, &grant.member),
            }
            if wanted == policy {
                return Ok(());
            }
            match self.set_policy(grant, wanted.set_version(POLICY_VERSION)).await {
                Err(error) if error.cause == Cause::Conflict && attempt < ATTEMPTS => {}
                Err(error) if error.cause == Cause::NotFound && change == Change::Revoke => return Ok(()),
                written => return written,
            }
        }
        Ok(())
    }

    async fn policy(&self, grant: &Grant) -> Result<Policy, PluginError> {
        let account = &grant.service_account;
        let what = format!("could not read the IAM policy of {account} (iam.serviceAccounts.getIamPolicy)");
        let request = self.client().await?.get_iam_policy().set_resource(account.resource());
        let options = GetPolicyOptions::new().set_requested_policy_version(POLICY_VERSION);
        let answer = request.set_options(options).with_attempt_timeout(REQUEST_TIMEOUT).send().await;
        answer.map_err(|error| errors::plugin_error(&what, &error))
    }

    async fn set_policy(&self, grant: &Grant, policy: Policy) -> Result<(), PluginError> {
        let account = &grant.service_account;
        let what = format!("could not change the IAM policy of {account} (iam.serviceAccounts.setIamPolicy)");
        let request = self.client().await?.set_iam_policy().set_resource(account.resource());
        let answer = request.set_policy(policy).with_attempt_timeout(REQUEST_TIMEOUT).send().await;
        answer.map(drop).map_err(|error| errors::plugin_error(&what, &error))
    }

    async fn client(&self) -> Result<&Client, PluginError> {
        self.client
            .get_or_try_init(|| async {
                // The controller tries again, each Profile on its own.
                let mut builder = Client::builder().with_retry_policy(NeverRetry);
                if let Some(endpoint) = &self.endpoint {
                    builder = builder.with_endpoint(endpoint);
                }
                builder.build().await
            })
            .await
            .map_err(|error| {
                let message = format!("no client for Google Cloud: {}", errors::with_sources(&error));
                PluginError::new(Cause::Credentials, message)
            })
    }
}
