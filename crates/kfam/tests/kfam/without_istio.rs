//! A cluster without Istio: sharing is a RoleBinding alone.

use dev_cluster::{Cluster, IstioCrds};

use crate::harness::{Who, World, binding, run};

#[test]
fn a_contributor_gets_in_by_rbac_alone() {
    run(async {
        let world = World::with(Cluster::builder().istio_crds(IstioCrds::None)).await;
        let kfam = world.kfam(&[]).await;
        let owner = "owner@example.com";
        let team = world.team(&kfam, owner).await;
        let joe = || binding(&team, "joe@example.com", "edit");
        let answer = kfam.share(Who::User(owner), joe()).await;
        answer.done();
        assert!(answer.json()["notice"].as_str().unwrap().contains("Istio"), "{answer:?}");
        assert!(world.can("joe@example.com", &[], "create", &team).await);
        kfam.share(Who::User(owner), joe()).await.refused(409, "AlreadyExists");
        kfam.unshare(Who::User(owner), joe()).await.done();
        assert!(!world.can("joe@example.com", &[], "create", &team).await);
        kfam.unshare(Who::User(owner), joe()).await.refused(404, "NotFound");
    });
}
