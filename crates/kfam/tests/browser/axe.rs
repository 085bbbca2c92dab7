//! Accessibility, as axe-core sees it.

use std::{path::Path, process::Command};

use anyhow::ensure;
use dev_cluster::cached_folder;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::browser::Browser;

const PACKAGE: &str = "axe-core@4.14.1";

static SCRIPT: OnceCell<String> = OnceCell::const_new();

/// Asserts that axe-core finds nothing wrong with the page.
pub(crate) async fn finds_nothing(browser: &Browser, what: &str) {
    if browser.run("return typeof axe").await == "undefined" {
        let script =
            SCRIPT.get_or_init(|| async { tokio::task::spawn_blocking(script).await.unwrap() }).await;
        browser.run(script).await;
    }
    let run = "const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ['violations'] }).then(found => done(found.violations), error => done(String(error)))";
    let found = browser.client.execute_async(run, Vec::new()).await.unwrap();
    let violations = found.as_array().unwrap_or_else(|| panic!("{what}: {found}"));
    let told: Vec<String> = violations.iter().map(describe).collect();
    assert!(told.is_empty(), "{what}: {told:#?}");
}

fn describe(violation: &Value) -> String {
    let nodes = violation["nodes"].as_array().into_iter().flatten();
    let nodes: Vec<String> =
        nodes.map(|node| format!("{} {}", node["html"], node["failureSummary"])).collect();
    format!("{}: {} {nodes:?}", violation["id"], violation["help"])
}

/// It comes from the npm registry the first time, and is kept in the cache.
fn script() -> String {
    let folder = cached_folder(&PACKAGE.replace('@', "-"), |folder: &Path| {
        let run = |command: &mut Command| -> anyhow::Result<()> {
            let output = command.current_dir(folder).output()?;
            ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            Ok(())
        };
        run(Command::new("npm").args(["pack", "--silent", PACKAGE]))?;
        run(Command::new("tar").args(["-xzf", &format!("{}.tgz", PACKAGE.replace('@', "-"))]))
    });
    std::fs::read_to_string(folder.expect("axe-core").join("package/axe.min.js")).expect("axe-core's script")
}
