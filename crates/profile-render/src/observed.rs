//! What is there: one object of the cluster, reduced to what is compared.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::DynamicObject;
use profile_api::names::{
    ADOPT_ANNOTATION, APPLIED_LABELS_ANNOTATION, GROUP, KIND, OWNER_ANNOTATION, PROFILE_LABEL,
    ROLE_ANNOTATION, USER_ANNOTATION,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ObjectKey, OwnedKind};

/// The annotations that are compared or decided by; all others are dropped, except on ServiceAccounts, where plugins decide
/// which ones there are.
const ANNOTATIONS: [&str; 5] =
    [OWNER_ANNOTATION, USER_ANNOTATION, ROLE_ANNOTATION, ADOPT_ANNOTATION, APPLIED_LABELS_ANNOTATION];

/// Annotation that `kubectl apply` leaves, often larger than the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of the cluster, reduced to what is compared. It can be written and read again, for whoever keeps many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Which object.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: String,
    /// Its resource version: a write that was planned on it fails if the object has changed since.
    pub resource_version: String,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Its labels; of any object but a Namespace only the one that marks it as ours.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, as far as they matter here.
    pub annotations: BTreeMap<String, String>,
    /// Its owners.
    pub owner_references: Vec<OwnerReference>,
    /// The fields that are owned as a whole.
    pub content: Map<String, Value>,
}

impl Observed {
    /// Reduces an object of a kind to what is compared. What the API server did not send is empty.
    pub fn new(kind: OwnedKind, object: DynamicObject) -> Self {
        let metadata = object.metadata;
        let name = metadata.name.unwrap_or_default();
        let profile =
            if kind.is_namespaced() { metadata.namespace.unwrap_or_default() } else { name.clone() };
        let mut labels = metadata.labels.unwrap_or_default();
        if kind.is_namespaced() {
            labels.retain(|key, _| key == PROFILE_LABEL);
        }
        let mut annotations = metadata.annotations.unwrap_or_default();
        annotations.retain(|key, _| match kind {
            OwnedKind::ServiceAccount => key != LAST_APPLIED,
            _ => ANNOTATIONS.contains(&key.as_str()),
        });
        let content = match object.data {
            Value::Object(mut fields) => {
                let owned = |field: &&str| fields.remove(*field).map(|value| ((*field).to_owned(), value));
                kind.content_fields().iter().filter_map(owned).collect()
            }
            _ => Map::new(),
        };
        Self {
            key: ObjectKey { kind, profile, name },
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            terminating: metadata.deletion_timestamp.is_some(),
            labels,
            annotations,
            owner_references: metadata.owner_references.unwrap_or_default(),
            content,
        }
    }

    /// The reference to the controller that manages the object, if one does.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|reference| reference.controller == Some(true))
    }

    /// Whether the Profile with this UID owns the object.
    pub fn is_owned_by(&self, uid: &str) -> bool {
        self.owner_references.iter().any(|reference| is_profile(reference) && reference.uid == uid)
    }
}

/// Whether a reference is to a Profile, of whichever version.
pub(crate) fn is_profile(reference: &OwnerReference) -> bool {
    reference.kind == KIND && reference.api_version.split('/').next() == Some(GROUP)
}
