//! What preflight says is what then happens: a cluster of the Go controller, with all that can be wrong in one, is looked at, then
//! taken over.

use std::collections::{BTreeMap, BTreeSet};

use profile_api::STORED_VERSION;
use serde_json::{Value, json};

use crate::{
    go_cluster::*,
    harness::{CONTROLLER_USER, World, run, until},
    preflight_run::{ACCOUNT, READER, Run, check, preflight, profile, reader, reasons},
    reference,
};

/// What somebody has to look at, by Profile.
const ATTENTION: [(&str, &str); 8] = [
    (FOREIGN, "NamespaceNotOwned"),
    (UNDECODABLE, "Undecodable"),
    (WILDCARD, "InvalidSpec"),
    (NEW_OWNER, "OwnerChanged"),
    (UNRECORDED, "UnrecordedGrant"),
    (UNKNOWN_PLUGIN, "UnknownPlugin"),
    (BAD_PLUGIN, "InvalidPluginSpec"),
    (CONTROLLED, "ObjectConflict"),
];

#[test]
fn what_preflight_says_is_what_then_happens_to_fifty_profiles_of_the_go_controller() {
    run(async {
        let world = cluster_of_the_go_controller().await;
        let labels = world.cluster.folder().join("namespace-labels.yaml");
        std::fs::write(&labels, reference::LABELS_FILE).unwrap();
        let labels = format!("-namespace-labels-path={}", labels.display());
        let kubeconfig = reader(&world).await;
        let mark = world.cluster.audit().settled().await.unwrap();
        let foreseen = preflight(kubeconfig.clone(), &["-output=json", ACCOUNT, &labels]).await;
        assert_only_looked(&world, mark).await;
        let report = foreseen.report();
        assert_says_what_is_wrong(&foreseen, &report);

        let before = all_uids(&world).await;
        let shared = contributors(&world).await;
        let mark = world.cluster.audit().settled().await.unwrap();
        let controller = world.controller(&[&labels]);
        taken_over(&world).await;
        let written = written_by_the_controller(&world, mark).await;
        for name in (1..=PROFILES).map(name) {
            let foreseen = foreseen_writes(profile(&report, &name));
            let happened = written.get(&name).cloned().unwrap_or_default();
            assert_eq!(foreseen, happened, "{name}: what was foreseen, and what happened");
        }
        assert_nothing_was_made_again(&before, &all_uids(&world).await);
        assert_eq!(contributors(&world).await, shared, "what an owner shared is as it was");

        // And then it is quiet.
        let again = preflight(kubeconfig, &["--output", "json", ACCOUNT, &labels]).await.report();
        let (changed, marked) = (&again["summary"]["changed"], &again["summary"]["marked"]);
        assert_eq!((changed, marked), (&json!(0), &json!(0)), "{again:#}");
        for profile in again["profiles"].as_array().unwrap() {
            assert_eq!(profile["changes"], json!([]), "{profile:#}");
            assert_eq!(profile["grants"], json!([]), "{profile:#}");
        }
        assert_eq!(controller.stop().await, Some(0));
        let mark = world.cluster.audit().settled().await.unwrap();
        let _controller = world.controller(&[&labels]);
        world.caught_up().await;
        let written = written_by_the_controller(&world, mark).await;
        let ours: Vec<_> = written.iter().filter(|(name, _)| name.starts_with("p0")).collect();
        assert!(ours.is_empty(), "the second start changes nothing: {ours:#?}");
    });
}

