//! Requests to the API server fail in every way: refused, lost, carried out but not answered. In the end every binding is whole or
//! not there.

use fault_proxy::{Faults, Proxy};
use futures::future::join_all;

use crate::harness::{Kfam, Who, World, binding, run, until};

const STORIES: u64 = 12;
const STEPS: usize = 12;

#[test]
fn no_half_of_a_binding_is_left_once_requests_succeed_again() {
    run(async {
        let world = World::start().await;
        for story in 0..STORIES {
            world.furnished(&format!("story-{story}"), "owner@example.com").await;
        }
        let seed_of = |name: &str| name.strip_prefix("story-")?.parse().ok();
        let faults = Faults { share: 0.25, most: 40, seed_of, seed_of_others: 99 };
        let proxy = Proxy::start(world.kfam_client().await, faults).await.unwrap();
        let kfam = world.kfam_behind(&proxy.url()).await;
        kfam.ready().await;
        let refusals: usize = join_all((0..STORIES).map(|story| tell(&kfam, story))).await.into_iter().sum();
        assert!(refusals > 20, "requests have failed: {refusals}");
        proxy.heal();
        for story in 0..STORIES {
            let team = format!("story-{story}");
            until(&format!("no half is left in {team}, and what there is is listed"), async || {
                let (mut bindings, mut policies) = world.halves(&team).await;
                bindings.sort_unstable();
                policies.sort_unstable();
                let listed = kfam.bindings(Who::Dashboard, &format!("?namespace={team}")).await;
                (bindings == policies && listed.len() == bindings.len() + 1).then_some(())
            })
            .await;
        }
    });
}

/// Adds and removes contributors at random; how often that failed.
async fn tell(kfam: &Kfam, story: u64) -> usize {
    let mut rng = fastrand::Rng::with_seed(story);
    let team = format!("story-{story}");
    let mut failures = 0;
    for _ in 0..STEPS {
        let user = ["a.b@x", "a-b@x", "joe@x"][rng.usize(0..3)];
        let body = binding(&team, user, "edit");
        let owner = Who::User("owner@example.com");
        let answer =
            if rng.u8(0..3) > 0 { kfam.share(owner, body).await } else { kfam.unshare(owner, body).await };
        assert!([200, 404, 409, 503].contains(&answer.code()), "{answer:?}");
        failures += usize::from(answer.code() == 503);
    }
    failures
}
