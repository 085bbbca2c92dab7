//! What operators rely on: the audit log, metrics, a clean stop, the command line, the role.

use std::{net::TcpListener, process::Command};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{ADMIN, DASHBOARD, Who, World, binding, certificate, run, shared, unique, until};

#[test]
fn every_change_is_in_the_audit_log_with_who_what_whom_and_result() {
    run(async {
        let (world, kfam) = shared().await;
        let owner = unique("owner@example.com");
        let team = world.team(kfam, &owner).await;
        kfam.share(Who::User(&owner), binding(&team, "joe@example.com", "edit")).await.done();
        kfam.share(Who::User("eve@example.com"), binding(&team, "eve@example.com", "admin"))
            .await
            .refused(403, "Forbidden");
        kfam.unshare(Who::User(ADMIN), binding(&team, "joe@example.com", "edit")).await.done();
        kfam.register(Who::Dashboard, &team, "eve@example.com").await.refused(409, "AlreadyExists");
        kfam.delete_profile(Who::User(&owner), &team).await.done();
        let lines =
            until("five lines", async || Some(kfam.audit(&team)).filter(|lines| lines.len() >= 5)).await;
        let of = |line: &Value| {
            let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            ["caller", "action", "subject", "role", "result"].map(text).join(" | ")
        };
        assert_eq!(
            lines.iter().map(of).collect::<Vec<_>>(),
            [
                format!("{owner} | create binding | joe@example.com | edit | done"),
                "eve@example.com | create binding | eve@example.com | admin | Forbidden".to_owned(),
                format!("{ADMIN} | delete binding | joe@example.com | edit | done"),
                "(dashboard) | create profile | eve@example.com |  | AlreadyExists".to_owned(),
                format!("{owner} | delete profile |  |  | done"),
            ]
        );
        // A line is one line, whatever a name holds.
        let strange = "a\"}\u{2028}{\"audit\":true";
        kfam.share(Who::User(strange), binding(&team, "joe@example.com", "edit")).await;
        until("the line", async || kfam.audit(&team).into_iter().find(|line| line["caller"] == strange))
            .await;
    });
}

