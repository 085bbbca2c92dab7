//! Every command in the documents is run: as it is written, in the order in which somebody reads it, against a real control plane;
//! or `covered.rs` names what runs it.

use std::{
    path::Path,
    process::{Command, Output},
};

use dev_cluster::{Assets, Cluster};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use test_support::{repository, repository_file, run, until};

use crate::{
    covered::{COVERED, DOCUMENTS},
    markdown::{Document, documents},
    world::{CONTROLLER_PORTS, KFAM_PORTS, PROGRAMS, Running, installed},
};

/// The Profile of the README's first lines, which its commands and those of other documents are about.
const PROFILE: &str = "jane";

/// How a command of a document is run.
#[derive(Debug, PartialEq)]
enum Way {
    /// By what `covered.rs` names.
    Elsewhere,
    /// By the shell, with the programs on the path; it has to succeed.
    Here(String),
    /// In the background, until the last command is through: a program that stays.
    Beside(String),
}

#[test]
fn every_command_of_the_documents_is_run() {
    let documents = documents();
    let mut ways = Vec::new();
    let mut uncovered = Vec::new();
    for document in &documents {
        if DOCUMENTS.iter().any(|(covered, ..)| *covered == document.path) {
            continue;
        }
        for command in commands(document) {
            match way(&command) {
                Some(way) => ways.push((document.path.clone(), way)),
                None => uncovered.push(format!("{}: {command}", document.path)),
            }
        }
    }
    assert!(
        uncovered.is_empty(),
        "no test runs these commands: name the one that does in xtask/tests/repository/covered.rs\n{}",
        uncovered.join("\n")
    );
    assert!(ways.len() > 8, "{ways:?}");
    run(async {
        let cluster = installed().await;
        let readme = Document::read("README.md");
        let profile = readme.blocks().into_iter().find(|block| block.text.contains("kind: Profile")).unwrap();
        assert!(profile.text.contains(&format!("name: {PROFILE}")));
        cluster.apply(&profile.text).await.expect("the README's Profile");
        let mut running = Vec::new();
        for (document, way) in &ways {
            match way {
                Way::Elsewhere => {}
                Way::Here(command) => {
                    if command.contains("rollout status") {
                        deployment_becomes_available(&cluster).await;
                    }
                    here(&cluster, document, command);
                }
                Way::Beside(command) => running.push((command, beside(&cluster, command))),
            }
        }
        for (command, program) in &mut running {
            until(&format!("{command} serves"), async || program.printed().contains("serving").then_some(()))
                .await;
            assert!(program.process.ended().unwrap().is_none(), "{command} ended: {}", program.printed());
        }
    });
}

#[test]
fn what_is_said_to_run_a_command_does_and_the_command_is_in_a_document() {
    let commands: Vec<String> = documents().iter().flat_map(commands).collect();
    for (document, file, test) in DOCUMENTS {
        assert!(repository_file(file).contains(test), "{document}: {test} is in {file}");
    }
    for covered in COVERED {
        let text = repository_file(covered.file);
        assert!(
            text.contains(covered.text),
            "{}: {:?} is in {}",
            covered.command,
            covered.text,
            covered.file
        );
        let is_used = commands.iter().any(|command| command == covered.command);
        assert!(is_used, "covered.rs lists {:?}, which is in no document any more", covered.command);
    }
}

#[test]
fn every_task_that_the_prose_names_is_there() {
    let mut seen = 0;
    for document in documents() {
        for code in document.inline_code() {
            let Some((_, task)) = code.split_once("cargo xtask ") else { continue };
            let words =
                task.split_whitespace().take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
            // The first word is the task; what follows may be the name of a test.
            let Some(task) = words.into_iter().next() else { continue };
            let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args([task, "--help"]).output().unwrap();
            assert!(output.status.success(), "{}: {code}: {}", document.path, text(&output));
            seen += 1;
        }
    }
    assert!(seen > 5);
}

#[test]
fn shell_commands_are_marked_as_such() {
    for document in documents() {
        for block in document.blocks() {
            let is_other_shell = ["bash", "shell", "console", "zsh", ""].contains(&block.language.as_str());
            assert!(
                !is_other_shell,
                "{}: mark commands with ```sh and other text with ```text: {}",
                document.path, block.text
            );
        }
    }
}

