//! What is in the cluster at one moment: every Profile, and what is in the namespaces of their names. A few lists, however many
//! Profiles there are.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use anyhow::Context;
use futures::future::try_join_all;
use kube::{Api, Client, ResourceExt, api::ListParams, core::DynamicObject};
use profile_render::{ObjectKey, Observed, OwnedKind};
use serde::de::DeserializeOwned;

use crate::{
    profile::ReadProfile,
    request::{RequestError, bounded},
};

/// How often a list is begun again whose next page the API server has forgotten.
const ATTEMPTS: usize = 3;

/// What is in the cluster.
#[derive(Default)]
pub(super) struct Picture {
    /// `None` if the API server does not know Profiles.
    pub(super) profiles: Option<Vec<ReadProfile>>,
    objects: BTreeMap<String, Vec<Arc<Observed>>>,
    served: HashSet<OwnedKind>,
    live: HashSet<String>,
}

impl Picture {
    /// Looks at the cluster, some objects at a time. `tell` hears how many there are of each resource.
    ///
    /// # Errors
    /// When something cannot be listed.
    pub(super) async fn take(client: &Client, page: u32, tell: impl Fn(&str, usize)) -> anyhow::Result<Self> {
        let profiles: Api<ReadProfile> = Api::all(client.clone());
        let Some(profiles) = list(&profiles, page, Some).await.context("cannot list profiles")? else {
            return Ok(Self::default());
        };
        tell("profiles", profiles.len());
        let names: HashSet<String> = profiles.iter().map(ResourceExt::name_any).collect();
        let live = profiles.iter().filter_map(ResourceExt::uid).collect();
        let kinds = OwnedKind::ALL.map(|kind| list_kind(client, kind, page, &names, &tell));
        let mut objects: BTreeMap<String, Vec<Arc<Observed>>> = BTreeMap::new();
        let mut served = HashSet::new();
        for (kind, listed) in OwnedKind::ALL.into_iter().zip(try_join_all(kinds).await?) {
            let Some(listed) = listed else { continue };
            served.insert(kind);
            for object in listed {
                objects.entry(object.key.profile.clone()).or_default().push(Arc::new(object));
            }
        }
        Ok(Self { profiles: Some(profiles), objects, served, live })
    }

    /// The objects in the namespace of a Profile, and that namespace.
    pub(super) fn of(&self, profile: &str) -> &[Arc<Observed>] {
        self.objects.get(profile).map_or(&[], Vec::as_slice)
    }

    /// One object.
    pub(super) fn object(&self, key: &ObjectKey) -> Option<&Arc<Observed>> {
        self.of(&key.profile).iter().find(|object| object.key == *key)
    }

    /// Whether the API server knows a kind.
    pub(super) fn serves(&self, kind: OwnedKind) -> bool {
        self.served.contains(&kind)
    }

    /// Whether there is a Profile with this UID.
    pub(super) fn is_live(&self, uid: &str) -> bool {
        self.live.contains(uid)
    }
}

/// The objects of a kind that are in the namespaces of Profiles, with or without our label; `None` if the API server does not know
/// the kind.
async fn list_kind(
    client: &Client,
    kind: OwnedKind,
    page: u32,
    profiles: &HashSet<String>,
    tell: &impl Fn(&str, usize),
) -> anyhow::Result<Option<Vec<Observed>>> {
    let resource = kind.api_resource();
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let reduce = |object| Some(Observed::new(kind, object)).filter(|it| profiles.contains(&it.key.profile));
    let listed =
        list(&api, page, reduce).await.with_context(|| format!("cannot list {}", resource.plural))?;
    tell(&resource.plural, listed.as_ref().map_or(0, Vec::len));
    Ok(listed)
}

/// A whole list, page by page, each object reduced to what is needed of it; `None` if the API server does not know the kind.
async fn list<K, T>(
    api: &Api<K>,
    page: u32,
    reduce: impl Fn(K) -> Option<T>,
) -> Result<Option<Vec<T>>, RequestError>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut attempts = 1;
    let mut objects = Vec::new();
    let mut params = ListParams::default().limit(page);
    loop {
        match bounded(api.list(&params)).await {
            Ok(listed) => {
                let next = listed.metadata.continue_.filter(|token| !token.is_empty());
                objects.extend(listed.items.into_iter().filter_map(&reduce));
                let Some(next) = next else {
                    return Ok(Some(objects));
                };
                params.continue_token = Some(next);
            }
            Err(error) if code(&error) == Some(404) => return Ok(None),
            Err(error) if code(&error) == Some(410) && attempts < ATTEMPTS => {
                attempts += 1;
                objects.clear();
                params.continue_token = None;
            }
            Err(error) => return Err(error),
        }
    }
}

fn code(error: &RequestError) -> Option<u16> {
    error.status().map(|status| status.code)
}