fn assert_says_what_is_wrong(run: &Run, report: &Value) {
    assert_eq!(run.code, Some(1), "{}", run.errors);
    assert_eq!(report["version"], 1);
    for (name, reason) in ATTENTION {
        let profile = profile(report, name);
        assert_eq!(reasons(profile), [reason], "{profile:#}");
    }
    let summary = &report["summary"];
    assert_eq!(summary["profiles"], PROFILES);
    assert_eq!(summary["attention"], ATTENTION.len(), "{summary}");
    let changed = [DRIFTED, OTHER_ROLE, NO_QUOTA, ANNOTATED, DELETED, RESTORED, WITHOUT_NAMESPACE];
    assert_eq!(summary["changed"], changed.len(), "{summary}");
    for name in changed {
        assert_eq!(profile(report, name)["verdict"], "changed", "{name}");
    }
    assert_eq!(summary["marked"], PROFILES - ATTENTION.len() - changed.len());
    assert_eq!(summary["unchanged"], 0);
    assert_eq!(summary["checksFailed"], 0, "{:#}", report["checks"]);
    assert_eq!(check(report, "Permissions").0, "ok");
    assert_eq!(reasons(profile(report, WITHOUT_NAMESPACE)), ["NamespaceMissing"]);
    assert_eq!(reasons(profile(report, DELETED)), ["Terminating"]);

    let fields = |name: &str, object: &str| -> Vec<String> {
        let changes = profile(report, name)["changes"].as_array().unwrap();
        let change =
            changes.iter().find(|change| change["name"] == object && change["kind"] != "ServiceAccount");
        let fields = change.unwrap_or_else(|| panic!("{object} of {name}"))["fields"].as_array().unwrap();
        let told = |field: &Value| {
            format!("{}: {} -> {}", field["path"].as_str().unwrap(), field["from"], field["to"])
        };
        fields
            .iter()
            .map(told)
            .filter(|field| !field.starts_with("metadata.labels[profiles.kubeflow.org"))
            .collect()
    };
    assert_eq!(
        fields(DRIFTED, "namespaceAdmin"),
        [format!("subjects[0].name: \"mallory@example.com\" -> \"{}\"", owner(DRIFTED))]
    );
    assert_eq!(
        fields(DRIFTED, "ns-owner-access-istio"),
        ["spec.selector: {\"matchLabels\":{\"app\":\"none\"}} -> null", "spec.action: null -> \"ALLOW\""]
    );
    assert_eq!(fields(OTHER_ROLE, "default-editor"), ["roleRef.name: \"admin\" -> \"kubeflow-edit\""]);
    let new_owner = fields(NEW_OWNER, NEW_OWNER);
    let moved = format!("metadata.annotations.owner: \"{}\" -> \"new@example.com\"", owner(NEW_OWNER));
    assert!(new_owner.contains(&moved), "{new_owner:?}");
    let unrecorded = profile(report, UNRECORDED)["findings"][0]["message"].as_str().unwrap();
    for part in ["iam.gke.io/gcp-service-account", "old@project.iam.gserviceaccount.com", "by hand"] {
        assert!(unrecorded.contains(part), "{unrecorded}");
    }
    let wildcard = profile(report, WILDCARD)["findings"][0]["message"].as_str().unwrap();
    assert!(wildcard.contains("spec.owner.name") && wildcard.contains("stays as it is"), "{wildcard}");
}

/// Waits until the controller has dealt with every Profile.
async fn taken_over(world: &World) {
    for name in (1..=PROFILES).map(name) {
        if name == DELETED {
            let profiles = world.raw_profiles(STORED_VERSION);
            until("it is gone", async || profiles.get_opt(DELETED).await.unwrap().is_none().then_some(()))
                .await;
        } else {
            world.reported(&name).await;
        }
    }
    world.caught_up().await;
}

/// A write: verb, resource with its subresource, and name.
type Write = (String, String, String);

/// The writes that preflight says a Profile takes.
fn foreseen_writes(profile: &Value) -> BTreeSet<Write> {
    let mut writes = BTreeSet::new();
    for change in profile["changes"].as_array().unwrap() {
        let text = |field: &str| change[field].as_str().unwrap_or_default();
        let verbs: &[&str] = match text("action") {
            "replace" => &["delete", "create"],
            "create" => &["create"],
            "patch" => &["patch"],
            "delete" => &["delete"],
            other => panic!("{other}"),
        };
        let resource = [text("resource"), text("subresource")].join("/");
        writes
            .extend(verbs.iter().map(|verb| ((*verb).to_owned(), resource.clone(), text("name").to_owned())));
    }
    writes
}

