//! The Lease: who may take it, and the writes to it.
//!
//! How long ago it was renewed is told by this process's own monotonic clock, from when it saw the Lease change: clocks on the
//! wall jump and differ, and a renewal time of the future must neither keep a dead leader in office nor put a living one to
//! sleep.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use tokio::time::Instant;

use crate::request::{FIELD_MANAGER, RequestError, bounded};

/// Name of the Lease: a contract with the reference, so that it and this controller never work at the same time.
pub(crate) const LEASE: &str = "kubeflow-profile-controller";

/// How long the Lease holds without being renewed, in seconds: as with every controller that is built on controller-runtime.
const HOLDS_SECONDS: i32 = 15;

/// The Lease as one replica sees it.
pub(crate) struct LeaseLock {
    api: Api<Lease>,
    identity: String,
    seen: Option<Seen>,
}

/// A state of the Lease, and since when it has been known.
struct Seen {
    spec: LeaseSpec,
    since: Instant,
}

/// What came of an attempt to hold the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It is held, and was renewed.
    Held,
    /// Another replica holds it, by its identity.
    HeldBy(String),
    /// Somebody changed it at the same moment.
    Conflict,
}

impl LeaseLock {
    pub(crate) fn new(client: Client, namespace: &str, identity: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), identity: identity.to_owned(), seen: None }
    }

    /// Takes the Lease if it is free, renews it if it is held already.
    ///
    /// # Errors
    /// When it can neither be read nor written.
    pub(crate) async fn try_hold(&mut self) -> Result<Attempt, RequestError> {
        let Some(lease) = bounded(self.api.get_opt(LEASE)).await? else {
            return self.create().await;
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let unchanged_for = self.see(spec.clone());
        if let Some(holder) = other_holder(&spec, &self.identity, unchanged_for) {
            return Ok(Attempt::HeldBy(holder.to_owned()));
        }
        let spec = Some(held(spec, &self.identity, Timestamp::now()));
        self.write(Lease { spec, ..lease }).await
    }

    /// Gives the Lease back, so that another replica can take it at once.
    ///
    /// # Errors
    /// When it can neither be read nor written.
    pub(crate) async fn give_back(&mut self) -> Result<(), RequestError> {
        let Some(lease) = bounded(self.api.get_opt(LEASE)).await? else {
            return Ok(());
        };
        let mut spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_ref() != Some(&self.identity) {
            return Ok(());
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        self.write(Lease { spec: Some(spec), ..lease }).await.map(drop)
    }

    /// Notes a state of the Lease; for how long it has been unchanged.
    fn see(&mut self, spec: LeaseSpec) -> Duration {
        match &self.seen {
            Some(seen) if seen.spec == spec => seen.since.elapsed(),
            _ => {
                self.seen = Some(Seen { spec, since: Instant::now() });
                Duration::ZERO
            }
        }
    }

    async fn create(&mut self) -> Result<Attempt, RequestError> {
        let metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() };
        let spec = held(LeaseSpec::default(), &self.identity, Timestamp::now());
        let lease = Lease { metadata, spec: Some(spec) };
        attempt(bounded(self.api.create(&params(), &lease)).await)
    }

    /// The write is refused if the Lease has changed since it was read.
    async fn write(&mut self, lease: Lease) -> Result<Attempt, RequestError> {
        attempt(bounded(self.api.replace(LEASE, &params(), &lease)).await)
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

fn attempt(written: Result<Lease, RequestError>) -> Result<Attempt, RequestError> {
    match written {
        Ok(_) => Ok(Attempt::Held),
        Err(error) if error.status().is_some_and(|status| status.code == 409) => Ok(Attempt::Conflict),
        Err(error) => Err(error),
    }
}

/// Whether a Lease belongs to somebody.
pub(crate) fn is_held(lease: &Lease) -> bool {
    lease.spec.as_ref().and_then(holder).is_some()
}

fn holder(spec: &LeaseSpec) -> Option<&str> {
    spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// Who else holds a Lease that has been unchanged for so long; `None` when it may be taken.
fn other_holder<'a>(spec: &'a LeaseSpec, identity: &str, unchanged_for: Duration) -> Option<&'a str> {
    let seconds = spec.lease_duration_seconds.unwrap_or(HOLDS_SECONDS);
    let holds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    holder(spec).filter(|holder| *holder != identity && unchanged_for < holds)
}

/// A Lease that is taken, or renewed by the one who holds it.
fn held(before: LeaseSpec, identity: &str, now: Timestamp) -> LeaseSpec {
    let renewed = holder(&before) == Some(identity);
    let transitions = before.lease_transitions.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(HOLDS_SECONDS),
        acquire_time: before.acquire_time.filter(|_| renewed).or(Some(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(if renewed { transitions } else { transitions.saturating_add(1) }),
        ..before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease_of(holder: &str) -> LeaseSpec {
        held(LeaseSpec::default(), holder, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_lease_of_another_holds_until_it_has_been_unchanged_for_its_duration() {
        let spec = lease_of("a");
        let holds = Duration::from_secs(15);
        assert_eq!(other_holder(&spec, "b", Duration::ZERO), Some("a"));
        assert_eq!(other_holder(&spec, "b", holds - Duration::from_millis(1)), Some("a"));
        assert_eq!(other_holder(&spec, "b", holds), None);
        assert_eq!(other_holder(&spec, "a", Duration::ZERO), None, "one's own may be renewed");
        assert_eq!(other_holder(&LeaseSpec::default(), "b", Duration::ZERO), None);
        let given_back = LeaseSpec { holder_identity: Some(String::new()), ..spec };
        assert_eq!(other_holder(&given_back, "b", Duration::ZERO), None);
    }

    #[test]
    fn a_renewal_keeps_when_the_lease_was_taken_and_a_change_of_hands_is_counted() {
        let later = Timestamp::from_second(100).unwrap();
        let taken = lease_of("a");
        assert_eq!(taken.lease_transitions, Some(1));
        let renewed = held(taken.clone(), "a", later);
        assert_eq!((&renewed.acquire_time, renewed.lease_transitions), (&taken.acquire_time, Some(1)));
        assert_eq!(renewed.renew_time, Some(MicroTime(later)));
        let moved = held(renewed, "b", later);
        assert_eq!((moved.acquire_time, moved.lease_transitions), (Some(MicroTime(later)), Some(2)));
    }
}
