//! Shows the objects of a Profile as they appear.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use kube::{
    Api, Client, ResourceExt,
    core::{ApiResource, DynamicObject},
    runtime::{WatchStreamExt, watcher},
};
use profile_api::{Profile, ProfileCondition, names::PROFILE_LABEL};
use profile_render::OwnedKind;

const DEADLINE: Duration = Duration::from_secs(60);

/// A watch of everything that belongs to one Profile.
pub(crate) struct Story {
    seen: BoxStream<'static, (&'static str, DynamicObject)>,
    begin: Instant,
}

impl Story {
    /// Begins to watch.
    pub(crate) fn begin(client: Client, profile: &str) -> Self {
        let owned = OwnedKind::ALL.map(|kind| {
            let config = watcher::Config::default().labels(&format!("{PROFILE_LABEL}={profile}"));
            watch(client.clone(), kind.as_str(), &kind.api_resource(), config)
        });
        let config = watcher::Config::default().fields(&format!("metadata.name={profile}"));
        let itself = watch(client, "Profile", &ApiResource::erase::<Profile>(&()), config);
        let seen = stream::select_all(owned.into_iter().chain([itself])).boxed();
        Self { seen, begin: Instant::now() }
    }

    /// Prints each object when it is first seen, until the Profile is ready.
    ///
    /// # Errors
    /// When that takes too long; with what the Profile says of itself.
    pub(crate) async fn tell_until_ready(mut self) -> anyhow::Result<()> {
        let mut told = std::collections::HashSet::new();
        let mut last_word = String::from("it has no status yet: is the controller running?");
        let story = async {
            while let Some((kind, object)) = self.seen.next().await {
                if kind == "Profile" {
                    let profile: Profile = object.try_parse().context("reading the Profile")?;
                    let status = profile.status.clone().unwrap_or_default();
                    let Some(ready) = status.condition(ProfileCondition::READY) else { continue };
                    last_word.clone_from(&ready.message);
                    if ready.is_true() {
                        println!("{:>8.3} s  Ready: {}", self.begin.elapsed().as_secs_f64(), ready.message);
                        return anyhow::Ok(());
                    }
                } else if told.insert((kind, object.name_any())) {
                    println!(
                        "{:>8.3} s  {kind:<20} {}",
                        self.begin.elapsed().as_secs_f64(),
                        object.name_any()
                    );
                }
            }
            bail!("the watch has ended")
        };
        match tokio::time::timeout(DEADLINE, story).await {
            Ok(told) => told,
            Err(_) => bail!("the Profile was not ready within {} s: {last_word}", DEADLINE.as_secs()),
        }
    }
}

fn watch(
    client: Client,
    kind: &'static str,
    resource: &ApiResource,
    config: watcher::Config,
) -> BoxStream<'static, (&'static str, DynamicObject)> {
    let api: Api<DynamicObject> = Api::all_with(client, resource);
    let objects = watcher(api, config).default_backoff().applied_objects();
    // A kind that the cluster does not serve is not a reason to end the story.
    objects.filter_map(move |object| std::future::ready(object.ok().map(|object| (kind, object)))).boxed()
}
