//! The difference between what should be and what is, one object at a time.

use std::{collections::BTreeMap, fmt};

use profile_api::{Quantity, names::APPLIED_ANNOTATIONS_ANNOTATION};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::{Manifest, ObjectKey, Observed, OwnedKind, observed::is_profile};

/// The one write that makes an object what it should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is not there: create it.
    Create,
    /// It differs: change it in place with a JSON merge patch.
    Apply(Patch),
    /// Only labels or annotations differ: the same, and harmless.
    Label(Patch),
    /// It differs in a field that cannot be changed in place: delete it, then create it.
    Replace(Precondition),
    /// It must not be there: delete it.
    Delete(Precondition),
}

/// A JSON merge patch that the API server refuses if the object has changed since it was compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The patch (RFC 7396), with UID and resource version in it.
    pub body: Value,
    /// The fields that differ, for people.
    pub fields: Vec<&'static str>,
}

/// The object that is to be deleted, so that a newer one of the same name is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// UID of the object.
    pub uid: String,
    /// Resource version of the object.
    pub resource_version: String,
}

/// Why an object cannot be made what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Obstacle {
    /// Another controller manages the object.
    #[error("{key} is managed by {controller}: delete or rename that object, its name is needed")]
    Controlled {
        /// Which object.
        key: ObjectKey,
        /// Kind and name of its controller.
        controller: String,
    },
    /// The object is being deleted.
    #[error(
        "{key} is being deleted and will be created again once it is gone; if that takes long, look at its finalizers"
    )]
    Terminating {
        /// Which object.
        key: ObjectKey,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::Apply(patch) => write!(f, "apply {}", patch.fields.join(", ")),
            Self::Label(patch) => write!(f, "set {}", patch.fields.join(", ")),
            Self::Replace(_) => f.write_str("replace"),
            Self::Delete(_) => f.write_str("delete"),
        }
    }
}

impl Precondition {
    fn of(observed: &Observed) -> Self {
        Self { uid: observed.uid.clone(), resource_version: observed.resource_version.clone() }
    }
}

/// What it takes to make one object what it should be; `None` when it already is.
///
/// # Errors
/// When the object is being deleted or another controller manages it.
pub fn plan(desired: &Manifest, observed: Option<&Observed>) -> Result<Option<Change>, Obstacle> {
    let Some(observed) = observed else {
        return Ok(Some(Change::Create));
    };
    if observed.terminating {
        return Err(Obstacle::Terminating { key: desired.key.clone() });
    }
    let owner_references = plan_owner_references(desired, observed)?;
    let immutable = desired.key.kind.immutable_path();
    if immutable.is_some_and(|path| value_at(&desired.content, path) != value_at(&observed.content, path)) {
        return Ok(Some(Change::Replace(Precondition::of(observed))));
    }

    let mut metadata = Map::new();
    let labels = changed_values(desired.labels.iter(), |key| observed.labels.get(key));
    let outdated = outdated_annotations(desired, observed);
    let annotations =
        changed_values(desired.annotations.iter().chain(&outdated), |key| observed.annotations.get(key));
    for (field, value) in
        [("labels", labels), ("annotations", annotations), ("ownerReferences", owner_references)]
    {
        metadata.extend(value.map(|value| (field.to_owned(), value)));
    }
    let content = plan_content(desired, observed);
    if metadata.is_empty() && content.is_empty() {
        return Ok(None);
    }

    let fields = field_names(&metadata, &content, desired.key.kind);
    let harmless = content.is_empty() && !metadata.contains_key("ownerReferences");
    metadata.insert("uid".to_owned(), json!(observed.uid));
    metadata.insert("resourceVersion".to_owned(), json!(observed.resource_version));
    let mut body = Value::Object(content);
    body["metadata"] = Value::Object(metadata);
    let patch = Patch { body, fields };
    Ok(Some(if harmless { Change::Label(patch) } else { Change::Apply(patch) }))
}

/// What it takes for an object not to be there. Only what the Profile owns is deleted: a quota that somebody made by hand
/// is theirs.
pub fn plan_absence(observed: Option<&Observed>, profile_uid: &str) -> Option<Change> {
    observed
        .filter(|observed| observed.is_owned_by(profile_uid) && !observed.terminating)
        .map(|observed| Change::Delete(Precondition::of(observed)))
}

