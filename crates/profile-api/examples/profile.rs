//! Builds a Profile and prints it as YAML: `cargo run -p profile-api --example profile | kubectl apply -f -`.

use std::collections::BTreeMap;

use profile_api::{Plugin, Profile, ProfileSpec, Quantity, ResourceQuotaSpec, Subject};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let profile = Profile::new(
        "team-vision",
        ProfileSpec {
            owner: Subject::user("jane@example.com"),
            plugins: vec![Plugin {
                kind: "WorkloadIdentity".to_owned(),
                spec: serde_json::from_value(json!({
                    "gcpServiceAccount": "vision@my-project.iam.gserviceaccount.com",
                }))?,
                ..Plugin::default()
            }],
            resource_quota_spec: Some(ResourceQuotaSpec {
                hard: BTreeMap::from([
                    ("cpu".to_owned(), Quantity::from("8")),
                    ("memory".to_owned(), Quantity::from("32Gi")),
                ]),
                ..ResourceQuotaSpec::default()
            }),
        },
    );
    print!("{}", serde_saphyr::to_string(&profile)?);
    Ok(())
}
