//! What this process has changed it sees at once, however late the watches are.

use std::time::Duration;

use fault_proxy::{Fate, Proxy};

use crate::harness::{Who, World, binding, run};

#[test]
fn a_read_after_a_write_sees_it_before_any_watch_tells() {
    run(async {
        let world = World::start().await;
        let owner = "owner@example.com";
        world.furnished("team", owner).await;
        // Those of the whole cluster are the watches. Late means later than this test lives.
        let script = |what: &str| {
            let watch = what.starts_with("GET") && what.ends_with("/v1/rolebindings watch");
            if watch { Fate::Late(Duration::from_secs(600)) } else { Fate::Pass }
        };
        let proxy = Proxy::scripted(world.kfam_client().await, script).await.unwrap();
        let kfam = world.kfam_behind(&proxy.url()).await;
        kfam.ready().await;
        for _ in 0..3 {
            kfam.share(Who::User(owner), binding("team", "joe@example.com", "admin")).await.done();
            assert_eq!(
                kfam.bindings(Who::Dashboard, "?user=joe@example.com").await,
                ["team User joe@example.com admin"]
            );
            kfam.share(Who::User("joe@example.com"), binding("team", "ann@example.com", "view")).await.done();
            kfam.unshare(Who::User(owner), binding("team", "ann@example.com", "view")).await.done();
            kfam.unshare(Who::User(owner), binding("team", "joe@example.com", "admin")).await.done();
            assert_eq!(kfam.bindings(Who::Dashboard, "?user=joe@example.com").await, [""; 0]);
            let answer =
                kfam.share(Who::User("joe@example.com"), binding("team", "ann@example.com", "view")).await;
            answer.refused(403, "Forbidden");
        }
    });
}
