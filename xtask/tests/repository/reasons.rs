//! Every reason that a Profile's status can give is explained.

use std::collections::BTreeSet;

use test_support::repository_file;

use crate::markdown::{Document, code_in};

/// Where conditions get their reasons.
const SOURCES: [&str; 4] = [
    "crates/profile-controller/src/problem.rs",
    "crates/profile-controller/src/status.rs",
    "crates/profile-controller/src/outside.rs",
    "crates/profile-plugin/src/error.rs",
];
/// Reasons of Events alone.
const EVENTS: [&str; 2] = ["Updated", "GrantAbandoned"];
/// What the metric of Profiles has where there is no condition yet.
const NO_CONDITION: &str = "Pending";

/// Words in the code that a condition, or the metric that counts them, has as a reason.
pub(crate) fn in_code() -> BTreeSet<String> {
    let mut reasons = BTreeSet::new();
    for source in SOURCES {
        let text = repository_file(source);
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let literals = line.split('"').skip(1).step_by(2);
            reasons.extend(literals.filter(|it| is_reason(it)).map(str::to_owned));
        }
    }
    reasons.insert(NO_CONDITION.to_owned());
    reasons.retain(|reason| !EVENTS.contains(&reason.as_str()));
    reasons
}

fn is_reason(literal: &str) -> bool {
    let letters = literal.len() > 3 && literal.chars().all(|c| c.is_ascii_alphabetic());
    // Not a sentence of one word, nor a word of HTTP.
    letters
        && literal.starts_with(|c: char| c.is_ascii_uppercase())
        && literal.contains(|c: char| c.is_ascii_lowercase())
}

#[test]
fn every_reason_of_a_condition_is_explained_and_no_other() {
    let document = Document::read("docs/operations.md");
    let rows = document.rows("## Status");
    let explained: BTreeSet<String> =
        rows.iter().flat_map(|row| code_in(&row[0])).filter(|it| is_reason(it)).collect();
    let in_code = in_code();
    assert!(in_code.len() > 25, "{in_code:?}");
    let unexplained: Vec<_> = in_code.difference(&explained).collect();
    assert!(unexplained.is_empty(), "docs/operations.md explains {unexplained:?} under \"## Status\"");
    let gone: Vec<_> = explained.difference(&in_code).collect();
    assert!(gone.is_empty(), "docs/operations.md explains {gone:?}, which no condition has");
}

#[test]
fn every_reason_says_what_to_do() {
    for row in Document::read("docs/operations.md").rows("## Status") {
        assert_eq!(row.len(), 3, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}