#[test]
fn metrics_are_those_of_the_reference_and_how_long_requests_take() {
    run(async {
        let world = World::start().await;
        let kfam = world.kfam(&[]).await;
        let team = world.team(&kfam, "owner@example.com").await;
        kfam.share(Who::User("owner@example.com"), binding(&team, "joe@example.com", "edit")).await.done();
        kfam.share(Who::User("eve@example.com"), binding(&team, "eve@example.com", "edit"))
            .await
            .refused(403, "Forbidden");
        kfam.get(Who::Dashboard, "/kfam/v1/nothing").await.refused(404, "NotFound");
        let text = kfam.get(Who::Headers(&[]), "/metrics").await.text;
        let value = |series: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{series} is in {text}")).parse().unwrap()
        };
        assert_eq!(
            value(r#"request_kf{action="create",component="kfam",kind="bindings",path="/kfam/v1/bindings"}"#),
            1.0
        );
        assert_eq!(
            value(
                r#"request_kf_failure{action="create",component="kfam",kind="Forbidden",path="/kfam/v1/bindings",severity="minor"}"#
            ),
            1.0
        );
        assert!(value(r#"service_heartbeat{component="kfam",severity="critical"}"#) >= 1.0);
        assert_eq!(
            value(
                r#"kfam_request_duration_seconds_count{code="200",method="POST",path="/kfam/v1/bindings"}"#
            ),
            1.0
        );
        assert_eq!((value("kfam_profiles"), value("kfam_bindings")), (1.0, 2.0));
        assert!(text.contains(r#"rest_client_requests_total{code="201""#));
        assert!(value("process_resident_memory_bytes") > 0.0);
        assert!(!text.contains("nothing"), "a path of a stranger's choice is no series: {text}");
    });
}

#[test]
fn a_stop_lets_what_is_in_flight_end_and_takes_nothing_new() {
    run(async {
        let world = World::start().await;
        let kfam = world.kfam(&[]).await;
        kfam.ready().await;
        // A request whose body is still to come when the signal does, and a connection that only sits there.
        let idle = TcpStream::connect(&kfam.address).await.unwrap();
        let mut slow = TcpStream::connect(&kfam.address).await.unwrap();
        let body = json!({ "metadata": { "name": "late" }, "spec": { "owner": { "kind": "User", "name": "late@example.com" } } }).to_string();
        let head = format!(
            "POST /kfam/v1/profiles HTTP/1.1\r\nHost: x\r\nx-forwarded-client-cert: {}\r\nContent-Length: {}\r\n\r\n",
            certificate(DASHBOARD),
            body.len()
        );
        slow.write_all(head.as_bytes()).await.unwrap();
        slow.write_all(&body.as_bytes()[..10]).await.unwrap();
        // Whatever was sent before on another connection has been read when this is answered.
        kfam.get(Who::Headers(&[]), "/healthz").await.done();
        let address = kfam.address.clone();
        let log = kfam.log_file().to_owned();
        let in_flight = async {
            until("it says so", async || {
                std::fs::read_to_string(&log).unwrap().contains("finishing what is in flight").then_some(())
            })
            .await;
            until("nothing new is taken", async || TcpStream::connect(&address).await.err()).await;
            slow.write_all(&body.as_bytes()[10..]).await.unwrap();
            let mut answer = String::new();
            slow.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let (code, answer) = tokio::join!(kfam.stop(), in_flight);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(code, Some(0), "SIGTERM is no failure");
        assert!(world.profiles().get("late").await.is_ok());
        drop(idle);
    });
}

#[test]
fn an_address_that_is_taken_is_refused_with_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(async {
        let (world, _) = shared().await;
        let output = Command::new(env!("CARGO_BIN_EXE_kfam"))
            .arg(format!("--bind-address={address}"))
            .env("KUBECONFIG", world.cluster.kubeconfig())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            [address.as_str(), "--bind-address", "in use"].iter().all(|part| text.contains(part)),
            "{text}"
        );
    });
}

#[test]
fn help_explains_every_flag() {
    let output = Command::new(env!("CARGO_BIN_EXE_kfam")).arg("--help").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for flag in [
        "--userid-header",
        "--userid-prefix",
        "--cluster-admin",
        "--trusted-principals",
        "--dashboard-principals",
        "--trust-all-callers",
        "--max-profiles-per-user",
        "--reserved-names",
        "--groups-claim",
        "--bind-address",
        "--log-format",
    ] {
        assert!(text.contains(flag), "{flag} is in {text}");
    }
}

#[test]
fn every_permission_of_the_role_is_used() {
    run(async {
        let world = World::start().await;
        let kfam = world.kfam(&[]).await;
        let owner = "owner@example.com";
        let team = world.team(&kfam, owner).await;
        kfam.share(Who::User(owner), binding(&team, "joe@example.com", "edit")).await.done();
        kfam.unshare(Who::User(owner), binding(&team, "joe@example.com", "edit")).await.done();
        // A page shows the limits.
        assert_eq!(kfam.get(Who::User(owner), &format!("/kfam/ui/namespaces/{team}")).await.code(), 200);
        kfam.register(Who::Dashboard, "new", owner).await.done();
        kfam.delete_profile(Who::User(owner), "new").await.done();
        // A watch is in the audit log when it ends.
        assert_eq!(kfam.stop().await, Some(0));
        let role = test_support::repository_file("manifests/components/kfam/role.yaml");
        let role: Value = serde_saphyr::from_str(&role).unwrap();
        let mut granted = Vec::new();
        for rule in role["rules"].as_array().unwrap() {
            for verb in rule["verbs"].as_array().unwrap() {
                // Which role may be bound is looked up, not asked for.
                if verb != "bind" {
                    granted.push(format!(
                        "{} {}",
                        verb.as_str().unwrap(),
                        rule["resources"][0].as_str().unwrap()
                    ));
                }
            }
        }
        granted.sort_unstable();
        let used = until("the audit log tells of all", async || {
            world.cluster.audit().settled().await.unwrap();
            let events = world.cluster.audit().events().unwrap();
            let ours = events.into_iter().filter(|event| event.user.ends_with(":kfam-alone"));
            let mut used: Vec<String> =
                ours.map(|event| format!("{} {}", event.verb, event.resource)).collect();
            used.sort_unstable();
            used.dedup();
            (used.len() >= granted.len()).then_some(used)
        })
        .await;
        assert_eq!(used, granted);
    });
}
