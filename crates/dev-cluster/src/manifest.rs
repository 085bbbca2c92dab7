//! Applies manifests of any kinds, in the order they are written, and waits until the CRDs among
//! them can be used by whatever comes next.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::discovery::{self, Scope};
use kube::error::DiscoveryError;
use kube::{Api, Client, Error, ResourceExt};
use serde_json::Value;

use crate::wait;

const FIELD_MANAGER: &str = "dev-cluster";
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a kind may be unknown: discovery lags a moment behind a new CRD, but a kind that is
/// misspelled should not take long to say so.
const DISCOVERY_DEADLINE: Duration = Duration::from_secs(5);

/// The documents of a manifest; empty ones are left out.
pub(crate) fn parse(yaml: &str) -> anyhow::Result<Vec<DynamicObject>> {
    serde_saphyr::from_multiple::<Value>(yaml)
        .context("the manifest is not YAML")?
        .into_iter()
        .filter(|document| !document.is_null())
        .map(|document| {
            serde_json::from_value(document).context("a document of the manifest is not a Kubernetes object")
        })
        .collect()
}

/// Server-side apply of one object after the other.
pub(crate) async fn apply(client: &Client, objects: &[DynamicObject]) -> anyhow::Result<()> {
    let mut new_kinds = Vec::new();
    for object in objects {
        if is_crd(object) {
            new_kinds.push(object.name_any());
        } else {
            await_usable(client, &mut new_kinds).await?;
        }
        apply_one(client, object).await?;
    }
    await_usable(client, &mut new_kinds).await
}

async fn apply_one(client: &Client, object: &DynamicObject) -> anyhow::Result<()> {
    let (kind, scope) = resolve(client, object).await?;
    let api = api(client, object, &kind, &scope);
    api.patch(&object.name_any(), &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object))
        .await
        .with_context(|| format!("applying {} {}", kind.kind, object.name_any()))?;
    Ok(())
}

async fn resolve(client: &Client, object: &DynamicObject) -> anyhow::Result<(ApiResource, Scope)> {
    let types =
        object.types.as_ref().with_context(|| format!("{} has no apiVersion and kind", object.name_any()))?;
    let kind = GroupVersionKind::try_from(types)?;
    wait::until(
        &format!("the API server knows {} {}", kind.api_version(), kind.kind),
        DISCOVERY_DEADLINE,
        async || match discovery::pinned_kind(client, &kind).await {
            Ok((resource, capabilities)) => Ok(Some((resource, capabilities.scope))),
            Err(error) if is_unknown(&error) => Ok(None),
            Err(error) => Err(error.into()),
        },
    )
    .await
}

fn api(client: &Client, object: &DynamicObject, kind: &ApiResource, scope: &Scope) -> Api<DynamicObject> {
    match scope {
        Scope::Cluster => Api::all_with(client.clone(), kind),
        Scope::Namespaced => {
            let namespace = object.namespace();
            let namespace = namespace.as_deref().unwrap_or("default");
            Api::namespaced_with(client.clone(), namespace, kind)
        }
    }
}

async fn await_usable(client: &Client, crds: &mut Vec<String>) -> anyhow::Result<()> {
    for crd in crds.drain(..) {
        for kind in await_established(client, &crd).await? {
            await_served(client, &kind).await?;
        }
    }
    Ok(())
}

/// Returns what the CRD serves, one for each version.
async fn await_established(client: &Client, crd: &str) -> anyhow::Result<Vec<ApiResource>> {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let what = format!("CRD {crd} is Established");
    wait::until(&what, DEADLINE, async || {
        let crd = crds.get(crd).await?;
        Ok(is_established(&crd).then(|| served_kinds(&crd)))
    })
    .await
}

/// Established is said before each request handler knows: only an answer proves it.
async fn await_served(client: &Client, kind: &ApiResource) -> anyhow::Result<()> {
    let objects: Api<DynamicObject> = Api::all_with(client.clone(), kind);
    let what = format!("{} {} are served", kind.api_version, kind.plural);
    wait::until(&what, DEADLINE, async || match objects.list(&ListParams::default().limit(1)).await {
        Ok(_) => Ok(Some(())),
        Err(error) if is_unknown(&error) => Ok(None),
        Err(error) => Err(error.into()),
    })
    .await
}

fn is_crd(object: &DynamicObject) -> bool {
    object.types.as_ref().is_some_and(|types| types.kind == "CustomResourceDefinition")
}

fn is_established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.into_iter().any(|c| c.type_ == "Established" && c.status == "True")
}

fn served_kinds(crd: &CustomResourceDefinition) -> Vec<ApiResource> {
    let names = &crd.spec.names;
    let versions = crd.spec.versions.iter().filter(|version| version.served);
    versions
        .map(|version| {
            let kind = GroupVersionKind::gvk(&crd.spec.group, &version.name, &names.kind);
            ApiResource::from_gvk_with_plural(&kind, &names.plural)
        })
        .collect()
}

fn is_unknown(error: &Error) -> bool {
    match error {
        // Of a group it doesn't know, the API server says so without a reason, in plain text.
        Error::Api(status) => status.code == 404,
        Error::Discovery(DiscoveryError::MissingKind(_)) => true,
        _ => false,
    }
}
