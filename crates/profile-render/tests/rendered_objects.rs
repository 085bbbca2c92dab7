//! What Profiles of each kind become, as whole objects.

use profile_api::Profile;
use profile_render::{NamespaceLabels, PlatformConfig, config::Principals, render, validate};

/// The settings that Kubeflow's manifests give: their header, no prefix.
fn kubeflow() -> PlatformConfig {
    PlatformConfig {
        userid_header: "kubeflow-userid".to_owned(),
        userid_prefix: String::new(),
        ..PlatformConfig::default()
    }
}

fn rendered(spec: &str, config: &PlatformConfig) -> String {
    let profile = format!(
        "{{apiVersion: kubeflow.org/v1, kind: Profile, metadata: {{name: jane, uid: the-uid}}, spec: {spec}}}"
    );
    let profile: Profile = serde_saphyr::from_str(&profile).expect("a Profile");
    let valid = validate(&profile.metadata, &profile.spec, config).expect("valid");
    let rendered = render(&valid, config);
    let namespace = rendered.namespace_manifest(None, &config.namespace_labels);
    let objects = std::iter::once(namespace).chain(rendered.manifests());
    let mut text: String = objects
        .map(|manifest| format!("---\n{}", serde_saphyr::to_string(&manifest.to_json()).unwrap()))
        .collect();
    for key in &rendered.absent {
        text += &format!("# absent: {key}\n");
    }
    text + &format!("# browser access: {:?}\n", rendered.browser_access)
}

#[test]
fn a_user_with_a_quota() {
    let spec = "{owner: {kind: User, name: jane@example.com}, resourceQuotaSpec: {hard: {cpu: 2, memory: 4Gi, requests.nvidia.com/gpu: '1'}, scopes: [NotTerminating], scopeSelector: {matchExpressions: [{operator: In, scopeName: PriorityClass, values: [high]}]}}}";
    insta::assert_snapshot!(rendered(spec, &kubeflow()));
}

#[test]
fn a_group_without_a_groups_claim_gets_no_rule_for_the_browser() {
    insta::assert_snapshot!(rendered("{owner: {kind: Group, name: vision@example.com}}", &kubeflow()));
}

#[test]
fn a_group_with_a_groups_claim() {
    let config = PlatformConfig { groups_claim: Some("groups".to_owned()), ..kubeflow() };
    insta::assert_snapshot!(rendered("{owner: {kind: Group, name: vision@example.com}}", &config));
}

#[test]
fn a_service_account() {
    let spec = "{owner: {kind: ServiceAccount, name: runner, namespace: ci}}";
    insta::assert_snapshot!(rendered(spec, &kubeflow()));
}

#[test]
fn an_empty_quota_means_no_quota() {
    let user = "owner: {kind: User, name: jane@example.com}";
    let with_empty = rendered(&format!("{{{user}, resourceQuotaSpec: {{}}}}"), &kubeflow());
    assert_eq!(with_empty, rendered(&format!("{{{user}, resourceQuotaSpec: {{hard: {{}}}}}}"), &kubeflow()));
    assert_eq!(with_empty, rendered(&format!("{{{user}}}"), &kubeflow()));
    insta::assert_snapshot!(with_empty);
}

#[test]
fn a_prefix_in_front_of_the_user_id() {
    let config = PlatformConfig::default();
    insta::assert_snapshot!(rendered("{owner: {kind: User, name: jane@example.com}}", &config));
}

#[test]
fn principals_and_namespace_labels_of_the_platform() {
    let config = PlatformConfig {
        principals: Principals {
            ingress_gateway: "corp.example/ns/ingress/sa/gateway".to_owned(),
            kfp_ui: "corp.example/ns/ml/sa/pipelines".to_owned(),
            notebook_controller: "corp.example/ns/ml/sa/notebooks".to_owned(),
        },
        namespace_labels: NamespaceLabels::parse("team: \"vision\"\nold: \"\"\nistio-injection: disabled\n")
            .unwrap(),
        ..kubeflow()
    };
    insta::assert_snapshot!(rendered("{owner: {kind: User, name: jane@example.com}}", &config));
}

#[test]
fn special_characters_in_the_owner_name() {
    let spec = r#"{owner: {kind: User, name: "CN=Jané O'Neil,OU=\"R&D\":x{}[]#%"}}"#;
    insta::assert_snapshot!(rendered(spec, &kubeflow()));
}