/// The writes that the controller has made, by Profile, Events aside.
async fn written_by_the_controller(
    world: &World,
    mark: dev_cluster::Mark,
) -> BTreeMap<String, BTreeSet<Write>> {
    world.cluster.audit().settled().await.unwrap();
    let mut written: BTreeMap<String, BTreeSet<Write>> = BTreeMap::new();
    for event in world.cluster.audit().since(mark).unwrap() {
        let is_write = !matches!(event.verb.as_str(), "get" | "list" | "watch") && event.code < 300;
        if event.user == CONTROLLER_USER && is_write && event.resource != "events" {
            let profile = if event.namespace.is_empty() { event.name.clone() } else { event.namespace };
            let resource = [event.resource, event.subresource].join("/");
            written.entry(profile).or_default().insert((event.verb, resource, event.name));
        }
    }
    written
}

async fn all_uids(world: &World) -> BTreeMap<String, String> {
    let mut uids = BTreeMap::new();
    for name in (1..=PROFILES).map(name) {
        uids.extend(reference::uids(world, &name).await);
    }
    uids
}

/// Every object that was there is the same one, but for those of which that was said, and those that go with their Profile.
fn assert_nothing_was_made_again(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let replaced = format!("RoleBinding {OTHER_ROLE}/default-editor");
    let deleted = format!("ResourceQuota {NO_QUOTA}/kf-resource-quota");
    for (object, uid) in before {
        if *object == replaced {
            assert_ne!(after.get(object), Some(uid), "{object}");
        } else if *object == deleted {
            assert_eq!(after.get(object), None, "{object}");
        } else if !object.contains(DELETED) {
            assert_eq!(after.get(object), Some(uid), "{object}");
        }
    }
}

/// It made no write: nothing but reads, and questions about permissions, of which none was refused.
async fn assert_only_looked(world: &World, mark: dev_cluster::Mark) {
    world.cluster.audit().settled().await.unwrap();
    let events = world.cluster.audit().since(mark).unwrap();
    let mut requests: Vec<_> = events.into_iter().filter(|event| event.user == READER).collect();
    assert!(requests.iter().all(|event| event.code < 300), "{requests:#?}");
    requests.retain(|event| event.resource != "subjectaccessreviews");
    assert!(requests.iter().all(|event| matches!(event.verb.as_str(), "get" | "list")), "{requests:#?}");
    assert!(requests.len() < 15, "few requests, however many Profiles: {requests:#?}");
}

#[test]
fn a_cluster_that_this_controller_runs_stays_as_it_is_however_it_is_listed() {
    run(async {
        let world = World::start().await;
        let _controller = world.controller(&[]);
        for number in 1..=5 {
            world.ready_profile(&name(number), "a@example.com").await;
        }
        let kubeconfig = reader(&world).await;
        let quiet = preflight(kubeconfig.clone(), &["-output", "json", ACCOUNT]).await;
        assert_eq!(quiet.code, Some(0), "{} {}", quiet.printed, quiet.errors);
        let report = quiet.report();
        assert_eq!(report["summary"]["unchanged"], 5, "{report:#}");
        let paged = preflight(kubeconfig.clone(), &["-output", "json", ACCOUNT, "--chunk-size=2"]).await;
        assert_eq!(paged.report(), report, "page by page");

        let table = preflight(kubeconfig, &[ACCOUNT]).await;
        assert_eq!(table.code, Some(0));
        let first = table.printed.lines().next().unwrap();
        assert!(first.starts_with("Profiles: 5. Need attention: 0; change: 0;"), "{first}");
        assert!(!table.printed.contains("p00001"), "what is quiet is only counted: {}", table.printed);
    });
}
