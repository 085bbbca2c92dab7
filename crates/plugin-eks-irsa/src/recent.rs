//! What was written to a role's trust policy just now. IAM may go on showing the policy of before for some seconds; what is
//! written on top of that must not undo our own latest changes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{Grant, Json, RoleArn, trust::Change};

/// Longer than IAM takes to show a change.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What was written just now, by role.
#[derive(Default)]
pub(crate) struct Recent {
    roles: Mutex<HashMap<RoleArn, Role>>,
}

/// What was written to one role just now.
#[derive(Clone, Default)]
pub(crate) struct Role {
    changes: Vec<(Grant, Change, Instant)>,
    written: Option<(Json, Instant)>,
}

impl Role {
    /// The changes, the oldest first.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&Grant, Change)> {
        self.changes.iter().map(|(grant, change, _)| (grant, *change))
    }

    /// The latest policy that was written.
    pub(crate) fn written(&self) -> Option<&Json> {
        self.written.as_ref().map(|(policy, _)| policy)
    }
}

impl Recent {
    /// What was written to a role just now.
    pub(crate) fn of(&self, role: &RoleArn) -> Role {
        let mut roles = self.roles.lock();
        let now = Instant::now();
        roles.retain(|_, role| {
            role.changes.retain(|(.., at)| now.duration_since(*at) < REMEMBERED);
            role.written.take_if(|(_, at)| now.duration_since(*at) >= REMEMBERED);
            !role.changes.is_empty() || role.written.is_some()
        });
        roles.get(role).cloned().unwrap_or_default()
    }

    /// Remembers a change that is about to be written: from then on it may have happened.
    pub(crate) fn remember(&self, grant: &Grant, change: Change) {
        let mut roles = self.roles.lock();
        let role = roles.entry(grant.role.clone()).or_default();
        role.changes.retain(|(other, ..)| other != grant);
        role.changes.push((grant.clone(), change, Instant::now()));
    }

    /// Forgets a change that IAM has refused.
    pub(crate) fn forget(&self, grant: &Grant) {
        if let Some(role) = self.roles.lock().get_mut(&grant.role) {
            role.changes.retain(|(other, ..)| other != grant);
        }
    }

    /// Remembers a policy that was written.
    pub(crate) fn remember_policy(&self, role: &RoleArn, policy: Json) {
        self.roles.lock().entry(role.clone()).or_default().written = Some((policy, Instant::now()));
    }
}
