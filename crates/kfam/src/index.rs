//! What is known of the cluster, in memory: Profiles and bindings, by namespace and by user.
//!
//! Watches fill it. What this process writes goes into it at once, so that a read after a write sees it; an older state that a
//! watch delivers afterwards is passed over.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use profile_api::SubjectKind;
use profile_render::{Owner, contributor::Role};

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
    resource_version: u64,
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
    resource_version: u64,
    seen: u64,
}

/// A RoleBinding as it comes into the index.
pub(crate) struct NewBinding {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subject: Owner,
    pub(crate) role: Role,
    pub(crate) managed: bool,
    pub(crate) resource_version: u64,
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
    pub(crate) resource_version: u64,
}

/// A moment before a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    bindings: u64,
    profiles: u64,
}

/// How long an end is remembered: longer than the answer to any request may be on its way.
const END_REMEMBERED: Duration = Duration::from_secs(120);

/// The index.
#[derive(Default)]
pub struct Index {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    profiles: BTreeMap<Arc<str>, Arc<ProfileEntry>>,
    by_owner: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    by_namespace: BTreeMap<Arc<str>, Vec<Arc<Binding>>>,
    by_user: HashMap<Arc<str>, Vec<Arc<Binding>>>,
    reasons: BTreeSet<Arc<str>>,
    ends: HashMap<Key, End>,
    ends_forgotten: Option<Instant>,
    /// How often bindings and Profiles were listed, and whether they ever were completely.
    bindings_listed: Listed,
    profiles_listed: Listed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Binding(Box<str>, Box<str>),
    Profile(Box<str>),
}

struct End {
    resource_version: u64,
    at: Instant,
}

#[derive(Default)]
struct Listed {
    epoch: u64,
    complete: bool,
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
            known.remove_binding(&binding.namespace, &binding.name, u64::MAX);
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
            known.remove_profile(&profile.name, u64::MAX);
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
    pub(crate) fn remove_binding(&self, namespace: &str, name: &str, resource_version: u64) {
        let mut known = self.known.write();
        known.note_end(Key::Binding(namespace.into(), name.into()), resource_version);
        known.remove_binding(namespace, name, resource_version);
    }

    /// Takes in the state of a Profile.
    pub(crate) fn insert_profile(&self, profile: NewProfile) {
        self.known.write().insert_profile(profile);
    }

    /// A Profile is gone, since a resource version.
    pub(crate) fn remove_profile(&self, name: &str, resource_version: u64) {
        let mut known = self.known.write();
        known.note_end(Key::Profile(name.into()), resource_version);
        known.remove_profile(name, resource_version);
    }
}

impl Known {
    fn insert_binding(&mut self, new: NewBinding) {
        let key = Key::Binding(new.namespace.as_str().into(), new.name.as_str().into());
        if self.has_ended(&key, new.resource_version) {
            return;
        }
        let epoch = self.bindings_listed.epoch;
        if let Some(known) = self.binding(&new.namespace, &new.name)
            && !is_newer(new.resource_version, known.resource_version)
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
        self.remove_binding(&binding.namespace.clone(), &binding.name.clone(), u64::MAX);
        let binding = Arc::new(binding);
        push(self.by_user.entry(binding.user.clone()).or_default(), binding.clone());
        push(self.by_namespace.entry(binding.namespace.clone()).or_default(), binding);
    }

