//! Metadata of an object as it is read from the API server, without what is never looked at and is often larger than the rest:
//! who manages which field, and what `kubectl apply` was last given.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::{Deserialize, Deserializer};

/// Annotation that `kubectl apply` leaves.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lean {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    finalizers: Option<Vec<String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

/// Reads metadata; for `#[serde(deserialize_with)]`. The fields left out are passed over without being kept for a moment: of a
/// page of five hundred objects they would be megabytes.
///
/// # Errors
/// When it is not metadata.
pub fn lean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let mut lean = Lean::deserialize(deserializer)?;
    if let Some(annotations) = &mut lean.annotations {
        annotations.remove(LAST_APPLIED);
    }
    Ok(ObjectMeta {
        name: lean.name,
        namespace: lean.namespace,
        uid: lean.uid,
        resource_version: lean.resource_version,
        generation: lean.generation,
        creation_timestamp: lean.creation_timestamp,
        deletion_timestamp: lean.deletion_timestamp,
        labels: lean.labels,
        annotations: lean.annotations,
        finalizers: lean.finalizers,
        owner_references: lean.owner_references,
        ..ObjectMeta::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_is_read_but_the_managed_fields_and_what_kubectl_was_given() {
        let mut written = json!({
            "name": "a", "namespace": "b", "uid": "c", "resourceVersion": "1", "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
            "labels": { "l": "1" }, "annotations": { "user": "jane" }, "finalizers": ["f"],
            "ownerReferences": [{ "apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": true }],
        });
        let expected: ObjectMeta = serde_json::from_value(written.clone()).unwrap();
        written["managedFields"] = json!([{ "manager": "m", "fieldsV1": { "f:metadata": {} } }]);
        written["annotations"][LAST_APPLIED] = json!("{}");
        assert_eq!(lean(written).unwrap(), expected);
    }
}
