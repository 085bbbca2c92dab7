//! What there is of bindings in a namespace, and which of it belongs together.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt;
use profile_api::names::{OWNER_POLICY, ROLE_ANNOTATION, USER_ANNOTATION};
use profile_render::{Owner, contributor::Role};

use crate::{
    cluster::PolicyMeta,
    error::ApiError,
    naming::{own_name, reference_name},
    observed::{granted, is_managed},
    wire::Sharing,
};

/// What there is in a namespace.
pub(crate) struct Found {
    pub(crate) bindings: Vec<RoleBinding>,
    /// `None` without Istio.
    pub(crate) policies: Option<Vec<PolicyMeta>>,
}

impl Found {
    /// The bindings of a sharing that may be removed.
    pub(crate) fn bindings_of(&self, sharing: &Sharing) -> Vec<&RoleBinding> {
        let bindings = self.bindings.iter().filter(|it| is_of(it, &sharing.subject, sharing.role));
        bindings.filter(|binding| !is_managed(&binding.metadata)).collect()
    }

    /// The policies that go with bindings, and those that are left of one.
    pub(crate) fn policies_of(&self, sharing: &Sharing, bindings: &[&RoleBinding]) -> Vec<&PolicyMeta> {
        let policies = self.policies.iter().flatten().filter(|policy| !is_managed_policy(policy));
        policies
            .filter(|policy| {
                let name = policy.name_any();
                let goes_with = bindings.iter().any(|binding| binding.name_any() == name);
                goes_with || (self.is_orphan(&name) && is_left_of(policy, sharing))
            })
            .collect()
    }

    fn is_orphan(&self, name: &str) -> bool {
        !self.bindings.iter().any(|binding| binding.name_any() == name)
    }

    pub(crate) fn has_policy(&self, name: &str) -> bool {
        self.policies.iter().flatten().any(|policy| policy.name_any() == name)
    }

    /// The name for a new binding: the reference's, unless somebody else has it.
    pub(crate) fn free_name(&self, subject: &Owner, role: Role) -> String {
        let name = reference_name(subject, role);
        let taken = !self.is_orphan(&name)
            || self
                .policies
                .iter()
                .flatten()
                .any(|policy| policy.name_any() == name && !carries(policy.annotations(), subject, role));
        if taken { own_name(subject, role) } else { name }
    }

    pub(crate) fn nothing_to_remove(&self, sharing: &Sharing) -> ApiError {
        let Sharing { subject, role, namespace } = sharing;
        if self.bindings.iter().any(|binding| is_of(binding, subject, *role)) {
            let message = format!(
                "{} has the role {role} as the owner of {namespace}: it goes when the Profile has another owner",
                subject.name()
            );
            return ApiError::conflict("OwnersAccess", message);
        }
        ApiError::not_found(format!("{} does not have the role {role} in {namespace}", subject.name()))
    }
}

/// Whether a RoleBinding gives a subject a role.
pub(crate) fn is_of(binding: &RoleBinding, subject: &Owner, role: Role) -> bool {
    granted(binding).is_some_and(|(who, what)| who == *subject && what == role)
}

fn is_managed_policy(policy: &PolicyMeta) -> bool {
    is_managed(&policy.metadata) || policy.name_any() == OWNER_POLICY
}

/// Whether a policy without a RoleBinding is left of a sharing. Its annotations do not tell a user from a group of the same
/// name; names do.
fn is_left_of(policy: &PolicyMeta, sharing: &Sharing) -> bool {
    let kind = |kind: &str| format!("{}-", kind.to_ascii_lowercase());
    let name = policy.name_any();
    let of_another_kind = ["User", "Group", "ServiceAccount"]
        .into_iter()
        .filter(|other| *other != sharing.subject.kind().as_str())
        .any(|other| name.starts_with(&kind(other)));
    !of_another_kind && carries(policy.annotations(), &sharing.subject, sharing.role)
}

fn carries(annotations: &BTreeMap<String, String>, subject: &Owner, role: Role) -> bool {
    let is = |key: &str, value: &str| annotations.get(key).is_some_and(|it| it == value);
    is(USER_ANNOTATION, subject.name()) && is(ROLE_ANNOTATION, role.as_str())
}
