//! What every reconcile shares.

use std::{sync::Arc, time::Duration};

use kube::{Client, ResourceExt};
use profile_plugin::Registry;
use profile_render::PlatformConfig;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    backoff::Backoff,
    events::Events,
    metrics::Metrics,
    operations::Operations,
    profile::{self, Part, ReadProfile, WriteError},
    queue::Queue,
    stores::{Objects, Profiles},
};

/// What every reconcile shares.
pub(crate) struct Context {
    pub(crate) client: Client,
    /// The settings in force; they change with the namespace labels file.
    pub(crate) config: watch::Sender<Arc<PlatformConfig>>,
    pub(crate) profiles: Profiles,
    pub(crate) objects: Objects,
    pub(crate) backoff: Backoff,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) resync_period: Duration,
    pub(crate) operations: Operations,
    queue: Queue,
}

impl Context {
    pub(crate) fn new(
        client: Client,
        config: PlatformConfig,
        metrics: Arc<Metrics>,
        resync_period: Duration,
        plugins: Registry,
    ) -> Self {
        Self {
            events: Events::new(client.clone()),
            client,
            config: watch::Sender::new(Arc::new(config)),
            profiles: Profiles::new(),
            objects: Objects::new(),
            backoff: Backoff::default(),
            metrics,
            resync_period,
            operations: Operations::new(plugins),
            queue: Queue::default(),
        }
    }

    /// Has Profiles looked at, by name. A name of which there is no Profile is passed over.
    pub(crate) fn enqueue(&self, profiles: impl IntoIterator<Item = String>) {
        self.queue.push(profiles.into_iter().filter(|name| self.profiles.get(name).is_some()).inspect(
            |name| {
                self.metrics.queued(name);
            },
        ));
    }

    /// Has every Profile looked at.
    pub(crate) fn enqueue_all(&self) {
        self.enqueue(self.profiles.store().state().iter().map(|profile| profile.name_any()));
    }

    /// The queue, which starts with every Profile.
    pub(crate) fn open_queue(
        &self,
    ) -> impl futures::Stream<Item = kube::runtime::reflector::ObjectRef<ReadProfile>> + Send + use<> {
        let queue = self.queue.open();
        self.enqueue_all();
        queue
    }

    /// Waits until the stores have what there is.
    pub(crate) async fn filled(&self) {
        self.profiles.filled().await;
        self.objects.filled().await;
    }

    /// Writes a part of a Profile with a merge patch.
    pub(crate) async fn patch_profile(
        &self,
        profile: &ReadProfile,
        part: Part,
        body: Value,
    ) -> Result<(), WriteError> {
        let written = profile::patch(&self.client, profile, part, body).await?;
        let changed_by_others = !written.is_as_looked_at(profile, part);
        self.profiles.written(written);
        if changed_by_others {
            // The watch will deliver nothing newer than this answer.
            self.enqueue([profile.name_any()]);
        }
        Ok(())
    }

    /// Drops what was remembered of a Profile that is gone.
    pub(crate) fn forget(&self, profile: &ReadProfile) {
        self.backoff.reset(&profile.name_any());
        self.operations.forget(profile);
    }
}
