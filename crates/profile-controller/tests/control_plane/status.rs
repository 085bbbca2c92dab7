//! What a Profile says about itself: conditions after the Kubernetes conventions, and Events for what the status cannot tell.

use k8s_openapi::{
    api::core::v1::{Event, Namespace},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    jiff::Timestamp,
};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use profile_api::{ProfileCondition, STORED_VERSION};
use serde_json::{Value, json};

use crate::harness::{World, condition, run, shared, unique, until};

/// A time long before any test.
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

#[test]
fn kubectl_can_wait_until_a_profile_is_ready() {
    run(async {
        let world = shared().await;
        let name = unique("awaited");
        world.create_profile(&name, "jane@example.com").await;
        for version in ["", ".v1beta1.kubeflow.org"] {
            let profile = format!("profile{version}/{name}");
            let text = world.kubectl(&["wait", "--for=condition=Ready", &profile, "--timeout=60s"]).await;
            assert!(text.contains("condition met"), "{text}");
        }
        assert!(world.profiles().get(&name).await.unwrap().status.unwrap().is_ready());
    });
}

#[test]
fn conditions_follow_the_conventions_of_kubernetes() {
    run(async {
        let world = shared().await;
        let name = unique("conventions");
        world.ready_profile(&name, "jane@example.com").await;
        assert_conventional(world, &name).await;
        world.patch_spec(&name, json!({ "resourceQuotaSpec": refused_quota() })).await;
        world.not_ready(&name, "ObjectRejected").await;
        assert_conventional(world, &name).await;
    });
}

#[test]
fn the_transition_time_moves_when_the_status_flips_and_only_then() {
    run(async {
        let world = shared().await;
        let name = unique("transition");
        world.ready_profile(&name, "jane@example.com").await;
        backdate(world, &name).await;
        world.patch_spec(&name, json!({ "owner": { "kind": "User", "name": "joe@example.com" } })).await;
        let profile = world.ready(&name).await;
        for condition in profile.status.as_ref().unwrap().conditions.clone() {
            assert_eq!(since(&condition), LONG_AGO, "{} is as it was", condition.type_);
        }

        world.patch_spec(&name, json!({ "resourceQuotaSpec": refused_quota() })).await;
        let ready = world.not_ready(&name, "ObjectRejected").await;
        let age = Timestamp::now().duration_since(ready.last_transition_time.clone().unwrap().0).as_secs();
        assert!((0..120).contains(&age), "it flipped just now, not {age} s ago");
        let profile = world.profiles().get(&name).await.unwrap();
        assert_eq!(
            since(&condition(&profile, ProfileCondition::NAMESPACE_READY)),
            LONG_AGO,
            "the namespace is as it was"
        );

        backdate(world, &name).await;
        world.patch_spec(&name, json!({ "resourceQuotaSpec": null })).await;
        let profile = world.ready(&name).await;
        assert_ne!(since(&condition(&profile, ProfileCondition::READY)), LONG_AGO);
        assert_ne!(since(&condition(&profile, ProfileCondition::OBJECTS_READY)), LONG_AGO);
    });
}

#[test]
fn a_status_that_somebody_else_has_emptied_is_written_again() {
    run(async {
        let world = shared().await;
        let name = unique("emptied");
        world.ready_profile(&name, "jane@example.com").await;
        let conditions = |profile: &profile_api::Profile| -> Vec<(String, String)> {
            let status = profile.status.clone().unwrap_or_default();
            status.conditions.into_iter().map(|condition| (condition.type_, condition.status)).collect()
        };
        let before = conditions(&world.profiles().get(&name).await.unwrap());
        assert_eq!(before.len(), 4);
        for status in [json!({ "conditions": [] }), json!({ "conditions": null }), Value::Null] {
            let patched = patch_status(world, &name, status.clone()).await;
            assert_eq!(conditions(&patched), [], "emptied with {status}");
            assert_eq!(conditions(&world.ready(&name).await), before, "after {status}");
        }
        let forged = json!({ "conditions": [{ "type": "Ready", "status": "False", "reason": "Forged", "message": "" }] });
        patch_status(world, &name, forged).await;
        assert_eq!(conditions(&world.ready(&name).await), before);
    });
}

