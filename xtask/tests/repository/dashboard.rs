//! The dashboard: what Grafana needs of it, and valid expressions.

use serde_json::{Value, json};
use test_support::repository_file;

use crate::alerts::promtool;

fn dashboard() -> Value {
    serde_json::from_str(&repository_file("manifests/components/prometheus/dashboard.json")).unwrap()
}

/// The expressions, with values for Grafana's variables.
pub(crate) fn expressions() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let written = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    // label_values(metric, label): a function of Grafana.
    let queries = variables.filter_map(|variable| variable["query"]["query"].as_str());
    let queries = queries.map(|query| {
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(", job)"));
        inner.unwrap_or_else(|| panic!("{query} lists jobs")).to_owned()
    });
    let all = written.chain(queries).map(|expression| {
        expression
            .replace("$__rate_interval", "5m")
            .replace("job=~\"$controller\"", "job=~\"a|b\"")
            .replace("job=~\"$kfam\"", "job=~\"a|b\"")
    });
    all.collect()
}

#[test]
fn every_expression_of_the_dashboard_is_valid_and_every_variable_is_there() {
    let expressions = expressions();
    assert!(expressions.len() > 20);
    for expression in &expressions {
        assert!(!expression.contains('$'), "a variable that is not defined: {expression}");
    }
    let rules = expressions.iter().enumerate();
    let rules: Vec<Value> =
        rules.map(|(number, it)| json!({ "record": format!("it:{number}"), "expr": it })).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string())
        .unwrap();
    promtool(&["check", "rules"], &file);
}

#[test]
fn panels_have_a_title_a_place_of_their_own_and_a_data_source_that_can_be_chosen() {
    let dashboard = dashboard();
    let mut ids = Vec::new();
    let mut places: Vec<(String, [u64; 4])> = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(panel["title"].as_str().is_some_and(|title| !title.is_empty()));
        ids.push(panel["id"].as_u64().unwrap());
        let [x, y, width, height] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + width <= 24, "{}", panel["title"]);
        for (other, [ox, oy, ow, oh]) in &places {
            let apart = x >= ox + ow || *ox >= x + width || y >= oy + oh || *oy >= y + height;
            assert!(apart, "{} lies on {other}", panel["title"]);
        }
        places.push((panel["title"].to_string(), [x, y, width, height]));
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "each panel has an id of its own");
}
