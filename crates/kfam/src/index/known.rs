//! Profiles and bindings, and how they are found.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use profile_render::Owner;
use profile_runtime::{ends::Ends, resource_version::ResourceVersion};

use super::{Binding, NewBinding, NewProfile, ProfileEntry};

#[derive(Default)]
pub(super) struct Known {
    pub(super) profiles: BTreeMap<Arc<str>, Arc<ProfileEntry>>,
    pub(super) by_owner: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    pub(super) by_namespace: BTreeMap<Arc<str>, Vec<Arc<Binding>>>,
    pub(super) by_user: HashMap<Arc<str>, Vec<Arc<Binding>>>,
    reasons: BTreeSet<Arc<str>>,
    pub(super) ends: Ends<Key>,
    /// How often bindings and Profiles were listed, and whether they ever were completely.
    pub(super) bindings_listed: Listed,
    pub(super) profiles_listed: Listed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Binding(Box<str>, Box<str>),
    Profile(Box<str>),
}

#[derive(Default)]
pub(super) struct Listed {
    pub(super) epoch: u64,
    pub(super) complete: bool,
}

impl Known {
    pub(super) fn insert_binding(&mut self, new: NewBinding) {
        let key = Key::Binding(new.namespace.as_str().into(), new.name.as_str().into());
        if self.ends.cover(&key, new.resource_version) {
            return;
        }
        let epoch = self.bindings_listed.epoch;
        if let Some(known) = self.binding(&new.namespace, &new.name)
            && !new.resource_version.is_newer(known.resource_version)
        {
            if known.seen < epoch {
                let seen = Binding { seen: epoch, ..(*known).clone() };
                self.put_binding(seen);
            }
            return;
        }
        let binding = Binding {
            namespace: self.interned_namespace(&new.namespace),
            kind: new.subject.kind(),
            user: self.interned_user(new.subject.name()),
            user_namespace: new.subject.namespace().map(|namespace| self.interned_namespace(namespace)),
            role: new.role,
            managed: new.managed,
            name: new.name.into_boxed_str(),
            resource_version: new.resource_version,
            seen: epoch,
        };
        self.put_binding(binding);
    }

    fn binding(&self, namespace: &str, name: &str) -> Option<Arc<Binding>> {
        self.by_namespace.get(namespace)?.iter().find(|binding| &*binding.name == name).cloned()
    }

    fn put_binding(&mut self, binding: Binding) {
        self.remove_binding(&binding.namespace.clone(), &binding.name.clone(), ResourceVersion::END);
        let binding = Arc::new(binding);
        push(self.by_user.entry(binding.user.clone()).or_default(), binding.clone());
        push(self.by_namespace.entry(binding.namespace.clone()).or_default(), binding);
    }

    pub(super) fn remove_binding(&mut self, namespace: &str, name: &str, resource_version: ResourceVersion) {
        let Some(known) =
            self.binding(namespace, name).filter(|known| !known.resource_version.is_newer(resource_version))
        else {
            return;
        };
        let others = |bindings: &mut Vec<Arc<Binding>>| {
            bindings.retain(|binding| !Arc::ptr_eq(binding, &known));
            bindings.is_empty()
        };
        if self.by_namespace.get_mut(namespace).is_some_and(others) {
            self.by_namespace.remove(namespace);
        }
        if self.by_user.get_mut(&*known.user).is_some_and(others) {
            self.by_user.remove(&*known.user);
        }
    }

    pub(super) fn insert_profile(&mut self, new: NewProfile) {
        let key = Key::Profile(new.name.as_str().into());
        if self.ends.cover(&key, new.resource_version) {
            return;
        }
        let epoch = self.profiles_listed.epoch;
        if let Some(known) = self.profiles.get_mut(new.name.as_str())
            && !new.resource_version.is_newer(known.resource_version)
        {
            Arc::make_mut(known).seen = epoch;
            return;
        }
        self.remove_profile(&new.name, ResourceVersion::END);
        let name = self.interned_namespace(&new.name);
        if let Some(Owner::User(user)) = &new.owner {
            let user = self.interned_user(user);
            self.by_owner.entry(user).or_default().insert(name.clone());
        }
        let entry = ProfileEntry {
            name: name.clone(),
            uid: new.uid.into_boxed_str(),
            owner: new.owner,
            ready: new.ready,
            reason: self.interned_reason(&new.reason),
            message: new.message.into_boxed_str(),
            terminating: new.terminating,
            resource_version: new.resource_version,
            seen: epoch,
        };
        self.profiles.insert(name, Arc::new(entry));
    }

    pub(super) fn remove_profile(&mut self, name: &str, resource_version: ResourceVersion) {
        if self.profiles.get(name).is_none_or(|known| known.resource_version.is_newer(resource_version)) {
            return;
        }
        if let Some(known) = self.profiles.remove(name)
            && let Some(Owner::User(user)) = &known.owner
            && let Some(names) = self.by_owner.get_mut(user.as_str())
        {
            names.remove(name);
            if names.is_empty() {
                self.by_owner.remove(user.as_str());
            }
        }
    }

    fn interned_namespace(&self, name: &str) -> Arc<str> {
        let known = self.profiles.get_key_value(name).map(|(known, _)| known);
        known
            .or_else(|| self.by_namespace.get_key_value(name).map(|(known, _)| known))
            .cloned()
            .unwrap_or_else(|| name.into())
    }

    fn interned_user(&self, name: &str) -> Arc<str> {
        let known = self.by_user.get_key_value(name).map(|(known, _)| known);
        known
            .or_else(|| self.by_owner.get_key_value(name).map(|(known, _)| known))
            .cloned()
            .unwrap_or_else(|| name.into())
    }

    fn interned_reason(&mut self, reason: &str) -> Arc<str> {
        if let Some(known) = self.reasons.get(reason) {
            return known.clone();
        }
        let reason: Arc<str> = reason.into();
        self.reasons.insert(reason.clone());
        reason
    }
}

/// Most have one or few, and no room is kept for more.
fn push(bindings: &mut Vec<Arc<Binding>>, binding: Arc<Binding>) {
    if bindings.len() < 8 {
        bindings.reserve_exact(1);
    }
    bindings.push(binding);
}
