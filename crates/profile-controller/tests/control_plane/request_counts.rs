//! What it costs: no change, no write; nothing asked for that is not needed.

use dev_cluster::AuditEvent;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use profile_render::OwnedKind;

use crate::harness::{CONTROLLER_USER, Server, World, run, unique, until};

#[test]
fn a_profile_costs_eight_creations_one_status_and_one_read() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&[]);
        controller.logged("serving metrics on").await;
        world.caught_up().await;
        let mark = world.cluster.audit().settled().await.unwrap();
        let name = unique("counted");
        let quota = serde_json::json!({ "hard": { "cpu": 1 } });
        let mut profile = profile_api::Profile::new(
            &name,
            profile_api::ProfileSpec::owned_by(profile_api::Subject::user("a@example.com")),
        );
        profile.spec.resource_quota_spec = serde_json::from_value(quota).unwrap();
        world.create(profile).await;
        world.ready(&name).await;

        let mut writes = world.writes_since(mark).await;
        writes.sort_unstable();
        let expected = [
            format!("create authorizationpolicies {name}/"),
            format!("create namespaces /{name}"),
            format!("create resourcequotas {name}/"),
            format!("create rolebindings {name}/"),
            format!("create serviceaccounts {name}/"),
            format!("patch profiles /{name}"),
        ];
        let mut distinct = writes.clone();
        distinct.iter_mut().for_each(|write| {
            let end = write.find(&format!("{name}/")).map(|at| at + name.len() + 1);
            if let Some(end) = end {
                write.truncate(end);
            }
        });
        distinct.dedup();
        assert_eq!(distinct, expected);
        assert_eq!(writes.len(), 9, "{writes:#?}");
        let reads =
            events_of_controller(&world, mark).into_iter().filter(|event| event.verb == "get").count();
        assert_eq!(reads, 1, "one look at whether the namespace exists");
    });
}

#[test]
fn a_restart_and_a_resync_with_nothing_to_do_write_nothing() {
    run(async {
        let world = World::start().await;
        let controller = world.controller(&[]);
        let names: Vec<String> = (0..10).map(|_| unique("idle")).collect();
        for name in &names {
            world.create_profile(name, "a@example.com").await;
        }
        for name in &names {
            world.ready(name).await;
        }
        assert_eq!(controller.stop().await, Some(0));

        let mark = world.cluster.audit().settled().await.unwrap();
        let controller = world.controller(&["--resync-period=1s"]);
        let success = "controller_runtime_reconcile_total{controller=\"profile\",result=\"requeue_after\"}";
        until("each Profile has been looked at three times", async || {
            controller.metric(success).await.filter(|count| *count >= 30.0)
        })
        .await;
        assert_eq!(world.writes_since(mark).await, Vec::<String>::new());
        let reads =
            events_of_controller(&world, mark).into_iter().filter(|event| event.verb == "get").count();
        assert_eq!(reads, 0, "a resync reads memory only");
        let changes = controller.log().into_iter().filter(|line| line["profile"].is_string()).count();
        assert_eq!(changes, 0, "no log line for a reconcile that changed nothing");
    });
}

#[test]
fn a_label_added_to_the_file_costs_one_write_a_namespace() {
    run(async {
        let world = World::start().await;
        let file = world.cluster.folder().join("namespace-labels.yaml");
        std::fs::write(&file, "first: \"1\"\n").unwrap();
        let flag = format!("--namespace-labels-path={}", file.display());
        let _controller = world.controller(&[&flag]);
        let names: Vec<String> = (0..5).map(|_| unique("labelled")).collect();
        for name in &names {
            world.ready_profile(name, "a@example.com").await;
        }
        let mark = world.cluster.audit().settled().await.unwrap();
        std::fs::write(&file, "first: \"1\"\nsecond: \"2\"\n").unwrap();
        for name in &names {
            until("the label is there", async || {
                let namespace = world.namespaces().get(name).await.ok()?;
                namespace
                    .metadata
                    .labels
                    .filter(|labels| labels.get("second").is_some_and(|value| value == "2"))
            })
            .await;
        }
        let mut writes = world.writes_since(mark).await;
        writes.sort_unstable();
        let mut expected: Vec<String> =
            names.iter().map(|name| format!("patch namespaces /{name}")).collect();
        expected.sort_unstable();
        assert_eq!(writes, expected);
    });
}

#[test]
fn what_belongs_to_others_is_never_fetched_and_every_permission_is_enough() {
    run(async {
        let world = World::start().await;
        let start = world.cluster.audit().mark().unwrap();
        let controller = world.controller(&[]);
        world.ready_profile(&unique("mine"), "a@example.com").await;
        let events = events_of_controller(&world, start);
        let lists = events.iter().filter(|event| event.verb == "list" && event.resource != "profiles");
        let mut listed = 0;
        for list in lists {
            assert!(list.uri.contains("labelSelector=profiles.kubeflow.org%2Fprofile"), "{}", list.uri);
            listed += 1;
        }
        assert_eq!(listed, OwnedKind::ALL.len());
        let refused: Vec<_> = events.iter().filter(|event| event.code == 403).collect();
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(controller.get(Server::Health, "/readyz").await.0, 200);
    });
}

#[test]
fn the_role_covers_every_owned_kind_and_gives_no_access_to_secrets() {
    run(async {
        let world = crate::harness::shared().await;
        let roles: Api<ClusterRole> = Api::all(world.admin.clone());
        let rules = roles.get("profiles-controller-role").await.unwrap().rules.unwrap_or_default();
        let verbs = |group: &str, resource: &str| -> Vec<String> {
            let covers = |values: &Option<Vec<String>>, value: &str| {
                values.iter().flatten().any(|it| it == value || it == "*")
            };
            let matching = rules
                .iter()
                .filter(|rule| covers(&rule.api_groups, group) && covers(&rule.resources, resource));
            matching.flat_map(|rule| rule.verbs.clone()).collect()
        };
        for kind in OwnedKind::ALL {
            let resource = kind.api_resource();
            for verb in ["get", "list", "watch", "create", "patch"] {
                assert!(
                    verbs(&resource.group, &resource.plural).iter().any(|it| it == verb),
                    "{verb} {kind}"
                );
            }
        }
        assert!(verbs("", "secrets").is_empty());
        assert!(rules.iter().all(|rule| {
            rule.verbs.iter().all(|verb| !["*", "escalate", "impersonate"].contains(&verb.as_str()))
        }));
    });
}

fn events_of_controller(world: &World, mark: dev_cluster::Mark) -> Vec<AuditEvent> {
    let events = world.cluster.audit().since(mark).unwrap();
    events.into_iter().filter(|event| event.user == CONTROLLER_USER && event.resource != "leases").collect()
}
