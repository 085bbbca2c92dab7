//! Permissions that nobody asks for, but that the API server looks up when something else is asked for: without them it is
//! refused, with them it is not.

use dev_cluster::Cluster;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::{Api, api::PostParams};

use crate::harness::{World, run, unique};

/// A cluster which asks for `profiles/finalizers` of whoever makes an object that blocks the deletion of its owner.
async fn strict_world() -> World {
    let admission = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement";
    World::with(Cluster::builder().api_server_flag(admission)).await
}

/// Without the rules that `taken` picks a Profile says what is missing; once the controller has them, the Profile is ready.
async fn is_needed(missing: &str, taken: impl Fn(&PolicyRule) -> bool) {
    let world = strict_world().await;
    let account = unique("with-less");
    let roles: Api<ClusterRole> = Api::all(world.admin.clone());
    let mut role = roles.get("profiles-controller-role").await.unwrap();
    let rules = role.rules.take().unwrap_or_default();
    let (without, kept): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| taken(rule));
    assert_eq!(without.len(), 1, "the rule is in the role");
    role.metadata = kube::core::ObjectMeta { name: Some(account.clone()), ..Default::default() };
    role.rules = Some(kept);
    roles.create(&PostParams::default(), &role).await.unwrap();
    let name = unique("waiting");
    let controller = world.controller_of(&account).await;
    world.create_profile(&name, "a@example.com").await;
    let ready = world.not_ready(&name, "Forbidden").await;
    assert!(ready.message.contains(missing), "{}", ready.message);
    drop(controller);
    let _controller = world.controller(&[]);
    world.ready(&name).await;
}

#[test]
fn the_roles_of_the_platform_cannot_be_given_without_the_permission_to_bind_them() {
    run(is_needed("RoleBinding", |rule| rule.verbs == ["bind"]));
}

#[test]
fn where_owner_references_are_guarded_they_cannot_be_set_without_the_permission_for_finalizers() {
    run(is_needed("cannot set blockOwnerDeletion", |rule| {
        rule.resources.as_deref() == Some(&["profiles/finalizers".to_owned()])
    }));
}
