//! Access of a contributor: somebody with whom a namespace is shared. It is two objects of one name: a RoleBinding for the API
//! server, and a mesh policy for the browser.

use std::fmt;

use k8s_openapi::{api::rbac::v1::RoleBinding, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use profile_api::names::{
    CLUSTER_ROLE_ADMIN, CLUSTER_ROLE_EDIT, CLUSTER_ROLE_VIEW, ROLE_ADMIN, ROLE_ANNOTATION, USER_ANNOTATION,
};

use crate::{
    Owner, PlatformConfig,
    mesh::{self, AuthorizationPolicy},
    objects::{owner_subject, role_binding},
};

/// What a contributor may do. The order is that of rights: `View` is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May look.
    View,
    /// May change things in the namespace.
    Edit,
    /// May do what the owner may, and share the namespace.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::View, Self::Edit, Self::Admin];

    /// The role as KFAM spells it on the wire, and in the annotation `role`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Admin => ROLE_ADMIN,
        }
    }

    /// The ClusterRole that is bound.
    pub fn cluster_role(self) -> &'static str {
        match self {
            Self::View => CLUSTER_ROLE_VIEW,
            Self::Edit => CLUSTER_ROLE_EDIT,
            Self::Admin => CLUSTER_ROLE_ADMIN,
        }
    }

    /// The role that `text` spells; `None` for any other text, case included.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// The role to which a ClusterRole belongs.
    pub fn of_cluster_role(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.cluster_role() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The RoleBinding that gives a contributor a role.
pub fn contributor_binding(namespace: &str, name: &str, subject: &Owner, role: Role) -> RoleBinding {
    role_binding(metadata(namespace, name, subject, role), role.cluster_role(), owner_subject(subject))
}

/// The policy that lets a contributor in through the mesh. `None` for a group on a platform that does not say which claim lists
/// a user's groups: then there is access through RBAC alone.
pub fn contributor_policy(
    namespace: &str,
    name: &str,
    subject: &Owner,
    role: Role,
    config: &PlatformConfig,
) -> Option<AuthorizationPolicy> {
    let mut policy = mesh::contributor_policy(subject, config)?;
    policy.metadata = metadata(namespace, name, subject, role);
    Some(policy)
}

/// The annotations by which KFAM recognises access as a binding.
pub(crate) fn annotations(subject: &Owner, role: Role) -> [(String, String); 2] {
    [
        (USER_ANNOTATION.to_owned(), subject.name().to_owned()),
        (ROLE_ANNOTATION.to_owned(), role.as_str().to_owned()),
    ]
}

fn metadata(namespace: &str, name: &str, subject: &Owner, role: Role) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        annotations: Some(annotations(subject, role).into()),
        ..ObjectMeta::default()
    }
}
