//! What the API server takes as a Profile and what it refuses, with a message that names the field and what would be right.
//! Both versions, by the real API server.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use profile_api::{Profile, ProfileCondition, SERVED_VERSIONS, names};
use serde_json::{Value, json};

use crate::harness::{World, condition, raw_profile, repository_file, run, shared, unique, until};

#[test]
fn a_wrong_name_is_refused() {
    run(async {
        let world = shared().await;
        let spec = json!({ "owner": { "kind": "User", "name": "jane@example.com" } });
        for name in ["a".repeat(64), "jane.doe".to_owned(), "a.b".to_owned()] {
            for version in SERVED_VERSIONS {
                let refusal = refused(world, &raw_profile(version, &name, spec.clone())).await;
                assert_mentions(
                    &refusal,
                    &["metadata.name", "at most 63 lower-case letters, digits and '-'"],
                );
            }
        }
        for name in ["Jane", "-jane", "jane_doe"] {
            assert_mentions(
                &refused(world, &raw_profile("v1", name, spec.clone())).await,
                &["metadata.name", "lower case"],
            );
        }
        for name in ["a".repeat(63), "1jane".to_owned()] {
            accepted(world, &raw_profile("v1", &name, spec.clone())).await;
        }
    });
}

#[test]
fn a_wrong_owner_is_refused() {
    run(async {
        let world = shared().await;
        let kinds = "must be User, Group or ServiceAccount";
        let wildcard = "must not contain '*': Istio would match it as a wildcard";
        let blank =
            "must be one non-empty name, without white space around it and without control characters";
        let account = "lower-case letters, digits and '-'";
        let user = |name: &str| json!({ "kind": "User", "name": name });
        let robot = |namespace: &str, name: &str| json!({ "kind": "ServiceAccount", "namespace": namespace, "name": name });
        for (owner, mentions) in [
            (json!({ "kind": "user", "name": "jane" }), ["spec.owner.kind", kinds]),
            (json!({ "kind": "Robot", "name": "jane" }), ["spec.owner.kind", kinds]),
            (json!({ "kind": "", "name": "jane" }), ["spec.owner.kind", kinds]),
            (json!({ "name": "jane" }), ["spec.owner.kind", "Required"]),
            (json!({ "kind": "User" }), ["spec.owner.name", "Required"]),
            (user("*"), ["spec.owner.name", wildcard]),
            (user("*@corp.com"), ["spec.owner.name", wildcard]),
            (user("jane*"), ["spec.owner.name", wildcard]),
            (user("a*b"), ["spec.owner.name", wildcard]),
            (json!({ "kind": "Group", "name": "*" }), ["spec.owner.name", wildcard]),
            (user(""), ["spec.owner.name", blank]),
            (user(" jane"), ["spec.owner.name", blank]),
            (user("jane "), ["spec.owner.name", blank]),
            (user("ja\nne"), ["spec.owner.name", blank]),
            (user("jane\n"), ["spec.owner.name", blank]),
            (user("ja\u{0}ne"), ["spec.owner.name", blank]),
            (user(&"a".repeat(1025)), ["spec.owner.name", "1024"]),
            (
                json!({ "kind": "ServiceAccount", "name": "runner" }),
                ["spec.owner", "namespace is required when kind is ServiceAccount"],
            ),
            (robot("", "runner"), ["spec.owner", "namespace is required when kind is ServiceAccount"]),
            (robot("CI", "runner"), ["spec.owner", account]),
            (robot("a.b", "runner"), ["spec.owner", account]),
            (robot("ci", "Runner"), ["spec.owner", account]),
            (robot("ci", "run ner"), ["spec.owner", account]),
            (robot("ci", "runner/other"), ["spec.owner", account]),
            (robot("ci", "a..b"), ["spec.owner", account]),
            (
                json!({ "kind": "User", "name": "jane", "apiGroup": "v1" }),
                ["spec.owner.apiGroup", "rbac.authorization.k8s.io"],
            ),
        ] {
            for version in SERVED_VERSIONS {
                let refusal = refused(world, &owned_by(version, &owner)).await;
                assert_mentions(&refusal, &mentions);
            }
        }
        let refusal = refused(world, &raw_profile("v1", &unique("no-owner"), json!({}))).await;
        assert_mentions(&refusal, &["spec.owner", "Required"]);
        for version in SERVED_VERSIONS {
            let mut profile = raw_profile(version, &unique("no-spec"), json!({}));
            profile.data.as_object_mut().unwrap().remove("spec");
            assert_mentions(&refused(world, &profile).await, &["spec is required: write spec.owner"]);
        }
    });
}

