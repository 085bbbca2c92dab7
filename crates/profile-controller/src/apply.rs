//! Writes one object until it is what it should be. What to write is decided in `profile_render::plan`.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::DynamicObject,
};
use profile_render::{
    Manifest, ObjectKey, Observed,
    plan::{self, Change, Precondition},
};
use serde_json::Value;
use tracing::info;

use crate::{
    context::Context,
    problem::{ObjectProblem, Retry},
};

/// Name under which the API server records our writes.
pub(crate) const FIELD_MANAGER: &str = "profile-controller";

/// How long a request may take before it counts as failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an object that changes under our hands is read again before giving up for now.
const ATTEMPTS: usize = 5;

/// A write that was made.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) key: ObjectKey,
    pub(crate) change: Change,
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct ApiError {
    /// Which object.
    pub(crate) key: ObjectKey,
    verb: &'static str,
    source: RequestError,
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum RequestError {
    Kube(kube::Error),
    TimedOut,
}

impl Context {
    /// Makes an object what it should be, starting from what is known of it; the writes that it took.
    pub(crate) async fn settle(
        &self,
        desired: &Manifest,
        observed: Option<Arc<Observed>>,
    ) -> Result<Vec<Written>, ObjectProblem> {
        if !self.is_served(desired.key.kind) {
            return Err(ObjectProblem::NotServed(desired.key.clone()));
        }
        let mut observed = observed;
        let mut writes = Vec::new();
        for _ in 0..ATTEMPTS {
            let Some(change) = plan::plan(desired, observed.as_deref())? else {
                return Ok(writes);
            };
            observed = match self.make(desired, &change).await {
                Ok(object) => {
                    writes.push(written(&desired.key, change));
                    object
                }
                // Somebody was faster: look again, compare again.
                Err(error) if error.is_outdated() => self.read(&desired.key).await?.map(Arc::new),
                Err(error) => return Err(error.into()),
            };
        }
        Err(ObjectProblem::Contended(desired.key.clone()))
    }

    /// Makes sure that an object is not there; the writes that it took.
    pub(crate) async fn remove(
        &self,
        key: &ObjectKey,
        observed: Option<&Observed>,
        profile_uid: &str,
    ) -> Result<Vec<Written>, ObjectProblem> {
        let Some(change) = plan::plan_absence(observed, profile_uid) else {
            return Ok(Vec::new());
        };
        if let Change::Delete(precondition) = &change {
            self.delete(key, precondition).await?;
        }
        Ok(vec![written(key, change)])
    }

    /// Reads an object from the API server.
    pub(crate) async fn read(&self, key: &ObjectKey) -> Result<Option<Observed>, ApiError> {
        let object = request("get", key, self.api(key).get_opt(&key.name)).await?;
        Ok(object.map(|object| Observed::new(key.kind, object)))
    }

    /// Makes one change; what is there afterwards.
    pub(crate) async fn make(
        &self,
        desired: &Manifest,
        change: &Change,
    ) -> Result<Option<Arc<Observed>>, ApiError> {
        match change {
            Change::Create => self.create(desired).await.map(Some),
            Change::Apply(patch) | Change::Label(patch) => {
                self.patch(&desired.key, &patch.body).await.map(Some)
            }
            Change::Replace(precondition) => {
                self.try_create(desired).await?;
                self.delete(&desired.key, precondition).await?;
                Ok(None)
            }
            Change::Delete(precondition) => {
                self.delete(&desired.key, precondition).await?;
                Ok(None)
            }
        }
    }

    /// Never an upsert: if there is an object of its name already, that is an error.
    async fn create(&self, desired: &Manifest) -> Result<Arc<Observed>, ApiError> {
        let object = self.post(desired, false).await?;
        Ok(self.remember(&desired.key, object))
    }

    /// Asks whether an object would be accepted, before the one that it replaces is deleted: limits or access that are there
    /// must not be lost to a spec that the API server will not have.
    async fn try_create(&self, desired: &Manifest) -> Result<(), ApiError> {
        match self.post(desired, true).await {
            Ok(_) => Ok(()),
            // Only its name is taken.
            Err(error) if error.is_outdated() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn post(&self, desired: &Manifest, dry_run: bool) -> Result<DynamicObject, ApiError> {
        let key = &desired.key;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run };
        let object = serde_json::from_value(desired.to_json()).map_err(|error| ApiError {
            key: key.clone(),
            verb: "create",
            source: RequestError::Kube(kube::Error::SerdeError(error)),
        })?;
        request("create", key, self.api(key).create(&params, &object)).await
    }

    async fn patch(&self, key: &ObjectKey, body: &Value) -> Result<Arc<Observed>, ApiError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let object =
            request("patch", key, self.api(key).patch(&key.name, &params, &Patch::Merge(body))).await?;
        Ok(self.remember(key, object))
    }

    async fn delete(&self, key: &ObjectKey, precondition: &Precondition) -> Result<(), ApiError> {
        let Precondition { uid, resource_version } = precondition.clone();
        let preconditions =
            Some(Preconditions { uid: Some(uid), resource_version: Some(resource_version.clone()) });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        match request("delete", key, self.api(key).delete(&key.name, &params)).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        self.objects.remove(key, &resource_version);
        Ok(())
    }

    fn remember(&self, key: &ObjectKey, object: DynamicObject) -> Arc<Observed> {
        let observed = Observed::new(key.kind, object);
        self.objects.insert(observed.clone());
        Arc::new(observed)
    }

    fn api(&self, key: &ObjectKey) -> Api<DynamicObject> {
        let resource = key.kind.api_resource();
        if key.kind.is_namespaced() {
            Api::namespaced_with(self.client.clone(), &key.profile, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }
}

/// Notes a write that was made.
pub(crate) fn written(key: &ObjectKey, change: Change) -> Written {
    info!(profile = key.profile, kind = %key.kind, name = key.name, "{change}");
    Written { key: key.clone(), change }
}

async fn request<T>(
    verb: &'static str,
    key: &ObjectKey,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    bounded(request).await.map_err(|source| ApiError { key: key.clone(), verb, source })
}

/// A request with a bound on how long it may take.
pub(crate) async fn bounded<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, RequestError> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(result) => result.map_err(RequestError::Kube),
        Err(_) => Err(RequestError::TimedOut),
    }
}

impl RequestError {
    /// What the API server answered, if it did.
    pub(crate) fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Kube(kube::Error::Api(status)) => Some(status),
            _ => None,
        }
    }
}

