//! The API server is down, and comes back.

use crate::harness::{Who, World, binding, run, until};

#[test]
fn without_the_api_server_reads_go_on_and_changes_say_so_and_afterwards_everything_works() {
    run(async {
        let world = World::start().await;
        let kfam = world.kfam(&[]).await;
        let owner = "owner@example.com";
        let team = world.team(&kfam, owner).await;
        kfam.share(Who::User(owner), binding(&team, "joe@example.com", "view")).await.done();

        world.cluster.stop_api_server();
        assert_eq!(kfam.bindings(Who::Dashboard, &format!("?namespace={team}")).await.len(), 2);
        kfam.share(Who::User(owner), binding(&team, "ann@example.com", "edit"))
            .await
            .refused(503, "ApiServerUnavailable");
        kfam.unshare(Who::User(owner), binding(&team, "joe@example.com", "view"))
            .await
            .refused(503, "ApiServerUnavailable");
        kfam.register(Who::Dashboard, "later", owner).await.refused(503, "ApiServerUnavailable");
        kfam.delete_profile(Who::User(owner), &team).await.refused(503, "ApiServerUnavailable");
        let metrics = kfam.get(Who::Headers(&[]), "/metrics").await.text;
        let failure = r#"request_kf_failure{action="create",component="kfam",kind="ApiServerUnavailable",path="/kfam/v1/bindings",severity="major"} 1"#;
        assert!(metrics.contains(failure), "{metrics}");

        // One that starts now is not ready, and says so instead of an empty list.
        let late = world.kfam(&[]).await;
        assert_eq!(late.get(Who::Headers(&[]), "/readyz").await.code(), 503);
        assert_eq!(late.get(Who::Headers(&[]), "/healthz").await.code(), 200);
        late.get(Who::Dashboard, "/kfam/v1/bindings").await.refused(503, "Starting");
        late.share(Who::User(owner), binding(&team, "ann@example.com", "edit"))
            .await
            .refused(503, "Starting");
        late.register(Who::Dashboard, "later", owner).await.refused(503, "Starting");
        assert_eq!(late.logged("cannot list, trying again").await["level"], "WARN");

        world.cluster.start_api_server().await.unwrap();
        until("a change works again", async || {
            (kfam.share(Who::User(owner), binding(&team, "ann@example.com", "edit")).await.code() == 200)
                .then_some(())
        })
        .await;
        late.ready().await;
        late.knows("ann@example.com", &team, "edit").await;
        // Also what somebody else changes is seen again.
        late.unshare(Who::User(owner), binding(&team, "joe@example.com", "view")).await.done();
        until("the other process sees it", async || {
            (kfam.bindings(Who::Dashboard, "?user=joe@example.com").await.is_empty()).then_some(())
        })
        .await;
        let (mut bindings, mut policies) = world.halves(&team).await;
        bindings.sort_unstable();
        policies.sort_unstable();
        assert_eq!(bindings, policies);
    });
}
