//! Roles of AWS: granted, changed, revoked, whatever the weather.

use std::time::Duration;

use mock_clouds::{ACCOUNT, Fate};
use profile_api::{GrantState, ProfileCondition};
use serde_json::json;

use crate::{
    clouds::{Clouds, ISSUER, abandon, has_finalizer, role, shared, states, subject, trust_of_others},
    harness::{condition, run, unique, until},
};

const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

#[test]
fn a_role_is_granted_and_changed_and_revoked_with_the_plugin() {
    run(async {
        let clouds = shared().await;
        let (name, first, second) = (unique("aws"), unique("first"), unique("second"));
        let first_arn = clouds.aws.create_role("/", &first, &trust_of_others()).await.unwrap();
        let second_arn = clouds.aws.create_role("/team/", &second, &trust_of_others()).await.unwrap();
        clouds.create(&name, role(&first_arn)).await;
        let profile = clouds.world.ready(&name).await;

        assert_eq!(clouds.subjects(&first).await, [subject(&name)]);
        assert_eq!(clouds.annotations(&name).await[ROLE_ANNOTATION], first_arn);
        assert_eq!(states(&profile), [GrantState::Granted]);
        assert!(has_finalizer(&profile));
        assert!(condition(&profile, ProfileCondition::PLUGINS_READY).is_true());
        let policy = clouds.aws.trust_policy(&first).await.unwrap();
        assert_eq!(policy["Statement"][0], trust_of_others()["Statement"][0]);
        assert_eq!(
            policy["Statement"][1]["Condition"]["StringEquals"][format!("{ISSUER}:aud")],
            "sts.amazonaws.com"
        );
        assert_eq!(clouds.aws.weather.calls(&first).len(), 2, "one to read, one to write");

        clouds.world.patch_spec(&name, json!({ "plugins": role(&second_arn) })).await;
        clouds.world.ready(&name).await;
        assert_eq!(clouds.subjects(&first).await, Vec::<String>::new());
        assert_eq!(clouds.subjects(&second).await, [subject(&name)]);
        assert_eq!(clouds.annotations(&name).await[ROLE_ANNOTATION], second_arn);

        clouds.world.patch_spec(&name, json!({ "plugins": [] })).await;
        let profile = clouds.world.ready(&name).await;
        for role in [&first, &second] {
            assert_eq!(clouds.aws.trust_policy(role).await.unwrap(), trust_of_others());
        }
        assert_eq!(clouds.annotations(&name).await.get(ROLE_ANNOTATION), None);
        assert_eq!(states(&profile), []);
        until("the finalizer is gone", async || {
            (!has_finalizer(&clouds.world.profiles().get(&name).await.unwrap())).then_some(())
        })
        .await;
    });
}

#[test]
fn a_deleted_profile_stays_until_its_role_is_revoked_and_says_why() {
    run(async {
        let clouds = shared().await;
        let (name, role_name) = (unique("deleted"), unique("deleted-role"));
        let arn = clouds.aws.create_role("/", &role_name, &trust_of_others()).await.unwrap();
        clouds.create(&name, role(&arn)).await;
        clouds.world.ready(&name).await;
        clouds.aws.weather.brew(usize::MAX, "", &role_name, Fate::Unavailable);
        clouds.world.delete_profile(&name).await;
        let ready = clouds.world.not_ready(&name, "Unavailable").await;
        for expected in [&arn, "ServiceUnavailable", "profiles.kubeflow.org/abandon-grants=true"] {
            assert!(ready.message.contains(expected), "{}", ready.message);
        }
        assert_eq!(clouds.subjects(&role_name).await, [subject(&name)]);
        clouds.aws.weather.clear(&role_name);
        clouds.gone(&name).await;
        assert_eq!(clouds.aws.trust_policy(&role_name).await.unwrap(), trust_of_others());
    });
}

#[test]
fn an_admin_can_give_up_on_a_cloud_that_is_gone() {
    run(async {
        let clouds = shared().await;
        let (name, role_name) = (unique("abandoned"), unique("abandoned-role"));
        let arn = clouds.aws.create_role("/", &role_name, &trust_of_others()).await.unwrap();
        clouds.create(&name, role(&arn)).await;
        clouds.world.ready(&name).await;
        clouds.aws.weather.brew(usize::MAX, "", &role_name, Fate::Denied);
        clouds.world.delete_profile(&name).await;
        clouds.world.not_ready(&name, "PermissionDenied").await;
        abandon(clouds, &name).await;
        clouds.gone(&name).await;
        assert_eq!(clouds.subjects(&role_name).await, [subject(&name)], "it is left there");
        until("an event tells of it", async || {
            let events = clouds.world.events(&name).await;
            events.into_iter().find(|(reason, note)| reason == "GrantAbandoned" && note.contains(&arn))
        })
        .await;
    });
}

#[test]
fn profiles_that_name_one_role_at_the_same_moment_all_end_in_its_policy() {
    run(async {
        let clouds = Clouds::start().await;
        let _controller = clouds.controller(&[]);
        clouds.aws.lag(Duration::from_millis(1500));
        let role_name = unique("shared-role");
        let arn = clouds.aws.create_role("/", &role_name, &trust_of_others()).await.unwrap();
        let profiles: Vec<String> = (0..4).map(|_| unique("sharing")).collect();
        for name in &profiles {
            clouds.create(name, role(&arn)).await;
        }
        for name in &profiles {
            clouds.world.ready(name).await;
        }
        let mut subjects = clouds.subjects(&role_name).await;
        subjects.sort_unstable();
        assert_eq!(subjects, profiles.iter().map(|name| subject(name)).collect::<Vec<_>>());
        for name in &profiles {
            clouds.world.delete_profile(name).await;
        }
        for name in &profiles {
            clouds.gone(name).await;
        }
        assert_eq!(clouds.aws.trust_policy(&role_name).await.unwrap(), trust_of_others());
    });
}

