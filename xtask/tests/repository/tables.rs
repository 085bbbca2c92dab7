//! The tables of flags in the documents and what the programs say of themselves.

use std::{collections::BTreeMap, process::Command};

use crate::{
    markdown::{Document, code_in},
    world::PROGRAMS,
};

/// Its flags, each with what its help says.
fn flags(program: &str) -> BTreeMap<String, String> {
    let output = Command::new(PROGRAMS.join(program)).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let mut flags = BTreeMap::new();
    let mut current = None;
    for line in help.lines() {
        let start = line.trim_start();
        let start =
            start.split_once(", ").map_or(start, |(short, long)| if short.len() == 2 { long } else { start });
        if let Some(flag) = start.strip_prefix("--").filter(|_| line.starts_with("  ")) {
            let end = flag.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(flag.len());
            current = flag.get(..end).map(str::to_owned);
        } else if let Some(flag) = &current {
            let text: &mut String = flags.entry(flag.clone()).or_default();
            text.push_str(line);
        }
    }
    flags.retain(|flag, _| !["help", "version"].contains(&flag.as_str()));
    flags
}

fn check(program: &str, document: &str) {
    let flags = flags(program);
    assert!(flags.len() > 5, "{flags:?}");
    let rows = Document::read(document).rows("## Flags");
    let mut explained = BTreeMap::new();
    for row in &rows {
        let defaults = code_in(&row[1]);
        for (number, flag) in code_in(&row[0]).into_iter().enumerate() {
            explained.insert(flag, defaults.get(number).cloned());
        }
    }
    for (flag, help) in &flags {
        let default = explained.get(flag).unwrap_or_else(|| panic!("{document} has a row for --{flag}"));
        if let Some(value) = help.split("[default: ").nth(1).and_then(|rest| rest.split(']').next()) {
            let is_value = !value.contains(' ') && !value.contains(",cluster.local");
            assert!(
                !is_value || default.as_deref() == Some(value),
                "{document}: --{flag} has the default {value}"
            );
        }
    }
    for flag in explained.keys() {
        assert!(flags.contains_key(flag), "{document}: {program} has no flag --{flag}");
    }
}

#[test]
fn every_flag_of_the_controller_is_in_its_table_with_its_default() {
    check("profile-controller", "docs/operations.md");
}

#[test]
fn every_flag_of_access_management_is_in_its_table_with_its_default() {
    check("kfam", "docs/kfam.md");
}
