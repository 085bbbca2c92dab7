//! What the plugins of a Profile come to, for any set of plugins.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use async_trait::async_trait;
use profile_plugin::{Account, InvalidSpec, Plugin, PluginError, Registry, Wanted};
use serde::{Deserialize, Serialize};
use serde_json::json;

struct Key;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Grant {
    key: String,
}

#[async_trait]
impl Plugin for Key {
    const KIND: &'static str = "Key";
    const ALIASES: &'static [&'static str] = &["KeyOfOld"];
    type Spec = Spec;
    type Request = Grant;
    type Grant = Grant;

    fn plan(&self, _: &Account, spec: Spec) -> Result<Wanted<Grant>, InvalidSpec> {
        let annotations = BTreeMap::from([("example.com/key".to_owned(), spec.key.clone())]);
        Ok(Wanted { annotations, request: Some(Grant { key: spec.key }) })
    }

    async fn resolve(&self, request: Grant) -> Result<Grant, PluginError> {
        Ok(request)
    }

    async fn apply(&self, _: &Grant) -> Result<(), PluginError> {
        Ok(())
    }

    async fn revoke(&self, _: &Grant) -> Result<(), PluginError> {
        Ok(())
    }

    fn describe(&self, grant: &Grant) -> String {
        format!("key {}", grant.key)
    }

    fn place(&self, grant: &Grant) -> String {
        grant.key.clone()
    }
}

fn entry(kind: &str, key: &str) -> profile_api::Plugin {
    serde_json::from_value(json!({ "kind": kind, "spec": { "key": key } })).unwrap()
}

#[test]
fn an_unknown_kind_is_named_and_harms_no_other() {
    let plan = Registry::new().with(Key).plan("jane", &[entry("Other", "x"), entry("Key", "a")]);
    assert_eq!(plan.unknown, ["Other"]);
    assert_eq!(plan.requests.len(), 1);
    assert!(plan.invalid.is_empty());
}

#[test]
fn a_kind_and_its_alias_are_one_kind_of_which_there_is_one_at_most() {
    let registry = Registry::new().with(Key);
    let plan = registry.plan("jane", &[entry("KeyOfOld", "a")]);
    assert_eq!((plan.requests.len(), plan.requests[0].kind), (1, "Key"));
    let plan = registry.plan("jane", &[entry("Key", "a"), entry("KeyOfOld", "b")]);
    assert!(plan.requests.is_empty());
    let said = plan.invalid[0].field.to_string();
    assert!(said.contains("spec.plugins[1].kind: KeyOfOld is of the same kind as Key"), "{said}");
}

#[test]
fn a_default_is_for_profiles_without_a_plugin_of_its_kind() {
    let registry = Registry::new().with(Key).with_default(entry("Key", "default"));
    assert_eq!(registry.plan("jane", &[]).requests[0].request["key"], "default");
    assert_eq!(registry.plan("jane", &[entry("KeyOfOld", "own")]).requests[0].request["key"], "own");
    let invalid = serde_json::from_value(json!({ "kind": "Key", "spec": {} })).unwrap();
    assert!(registry.plan("jane", &[invalid]).requests.is_empty(), "one that is wrong is not replaced");
}

#[test]
fn a_record_that_cannot_be_read_is_an_error_and_not_a_panic() {
    let registry = Registry::new().with(Key);
    let plugin = registry.get("Key").unwrap();
    let record = json!({ "other": 1 }).as_object().unwrap().clone();
    assert_eq!(plugin.describe(&record), "{\"other\":1}");
    let error = futures::executor::block_on(plugin.revoke(&record)).unwrap_err();
    assert!(error.message.contains("a record of plugin Key cannot be read"), "{}", error.message);
}
