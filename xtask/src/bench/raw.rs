//! The physical limit: the same objects, written by a client that does nothing else.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dev_cluster::Assets;
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use http_body_util::BodyExt;
use kube::{Client, ResourceExt, client::Body};
use profile_api::Profile;
use profile_render::{ObjectKey, PlatformConfig, render, validate};
use serde_json::json;

use super::{start, work};

/// How many Profiles are written at a time: each is tried, the best is taken.
const CONCURRENCIES: [usize; 4] = [4, 8, 16, 32];
/// How many Profiles each concurrency is tried with, at most.
const TRIAL: usize = 150;

/// The requests for one Profile, ready to be sent.
struct Requests {
    namespace: Post,
    objects: Vec<Post>,
    status: Post,
}

struct Post {
    method: &'static str,
    path: String,
    content_type: &'static str,
    body: Vec<u8>,
}

/// How many Profiles at a time are written in the least time.
pub(super) async fn best_concurrency(assets: &Assets, count: usize) -> anyhow::Result<usize> {
    let bar = super::progress("raw writes: which concurrency is best", CONCURRENCIES.len());
    let cluster = start(assets).await?;
    let client = cluster.admin();
    let trial = TRIAL.min(count);
    let mut best = (Duration::MAX, 0);
    for (index, concurrency) in CONCURRENCIES.into_iter().enumerate() {
        let profiles = work::create(&client, index * trial..(index + 1) * trial).await?;
        best = best.min((write(&client, &profiles, concurrency).await?, concurrency));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(best.1)
}

/// How long it takes to write `count` Profiles, beside as many namespaces of others as a controller has: an API server with
/// more in its memory collects garbage less often.
pub(super) async fn measure(
    assets: &Assets,
    count: usize,
    foreign_namespaces: usize,
    concurrency: usize,
) -> anyhow::Result<Duration> {
    let cluster = start(assets).await?;
    work::create_foreign_namespaces(&cluster, foreign_namespaces).await?;
    let profiles = work::create(&cluster.admin(), 0..count).await?;
    write(&cluster.admin(), &profiles, concurrency).await
}

async fn write(client: &Client, profiles: &[Profile], concurrency: usize) -> anyhow::Result<Duration> {
    let requests = profiles.iter().map(requests).collect::<anyhow::Result<Vec<_>>>()?;
    let bar = super::progress(format!("raw writes, {concurrency} Profiles at a time"), requests.len());
    let begin = Instant::now();
    stream::iter(requests)
        .map(|requests| async {
            send(client, requests.namespace).await?;
            try_join_all(requests.objects.into_iter().map(|object| send(client, object))).await?;
            send(client, requests.status).await?;
            bar.inc(1);
            anyhow::Ok(())
        })
        .buffer_unordered(concurrency)
        .try_collect::<()>()
        .await?;
    bar.finish_and_clear();
    Ok(begin.elapsed())
}

fn requests(profile: &Profile) -> anyhow::Result<Requests> {
    let config = PlatformConfig::default();
    let rendered = render(&validate(&profile.metadata, &profile.spec, &config)?, &config);
    let create = |manifest: profile_render::Manifest| {
        Ok(Post {
            method: "POST",
            path: collection(&manifest.key),
            content_type: "application/json",
            body: serde_json::to_vec(&manifest.to_json())?,
        })
    };
    let status = json!({ "status": { "observedGeneration": 1, "conditions": [
        { "type": "Ready", "status": "True", "reason": "Reconciled", "message": "in place" },
    ] } });
    Ok(Requests {
        namespace: create(rendered.namespace_manifest(None, &config.namespace_labels))?,
        objects: rendered.manifests().into_iter().map(create).collect::<anyhow::Result<_>>()?,
        status: Post {
            method: "PATCH",
            path: format!("/apis/kubeflow.org/v1/profiles/{}/status", profile.name_any()),
            content_type: "application/merge-patch+json",
            body: serde_json::to_vec(&status)?,
        },
    })
}

fn collection(key: &ObjectKey) -> String {
    let resource = key.kind.api_resource();
    let root =
        if resource.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", resource.group) };
    let namespace =
        if key.kind.is_namespaced() { format!("/namespaces/{}", key.profile) } else { String::new() };
    format!("{root}/{}{namespace}/{}", resource.version, resource.plural)
}

async fn send(client: &Client, post: Post) -> anyhow::Result<()> {
    let request = http::Request::builder()
        .method(post.method)
        .uri(&post.path)
        .header(http::header::CONTENT_TYPE, post.content_type)
        .body(Body::from(post.body))?;
    let answer = client.send(request).await.with_context(|| post.path.clone())?;
    let status = answer.status();
    // Read to the end, so that the connection can be used again.
    answer.into_body().collect().await?;
    ensure!(status.is_success(), "{} {}: {status}", post.method, post.path);
    Ok(())
}
