//! What the index answers after what it was told.

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
        resource_version: resource_version.into(),
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
        resource_version: resource_version.into(),
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
    index.remove_profile("b", 6.into());
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
    index.remove_binding("a", "y", 3.into());
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
    index.remove_binding("a", "x", 9.into());
    assert_eq!(index.role_of("jane", "a"), Some(Role::Edit), "the end of a predecessor");
    index.remove_binding("a", "x", 12.into());
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
