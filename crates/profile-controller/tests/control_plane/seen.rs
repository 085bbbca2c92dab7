//! The whole cluster at a moment, compared with what its Profiles ask for.

use std::collections::HashMap;

use kube::{Api, ResourceExt, api::ListParams, core::DynamicObject};
use profile_api::{Profile, names::PROFILE_LABEL};
use profile_render::{ObjectKey, Observed, OwnedKind, PlatformConfig, plan, render, validate};

use crate::harness::{World, until_ok};

/// Whether the status says that a Profile is ready as it is now.
pub(crate) fn is_ready(profile: &Profile) -> bool {
    let status = profile.status.clone().unwrap_or_default();
    status.is_ready() && status.observed_generation == profile.metadata.generation
}

/// Waits until none is left that is not so; a failure names those that are.
pub(crate) async fn until_none(what: &str, mut left: impl AsyncFnMut() -> kube::Result<Vec<String>>) {
    until_ok(&format!("all are {what}"), async || match left().await {
        Ok(left) if left.is_empty() => Ok(()),
        Ok(left) => Err(format!("not so: {}", left.join(", "))),
        Err(error) => Err(error.to_string()),
    })
    .await;
}

/// The whole cluster at a moment.
pub(crate) struct Seen {
    pub(crate) profiles: HashMap<String, Profile>,
    pub(crate) objects: HashMap<ObjectKey, Observed>,
}

impl Seen {
    pub(crate) async fn of(world: &World) -> kube::Result<Self> {
        let profiles = world.profiles().list(&ListParams::default()).await?;
        let profiles = profiles.into_iter().map(|profile| (profile.name_any(), profile)).collect();
        let mut objects = HashMap::new();
        for kind in OwnedKind::ALL {
            let api: Api<DynamicObject> = Api::all_with(world.admin.clone(), &kind.api_resource());
            let list = api.list(&ListParams::default()).await?;
            objects.extend(list.into_iter().map(|object| {
                let observed = Observed::new(kind, object);
                (observed.key.clone(), observed)
            }));
        }
        Ok(Self { profiles, objects })
    }

    /// Whether nothing would have to be changed for a Profile, and its status says so.
    pub(crate) fn is_as_rendered(&self, name: &str) -> bool {
        let Some(profile) = self.profiles.get(name).filter(|profile| is_ready(profile)) else { return false };
        let config = PlatformConfig {
            userid_header: "kubeflow-userid".to_owned(),
            userid_prefix: String::new(),
            ..PlatformConfig::default()
        };
        let rendered = render(&validate(&profile.metadata, &profile.spec, &config).unwrap(), &config);
        let namespace = self.objects.get(&ObjectKey::namespace(name));
        let namespace_manifest = rendered.namespace_manifest(namespace, &config.namespace_labels);
        let manifests = rendered.manifests();
        let mut wanted = manifests.iter().chain([&namespace_manifest]);
        wanted.all(|manifest| plan::plan(manifest, self.objects.get(&manifest.key)) == Ok(None))
            && rendered.absent.iter().all(|key| !self.objects.contains_key(key))
    }

    /// The namespaces that carry our label although there is no such Profile, and that nobody is deleting.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let namespaces = self.objects.values().filter(|object| object.key.kind == OwnedKind::Namespace);
        let ours = namespaces.filter(|namespace| namespace.labels.contains_key(PROFILE_LABEL));
        let names =
            ours.filter(|namespace| !namespace.terminating).map(|namespace| namespace.key.name.clone());
        names.filter(|name| !self.profiles.contains_key(name)).collect()
    }
}
