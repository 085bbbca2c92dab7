//! Who may take over a namespace. This is the only place that decides it.

use profile_api::names::{ADOPT_ANNOTATION, OWNER_ANNOTATION};

use crate::{Observed, ValidProfile, observed::is_profile};

/// What a Profile may do with the namespace of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It does not exist and may be created.
    Absent,
    /// It is the Profile's.
    Ours,
    /// It is nobody's and may become the Profile's.
    Adoptable(Adoption),
    /// It is being deleted; wait until it is gone.
    Terminating,
    /// It is somebody else's and must not be touched.
    Foreign(Reason),
}

/// Why a namespace may become the Profile's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// Its annotation names the Profile's owner: so the Go controller left it, or it was restored from a backup.
    SameOwner,
    /// A cluster admin handed it to the Profile.
    HandedOver,
}

/// Why a namespace is somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Another controller manages it (kind and name).
    Controlled(String),
    /// Its annotation names another owner.
    OtherOwner(String),
    /// Nothing says that it belongs to a Profile.
    Unmarked,
}

/// Decides what a Profile may do with the namespace of its name.
///
/// `is_live` tells whether a Profile with a given UID exists: a reference to one that does not is stale, as after a
/// restore from a backup.
pub fn decide(
    profile: &ValidProfile,
    namespace: Option<&Observed>,
    is_live: impl Fn(&str) -> bool,
) -> Ownership {
    let Some(namespace) = namespace else {
        return Ownership::Absent;
    };
    if namespace.terminating {
        return Ownership::Terminating;
    }
    if namespace.is_owned_by(profile.uid()) {
        return Ownership::Ours;
    }
    let other = namespace.owner_references.iter().find(|reference| {
        if is_profile(reference) { is_live(&reference.uid) } else { reference.controller == Some(true) }
    });
    if let Some(other) = other {
        return Ownership::Foreign(Reason::Controlled(format!("{} {}", other.kind, other.name)));
    }
    let owner = namespace.annotations.get(OWNER_ANNOTATION);
    if owner.is_some_and(|owner| owner == profile.owner().name()) {
        return Ownership::Adoptable(Adoption::SameOwner);
    }
    if namespace.annotations.get(ADOPT_ANNOTATION).is_some_and(|profile_name| profile_name == profile.name())
    {
        return Ownership::Adoptable(Adoption::HandedOver);
    }
    Ownership::Foreign(owner.map_or(Reason::Unmarked, |owner| Reason::OtherOwner(owner.clone())))
}
