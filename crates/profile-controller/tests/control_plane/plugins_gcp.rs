//! Google service accounts: granted, changed, revoked, whatever the weather.

use mock_clouds::Fate;
use profile_api::GrantState;
use serde_json::json;

use crate::{
    clouds::{Clouds, has_finalizer, member, service_account, shared, states},
    harness::{patch, run, unique, until},
};

const ROLE: &str = "roles/iam.workloadIdentityUser";
const ANNOTATION: &str = "iam.gke.io/gcp-service-account";

fn email(name: &str) -> String {
    format!("{name}@vision.iam.gserviceaccount.com")
}

#[test]
fn a_service_account_is_granted_once_and_revoked_with_the_plugin_and_nothing_else_changes() {
    run(async {
        let clouds = shared().await;
        let name = unique("gcp");
        let (first, second) = (email(&unique("first")), email(&unique("second")));
        let conditional =
            json!({ "title": "t", "expression": "request.time < timestamp('2030-01-01T00:00:00Z')" });
        let others = json!([
            { "role": "roles/viewer", "members": ["user:a@example.com"] },
            { "role": ROLE, "members": ["user:b@example.com"], "condition": conditional },
        ]);
        let duplicate = json!({ "role": ROLE, "members": [member(&name)] });
        let left = json!([others[0], duplicate, others[1], duplicate]);
        clouds.gcp.create(&first, left);
        clouds.gcp.create(&second, others.clone());
        clouds.create(&name, service_account(&first)).await;
        let profile = clouds.world.ready(&name).await;
        assert_eq!(clouds.gcp.members(&first), [member(&name)], "duplicates are folded");
        assert_eq!(clouds.annotations(&name).await[ANNOTATION], first);
        assert_eq!((states(&profile), has_finalizer(&profile)), (vec![GrantState::Granted], true));
        assert_eq!(clouds.gcp.weather.calls(&first).len(), 2, "one to read, one to write");

        clouds.world.patch_spec(&name, json!({ "plugins": service_account(&second) })).await;
        clouds.world.ready(&name).await;
        assert_eq!(clouds.gcp.bindings(&first), others);
        assert_eq!(clouds.gcp.members(&second), [member(&name)]);

        clouds.world.delete_profile(&name).await;
        clouds.gone(&name).await;
        assert_eq!(clouds.gcp.bindings(&second), others);
    });
}

#[test]
fn what_goes_away_by_itself_is_waited_for_and_what_does_not_is_told() {
    run(async {
        let clouds = shared().await;
        let (name, account) = (unique("weather"), email(&unique("weather")));
        clouds.gcp.create(&account, json!([]));
        clouds.gcp.weather.brew(2, "setIamPolicy", &account, Fate::Conflict);
        clouds.gcp.weather.brew(1, "getIamPolicy", &account, Fate::Throttled);
        clouds.create(&name, service_account(&account)).await;
        clouds.world.ready(&name).await;
        assert_eq!(clouds.gcp.members(&account), [member(&name)]);

        let other = email(&unique("denied"));
        clouds.gcp.create(&other, json!([]));
        clouds.gcp.weather.brew(usize::MAX, "setIamPolicy", &other, Fate::Denied);
        clouds.world.patch_spec(&name, json!({ "plugins": service_account(&other) })).await;
        let ready = clouds.world.not_ready(&name, "PermissionDenied").await;
        assert!(
            ready.message.contains("Permission 'iam.serviceAccounts.setIamPolicy' denied"),
            "{}",
            ready.message
        );
        clouds.gcp.weather.clear(&other);
        // A change of the Profile has it tried again at once.
        clouds
            .world
            .patch_spec(&name, json!({ "owner": { "kind": "User", "name": "joe@example.com" } }))
            .await;
        clouds.world.ready(&name).await;
        assert_eq!(clouds.gcp.members(&other), [member(&name)]);
        assert_eq!(clouds.gcp.members(&account), Vec::<String>::new());
    });
}

