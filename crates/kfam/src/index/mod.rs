//! What is known of the cluster, in memory: Profiles and bindings, by namespace and by user.
//!
//! Watches fill it. What this process writes goes into it at once, so that a read after a write sees it; an older state that a
//! watch delivers afterwards is passed over.

mod known;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::RwLock;
use profile_api::SubjectKind;
use profile_render::{Owner, contributor::Role};
use profile_runtime::resource_version::ResourceVersion;

use self::known::{Key, Known};

/// Somebody's access to a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The namespace, which has the name of its Profile.
    pub namespace: Arc<str>,
    /// Kind of the subject.
    pub kind: SubjectKind,
    /// Name of the subject.
    pub user: Arc<str>,
    /// Of a ServiceAccount: where it lives.
    pub user_namespace: Option<Arc<str>>,
    /// What they may do.
    pub role: Role,
    /// Whether it is the owner's, which follows the Profile.
    pub managed: bool,
    /// Name of the RoleBinding.
    pub name: Box<str>,
    resource_version: ResourceVersion,
    seen: u64,
}

/// A Profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileEntry {
    /// Its name, and that of its namespace.
    pub name: Arc<str>,
    /// Its UID.
    pub uid: Box<str>,
    /// Who it belongs to; `None` if that does not decode.
    pub owner: Option<Owner>,
    /// Whether everything is in place, as far as the controller has said.
    pub ready: Option<bool>,
    /// Why it is ready or not, in one word; empty while nothing is said.
    pub reason: Arc<str>,
    /// Why it is not ready, for people; empty when it is ready.
    pub message: Box<str>,
    /// Whether it is being deleted.
    pub terminating: bool,
    resource_version: ResourceVersion,
    seen: u64,
}

/// A RoleBinding as it comes into the index.
pub(crate) struct NewBinding {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subject: Owner,
    pub(crate) role: Role,
    pub(crate) managed: bool,
    pub(crate) resource_version: ResourceVersion,
}

/// A Profile as it comes into the index.
pub(crate) struct NewProfile {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) owner: Option<Owner>,
    pub(crate) ready: Option<bool>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) terminating: bool,
    pub(crate) resource_version: ResourceVersion,
}

/// A moment before a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    bindings: u64,
    profiles: u64,
}

/// The index.
#[derive(Default)]
pub struct Index {
    known: RwLock<Known>,
}

impl Index {
    /// Whether everything has been listed once.
    pub fn is_filled(&self) -> bool {
        let known = self.known.read();
        known.bindings_listed.complete && known.profiles_listed.complete
    }

    /// How many Profiles and bindings there are.
    pub fn counts(&self) -> (usize, usize) {
        let known = self.known.read();
        (known.profiles.len(), known.by_namespace.values().map(Vec::len).sum())
    }

    /// A Profile.
    pub fn profile(&self, name: &str) -> Option<Arc<ProfileEntry>> {
        self.known.read().profiles.get(name).cloned()
    }

    /// All Profiles, by name.
    pub fn profiles(&self) -> Vec<Arc<ProfileEntry>> {
        self.known.read().profiles.values().cloned().collect()
    }

    /// The Profiles that a user owns, by name.
    pub fn profiles_of(&self, user: &str) -> Vec<Arc<ProfileEntry>> {
        let known = self.known.read();
        let names = known.by_owner.get(user).into_iter().flatten();
        names.filter_map(|name| known.profiles.get(name).cloned()).collect()
    }

    /// The bindings of all Profiles, by namespace.
    pub fn bindings(&self) -> Vec<Arc<Binding>> {
        let known = self.known.read();
        let of_profiles =
            known.by_namespace.iter().filter(|(namespace, _)| known.profiles.contains_key(*namespace));
        of_profiles.flat_map(|(_, bindings)| bindings.iter().cloned()).collect()
    }

    /// The bindings of a Profile.
    pub fn bindings_in(&self, namespace: &str) -> Vec<Arc<Binding>> {
        let known = self.known.read();
        if !known.profiles.contains_key(namespace) {
            return Vec::new();
        }
        known.by_namespace.get(namespace).cloned().unwrap_or_default()
    }

