//! The shape of the CustomResourceDefinition. That the API server enforces its rules is tested with the controller.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

fn crd() -> Value {
    serde_json::to_value(profile_api::crd()).unwrap()
}

#[test]
fn both_versions_have_one_schema_and_one_is_stored() {
    let versions = crd()["spec"]["versions"].clone();
    let summary: Vec<Value> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|version| {
            json!([version["name"], version["served"], version["storage"], version["subresources"]])
        })
        .collect();
    assert_eq!(
        summary,
        [json!(["v1", true, true, { "status": {} }]), json!(["v1beta1", true, false, { "status": {} }])]
    );
    assert_eq!(versions[0]["schema"], versions[1]["schema"]);
    assert_eq!(versions[0]["additionalPrinterColumns"], versions[1]["additionalPrinterColumns"]);
}

#[test]
fn it_has_the_names_of_the_contract() {
    let crd = crd();
    assert_eq!(crd["metadata"]["name"], profile_api::names::CRD_NAME);
    assert_eq!(crd["spec"]["group"], profile_api::names::GROUP);
    assert_eq!(crd["spec"]["scope"], "Cluster");
    assert_eq!(
        crd["spec"]["names"],
        json!({ "kind": "Profile", "plural": "profiles", "singular": "profile", "categories": ["kubeflow"] })
    );
    assert_eq!(crd["spec"]["conversion"]["strategy"], "None");
}

#[test]
fn every_field_that_a_user_writes_has_a_description() {
    let spec = &crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut without = Vec::new();
    collect_undescribed(spec, "spec", &mut without);
    assert_eq!(without, Vec::<String>::new());
}

fn collect_undescribed(schema: &Value, path: &str, into: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property["description"].as_str().is_none_or(str::is_empty) {
            into.push(path.clone());
        }
        collect_undescribed(property, &path, into);
        collect_undescribed(&property["items"], &path, into);
    }
}