/// The owner references as they should be, if they are not: ours, and those of others that are not stale references to a
/// Profile.
fn plan_owner_references(desired: &Manifest, observed: &Observed) -> Result<Option<Value>, Obstacle> {
    if let Some(controller) = observed.controller().filter(|controller| !is_profile(controller)) {
        let controller = format!("{} {}", controller.kind, controller.name);
        return Err(Obstacle::Controlled { key: desired.key.clone(), controller });
    }
    let current = || observed.owner_references.iter().map(|reference| json!(reference));
    let others = observed.owner_references.iter().filter(|reference| !is_profile(reference));
    let wanted: Vec<Value> =
        std::iter::once(desired.owner.clone()).chain(others.map(|other| json!(other))).collect();
    let in_place =
        current().count() == wanted.len() && current().all(|reference| wanted.contains(&reference));
    Ok((!in_place).then_some(Value::Array(wanted)))
}

/// The annotations that the object's record says were set from here, and that are not wanted any more. Where nothing is
/// decided over the record, nothing is over them.
fn outdated_annotations(desired: &Manifest, observed: &Observed) -> BTreeMap<String, Option<String>> {
    let record = observed.annotations.get(APPLIED_ANNOTATIONS_ANNOTATION);
    let record = record.filter(|_| desired.annotations.contains_key(APPLIED_ANNOTATIONS_ANNOTATION));
    let applied = record.map_or("", String::as_str).split(',').filter(|key| !key.is_empty());
    applied.filter(|key| !desired.annotations.contains_key(*key)).map(|key| (key.to_owned(), None)).collect()
}

/// The labels or annotations that differ, with `null` for what must not be there.
fn changed_values<'a>(
    desired: impl Iterator<Item = (&'a String, &'a Option<String>)>,
    observed: impl Fn(&str) -> Option<&'a String>,
) -> Option<Value> {
    let changed: Map<String, Value> = desired
        .filter(|(key, value)| value.as_ref() != observed(key))
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    (!changed.is_empty()).then_some(Value::Object(changed))
}

fn plan_content(desired: &Manifest, observed: &Observed) -> Map<String, Value> {
    let kind = desired.key.kind;
    kind.content_fields()
        .iter()
        .filter_map(|field| {
            let wanted = desired.content.get(*field).unwrap_or(&Value::Null);
            let current = observed.content.get(*field).unwrap_or(&Value::Null);
            let same = wanted == current || normalised(kind, wanted) == normalised(kind, current);
            (!same).then(|| ((*field).to_owned(), merge_patch(current, wanted)))
        })
        .collect()
}

fn value_at<'a>(content: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(content.get(*first)?, |value, field| value.get(*field))
}

/// A value in a form in which two ways to write the same thing are equal: the API server rewrites the quantities of a
/// quota (`1024Mi` becomes `1Gi`).
fn normalised(kind: OwnedKind, value: &Value) -> Value {
    let mut value = value.clone();
    if kind == OwnedKind::ResourceQuota
        && let Some(Value::Object(hard)) = value.get_mut("hard")
    {
        for amount in hard.values_mut() {
            let nanos = amount.as_str().and_then(|text| Quantity::from(text).nanos().ok());
            if let Some(nanos) = nanos {
                *amount = json!(nanos.to_string());
            }
        }
    }
    value
}

/// The merge patch (RFC 7396) that turns `current` into `wanted`: what is not wanted becomes `null`, so that a field which
/// somebody added is removed and not merged around.
fn merge_patch(current: &Value, wanted: &Value) -> Value {
    let (Value::Object(current), Value::Object(wanted)) = (current, wanted) else {
        return wanted.clone();
    };
    let removed =
        current.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed =
        wanted.iter().filter(|(key, value)| current.get(*key) != Some(value)).map(|(key, value)| {
            let current = current.get(key).unwrap_or(&Value::Null);
            (key.clone(), merge_patch(current, value))
        });
    Value::Object(removed.chain(changed).collect())
}

fn field_names(
    metadata: &Map<String, Value>,
    content: &Map<String, Value>,
    kind: OwnedKind,
) -> Vec<&'static str> {
    let of_metadata =
        ["labels", "annotations", "ownerReferences"].into_iter().filter(|f| metadata.contains_key(*f));
    let of_content = kind.content_fields().iter().copied().filter(|f| content.contains_key(*f));
    of_metadata.chain(of_content).collect()
}
