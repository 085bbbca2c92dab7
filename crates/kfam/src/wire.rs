//! What goes over the wire: the JSON of the reference, key by key.

use profile_api::{ProfileSpec, Subject, names::RBAC_GROUP};
use profile_render::{InvalidField, Owner, contributor::Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kind of the roles that are given.
const CLUSTER_ROLE: &str = "ClusterRole";

/// Somebody's access to a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WireBinding {
    /// Who has access.
    pub user: WireSubject,
    /// The namespace: the name of a Profile.
    #[schema(min_length = 1, example = "team-vision")]
    pub referred_namespace: String,
    /// What they may do. The key begins with a capital letter.
    #[serde(rename = "RoleRef", alias = "roleRef")]
    pub role_ref: WireRole,
}

/// A user, a group or a ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WireSubject {
    /// `User`, `Group` or `ServiceAccount`.
    #[schema(example = "User", pattern = "^(User|Group|ServiceAccount)$")]
    pub kind: String,
    /// May be left out, as it follows from the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// As the cluster's authentication spells it.
    #[schema(example = "jane@example.com", pattern = "^[!-)+-~]([ -)+-~]*[!-)+-~])?$", max_length = 1024)]
    pub name: String,
    /// Of a ServiceAccount alone: where it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WireRole {
    /// May be left out.
    #[serde(default)]
    #[schema(pattern = "^(rbac[.]authorization[.]k8s[.]io)?$")]
    pub api_group: String,
    /// `ClusterRole`.
    #[schema(example = "ClusterRole", pattern = "^ClusterRole$")]
    pub kind: String,
    /// `admin`, `edit` or `view`.
    #[schema(example = "edit", pattern = "^(admin|edit|view)$")]
    pub name: String,
}

/// A list of bindings.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WireBindings {
    /// All that match.
    pub bindings: Vec<WireBinding>,
}

/// A Profile to be created.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WireProfile {
    /// Of it the name counts.
    pub metadata: WireMetadata,
    /// Who it belongs to; from a cluster admin also plugins and limits.
    #[schema(value_type = WireProfileSpec)]
    pub spec: ProfileSpec,
}

/// Metadata of a Profile.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct WireMetadata {
    /// Name of the Profile and of its namespace.
    #[schema(example = "jane", pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length = 63)]
    pub name: String,
}

/// How a Profile's spec is described; it is read as [`ProfileSpec`].
#[derive(ToSchema)]
#[allow(dead_code, reason = "a description")]
#[schema(rename_all = "camelCase")]
pub(crate) struct WireProfileSpec {
    /// Who it belongs to.
    owner: WireSubject,
}

/// What is asked for: a subject, a role, a namespace, all checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// With whom.
    pub subject: Owner,
    /// As what.
    pub role: Role,
    /// Of which Profile.
    pub namespace: String,
}

impl WireBinding {
    /// Checks what came over the wire.
    ///
    /// # Errors
    /// With the field that is wrong.
    pub fn check(self) -> Result<Sharing, InvalidField> {
        let invalid = |field: &str, problem: String| InvalidField { field: field.to_owned(), problem };
        let WireRole { api_group, kind, name } = self.role_ref;
        if !matches!(api_group.as_str(), "" | RBAC_GROUP) {
            return Err(invalid("RoleRef.apiGroup", format!("must be left out or be {RBAC_GROUP}")));
        }
        if kind != CLUSTER_ROLE {
            return Err(invalid("RoleRef.kind", format!("{kind:?} must be {CLUSTER_ROLE}")));
        }
        let Some(role) = Role::parse(&name) else {
            return Err(invalid("RoleRef.name", format!("{name:?} must be admin, edit or view")));
        };
        let subject = Owner::validate(&self.user.into(), "user")?;
        if subject.name().len() > 1024 {
            return Err(invalid("user.name", "must have at most 1024 bytes".to_owned()));
        }
        Ok(Sharing { subject, role, namespace: self.referred_namespace })
    }

    /// What goes over the wire.
    pub fn new(subject: &Owner, role: Role, namespace: &str) -> Self {
        Self {
            user: WireSubject {
                kind: subject.kind().as_str().to_owned(),
                api_group: None,
                name: subject.name().to_owned(),
                namespace: subject.namespace().map(str::to_owned),
            },
            referred_namespace: namespace.to_owned(),
            role_ref: WireRole {
                api_group: String::new(),
                kind: CLUSTER_ROLE.to_owned(),
                name: role.as_str().to_owned(),
            },
        }
    }
}

impl From<WireSubject> for Subject {
    fn from(wire: WireSubject) -> Self {
        Self { api_group: wire.api_group, kind: wire.kind, name: wire.name, namespace: wire.namespace }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(value: serde_json::Value) -> WireBinding {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_the_dashboard_sends_is_read_and_what_it_reads_is_written() {
        let binding = json!({
            "user": { "kind": "User", "name": "jane@example.com" },
            "referredNamespace": "team",
            "RoleRef": { "kind": "ClusterRole", "name": "edit" },
            "status": {},
        });
        let sharing = parsed(binding).check().unwrap();
        assert_eq!(sharing.subject, Owner::User("jane@example.com".to_owned()));
        assert_eq!((sharing.role, sharing.namespace.as_str()), (Role::Edit, "team"));
        assert_eq!(
            json!(WireBinding::new(&sharing.subject, sharing.role, &sharing.namespace)),
            json!({
                "user": { "kind": "User", "name": "jane@example.com" },
                "referredNamespace": "team",
                "RoleRef": { "apiGroup": "", "kind": "ClusterRole", "name": "edit" },
            })
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let binding = |path: &str, value: &str| {
            let mut binding = json!(WireBinding::new(&Owner::User("jane".to_owned()), Role::View, "team"));
            *binding.pointer_mut(path).unwrap() = json!(value);
            parsed(binding).check().unwrap_err().field
        };
        assert_eq!(binding("/RoleRef/name", "kubeflow-view"), "RoleRef.name");
        assert_eq!(binding("/RoleRef/name", "Admin"), "RoleRef.name");
        assert_eq!(binding("/RoleRef/kind", "Role"), "RoleRef.kind");
        assert_eq!(binding("/RoleRef/apiGroup", "apps"), "RoleRef.apiGroup");
        assert_eq!(binding("/user/kind", "Users"), "user.kind");
        assert_eq!(binding("/user/kind", "ServiceAccount"), "user.namespace");
        assert_eq!(binding("/user/name", "*"), "user.name");
    }
}
