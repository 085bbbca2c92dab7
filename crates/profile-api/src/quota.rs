//! The limits of a Profile's namespace.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ScopeSelector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Quantity;

/// Limits on what a namespace may use, as in the `spec` of a core/v1 ResourceQuota.
///
/// It differs from the type of `k8s-openapi` in that a quantity may be written as a number (`cpu: 2`), as people do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceQuotaSpec {
    /// The limit for each named resource, such as `cpu`, `memory`, `requests.nvidia.com/gpu`, `persistentvolumeclaims`
    /// or `requests.storage`. Without any there is no quota.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hard: BTreeMap<String, Quantity>,
    /// Scopes that filter which objects the quota counts; an object must match all of them. Empty counts all objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Scopes with an operator and values, such as a PriorityClass; combined with `scopes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_selector: Option<ScopeSelector>,
}
