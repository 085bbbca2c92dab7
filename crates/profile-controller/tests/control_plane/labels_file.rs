//! The namespace labels file: added and removed, never overwritten, read again while running.

use std::{fs, os::unix::fs::symlink, path::Path};

use kube::{ResourceExt, api::PostParams};
use serde_json::json;

use crate::harness::{Controller, World, patch, run, unique, until};

/// Waits until the label of a namespace has a value, or is not there.
async fn label(world: &World, namespace: &str, key: &str, value: Option<&str>) {
    until(&format!("label {key} of {namespace} is {value:?}"), async || {
        let namespace = world.namespaces().get(namespace).await.ok()?;
        (namespace.labels().get(key).map(String::as_str) == value).then_some(())
    })
    .await;
}

/// Waits until the controller has read a file with so many labels.
async fn read(controller: &Controller, labels: usize) {
    until(&format!("a file with {labels} labels is read"), async || {
        let read = |line: &serde_json::Value| {
            line["message"] == "read the namespace labels file" && line["labels"] == labels
        };
        controller.log().iter().any(read).then_some(())
    })
    .await;
}

fn flag(file: &Path) -> String {
    format!("--namespace-labels-path={}", file.display())
}

#[test]
fn labels_follow_the_file_and_those_of_others_stay() {
    run(async {
        let world = World::start().await;
        let file = world.cluster.folder().join("labels.yaml");
        fs::write(&file, "ours: \"1\"\nshared: \"1\"\nremoved: \"\"\n").unwrap();
        let controller = world.controller(&[&flag(&file)]);

        // A namespace that has labels of its own before it is handed over.
        let name = unique("labels");
        let namespace = json!({ "metadata": {
            "name": name,
            "labels": { "shared": "theirs", "removed": "theirs", "other": "x" },
            "annotations": { "owner": "a@example.com" },
        } });
        let namespace = serde_json::from_value(namespace).unwrap();
        world.namespaces().create(&PostParams::default(), &namespace).await.unwrap();
        world.ready_profile(&name, "a@example.com").await;
        label(&world, &name, "ours", Some("1")).await;
        label(&world, &name, "shared", Some("theirs")).await;
        label(&world, &name, "removed", None).await;
        label(&world, &name, "other", Some("x")).await;

        // A value that was set from the file follows it; somebody else's stays.
        fs::write(&file, "ours: \"2\"\nshared: \"2\"\nadded: \"2\"\nfourth: \"\"\n").unwrap();
        label(&world, &name, "added", Some("2")).await;
        label(&world, &name, "ours", Some("2")).await;
        label(&world, &name, "shared", Some("theirs")).await;

        // Once somebody changes it, it is theirs.
        patch(&world.namespaces(), &name, json!({ "metadata": { "labels": { "ours": "changed" } } })).await;
        world.caught_up().await;
        fs::write(&file, "ours: \"3\"\nadded: \"3\"\n").unwrap();
        label(&world, &name, "added", Some("3")).await;
        label(&world, &name, "ours", Some("changed")).await;

        // A label that somebody removes is set again: the file adds it where there is none.
        patch(&world.namespaces(), &name, json!({ "metadata": { "labels": { "added": null } } })).await;
        label(&world, &name, "added", Some("3")).await;

        // Leaving out a line leaves the label; an empty value removes it, whoever set it.
        fs::write(&file, "ours: \"\"\n").unwrap();
        read(&controller, 1).await;
        label(&world, &name, "ours", None).await;
        label(&world, &name, "added", Some("3")).await;
    });
}

#[test]
fn a_malformed_or_missing_file_changes_nothing_and_stops_nothing() {
    run(async {
        let world = World::start().await;
        let file = world.cluster.folder().join("labels.yaml");
        let controller = world.controller(&[&flag(&file)]);
        controller.logged("there is no namespace labels file").await;
        let name = unique("kept");
        world.ready_profile(&name, "a@example.com").await;

        fs::write(&file, "good: \"1\"\n").unwrap();
        label(&world, &name, "good", Some("1")).await;
        fs::write(&file, "good: \"2\"\nbad key: x\n").unwrap();
        let line = controller.logged("the labels that were in force stay in force").await;
        assert_eq!(line["level"], "WARN");
        controller.logged("label \"bad key\"").await;
        let second = unique("kept");
        world.ready_profile(&second, "a@example.com").await;
        label(&world, &second, "good", Some("1")).await;
        label(&world, &name, "good", Some("1")).await;

        fs::remove_file(&file).unwrap();
        until("the missing file is noticed again", async || {
            let missing = |line: &serde_json::Value| {
                line["message"]
                    .as_str()
                    .is_some_and(|message| message.contains("there is no namespace labels file"))
            };
            (controller.log().into_iter().filter(missing).count() == 2).then_some(())
        })
        .await;
        let third = unique("kept");
        world.ready_profile(&third, "a@example.com").await;
        label(&world, &third, "good", Some("1")).await;
    });
}

#[test]
fn a_config_map_volume_is_followed_through_its_symlink_swap() {
    run(async {
        let world = World::start().await;
        let volume = world.cluster.folder().join("volume");
        let write = |generation: &str, text: &str| {
            let folder = volume.join(generation);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("labels.yaml"), text).unwrap();
            let data = volume.join("..data");
            symlink(generation, volume.join("..data_tmp")).unwrap();
            fs::rename(volume.join("..data_tmp"), data).unwrap();
        };
        write("..1", "team: vision\n");
        symlink("..data/labels.yaml", volume.join("labels.yaml")).unwrap();
        let _controller = world.controller(&[&flag(&volume.join("labels.yaml"))]);
        let name = unique("volume");
        world.ready_profile(&name, "a@example.com").await;
        label(&world, &name, "team", Some("vision")).await;
        write("..2", "team: speech\n");
        label(&world, &name, "team", Some("speech")).await;
    });
}

#[test]
fn the_file_decides_over_sidecar_injection() {
    run(async {
        let world = World::start().await;
        let file = world.cluster.folder().join("labels.yaml");
        fs::write(&file, "").unwrap();
        let _controller = world.controller(&[&flag(&file)]);
        let name = unique("injection");
        world.ready_profile(&name, "a@example.com").await;
        label(&world, &name, "istio-injection", Some("enabled")).await;
        patch(
            &world.namespaces(),
            &name,
            json!({ "metadata": { "labels": { "istio-injection": "disabled" } } }),
        )
        .await;
        label(&world, &name, "istio-injection", Some("enabled")).await;
        fs::write(&file, "istio-injection: \"\"\nistio.io/rev: canary\n").unwrap();
        label(&world, &name, "istio.io/rev", Some("canary")).await;
        label(&world, &name, "istio-injection", None).await;
    });
}
