//! Claims in the documents name the test that shows them, and there is such a test.

use test_support::{repository, repository_file};

use crate::markdown::{Document, code_in, documents};

/// What is wrong with a reference to a test: `path/to/file.rs::name_of_the_test`.
fn problem(reference: &str) -> Option<String> {
    let (path, name) = reference.split_once("::")?;
    if !path.ends_with(".rs") {
        return None;
    }
    if !repository(path).is_file() {
        return Some(format!("there is no file {path}"));
    }
    let text = repository_file(path);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    let Some(at) = lines.iter().position(|line| line.starts_with(&head)) else {
        return Some(format!("{path} has no {name}"));
    };
    // Attributes stand before it, in any order.
    let attributes =
        lines.iter().take(at).rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    let is_test = attributes.into_iter().any(|line| *line == "#[test]");
    (!is_test).then(|| format!("{name} of {path} is not a test"))
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let mut wrong = Vec::new();
    for document in documents() {
        for reference in document.inline_code() {
            wrong.extend(problem(&reference).map(|problem| format!("{}: {problem}", document.path)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_claim_about_security_names_a_test() {
    let document = Document::read("docs/security.md");
    let rows = document.rows("## What is claimed, and what shows it");
    assert!(rows.len() > 20, "{}", rows.len());
    for row in rows {
        let tests = code_in(&row[1]).into_iter().filter(|it| it.contains(".rs::")).count();
        assert!(row.len() == 2 && tests > 0, "a claim without a test: {row:?}");
    }
}

#[test]
fn a_reference_to_a_test_that_is_not_there_is_found() {
    let here = "xtask/tests/repository/security.rs";
    assert_eq!(problem(&format!("{here}::a_reference_to_a_test_that_is_not_there_is_found")), None);
    assert!(problem(&format!("{here}::nothing_of_the_kind")).unwrap().contains("has no"));
    assert!(problem(&format!("{here}::problem")).unwrap().contains("is not a test"));
    assert!(problem("nowhere.rs::test").unwrap().contains("no file"));
}
