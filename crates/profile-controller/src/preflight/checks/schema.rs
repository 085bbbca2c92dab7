//! Whether the CRD in the cluster keeps what this controller writes: the API server drops fields that a schema does not know, such as
//! the records of cloud grants under the CRD of the Go controller.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use profile_api::STORED_VERSION;

use crate::preflight::report::Check;

/// Looks at the version that is stored.
pub(super) fn check(name: &'static str, definition: &CustomResourceDefinition) -> Check {
    let ours = profile_api::crd();
    let (Some(ours), Some(theirs)) = (stored(&ours), stored(definition)) else {
        return Check::failed(
            name,
            format!("the CRD has no version {STORED_VERSION}: apply that of this version"),
        );
    };
    let mut missing = Vec::new();
    match (schema(ours), schema(theirs)) {
        (Some(ours), Some(theirs)) => collect_missing(ours, theirs, "", &mut missing),
        _ => missing.push("a schema".to_owned()),
    }
    if theirs.subresources.as_ref().is_none_or(|subresources| subresources.status.is_none()) {
        missing.push("the status subresource".to_owned());
    }
    if missing.is_empty() {
        return Check::ok(name, "the CRD keeps every field that this controller writes");
    }
    let message = format!(
        "the CRD is of another version: what this controller writes would be dropped ({}). Apply the CRD of this version first; \
         the Go controller can work with it",
        missing.join(", ")
    );
    Check::failed(name, message)
}

fn stored(definition: &CustomResourceDefinition) -> Option<&CustomResourceDefinitionVersion> {
    definition.spec.versions.iter().find(|version| version.name == STORED_VERSION)
}

fn schema(version: &CustomResourceDefinitionVersion) -> Option<&JSONSchemaProps> {
    version.schema.as_ref()?.open_api_v3_schema.as_ref()
}

/// The fields of one schema that another one does not know, each the topmost.
fn collect_missing(ours: &JSONSchemaProps, theirs: &JSONSchemaProps, path: &str, missing: &mut Vec<String>) {
    let keeps_unknown = theirs.x_kubernetes_preserve_unknown_fields == Some(true);
    for (name, property) in ours.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match theirs.properties.as_ref().and_then(|properties| properties.get(name)) {
            Some(their_property) => collect_missing(property, their_property, &path, missing),
            None if keeps_unknown => {}
            None => missing.push(path),
        }
    }
    if let (
        Some(JSONSchemaPropsOrArray::Schema(our_items)),
        Some(JSONSchemaPropsOrArray::Schema(their_items)),
    ) = (&ours.items, &theirs.items)
    {
        collect_missing(our_items, their_items, &format!("{path}[]"), missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::report::CheckResult;

    #[test]
    fn the_crd_of_this_version_keeps_everything() {
        assert_eq!(check("it", &profile_api::crd()).result, CheckResult::Ok);
    }

    #[test]
    fn a_crd_that_would_drop_something_is_named_with_what_it_drops() {
        let mut definition = profile_api::crd();
        let version = &mut definition.spec.versions[0];
        let root = version.schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
        let status = root.properties.as_mut().unwrap().get_mut("status").unwrap();
        let fields = status.properties.as_mut().unwrap();
        fields.remove("plugins");
        let Some(JSONSchemaPropsOrArray::Schema(condition)) =
            &mut fields.get_mut("conditions").unwrap().items
        else {
            panic!("an array");
        };
        condition.properties.as_mut().unwrap().remove("reason");
        version.subresources = None;
        let found = check("it", &definition);
        assert_eq!(found.result, CheckResult::Failed);
        let told = "(status.conditions[].reason, status.plugins, the status subresource)";
        assert!(found.message.contains(told), "{}", found.message);
    }

    #[test]
    fn a_crd_that_keeps_unknown_fields_drops_nothing() {
        let mut definition = profile_api::crd();
        let root = definition.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
        root.properties = None;
        root.x_kubernetes_preserve_unknown_fields = Some(true);
        assert_eq!(check("it", &definition).result, CheckResult::Ok);
    }
}
