//! The overlays put everything into their namespace.

use std::path::Path;

use dev_cluster::Assets;
use serde_json::Value;

#[test]
fn an_overlay_binds_the_service_account_of_its_own_namespace() {
    for (overlay, namespace) in [("standalone", "profiles-system"), ("kubeflow", "kubeflow")] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/overlays").join(overlay);
        let manifest = Assets::find().unwrap().kustomize(&folder).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&manifest).unwrap();
        let accounts: Vec<&Value> = objects
            .iter()
            .flat_map(|object| match object["kind"].as_str() {
                Some("ServiceAccount") => vec![&object["metadata"]["namespace"]],
                Some("RoleBinding" | "ClusterRoleBinding") => vec![&object["subjects"][0]["namespace"]],
                _ => vec![],
            })
            .collect();
        assert_eq!(accounts, [namespace; 3], "overlay {overlay}");
    }
}