#[test]
fn the_rules_hold_for_changes_too() {
    run(async {
        let world = shared().await;
        let name = unique("changed");
        world.ready_profile(&name, "jane@example.com").await;
        for (change, mentions) in [
            (json!({ "spec": null }), "spec is required"),
            (json!({ "spec": { "owner": null } }), "spec.owner"),
            (json!({ "spec": { "owner": { "name": "*" } } }), "spec.owner.name"),
            (json!({ "spec": { "owner": { "kind": "user" } } }), "spec.owner.kind"),
            (json!({ "spec": { "plugins": [{ "kind": "A" }, { "kind": "A" }] } }), "spec.plugins"),
            (
                json!({ "spec": { "resourceQuotaSpec": { "hard": { "cpu": -1 } } } }),
                "spec.resourceQuotaSpec.hard.cpu",
            ),
        ] {
            let params = PatchParams { dry_run: true, ..PatchParams::default() };
            match world.profiles().patch(&name, &params, &Patch::Merge(&change)).await {
                Err(kube::Error::Api(status)) => assert_mentions(&status.message, &[mentions]),
                other => panic!("{change}: {other:?}"),
            }
        }
    });
}

#[test]
fn names_as_authentication_systems_spell_them_are_accepted() {
    run(async {
        let world = shared().await;
        for name in [
            "jane@example.com",
            "jane+test@example.com",
            "CN=Jane Doe,OU=ML,O=Example \"Corp\"",
            "https://issuer.example.com/#jane",
            "Jürgen Müller",
            "system:serviceaccount:ci:runner",
            "x",
        ] {
            for kind in ["User", "Group"] {
                accepted(world, &owned_by("v1", &json!({ "kind": kind, "name": name }))).await;
            }
        }
        for owner in [
            json!({ "kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io" }),
            json!({ "kind": "User", "name": "jane", "apiGroup": "" }),
            json!({ "kind": "ServiceAccount", "name": "runner.v1-a", "namespace": "ci" }),
        ] {
            for version in SERVED_VERSIONS {
                accepted(world, &owned_by(version, &owner)).await;
            }
        }
    });
}

#[test]
fn two_plugins_of_one_kind_are_refused() {
    run(async {
        let world = shared().await;
        let with = |version: &str, kinds: &[&str]| {
            let plugins: Vec<Value> = kinds.iter().map(|kind| json!({ "kind": kind, "spec": {} })).collect();
            let spec = json!({ "owner": { "kind": "User", "name": "jane" }, "plugins": plugins });
            raw_profile(version, &unique("plugins"), spec)
        };
        for version in SERVED_VERSIONS {
            let refusal =
                refused(world, &with(version, &["WorkloadIdentity", "Other", "WorkloadIdentity"])).await;
            assert_mentions(&refusal, &["spec.plugins", "must not hold two of one kind"]);
            assert_mentions(
                &refused(world, &with(version, &[""])).await,
                &["spec.plugins[0].kind", "at least 1"],
            );
            accepted(world, &with(version, &["WorkloadIdentity", "AwsIamForServiceAccount"])).await;
        }
    });
}

#[test]
fn quantities_are_numbers_or_text_and_nothing_else() {
    run(async {
        let world = shared().await;
        let with = |version: &str, cpu: &Value| {
            let spec = json!({ "owner": { "kind": "User", "name": "jane" }, "resourceQuotaSpec": { "hard": { "cpu": cpu } } });
            raw_profile(version, &unique("quantity"), spec)
        };
        for version in SERVED_VERSIONS {
            for cpu in [
                json!("two"),
                json!("1.5.0"),
                json!(""),
                json!("5 Gi"),
                json!("-1"),
                json!("1gi"),
                json!(-1),
                json!(1.5),
                json!(true),
            ] {
                let refusal = refused(world, &with(version, &cpu)).await;
                assert_mentions(&refusal, &["spec.resourceQuotaSpec.hard.cpu"]);
            }
            for cpu in [
                json!(0),
                json!(2),
                json!("2"),
                json!("1.5"),
                json!(".5"),
                json!("500m"),
                json!("4Gi"),
                json!("1e3"),
                json!("1E3"),
                json!("2E"),
            ] {
                accepted(world, &with(version, &cpu)).await;
            }
        }
        for (cpu, right) in [
            (json!("two"), "should match"),
            (json!(-1), "should be greater than or equal to 0"),
            (json!(1.5), "must be of type integer,string"),
        ] {
            assert_mentions(&refused(world, &with("v1", &cpu)).await, &[right]);
        }
    });
}

