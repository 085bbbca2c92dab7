//! GKE Workload Identity: the pods of a Profile that run as `default-editor` may act as a Google service account.
//!
//! The ServiceAccount is annotated with the Google service account, and that one's IAM policy lets it in as a member of the
//! role `roles/iam.workloadIdentityUser`.

mod email;
mod errors;
mod iam;
pub mod policy;
mod pool;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use profile_plugin::{Account, InvalidSpec, Plugin, PluginError, Wanted};
use serde::{Deserialize, Serialize};

pub use email::ServiceAccountEmail;

use crate::{
    iam::{Change, Iam},
    pool::PoolProject,
};

/// Annotation of a ServiceAccount by which GKE gives its pods a Google service account.
pub const SERVICE_ACCOUNT_ANNOTATION: &str = "iam.gke.io/gcp-service-account";

/// The plugin.
pub struct GkeWorkloadIdentity {
    pool_project: PoolProject,
    iam: Iam,
}

impl GkeWorkloadIdentity {
    /// The plugin, for a cluster whose workload identity pool is in a project, if an admin says so, and for an IAM API at
    /// another address, if it is. Google Cloud is not touched until there is something to do.
    pub fn new(pool_project: Option<String>, endpoint: Option<String>) -> Self {
        Self { pool_project: PoolProject::new(pool_project), iam: Iam::new(endpoint) }
    }
}

/// What a user writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    gcp_service_account: String,
}

/// What a Profile asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    service_account: ServiceAccountEmail,
    /// Namespace and name of the Kubernetes ServiceAccount.
    account: String,
    /// The project of the pool that the flag names, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pool_project: Option<String>,
}

/// A member of a role in the IAM policy of a Google service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The Google service account.
    pub service_account: ServiceAccountEmail,
    /// The member.
    pub member: String,
}

#[async_trait]
impl Plugin for GkeWorkloadIdentity {
    const KIND: &'static str = "WorkloadIdentity";

    type Spec = Spec;
    type Request = Request;
    type Grant = Grant;

    fn plan(&self, account: &Account, spec: Spec) -> Result<Wanted<Request>, InvalidSpec> {
        let service_account: ServiceAccountEmail = spec
            .gcp_service_account
            .parse()
            .map_err(|problem| InvalidSpec { field: "gcpServiceAccount", problem })?;
        let annotation = (SERVICE_ACCOUNT_ANNOTATION.to_owned(), service_account.to_string());
        let request = Request {
            service_account,
            account: account.to_string(),
            pool_project: self.pool_project.given().map(str::to_owned),
        };
        Ok(Wanted { annotations: BTreeMap::from([annotation]), request: Some(request) })
    }

    async fn resolve(&self, request: Request) -> Result<Grant, PluginError> {
        let Request { service_account, account, pool_project } = request;
        let project = match pool_project {
            Some(project) => project,
            None => self.pool_project.find(&service_account).await?,
        };
        let member = format!("serviceAccount:{project}.svc.id.goog[{account}]");
        Ok(Grant { service_account, member })
    }

    async fn apply(&self, grant: &Grant) -> Result<(), PluginError> {
        self.iam.make(grant, Change::Grant).await
    }

    async fn revoke(&self, grant: &Grant) -> Result<(), PluginError> {
        self.iam.make(grant, Change::Revoke).await
    }

    fn describe(&self, grant: &Grant) -> String {
        grant.to_string()
    }

    fn place(&self, grant: &Grant) -> String {
        grant.service_account.to_string()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service account {} for {}", self.service_account, self.member)
    }
}
