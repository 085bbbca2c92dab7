//! Leader election: of several replicas the one that holds the Lease works; the others keep their stores filled.

use std::{fmt, time::Duration};

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::{sync::watch, time::Instant};
use tracing::{info, warn};

/// Name of the Lease: a contract with the reference, so that it and this controller never work at the same time.
pub(crate) const LEASE: &str = "kubeflow-profile-controller";

/// How long the Lease holds without being renewed, in seconds.
const DURATION: u64 = 15;
/// How long before that it is renewed, in seconds. If that fails for so long, leadership is given up.
const GRACE: u64 = 5;

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
    manager: LeaseManager,
    client: Client,
    namespace: String,
    role: watch::Sender<Role>,
}

impl Election {
    /// Prepares to take part, under a name that no other replica has.
    ///
    /// # Errors
    /// When the Lease can neither be read nor created.
    pub(crate) async fn join(
        client: Client,
        namespace: String,
        role: watch::Sender<Role>,
    ) -> anyhow::Result<Self> {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "profile-controller".to_owned());
        let identity = format!("{host}_{:016x}", fastrand::u64(..));
        info!(lease = format!("{namespace}/{LEASE}"), identity, "taking part in leader election");
        let manager = LeaseManagerBuilder::new(client.clone(), LEASE)
            .with_namespace(&namespace)
            .with_identity(&identity)
            .with_field_manager(&identity)
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await
            .with_context(|| format!("cannot read or create Lease {namespace}/{LEASE}"))?;
        Ok(Self { manager, client, namespace, role })
    }

    /// Waits until this replica leads. A leader that stops cleanly gives the Lease back, which is noticed at once; one that
    /// was killed is waited for until its Lease runs out.
    pub(crate) async fn win(&self) {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let config = watcher::Config::default().fields(&format!("metadata.name={LEASE}"));
        let given_back = watcher(api, config)
            .default_backoff()
            .applied_objects()
            .try_filter(|lease| std::future::ready(!is_held(lease)))
            .filter_map(|lease| std::future::ready(lease.ok()));
        let mut given_back = std::pin::pin!(given_back);
        self.role.send_replace(Role::Standby);
        loop {
            tokio::select! {
                changed = self.manager.changed() => match changed {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(error) => {
                        self.role.send_replace(Role::InDoubt);
                        warn!("cannot look at Lease {}/{LEASE}, trying again: {error}", self.namespace);
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        self.role.send_replace(Role::Standby);
                    }
                },
                // Look again now instead of when the Lease would have run out.
                Some(_) = given_back.next() => {}
            }
        }
        info!("leading");
        self.role.send_replace(Role::Leader);
    }

    /// Renews the Lease for as long as possible.
    ///
    /// # Errors
    /// When it was lost, or could not be renewed in time: then another replica may lead, and this one has to stop.
    pub(crate) async fn hold(&self) -> anyhow::Result<()> {
        let mut failing_since = None;
        loop {
            match self.manager.changed().await {
                Ok(true) => failing_since = None,
                Ok(false) => bail!("another replica holds Lease {}/{LEASE} now", self.namespace),
                Err(error) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    self.role.send_replace(Role::InDoubt);
                    if since.elapsed() >= Duration::from_secs(GRACE) {
                        return Err(error)
                            .with_context(|| format!("cannot renew Lease {}/{LEASE}", self.namespace));
                    }
                    warn!("cannot renew Lease {}/{LEASE}, trying again: {error}", self.namespace);
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    /// Gives the Lease back, so that another replica can lead at once.
    pub(crate) async fn resign(&self) {
        match self.manager.release().await {
            Ok(()) => info!("gave Lease {}/{LEASE} back", self.namespace),
            Err(error) => warn!("could not give Lease {}/{LEASE} back: {error}", self.namespace),
        }
    }
}

fn is_held(lease: &Lease) -> bool {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
    holder.is_some_and(|holder| !holder.is_empty())
}
