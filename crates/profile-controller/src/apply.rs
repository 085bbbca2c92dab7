//! Writes one object until it is what it should be. What to write is decided in `profile_render::plan`.

use std::{fmt, sync::Arc};

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
    hands::Hands,
    problem::ObjectProblem,
    request::{ApiError, FIELD_MANAGER, RequestError, request},
    stores::Moment,
};

/// How often an object that changes under our hands is read again before giving up for now.
const ATTEMPTS: usize = 5;

/// A write that was made.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) key: ObjectKey,
    pub(crate) change: Change,
}

/// Makes an object what it should be, starting from what is known of it; the writes that it took.
pub(crate) async fn settle(
    hands: &impl Hands,
    desired: &Manifest,
    observed: Option<Arc<Observed>>,
) -> Result<Vec<Written>, ObjectProblem> {
    if !hands.is_served(desired.key.kind) {
        return Err(ObjectProblem::NotServed(desired.key.clone()));
    }
    let mut observed = observed;
    let mut writes = Vec::new();
    for _ in 0..ATTEMPTS {
        let Some(change) = plan::plan(desired, observed.as_deref())? else {
            return Ok(writes);
        };
        observed = match hands.make(desired, &change).await {
            Ok(object) => {
                writes.push(written(&desired.key, change));
                object
            }
            // Somebody was faster: look again, compare again.
            Err(error) if error.is_outdated() => hands.read(&desired.key).await?.map(Arc::new),
            Err(error) => return Err(error.into()),
        };
    }
    Err(ObjectProblem::Contended(desired.key.clone()))
}

/// Makes sure that an object is not there; the writes that it took.
pub(crate) async fn remove(
    hands: &impl Hands,
    key: &ObjectKey,
    observed: Option<&Observed>,
    profile_uid: &str,
) -> Result<Vec<Written>, ObjectProblem> {
    let Some(change) = plan::plan_absence(observed, profile_uid) else {
        return Ok(Vec::new());
    };
    if let Change::Delete(precondition) = &change {
        hands.delete(key, precondition).await?;
    }
    Ok(vec![written(key, change)])
}

impl Context {
    /// Reads an object from the API server.
    pub(crate) async fn read_object(&self, key: &ObjectKey) -> Result<Option<Observed>, ApiError> {
        let object = request("get", key, self.api(key).get_opt(&key.name)).await?;
        Ok(object.map(|object| Observed::new(key.kind, object)))
    }

    /// Makes one change; what is there afterwards.
    pub(crate) async fn make_change(
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
                self.delete_object(&desired.key, precondition).await?;
                Ok(None)
            }
            Change::Delete(precondition) => {
                self.delete_object(&desired.key, precondition).await?;
                Ok(None)
            }
        }
    }

    /// Never an upsert: if there is an object of its name already, that is an error.
    async fn create(&self, desired: &Manifest) -> Result<Arc<Observed>, ApiError> {
        let asked = self.objects.moment(desired.key.kind);
        let object = self.post(desired, false).await?;
        Ok(self.remember(&desired.key, object, asked))
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
        let object = serde_json::from_value(desired.to_json()).map_err(|error| {
            ApiError::new("create", key, RequestError::Kube(kube::Error::SerdeError(error)))
        })?;
        request("create", key, self.api(key).create(&params, &object)).await
    }

    async fn patch(&self, key: &ObjectKey, body: &Value) -> Result<Arc<Observed>, ApiError> {
        let asked = self.objects.moment(key.kind);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let object =
            request("patch", key, self.api(key).patch(&key.name, &params, &Patch::Merge(body))).await?;
        Ok(self.remember(key, object, asked))
    }

    pub(crate) async fn delete_object(
        &self,
        key: &ObjectKey,
        precondition: &Precondition,
    ) -> Result<(), ApiError> {
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

    fn remember(&self, key: &ObjectKey, object: DynamicObject, asked: Moment) -> Arc<Observed> {
        let observed = Observed::new(key.kind, object);
        self.objects.insert_written(observed.clone(), asked);
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

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.key.kind, self.key.name, self.change)
    }
}
