//! AWS IAM roles for service accounts (IRSA): the pods of a Profile that run as `default-editor` may act as an IAM role.
//!
//! The ServiceAccount is annotated with the role, and the role's trust policy lets that ServiceAccount in. A trust policy often
//! has other users, and IAM offers no way to change it only if it has not changed: [`policy`] touches one entry of it and
//! nothing else, `trust` takes care of what IAM does not.

mod arn;
mod errors;
mod iam;
mod issuer;
mod json;
pub mod policy;
mod recent;
mod trust;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use profile_plugin::{Account, InvalidSpec, Plugin, PluginError, Wanted};
use serde::{Deserialize, Serialize};

pub use arn::RoleArn;
pub use issuer::{ClusterIssuer, Issuer, IssuerSource};
pub use json::Json;

use crate::trust::{Change, TrustPolicies};

/// Annotation of a ServiceAccount by which EKS gives its pods a role.
pub const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// The plugin.
pub struct EksIrsa {
    issuer: IssuerSource,
    policies: TrustPolicies,
}

impl EksIrsa {
    /// The plugin, for a cluster whose OIDC issuer is found as said. AWS is not touched until there is something to do.
    pub fn new(issuer: IssuerSource) -> Self {
        Self { issuer, policies: TrustPolicies::default() }
    }
}

/// What a user writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    aws_iam_role: String,
    #[serde(default)]
    annotate_only: bool,
}

/// What a Profile asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    role: RoleArn,
    subject: String,
    /// The issuer that the flag names, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<Issuer>,
}

/// A subject of an OIDC provider that a role's trust policy lets in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The role.
    pub role: RoleArn,
    /// ARN of the OIDC provider in IAM.
    pub provider: String,
    /// The ServiceAccount, as the provider names it.
    pub subject: String,
}

#[async_trait]
impl Plugin for EksIrsa {
    const KIND: &'static str = "AwsIamForServiceAccount";
    const ALIASES: &'static [&'static str] = &["IAMForServiceAccount"];

    type Spec = Spec;
    type Request = Request;
    type Grant = Grant;

    fn plan(&self, account: &Account, spec: Spec) -> Result<Wanted<Request>, InvalidSpec> {
        let role: RoleArn =
            spec.aws_iam_role.parse().map_err(|problem| InvalidSpec { field: "awsIamRole", problem })?;
        let annotations = BTreeMap::from([(ROLE_ANNOTATION.to_owned(), role.to_string())]);
        let subject = format!("system:serviceaccount:{}:{}", account.namespace, account.name);
        let issuer = match &self.issuer {
            IssuerSource::Given(issuer) => Some(issuer.clone()),
            IssuerSource::Cluster(_) | IssuerSource::Unknown => None,
        };
        let request = (!spec.annotate_only).then_some(Request { role, subject, issuer });
        Ok(Wanted { annotations, request })
    }

    async fn resolve(&self, request: Request) -> Result<Grant, PluginError> {
        let Request { role, subject, issuer } = request;
        let issuer = match issuer {
            Some(issuer) => Some(issuer),
            None => self.issuer.find().await?,
        };
        let provider = match issuer {
            Some(issuer) => role.oidc_provider(&issuer),
            None => self.policies.only_provider(&role).await?,
        };
        Ok(Grant { role, provider, subject })
    }

    async fn apply(&self, grant: &Grant) -> Result<(), PluginError> {
        self.policies.make(grant, Change::Grant).await
    }

    async fn revoke(&self, grant: &Grant) -> Result<(), PluginError> {
        self.policies.make(grant, Change::Revoke).await
    }

    fn describe(&self, grant: &Grant) -> String {
        grant.to_string()
    }

    fn place(&self, grant: &Grant) -> String {
        grant.role.to_string()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "role {} for {} of {}", self.role, self.subject, self.provider)
    }
}