#[test]
fn every_sample_of_the_repository_becomes_ready() {
    run(async {
        let world = shared().await;
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/samples");
        let mut samples = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            if file == "kustomization.yaml" {
                continue;
            }
            for document in
                serde_saphyr::from_multiple::<Value>(&repository_file(&format!("manifests/samples/{file}")))
                    .unwrap()
            {
                let profile: DynamicObject = serde_json::from_value(document).unwrap();
                let stored = create_renamed(world, profile.clone()).await;
                assert_eq!(stored.data["spec"], profile.data["spec"], "{file}: nothing is pruned");
                let name = stored.name_any();
                if file == "gke-profile.yaml" {
                    // There is no such cloud here: as the sample says, the Profile tells why it is not ready.
                    world.reported(&name).await;
                    let in_place =
                        |profile: &Profile| condition(profile, ProfileCondition::OBJECTS_READY).is_true();
                    let profile = until("its objects are there", async || {
                        world.profiles().get(&name).await.ok().filter(in_place)
                    });
                    world.assert_in_place(&profile.await).await;
                } else {
                    world.ready(&name).await;
                }
                samples += 1;
            }
        }
        assert!(samples >= 7, "{samples}");
    });
}

/// Samples that users of the Go controller have, with whether a plugin is in them, which may have something to say.
const GO_SAMPLES: [(&str, bool); 5] = [
    (
        "{apiVersion: kubeflow.org/v1, kind: Profile, metadata: {name: kubeflow-user}, spec: {owner: {kind: User, name: user@example.com}}}",
        false,
    ),
    (
        "
apiVersion: kubeflow.org/v1beta1
kind: Profile
metadata:
  name: profile-with-quota
spec:
  owner:
    kind: User
    name: userid@email.com
  resourceQuotaSpec:
    hard:
      cpu: '2'
      memory: 2Gi
      requests.nvidia.com/gpu: '1'
      persistentvolumeclaims: '1'
      requests.storage: 5Gi
",
        false,
    ),
    (
        "
apiVersion: kubeflow.org/v1
kind: Profile
metadata: {name: empty-quota}
spec:
  owner: {apiGroup: rbac.authorization.k8s.io, kind: User, name: test-user@kubeflow.org}
  resourceQuotaSpec: {}
",
        false,
    ),
    (
        "
apiVersion: kubeflow.org/v1beta1
kind: Profile
metadata: {name: profile-aws-iam}
spec:
  owner: {kind: User, name: userid@email.com}
  plugins:
  - kind: AwsIamForServiceAccount
    spec: {awsIamRole: 'arn:aws:iam::account-id:role/s3-reader'}
",
        true,
    ),
    (
        "
apiVersion: kubeflow.org/v1
kind: Profile
metadata: {name: profile-gcp}
spec:
  owner: {kind: User, name: userid@email.com}
  plugins:
  - apiVersion: kubeflow.org/v1beta1
    kind: WorkloadIdentity
    spec: {gcpServiceAccount: user@project.iam.gserviceaccount.com}
",
        true,
    ),
];

#[test]
fn samples_written_for_the_go_controller_are_taken_unchanged() {
    run(async {
        let world = shared().await;
        for (sample, has_plugins) in GO_SAMPLES {
            let profile: DynamicObject = serde_saphyr::from_str(sample).unwrap();
            let name = create_renamed(world, profile.clone()).await.name_any();
            if has_plugins {
                let ready = world.reported(&name).await;
                assert!(!ready.reason.is_empty() && !ready.message.is_empty(), "{ready:?}");
            } else {
                let profile = world.ready(&name).await;
                world.assert_in_place(&profile).await;
            }
            for version in SERVED_VERSIONS {
                let stored = world.raw_profiles(version).get(&name).await.unwrap();
                assert_eq!(stored.data["spec"], profile.data["spec"], "the spec is the user's: {version}");
            }
        }
    });
}

#[test]
fn both_versions_show_one_object() {
    run(async {
        let world = shared().await;
        let mut seen = Vec::new();
        for version in SERVED_VERSIONS {
            let name = unique("versions");
            let owner = json!({ "kind": "User", "name": "jane@example.com" });
            let plugins = json!([{ "kind": "Other", "apiVersion": "example.com/v1", "spec": { "any": { "thing": [1, "2"] } } }]);
            let quota = json!({ "hard": { "cpu": 2, "memory": "2Gi" }, "scopes": ["BestEffort"] });
            let spec = json!({ "owner": owner, "plugins": plugins, "resourceQuotaSpec": quota });
            world
                .raw_profiles(version)
                .create(&PostParams::default(), &raw_profile(version, &name, spec.clone()))
                .await
                .unwrap();
            world.reported(&name).await;
            let mut shown = Vec::new();
            for version in SERVED_VERSIONS {
                let profile = world.raw_profiles(version).get(&name).await.unwrap();
                assert_eq!(profile.types.as_ref().unwrap().api_version, format!("kubeflow.org/{version}"));
                assert_eq!(profile.data["spec"], spec);
                assert!(profile.data["status"]["conditions"].is_array());
                shown.push((profile.metadata.uid, profile.metadata.generation, profile.data));
            }
            assert_eq!(shown[0], shown[1]);
            seen.push(shown);
        }
        assert_eq!(seen.len(), 2);
    });
}

