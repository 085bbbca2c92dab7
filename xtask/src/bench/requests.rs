//! What a controller asked of the API server, from the audit log.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dev_cluster::{AuditEvent, Cluster, Mark};
use tokio::time::sleep;

/// How long a controller has to be silent before it counts as done.
const SILENCE: Duration = Duration::from_secs(4);

/// The requests that were made, by kind (`verb resource`): how long the API server took for each, sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(pub(super) BTreeMap<String, Vec<Duration>>);

impl Requests {
    /// The requests of a user since a mark.
    pub(super) async fn since(cluster: &Cluster, mark: Mark, user: &str) -> anyhow::Result<Self> {
        cluster.audit().settled().await?;
        let mut requests = Self::default();
        for event in cluster.audit().since(mark)?.iter().filter(|event| event.user == user && counts(event)) {
            let subresource = if event.subresource.is_empty() { "" } else { "/" };
            let key = format!("{} {}{subresource}{}", event.verb, event.resource, event.subresource);
            requests.0.entry(key).or_default().push(event.duration);
        }
        requests.0.values_mut().for_each(|durations| durations.sort_unstable());
        Ok(requests)
    }

    /// How many changed something, or tried to.
    pub(super) fn writes(&self) -> usize {
        self.sum(|verb| !matches!(verb, "get" | "list" | "watch"))
    }

    /// How many read single objects; lists and watches are per kind, not per Profile.
    pub(super) fn reads(&self) -> usize {
        self.sum(|verb| verb == "get")
    }

    fn sum(&self, of: impl Fn(&str) -> bool) -> usize {
        let matching = self.0.iter().filter(|(key, _)| of(key.split(' ').next().unwrap_or_default()));
        matching.map(|(_, durations)| durations.len()).sum()
    }
}

/// Leases are about the replicas, not about Profiles.
fn counts(event: &AuditEvent) -> bool {
    event.resource != "leases"
}

/// Waits until a user has asked for nothing for a while; how long it was busy.
pub(super) async fn until_silent(cluster: &Cluster, user: &str) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let mut mark = cluster.audit().mark()?;
    let mut last = begin;
    while last.elapsed() < SILENCE {
        sleep(Duration::from_millis(250)).await;
        let events = cluster.audit().since(mark)?;
        mark = cluster.audit().settled().await?;
        if events.iter().any(|event| event.user == user && counts(event)) {
            last = Instant::now();
        }
    }
    Ok(last - begin)
}