#[test]
fn the_first_success_needs_no_event_and_an_owner_change_has_one() {
    run(async {
        let world = shared().await;
        let name = unique("quiet");
        world.ready_profile(&name, "jane@example.com").await;
        // One Profile is worked on at one time: what the first look had to tell has been told when the second is done.
        world.patch_spec(&name, json!({ "owner": { "kind": "User", "name": "joe@example.com" } })).await;
        world.ready(&name).await;
        let events = world.events_about(&name).await;
        let reasons: Vec<_> = events.iter().map(|event| event.reason.clone().unwrap_or_default()).collect();
        assert_eq!(reasons, ["Updated"], "{events:#?}");
        let note = events[0].message.clone().unwrap_or_default();
        assert!(note.contains("namespaceAdmin") && note.contains("ns-owner-access-istio"), "{note}");
    });
}

#[test]
fn kubectl_describe_tells_the_story_of_a_failure_and_of_the_recovery() {
    run(async {
        let world = shared().await;
        let name = unique("story");
        world.ready_profile(&name, "jane@example.com").await;
        world.patch_spec(&name, json!({ "resourceQuotaSpec": refused_quota() })).await;
        let ready = world.not_ready(&name, "ObjectRejected").await;
        assert!(
            ready.message.contains("kf-resource-quota") && ready.message.contains("not a resource!"),
            "{}",
            ready.message
        );
        let text = described(world, &name, "Warning").await;
        assert_mentions(
            &text,
            &["jane@example.com", "Reason:", "ObjectRejected", "not a resource!", "Warning  ObjectRejected"],
        );

        world
            .patch_spec(
                &name,
                json!({ "resourceQuotaSpec": { "hard": { "not a resource!": null, "cpu": 1 } } }),
            )
            .await;
        world.ready(&name).await;
        let text = described(world, &name, "Normal   Reconciled").await;
        assert_mentions(
            &text,
            &["everything in it that the Profile asks for is in place", "Warning  ObjectRejected"],
        );
    });
}

#[test]
fn a_failure_is_told_once_however_often_it_is_tried_again() {
    run(async {
        let world = World::start().await;
        let name = "taken";
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let foreign = Namespace { metadata, ..Namespace::default() };
        world.namespaces().create(&PostParams::default(), &foreign).await.unwrap();
        let controller = world.controller(&[]);
        let mark = world.cluster.audit().settled().await.unwrap();
        world.create_profile(name, "jane@example.com").await;
        world.not_ready(name, "NamespaceNotOwned").await;
        let failures = "request_kf_failure{component=\"profile_controller\",kind=\"NamespaceNotOwned\",severity=\"minor\"}";
        until("it has been tried again several times", async || {
            controller.metric(failures).await.filter(|count| *count >= 5.0)
        })
        .await;
        assert!(controller.metric("workqueue_retries_total{name=\"profile\"}").await >= Some(5.0));
        let events = world.events_about(name).await;
        assert_eq!(told(&events), [("Warning", "NamespaceNotOwned", 1)], "{events:#?}");
        let writes = world.writes_since(mark).await;
        let one_each = writes.len() == 2
            && writes[0] == "patch profiles /taken"
            && writes[1].starts_with("create events ");
        assert!(one_each, "retries write nothing: {writes:#?}");

        // A restart does not tell it again.
        assert_eq!(controller.stop().await, Some(0));
        let mark = world.cluster.audit().settled().await.unwrap();
        let controller = world.controller(&[]);
        until("it has been tried again", async || {
            controller.metric(failures).await.filter(|count| *count >= 2.0)
        })
        .await;
        assert_eq!(world.writes_since(mark).await, Vec::<String>::new());

        world.namespaces().delete(name, &DeleteParams::default()).await.unwrap();
        world.ready(name).await;
        let events = until("the recovery is told", async || {
            let events = world.events_about(name).await;
            events.iter().any(|event| event.reason.as_deref() == Some("Reconciled")).then_some(events)
        })
        .await;
        let told = told(&events);
        assert!(
            told.contains(&("Warning", "NamespaceNotOwned", 1))
                && told.contains(&("Normal", "Reconciled", 1)),
            "{events:#?}"
        );
    });
}

