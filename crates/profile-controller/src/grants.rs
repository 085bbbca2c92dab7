//! Decides over the grants of a Profile: from what it asks for, what is recorded and how far each operation is, to what has to
//! be recorded, what has to be done and what there is to say. Pure.
//!
//! A grant is recorded before it is made, and its record goes after it has been revoked. So, wherever the process ends, every
//! grant that may exist has a record that says how to undo it.

use profile_api::{GrantRecord, GrantState};
use profile_plugin::{Plan, PluginError, Request};
use serde_json::{Map, Value};

use crate::operations::{Operation, Progress, Verb};

/// What follows.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decision {
    /// The records as they should be.
    pub(crate) records: Vec<GrantRecord>,
    /// What to start once they are.
    pub(crate) start: Vec<Operation>,
    /// The operations whose progress still matters.
    pub(crate) relevant: Vec<Operation>,
    /// What went wrong.
    pub(crate) failures: Vec<Failure>,
    /// What is under way for the first time.
    pub(crate) pending: Vec<Operation>,
    /// Grants that are given up, because an admin says so.
    pub(crate) abandoned: Vec<GrantRecord>,
}

/// An operation that failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) operation: Operation,
    pub(crate) error: PluginError,
}

/// What is known when deciding.
pub(crate) struct Facts<'a> {
    /// What the Profile asks for; nothing if it is being deleted.
    pub(crate) plan: &'a Plan,
    /// What is recorded.
    pub(crate) records: &'a [GrantRecord],
    /// Whether an admin gives up on what cannot be revoked.
    pub(crate) abandon: bool,
    /// How far an operation is.
    pub(crate) progress: &'a dyn Fn(&Operation) -> Progress,
}

/// Decides over the grants of a Profile that lives, or with an empty plan over those of one that is being deleted.
pub(crate) fn decide(facts: &Facts<'_>) -> Decision {
    let mut decision = Decision::default();
    let mut wanted = Vec::new();
    for request in &facts.plan.requests {
        match grant_of(request, facts, &mut decision) {
            Some(grant) => wanted.push((request, grant)),
            // It has to be known what replaces a grant before that one goes: it may be the same.
            None => decision.keep_kind(request.kind, facts.records),
        }
    }
    for record in facts.records {
        let is_kept = decision.records.contains(record);
        if is_kept {
            continue;
        }
        match wanted.iter().find(|(request, grant)| record.kind == request.kind && record.grant == *grant) {
            Some((request, _)) => decision.want(record, request, facts),
            None if is_invalid(&record.kind, facts.plan) && record.state != GrantState::Revoking => {
                decision.records.push(record.clone());
            }
            None => decision.revoke(record, facts),
        }
    }
    for (request, grant) in wanted {
        let recorded = |record: &GrantRecord| record.kind == request.kind && record.grant == grant;
        if !facts.records.iter().any(recorded) {
            let record = GrantRecord {
                kind: request.kind.to_owned(),
                state: GrantState::Granting,
                request: request.request.clone(),
                grant,
            };
            decision.want(&record, request, facts);
        }
    }
    decision
}

/// The grant that a request comes to: from the record of an equal request, else it has to be resolved.
fn grant_of(request: &Request, facts: &Facts<'_>, decision: &mut Decision) -> Option<Map<String, Value>> {
    let recorded = facts
        .records
        .iter()
        .find(|record| record.kind == request.kind && record.request == request.request);
    if let Some(record) = recorded {
        return Some(record.grant.clone());
    }
    decision.resolve(request, facts)
}

fn is_invalid(kind: &str, plan: &Plan) -> bool {
    plan.invalid.iter().any(|invalid| invalid.kind == kind)
}

impl Decision {
    /// What a request comes to, if that is known by now.
    pub(crate) fn resolve(&mut self, request: &Request, facts: &Facts<'_>) -> Option<Map<String, Value>> {
        self.follow(Operation::new(Verb::Resolve, request.kind, &request.request), facts)
    }

    /// Leaves the records of a kind as they are.
    fn keep_kind(&mut self, kind: &str, records: &[GrantRecord]) {
        self.records.extend(records.iter().filter(|record| record.kind == kind).cloned());
    }

    fn want(&mut self, record: &GrantRecord, request: &Request, facts: &Facts<'_>) {
        let revoke = Operation::new(Verb::Revoke, &record.kind, &record.grant);
        let mut record = GrantRecord { request: request.request.clone(), ..record.clone() };
        match record.state {
            GrantState::Granted => {}
            // Never two operations on one grant at a time.
            GrantState::Revoking if is_running(&revoke, facts) => {
                self.relevant.push(revoke.clone());
                self.pending.push(revoke);
            }
            GrantState::Revoking | GrantState::Granting => {
                record.state = GrantState::Granting;
                let apply = Operation::new(Verb::Apply, &record.kind, &record.grant);
                if self.follow(apply, facts).is_some() {
                    record.state = GrantState::Granted;
                }
            }
        }
        self.records.push(record);
    }

    fn revoke(&mut self, record: &GrantRecord, facts: &Facts<'_>) {
        let apply = Operation::new(Verb::Apply, &record.kind, &record.grant);
        if is_running(&apply, facts) {
            self.relevant.push(apply.clone());
            self.pending.push(apply);
            self.records.push(record.clone());
            return;
        }
        let failures = self.failures.len();
        let operation = Operation::new(Verb::Revoke, &record.kind, &record.grant);
        if self.follow(operation, facts).is_some() {
            return;
        }
        if facts.abandon && self.failures.len() > failures {
            self.failures.truncate(failures);
            self.start.retain(|operation| operation.subject != record.grant);
            self.abandoned.push(record.clone());
            return;
        }
        self.records.push(GrantRecord { state: GrantState::Revoking, ..record.clone() });
    }

    /// Sees to it that an operation is carried out; its result once it has been.
    fn follow(&mut self, operation: Operation, facts: &Facts<'_>) -> Option<Map<String, Value>> {
        match (facts.progress)(&operation) {
            Progress::Done(result) => return Some(result),
            Progress::New => {
                self.pending.push(operation.clone());
                self.start.push(operation.clone());
            }
            Progress::Running(None) => self.pending.push(operation.clone()),
            Progress::Running(Some(error)) => {
                self.failures.push(Failure { operation: operation.clone(), error });
            }
            Progress::Failed { error, due } => {
                self.failures.push(Failure { operation: operation.clone(), error });
                if due {
                    self.start.push(operation.clone());
                }
            }
        }
        self.relevant.push(operation);
        None
    }
}

fn is_running(operation: &Operation, facts: &Facts<'_>) -> bool {
    matches!((facts.progress)(operation), Progress::Running(_))
}
