//! The kinds of objects that a Profile owns: the one list from which watches, plans and permissions follow.

use std::fmt;

use kube::core::{ApiResource, GroupVersionKind};
use serde::{Deserialize, Serialize};

/// A kind of object that a Profile owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OwnedKind {
    /// core/v1 Namespace, named like the Profile.
    Namespace,
    /// core/v1 ServiceAccount.
    ServiceAccount,
    /// rbac.authorization.k8s.io/v1 RoleBinding.
    RoleBinding,
    /// security.istio.io/v1 AuthorizationPolicy.
    AuthorizationPolicy,
    /// core/v1 ResourceQuota.
    ResourceQuota,
}

impl OwnedKind {
    /// Every kind that a Profile owns.
    pub const ALL: [Self; 5] = [
        Self::Namespace,
        Self::ServiceAccount,
        Self::RoleBinding,
        Self::AuthorizationPolicy,
        Self::ResourceQuota,
    ];

    /// How the API server names the kind.
    pub fn api_resource(self) -> ApiResource {
        let (group, plural) = match self {
            Self::Namespace => ("", "namespaces"),
            Self::ServiceAccount => ("", "serviceaccounts"),
            Self::RoleBinding => ("rbac.authorization.k8s.io", "rolebindings"),
            Self::AuthorizationPolicy => ("security.istio.io", "authorizationpolicies"),
            Self::ResourceQuota => ("", "resourcequotas"),
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", self.as_str()), plural)
    }

    /// The `kind` of such an object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::ServiceAccount => "ServiceAccount",
            Self::RoleBinding => "RoleBinding",
            Self::AuthorizationPolicy => "AuthorizationPolicy",
            Self::ResourceQuota => "ResourceQuota",
        }
    }

    /// Whether such objects live in a namespace.
    pub fn is_namespaced(self) -> bool {
        self != Self::Namespace
    }

    /// The top-level fields that are owned as a whole. What the others hold (the pull secrets of a ServiceAccount, the
    /// finalizers of a namespace) is left to whoever put it there.
    pub fn content_fields(self) -> &'static [&'static str] {
        match self {
            Self::Namespace | Self::ServiceAccount => &[],
            Self::RoleBinding => &["roleRef", "subjects"],
            Self::AuthorizationPolicy | Self::ResourceQuota => &["spec"],
        }
    }

    /// The path within the content, each step a field, that cannot be changed in place; the object has to be replaced.
    pub fn immutable_path(self) -> Option<&'static [&'static str]> {
        match self {
            Self::RoleBinding => Some(&["roleRef"]),
            Self::ResourceQuota => Some(&["spec", "scopes"]),
            Self::Namespace | Self::ServiceAccount | Self::AuthorizationPolicy => None,
        }
    }
}

impl fmt::Display for OwnedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which object: its kind, its namespace (the name of the Profile) and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Kind of the object.
    pub kind: OwnedKind,
    /// Name of the Profile, which is the object's namespace, or for a Namespace its name.
    pub profile: String,
    /// Name of the object.
    pub name: String,
}

impl ObjectKey {
    /// The namespace of a Profile.
    pub fn namespace(profile: &str) -> Self {
        Self { kind: OwnedKind::Namespace, profile: profile.to_owned(), name: profile.to_owned() }
    }

    /// An object in the namespace of a Profile.
    pub fn namespaced(kind: OwnedKind, profile: &str, name: &str) -> Self {
        Self { kind, profile: profile.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.is_namespaced() {
            write!(f, "{} {}/{}", self.kind, self.profile, self.name)
        } else {
            write!(f, "{} {}", self.kind, self.name)
        }
    }
}
