//! What a user writes: the Profile and its spec.

use kube::{CustomResource, KubeSchema};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ProfileStatus, ResourceQuotaSpec, Subject};

/// What the namespace of a Profile should be like and who it belongs to.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "kubeflow.org",
    version = "v1",
    kind = "Profile",
    plural = "profiles",
    status = "ProfileStatus",
    category = "kubeflow",
    derive = "Default",
    derive = "PartialEq",
    doc = "A Profile gives its owner a namespace of the same name: with access through RBAC and Istio, ServiceAccounts for pods, a resource quota, and plugins that bind those ServiceAccounts to cloud identities.",
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner.name", description = "Who the namespace belongs to"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether everything is in place"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why it is ready, or why not"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since the Profile was created"),
    validation = Rule::new(
        "oldSelf.hasValue() || (self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))"
    )
    .message("metadata.name becomes the name of a namespace: at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit")
    .optional_old_self(true),
    validation = Rule::new("has(self.spec) || (oldSelf.hasValue() && !has(oldSelf.value().spec))")
        .message("spec is required: write spec.owner, which says who the namespace belongs to")
        .field_path(".spec")
        .optional_old_self(true)
)]
#[serde(rename_all = "camelCase")]
pub struct ProfileSpec {
    /// Who the namespace belongs to. The owner becomes its admin. When the owner changes, access follows: the new owner
    /// gets in and the old one is shut out.
    pub owner: Subject,

    /// Plugins that connect the ServiceAccounts of the namespace to identities outside the cluster. At most one of each
    /// kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "plugins_schema")]
    pub plugins: Vec<Plugin>,

    /// Limits on what the namespace may use. It becomes the ResourceQuota `kf-resource-quota`; with no `hard` limits
    /// there is no quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_quota_spec: Option<ResourceQuotaSpec>,
}

impl ProfileSpec {
    /// A spec with an owner and nothing else.
    pub fn owned_by(owner: Subject) -> Self {
        Self { owner, ..Self::default() }
    }
}

/// A plugin with its own settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plugin {
    /// Version of the plugin's settings. May be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the plugin, such as `WorkloadIdentity` or `AwsIamForServiceAccount`.
    #[schemars(length(min = 1, max = 253))]
    pub kind: String,
    /// Settings of the plugin; which fields there are depends on its kind.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "free_form_schema")]
    pub spec: Map<String, Value>,
}

/// How many plugins a Profile may have: the bound that the API server needs to estimate the cost of the rule below.
const MAX_PLUGINS: usize = 32;

fn plugins_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": generator.subschema_for::<Plugin>(),
        "maxItems": MAX_PLUGINS,
        "x-kubernetes-validations": [{
            // `has`, because an old object may lack the required field: a rule that cannot be evaluated would keep it from
            // being changed or deleted.
            "rule": "self.all(plugin, !has(plugin.kind) || self.exists_one(other, has(other.kind) && other.kind == plugin.kind))",
            "message": "plugins must not hold two of one kind: merge their settings into one, or remove one",
        }],
    })
}

pub(crate) fn free_form_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
