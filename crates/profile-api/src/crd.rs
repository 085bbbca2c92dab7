//! The CustomResourceDefinition: one schema, served in two versions.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

use crate::Profile;

/// The version in which Profiles are stored, and the one to use.
pub const STORED_VERSION: &str = "v1";

/// The versions that the API server serves. They differ in nothing but their name.
pub const SERVED_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// The CustomResourceDefinition `profiles.kubeflow.org`, ready to be applied to a cluster.
///
/// It needs Kubernetes 1.30 or newer, for validation rules with an optional old value.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = Profile::crd();
    let mut stored = crd.spec.versions.remove(0);
    if let Some(schema) = stored.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
        leave_out_instead_of_null(schema);
        // The Go controller's schema does not ask for a spec, and what is required at the root is asked of old objects too:
        // without one, none of their finalizers could be removed. A rule asks for it instead.
        schema.required = None;
    }
    crd.spec.versions = SERVED_VERSIONS
        .iter()
        .map(|name| {
            let mut version = stored.clone();
            version.name = (*name).to_owned();
            version.storage = *name == STORED_VERSION;
            version
        })
        .collect();
    crd.spec.conversion = Some(CustomResourceConversion { strategy: "None".to_owned(), webhook: None });
    crd
}

/// An optional field is left out, not written as `null`: so it is in the Go controller's schema, and so the validation
/// rules need to know one case only.
fn leave_out_instead_of_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.properties.iter_mut().flatten().for_each(|(_, property)| leave_out_instead_of_null(property));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        leave_out_instead_of_null(items);
    }
}
