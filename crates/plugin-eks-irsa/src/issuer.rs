//! Which OIDC issuer the tokens of this cluster's ServiceAccounts come from.

use std::{fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use profile_plugin::PluginError;
use serde::{Deserialize, Serialize};

/// Where the issuer is known from.
#[derive(Clone)]
pub enum IssuerSource {
    /// An admin says so.
    Given(Issuer),
    /// The cluster says so; it counts if it is one of EKS.
    Cluster(Arc<dyn ClusterIssuer>),
    /// From nowhere: it is the only provider in a role's trust policy.
    Unknown,
}

/// Says which issuer a cluster has.
#[async_trait]
pub trait ClusterIssuer: Send + Sync {
    /// The issuer, as the cluster's OpenID configuration names it.
    ///
    /// # Errors
    /// It cannot be told.
    async fn issuer(&self) -> Result<String, PluginError>;
}

impl IssuerSource {
    /// The issuer, if it is known without looking at a role.
    ///
    /// # Errors
    /// The cluster does not say.
    pub(crate) async fn find(&self) -> Result<Option<Issuer>, PluginError> {
        match self {
            Self::Given(issuer) => Ok(Some(issuer.clone())),
            Self::Cluster(cluster) => {
                let issuer = cluster.issuer().await?.parse::<Issuer>().ok();
                Ok(issuer.filter(Issuer::is_of_eks))
            }
            Self::Unknown => Ok(None),
        }
    }
}

/// An OIDC issuer, an https URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Issuer(String);

impl Issuer {
    /// As IAM names it: without `https://`.
    pub(crate) fn without_scheme(&self) -> &str {
        &self.0
    }

    /// Whether EKS hosts it. IAM trusts any other issuer only after an admin has set that up, of which the API server knows
    /// nothing.
    fn is_of_eks(&self) -> bool {
        let host = self.0.split('/').next().unwrap_or_default();
        let of_region = |rest: &str| {
            [".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn"]
                .iter()
                .any(|end| rest.strip_suffix(end).is_some_and(|region| !region.is_empty()))
        };
        ["oidc.eks.", "oidc-eks."].iter().any(|begin| host.strip_prefix(begin).is_some_and(of_region))
    }
}

impl FromStr for Issuer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
        let is_url = !rest.is_empty()
            && !rest.contains("://")
            && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"?#".contains(&byte));
        if !is_url {
            return Err(format!(
                "{text:?} is not an issuer: write an https URL, such as https://oidc.eks.eu-west-1.amazonaws.com/id/ABC"
            ));
        }
        Ok(Self(rest.to_owned()))
    }
}

impl TryFrom<String> for Issuer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Issuer> for String {
    fn from(issuer: Issuer) -> Self {
        format!("https://{}", issuer.0)
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_issuers_of_eks_are_taken_from_the_cluster() {
        for (text, expected) in [
            ("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC", true),
            ("https://oidc.eks.cn-north-1.amazonaws.com.cn/id/ABC", true),
            ("https://oidc-eks.eu-west-1.api.aws/id/ABC", true),
            ("https://kubernetes.default.svc.cluster.local", false),
            ("https://oidc.eks.evil.example.com/id/ABC", false),
            ("https://oidc.eks.amazonaws.com.example.com/id/ABC", false),
        ] {
            assert_eq!(text.parse::<Issuer>().unwrap().is_of_eks(), expected, "{text}");
        }
    }
}
