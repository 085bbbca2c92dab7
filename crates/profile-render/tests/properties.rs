//! What holds for every Profile, whatever a user writes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use profile_api::{Plugin, Profile, ProfileSpec, Quantity, ResourceQuotaSpec, Subject};
use profile_render::{Observed, OwnedKind, PlatformConfig, plan, render, validate};
use proptest::prelude::*;
use serde_json::Value;

fn any_subject() -> impl Strategy<Value = Subject> {
    let kind = prop_oneof!["User", "Group", "ServiceAccount", ".{0,8}"];
    let name = prop_oneof!["[a-z]{1,8}@example.com", "[a-z0-9-]{1,20}", "\\*?[a-z]{0,5}\\*?", ".{0,40}"];
    let namespace = prop::option::of(prop_oneof!["[a-z]{1,10}", ".{0,10}"]);
    (kind, name, namespace, prop::option::of(".{0,10}"))
        .prop_map(|(kind, name, namespace, api_group)| Subject { api_group, kind, name, namespace })
}

fn any_quota() -> impl Strategy<Value = ResourceQuotaSpec> {
    let amount = prop_oneof!["[0-9]{1,4}(m|k|Ki|Mi|Gi)?", "[0-9]{1,3}\\.[0-9]{1,3}", ".{0,10}"];
    prop::collection::btree_map("[a-z./]{1,12}", amount, 0..4).prop_map(|hard| ResourceQuotaSpec {
        hard: hard.into_iter().map(|(key, amount)| (key, Quantity::from(amount.as_str()))).collect(),
        ..ResourceQuotaSpec::default()
    })
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let name = prop_oneof!["[a-z][a-z0-9-]{0,20}[a-z0-9]", ".{0,70}"];
    (name, any_subject(), prop::option::of(any_quota()), ".{0,8}").prop_map(|(name, owner, quota, kind)| {
        let plugins = vec![Plugin { kind, ..Plugin::default() }];
        let mut profile = Profile::new(&name, ProfileSpec { owner, plugins, resource_quota_spec: quota });
        profile.metadata.uid = Some("the-uid".to_owned());
        profile
    })
}

fn any_config() -> impl Strategy<Value = PlatformConfig> {
    (prop::option::of("[a-z]{1,8}"), "[a-z:]{0,8}").prop_map(|(groups_claim, userid_prefix)| PlatformConfig {
        groups_claim,
        userid_prefix,
        ..PlatformConfig::default()
    })
}

fn manifests(profile: &Profile, config: &PlatformConfig) -> Option<Vec<profile_render::Manifest>> {
    let valid = validate(&profile.metadata, &profile.spec, config).ok()?;
    let rendered = render(&valid, config);
    let namespace = rendered.namespace_manifest(None, &config.namespace_labels);
    Some(std::iter::once(namespace).chain(rendered.manifests()).collect())
}

/// What the API server would hold after the manifest was created.
fn stored(manifest: &profile_render::Manifest) -> Observed {
    let object = serde_json::from_value(manifest.to_json()).expect("an object");
    Observed::new(manifest.key.kind, object)
}

fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, into)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn rendering_never_panics_and_is_deterministic(profile in any_profile(), config in any_config()) {
        prop_assert_eq!(manifests(&profile, &config), manifests(&profile, &config));
    }

    #[test]
    fn every_object_carries_the_owner_reference_and_the_label(profile in any_profile(), config in any_config()) {
        for manifest in manifests(&profile, &config).into_iter().flatten() {
            let name = profile.metadata.name.clone().unwrap();
            let metadata = &manifest.to_json()["metadata"];
            let reference = &metadata["ownerReferences"][0];
            prop_assert_eq!(&reference["uid"], "the-uid");
            prop_assert_eq!(&reference["controller"], true);
            prop_assert_eq!(&metadata["labels"]["profiles.kubeflow.org/profile"], &Value::from(name));
        }
    }

    #[test]
    fn no_wildcard_of_a_user_ever_reaches_a_policy(profile in any_profile(), config in any_config()) {
        for manifest in manifests(&profile, &config).into_iter().flatten() {
            if manifest.key.kind == OwnedKind::AuthorizationPolicy {
                let mut values = Vec::new();
                texts(&manifest.content["spec"], &mut values);
                values.retain(|value| value.contains('*'));
                prop_assert_eq!(values, ["*/api/kernels"], "the platform's own");
            }
        }
    }

    #[test]
    fn a_rule_that_lets_the_owner_in_always_names_them(profile in any_profile(), config in any_config()) {
        for manifest in manifests(&profile, &config).into_iter().flatten() {
            if manifest.key.kind == OwnedKind::AuthorizationPolicy {
                let rules = manifest.content["spec"]["rules"].as_array().unwrap();
                prop_assert!((3..=4).contains(&rules.len()));
                for rule in rules {
                    let narrowed = rule.get("when").is_some() || rule.get("to").is_some();
                    let principals = rule["from"][0]["source"]["principals"].as_array();
                    let workload = principals.is_some_and(|p| p.iter().all(|p| p.as_str().unwrap().starts_with("cluster.local/ns/")));
                    let own = profile.spec.owner.kind == "ServiceAccount" && workload;
                    prop_assert!(narrowed || own, "{rule} lets everybody in");
                }
            }
        }
    }

    #[test]
    fn what_was_created_as_rendered_needs_no_further_write(profile in any_profile(), config in any_config()) {
        for manifest in manifests(&profile, &config).into_iter().flatten() {
            prop_assert_eq!(plan::plan(&manifest, Some(&stored(&manifest))), Ok(None));
        }
    }

    #[test]
    fn whatever_somebody_changed_in_the_content_is_planned_away(
        profile in any_profile(),
        config in any_config(),
        field in "[a-z]{1,8}",
        value in prop_oneof![Just(Value::Null), Just(Value::from("x")), Just(serde_json::json!({"a": ["b"]}))],
    ) {
        for manifest in manifests(&profile, &config).into_iter().flatten() {
            let mut observed = stored(&manifest);
            if let Some(Value::Object(spec)) = observed.content.get_mut("spec") {
                let before = spec.insert(field.clone(), value.clone());
                if before.as_ref() == Some(&value) { continue; }
                let Ok(Some(plan::Change::Apply(patch))) = plan::plan(&manifest, Some(&observed)) else {
                    return Err(TestCaseError::fail("not repaired"));
                };
                let repaired = merged(&observed.content["spec"], &patch.body["spec"]);
                prop_assert_eq!(repaired, manifest.content["spec"].clone());
            }
        }
    }
}

/// What a merge patch makes of a value (RFC 7396).
fn merged(value: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut fields: BTreeMap<String, Value> = match value {
        Value::Object(fields) => fields.clone().into_iter().collect(),
        _ => BTreeMap::new(),
    };
    for (key, patch) in patch {
        if patch.is_null() {
            fields.remove(key);
        } else {
            let value = merged(fields.get(key).unwrap_or(&Value::Null), patch);
            fields.insert(key.clone(), value);
        }
    }
    Value::Object(fields.into_iter().collect())
}
