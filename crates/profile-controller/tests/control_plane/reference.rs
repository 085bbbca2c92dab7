//! What the Go controller leaves in a cluster, as captured from a real one, for as many Profiles as wanted.

use std::collections::BTreeMap;

use kube::{
    Api, ResourceExt,
    api::PostParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use profile_api::Profile;
use serde_json::Value;

use crate::harness::World;

/// The state of the Profile [`NAME`], which belongs to [`OWNER`].
const STATE: &str = include_str!("reference-state.yaml");
const NAME: &str = "p00001";
const OWNER: &str = "u1@example.com";

/// The labels that the Go controller was given when the state was captured.
pub(crate) const LABELS_FILE: &str = "
app.kubernetes.io/part-of: kubeflow-profile
katib.kubeflow.org/metrics-collector-injection: enabled
pipelines.kubeflow.org/enabled: 'true'
serving.kubeflow.org/inferenceservice: enabled
";

/// The objects of a Profile, without the Profile; what names its UID has it.
pub(crate) fn objects(name: &str, owner: &str, uid: &str) -> Vec<DynamicObject> {
    let documents = documents(name, owner, uid).into_iter().skip(1);
    documents.map(|object| serde_json::from_value(object).unwrap()).collect()
}

fn documents(name: &str, owner: &str, uid: &str) -> Vec<Value> {
    let state = STATE.replace(NAME, name).replace(OWNER, owner).replace("PROFILE_UID", uid);
    serde_saphyr::from_multiple(&state).unwrap()
}

/// The Profile as it is then.
pub(crate) fn profile(name: &str, owner: &str) -> Profile {
    serde_json::from_value(documents(name, owner, "")[0].clone()).unwrap()
}

/// Creates a Profile and its objects as the Go controller has left them; the UID of the Profile.
pub(crate) async fn leave(world: &World, name: &str, owner: &str) -> String {
    let uid = world.create(profile(name, owner)).await.uid().unwrap();
    for object in objects(name, owner, &uid) {
        create(world, &object).await;
    }
    uid
}

/// Creates one object.
pub(crate) async fn create(world: &World, object: &DynamicObject) {
    let created = api_of(world, object).create(&PostParams::default(), object).await;
    created.unwrap_or_else(|error| panic!("{}: {error}", object.name_any()));
}

/// The UID of every object that is there, by kind and name.
pub(crate) async fn uids(world: &World, name: &str) -> BTreeMap<String, String> {
    let mut uids = BTreeMap::new();
    for object in objects(name, OWNER, "") {
        let kind = object.types.clone().unwrap().kind;
        if let Some(found) = api_of(world, &object).get_opt(&object.name_any()).await.unwrap() {
            uids.insert(format!("{kind} {name}/{}", object.name_any()), found.uid().unwrap());
        }
    }
    uids
}

/// Where an object is.
pub(crate) fn api_of(world: &World, object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.clone().unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types).unwrap());
    match object.namespace() {
        Some(namespace) => Api::namespaced_with(world.admin.clone(), &namespace, &resource),
        None => Api::all_with(world.admin.clone(), &resource),
    }
}
