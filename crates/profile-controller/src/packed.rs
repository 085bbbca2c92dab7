//! An object as it is kept: as text. The tree that it is compared as takes ten times the memory, and is needed only for the
//! moment in which its Profile is looked at.

use profile_render::{ObjectKey, Observed};
use profile_runtime::resource_version::ResourceVersion;

/// An object of a Profile, packed.
pub(crate) struct Packed {
    key: ObjectKey,
    resource_version: ResourceVersion,
    /// The whole, as JSON.
    text: Box<str>,
}

impl Packed {
    pub(crate) fn new(object: &Observed) -> Self {
        Self {
            key: object.key.clone(),
            resource_version: object.resource_version.as_str().into(),
            // Text keys and no failing serializers: this cannot fail.
            text: serde_json::to_string(object).unwrap_or_default().into(),
        }
    }

    /// The object again; it was written by this very process, so that it can be read.
    pub(crate) fn unpack(&self) -> Option<Observed> {
        serde_json::from_str(&self.text).ok()
    }

    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    pub(crate) fn resource_version(&self) -> ResourceVersion {
        self.resource_version
    }
}

#[cfg(test)]
mod tests {
    use kube::core::DynamicObject;
    use profile_render::OwnedKind;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_unpacked_is_what_was_packed() {
        let object: DynamicObject = serde_json::from_value(json!({
            "metadata": {
                "namespace": "jane", "name": "ns-owner-access-istio", "uid": "u", "resourceVersion": "7",
                "labels": { "profiles.kubeflow.org/profile": "jane" },
                "annotations": { "user": "jane \"\u{fc}\u{1f600}@example.com", "role": "admin" },
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{
                    "apiVersion": "kubeflow.org/v1", "kind": "Profile", "name": "jane", "uid": "p", "controller": true,
                }],
            },
            "spec": { "action": "ALLOW", "rules": [{ "when": [{ "key": "source.namespace", "values": ["jane"] }] }] },
        }))
        .unwrap();
        let object = Observed::new(OwnedKind::AuthorizationPolicy, object);
        let packed = Packed::new(&object);
        assert_eq!(packed.unpack().as_ref(), Some(&object));
        assert_eq!(packed.key(), &object.key);
        assert_eq!(packed.resource_version(), "7".into());
    }
}
