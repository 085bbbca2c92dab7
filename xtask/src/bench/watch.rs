//! Waits for the cluster to be as the work asks for, by watching it.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use indicatif::ProgressBar;
use kube::{
    Api, Client, ResourceExt,
    core::DynamicObject,
    runtime::{WatchStreamExt, watcher},
};
use profile_api::Profile;
use profile_render::OwnedKind;

/// A measurement that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(3600);
/// The objects of each Profile, its namespace included.
const OBJECTS: usize = 8;

/// Waits until a condition holds for so many Profiles, each seen in a stream by name.
pub(super) async fn until_all(
    seen: impl stream::Stream<Item = String> + Send,
    count: usize,
    bar: &ProgressBar,
) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let mut seen = std::pin::pin!(seen);
    let mut names = HashSet::new();
    while names.len() < count {
        let left = DEADLINE.saturating_sub(begin.elapsed());
        let name = tokio::time::timeout(left, seen.next()).await.context("not done within an hour")?;
        names.insert(name.context("the watch has ended")?);
        bar.set_position(names.len() as u64);
    }
    bar.finish_and_clear();
    Ok(begin.elapsed())
}

/// Waits until a stream names this one.
pub(super) async fn until_seen(seen: &mut BoxStream<'_, String>, name: &str) -> anyhow::Result<()> {
    let named = async {
        while let Some(next) = seen.next().await {
            if next == name {
                return Ok(());
            }
        }
        bail!("the watch has ended")
    };
    tokio::time::timeout(DEADLINE, named).await.context("not done within an hour")?
}

/// The Profiles for which a condition holds, as they come to hold it.
pub(super) fn profiles_where(
    client: Client,
    holds: impl Fn(&Profile) -> bool + Send + 'static,
) -> BoxStream<'static, String> {
    let profiles =
        watcher(Api::<Profile>::all(client), watcher::Config::default()).default_backoff().applied_objects();
    let holding = move |profile: watcher::Result<Profile>| {
        let name = profile.ok().filter(&holds).map(|profile| profile.name_any());
        std::future::ready(name)
    };
    profiles.filter_map(holding).boxed()
}

/// The objects of a kind for which a condition holds, by namespace, as they come to hold it.
pub(super) fn objects_where(
    client: Client,
    kind: OwnedKind,
    holds: impl Fn(&DynamicObject) -> bool + Send + 'static,
) -> BoxStream<'static, String> {
    let api: Api<DynamicObject> = Api::all_with(client, &kind.api_resource());
    let objects = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
    let holding = move |object: watcher::Result<DynamicObject>| {
        let object = object.ok().filter(&holds);
        std::future::ready(object.map(|object| object.namespace().unwrap_or_else(|| object.name_any())))
    };
    objects.filter_map(holding).boxed()
}

/// The Profiles all of whose objects are there, for controllers that do not report it.
pub(super) fn profiles_in_place(client: Client) -> BoxStream<'static, String> {
    let kinds = OwnedKind::ALL.map(|kind| {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.api_resource());
        let objects = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
        objects.filter_map(move |object| std::future::ready(object.ok().map(|object| (kind, object)))).boxed()
    });
    let mut objects: HashMap<String, HashSet<(OwnedKind, String)>> = HashMap::new();
    let complete = move |(kind, object): (OwnedKind, DynamicObject)| {
        let owned = object.owner_references().iter().any(|reference| reference.kind == "Profile");
        let profile = object.namespace().unwrap_or_else(|| object.name_any());
        let known = objects.entry(profile.clone()).or_default();
        if owned {
            known.insert((kind, object.name_any()));
        }
        std::future::ready((known.len() == OBJECTS).then_some(profile))
    };
    stream::select_all(kinds).filter_map(complete).boxed()
}