    /// The bindings of all subjects of a name, of whatever kind.
    pub fn bindings_of(&self, name: &str) -> Vec<Arc<Binding>> {
        let known = self.known.read();
        let bindings = known.by_user.get(name).into_iter().flatten();
        bindings.filter(|binding| known.profiles.contains_key(&binding.namespace)).cloned().collect()
    }

    /// The most that a user may do in a Profile's namespace.
    pub fn role_of(&self, user: &str, namespace: &str) -> Option<Role> {
        let known = self.known.read();
        let bindings = known.by_user.get(user).into_iter().flatten();
        bindings
            .filter(|binding| binding.kind == SubjectKind::User && *binding.namespace == *namespace)
            .filter(|binding| known.profiles.contains_key(&binding.namespace))
            .map(|binding| binding.role)
            .max()
    }

    /// A list of RoleBindings begins.
    pub(crate) fn begin_bindings(&self) {
        self.known.write().bindings_listed.epoch += 1;
    }

    /// A list of RoleBindings has ended: what has not been seen since it began is gone.
    pub(crate) fn end_bindings(&self) {
        let mut known = self.known.write();
        let epoch = known.bindings_listed.epoch;
        let bindings = known.by_namespace.values().flatten();
        let gone: Vec<_> = bindings.filter(|binding| binding.seen < epoch).cloned().collect();
        for binding in gone {
            known.remove_binding(&binding.namespace, &binding.name, ResourceVersion::END);
        }
        known.bindings_listed.complete = true;
    }

    /// A list of Profiles begins.
    pub(crate) fn begin_profiles(&self) {
        self.known.write().profiles_listed.epoch += 1;
    }

    /// A list of Profiles has ended: what has not been seen since it began is gone.
    pub(crate) fn end_profiles(&self) {
        let mut known = self.known.write();
        let epoch = known.profiles_listed.epoch;
        let profiles = known.profiles.values();
        let gone: Vec<_> = profiles.filter(|profile| profile.seen < epoch).cloned().collect();
        for profile in gone {
            known.remove_profile(&profile.name, ResourceVersion::END);
        }
        known.profiles_listed.complete = true;
    }

    /// The moment before a write, so that its answer can be told from news.
    pub(crate) fn moment(&self) -> Moment {
        let known = self.known.read();
        Moment { bindings: known.bindings_listed.epoch, profiles: known.profiles_listed.epoch }
    }

    /// Takes in the answer to one of our own writes, asked for at a moment. If everything was listed since, the list knows
    /// better: the object may have ended in between.
    pub(crate) fn binding_written(&self, binding: NewBinding, asked: Moment) {
        let mut known = self.known.write();
        if known.bindings_listed.epoch == asked.bindings {
            known.insert_binding(binding);
        }
    }

    /// The same for a Profile.
    pub(crate) fn profile_written(&self, profile: NewProfile, asked: Moment) {
        let mut known = self.known.write();
        if known.profiles_listed.epoch == asked.profiles {
            known.insert_profile(profile);
        }
    }

    /// Takes in the state of a binding.
    pub(crate) fn insert_binding(&self, binding: NewBinding) {
        self.known.write().insert_binding(binding);
    }

    /// A RoleBinding is gone, or is not a binding any more, since a resource version.
    pub(crate) fn remove_binding(&self, namespace: &str, name: &str, resource_version: ResourceVersion) {
        let mut known = self.known.write();
        known.ends.note(Key::Binding(namespace.into(), name.into()), resource_version);
        known.remove_binding(namespace, name, resource_version);
    }

    /// Takes in the state of a Profile.
    pub(crate) fn insert_profile(&self, profile: NewProfile) {
        self.known.write().insert_profile(profile);
    }

    /// A Profile is gone, since a resource version.
    pub(crate) fn remove_profile(&self, name: &str, resource_version: ResourceVersion) {
        let mut known = self.known.write();
        known.ends.note(Key::Profile(name.into()), resource_version);
        known.remove_profile(name, resource_version);
    }
}
