//! Who a Profile belongs to.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::names::RBAC_GROUP;

/// The kinds of subject that may own a Profile, as Kubernetes RBAC spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// A person, named as the cluster's authentication names them (usually an e-mail address).
    User,
    /// A group of people, named as the cluster's authentication names it.
    Group,
    /// A ServiceAccount of some namespace.
    ServiceAccount,
}

impl SubjectKind {
    /// The kind that `text` spells; `None` for any other text, case included.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "User" => Some(Self::User),
            "Group" => Some(Self::Group),
            "ServiceAccount" => Some(Self::ServiceAccount),
            _ => None,
        }
    }

    /// The kind as it is written in a Subject.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::ServiceAccount => "ServiceAccount",
        }
    }
}

/// An RBAC subject: a user, a group or a ServiceAccount.
///
/// `kind` is text here, because objects from before these rules existed have to stay readable;
/// [`SubjectKind::parse`] says which kind it is.
// The rules below are not evaluated again while the owner stays as it is (ratcheting), so an old object that violates
// one can still be changed elsewhere and deleted. A rule that cannot be evaluated fails in spite of ratcheting, hence
// `has` even for required fields: old objects may lack them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.kind) || self.kind in ['User', 'Group', 'ServiceAccount']")
        .message("kind must be User, Group or ServiceAccount")
        .field_path(".kind"),
    validation = Rule::new("!has(self.kind) || self.kind != 'ServiceAccount' || (has(self.__namespace__) && self.__namespace__ != '')")
        .message("namespace is required when kind is ServiceAccount: name the namespace that the ServiceAccount lives in"),
    validation = Rule::new(
        "!has(self.kind) || !has(self.name) || self.kind != 'ServiceAccount' || (self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') \
         && (!has(self.__namespace__) || self.__namespace__.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$')))"
    )
    .message("name and namespace of a ServiceAccount must be valid object names: lower-case letters, digits and '-' (in name also '.')"),
    validation = Rule::new("!has(self.name) || !self.name.contains('*')")
        .message("name must not contain '*': Istio would match it as a wildcard and let other users in; write the one name that is meant")
        .field_path(".name"),
    validation = Rule::new("!has(self.name) || self.name.matches('^[^\\\\s\\\\p{Cc}]([^\\\\p{Cc}]*[^\\\\s\\\\p{Cc}])?$')")
        .message("name must be one non-empty name, without white space around it and without control characters")
        .field_path(".name"),
    validation = Rule::new("!has(self.apiGroup) || self.apiGroup in ['', 'rbac.authorization.k8s.io']")
        .message("apiGroup must be left out or be rbac.authorization.k8s.io (for User and Group)")
        .field_path(".apiGroup")
)]
pub struct Subject {
    /// API group of the subject. Leave it out: it follows from `kind`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// Kind of the subject: `User`, `Group` or `ServiceAccount`.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// Name of the subject, exactly as the cluster's authentication spells it; for a User usually an e-mail address.
    /// Wildcards are not allowed.
    #[schemars(length(max = 1024))]
    pub name: String,
    /// Namespace of the subject. Required for a ServiceAccount, without meaning for the other kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}

impl Subject {
    /// A user, by the name that the cluster's authentication gives them.
    pub fn user(name: impl Into<String>) -> Self {
        Self::of_rbac(SubjectKind::User, name.into())
    }

    /// A group of users.
    pub fn group(name: impl Into<String>) -> Self {
        Self::of_rbac(SubjectKind::Group, name.into())
    }

    /// A ServiceAccount of a namespace.
    pub fn service_account(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            api_group: None,
            kind: SubjectKind::ServiceAccount.as_str().into(),
            name: name.into(),
            namespace: Some(namespace.into()),
        }
    }

    fn of_rbac(kind: SubjectKind, name: String) -> Self {
        Self { api_group: Some(RBAC_GROUP.into()), kind: kind.as_str().into(), name, namespace: None }
    }
}
