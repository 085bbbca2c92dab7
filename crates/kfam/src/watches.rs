//! The watches that fill the index.

use std::{fmt::Debug, sync::Arc};

use futures::TryStreamExt;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use profile_render::Owner;
use profile_runtime::resource_version::ResourceVersion;
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

use crate::{
    index::{Index, NewBinding, NewProfile},
    observed::{ReadProfile, granted, is_managed},
};

/// Starts the watches as tasks. They run until the process ends.
///
/// Contributors that the reference has made carry no label, so that all RoleBindings are looked at; those that are not bindings
/// are dropped as they come.
pub(crate) fn start(client: &Client, index: &Arc<Index>) {
    tokio::spawn(watch(Api::<RoleBinding>::all(client.clone()), index.clone(), take_in_binding));
    tokio::spawn(watch(Api::<ReadProfile>::all(client.clone()), index.clone(), take_in_profile));
}

async fn watch<K>(api: Api<K>, index: Arc<Index>, take_in: fn(&Index, Event<K>))
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let kind = K::kind(&());
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    loop {
        match events.try_next().await {
            Ok(Some(event)) => take_in(&index, event),
            Ok(None) => return,
            Err(error @ watcher::Error::InitialListFailed(_)) => {
                warn!(%kind, "cannot list, trying again: {error}");
            }
            Err(error) => debug!(%kind, "watch interrupted, taking it up again: {error}"),
        }
    }
}

fn take_in_binding(index: &Index, event: Event<RoleBinding>) {
    match event {
        Event::Init => index.begin_bindings(),
        Event::InitDone => index.end_bindings(),
        Event::Apply(object) | Event::InitApply(object) => match new_binding(&object) {
            Some(binding) => index.insert_binding(binding),
            // It may have been one before.
            None => remove_binding(index, &object),
        },
        Event::Delete(object) => remove_binding(index, &object),
    }
}

fn remove_binding(index: &Index, object: &RoleBinding) {
    let version = ResourceVersion::of(object);
    index.remove_binding(&object.namespace().unwrap_or_default(), &object.name_any(), version);
}

fn take_in_profile(index: &Index, event: Event<ReadProfile>) {
    match event {
        Event::Init => index.begin_profiles(),
        Event::InitDone => index.end_profiles(),
        Event::Apply(profile) | Event::InitApply(profile) => index.insert_profile(new_profile(profile)),
        Event::Delete(profile) => {
            let version = ResourceVersion::of(&profile);
            index.remove_profile(&profile.name_any(), version);
        }
    }
}

/// A RoleBinding as it goes into the index, if it is a binding.
pub(crate) fn new_binding(object: &RoleBinding) -> Option<NewBinding> {
    let (subject, role) = granted(object)?;
    Some(NewBinding {
        namespace: object.namespace()?,
        name: object.name_any(),
        subject,
        role,
        managed: is_managed(&object.metadata),
        resource_version: ResourceVersion::of(object),
    })
}

/// A Profile as it goes into the index.
pub(crate) fn new_profile(profile: ReadProfile) -> NewProfile {
    let resource_version = ResourceVersion::of(&profile);
    let owner = profile.owner.and_then(|owner| Owner::validate(&owner, "spec.owner").ok());
    let ready = profile.ready.as_ref().map(|condition| condition.is_true());
    let (reason, message) =
        profile.ready.map_or_else(Default::default, |condition| (condition.reason, condition.message));
    NewProfile {
        name: profile.metadata.name.unwrap_or_default(),
        uid: profile.metadata.uid.unwrap_or_default(),
        owner,
        ready,
        reason,
        message: if ready == Some(true) { String::new() } else { message },
        terminating: profile.metadata.deletion_timestamp.is_some(),
        resource_version,
    }
}
