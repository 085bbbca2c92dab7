//! The watches: they fill the stores and say which Profiles to look at.

use std::{sync::Arc, time::Duration};

use futures::{Stream, TryStreamExt};
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        utils::{Backoff, ResetTimerBackoff},
        watcher::{self, Event, watcher},
    },
};
use profile_api::names::PROFILE_LABEL;
use profile_render::{Observed, OwnedKind};
use tracing::{debug, info, warn};

use crate::{
    backoff::jittered, context::Context, packed::Packed, profile::ReadProfile, read_object::ReadObject,
    stores::KindState,
};

/// How long a watch that fails waits before it is taken up again: not for long, because until then drift of its kind is not
/// seen.
#[derive(Default)]
struct WatchBackoff {
    failures: u32,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        const FIRST: Duration = Duration::from_millis(200);
        const LONGEST: Duration = Duration::from_secs(5);
        let delay = FIRST.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        Some(jittered(delay))
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A watch counts as sound again once it has not failed for a while, not already when it has begun.
fn backoff() -> ResetTimerBackoff<WatchBackoff> {
    ResetTimerBackoff::new(WatchBackoff::default(), Duration::from_secs(30))
}

/// Starts every watch as a task. They run until the process ends.
pub(crate) fn start(context: &Arc<Context>) {
    tokio::spawn(watch_profiles(context.clone()));
    for kind in OwnedKind::ALL {
        tokio::spawn(watch_kind(kind, context.clone()));
    }
}

async fn watch_profiles(context: Arc<Context>) {
    let api: Api<ReadProfile> = Api::all(context.client.clone());
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).backoff(backoff()));
    loop {
        match events.try_next().await {
            Ok(Some(event)) => {
                if let Event::Delete(profile) = &event {
                    context.forget(profile);
                }
                context.enqueue(context.profiles.observe(event));
            }
            Ok(None) => return,
            Err(error) => report("Profile", &error),
        }
    }
}

async fn watch_kind(kind: OwnedKind, context: Arc<Context>) {
    let mut listed = Vec::new();
    let mut events = std::pin::pin!(events_of(kind, context.client.clone()));
    loop {
        match events.try_next().await {
            Ok(Some(event)) => take_in(kind, event, &mut listed, &context),
            Ok(None) => return,
            Err(error) if is_not_served(&error) => {
                if context.objects.set_state(kind, KindState::NotServed) {
                    warn!(%kind, "the API server does not know this kind; is Istio installed?");
                }
            }
            Err(error) => report(kind.as_str(), &error),
        }
    }
}

/// Only what carries our label, so that a cluster full of other people's objects costs nothing.
fn events_of(
    kind: OwnedKind,
    client: Client,
) -> impl Stream<Item = watcher::Result<Event<ReadObject>>> + Send {
    let api: Api<ReadObject> = Api::all_with(client, &kind.api_resource());
    watcher(api, watcher::Config::default().labels(PROFILE_LABEL)).backoff(backoff())
}

fn take_in(kind: OwnedKind, event: Event<ReadObject>, listed: &mut Vec<Packed>, context: &Context) {
    match event {
        Event::Apply(object) => {
            let object = Observed::new(kind, object.into());
            let profile = object.key.profile.clone();
            if context.objects.insert(object) {
                context.enqueue([profile]);
            }
        }
        Event::Delete(object) => {
            let object = Observed::new(kind, object.into());
            if context.objects.remove(&object.key, &object.resource_version) {
                context.enqueue([object.key.profile]);
            }
        }
        Event::Init => listed.clear(),
        Event::InitApply(object) => listed.push(Packed::new(&Observed::new(kind, object.into()))),
        Event::InitDone => {
            let changed = context.objects.replace_kind(kind, std::mem::take(listed));
            let was_missing = context.objects.state(kind) == KindState::NotServed;
            context.objects.set_state(kind, KindState::Filled);
            if was_missing {
                info!(%kind, "the API server knows this kind now");
                context.enqueue_all();
            } else {
                context.enqueue(changed);
            }
        }
    }
}

fn is_not_served(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}

/// A watch ends now and then, as on a restart of the API server, and is taken up again by itself.
fn report(kind: &str, error: &watcher::Error) {
    match error {
        watcher::Error::InitialListFailed(_) => warn!(kind, "cannot list, trying again: {error}"),
        _ => debug!(kind, "watch interrupted, taking it up again: {error}"),
    }
}
