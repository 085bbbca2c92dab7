//! A complete plugin: it opens doors. `docs/plugins.md` walks through it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use profile_plugin::{Account, Cause, InvalidSpec, Plugin, PluginError, Registry, Wanted};
use serde::{Deserialize, Serialize};

/// The building, which lets badges through doors. A real plugin has a client of some service here.
#[derive(Clone, Default)]
struct Building {
    let_through: Arc<Mutex<BTreeSet<(String, String)>>>,
}

struct DoorBadge {
    building: Building,
}

/// What a user writes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    door: String,
    #[serde(default)]
    annotate_only: bool,
}

/// What is granted, and all that is needed to undo it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grant {
    door: String,
    badge: String,
}

#[async_trait]
impl Plugin for DoorBadge {
    const KIND: &'static str = "DoorBadge";
    type Spec = Spec;
    /// Nothing has to be asked of the environment: the request is the grant.
    type Request = Grant;
    type Grant = Grant;

    fn plan(&self, account: &Account, spec: Spec) -> Result<Wanted<Grant>, InvalidSpec> {
        if spec.door.is_empty() || !spec.door.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let problem = format!("{:?} is not a door: write letters and digits, such as B12", spec.door);
            return Err(InvalidSpec { field: "door", problem });
        }
        let grant = Grant { door: spec.door.clone(), badge: account.to_string() };
        Ok(Wanted {
            annotations: BTreeMap::from([("building.example.com/door".to_owned(), spec.door)]),
            request: (!spec.annotate_only).then_some(grant),
        })
    }

    async fn resolve(&self, request: Grant) -> Result<Grant, PluginError> {
        Ok(request)
    }

    async fn apply(&self, grant: &Grant) -> Result<(), PluginError> {
        if grant.door == "vault" {
            let message = format!("door {} is not to be opened for {}", grant.door, grant.badge);
            return Err(PluginError::new(Cause::PermissionDenied, message));
        }
        // A set: once is as good as twice.
        self.building.doors().insert((grant.door.clone(), grant.badge.clone()));
        Ok(())
    }

    async fn revoke(&self, grant: &Grant) -> Result<(), PluginError> {
        self.building.doors().remove(&(grant.door.clone(), grant.badge.clone()));
        Ok(())
    }

    fn describe(&self, grant: &Grant) -> String {
        format!("door {} for {}", grant.door, grant.badge)
    }

    fn place(&self, grant: &Grant) -> String {
        grant.door.clone()
    }
}

impl Building {
    fn doors(&self) -> std::sync::MutexGuard<'_, BTreeSet<(String, String)>> {
        self.let_through.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn main() {
    // The one line in the binary, in crates/profile-controller/src/plugins.rs.
    let registry = Registry::new().with(DoorBadge { building: Building::default() });
    let plugin = profile_api::Plugin {
        kind: "DoorBadge".to_owned(),
        spec: [("door".to_owned(), "B12".into())].into_iter().collect(),
        ..profile_api::Plugin::default()
    };
    println!("{:#?}", registry.plan("jane", &[plugin]));
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn entry(kind: &str, spec: Value) -> profile_api::Plugin {
        let Value::Object(spec) = spec else { panic!("not an object") };
        profile_api::Plugin { kind: kind.to_owned(), spec, ..profile_api::Plugin::default() }
    }

    fn registry() -> (Building, Registry) {
        let building = Building::default();
        (building.clone(), Registry::new().with(DoorBadge { building }))
    }

    #[test]
    fn it_annotates_and_asks_for_a_grant() {
        let plan = registry().1.plan("jane", &[entry("DoorBadge", json!({ "door": "B12" }))]);
        assert_eq!(plan.annotations.wanted["building.example.com/door"], "B12");
        let grant = json!({ "door": "B12", "badge": "jane/default-editor" });
        assert_eq!(Value::Object(plan.requests[0].request.clone()), grant);
        let only = json!({ "door": "B12", "annotateOnly": true });
        assert!(registry().1.plan("jane", &[entry("DoorBadge", only)]).requests.is_empty());
    }

    #[test]
    fn what_is_wrong_in_a_spec_is_named() {
        for (spec, expected) in [
            (json!({ "door": "B 12" }), "spec.plugins[0].spec.door: \"B 12\" is not a door"),
            (json!({ "door": 12 }), "spec.plugins[0].spec.door: invalid type: integer"),
            (json!({ "doors": "B12" }), "spec.plugins[0].spec.doors: unknown field `doors`"),
            (json!({}), "spec.plugins[0].spec: missing field `door`"),
        ] {
            let plan = registry().1.plan("jane", &[entry("DoorBadge", spec)]);
            let said = plan.invalid[0].field.to_string();
            assert!(said.starts_with(expected), "{said}");
            assert!(plan.annotations.keep_others);
        }
    }

    #[test]
    fn a_grant_is_made_once_and_revoked_once() {
        let (building, registry) = registry();
        let plan = registry.plan("jane", &[entry("DoorBadge", json!({ "door": "B12" }))]);
        let plugin = registry.get("DoorBadge").unwrap();
        futures::executor::block_on(async {
            let grant: Map<String, Value> = plugin.resolve(&plan.requests[0].request).await.unwrap();
            for _ in 0..2 {
                plugin.apply(&grant).await.unwrap();
                assert_eq!(building.doors().len(), 1);
            }
            for _ in 0..2 {
                plugin.revoke(&grant).await.unwrap();
                assert_eq!(building.doors().len(), 0);
            }
        });
    }
}
