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
    let recorded =
        facts.records.iter().find(|record| record.kind == request.kind && record.request == request.request);
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

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::HashMap};

    use profile_plugin::Cause;
    use serde_json::json;

    use super::*;

    const KIND: &str = "Key";

    /// A Profile, a cloud, and a controller that may be killed at any step.
    #[derive(Default)]
    struct World {
        wanted: Option<u8>,
        records: Vec<GrantRecord>,
        /// What is granted in the cloud.
        granted: Vec<Map<String, Value>>,
        /// What the process remembers, by what the operation says of itself.
        operations: RefCell<HashMap<String, (Operation, Progress)>>,
        abandon: bool,
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    /// Some requests come to the same grant.
    fn grant(request: &Map<String, Value>) -> Map<String, Value> {
        object(json!({ "door": request["door"].as_u64().unwrap() / 2 }))
    }

    impl World {
        fn plan(&self) -> Plan {
            let requests = self
                .wanted
                .iter()
                .map(|door| Request { kind: KIND, request: object(json!({ "door": door })) });
            Plan { requests: requests.collect(), ..Plan::default() }
        }

        fn decide(&self) -> Decision {
            let progress = |operation: &Operation| {
                let known = self.operations.borrow().get(&format!("{operation:?}")).cloned();
                known.map_or(Progress::New, |(_, progress)| progress)
            };
            decide(&Facts {
                plan: &self.plan(),
                records: &self.records,
                abandon: self.abandon,
                progress: &progress,
            })
        }

        /// One look at the Profile; `reported` says whether the status could be written.
        fn reconcile(&mut self, reported: bool) -> Decision {
            let decision = self.decide();
            if reported {
                self.records.clone_from(&decision.records);
                let mut operations = self.operations.borrow_mut();
                operations.retain(|_, (operation, progress)| {
                    decision.relevant.contains(operation) || matches!(progress, Progress::Running(_))
                });
                for operation in &decision.start {
                    operations.insert(format!("{operation:?}"), (operation.clone(), Progress::Running(None)));
                }
            }
            decision
        }

        /// One operation that runs ends; in which way is up to `luck`.
        fn operate(&mut self, luck: u8) {
            let running = self.operations.borrow().values().find_map(|(operation, progress)| {
                matches!(progress, Progress::Running(_)).then(|| operation.clone())
            });
            let Some(operation) = running else { return };
            let is_carried_out = luck != 0;
            if is_carried_out && operation.verb != Verb::Resolve {
                self.granted.retain(|it| *it != operation.subject);
                if operation.verb == Verb::Apply {
                    self.granted.push(operation.subject.clone());
                }
            }
            let error = PluginError::new(Cause::Unavailable, "no answer");
            let progress = match luck {
                0 | 1 => Progress::Failed { error, due: true },
                _ if operation.verb == Verb::Resolve => Progress::Done(grant(&operation.subject)),
                _ => Progress::Done(Map::new()),
            };
            self.operations.borrow_mut().insert(format!("{operation:?}"), (operation, progress));
        }

        fn is_killed(&mut self) {
            // What was under way may have been carried out or not: both were steps of their own.
            self.operations.borrow_mut().clear();
        }
    }

    #[test]
    fn whatever_happens_every_grant_has_a_record_and_in_the_end_there_is_what_is_wanted() {
        for seed in 0..3000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut world = World::default();
            for _ in 0..40 {
                match random.u8(0..10) {
                    0 => world.wanted = random.bool().then(|| random.u8(0..6)),
                    1 => world.is_killed(),
                    2 => world.operate(0),
                    3 => world.operate(1),
                    4..=6 => world.operate(2),
                    7 => drop(world.reconcile(false)),
                    _ => drop(world.reconcile(true)),
                }
                for granted in &world.granted {
                    assert!(world.records.iter().any(|record| record.grant == *granted), "seed {seed}");
                }
            }
            for _ in 0..20 {
                world.reconcile(true);
                world.operate(2);
            }
            let wanted: Vec<_> =
                world.plan().requests.iter().map(|request| grant(&request.request)).collect();
            assert_eq!(world.granted, wanted, "seed {seed}");
            let decision = world.reconcile(true);
            assert_eq!(decision.records.len(), wanted.len());
            assert!(decision.records.iter().all(|record| record.state == GrantState::Granted), "seed {seed}");
            assert!(decision.start.is_empty() && decision.pending.is_empty() && decision.failures.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_revoked_is_given_up_on_purpose_only() {
        let mut world = World { wanted: Some(2), ..World::default() };
        for _ in 0..4 {
            world.reconcile(true);
            world.operate(2);
        }
        world.wanted = None;
        world.reconcile(true);
        world.operate(0);
        let decision = world.reconcile(true);
        assert_eq!((decision.records.len(), decision.failures.len(), decision.abandoned.len()), (1, 1, 0));
        world.operate(0);
        world.abandon = true;
        let decision = world.reconcile(true);
        assert_eq!((decision.records.len(), decision.failures.len(), decision.abandoned.len()), (0, 0, 1));
        assert!(decision.start.is_empty());
    }

    #[test]
    fn an_invalid_spec_leaves_what_was_granted_as_it_is() {
        let record = GrantRecord {
            kind: KIND.to_owned(),
            state: GrantState::Granted,
            request: object(json!({ "door": 2 })),
            grant: object(json!({ "door": 1 })),
        };
        let field = profile_render::InvalidField { field: "x".to_owned(), problem: "y".to_owned() };
        let invalid = profile_plugin::InvalidPlugin { kind: KIND, field };
        let plan = Plan { invalid: vec![invalid], ..Plan::default() };
        let records = std::slice::from_ref(&record);
        let progress = |_: &Operation| Progress::New;
        let decision = decide(&Facts { plan: &plan, records, abandon: true, progress: &progress });
        assert_eq!(decision, Decision { records: vec![record], ..Decision::default() });
    }
}
