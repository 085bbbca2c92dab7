//! Objects of the cluster as they are read: only what is needed is kept.

use k8s_openapi::{
    api::rbac::v1::{RoleBinding, Subject},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use profile_api::{
    Profile, ProfileCondition, ProfileSpec, ProfileStatus, SubjectKind,
    names::{OWNER_ROLE_BINDING, PROFILE_LABEL, ROLE_ANNOTATION, USER_ANNOTATION},
};
use profile_render::{Owner, contributor::Role};
use profile_runtime::metadata::lean;
use serde::Deserialize;
use serde_json::Value;

/// A Profile as it was read. Decoding it never fails, so that one bad object cannot stop the watch for all.
#[derive(Clone, Debug, Deserialize, kube::Resource)]
#[resource(inherit = "Profile")]
#[serde(from = "Raw")]
pub(crate) struct ReadProfile {
    pub(crate) metadata: ObjectMeta,
    /// The owner, as far as it decodes.
    pub(crate) owner: Option<profile_api::Subject>,
    pub(crate) ready: Option<ProfileCondition>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "lean")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl From<Raw> for ReadProfile {
    fn from(raw: Raw) -> Self {
        let spec: Option<ProfileSpec> = serde_json::from_value(raw.spec).ok();
        let status: ProfileStatus = serde_json::from_value(raw.status).unwrap_or_default();
        Self {
            metadata: raw.metadata,
            owner: spec.map(|spec| spec.owner),
            ready: status.condition(ProfileCondition::READY).cloned(),
        }
    }
}

/// Whose access a RoleBinding is, if it is a binding: one with both annotations, of a role that is known, for the subject whom
/// the annotation names. What is really granted counts, not what the annotation `role` says.
pub(crate) fn granted(binding: &RoleBinding) -> Option<(Owner, Role)> {
    let annotations = binding.annotations();
    let user = annotations.get(USER_ANNOTATION)?;
    annotations.get(ROLE_ANNOTATION)?;
    if binding.role_ref.kind != "ClusterRole" {
        return None;
    }
    let role = Role::of_cluster_role(&binding.role_ref.name)?;
    let subject = binding.subjects.iter().flatten().find(|subject| subject.name == *user)?;
    Some((owner(subject)?, role))
}

/// Whether the controller keeps it: the owner's access, which follows the Profile.
pub(crate) fn is_managed(metadata: &ObjectMeta) -> bool {
    let labelled = metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(PROFILE_LABEL));
    labelled || metadata.name.as_deref() == Some(OWNER_ROLE_BINDING)
}

fn owner(subject: &Subject) -> Option<Owner> {
    let name = subject.name.clone();
    match SubjectKind::parse(&subject.kind)? {
        SubjectKind::User => Some(Owner::User(name)),
        SubjectKind::Group => Some(Owner::Group(name)),
        SubjectKind::ServiceAccount => {
            Some(Owner::ServiceAccount { namespace: subject.namespace.clone()?, name })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn binding(value: Value) -> RoleBinding {
        serde_json::from_value(value).unwrap()
    }

    fn of(annotations: Value, role: &str, subjects: Value) -> Option<(Owner, Role)> {
        granted(&binding(json!({
            "metadata": { "namespace": "team", "name": "any", "annotations": annotations },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": subjects,
        })))
    }

    #[test]
    fn what_is_granted_counts_and_not_what_annotations_say() {
        let both = json!({ "user": "jane", "role": "admin" });
        let user = |name: &str| json!({ "kind": "User", "name": name });
        let jane = || Owner::User("jane".to_owned());
        assert_eq!(of(both.clone(), "kubeflow-view", json!([user("jane")])), Some((jane(), Role::View)));
        assert_eq!(of(both.clone(), "kubeflow-admin", json!([user("joe")])), None, "the annotation lies");
        assert_eq!(of(both.clone(), "cluster-admin", json!([user("jane")])), None, "an unknown role");
        assert_eq!(
            of(both.clone(), "kubeflow-edit", json!([user("joe"), user("jane")])),
            Some((jane(), Role::Edit))
        );
        assert_eq!(of(both.clone(), "kubeflow-edit", json!(null)), None, "no subject");
        assert_eq!(of(json!({ "user": "jane" }), "kubeflow-edit", json!([user("jane")])), None);
        assert_eq!(of(json!({ "role": "edit" }), "kubeflow-edit", json!([user("jane")])), None);
        assert_eq!(of(json!(null), "kubeflow-edit", json!([user("jane")])), None);
        let account = json!({ "kind": "ServiceAccount", "name": "jane", "namespace": "ci" });
        let expected = Owner::ServiceAccount { namespace: "ci".to_owned(), name: "jane".to_owned() };
        assert_eq!(of(both, "kubeflow-edit", json!([account])), Some((expected, Role::Edit)));
    }

    #[test]
    fn a_profile_that_does_not_decode_is_there_without_an_owner() {
        for spec in [json!(null), json!(5), json!({ "owner": { "kind": "User" } })] {
            let profile: ReadProfile =
                serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec, "status": "x" }))
                    .unwrap();
            assert_eq!(profile.owner, None);
            assert_eq!(profile.metadata.name.as_deref(), Some("p"));
        }
    }
}
