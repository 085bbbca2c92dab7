//! What preflight has to say, in the shape in which scripts get it.

use profile_render::foresight::FieldChange;
use serde::Serialize;
use serde_json::Value;

/// Version of this shape. Fields may be added to it; one that changes its meaning or goes makes a new version.
const VERSION: u32 = 1;

/// Everything that preflight has to say.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    pub(super) summary: Summary,
    pub(super) checks: Vec<Check>,
    /// Every Profile, in the order of their names.
    pub(super) profiles: Vec<ProfileReport>,
}

/// How many Profiles there are of each verdict, and how many checks failed.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) profiles: usize,
    pub(super) attention: usize,
    pub(super) changed: usize,
    pub(super) marked: usize,
    pub(super) unchanged: usize,
    pub(super) checks_failed: usize,
}

/// What a Profile comes to. The later ones count for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Verdict {
    /// Nothing is written.
    Unchanged,
    /// Only the controller's own marks and reports are written; nobody's access, limits or labels change.
    Marked,
    /// Something that somebody may notice.
    Changed,
    /// Somebody has to look at it.
    Attention,
}

/// Something that holds for the cluster as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) result: CheckResult,
    pub(super) message: String,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum CheckResult {
    /// As it has to be.
    Ok,
    /// Worth knowing.
    Note,
    /// Somebody has to mend it.
    Failed,
}

/// What would happen to one Profile.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct ProfileReport {
    pub(super) name: String,
    pub(super) verdict: Verdict,
    pub(super) findings: Vec<Finding>,
    pub(super) changes: Vec<ObjectChange>,
    pub(super) grants: Vec<GrantChange>,
}

/// Something to know about a Profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// One word. Where the Profile will not be ready, it is the reason that its status will give.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Whether somebody has to look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Level {
    Attention,
    Note,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Action {
    Create,
    Patch,
    /// Deleted and created again.
    Replace,
    Delete,
}

/// An object that is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectChange {
    pub(super) action: Action,
    pub(super) kind: &'static str,
    pub(super) group: String,
    pub(super) resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subresource: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// Whether only the controller's own marks and reports are written.
    pub(super) marks_only: bool,
    /// What changes of an object that is there before and after.
    pub(super) fields: Vec<Field>,
}

/// A field that changes; what is not there is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Field {
    pub(super) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<Value>,
    /// Whether it is the controller's own mark, or says what holds already.
    pub(super) mark: bool,
}

/// Something that a plugin does outside the cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct GrantChange {
    pub(super) action: GrantAction,
    pub(super) plugin: String,
    pub(super) about: String,
}

/// What a plugin does outside the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum GrantAction {
    Grant,
    Revoke,
}

impl Report {
    pub(super) fn new(checks: Vec<Check>, mut profiles: Vec<ProfileReport>) -> Self {
        profiles.sort_by(|a, b| a.name.cmp(&b.name));
        let count = |verdict| profiles.iter().filter(|profile| profile.verdict == verdict).count();
        let summary = Summary {
            profiles: profiles.len(),
            attention: count(Verdict::Attention),
            changed: count(Verdict::Changed),
            marked: count(Verdict::Marked),
            unchanged: count(Verdict::Unchanged),
            checks_failed: checks.iter().filter(|check| check.result == CheckResult::Failed).count(),
        };
        Self { version: VERSION, summary, checks, profiles }
    }

    /// Whether somebody has to look at something.
    pub(super) fn needs_attention(&self) -> bool {
        self.summary.attention + self.summary.checks_failed > 0
    }
}

impl ProfileReport {
    pub(super) fn new(
        name: String,
        findings: Vec<Finding>,
        changes: Vec<ObjectChange>,
        grants: Vec<GrantChange>,
    ) -> Self {
        let verdict = if findings.iter().any(|finding| finding.level == Level::Attention) {
            Verdict::Attention
        } else if !grants.is_empty() || changes.iter().any(|change| !change.marks_only) {
            Verdict::Changed
        } else if changes.is_empty() {
            Verdict::Unchanged
        } else {
            Verdict::Marked
        };
        Self { name, verdict, findings, changes, grants }
    }
}

impl Check {
    pub(super) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, result: CheckResult::Ok, message: message.into() }
    }

    pub(super) fn note(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, result: CheckResult::Note, message: message.into() }
    }

    pub(super) fn failed(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, result: CheckResult::Failed, message: message.into() }
    }
}

impl Finding {
    pub(super) fn attention(reason: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Attention, reason, message: message.into() }
    }

    pub(super) fn note(reason: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Note, reason, message: message.into() }
    }
}

impl Field {
    pub(super) fn new(change: FieldChange, mark: bool) -> Self {
        Self { path: change.path, from: change.from, to: change.to, mark }
    }
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Replace => "replace",
            Self::Delete => "delete",
        }
    }
}