#[test]
fn a_default_service_account_is_for_profiles_without_one_and_never_written_into_a_spec() {
    run(async {
        let clouds = Clouds::start().await;
        let (default, own) = (email("default"), email("own"));
        clouds.gcp.create(&default, json!([]));
        clouds.gcp.create(&own, json!([]));
        let flag = format!("--workload-identity={default}");
        let controller = clouds.controller(&[&flag]);
        clouds.create("plain", json!([])).await;
        clouds.create("special", service_account(&own)).await;
        let plain = clouds.world.ready("plain").await;
        clouds.world.ready("special").await;
        assert_eq!(clouds.gcp.members(&default), [member("plain")]);
        assert_eq!(clouds.gcp.members(&own), [member("special")]);
        assert_eq!(plain.spec.plugins, []);
        assert_eq!(plain.metadata.generation, Some(1));

        // Without the flag, what it gave is taken back.
        assert_eq!(controller.stop().await, Some(0));
        let _controller = clouds.controller(&[]);
        until("the default is revoked", async || clouds.gcp.members(&default).is_empty().then_some(())).await;
    });
}

#[test]
fn what_the_go_controller_granted_is_revoked_from_the_spec() {
    run(async {
        let clouds = Clouds::start().await;
        let account = email("left");
        let duplicate = json!({ "role": ROLE, "members": [member("left")] });
        clouds.gcp.create(&account, json!([duplicate, duplicate]));
        clouds.create("left", service_account(&account)).await;
        let finalizers = json!({ "metadata": { "finalizers": ["profile-finalizer"] } });
        patch(&clouds.world.profiles(), "left", finalizers).await;
        clouds.world.delete_profile("left").await;
        let _controller = clouds.controller(&[]);
        clouds.gone("left").await;
        assert_eq!(clouds.gcp.members(&account), Vec::<String>::new());
    });
}

#[test]
fn a_cloud_that_hangs_holds_up_only_the_profiles_that_use_it() {
    run(async {
        let clouds = Clouds::start().await;
        let _controller = clouds.controller(&["--max-concurrent-reconciles=4"]);
        clouds.gcp.weather.brew(usize::MAX, "", "stuck", Fate::HangBefore);
        let stuck: Vec<String> = (0..24).map(|number| format!("stuck-{number}")).collect();
        for name in &stuck {
            clouds.gcp.create(&email(name), json!([]));
            clouds.create(name, service_account(&email(name))).await;
        }
        until("as many calls hang as are made at a time", async || {
            (clouds.gcp.weather.hanging("stuck") >= 16).then_some(())
        })
        .await;
        let role = clouds.aws.create_role("/", "free", &crate::clouds::trust_of_others()).await.unwrap();
        clouds.create("plain", json!([])).await;
        clouds.create("other-cloud", crate::clouds::role(&role)).await;
        clouds.world.ready("plain").await;
        clouds.world.ready("other-cloud").await;
        assert!(clouds.gcp.weather.hanging("stuck") >= 1, "still hanging");
        let profile = clouds.world.profiles().get("stuck-0").await.unwrap();
        clouds.world.assert_in_place(&profile).await;
        clouds.gcp.weather.clear("stuck");
        for name in &stuck {
            clouds.world.ready(name).await;
        }
    });
}

#[test]
fn nothing_is_asked_of_a_cloud_and_nothing_written_when_nothing_has_changed() {
    run(async {
        let clouds = Clouds::start().await;
        let controller = clouds.controller(&[]);
        let account = email("idle");
        clouds.gcp.create(&account, json!([]));
        let names: Vec<String> = (0..5).map(|number| format!("idle-{number}")).collect();
        for name in &names {
            clouds.create(name, service_account(&account)).await;
        }
        for name in &names {
            clouds.world.ready(name).await;
        }
        assert_eq!(clouds.gcp.weather.calls(&account).len(), 10, "two for each");
        assert_eq!(controller.stop().await, Some(0));
        let mark = clouds.world.cluster.audit().settled().await.unwrap();
        let controller = clouds.controller(&["--resync-period=1s"]);
        let success = "controller_runtime_reconcile_total{controller=\"profile\",result=\"requeue_after\"}";
        until("each Profile has been looked at three times", async || {
            controller.metric(success).await.filter(|count| *count >= 15.0)
        })
        .await;
        assert_eq!(clouds.world.writes_since(mark).await, Vec::<String>::new());
        assert_eq!(clouds.gcp.weather.calls(&account).len(), 10);
    });
}
