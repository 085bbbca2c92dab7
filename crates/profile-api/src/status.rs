//! What the controller reports about a Profile.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::profile::free_form_schema;

/// The `status` of a condition that holds.
pub const CONDITION_TRUE: &str = "True";
/// The `status` of a condition that does not hold.
pub const CONDITION_FALSE: &str = "False";

/// What the controller found and did when it last looked at the Profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileStatus {
    /// The state of the Profile, one entry a type. `Ready` sums up the others, so that
    /// `kubectl wait --for=condition=Ready profile/NAME` works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ProfileCondition>,
    /// The `metadata.generation` of the Profile that this status is about. If it is older than the Profile's, the latest
    /// change has not been handled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What plugins have granted outside the cluster, or are about to. An entry is written before the grant is made and goes
    /// when the grant has been revoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<GrantRecord>,
}

/// Something that is granted outside the cluster, with all that is needed to undo it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantRecord {
    /// Kind of the plugin that grants it.
    pub kind: String,
    /// How far it is.
    pub state: GrantState,
    /// What the Profile asks for, in the plugin's terms. If it asks for something else, this grant is revoked.
    #[serde(default)]
    #[schemars(!default, schema_with = "free_form_schema")]
    pub request: Map<String, Value>,
    /// What is granted, in the plugin's terms.
    #[serde(default)]
    #[schemars(!default, schema_with = "free_form_schema")]
    pub grant: Map<String, Value>,
}

/// How far a grant is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GrantState {
    /// It may have been made, or not yet.
    #[default]
    Granting,
    /// It has been made.
    Granted,
    /// It is not wanted any more, and may have been revoked or not yet.
    Revoking,
}

impl ProfileStatus {
    /// The condition of a type, if it is reported.
    pub fn condition(&self, type_: &str) -> Option<&ProfileCondition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// Whether everything that the Profile asks for is in place.
    pub fn is_ready(&self) -> bool {
        self.condition(ProfileCondition::READY).is_some_and(ProfileCondition::is_true)
    }
}

/// One aspect of the state of a Profile, after the Kubernetes conventions for conditions.
///
/// Every field but `type` and `status` may be missing, because the Go controller wrote conditions without them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileCondition {
    /// Which aspect: `Ready`, `NamespaceReady`, `ObjectsReady`, `BrowserAccess`, `PluginsReady` or `PluginsKnown`.
    #[serde(rename = "type", default)]
    #[schemars(!default)]
    pub type_: String,
    /// Whether it holds: `True`, `False` or `Unknown`.
    #[serde(default)]
    #[schemars(!default)]
    pub status: String,
    /// Why, as one word for programs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, as a sentence for people, with what to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when `status` has been what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// The `metadata.generation` of the Profile that this condition is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl ProfileCondition {
    /// Type of the condition that sums up the others.
    pub const READY: &str = "Ready";
    /// Type: the namespace exists and belongs to the Profile.
    pub const NAMESPACE_READY: &str = "NamespaceReady";
    /// Type: the objects in the namespace are as they should be.
    pub const OBJECTS_READY: &str = "ObjectsReady";
    /// Type: the owner gets in through the browser. Where it is `False` by configuration, the Profile can be ready all
    /// the same.
    pub const BROWSER_ACCESS: &str = "BrowserAccess";
    /// Type: what the plugins grant outside the cluster is as the Profile asks for. Reported for a Profile with plugins.
    pub const PLUGINS_READY: &str = "PluginsReady";
    /// Type: reported, and `False`, where a Profile names a plugin that the controller does not know. It is ignored; the
    /// Profile can be ready all the same.
    pub const PLUGINS_KNOWN: &str = "PluginsKnown";

    /// Whether the condition holds.
    pub fn is_true(&self) -> bool {
        self.status == CONDITION_TRUE
    }
}
