//! One bad Profile harms only itself.

use kube::api::PostParams;
use profile_api::{ProfileCondition, STORED_VERSION};
use serde_json::json;

use crate::harness::{World, patch, raw_profile, run};

#[test]
fn a_profile_that_does_not_decode_and_one_that_is_refused_harm_nobody_and_recover() {
    run(async {
        let world = World::permissive().await;
        let profiles = world.raw_profiles(STORED_VERSION);
        let bad = [
            ("m-undecodable", json!({ "owner": "jane" }), "Undecodable", "spec.owner: invalid type: string"),
            (
                "m-refused",
                json!({ "owner": { "kind": "User", "name": "*@example.com" } }),
                "InvalidSpec",
                "spec.owner.name",
            ),
        ];
        for (name, spec, ..) in &bad {
            profiles
                .create(&PostParams::default(), &raw_profile(STORED_VERSION, name, spec.clone()))
                .await
                .unwrap();
        }
        let good: Vec<String> =
            (0..100).map(|number| format!("{}-good-{number}", ["a", "z"][number % 2])).collect();
        // Half of them are there when the controller starts, half come while it runs.
        let (first, second) = good.split_at(50);
        for name in first {
            world.create_profile(name, "jane@example.com").await;
        }
        let controller = world.controller(&[]);
        for (name, _, reason, field) in &bad {
            let ready = world.reported(name).await;
            assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", *reason));
            assert!(ready.message.contains(field), "{}", ready.message);
        }
        for name in second {
            world.create_profile(name, "jane@example.com").await;
        }
        for name in &good {
            let profile = world.ready(name).await;
            world.assert_in_place(&profile).await;
        }
        for (name, ..) in &bad {
            assert!(
                world.namespaces().get_opt(name).await.unwrap().is_none(),
                "nothing is granted to {name}"
            );
        }
        let ready =
            controller.metric("profile_controller_profiles{ready=\"true\",reason=\"Reconciled\"}").await;
        assert_eq!(ready, Some(100.0));

        for (name, ..) in &bad {
            patch(&profiles, name, json!({ "spec": { "owner": null } })).await;
            assert_eq!(world.reported(name).await.reason, "Undecodable");
            patch(
                &profiles,
                name,
                json!({ "spec": { "owner": { "kind": "User", "name": "jane@example.com" } } }),
            )
            .await;
            let profile = world.ready(name).await;
            world.assert_in_place(&profile).await;
        }

        // One that was good and is broken keeps what it has, and says that it cannot be read.
        patch(&profiles, "a-good-0", json!({ "spec": { "owner": { "name": 7 } } })).await;
        let ready = world.reported("a-good-0").await;
        assert_eq!((ready.type_.as_str(), ready.reason.as_str()), (ProfileCondition::READY, "Undecodable"));
        assert!(world.role_bindings("a-good-0").get_opt("namespaceAdmin").await.unwrap().is_some());
        assert!(world.ready("z-good-1").await.status.unwrap().is_ready(), "the others stay as they are");
    });
}