/// The commands in a document's blocks of shell: a line each, unless it goes on.
fn commands(document: &Document) -> Vec<String> {
    let mut commands = Vec::new();
    for block in document.blocks().iter().filter(|block| block.language == "sh") {
        let mut current = String::new();
        let mut end_of_input: Option<String> = None;
        for line in block.text.lines() {
            let is_comment = end_of_input.is_none() && line.trim_start().starts_with('#');
            if is_comment || (current.is_empty() && line.trim().is_empty()) {
                continue;
            }
            current.push_str(if current.is_empty() { line.trim_start() } else { line });
            match &end_of_input {
                Some(end) if line.trim() != end => current.push('\n'),
                None if line.ends_with('\\') => current.push('\n'),
                None if line.contains("<<") => {
                    end_of_input = line.split("<<").nth(1).map(|rest| {
                        let word = rest.trim_start_matches('-').trim();
                        word.split_whitespace()
                            .next()
                            .unwrap_or_default()
                            .trim_matches(['\'', '"'])
                            .to_owned()
                    });
                    current.push('\n');
                }
                _ => {
                    commands.push(std::mem::take(&mut current));
                    end_of_input = None;
                }
            }
        }
        assert!(
            current.is_empty(),
            "{}: a command goes on after the end of its block: {current}",
            document.path
        );
    }
    commands
}

fn way(command: &str) -> Option<Way> {
    if COVERED.iter().any(|covered| covered.command == command) {
        return Some(Way::Elsewhere);
    }
    let built =
        command.strip_prefix("cargo run ").map(|rest| rest.trim_start_matches("-q ")).and_then(|rest| {
            let (package, arguments) = rest.strip_prefix("-p ")?.split_once(" -- ")?;
            Some(format!("{package} {arguments}"))
        });
    let command = built.unwrap_or_else(|| command.to_owned());
    let mut words = command.split_whitespace();
    match (words.next()?, words.next()) {
        ("kubectl", _) => Some(Way::Here(command)),
        ("profile-controller", Some(first)) if !first.starts_with('-') => Some(Way::Here(command)),
        ("profile-controller" | "kfam", Some("--help" | "--version")) => Some(Way::Here(command)),
        ("profile-controller" | "kfam", _) => Some(Way::Beside(command)),
        _ => None,
    }
}

/// In the place of what makes pods run: there are no nodes here, and nothing that makes pods of Deployments.
async fn deployment_becomes_available(cluster: &Cluster) {
    let deployments: Api<Deployment> = Api::namespaced(cluster.admin(), "profiles-system");
    let deployment = deployments.get("profiles-deployment").await.expect("the Deployment");
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let status = json!({ "status": {
        "observedGeneration": deployment.metadata.generation,
        "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": wanted, "availableReplicas": wanted,
    } });
    let params = PatchParams::default();
    let patched = deployments.patch_status("profiles-deployment", &params, &Patch::Merge(&status)).await;
    patched.expect("the Deployment's status");
}

fn here(cluster: &Cluster, document: &str, command: &str) {
    let output = shell(cluster, command).output().expect("a shell");
    assert!(output.status.success(), "{document}: {command}: {}", text(&output));
}

fn beside(cluster: &Cluster, command: &str) -> Running {
    let ports = if command.starts_with("kfam") { &KFAM_PORTS[..] } else { &CONTROLLER_PORTS[..] };
    Running::start(cluster, &shell(cluster, &format!("exec {command} {}", ports.join(" "))))
}

/// A shell as a reader has it: in the root of the repository, with the cluster as the current one.
fn shell(cluster: &Cluster, command: &str) -> Command {
    let kubectl = Assets::find().expect("the control plane").program("kubectl");
    let folders = [kubectl.parent().unwrap_or(Path::new("")).to_owned(), PROGRAMS.clone()];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path))).expect("a path");
    let mut shell = Command::new("bash");
    let root = repository(".");
    shell.args(["-euo", "pipefail", "-c", &format!("cd {:?}; {command}", root.to_str().expect("a path"))]);
    shell.env("PATH", path).env("KUBECONFIG", cluster.kubeconfig());
    shell.env("KUBECACHEDIR", cluster.folder().join("kubectl-cache"));
    shell
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_command_is_read_as_the_shell_reads_it_and_one_that_nothing_runs_is_found() {
    let text =
        "```sh\n# why\nkubectl get \\\n  pods\n\nmake deploy\nkubectl apply -f - <<EOF\na: b\n\nEOF\n```\n";
    let document = Document { path: "x.md".to_owned(), text: text.to_owned() };
    let commands = commands(&document);
    assert_eq!(commands, ["kubectl get \\\n  pods", "make deploy", "kubectl apply -f - <<EOF\na: b\n\nEOF"]);
    assert_eq!(way(&commands[1]), None);
    assert_eq!(
        way("cargo run -q -p profile-controller -- render -f x"),
        Some(Way::Here("profile-controller render -f x".to_owned()))
    );
    assert_eq!(way("cargo run -p kfam -- --x"), Some(Way::Beside("kfam --x".to_owned())));
}
