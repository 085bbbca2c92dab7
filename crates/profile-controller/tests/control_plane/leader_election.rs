//! Two replicas: one works, the other takes over.

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use crate::harness::{Controller, Server, World, run, unique, until};

const FLAGS: [&str; 2] = ["--leader-elect", "--leader-election-namespace=profiles-system"];

/// The one of two replicas that leads.
async fn leader(replicas: &[Controller; 2]) -> usize {
    until("one replica leads", async || {
        for (index, replica) in replicas.iter().enumerate() {
            let (code, text) = replica.get(Server::Health, "/readyz").await;
            if code == 200 && text.contains("leader election: leading") {
                return Some(index);
            }
        }
        None
    })
    .await
}

#[test]
fn one_of_two_replicas_works_and_the_other_takes_over_at_once_when_it_stops() {
    run(async {
        let world = World::start().await;
        let replicas = [world.controller(&FLAGS), world.controller(&FLAGS)];
        let first = leader(&replicas).await;
        world.ready_profile(&unique("led"), "a@example.com").await;

        let standby = &replicas[1 - first];
        let (code, text) = until("the other one stands by", async || {
            let (code, text) = standby.get(Server::Health, "/readyz").await;
            text.contains("standing by").then_some((code, text))
        })
        .await;
        assert_eq!(code, 200, "a replica that can take over is ready: {text}");
        assert!(standby.log().iter().all(|line| !line["profile"].is_string()), "it changes nothing");
        assert_eq!(
            standby.metric("leader_election_master_status{name=\"kubeflow-profile-controller\"}").await,
            Some(0.0)
        );

        let [a, b] = replicas;
        let (leading, standby) = if first == 0 { (a, b) } else { (b, a) };
        let lease = lease(&world).await;
        let renewed = lease.spec.unwrap().renew_time.unwrap().0;
        assert_eq!(leading.stop().await, Some(0));
        world.ready_profile(&unique("led"), "a@example.com").await;
        standby.logged("leading").await;
        let lease = self::lease(&world).await.spec.unwrap();
        let waited = lease.acquire_time.unwrap().0.duration_since(renewed).as_secs();
        assert!(waited < 15, "the lease was given back, not waited out: {waited} s");
    });
}

#[test]
fn a_leader_that_is_killed_is_followed_by_the_other_replica() {
    run(async {
        let world = World::start().await;
        let replicas = [world.controller(&FLAGS), world.controller(&FLAGS)];
        let first = leader(&replicas).await;
        world.ready_profile(&unique("killed"), "a@example.com").await;
        let [a, b] = replicas;
        let (leading, standby) = if first == 0 { (a, b) } else { (b, a) };
        leading.kill();
        let name = unique("killed");
        let profile = world.ready_profile(&name, "a@example.com").await;
        world.assert_in_place(&profile).await;
        standby.logged("leading").await;
    });
}

#[test]
fn a_leader_whose_lease_is_taken_stops_working() {
    run(async {
        let world = World::start().await;
        let mut controller = world.controller(&FLAGS);
        world.ready_profile(&unique("robbed"), "a@example.com").await;
        let theirs = serde_json::json!({ "spec": { "holderIdentity": "somebody-else", "leaseDurationSeconds": 3600 } });
        crate::harness::patch(&leases(&world), "kubeflow-profile-controller", theirs).await;
        assert_eq!(
            controller.ended().await,
            Some(1),
            "it ends with an error, and is started again as a standby"
        );
        assert_eq!(lease(&world).await.spec.unwrap().holder_identity.as_deref(), Some("somebody-else"));
    });
}

fn leases(world: &World) -> Api<Lease> {
    world.namespaced("profiles-system")
}

async fn lease(world: &World) -> Lease {
    leases(world).get("kubeflow-profile-controller").await.unwrap()
}
