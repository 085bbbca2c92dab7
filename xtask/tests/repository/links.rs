//! Links between documents lead somewhere.

use std::collections::BTreeSet;

use test_support::{repository, repository_file};

use crate::markdown::{Document, beside, documents};

/// How files of this repository are named from elsewhere.
const HERE: [&str; 2] = [
    "https://github.com/kubeflow/profile-controller/blob/main/",
    "https://github.com/kubeflow/profile-controller/tree/main/",
];

#[test]
fn every_link_between_documents_leads_to_a_file_and_a_heading_that_are_there() {
    let mut wrong = Vec::new();
    for document in documents() {
        for link in document.links() {
            let inside = HERE.iter().find_map(|here| link.strip_prefix(here)).map(str::to_owned);
            let is_outside = link.contains("://") || link.starts_with("mailto:");
            let target = match inside {
                Some(path) => path,
                None if is_outside => continue,
                None if link.starts_with('#') => format!("{}{link}", document.path),
                None => beside(&document.path, &link),
            };
            wrong.extend(problem(&target).map(|problem| format!("{}: {link}: {problem}", document.path)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_manifests_and_workflows_say_of_documents_leads_there_too() {
    let mut found = 0;
    for file in [
        "manifests/components/prometheus/alerts.yaml",
        "manifests/components/prometheus/dashboard.json",
        "Dockerfile",
    ] {
        let text = repository_file(file);
        for here in HERE {
            for rest in text.split(here).skip(1) {
                let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
                let target = rest.get(..end).unwrap();
                assert_eq!(problem(target), None, "{file}: {here}{target}");
                found += 1;
            }
        }
    }
    assert!(found > 10, "{found} links were looked at");
}

#[test]
fn the_index_lists_every_document() {
    let index = Document::read("docs/README.md");
    let listed: BTreeSet<String> = index.links().iter().map(|link| beside(&index.path, link)).collect();
    for document in documents().iter().filter(|document| document.path != index.path) {
        assert!(listed.contains(&document.path), "docs/README.md lists {}", document.path);
    }
}

/// What is wrong with a path from the root, with an anchor or without.
fn problem(target: &str) -> Option<String> {
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    if !repository(path).exists() {
        return Some(format!("there is no {path}"));
    }
    let anchor = anchor?;
    let anchors = Document::read(path).anchors();
    (!anchors.contains(anchor)).then(|| format!("{path} has no heading #{anchor}; it has {anchors:?}"))
}
