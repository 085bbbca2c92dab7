//! Whatever requests fail, and however: once they succeed again, the cluster is as rendered.
//!
//! Each seed is a story of its own; a batch of them is told at a time, by one controller. `FAULT_SEEDS=1-1000` tells so many,
//! `FAULT_SEEDS=7` tells that one again, though with the lists and watches in other trouble than in its batch.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use fault_proxy::{Faults, Proxy};
use futures::future::join_all;
use kube::{ResourceExt, api::ListParams};
use profile_api::{Profile, ProfileSpec, Subject};
use profile_render::ObjectKey;
use serde_json::json;

use crate::{
    harness::{World, patch, run},
    seen::{Seen, is_ready, until_none},
};

/// The seeds that are told when nothing else is asked for, and how many at a time.
const SEEDS: &str = "1-40";
const BATCH: usize = 20;
/// Which share of the requests goes wrong, and how many of a story at the most: then it comes to its end. With many more a
/// Profile would fail so often in a row that it waits out its backoff for longer than a test should take.
const SHARE: f64 = 0.35;
const FAULTS: usize = 24;
const LONGEST_TROUBLE: Duration = Duration::from_secs(15);
/// How many requests a story may take afterwards: for two Profiles from nothing 18 writes and 2 reads, for every object that
/// was written but not known to be one failed attempt and one read; and the batch for its lists and watches.
const REQUESTS_AFTERWARDS: usize = 60;
const LISTS_AND_WATCHES: usize = 40;

#[test]
fn whatever_requests_fail_the_cluster_is_as_rendered_in_the_end() {
    run(async {
        let world = World::start().await;
        for batch in seeds().chunks(BATCH) {
            let begin = Instant::now();
            println!("FAULT_SEEDS={}-{}", batch[0], batch[batch.len() - 1]);
            live_through(&world, batch).await;
            println!("  {:.2} s a seed", begin.elapsed().as_secs_f64() / batch.len() as f64);
        }
    });
}

fn seeds() -> Vec<u64> {
    let asked = std::env::var("FAULT_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let number = |text: &str| {
        text.parse::<u64>().expect("FAULT_SEEDS is a seed, or the first and the last, such as 1-40")
    };
    let (first, last) = asked.split_once('-').unwrap_or((&asked, &asked));
    (number(first)..=number(last)).collect()
}

/// The three Profiles of a seed.
struct Story {
    seed: u64,
    /// Gets another owner.
    moved: String,
    /// Is changed by others.
    drifted: String,
    /// Is deleted.
    deleted: String,
}

impl Story {
    fn new(seed: u64) -> Self {
        let [moved, drifted, deleted] =
            ["moved", "drifted", "deleted"].map(|part| format!("seed-{seed}-{part}"));
        Self { seed, moved, drifted, deleted }
    }

    /// Those that stay.
    fn kept(&self) -> [&String; 2] {
        [&self.moved, &self.drifted]
    }
}

fn seed_of(name: &str) -> Option<u64> {
    name.strip_prefix("seed-")?.split_once('-')?.0.parse().ok()
}

async fn live_through(world: &World, seeds: &[u64]) {
    let stories: Vec<Story> = seeds.iter().copied().map(Story::new).collect();
    join_all(stories.iter().map(|story| begin(world, story))).await;
    let faults = Faults { share: SHARE, most: FAULTS, seed_of, seed_of_others: seeds[0] };
    let proxy = Proxy::start(world.controller_client().await, faults).await.unwrap();
    let controller = world.controller_behind(&proxy.url());
    troubled(world, &proxy, &stories, FAULTS / 2).await;
    join_all(stories.iter().map(|story| turn(world, story))).await;
    troubled(world, &proxy, &stories, FAULTS).await;
    proxy.heal();

    until_none("as rendered", async || {
        let seen = Seen::of(world).await?;
        Ok(stories.iter().flat_map(Story::kept).filter(|name| !seen.is_as_rendered(name)).cloned().collect())
    })
    .await;
    until_none("without the finalizer", async || {
        let seen = Seen::of(world).await?;
        let has_finalizer = |name: &&String| !seen.profiles[*name].finalizers().is_empty();
        Ok(stories.iter().map(|story| &story.drifted).filter(has_finalizer).cloned().collect())
    })
    .await;
    until_none("deleted with their namespaces", async || {
        let seen = Seen::of(world).await?;
        let stays = |name: &&String| {
            let namespace = seen.objects.get(&ObjectKey::namespace(name));
            seen.profiles.contains_key(*name) || namespace.is_some_and(|namespace| !namespace.terminating)
        };
        Ok(stories.iter().map(|story| &story.deleted).filter(stays).cloned().collect())
    })
    .await;
    let (requests, most) =
        (proxy.requests_since_heal(), LISTS_AND_WATCHES + REQUESTS_AFTERWARDS * stories.len());
    assert!(requests <= most, "{requests} requests after the faults had ended, more than {most}");
    assert_eq!(controller.stop().await, Some(0));
    join_all(stories.iter().flat_map(Story::kept).map(|name| world.delete_profile(name))).await;
}

async fn begin(world: &World, story: &Story) {
    for name in [&story.moved, &story.drifted, &story.deleted] {
        let mut spec = ProfileSpec::owned_by(Subject::user("a@example.com"));
        spec.resource_quota_spec = serde_json::from_value(json!({ "hard": { "cpu": 1 } })).unwrap();
        world.create(Profile::new(name, spec)).await;
    }
}

async fn turn(world: &World, story: &Story) {
    world.patch_spec(&story.moved, json!({ "owner": { "name": "b@example.com" } })).await;
    patch(&world.profiles(), &story.drifted, json!({ "metadata": { "finalizers": ["profile-finalizer"] } }))
        .await;
    // It may not be there yet: then there is nothing to drift.
    let _ = world.role_bindings(&story.drifted).delete("namespaceAdmin", &Default::default()).await;
    world.delete_profile(&story.deleted).await;
}

/// Waits until of each story so many requests have gone wrong, or its Profiles are ready all the same. One whose Profiles have
/// failed so often in a row that they wait for long goes on with the trouble that it had.
async fn troubled(world: &World, proxy: &Proxy, stories: &[Story], faults: usize) {
    let enough = until_none("in trouble enough", async || {
        let profiles = world.profiles().list(&ListParams::default()).await?;
        let ready: HashMap<String, bool> =
            profiles.into_iter().map(|profile| (profile.name_any(), is_ready(&profile))).collect();
        let unready = |story: &&Story| story.kept().into_iter().any(|name| !ready[name]);
        let calm = |story: &&Story| proxy.faults(story.seed) < faults && unready(story);
        Ok(stories.iter().filter(calm).map(|story| format!("seed {}", story.seed)).collect())
    });
    let _ = tokio::time::timeout(LONGEST_TROUBLE, enough).await;
}