    fn remove_binding(&mut self, namespace: &str, name: &str, resource_version: u64) {
        let Some(known) =
            self.binding(namespace, name).filter(|known| known.resource_version <= resource_version)
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

    fn insert_profile(&mut self, new: NewProfile) {
        let key = Key::Profile(new.name.as_str().into());
        if self.has_ended(&key, new.resource_version) {
            return;
        }
        let epoch = self.profiles_listed.epoch;
        if let Some(known) = self.profiles.get_mut(new.name.as_str())
            && !is_newer(new.resource_version, known.resource_version)
        {
            Arc::make_mut(known).seen = epoch;
            return;
        }
        self.remove_profile(&new.name, u64::MAX);
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

    fn remove_profile(&mut self, name: &str, resource_version: u64) {
        if self.profiles.get(name).is_none_or(|known| known.resource_version > resource_version) {
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

    fn has_ended(&self, key: &Key, resource_version: u64) -> bool {
        self.ends.get(key).is_some_and(|end| !is_newer(resource_version, end.resource_version))
    }

    /// Ends are forgotten now and then, so that thousands of them do not look at thousands each time.
    fn note_end(&mut self, key: Key, resource_version: u64) {
        if self.ends_forgotten.is_none_or(|at| at.elapsed() > END_REMEMBERED) {
            self.ends.retain(|_, end| end.at.elapsed() < END_REMEMBERED);
            self.ends_forgotten = Some(Instant::now());
        }
        self.ends.insert(key, End { resource_version, at: Instant::now() });
    }
}

/// Most have one or few, and no room is kept for more.
fn push(bindings: &mut Vec<Arc<Binding>>, binding: Arc<Binding>) {
    if bindings.len() < 8 {
        bindings.reserve_exact(1);
    }
    bindings.push(binding);
}

/// Resource versions are ordered as numbers. One that is not a number is 0, and counts as newer than any.
pub(crate) fn parse_version(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn is_newer(version: u64, than: u64) -> bool {
    version == 0 || version > than
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Owner {
        Owner::User(name.to_owned())
    }

    fn binding(namespace: &str, name: &str, subject: Owner, role: Role, resource_version: u64) -> NewBinding {
        NewBinding {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subject,
            role,
            managed: false,
            resource_version,
        }
    }

    fn profile(name: &str, owner: &str, resource_version: u64) -> NewProfile {
        NewProfile {
            name: name.to_owned(),
            uid: "u".to_owned(),
            owner: Some(user(owner)),
            ready: Some(true),
            reason: "Reconciled".to_owned(),
            message: String::new(),
            terminating: false,
            resource_version,
        }
    }

    fn seen(index: &Index) -> Vec<(String, String, Role)> {
        let bindings = index.bindings();
        bindings.iter().map(|it| (it.namespace.to_string(), it.user.to_string(), it.role)).collect()
    }

    #[test]
    fn bindings_are_found_by_user_and_by_namespace_where_there_is_a_profile() {
        let index = Index::default();
        index.insert_binding(binding("a", "x", user("jane"), Role::Admin, 1));
        index.insert_binding(binding("b", "x", user("jane"), Role::View, 2));
        index.insert_binding(binding("b", "y", user("joe"), Role::Edit, 3));
        assert_eq!(index.bindings(), [], "no Profile yet");
        assert_eq!(index.role_of("jane", "a"), None);
        index.insert_profile(profile("a", "jane", 4));
        assert_eq!(index.role_of("jane", "a"), Some(Role::Admin), "the Profile may come later");
        assert_eq!(index.bindings_of("jane").len(), 1);
        index.insert_profile(profile("b", "joe", 5));
        assert_eq!(index.bindings_of("jane").len(), 2);
        assert_eq!(index.bindings_in("b").len(), 2);
        assert_eq!(index.counts(), (2, 3));
        index.remove_profile("b", 6);
        assert_eq!(seen(&index), [("a".to_owned(), "jane".to_owned(), Role::Admin)]);
        assert_eq!(index.bindings_in("b"), []);
    }

    #[test]
    fn a_group_or_a_service_account_of_a_users_name_gives_that_user_nothing() {
        let index = Index::default();
        index.insert_profile(profile("a", "owner", 1));
        index.insert_binding(binding("a", "x", Owner::Group("jane".to_owned()), Role::Admin, 2));
        let account = Owner::ServiceAccount { namespace: "ci".to_owned(), name: "jane".to_owned() };
        index.insert_binding(binding("a", "y", account, Role::Admin, 3));
        assert_eq!(index.role_of("jane", "a"), None);
        assert_eq!(index.bindings_of("jane").len(), 2, "they are listed by name");
    }

    #[test]
    fn the_most_of_several_roles_counts() {
        let index = Index::default();
        index.insert_profile(profile("a", "owner", 1));
        for (name, role) in [("x", Role::View), ("y", Role::Admin), ("z", Role::Edit)] {
            index.insert_binding(binding("a", name, user("jane"), role, 2));
        }
        assert_eq!(index.role_of("jane", "a"), Some(Role::Admin));
        index.remove_binding("a", "y", 3);
        assert_eq!(index.role_of("jane", "a"), Some(Role::Edit));
    }

    #[test]
    fn an_older_state_changes_nothing() {
        let index = Index::default();
        index.insert_profile(profile("a", "jane", 5));
        index.insert_profile(profile("a", "joe", 4));
        assert_eq!(index.profiles_of("joe"), []);
        index.insert_binding(binding("a", "x", user("jane"), Role::Edit, 10));
        index.insert_binding(binding("a", "x", user("jane"), Role::Admin, 9));
        assert_eq!(index.role_of("jane", "a"), Some(Role::Edit));
        index.remove_binding("a", "x", 9);
        assert_eq!(index.role_of("jane", "a"), Some(Role::Edit), "the end of a predecessor");
        index.remove_binding("a", "x", 12);
        index.insert_binding(binding("a", "x", user("jane"), Role::Edit, 11));
        assert_eq!(index.role_of("jane", "a"), None, "no ghost");
        index.insert_binding(binding("a", "x", user("jane"), Role::View, 13));
        assert_eq!(index.role_of("jane", "a"), Some(Role::View), "its successor");
    }

    #[test]
    fn a_list_removes_what_is_not_in_it_but_not_what_was_written_meanwhile() {
        let index = Index::default();
        for name in ["p", "q"] {
            index.insert_profile(profile(name, "jane", 1));
            index.insert_binding(binding(name, "old", user("joe"), Role::Edit, 2));
        }
        index.begin_bindings();
        index.begin_profiles();
        let asked = index.moment();
        index.insert_binding(binding("p", "old", user("joe"), Role::Edit, 2));
        index.binding_written(binding("p", "new", user("ann"), Role::Edit, 9), asked);
        index.insert_profile(profile("p", "jane", 1));
        index.end_bindings();
        index.end_profiles();
        assert!(index.is_filled());
        let users: Vec<_> = seen(&index).into_iter().map(|(_, user, _)| user).collect();
        assert_eq!(users, ["joe", "ann"]);
        assert_eq!(index.profiles().len(), 1);
        assert_eq!(index.profiles_of("jane").len(), 1);
        index.begin_bindings();
        index.binding_written(binding("p", "late", user("eve"), Role::Edit, 5), asked);
        assert_eq!(index.bindings_of("eve"), [], "asked for before the list: the watch tells");
    }

    #[test]
    fn an_owner_change_moves_the_profile() {
        let index = Index::default();
        index.insert_profile(profile("a", "jane", 1));
        index.insert_profile(profile("a", "joe", 2));
        assert_eq!(index.profiles_of("jane"), []);
        assert_eq!(index.profiles_of("joe").len(), 1);
    }
}
