//! Many at a time: no half of a binding is ever left.

use futures::future::join_all;

use crate::harness::{ADMIN, Who, World, binding, run, shared, unique, until};

const CLIENTS: usize = 100;

#[test]
fn a_hundred_clients_add_and_remove_the_same_contributor_and_no_half_is_left() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        let joe = || binding(&team, "joe@example.com", "edit");
        let clients = (0..CLIENTS).map(|number| {
            let (owner, joe) = (&owner, &joe);
            async move {
                let who = if number % 3 == 0 { Who::User(ADMIN) } else { Who::User(owner) };
                let answer = if number.is_multiple_of(2) {
                    kfam.share(who, joe()).await
                } else {
                    kfam.unshare(who, joe()).await
                };
                assert!([200, 404, 409].contains(&answer.code()), "{answer:?}");
                answer.code()
            }
        });
        let codes = join_all(clients).await;
        let (bindings, policies) = world.halves(&team).await;
        assert_eq!(bindings, policies, "both or none");
        let listed = kfam.bindings(Who::Dashboard, &format!("?namespace={team}&role=edit")).await;
        assert_eq!(listed.len(), bindings.len(), "what is listed is what there is");
        let (added, removed): (Vec<_>, Vec<_>) =
            codes.iter().enumerate().partition(|(number, _)| number % 2 == 0);
        let done = |codes: Vec<(usize, &u16)>| codes.into_iter().filter(|(_, code)| **code == 200).count();
        assert_eq!(done(added) - done(removed), bindings.len(), "every success was one");
    });
}

#[test]
fn two_processes_that_add_and_remove_the_same_contributor_leave_no_half() {
    run(async {
        let world = World::start().await;
        let processes = [world.kfam(&[]).await, world.kfam(&[]).await];
        let team = world.team(&processes[0], "owner@example.com").await;
        processes[1].knows("owner@example.com", &team, "admin").await;
        let joe = || binding(&team, "joe@example.com", "edit");
        for _ in 0..5 {
            let clients = (0..20).map(|number| {
                let (kfam, joe) = (&processes[number % 2], &joe);
                async move {
                    let who = Who::User("owner@example.com");
                    let adds = number % 4 < 2;
                    let answer =
                        if adds { kfam.share(who, joe()).await } else { kfam.unshare(who, joe()).await };
                    assert!([200, 404, 409].contains(&answer.code()), "{answer:?}");
                }
            });
            join_all(clients).await;
            let (bindings, policies) = world.halves(&team).await;
            assert_eq!(bindings, policies, "both or none");
        }
        // And what each of them says is what there is.
        let (bindings, _) = world.halves(&team).await;
        for kfam in &processes {
            until("it is seen", async || {
                let seen = kfam.bindings(Who::Dashboard, &format!("?namespace={team}&role=edit")).await;
                (seen.len() == bindings.len()).then_some(())
            })
            .await;
        }
    });
}

#[test]
fn many_different_contributors_at_a_time_are_all_there_and_all_seen_at_once() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        // Half of them map to one name.
        let user = |number: usize| {
            if number.is_multiple_of(2) {
                format!("u{}x@example.com", "._-+~"[..number % 5 + 1].repeat(number + 1))
            } else {
                format!("v{number}@example.com")
            }
        };
        let clients = (0..60).map(|number| {
            let (owner, team) = (&owner, &team);
            async move {
                let name = user(number);
                kfam.share(Who::User(owner), binding(team, &name, "view")).await.done();
                let body =
                    kfam.get(Who::Dashboard, &format!("/kfam/v1/bindings?namespace={team}&role=view")).await;
                let seen =
                    body.json()["bindings"].as_array().unwrap().iter().any(|it| it["user"]["name"] == name);
                assert!(seen, "{name} is seen by a read after the write");
            }
        });
        join_all(clients).await;
        let (mut bindings, mut policies) = world.halves(&team).await;
        bindings.sort_unstable();
        policies.sort_unstable();
        assert_eq!((bindings.len(), &bindings), (60, &policies));
    });
}