/// Type, reason and count of each Event.
fn told(events: &[Event]) -> Vec<(&str, &str, i32)> {
    let told = events.iter().map(|event| {
        let series = event.series.as_ref().and_then(|series| series.count);
        let count = series.or(event.count).unwrap_or(1).max(1);
        (event.type_.as_deref().unwrap_or_default(), event.reason.as_deref().unwrap_or_default(), count)
    });
    told.collect()
}

/// A quota that the API server takes in a Profile but not in a ResourceQuota.
fn refused_quota() -> Value {
    json!({ "hard": { "not a resource!": 1 } })
}

/// What `kubectl describe` prints, once a text is in it.
async fn described(world: &World, name: &str, text: &str) -> String {
    until(&format!("{text:?} is in the description"), async || {
        let description = world.kubectl(&["describe", "profile", name]).await;
        description.contains(text).then_some(description)
    })
    .await
}

fn assert_mentions(message: &str, texts: &[&str]) {
    for text in texts {
        assert!(message.contains(text), "{message}\nsays {text:?}");
    }
}

async fn assert_conventional(world: &World, name: &str) {
    let profile = world.raw_profiles(STORED_VERSION).get(name).await.unwrap();
    let generation = profile.metadata.generation.unwrap();
    let conditions = profile.data["status"]["conditions"].as_array().unwrap();
    assert!(conditions.len() >= 3, "{conditions:#?}");
    let mut types: Vec<_> = conditions.iter().map(|condition| condition["type"].as_str().unwrap()).collect();
    types.dedup();
    assert_eq!(types.len(), conditions.len(), "one of each type: {types:?}");
    for condition in conditions {
        assert!(["True", "False", "Unknown"].contains(&condition["status"].as_str().unwrap()), "{condition}");
        let reason = condition["reason"].as_str().unwrap();
        assert!(
            reason.starts_with(|c: char| c.is_ascii_uppercase())
                && reason.chars().all(|c| c.is_ascii_alphanumeric())
        );
        assert!(!condition["message"].as_str().unwrap().is_empty(), "{condition}");
        let since: Timestamp = condition["lastTransitionTime"].as_str().unwrap().parse().unwrap();
        assert!(since <= Timestamp::now());
        assert_eq!(condition["observedGeneration"], generation, "{condition}");
    }
    assert_eq!(profile.data["status"]["observedGeneration"], generation);
}

fn since(condition: &ProfileCondition) -> String {
    condition.last_transition_time.as_ref().map(|time| time.0.to_string()).unwrap_or_default()
}

/// Makes every condition one that has been as it is for long.
async fn backdate(world: &World, name: &str) {
    let profile = world.profiles().get(name).await.unwrap();
    let mut conditions = serde_json::to_value(profile.status.unwrap().conditions).unwrap();
    for condition in conditions.as_array_mut().unwrap() {
        condition["lastTransitionTime"] = json!(LONG_AGO);
    }
    patch_status(world, name, json!({ "conditions": conditions })).await;
}

async fn patch_status(world: &World, name: &str, status: Value) -> profile_api::Profile {
    let body = Patch::Merge(json!({ "status": status }));
    world.profiles().patch_status(name, &PatchParams::default(), &body).await.unwrap()
}
