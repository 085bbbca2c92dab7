//! What a change will have made of an object, and how that differs from what was there, field by field: told without making it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Map, Value, json};

use crate::{Manifest, Observed, plan::Change};

/// UID of an object that has not been created yet.
pub const FORESEEN_UID: &str = "foreseen";

/// A field that will change. What is not there is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// Path of the field, such as `spec.rules[0].when[0].values[0]` or `metadata.labels[example.com/team]`.
    pub path: String,
    /// What is there now.
    pub from: Option<Value>,
    /// What will be there.
    pub to: Option<Value>,
}

/// What will be there after a change: `None` if nothing, as between the two halves of a replacement.
pub fn after(desired: &Manifest, change: &Change, observed: Option<&Observed>) -> Option<Observed> {
    match (change, observed) {
        (Change::Create, _) => Some(created(desired)),
        (Change::Apply(patch) | Change::Label(patch), Some(observed)) => Some(patched(observed, &patch.body)),
        (Change::Apply(_) | Change::Label(_), None) | (Change::Replace(_) | Change::Delete(_), _) => None,
    }
}

/// How an object will differ from what it is now, as far as both are compared here. The fields of an object that is created or
/// deleted as a whole are not listed.
pub fn differences(before: &Observed, after: &Observed) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare(String::new(), Some(&fields(before)), Some(&fields(after)), &mut changes);
    changes
}

fn created(desired: &Manifest) -> Observed {
    let present = |values: &BTreeMap<String, Option<String>>| {
        values.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect()
    };
    Observed {
        key: desired.key.clone(),
        uid: FORESEEN_UID.to_owned(),
        resource_version: String::new(),
        terminating: false,
        labels: present(&desired.labels),
        annotations: present(&desired.annotations),
        owner_references: serde_json::from_value(json!([desired.owner])).unwrap_or_default(),
        content: desired.content.clone(),
    }
}

fn patched(observed: &Observed, patch: &Value) -> Observed {
    let mut after = observed.clone();
    let metadata = &patch["metadata"];
    merge_texts(&mut after.labels, &metadata["labels"]);
    merge_texts(&mut after.annotations, &metadata["annotations"]);
    if let Ok(references) = serde_json::from_value::<Vec<OwnerReference>>(metadata["ownerReferences"].clone())
    {
        after.owner_references = references;
    }
    for (field, value) in patch.as_object().into_iter().flatten().filter(|(field, _)| *field != "metadata") {
        let merged = merge(after.content.get(field), value);
        after.content.remove(field);
        after.content.extend(merged.map(|value| (field.clone(), value)));
    }
    after
}

fn merge_texts(texts: &mut BTreeMap<String, String>, patch: &Value) {
    for (key, value) in patch.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(text) => texts.insert(key.clone(), text.to_owned()),
            None => texts.remove(key),
        };
    }
}

/// A JSON merge patch (RFC 7396) applied; `None` if nothing is left.
fn merge(current: Option<&Value>, patch: &Value) -> Option<Value> {
    let Value::Object(patch) = patch else {
        return (!patch.is_null()).then(|| patch.clone());
    };
    let mut merged = current.and_then(Value::as_object).cloned().unwrap_or_default();
    for (field, value) in patch {
        let value = merge(merged.get(field), value);
        merged.remove(field);
        merged.extend(value.map(|value| (field.clone(), value)));
    }
    Some(Value::Object(merged))
}

fn fields(object: &Observed) -> Value {
    let metadata = json!({
        "labels": object.labels,
        "annotations": object.annotations,
        "ownerReferences": object.owner_references,
    });
    let fields = std::iter::once(("metadata".to_owned(), metadata)).chain(object.content.clone());
    Value::Object(fields.collect())
}

fn compare(path: String, from: Option<&Value>, to: Option<&Value>, changes: &mut Vec<FieldChange>) {
    if from == to {
        return;
    }
    match (from, to) {
        (Some(Value::Object(from)), Some(Value::Object(to))) => {
            compare_objects(&path, from, to, changes);
        }
        (Some(Value::Array(from)), Some(Value::Array(to))) if from.len() == to.len() => {
            for (index, (from, to)) in from.iter().zip(to).enumerate() {
                compare(format!("{path}[{index}]"), Some(from), Some(to), changes);
            }
        }
        _ => changes.push(FieldChange { path, from: from.cloned(), to: to.cloned() }),
    }
}

fn compare_objects(
    path: &str,
    from: &Map<String, Value>,
    to: &Map<String, Value>,
    changes: &mut Vec<FieldChange>,
) {
    let added = to.keys().filter(|key| !from.contains_key(*key));
    for key in from.keys().chain(added) {
        compare(step(path, key), from.get(key), to.get(key), changes);
    }
}

/// Keys such as those of labels have dots of their own.
fn step(path: &str, key: &str) -> String {
    if !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
        format!("{path}[{key}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
