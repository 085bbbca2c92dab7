//! What access of contributors of each kind consists of, as whole objects.

#![allow(clippy::unwrap_used)]

use profile_api::Subject;
use profile_render::{
    Owner, PlatformConfig,
    contributor::{Role, contributor_binding, contributor_policy},
};

fn kubeflow() -> PlatformConfig {
    PlatformConfig {
        userid_header: "kubeflow-userid".to_owned(),
        userid_prefix: String::new(),
        ..PlatformConfig::default()
    }
}

fn rendered(subject: &Subject, role: Role, config: &PlatformConfig) -> String {
    let subject = Owner::validate(subject, "user").unwrap();
    let binding = contributor_binding("team", "the-name", &subject, role);
    let policy = contributor_policy("team", "the-name", &subject, role, config);
    let policy = policy.map_or("# no policy\n".to_owned(), |it| serde_saphyr::to_string(&it).unwrap());
    format!("---\n{}---\n{policy}", serde_saphyr::to_string(&binding).unwrap())
}

#[test]
fn a_user_comes_in_by_the_userid_header() {
    insta::assert_snapshot!(rendered(&Subject::user("jane@example.com"), Role::Edit, &kubeflow()));
}

#[test]
fn a_user_behind_a_prefix() {
    insta::assert_snapshot!(rendered(
        &Subject::user("jane@example.com"),
        Role::View,
        &PlatformConfig::default()
    ));
}

#[test]
fn a_group_comes_in_by_a_claim_if_the_platform_names_one() {
    let config = PlatformConfig { groups_claim: Some("groups".to_owned()), ..kubeflow() };
    insta::assert_snapshot!(rendered(&Subject::group("vision"), Role::Admin, &config));
}

#[test]
fn a_group_without_a_claim_has_rbac_alone() {
    insta::assert_snapshot!(rendered(&Subject::group("vision"), Role::View, &kubeflow()));
}

#[test]
fn a_service_account_comes_in_by_its_identity() {
    insta::assert_snapshot!(rendered(&Subject::service_account("ci", "runner"), Role::Edit, &kubeflow()));
}

#[test]
fn subjects_that_would_let_others_in_are_refused_with_the_field() {
    for (subject, field) in [
        (Subject::user("*"), "user.name"),
        (Subject::user("*@example.com"), "user.name"),
        (Subject::user(""), "user.name"),
        (Subject::user(" jane"), "user.name"),
        (Subject::group("a\nb"), "user.name"),
        (Subject::service_account("", "runner"), "user.namespace"),
        (Subject::service_account("ci", "Runner"), "user.name"),
        (Subject { kind: "user".to_owned(), ..Subject::user("jane") }, "user.kind"),
    ] {
        assert_eq!(Owner::validate(&subject, "user").unwrap_err().field, field, "{subject:?}");
    }
}

#[test]
fn roles_are_spelled_one_way_and_ordered_by_rights() {
    for role in Role::ALL {
        assert_eq!(Role::parse(role.as_str()), Some(role));
        assert_eq!(Role::of_cluster_role(role.cluster_role()), Some(role));
    }
    assert!(Role::Admin > Role::Edit && Role::Edit > Role::View);
    assert_eq!(Role::parse("Admin"), None);
    assert_eq!(Role::of_cluster_role("admin"), None);
}
