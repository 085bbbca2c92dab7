//! The servers for health and metrics, and how the process starts and stops.

use std::{collections::BTreeMap, net::TcpListener};

use kube::Config;

use crate::harness::{Controller, Server, World, run, until};

#[test]
fn health_metrics_and_a_clean_stop() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&["--max-concurrent-reconciles=7"]);
        let name = "measured";
        world.ready_profile(name, "jane@example.com").await;
        let reserved = "kube-jane";
        world.create_profile(reserved, "jane@example.com").await;
        world.not_ready(reserved, "ReservedName").await;

        let (code, text) = controller.get(Server::Health, "/healthz").await;
        assert_eq!((code, text.as_str()), (200, "ok\n"));
        let (code, text) = controller.get(Server::Health, "/readyz").await;
        assert_eq!((code, text.as_str()), (200, "stores: filled\nleader election: off\n"));
        assert_eq!(controller.get(Server::Health, "/metrics").await.0, 404);
        assert_eq!(controller.get(Server::Metrics, "/healthz").await.0, 404);

        // What is counted after the status is written may come a moment later.
        let reconciled = r#"controller_runtime_reconcile_total{controller="profile",result="error"}"#;
        until("the second Profile is counted", async || {
            controller.metric(reconciled).await.filter(|count| *count >= 1.0)
        })
        .await;
        let metrics = scrape(&controller).await;
        let value =
            |series: &str| *metrics.get(series).unwrap_or_else(|| panic!("{series} is among {metrics:#?}"));
        assert!(value(r#"request_kf{component="profile_controller",kind="reconcile"}"#) >= 2.0);
        assert!(
            value(
                r#"request_kf_failure{component="profile_controller",kind="ReservedName",severity="minor"}"#
            ) >= 1.0
        );
        assert!(value(r#"service_heartbeat{component="profile_controller",severity="critical"}"#) >= 1.0);
        for (result, least) in [("success", 0.0), ("error", 1.0), ("requeue", 0.0), ("requeue_after", 1.0)] {
            assert!(
                value(&format!(
                    r#"controller_runtime_reconcile_total{{controller="profile",result="{result}"}}"#
                )) >= least
            );
        }
        assert!(value(r#"controller_runtime_reconcile_errors_total{controller="profile"}"#) >= 1.0);
        let count = value(r#"controller_runtime_reconcile_time_seconds_count{controller="profile"}"#);
        assert!(count >= 2.0);
        assert_eq!(
            value(r#"controller_runtime_reconcile_time_seconds_bucket{controller="profile",le="+Inf"}"#),
            count
        );
        assert!(value(r#"controller_runtime_reconcile_time_seconds_sum{controller="profile"}"#) > 0.0);
        assert_eq!(value(r#"controller_runtime_active_workers{controller="profile"}"#), 0.0);
        assert_eq!(value(r#"controller_runtime_max_concurrent_reconciles{controller="profile"}"#), 7.0);
        assert_eq!(value(r#"workqueue_depth{name="profile"}"#), 0.0);
        assert_eq!(
            value(r#"workqueue_retries_total{name="profile"}"#),
            0.0,
            "what only a change helps is not retried"
        );
        let host = host(&world).await;
        assert!(
            value(&format!(r#"rest_client_requests_total{{code="201",host="{host}",method="POST"}}"#)) >= 7.0
        );
        assert!(
            value(&format!(r#"rest_client_requests_total{{code="200",host="{host}",method="PATCH"}}"#))
                >= 2.0
        );
        assert!(
            value(&format!(r#"rest_client_requests_total{{code="404",host="{host}",method="GET"}}"#)) >= 1.0
        );
        for series in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_start_time_seconds",
            "process_open_fds",
        ] {
            assert!(value(series) >= 0.0);
        }
        assert_eq!(value(r#"profile_controller_profiles{ready="true",reason="Reconciled"}"#), 1.0);
        assert_eq!(value(r#"profile_controller_profiles{ready="false",reason="ReservedName"}"#), 1.0);
        let elected = metrics.keys().find(|series| series.starts_with("leader_election_master_status"));
        assert_eq!(elected, None, "without leader election there is nothing to say about it");
        let doubled = metrics.keys().find(|series| {
            ["_total_total", "_total_count", "_seconds_seconds"].iter().any(|it| series.contains(it))
        });
        assert_eq!(doubled, None);

        // The numbers follow what there is.
        world.ready_profile("second", "jane@example.com").await;
        let ready = r#"profile_controller_profiles{ready="true",reason="Reconciled"}"#;
        until("two are ready", async || controller.metric(ready).await.filter(|count| *count == 2.0)).await;
        world.delete_profile(reserved).await;
        world.delete_profile(name).await;
        until("one is left", async || {
            let metrics = scrape(&controller).await;
            let left: f64 = metrics
                .iter()
                .filter(|(series, _)| series.starts_with("profile_controller_profiles{"))
                .map(|(_, it)| it)
                .sum();
            (left == 1.0 && metrics.get(ready) == Some(&1.0)).then_some(())
        })
        .await;

        assert_eq!(controller.stop().await, Some(0), "SIGTERM is no failure");
    });
}

#[test]
fn a_profile_that_is_gone_before_it_is_looked_at_does_not_wait_for_ever() {
    run(async {
        let world = World::start().await;
        // One at a time, so that there is a queue.
        let controller = world.controller(&["--max-concurrent-reconciles=1"]);
        let names: Vec<String> = (0..30).map(|number| format!("passing-{number}")).collect();
        for name in &names {
            world.create_profile(name, "jane@example.com").await;
        }
        for name in names.iter().rev() {
            world.delete_profile(name).await;
        }
        world.caught_up().await;
        until("nothing waits", async || {
            let depth = controller.metric(r#"workqueue_depth{name="profile"}"#).await;
            depth.filter(|depth| *depth == 0.0)
        })
        .await;
    });
}

#[test]
fn a_replica_that_waits_for_its_turn_is_ready_and_has_no_queue() {
    run(async {
        let world = World::start().await;
        let leader = world.controller(&["--leader-elect", "--leader-election-namespace=profiles-system"]);
        world.ready_profile("jane", "jane@example.com").await;
        let waiting = world.controller(&["--leader-elect", "--leader-election-namespace=profiles-system"]);
        until("the replica is ready", async || {
            (waiting.get(Server::Health, "/readyz").await.0 == 200).then_some(())
        })
        .await;
        // It sees a Profile that comes, and leaves it to the leader.
        world.ready_profile("joe", "joe@example.com").await;
        until("the replica knows both", async || {
            let known =
                waiting.metric(r#"profile_controller_profiles{ready="true",reason="Reconciled"}"#).await;
            known.filter(|known| *known == 2.0)
        })
        .await;
        assert_eq!(waiting.metric(r#"workqueue_depth{name="profile"}"#).await, Some(0.0));
        assert_eq!(
            waiting.metric(r#"request_kf{component="profile_controller",kind="reconcile"}"#).await,
            Some(0.0)
        );
        assert_eq!(leader.stop().await, Some(0));
        assert_eq!(waiting.stop().await, Some(0));
    });
}

#[test]
fn the_controller_is_not_ready_before_it_knows_what_there_is_and_waits_for_the_api_server() {
    run(async {
        let world = World::start().await;
        world.create_profile("patient", "jane@example.com").await;
        world.cluster.stop_api_server();
        let controller = world.controller(&[]);
        assert_eq!(controller.get(Server::Health, "/healthz").await.0, 200);
        let (code, text) = controller.get(Server::Health, "/readyz").await;
        assert_eq!((code, text.as_str()), (503, "stores: being filled\nleader election: off\n"));
        let said = controller.logged("cannot list, trying again").await;
        assert_eq!(said["level"], "WARN");
        let failed = scrape(&controller).await.into_iter().any(|(series, count)| {
            series.starts_with("rest_client_requests_total{code=\"<error>\"") && count >= 1.0
        });
        assert!(failed, "a request without an answer is counted");
        world.cluster.start_api_server().await.unwrap();
        world.ready("patient").await;
        let (code, text) = controller.get(Server::Health, "/readyz").await;
        assert_eq!((code, text.as_str()), (200, "stores: filled\nleader election: off\n"));
        // While it waits for the API server it can be stopped as at any other time.
        world.cluster.stop_api_server();
        assert_eq!(controller.stop().await, Some(0));
        let controller = world.controller(&[]);
        controller.logged("serving health probes on").await;
        assert_eq!(controller.stop().await, Some(0));
    });
}

#[test]
fn servers_can_be_turned_off_and_a_taken_address_is_refused_with_the_flag() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&["-metrics-bind-address=0", "-health-probe-bind-address", "0"]);
        world.ready_profile("unseen", "jane@example.com").await;
        let serving = controller
            .log()
            .into_iter()
            .find(|line| line["message"].as_str().is_some_and(|it| it.contains("serving")));
        assert_eq!(serving, None);
        assert_eq!(controller.stop().await, Some(0));

        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        for flag in ["--metrics-bind-address", "--health-probe-bind-address"] {
            let mut controller = world.controller(&[&format!("{flag}={address}")]);
            assert_eq!(controller.ended().await, Some(1));
            let text = controller.printed();
            for part in [flag, &address.to_string(), "in use"] {
                assert!(text.contains(part), "{text} says {part:?}");
            }
        }
    });
}

/// The metrics by their series. Every line has to be as Prometheus reads it, and every metric explained.
async fn scrape(controller: &Controller) -> BTreeMap<String, f64> {
    let (code, text) = controller.get(Server::Metrics, "/metrics").await;
    assert_eq!(code, 200);
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let (mut types, mut series) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(name) && !text.trim().is_empty(), "{line}");
        } else if let Some(type_) = line.strip_prefix("# TYPE ") {
            let (name, type_) = type_.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(["counter", "gauge", "histogram"].contains(&type_), "{line}");
            assert_eq!(types.insert(name.to_owned(), type_.to_owned()), None, "{name} is declared once");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            assert!(is_name(name) && labels.ends_with('}'), "{line}");
            for label in labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
                let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                assert!(is_name(name) && !value.trim_end_matches('"').contains('"'), "{line}");
            }
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let declared = types.get(name).or_else(|| types.get(base?).filter(|type_| *type_ == "histogram"));
            assert!(declared.is_some(), "{name} has a type");
            assert_eq!(series.insert(sample.to_owned(), value), None, "{sample} is there once");
        }
    }
    series
}

/// The host of the API server as client-go names it: with its port.
async fn host(world: &World) -> String {
    let kubeconfig = kube::config::Kubeconfig::read_from(world.cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    config.cluster_url.authority().unwrap().to_string()
}
