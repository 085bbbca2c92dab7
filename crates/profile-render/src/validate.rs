//! From what a user wrote to what can be rendered.
//!
//! The API server checks most of this before an object is stored. It is checked again because objects from before the
//! rules existed are still there, and because `render` works without an API server.

use std::collections::BTreeSet;

use kube::core::ObjectMeta;
use profile_api::{Plugin, ProfileSpec, ResourceQuotaSpec, Subject, SubjectKind};
use thiserror::Error;

use crate::{PlatformConfig, labels::is_dns_label};

/// A Profile that can be rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidProfile {
    name: String,
    uid: String,
    owner: Owner,
    quota: Option<ResourceQuotaSpec>,
}

impl ValidProfile {
    /// Name of the Profile and of its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// UID of the Profile, which is what decides over ownership.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Who the namespace belongs to.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The limits of the namespace, if there are any.
    pub fn quota(&self) -> Option<&ResourceQuotaSpec> {
        self.quota.as_ref()
    }
}

/// Who a Profile belongs to, with what each kind of owner needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A user, by name.
    User(String),
    /// A group, by name.
    Group(String),
    /// A ServiceAccount of some namespace.
    ServiceAccount {
        /// Namespace of the ServiceAccount.
        namespace: String,
        /// Name of the ServiceAccount.
        name: String,
    },
}

impl Owner {
    /// The kind of subject.
    pub fn kind(&self) -> SubjectKind {
        match self {
            Self::User(_) => SubjectKind::User,
            Self::Group(_) => SubjectKind::Group,
            Self::ServiceAccount { .. } => SubjectKind::ServiceAccount,
        }
    }

    /// The namespace of a ServiceAccount.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::User(_) | Self::Group(_) => None,
            Self::ServiceAccount { namespace, .. } => Some(namespace),
        }
    }

    /// The name of the owner, as in `spec.owner.name`.
    pub fn name(&self) -> &str {
        match self {
            Self::User(name) | Self::Group(name) | Self::ServiceAccount { name, .. } => name,
        }
    }
}

/// A field that is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct InvalidField {
    /// Path of the field in the Profile, such as `spec.owner.name`.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl InvalidField {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Why a Profile is not turned into anything.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Its name is reserved by the platform.
    #[error("metadata.name: {name:?} is reserved (by {pattern:?}): choose another name")]
    ReservedName {
        /// Name of the Profile.
        name: String,
        /// The pattern that reserves it.
        pattern: String,
    },
    /// A field is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
}

/// Checks a Profile, given as its metadata (of which the name and the UID matter) and its spec.
///
/// # Errors
/// When its name is reserved or a field is not as it has to be; the first problem found is reported.
pub fn validate(
    metadata: &ObjectMeta,
    spec: &ProfileSpec,
    config: &PlatformConfig,
) -> Result<ValidProfile, Refusal> {
    let name = metadata.name.clone().unwrap_or_default();
    if !is_dns_label(&name) {
        let problem = "becomes the name of a namespace: at most 63 lower-case letters, digits and '-', \
                       starting and ending with a letter or digit";
        return Err(InvalidField::new("metadata.name", problem).into());
    }
    if let Some(pattern) = config.reserved_names.pattern_for(&name) {
        return Err(Refusal::ReservedName { pattern: pattern.to_owned(), name });
    }
    let owner = Owner::validate(&spec.owner, "spec.owner")?;
    validate_plugins(&spec.plugins)?;
    let quota = spec.resource_quota_spec.clone().filter(|quota| !quota.hard.is_empty());
    if let Some(quota) = &quota {
        validate_quota(quota)?;
    }
    Ok(ValidProfile { name, uid: metadata.uid.clone().unwrap_or_default(), owner, quota })
}

impl Owner {
    /// Checks a subject who is to be given access. `field` is its path, for the error.
    ///
    /// # Errors
    /// When its kind or its name is not as it has to be.
    pub fn validate(subject: &Subject, field: &str) -> Result<Self, InvalidField> {
        let name = validate_name(&subject.name, field)?;
        match SubjectKind::parse(&subject.kind) {
            Some(SubjectKind::User) => Ok(Self::User(name)),
            Some(SubjectKind::Group) => Ok(Self::Group(name)),
            Some(SubjectKind::ServiceAccount) => {
                let namespace = subject.namespace.clone().unwrap_or_default();
                if !is_dns_label(&namespace) {
                    let problem = "must name the namespace that the ServiceAccount lives in";
                    return Err(InvalidField::new(format!("{field}.namespace"), problem));
                }
                if !name.split('.').all(is_dns_label) {
                    let problem =
                        "must be the name of a ServiceAccount: lower-case letters, digits, '-' and '.'";
                    return Err(InvalidField::new(format!("{field}.name"), problem));
                }
                Ok(Self::ServiceAccount { namespace, name })
            }
            None => {
                let problem = format!("{:?} must be User, Group or ServiceAccount", subject.kind);
                Err(InvalidField::new(format!("{field}.kind"), problem))
            }
        }
    }
}

/// In an Istio policy `*` at either end of a value matches anything, so that one name would let many users in.
fn validate_name(name: &str, field: &str) -> Result<String, InvalidField> {
    let problem = if name.contains('*') {
        "must not contain '*', which Istio would match as a wildcard: write the one name that is meant"
    } else if name.is_empty() || name.trim() != name || name.contains(char::is_control) {
        "must be one non-empty name, without white space around it and without control characters"
    } else {
        return Ok(name.to_owned());
    };
    Err(InvalidField::new(format!("{field}.name"), problem))
}

/// Two of one kind would each undo what the other grants.
fn validate_plugins(plugins: &[Plugin]) -> Result<(), InvalidField> {
    let mut kinds = BTreeSet::new();
    match plugins.iter().find(|plugin| !kinds.insert(&plugin.kind)) {
        None => Ok(()),
        Some(plugin) => {
            let problem = format!(
                "must not hold two of kind {}: merge their settings into one, or remove one",
                plugin.kind
            );
            Err(InvalidField::new("spec.plugins", problem))
        }
    }
}

fn validate_quota(quota: &ResourceQuotaSpec) -> Result<(), InvalidField> {
    for (resource, amount) in &quota.hard {
        let field = || format!("spec.resourceQuotaSpec.hard[{resource}]");
        match amount.nanos() {
            Ok(0..) => {}
            Ok(_) => return Err(InvalidField::new(field(), "must not be negative")),
            Err(error) => return Err(InvalidField::new(field(), error.to_string())),
        }
    }
    Ok(())
}
