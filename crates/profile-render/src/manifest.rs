//! One desired object in the form in which any kind can be compared and written.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::ObjectKey;

/// The desired state of one object: what is owned of its metadata, and its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Which object.
    pub key: ObjectKey,
    /// Value of each label that is decided here; `None` means that it must not be there. Others are left alone.
    pub labels: BTreeMap<String, Option<String>>,
    /// The same for annotations.
    pub annotations: BTreeMap<String, Option<String>>,
    /// Owner reference to the Profile.
    pub owner: Value,
    /// The fields of [`OwnedKind::content_fields`](crate::OwnedKind::content_fields), owned as a whole.
    pub content: Map<String, Value>,
}

impl Manifest {
    /// The object as JSON, ready to be created.
    pub fn to_json(&self) -> Value {
        let resource = self.key.kind.api_resource();
        let mut metadata = json!({ "name": self.key.name, "ownerReferences": [self.owner] });
        if self.key.kind.is_namespaced() {
            metadata["namespace"] = json!(self.key.profile);
        }
        for (field, values) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            let present = present(values);
            if !present.is_empty() {
                metadata[field] = json!(present);
            }
        }
        let mut object =
            json!({ "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata });
        for (field, value) in &self.content {
            object[field] = value.clone();
        }
        object
    }
}

fn present(values: &BTreeMap<String, Option<String>>) -> BTreeMap<&str, &str> {
    values.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?))).collect()
}
