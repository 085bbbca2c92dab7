//! A Profile as the controller reads it: one that does not decode is still there, with what is wrong with it.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, ResourceExt, api::Patch, api::PatchParams};
use profile_api::{Profile, ProfileSpec, ProfileStatus, names::FINALIZER};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    apply::{FIELD_MANAGER, RequestError, bounded},
    context::Context,
};

/// Annotation that `kubectl apply` leaves, often larger than the object; never looked at here.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A Profile as it was read. Decoding it never fails, so that one bad object cannot stop the watch for all.
#[derive(Clone, Debug, Deserialize, kube::Resource)]
#[resource(inherit = "Profile")]
#[serde(from = "Raw")]
pub(crate) struct ReadProfile {
    pub(crate) metadata: ObjectMeta,
    /// The spec, or why it does not decode.
    pub(crate) spec: Result<ProfileSpec, String>,
    /// The status; empty where it does not decode.
    pub(crate) status: ProfileStatus,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl From<Raw> for ReadProfile {
    fn from(raw: Raw) -> Self {
        let mut metadata = raw.metadata;
        metadata.managed_fields = None;
        if let Some(annotations) = &mut metadata.annotations {
            annotations.remove(LAST_APPLIED);
        }
        Self {
            metadata,
            spec: serde_json::from_value(raw.spec).map_err(|error| format!("spec: {error}")),
            status: serde_json::from_value(raw.status).unwrap_or_default(),
        }
    }
}

impl ReadProfile {
    /// Whether it is being deleted.
    pub(crate) fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether the finalizer of the Go controller is there.
    pub(crate) fn has_finalizer(&self) -> bool {
        self.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
    }

    /// The plugins, as far as the spec decodes.
    pub(crate) fn plugins(&self) -> &[profile_api::Plugin] {
        self.spec.as_ref().map_or(&[], |spec| &spec.plugins)
    }
}

/// Which part of a Profile is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Metadata,
    Status,
}

/// A write to a Profile that failed.
#[derive(Debug)]
pub(crate) struct WriteError {
    profile: String,
    part: Part,
    source: RequestError,
}

impl Context {
    /// Writes a part of a Profile with a merge patch.
    pub(crate) async fn patch_profile(
        &self,
        profile: &ReadProfile,
        part: Part,
        body: Value,
    ) -> Result<(), WriteError> {
        let api: Api<ReadProfile> = Api::all(self.client.clone());
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let name = profile.name_any();
        let patch = Patch::Merge(body);
        let answer = match part {
            Part::Metadata => bounded(api.patch(&name, &params, &patch)).await,
            Part::Status => bounded(api.patch_status(&name, &params, &patch)).await,
        };
        let written = answer.map_err(|source| WriteError { profile: name, part, source })?;
        self.profiles.written(written);
        Ok(())
    }
}

impl WriteError {
    /// Whether the Profile is not how it was known to be: it has changed or is gone. The watch tells how it is.
    pub(crate) fn is_outdated(&self) -> bool {
        self.source.status().is_some_and(|status| matches!(status.code, 404 | 409))
    }
}

impl std::error::Error for WriteError {}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Metadata => "finalizers",
            Part::Status => "status",
        };
        write!(f, "could not write the {part} of Profile {}: {}", self.profile, self.source)
    }
}
