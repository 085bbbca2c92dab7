//! Requests to the API server, each with a bound on how long it may take and an error that says what was tried.

use std::{future::Future, time::Duration};

use k8s_openapi::api::{core::v1::ResourceQuota, rbac::v1::RoleBinding};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams, Preconditions, PropagationPolicy},
    core::PartialObjectMeta,
};
use profile_api::{Profile, ProfileSpec, names::RESOURCE_QUOTA};
use profile_render::mesh::AuthorizationPolicy;
use profile_runtime::request::{RequestError, bounded};
use serde_json::Value;

use crate::{error::ApiError, observed::ReadProfile};

/// How long a request may take; a person is waiting for it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Name under which the API server records our writes.
const FIELD_MANAGER: &str = "kfam";

/// The policies in a namespace, as far as they are looked at.
pub(crate) type PolicyMeta = PartialObjectMeta<AuthorizationPolicy>;

/// What may come of creating an object.
pub(crate) enum Created<T> {
    /// It was created.
    Done(T),
    /// There is one of that name.
    Exists,
    /// The namespace is not there.
    NoNamespace,
    /// It may have been created, or not: there was no answer.
    Unknown(ApiError),
}

/// What may come of deleting an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deleted {
    /// It is gone, or was before.
    Gone,
    /// There is another of that name now.
    Replaced,
}

/// The cluster, as far as this service changes it.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
}

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    pub(crate) async fn create_profile(
        &self,
        name: &str,
        spec: ProfileSpec,
    ) -> Result<ReadProfile, ApiError> {
        let api: Api<Profile> = Api::all(self.client.clone());
        let created = attempt(api.create(&params(), &Profile::new(name, spec))).await.map_err(|error| {
            if code(&error) == Some(409) {
                return ApiError::name_taken(name);
            }
            ApiError::from_cluster(&format!("create Profile {name}"), &error)
        })?;
        let value = serde_json::to_value(&created).unwrap_or(Value::Null);
        serde_json::from_value(value).map_err(|error| {
            ApiError::unavailable("ApiServerUnavailable", format!("cannot read the created Profile: {error}"))
        })
    }

    /// Deletes the Profile of a UID: one that was created since under the same name stays.
    pub(crate) async fn delete_profile(&self, name: &str, uid: &str) -> Result<Deleted, ApiError> {
        let api: Api<Profile> = Api::all(self.client.clone());
        delete(&api, name, Some(uid), &format!("delete Profile {name}")).await
    }

    /// The quota of a Profile, if it has one.
    pub(crate) async fn quota(&self, namespace: &str) -> Result<Option<ResourceQuota>, ApiError> {
        let api: Api<ResourceQuota> = Api::namespaced(self.client.clone(), namespace);
        let tried = || format!("read ResourceQuota {namespace}/{RESOURCE_QUOTA}");
        attempt(api.get_opt(RESOURCE_QUOTA)).await.map_err(|error| ApiError::from_cluster(&tried(), &error))
    }

    pub(crate) async fn role_bindings(&self, namespace: &str) -> Result<Vec<RoleBinding>, ApiError> {
        let api: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        let listed = attempt(api.list(&ListParams::default())).await;
        let tried = || format!("list the RoleBindings of {namespace}");
        listed.map(|list| list.items).map_err(|error| ApiError::from_cluster(&tried(), &error))
    }

    /// `None` when the cluster has no such kind: there is no Istio.
    pub(crate) async fn policies(&self, namespace: &str) -> Result<Option<Vec<PolicyMeta>>, ApiError> {
        let listed = attempt(self.policy_api(namespace).list_metadata(&ListParams::default())).await;
        match listed {
            Ok(list) => Ok(Some(list.items)),
            Err(error) if code(&error) == Some(404) => Ok(None),
            Err(error) => {
                let tried = format!("list the AuthorizationPolicies of {namespace}");
                Err(ApiError::from_cluster(&tried, &error))
            }
        }
    }

    pub(crate) async fn has_role_binding(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<bool, ApiError> {
        let api: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        let found = attempt(api.get_metadata_opt(name)).await.map_err(|error| {
            ApiError::from_cluster(&format!("read RoleBinding {namespace}/{name}"), &error)
        })?;
        Ok(found.is_some_and(|found| found.uid().as_deref() == Some(uid)))
    }

    pub(crate) async fn create_role_binding(
        &self,
        binding: &RoleBinding,
    ) -> Result<Created<RoleBinding>, ApiError> {
        let namespace = binding.namespace().unwrap_or_default();
        let api: Api<RoleBinding> = Api::namespaced(self.client.clone(), &namespace);
        let tried = format!("create RoleBinding {namespace}/{}", binding.name_any());
        created(attempt(api.create(&params(), binding)).await, &tried)
    }

    pub(crate) async fn create_policy(
        &self,
        policy: &AuthorizationPolicy,
    ) -> Result<Created<AuthorizationPolicy>, ApiError> {
        let namespace = policy.namespace().unwrap_or_default();
        let tried = format!("create AuthorizationPolicy {namespace}/{}", policy.name_any());
        created(attempt(self.policy_api(&namespace).create(&params(), policy)).await, &tried)
    }

    pub(crate) async fn delete_role_binding(
        &self,
        namespace: &str,
        name: &str,
        uid: Option<&str>,
    ) -> Result<Deleted, ApiError> {
        let api: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        delete(&api, name, uid, &format!("delete RoleBinding {namespace}/{name}")).await
    }

    pub(crate) async fn delete_policy(
        &self,
        namespace: &str,
        name: &str,
        uid: Option<&str>,
    ) -> Result<Deleted, ApiError> {
        let tried = format!("delete AuthorizationPolicy {namespace}/{name}");
        delete(&self.policy_api(namespace), name, uid, &tried).await
    }

    fn policy_api(&self, namespace: &str) -> Api<AuthorizationPolicy> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

async fn delete<K>(api: &Api<K>, name: &str, uid: Option<&str>, tried: &str) -> Result<Deleted, ApiError>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let preconditions = uid.map(|uid| Preconditions { uid: Some(uid.to_owned()), resource_version: None });
    let params = DeleteParams {
        preconditions,
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    match attempt(api.delete(name, &params)).await {
        Ok(_) => Ok(Deleted::Gone),
        Err(error) if code(&error) == Some(404) => Ok(Deleted::Gone),
        Err(error) if code(&error) == Some(409) => Ok(Deleted::Replaced),
        Err(error) => Err(ApiError::from_cluster(tried, &error)),
    }
}

fn created<T>(answer: Result<T, RequestError>, tried: &str) -> Result<Created<T>, ApiError> {
    match answer {
        Ok(object) => Ok(Created::Done(object)),
        Err(error) => match code(&error) {
            Some(409) => Ok(Created::Exists),
            Some(404) => Ok(Created::NoNamespace),
            // A server error may come after the object was stored.
            None | Some(500..) => Ok(Created::Unknown(ApiError::from_cluster(tried, &error))),
            Some(_) => Err(ApiError::from_cluster(tried, &error)),
        },
    }
}

fn code(error: &RequestError) -> Option<u16> {
    error.status().map(|status| status.code)
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

async fn attempt<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, RequestError> {
    bounded(REQUEST_TIMEOUT, request).await
}
