//! The controller is killed at each step of granting and of revoking; what is left in the cloud is what should be.

use mock_clouds::Fate;
use serde_json::json;

use crate::{
    clouds::{Clouds, member, role, service_account, subject, trust_of_others},
    harness::{run, unique, until},
};

/// The calls in the order in which they are made, each stopped before it is carried out and before it is answered.
const GCP_STEPS: [(&str, Fate); 3] = [
    ("getIamPolicy", Fate::HangBefore),
    ("setIamPolicy", Fate::HangBefore),
    ("setIamPolicy", Fate::HangAfter),
];
const AWS_STEPS: [(&str, Fate); 3] = [
    ("GetRole", Fate::HangBefore),
    ("UpdateAssumeRolePolicy", Fate::HangBefore),
    ("UpdateAssumeRolePolicy", Fate::HangAfter),
];

#[test]
fn killed_while_granting_and_started_again_it_grants_and_can_undo_it() {
    run(async {
        let clouds = Clouds::start().await;
        for (call, fate) in GCP_STEPS {
            let name = unique("grant");
            let account = format!("{name}@vision.iam.gserviceaccount.com");
            clouds.gcp.create(&account, json!([]));
            clouds.gcp.weather.brew(1, call, &account, fate);
            let controller = clouds.controller(&[]);
            clouds.create(&name, service_account(&account)).await;
            hangs(|| clouds.gcp.weather.hanging(&account)).await;
            controller.kill();
            clouds.gcp.weather.clear(&account);
            // The plugin is taken out while nobody is looking: what may have been granted has to go all the same.
            clouds.world.patch_spec(&name, json!({ "plugins": [] })).await;
            let controller = clouds.controller(&[]);
            let profile = clouds.world.ready(&name).await;
            assert_eq!(clouds.gcp.members(&account), Vec::<String>::new(), "{call} {fate:?}");
            assert_eq!(profile.status.unwrap().plugins, []);

            clouds.world.patch_spec(&name, json!({ "plugins": service_account(&account) })).await;
            clouds.world.ready(&name).await;
            assert_eq!(clouds.gcp.members(&account), [member(&name)]);
            controller.kill();
        }
    });
}

#[test]
fn killed_while_revoking_and_started_again_it_revokes_and_lets_the_profile_go() {
    run(async {
        let clouds = Clouds::start().await;
        for (call, fate) in AWS_STEPS {
            let (name, role_name) = (unique("revoke"), unique("role"));
            let arn = clouds.aws.create_role("/", &role_name, &trust_of_others()).await.unwrap();
            let controller = clouds.controller(&[]);
            clouds.create(&name, role(&arn)).await;
            clouds.world.ready(&name).await;
            assert_eq!(clouds.subjects(&role_name).await, [subject(&name)]);
            clouds.aws.weather.brew(1, call, &role_name, fate);
            clouds.world.delete_profile(&name).await;
            hangs(|| clouds.aws.weather.hanging(&role_name)).await;
            assert!(clouds.world.profiles().get_opt(&name).await.unwrap().is_some(), "it waits");
            controller.kill();
            clouds.aws.weather.clear(&role_name);
            let controller = clouds.controller(&[]);
            clouds.gone(&name).await;
            assert_eq!(
                clouds.aws.trust_policy(&role_name).await.unwrap(),
                trust_of_others(),
                "{call} {fate:?}"
            );
            controller.kill();
        }
    });
}

async fn hangs(count: impl Fn() -> usize) {
    until("a call hangs", async || (count() > 0).then_some(())).await;
}
