//! Whatever requests fail, and however: once they succeed again, the cluster is as rendered.
//!
//! Each seed is a story of its own. `FAULT_SEEDS=1000` tells so many of them, `FAULT_SEED=7` tells that one again.

use std::time::Instant;

use fault_proxy::{Faults, Proxy};
use kube::{ResourceExt, core::DynamicObject};
use profile_api::{Profile, ProfileSpec, Subject};
use profile_render::{Observed, OwnedKind, PlatformConfig, plan, render, validate};
use serde_json::json;

use crate::harness::{World, patch, run, unique, until};

/// How many seeds are told when nothing else is asked for.
const SEEDS: u64 = 8;
/// Which share of the requests goes wrong, and how many at the most: then the story comes to its end. With many more a Profile
/// would fail so often in a row that it waits out its backoff for longer than a test should take.
const SHARE: f64 = 0.35;
const FAULTS: usize = 24;
/// How many requests it may take afterwards: for two Profiles from nothing 18 writes and 2 reads, for every object that was
/// written but not known to be one failed attempt and one read, and the lists and watches.
const REQUESTS_AFTERWARDS: usize = 120;

#[test]
fn whatever_requests_fail_the_cluster_is_as_rendered_in_the_end() {
    run(async {
        let world = World::start().await;
        for seed in seeds() {
            println!("FAULT_SEED={seed}");
            let begin = Instant::now();
            live_through(&world, seed).await;
            println!("  {:.1} s", begin.elapsed().as_secs_f64());
        }
    });
}

fn seeds() -> std::ops::RangeInclusive<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    match number("FAULT_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("FAULT_SEEDS").unwrap_or(SEEDS),
    }
}

async fn live_through(world: &World, seed: u64) {
    let [moved, drifted, deleted] = ["moved", "drifted", "deleted"].map(unique);
    for name in [&moved, &drifted, &deleted] {
        let mut spec = ProfileSpec::owned_by(Subject::user("a@example.com"));
        spec.resource_quota_spec = serde_json::from_value(json!({ "hard": { "cpu": 1 } })).unwrap();
        world.create(Profile::new(name, spec)).await;
    }
    let faults = Faults { seed, share: SHARE, most: FAULTS };
    let proxy = Proxy::start(world.controller_client().await, faults).await.unwrap();
    let controller = world.controller_behind(&proxy.url());

    troubled(world, &proxy, FAULTS / 2, [&moved, &drifted, &deleted]).await;
    world.patch_spec(&moved, json!({ "owner": { "name": "b@example.com" } })).await;
    patch(&world.profiles(), &drifted, json!({ "metadata": { "finalizers": ["profile-finalizer"] } })).await;
    // It may not be there yet: then there is nothing to drift.
    let _ = world.role_bindings(&drifted).delete("namespaceAdmin", &Default::default()).await;
    world.delete_profile(&deleted).await;
    troubled(world, &proxy, FAULTS, [&moved, &drifted]).await;
    proxy.heal();

    for name in [&moved, &drifted] {
        until(&format!("seed {seed}: {name} is as rendered"), async || {
            is_as_rendered(world, name).await.then_some(())
        })
        .await;
    }
    until(&format!("seed {seed}: {drifted} has no finalizer"), async || {
        world.profiles().get(&drifted).await.ok().filter(|profile| profile.finalizers().is_empty())
    })
    .await;
    until(&format!("seed {seed}: the namespace of {deleted} is going"), async || {
        let namespace = world.namespaces().get_opt(&deleted).await.ok()?;
        namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()).then_some(())
    })
    .await;
    let requests = proxy.requests_since_heal();
    assert!(requests <= REQUESTS_AFTERWARDS, "seed {seed}: {requests} requests after the faults had ended");
    assert_eq!(controller.stop().await, Some(0), "seed {seed}");
    for name in [&moved, &drifted] {
        world.delete_profile(name).await;
    }
}

/// Waits until so many requests have gone wrong, or the Profiles are as rendered all the same.
async fn troubled<const N: usize>(world: &World, proxy: &Proxy, faults: usize, profiles: [&String; N]) {
    until(&format!("{faults} requests have gone wrong"), async || {
        let mut done = true;
        for name in profiles {
            done = done && is_as_rendered(world, name).await;
        }
        (done || proxy.faults() >= faults).then_some(())
    })
    .await;
}

/// Whether nothing would have to be changed for a Profile, and its status says so.
async fn is_as_rendered(world: &World, name: &str) -> bool {
    let config = PlatformConfig {
        userid_header: "kubeflow-userid".to_owned(),
        userid_prefix: String::new(),
        ..PlatformConfig::default()
    };
    let Ok(profile) = world.profiles().get(name).await else { return false };
    let status = profile.status.clone().unwrap_or_default();
    if !status.is_ready() || status.observed_generation != profile.metadata.generation {
        return false;
    }
    let rendered = render(&validate(&profile.metadata, &profile.spec, &config).unwrap(), &config);
    let Ok(namespace) = world.namespaces().get(name).await else { return false };
    let namespace: DynamicObject = serde_json::from_value(json!(namespace)).unwrap();
    let namespace = Observed::new(OwnedKind::Namespace, namespace);
    let mut planned = vec![plan::plan(
        &rendered.namespace_manifest(Some(&namespace), &config.namespace_labels),
        Some(&namespace),
    )];
    for manifest in rendered.manifests() {
        let resource = manifest.key.kind.api_resource();
        let api = kube::Api::<DynamicObject>::namespaced_with(world.admin.clone(), name, &resource);
        let Ok(object) = api.get_opt(&manifest.key.name).await else { return false };
        let observed = object.map(|object| Observed::new(manifest.key.kind, object));
        planned.push(plan::plan(&manifest, observed.as_ref()));
    }
    planned.iter().all(|planned| *planned == Ok(None))
}
