//! The alert rules: valid, tested, explained.

use std::process::Command;

use serde_json::Value;
use test_support::{repository, repository_file};

use crate::markdown::Document;

const RULES: &str = "manifests/components/prometheus/alerts.yaml";
const RUNBOOK: &str = "https://github.com/kubeflow/profile-controller/blob/main/docs/operations.md#";

/// The alerts, each as it is written.
pub(crate) fn alerts() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&repository_file(RULES)).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Runs promtool, which has to find nothing wrong.
pub(crate) fn promtool(arguments: &[&str], file: &std::path::Path) {
    let output = Command::new("promtool").args(arguments).arg(file).output();
    let output = output.expect("promtool: `cargo xtask test` installs it (Debian's package prometheus)");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {text}");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    promtool(&["check", "rules"], &repository(RULES));
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    promtool(&["test", "rules"], &repository("xtask/tests/repository/alerts_test.yaml"));
}

#[test]
fn there_is_a_story_in_which_an_alert_fires_and_one_in_which_it_does_not() {
    let tests: Value =
        serde_saphyr::from_str(&repository_file("xtask/tests/repository/alerts_test.yaml")).unwrap();
    let checks: Vec<&Value> = tests["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|test| test["promql_expr_test"].as_array())
        .flatten()
        .collect();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let about = format!("alertname=\"{name}\"");
        let fires = |wanted: bool| {
            checks.iter().any(|check| {
                check["expr"].as_str().unwrap().contains(&about) && check["exp_samples"].is_array() == wanted
            })
        };
        assert!(fires(true), "{name} fires in a story of alerts_test.yaml");
        assert!(fires(false), "{name} does not fire in a story of alerts_test.yaml");
    }
}

#[test]
fn every_alert_says_what_is_wrong_how_bad_it_is_and_where_to_read_what_to_do() {
    let runbook = Document::read("docs/operations.md");
    let headings = runbook.anchors();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        for annotation in ["summary", "description"] {
            assert!(alert["annotations"][annotation].as_str().is_some_and(|text| text.len() > 10), "{name}");
        }
        let address = alert["annotations"]["runbook_url"].as_str().unwrap();
        let anchor = address.strip_prefix(RUNBOOK).unwrap_or_else(|| panic!("{name}: {address}"));
        assert_eq!(anchor, name.to_lowercase());
        assert!(headings.contains(anchor), "docs/operations.md has a heading {name}");
    }
    let names: Vec<String> =
        alerts().iter().map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect();
    let explained = runbook.text.lines().filter_map(|line| line.strip_prefix("### "));
    for heading in explained.filter(|it| it.starts_with("Profile") || it.starts_with("Kfam")) {
        assert!(names.iter().any(|name| name == heading), "there is no alert {heading} any more");
    }
}
