//! The work that is measured: Profiles, each a user's with a quota.

use anyhow::Context;
use dev_cluster::Cluster;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use profile_api::{Profile, ProfileSpec, Quantity, ResourceQuotaSpec, Subject};
use serde_json::json;

/// How many requests prepare or change the work at a time; it is not what is measured.
const AT_A_TIME: usize = 32;

/// The name of the Profile of a number.
pub(super) fn name(number: usize) -> String {
    format!("p{number:05}")
}

/// A Profile with an owner and a quota.
pub(super) fn profile(name: &str) -> Profile {
    let hard =
        [("cpu", "2"), ("memory", "2Gi")].map(|(key, amount)| (key.to_owned(), Quantity::from(amount)));
    let mut spec = ProfileSpec::owned_by(Subject::user(format!("{name}@example.com")));
    spec.resource_quota_spec = Some(ResourceQuotaSpec { hard: hard.into(), ..ResourceQuotaSpec::default() });
    Profile::new(name, spec)
}

/// Creates the Profiles of a range of numbers; as the API server returns them.
pub(super) async fn create(client: &Client, numbers: std::ops::Range<usize>) -> anyhow::Result<Vec<Profile>> {
    let api: Api<Profile> = Api::all(client.clone());
    let bar = super::progress("creating Profiles", numbers.len());
    let created = stream::iter(numbers)
        .map(|number| {
            let (api, bar) = (api.clone(), bar.clone());
            async move {
                let created = api.create(&PostParams::default(), &profile(&name(number))).await?;
                bar.inc(1);
                anyhow::Ok(created)
            }
        })
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    bar.finish_and_clear();
    Ok(created)
}

/// Gives every Profile another owner.
pub(super) async fn change_owners(client: &Client, count: usize, owner: &str) -> anyhow::Result<()> {
    let api: Api<Profile> = Api::all(client.clone());
    let patch = Patch::Merge(json!({ "spec": { "owner": { "name": owner } } }));
    let (api, patch) = (&api, &patch);
    stream::iter(0..count)
        .map(|number| async move { api.patch(&name(number), &PatchParams::default(), patch).await.map(drop) })
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await
        .context("changing owners")
}

/// Deletes the first `count` Profiles; one by one, because the API server gives a whole collection no more than a minute.
pub(super) async fn delete_all(client: &Client, count: usize) -> anyhow::Result<()> {
    let api: Api<Profile> = Api::all(client.clone());
    let (api, params) = (&api, &DeleteParams::background());
    stream::iter(0..count)
        .map(|number| async move { api.delete(&name(number), params).await.map(drop) })
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await
        .context("deleting Profiles")
}

/// Creates namespaces that belong to nobody in particular.
pub(super) async fn create_foreign_namespaces(cluster: &Cluster, count: usize) -> anyhow::Result<()> {
    let api: Api<Namespace> = Api::all(cluster.admin());
    let bar = super::progress("creating namespaces of other people", count);
    let (api, bar) = (&api, &bar);
    stream::iter(0..count)
        .map(|number| async move {
            let mut namespace = Namespace::default();
            namespace.metadata.name = Some(format!("other-{number:05}"));
            bar.inc(1);
            api.create(&PostParams::default(), &namespace).await.map(drop)
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await?;
    bar.finish_and_clear();
    Ok(())
}
