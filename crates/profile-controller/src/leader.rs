//! Leader election: of several replicas the one that holds the Lease works; the others keep their stores filled.

use std::{fmt, future::ready, pin::pin, time::Duration};

use anyhow::bail;
use futures::{Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};
use tracing::{info, warn};

use crate::{
    backoff::jittered,
    lease::{Attempt, LEASE, LeaseLock, is_held},
};

/// How often the Lease is looked at, to renew it or to see whether it is free.
const PERIOD: Duration = Duration::from_secs(2);
/// How long it may take to renew the Lease before leadership is given up: less than it holds for.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// Where leader election stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// There is none: this replica works alone.
    Alone,
    /// It has not been possible to look at the Lease yet.
    Starting,
    /// Another replica leads.
    Standby,
    /// This replica leads.
    Leader,
    /// The Lease cannot be read or renewed.
    InDoubt,
}

/// Where leader election stands, as it changes.
pub(crate) type Leadership = watch::Receiver<Role>;

impl Role {
    /// Whether this replica can be relied upon, to work or to take over.
    pub(crate) fn is_sound(&self) -> bool {
        matches!(self, Self::Alone | Self::Standby | Self::Leader)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alone => "off",
            Self::Starting => "starting",
            Self::Standby => "standing by for the leader",
            Self::Leader => "leading",
            Self::InDoubt => "the lease cannot be read or renewed",
        })
    }
}

/// Takes part in the election.
pub(crate) struct Election {
    lock: LeaseLock,
    client: Client,
    namespace: String,
    role: watch::Sender<Role>,
}

impl Election {
    /// Takes part, under a name that no other replica has.
    pub(crate) fn join(client: Client, namespace: String, role: watch::Sender<Role>) -> Self {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "profile-controller".to_owned());
        let identity = format!("{host}_{:016x}", fastrand::u64(..));
        info!(lease = format!("{namespace}/{LEASE}"), identity, "taking part in leader election");
        Self { lock: LeaseLock::new(client.clone(), &namespace, &identity), client, namespace, role }
    }

    /// Waits until this replica leads. A leader that stops cleanly gives the Lease back, which is noticed at once; one that
    /// was killed is waited for until its Lease has run out.
    pub(crate) async fn win(&mut self) {
        let mut given_back = pin!(given_back(self.client.clone(), &self.namespace));
        loop {
            match timeout(RENEW_DEADLINE, self.lock.try_hold()).await {
                Ok(Ok(Attempt::Held)) => break,
                Ok(Ok(Attempt::HeldBy(_) | Attempt::Conflict)) => self.turn(Role::Standby),
                Ok(Err(error)) => self.doubt(&error.to_string()),
                Err(elapsed) => self.doubt(&elapsed.to_string()),
            }
            tokio::select! {
                () = sleep(jittered(PERIOD)) => {}
                Some(()) = given_back.next() => {}
            }
        }
        info!("leading");
        self.turn(Role::Leader);
    }

    /// Renews the Lease for as long as possible.
    ///
    /// # Errors
    /// When it was lost, or could not be renewed in time: then another replica may lead, and this one has to stop.
    pub(crate) async fn hold(&mut self) -> anyhow::Result<()> {
        let mut renewed = Instant::now();
        loop {
            sleep(PERIOD).await;
            match timeout_at(renewed + RENEW_DEADLINE, self.lock.try_hold()).await {
                Ok(Ok(Attempt::Held)) => {
                    renewed = Instant::now();
                    self.turn(Role::Leader);
                }
                Ok(Ok(Attempt::HeldBy(other))) => {
                    bail!("{other} holds Lease {}/{LEASE} now", self.namespace)
                }
                Ok(Ok(Attempt::Conflict)) => {}
                Ok(Err(error)) => self.doubt(&error.to_string()),
                Err(_) => {
                    bail!("Lease {}/{LEASE} could not be renewed within {RENEW_DEADLINE:?}", self.namespace)
                }
            }
        }
    }

    /// Gives the Lease back, so that another replica can lead at once.
    pub(crate) async fn resign(&mut self) {
        match self.lock.give_back().await {
            Ok(()) => info!("gave Lease {}/{LEASE} back", self.namespace),
            Err(error) => warn!("could not give Lease {}/{LEASE} back: {error}", self.namespace),
        }
    }

    fn doubt(&self, error: &str) {
        warn!("cannot read or write Lease {}/{LEASE}, trying again: {error}", self.namespace);
        self.turn(Role::InDoubt);
    }

    fn turn(&self, role: Role) {
        self.role.send_if_modified(|before| std::mem::replace(before, role.clone()) != role);
    }
}

/// Tells each time that nobody holds the Lease.
fn given_back(client: Client, namespace: &str) -> impl Stream<Item = ()> + use<> {
    let api: Api<Lease> = Api::namespaced(client, namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={LEASE}"));
    watcher(api, config)
        .default_backoff()
        .applied_objects()
        .filter_map(|lease| ready(lease.ok().filter(|lease| !is_held(lease)).map(drop)))
}