#[test]
fn every_field_is_explained() {
    run(async {
        let world = shared().await;
        let crds: Api<CustomResourceDefinition> = Api::all(world.admin.clone());
        let crd = crds.get(names::CRD_NAME).await.unwrap();
        assert_eq!(crd.spec.versions.len(), SERVED_VERSIONS.len());
        for version in crd.spec.versions {
            let schema = serde_json::to_value(version.schema.unwrap().open_api_v3_schema.unwrap()).unwrap();
            assert!(!schema["description"].as_str().unwrap().is_empty());
            let mut fields = Vec::new();
            walk(&schema, "profile", &mut fields);
            assert!(fields.len() >= 25, "{fields:#?}");
            for field in
                ["profile.spec.owner.name", "profile.spec.plugins.spec", "profile.status.conditions.reason"]
            {
                assert!(fields.iter().any(|(path, _)| path == field), "{field} is among {fields:#?}");
            }
            for (path, description) in fields {
                assert!(description.len() > 10, "{path} of {} is explained by {description:?}", version.name);
            }
        }
        for version in SERVED_VERSIONS {
            let flag = format!("--api-version=kubeflow.org/{version}");
            let text = world.kubectl(&["explain", "profile.spec.owner.name", &flag]).await;
            assert!(text.contains("usually an e-mail address") && text.contains("<string>"), "{text}");
            let text = world.kubectl(&["explain", "profile", &flag]).await;
            assert!(text.contains("A Profile gives its owner a namespace of the same name"), "{text}");
        }
    });
}

#[test]
fn kubectl_lists_owner_readiness_and_reason() {
    run(async {
        let world = shared().await;
        let name = unique("listed");
        world.ready_profile(&name, "jane@example.com").await;
        for resource in ["profiles", "profiles.v1beta1.kubeflow.org", "kubeflow"] {
            let text = world.kubectl(&["get", resource]).await;
            let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            assert_eq!(
                lines.next().unwrap(),
                ["NAME", "OWNER", "READY", "REASON", "AGE"],
                "kubectl get {resource}"
            );
            let line =
                lines.find(|line| line[0].trim_start_matches("profile.kubeflow.org/") == name).unwrap();
            assert_eq!(line[1..4], ["jane@example.com", "True", "Reconciled"], "kubectl get {resource}");
            assert!(line[4].ends_with(['s', 'm']), "{line:?}");
        }
    });
}

fn owned_by(version: &str, owner: &Value) -> DynamicObject {
    raw_profile(version, &unique("owned"), json!({ "owner": owner }))
}

/// The message with which the API server refuses a Profile.
async fn refused(world: &World, profile: &DynamicObject) -> String {
    match dry_run(world, profile).await {
        Err(kube::Error::Api(status)) => {
            assert_eq!(status.code, 422, "{}", status.message);
            status.message.clone()
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the API server takes {}", serde_json::to_string(profile).unwrap()),
    }
}

async fn accepted(world: &World, profile: &DynamicObject) {
    let stored = dry_run(world, profile).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(stored.data["spec"], profile.data["spec"]);
}

async fn dry_run(world: &World, profile: &DynamicObject) -> kube::Result<DynamicObject> {
    let params = PostParams { dry_run: true, ..PostParams::default() };
    world.raw_profiles(version_of(profile)).create(&params, profile).await
}

/// Creates a Profile under a name of its own.
async fn create_renamed(world: &World, mut profile: DynamicObject) -> DynamicObject {
    profile.metadata.name = Some(unique(&profile.name_any()));
    let created = world.raw_profiles(version_of(&profile)).create(&PostParams::default(), &profile).await;
    created.unwrap_or_else(|error| panic!("{error}"))
}

fn version_of(profile: &DynamicObject) -> &str {
    profile.types.as_ref().and_then(|types| types.api_version.split('/').nth(1)).expect("a version")
}

fn assert_mentions(message: &str, texts: &[&str]) {
    for text in texts {
        assert!(message.contains(text), "{message:?} says {text:?}");
    }
}

/// Every field below a schema with its description.
fn walk(schema: &Value, path: &str, fields: &mut Vec<(String, String)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        fields.push((path.clone(), property["description"].as_str().unwrap_or_default().to_owned()));
        walk(property, &path, fields);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            walk(&schema[inner], path, fields);
        }
    }
}
