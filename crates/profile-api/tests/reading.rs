//! Whatever older versions and other controllers have written can be read.

#![allow(clippy::unwrap_used)]

use profile_api::{Profile, ProfileStatus, Quantity};
use serde_json::json;

#[test]
fn a_profile_of_the_reference_is_read_in_both_versions() {
    for version in profile_api::SERVED_VERSIONS {
        let profile: Profile = serde_json::from_value(json!({
            "apiVersion": format!("kubeflow.org/{version}"),
            "kind": "Profile",
            "metadata": { "name": "jane", "finalizers": ["profile-finalizer"] },
            "spec": {
                "owner": { "kind": "User", "name": "jane@example.com", "apiGroup": "rbac.authorization.k8s.io" },
                "plugins": [{ "kind": "WorkloadIdentity", "spec": { "gcpServiceAccount": "a@b.iam.gserviceaccount.com" } }],
                "resourceQuotaSpec": { "hard": { "cpu": 2, "memory": "2Gi" } },
            },
        }))
        .unwrap();
        assert_eq!(profile.spec.plugins[0].spec["gcpServiceAccount"], "a@b.iam.gserviceaccount.com");
        assert_eq!(profile.spec.resource_quota_spec.unwrap().hard["cpu"], Quantity::from("2"));
    }
}

#[test]
fn what_was_read_is_written_as_it_was() {
    let written = json!({
        "apiVersion": "kubeflow.org/v1",
        "kind": "Profile",
        "metadata": { "name": "jane" },
        "spec": {
            "owner": { "kind": "ServiceAccount", "name": "runner", "namespace": "ci" },
            "plugins": [{ "apiVersion": "kubeflow.org/v1", "kind": "X", "spec": { "deep": { "list": [1, null, "x"] } } }],
            "resourceQuotaSpec": { "hard": { "cpu": "2" }, "scopes": ["Terminating"] },
        },
    });
    let read: Profile = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), written);
}

#[test]
fn a_status_with_the_conditions_of_the_reference_is_read() {
    let failed = json!({ "type": "Failed", "status": "False", "message": "error applying plugin" });
    let status: ProfileStatus = serde_json::from_value(json!({ "conditions": vec![failed; 20] })).unwrap();
    assert_eq!(status.conditions.len(), 20);
    assert!(!status.is_ready());
    assert_eq!(serde_json::from_value::<ProfileStatus>(json!({})).unwrap(), ProfileStatus::default());
}