#[test]
fn a_placeholder_is_named_in_the_status_and_everything_else_works() {
    run(async {
        let clouds = shared().await;
        let name = unique("placeholder");
        let profile = clouds.create(&name, role("arn:aws:iam::account-id:role/s3-reader")).await;
        let ready = clouds.world.not_ready(&name, "InvalidPluginSpec").await;
        for expected in
            ["spec.plugins[0].spec.awsIamRole", "account-id", "arn:aws:iam::123456789012:role/NAME"]
        {
            assert!(ready.message.contains(expected), "{}", ready.message);
        }
        clouds.world.assert_in_place(&profile).await;
        let role_name = unique("corrected");
        let arn = clouds.aws.create_role("/", &role_name, &trust_of_others()).await.unwrap();
        clouds.world.patch_spec(&name, json!({ "plugins": role(&arn) })).await;
        clouds.world.ready(&name).await;
        assert_eq!(clouds.subjects(&role_name).await, [subject(&name)]);

        clouds.world.patch_spec(&name, json!({ "plugins": role("oops") })).await;
        clouds.world.not_ready(&name, "InvalidPluginSpec").await;
        assert_eq!(clouds.subjects(&role_name).await, [subject(&name)], "a typo costs nobody access");
        assert_eq!(clouds.annotations(&name).await[ROLE_ANNOTATION], arn);
    });
}

#[test]
fn annotating_only_touches_no_cloud_and_the_documented_alias_is_the_same_plugin() {
    run(async {
        let clouds = shared().await;
        let (name, role_name) = (unique("annotated"), unique("annotated-role"));
        let arn = format!("arn:aws-cn:iam::{ACCOUNT}:role/{role_name}");
        let spec = json!({ "awsIamRole": arn, "annotateOnly": true });
        clouds.create(&name, json!([{ "kind": "IAMForServiceAccount", "spec": spec }])).await;
        let profile = clouds.world.ready(&name).await;
        assert_eq!(clouds.annotations(&name).await[ROLE_ANNOTATION], arn);
        assert_eq!((states(&profile), has_finalizer(&profile)), (vec![], false));
        assert_eq!(clouds.aws.weather.calls(&role_name), []);
    });
}

#[test]
fn an_unknown_plugin_is_named_and_the_profile_is_ready() {
    run(async {
        let clouds = shared().await;
        let name = unique("unknown");
        clouds.create(&name, json!([{ "kind": "AzureWorkloadIdentity", "spec": { "any": 1 } }])).await;
        let profile = clouds.world.ready(&name).await;
        let known = condition(&profile, ProfileCondition::PLUGINS_KNOWN);
        assert_eq!((known.status.as_str(), known.reason.as_str()), ("False", "UnknownPlugin"));
        assert!(known.message.contains("AzureWorkloadIdentity"), "{}", known.message);
    });
}

#[test]
fn what_somebody_has_to_mend_is_told_with_what_aws_says() {
    run(async {
        let clouds = shared().await;
        let name = unique("mend");
        let missing = format!("arn:aws:iam::{ACCOUNT}:role/{}", unique("missing"));
        clouds.create(&name, role(&missing)).await;
        let ready = clouds.world.not_ready(&name, "NotFound").await;
        assert!(ready.message.contains("AWS answers NoSuchEntity"), "{}", ready.message);

        let full = unique("full");
        let arn = clouds.aws.create_role("/", &full, &trust_of_others()).await.unwrap();
        clouds.aws.weather.brew(usize::MAX, "UpdateAssumeRolePolicy", &full, Fate::TooLarge);
        clouds.world.patch_spec(&name, json!({ "plugins": role(&arn) })).await;
        let ready = clouds.world.not_ready(&name, "LimitExceeded").await;
        for expected in ["Cannot exceed quota", "characters", "system:serviceaccount:*:default-editor"] {
            assert!(ready.message.contains(expected), "{}", ready.message);
        }
        clouds.aws.weather.clear(&full);
    });
}

#[test]
fn without_credentials_only_the_profiles_that_need_them_are_not_ready() {
    run(async {
        let clouds = Clouds::start().await;
        let environment = clouds.aws.environment().into_iter().filter(|(name, _)| !name.contains("KEY"));
        let issuer = format!("--eks-oidc-issuer={ISSUER}");
        let _controller = clouds
            .world
            .controller_in(environment.chain([("HOME", "/nonexistent".to_owned())]), &[issuer.as_str()]);
        let (with, without) = (unique("with"), unique("without"));
        let arn = clouds.aws.create_role("/", "reader", &trust_of_others()).await.unwrap();
        clouds.create(&with, role(&arn)).await;
        clouds.create(&without, json!([])).await;
        clouds.world.ready(&without).await;
        let ready = clouds.world.not_ready(&with, "CredentialsMissing").await;
        assert!(ready.message.contains("no AWS credentials"), "{}", ready.message);
    });
}