impl ApiError {
    fn status(&self) -> Option<&kube::core::Status> {
        self.source.status()
    }

    fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// Whether what was known of the object is not how it is: it is there, has changed, or is gone.
    pub(crate) fn is_outdated(&self) -> bool {
        self.status().is_some_and(|status| status.code == 409 || (status.code == 404 && self.verb == "patch"))
    }

    /// Whether we lack the permission.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.status().is_some_and(|status| status.code == 403) && !self.is_namespace_terminating()
    }

    /// Whether the API server will not have the object as it is.
    pub(crate) fn is_rejected(&self) -> bool {
        self.status().is_some_and(|status| matches!(status.code, 400 | 422))
    }

    /// Whether nothing can be created because the namespace is being deleted.
    pub(crate) fn is_namespace_terminating(&self) -> bool {
        let details = self.status().and_then(|status| status.details.as_ref());
        details
            .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
    }

    /// Whether trying again helps.
    pub(crate) fn retry(&self) -> Retry {
        let seconds =
            self.status().and_then(|status| status.details.as_ref()).map_or(0, |d| d.retry_after_seconds);
        match seconds {
            _ if self.is_rejected() => Retry::OnChange,
            0 => Retry::WithBackoff,
            seconds => Retry::After(Duration::from_secs(u64::from(seconds))),
        }
    }
}

impl std::error::Error for ApiError {}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.key.kind, self.key.name, self.change)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {} {}: {}", self.verb, self.key, self.source)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kube(kube::Error::Api(status)) if !status.message.is_empty() => {
                f.write_str(&status.message)
            }
            Self::Kube(error) => error.fmt(f),
            Self::TimedOut => {
                write!(f, "no answer from the API server within {} s", REQUEST_TIMEOUT.as_secs())
            }
        }
    }
}
