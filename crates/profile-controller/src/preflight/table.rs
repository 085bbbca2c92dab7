//! The report for people: a sentence that sums it up, the checks, and a row for each Profile and change. What needs nobody is only
//! counted.

use std::{collections::HashMap, fmt::Write};

use serde_json::Value;

use crate::preflight::report::{
    Check, CheckResult, Field, GrantAction, Level, ObjectChange, ProfileReport, Report, Summary,
};

/// From so many Profiles on, in which the same happens, it is one row.
const MANY: usize = 10;
/// The longest value of a field that is shown whole, in characters.
const LONGEST_VALUE: usize = 80;

/// A row: which Profile, what, and details.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    profile: String,
    what: String,
    detail: String,
}

/// The report as text. With `all`, every write is a row, the controller's own marks included.
pub(super) fn table(report: &Report, all: bool) -> String {
    let mut text = format!("{}\n\n", summary(&report.summary));
    let checks = report.checks.iter().map(check_row);
    text += &columns(["CHECK", "RESULT", ""], &checks.collect::<Vec<_>>());
    let mut rows: Vec<Row> = report.profiles.iter().flat_map(findings).collect();
    let changes = report.profiles.iter().flat_map(|profile| changes(profile, all));
    rows.extend(if all { changes.collect() } else { collapsed(changes.collect()) });
    if !rows.is_empty() {
        let rows: Vec<_> = rows.into_iter().map(|row| [row.profile, row.what, row.detail]).collect();
        text.push('\n');
        text += &columns(["PROFILE", "WHAT", ""], &rows);
    }
    text
}

fn summary(summary: &Summary) -> String {
    let Summary { profiles, attention, changed, marked, unchanged, checks_failed } = summary;
    let checks = match checks_failed {
        0 => "no check failed".to_owned(),
        1 => "1 check failed".to_owned(),
        failed => format!("{failed} checks failed"),
    };
    format!(
        "Profiles: {profiles}. Need attention: {attention}; change: {changed}; only get the controller's marks: {marked}; \
         stay as they are: {unchanged}. Of the cluster, {checks}."
    )
}

fn check_row(check: &Check) -> [String; 3] {
    let result = match check.result {
        CheckResult::Ok => "ok",
        CheckResult::Note => "note",
        CheckResult::Failed => "FAILED",
    };
    [check.name.to_owned(), result.to_owned(), check.message.clone()]
}

/// First what somebody has to look at.
fn findings(profile: &ProfileReport) -> Vec<Row> {
    let told = |level, mark: &'static str| {
        let findings = profile.findings.iter().filter(move |finding| finding.level == level);
        findings.map(move |finding| Row {
            profile: profile.name.clone(),
            what: format!("{mark}{}", finding.reason),
            detail: finding.message.clone(),
        })
    };
    told(Level::Attention, "ATTENTION ").chain(told(Level::Note, "note ")).collect()
}

fn changes(profile: &ProfileReport, all: bool) -> Vec<Row> {
    let row = |what: String, detail: String| Row { profile: profile.name.clone(), what, detail };
    let mut rows = Vec::new();
    for change in profile.changes.iter().filter(|change| all || !change.marks_only) {
        if change.fields.is_empty() {
            rows.push(row(what(change), String::new()));
        }
        let fields = change.fields.iter().filter(|field| all || !field.mark);
        rows.extend(fields.map(|field| row(what(change), describe(field))));
    }
    for grant in &profile.grants {
        let action = match grant.action {
            GrantAction::Grant => "grant",
            GrantAction::Revoke => "revoke",
        };
        rows.push(row(format!("{action} {}", grant.plugin), grant.about.clone()));
    }
    rows
}

fn what(change: &ObjectChange) -> String {
    let subresource = change.subresource.map(|name| format!(" {name}")).unwrap_or_default();
    // Its name is that of the Profile.
    let name = change.namespace.as_ref().map(|_| format!(" {}", change.name)).unwrap_or_default();
    format!("{} {}{name}{subresource}", change.action.as_str(), change.kind)
}

fn describe(field: &Field) -> String {
    format!("{}: {} → {}", field.path, value(field.from.as_ref()), value(field.to.as_ref()))
}

fn value(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "(none)".to_owned();
    };
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What happens in many Profiles alike becomes one row, where it happens first.
fn collapsed(rows: Vec<Row>) -> Vec<Row> {
    let mut counts: HashMap<(String, String), usize> = HashMap::new();
    for row in &rows {
        *counts.entry((row.what.clone(), row.detail.clone())).or_default() += 1;
    }
    let mut collapsed = Vec::new();
    for row in rows {
        let key = (row.what.clone(), row.detail.clone());
        match counts.get(&key).copied() {
            Some(count) if count >= MANY => {
                collapsed.push(Row { profile: format!("({count} Profiles)"), ..row });
                counts.insert(key, 0);
            }
            Some(0) => {}
            _ => collapsed.push(row),
        }
    }
    collapsed
}

/// Columns under their heads, the last one as wide as it is.
fn columns(heads: [&str; 3], rows: &[[String; 3]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or_default()
    };
    let (first, second) = (width(0), width(1));
    let mut text = String::new();
    for [a, b, c] in std::iter::once(heads).chain(rows.iter().map(|row| row.each_ref().map(String::as_str))) {
        let line = format!("{a:first$}  {b:second$}  {c}");
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(profile: usize, detail: &str) -> Row {
        Row { profile: format!("p{profile}"), what: "patch Namespace".to_owned(), detail: detail.to_owned() }
    }

    #[test]
    fn what_happens_in_many_profiles_alike_is_one_row_and_what_happens_in_few_is_not() {
        let same = (0..MANY).map(|number| row(number, "same"));
        let few = (0..MANY - 1).map(|number| row(number, "few"));
        let rows = collapsed(same.chain(few).collect());
        assert_eq!(rows.len(), MANY);
        assert_eq!((rows[0].profile.as_str(), rows[0].detail.as_str()), ("(10 Profiles)", "same"));
        assert_eq!(rows[1], row(0, "few"));
    }

    #[test]
    fn a_long_value_is_cut_where_a_character_ends() {
        let long = Value::from("ä".repeat(200));
        let shown = value(Some(&long));
        assert!(shown.ends_with('…') && shown.chars().count() == LONGEST_VALUE + 1, "{shown}");
        assert_eq!(value(None), "(none)");
        assert_eq!(value(Some(&Value::from("a"))), "\"a\"");
    }

    #[test]
    fn columns_stand_under_their_heads() {
        let rows = [["a".to_owned(), "created".to_owned(), "x".to_owned()]];
        assert_eq!(columns(["PROFILE", "WHAT", ""], &rows), "PROFILE  WHAT\na        created  x\n");
    }
}
