//! A busy cluster for a long time: whatever comes and goes, in the end everything is as rendered and nothing is left behind.
//!
//! `SOAK_STEPS=20000 cargo xtask test soak` goes on for longer, `SOAK_SEED=7` takes other steps.

use futures::future::join_all;
use kube::api::{DeleteParams, Patch};
use profile_api::{Profile, ProfileSpec, Subject, names};
use profile_render::OwnedKind;
use serde_json::{Value, json};

use crate::{
    harness::{Controller, World, run, unique, until},
    seen::{Seen, until_none},
};

const REPLICA: [&str; 2] = ["--leader-elect", "--leader-election-namespace=profiles-system"];
const STEPS: u64 = 400;
/// How many steps a replica lives, until it is killed and another one is started.
const LIFE: u64 = 150;
/// How many Profiles there are at the most and at least.
const MOST: usize = 30;
const LEAST: usize = 10;

#[test]
fn after_random_changes_and_deaths_of_both_replicas_everything_is_as_rendered() {
    run(async {
        let world = World::start().await;
        let mut random = fastrand::Rng::with_seed(number("SOAK_SEED", 1));
        let mut replicas = [world.controller(&REPLICA), world.controller(&REPLICA)];
        let mut profiles: Vec<String> = Vec::new();
        for step in 1..=number("SOAK_STEPS", STEPS) {
            take_a_step(&world, &mut random, &mut profiles).await;
            if step % LIFE == 0 {
                // Assigning drops, and so kills, the one that was there.
                replicas[random.usize(..replicas.len())] = world.controller(&REPLICA);
            }
        }

        until_none("as rendered", async || {
            let seen = Seen::of(&world).await?;
            Ok(profiles.iter().filter(|name| !seen.is_as_rendered(name)).cloned().collect())
        })
        .await;
        until_none("deleted with their Profiles", async || Ok(Seen::of(&world).await?.left_behind())).await;
        for replica in replicas {
            assert_eq!(replica.stop().await, Some(0));
        }
    });
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

/// Something that a user, an admin or an accident does. That what it is done to is not there (yet, or any more) is part of it.
async fn take_a_step(world: &World, random: &mut fastrand::Rng, profiles: &mut Vec<String>) {
    let choice = random.u8(..10);
    if profiles.len() < LEAST || (choice == 0 && profiles.len() < MOST) {
        let name = unique("soak");
        world.create(Profile::new(&name, spec(random))).await;
        profiles.push(name);
        return;
    }
    let index = random.usize(..profiles.len());
    let name = profiles[index].clone();
    match choice {
        1 if profiles.len() > LEAST => {
            profiles.swap_remove(index);
            world.delete_profile(&name).await;
        }
        2 | 3 => {
            // A merge patch keeps what it does not name.
            let ProfileSpec { owner, resource_quota_spec, .. } = spec(random);
            let Subject { kind, name: owner, namespace, .. } = owner;
            let owner = json!({ "kind": kind, "name": owner, "namespace": namespace, "apiGroup": null });
            world
                .patch_spec(&name, json!({ "owner": owner, "resourceQuotaSpec": resource_quota_spec }))
                .await;
        }
        _ => damage(world, random, &name).await,
    }
}

fn spec(random: &mut fastrand::Rng) -> ProfileSpec {
    let number = random.u8(..100);
    let owner = match random.u8(..4) {
        0 => Subject::group(format!("group-{number}")),
        1 => Subject::service_account("default", format!("account-{number}")),
        _ => Subject::user(format!("user-{number}@example.com")),
    };
    let mut spec = ProfileSpec::owned_by(owner);
    if random.bool() {
        spec.resource_quota_spec = serde_json::from_value(json!({ "hard": { "cpu": number } })).unwrap();
    }
    spec
}

/// What happens to an object of a Profile at somebody else's hands.
async fn damage(world: &World, random: &mut fastrand::Rng, profile: &str) {
    let objects = [
        (OwnedKind::Namespace, profile),
        (OwnedKind::AuthorizationPolicy, names::OWNER_POLICY),
        (OwnedKind::ResourceQuota, names::RESOURCE_QUOTA),
        (OwnedKind::RoleBinding, names::DEFAULT_EDITOR),
        (OwnedKind::RoleBinding, names::OWNER_ROLE_BINDING),
        (OwnedKind::ServiceAccount, names::DEFAULT_VIEWER),
    ];
    let (kind, object) = objects[random.usize(..objects.len())];
    let damages = [
        json!({ "metadata": { "labels": { names::PROFILE_LABEL: null } } }),
        json!({ "metadata": { "ownerReferences": null } }),
        json!({ "metadata": { "annotations": { "role": "none" } } }),
        json!({ "subjects": null, "spec": { "hard": { "pods": "1" }, "action": "DENY" } }),
        Value::Null,
    ];
    let api = world.owned(profile, kind);
    // What fails here, such as a change to what is not there, is no damage.
    match &damages[random.usize(..damages.len())] {
        // A namespace takes several seconds to go, and all that is in it.
        Value::Null if kind == OwnedKind::Namespace && random.u8(..4) > 0 => {}
        // One that belongs to nobody when its Profile is deleted stays, as after a deletion that orphans it.
        patch if kind == OwnedKind::Namespace && patch["metadata"].get("ownerReferences").is_some() => {}
        Value::Null => drop(api.delete(object, &DeleteParams::default()).await),
        patch => drop(api.patch(object, &Default::default(), &Patch::Merge(patch)).await),
    }
}

#[test]
fn profiles_that_come_and_go_leave_no_task_file_or_memory_behind() {
    const PROFILES: usize = 40;
    // The first rounds open connections and fill caches that stay as large.
    const FIRST_ROUNDS: u64 = 2;
    const ROUNDS: u64 = 4;
    run(async {
        let world = World::start().await;
        // What is due at the next comparison is forgotten then, if its Profile is gone.
        let controller = world.controller(&["--resync-period=5s"]);
        for _ in 0..FIRST_ROUNDS {
            round(&world, PROFILES).await;
        }
        let before = Held::by(&controller).await;
        let rounds = number("SOAK_ROUNDS", ROUNDS);
        for _ in 0..rounds {
            round(&world, PROFILES).await;
        }
        let after = Held::by(&controller).await;
        println!("before: {before:?}, after {rounds} rounds of {PROFILES} Profiles: {after:?}");
        // Far less than one of each Profile; and than the objects of a Profile take. The latest Events are kept for a while, to
        // be counted when they recur.
        let gone = PROFILES as f64 * rounds as f64;
        assert!(after.tasks - before.tasks < gone / 4.0, "tasks: {before:?}, then {after:?}");
        assert!(after.files - before.files < gone / 4.0, "files: {before:?}, then {after:?}");
        assert!(after.memory - before.memory < gone * 20_000.0, "memory: {before:?}, then {after:?}");
    });
}

/// Profiles come, are changed, and go with their namespaces.
async fn round(world: &World, count: usize) {
    let names: Vec<String> = (0..count).map(|_| unique("round")).collect();
    join_all(names.iter().map(|name| world.ready_profile(name, "a@example.com"))).await;
    for name in &names {
        world.patch_spec(name, json!({ "owner": { "name": "b@example.com" } })).await;
    }
    join_all(names.iter().map(|name| world.ready(name))).await;
    for name in &names {
        world.delete_profile(name).await;
    }
    until("all namespaces are gone", async || {
        let seen = Seen::of(world).await.ok()?;
        let left = seen.objects.keys().any(|key| names.contains(&key.name));
        (!left).then_some(())
    })
    .await;
}

/// What a controller holds of the machine.
#[derive(Debug)]
struct Held {
    tasks: f64,
    files: f64,
    memory: f64,
}

impl Held {
    async fn by(controller: &Controller) -> Self {
        let metric = async |name: &str| controller.metric(name).await.expect("a metric");
        Self {
            tasks: metric("tokio_alive_tasks").await,
            files: metric("process_open_fds").await,
            memory: metric("process_resident_memory_bytes").await,
        }
    }
}
