//! A cluster without Istio: what does not need it is there, the status says what is missing, and Istio may come later.

use dev_cluster::{Assets, Cluster, IstioCrds};
use kube::ResourceExt;
use profile_api::ProfileCondition;

use crate::harness::{CRD, Server, World, condition, repository_file, run, until};

const ISTIO_AUTHORIZATION_POLICIES: &str = "authorizationpolicies.security.istio.io";

#[test]
fn without_istio_all_but_the_policy_is_in_place_and_the_policy_follows_when_istio_is_installed() {
    run(async {
        let builder = Cluster::builder().istio_crds(IstioCrds::None).manifest(repository_file(CRD));
        let world = World::with(builder).await;
        let controller = world.controller(&[]);
        let name = "early";
        world.create_profile(name, "jane@example.com").await;
        let ready = world.not_ready(name, "KindNotServed").await;
        for text in [
            "AuthorizationPolicy",
            "ns-owner-access-istio",
            "this cluster does not serve",
            "security.istio.io/v1",
        ] {
            assert!(ready.message.contains(text), "{} says {text:?}", ready.message);
        }
        let profile = world.profiles().get(name).await.unwrap();
        for (type_, status) in [
            (ProfileCondition::NAMESPACE_READY, "True"),
            (ProfileCondition::OBJECTS_READY, "False"),
            (ProfileCondition::BROWSER_ACCESS, "False"),
        ] {
            assert_eq!(condition(&profile, type_).status, status, "{type_}");
        }

        let uid = profile.uid().unwrap();
        let is_owned = |references: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference]| {
            references[0].uid == uid
        };
        assert!(is_owned(world.namespaces().get(name).await.unwrap().owner_references()));
        for binding in ["default-editor", "default-viewer", "namespaceAdmin"] {
            assert!(is_owned(world.role_bindings(name).get(binding).await.unwrap().owner_references()));
        }
        for account in ["default-editor", "default-viewer"] {
            assert!(is_owned(world.service_accounts(name).get(account).await.unwrap().owner_references()));
        }
        let (code, text) = controller.get(Server::Health, "/readyz").await;
        assert_eq!(code, 200, "the controller itself is well: {text}");

        world.cluster.apply(&authorization_policy_crd()).await.unwrap();
        let profile = world.ready(name).await;
        world.assert_in_place(&profile).await;
        let events = until("an Event tells that it is ready", async || {
            let events = world.events_about(name).await;
            events.iter().any(|event| event.reason.as_deref() == Some("Reconciled")).then_some(events)
        })
        .await;
        let warnings: Vec<_> =
            events.iter().filter(|event| event.type_.as_deref() == Some("Warning")).collect();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert_eq!(warnings[0].reason.as_deref(), Some("KindNotServed"));
        let profile = world.ready_profile("late", "jane@example.com").await;
        world.assert_in_place(&profile).await;
    });
}

/// The one of Istio's CRDs that the controller needs.
fn authorization_policy_crd() -> String {
    let file = Assets::find().unwrap().istio_crds().unwrap();
    let all = std::fs::read_to_string(file).unwrap();
    let name = format!("\n  name: {ISTIO_AUTHORIZATION_POLICIES}\n");
    all.split("\n---\n").find(|document| document.contains(&name)).expect("the CRD").to_owned()
}
