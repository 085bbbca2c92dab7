//! What the platform decides for all Profiles: how users are authenticated, which workloads may call, which names are
//! reserved, which labels namespaces get.

use std::str::FromStr;

use crate::NamespaceLabels;

/// The settings that shape what every Profile becomes. The default is that of the controller's flags.
#[derive(Clone, Debug, PartialEq)]
pub struct PlatformConfig {
    /// HTTP header that carries the authenticated user.
    pub userid_header: String,
    /// What stands in front of the user's name in that header.
    pub userid_prefix: String,
    /// Claim of the request's JWT that lists the user's groups; without it group owners get in by `kubectl` only.
    pub groups_claim: Option<String>,
    /// Workloads that may call into a Profile's namespace.
    pub principals: Principals,
    /// Names that no Profile may have.
    pub reserved_names: ReservedNames,
    /// Labels of the namespaces.
    pub namespace_labels: NamespaceLabels,
}

impl Default for PlatformConfig {
    fn default() -> Self {
        Self {
            userid_header: "x-goog-authenticated-user-email".to_owned(),
            userid_prefix: "accounts.google.com:".to_owned(),
            groups_claim: None,
            principals: Principals::default(),
            reserved_names: ReservedNames::default(),
            namespace_labels: NamespaceLabels::default(),
        }
    }
}

/// Mesh identities (`<trust domain>/ns/<namespace>/sa/<service account>`) of the workloads that may call into a Profile's
/// namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principals {
    /// The ingress gateway, which sets the userid header.
    pub ingress_gateway: String,
    /// The user interface of Kubeflow Pipelines, which forwards the userid header.
    pub kfp_ui: String,
    /// The notebook controller, which asks notebooks whether they are idle.
    pub notebook_controller: String,
}

impl Default for Principals {
    fn default() -> Self {
        Self {
            ingress_gateway: "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account"
                .to_owned(),
            kfp_ui: "cluster.local/ns/kubeflow/sa/ml-pipeline-ui".to_owned(),
            notebook_controller: "cluster.local/ns/kubeflow/sa/notebook-controller-service-account"
                .to_owned(),
        }
    }
}

/// Names that no Profile may have: each an exact name, or a beginning followed by `*`.
///
/// ```
/// use profile_render::config::ReservedNames;
///
/// let reserved: ReservedNames = "kube-*,default".parse().unwrap();
/// assert_eq!(reserved.pattern_for("kube-system"), Some("kube-*"));
/// assert_eq!(reserved.pattern_for("jane"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedNames(Vec<String>);

impl ReservedNames {
    /// The reserved names unless the platform says otherwise, as text to parse.
    pub const DEFAULT: &str = "kube-*,default,istio-system,kubeflow";

    /// The pattern that reserves a name, if one does.
    pub fn pattern_for(&self, name: &str) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == *pattern,
        })
    }
}

impl Default for ReservedNames {
    fn default() -> Self {
        Self(Self::DEFAULT.split(',').map(str::to_owned).collect())
    }
}

impl FromStr for ReservedNames {
    type Err = String;

    /// Reads a comma-separated list; an empty text reserves nothing.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let patterns = text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
        patterns
            .map(|pattern| {
                let literal = pattern.strip_suffix('*').unwrap_or(pattern);
                let valid = literal.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
                valid.then(|| pattern.to_owned()).ok_or_else(|| {
                    format!("{pattern:?} is not a namespace name, optionally ending in '*' (such as kube-*)")
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_reserves_the_system_namespaces_and_nothing_else() {
        let reserved = ReservedNames::default();
        for name in ["kube-system", "kube-public", "kube-", "default", "istio-system", "kubeflow"] {
            assert!(reserved.pattern_for(name).is_some(), "{name}");
        }
        for name in ["kubeflow-jane", "kube", "defaults", "jane"] {
            assert!(reserved.pattern_for(name).is_none(), "{name}");
        }
        assert_eq!(ReservedNames::DEFAULT.parse(), Ok(reserved));
    }

    #[test]
    fn an_empty_list_reserves_nothing_and_a_malformed_pattern_is_refused() {
        assert_eq!("".parse::<ReservedNames>().unwrap().pattern_for("default"), None);
        assert!("a*b".parse::<ReservedNames>().unwrap_err().contains("\"a*b\""));
    }
}
