//! `cargo xtask gen-crd`: the manifests that are made from something else: the CustomResourceDefinition from the types of
//! `profile-api`, the Prometheus operator's form of the alert rules, and what the Helm chart has in common with the
//! kustomizations.

use std::{fs, path::Path};

use anyhow::{Context, ensure};

/// Where the CRD is committed, from the root of the repository.
const CRD: &str = "manifests/base/crd/kubeflow.org_profiles.yaml";
const ALERTS: &str = "manifests/components/prometheus/alerts.yaml";
const PROMETHEUS_RULE: &str = "manifests/components/prometheus/prometheus-rule.yaml";

/// A chart sees the files in its own folder only: what it needs of the kustomizations is copied there, under these names.
const CHART_FILES: &str = "manifests/chart/files";
const COPIED: [(&str, &str); 8] = [
    (CRD, "kubeflow.org_profiles.yaml"),
    ("manifests/base/rbac/controller-role.yaml", "controller-role.yaml"),
    ("manifests/base/rbac/leader-election-role.yaml", "leader-election-role.yaml"),
    ("manifests/base/rbac/user-roles.yaml", "user-roles.yaml"),
    ("manifests/components/preflight/cluster-role.yaml", "preflight-role.yaml"),
    ("manifests/components/kfam/role.yaml", "kfam-role.yaml"),
    ("manifests/overlays/standalone/kubeflow-roles.yaml", "kubeflow-roles.yaml"),
    (PROMETHEUS_RULE, "prometheus-rule.yaml"),
];

/// Write the CustomResourceDefinition of Profiles and the other manifests that are made from something else
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a committed file differs
    #[arg(long)]
    check: bool,
}

/// A file that is written, and what it is made from.
struct Generated {
    path: String,
    text: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = crate::root();
    for Generated { path, text } in generated(&root)? {
        let file = root.join(&path);
        if args.check {
            let committed = fs::read_to_string(&file).with_context(|| format!("cannot read {path}"))?;
            check(&path, &committed, &text)?;
            println!("{path} is up to date");
        } else {
            fs::write(&file, text).with_context(|| format!("cannot write {path}"))?;
            println!("wrote {path}");
        }
    }
    Ok(())
}

/// All of them. What a copy is made from may be generated itself, so that it is taken from here and not from the folder.
fn generated(root: &Path) -> anyhow::Result<Vec<Generated>> {
    let read =
        |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"));
    let mut files = vec![
        Generated {
            path: CRD.to_owned(),
            text: format!(
                "{}{}",
                header("crates/profile-api"),
                serde_saphyr::to_string(&profile_api::crd())?
            ),
        },
        Generated { path: PROMETHEUS_RULE.to_owned(), text: prometheus_rule(&read(ALERTS)?) },
    ];
    for (from, name) in COPIED {
        let made = files.iter().find(|file| file.path == from).map(|file| file.text.clone());
        let text = made.map_or_else(|| read(from), Ok)?;
        files.push(Generated {
            path: format!("{CHART_FILES}/{name}"),
            text: format!("{}{text}", header(from)),
        });
    }
    Ok(files)
}

fn header(from: &str) -> String {
    format!("# Generated from {from} by `cargo xtask gen-crd`; do not edit.\n")
}

/// A file of rules as Prometheus reads it, as an object of the operator: the file is the object's spec.
fn prometheus_rule(alerts: &str) -> String {
    let object = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: profiles-controller-alerts\n  labels:\n    app: profile-controller\n    app.kubernetes.io/component: metrics\n    kustomize.component: profiles\nspec:\n";
    let spec =
        alerts.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") });
    format!("{}{object}{}", header(ALERTS), spec.collect::<String>())
}

fn check(path: &str, committed: &str, generated: &str) -> anyhow::Result<()> {
    ensure!(
        committed == generated,
        "{path} is not what it is made from says: run `cargo xtask gen-crd` and commit it"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_committed_file_that_differs_is_refused_with_what_to_do() {
        assert!(check(CRD, "a: 1\n", "a: 1\n").is_ok());
        let error = check(CRD, "a: 1\n", "a: 2\n").unwrap_err().to_string();
        assert!(error.contains(CRD) && error.contains("cargo xtask gen-crd"), "{error}");
    }

    #[test]
    fn the_prometheus_operator_gets_the_rules_as_prometheus_does() {
        let alerts = "# Why.\ngroups:\n- name: a\n\n  rules: []\n";
        let object: Value = serde_saphyr::from_str(&prometheus_rule(alerts)).unwrap();
        assert_eq!(object["kind"], "PrometheusRule");
        assert_eq!(object["spec"], serde_saphyr::from_str::<Value>(alerts).unwrap());
    }

    #[test]
    fn the_committed_files_are_what_they_are_made_from_says() {
        let root = crate::root();
        for Generated { path, text } in generated(&root).unwrap() {
            check(&path, &fs::read_to_string(root.join(&path)).unwrap(), &text).unwrap();
        }
    }
}
