//! An object of a Profile as a watch reads it.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    core::{ApiResource, DynamicObject},
};
use profile_runtime::metadata::lean;
use serde::Deserialize;
use serde_json::Value;

/// Any object, without the metadata that is never looked at.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ReadObject {
    #[serde(default, deserialize_with = "lean")]
    metadata: ObjectMeta,
    #[serde(flatten)]
    data: Value,
}

impl Resource for ReadObject {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::kind(resource)
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::group(resource)
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::version(resource)
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        DynamicObject::plural(resource)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl From<ReadObject> for DynamicObject {
    fn from(object: ReadObject) -> Self {
        Self { types: None, metadata: object.metadata, data: object.data }
    }
}
