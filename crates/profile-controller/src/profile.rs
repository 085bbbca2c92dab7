//! A Profile as the controller reads it: one that does not decode is still there, with what is wrong with it.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, ResourceExt, api::Patch, api::PatchParams};
use profile_api::{Profile, ProfileSpec, ProfileStatus, names::FINALIZER};
use profile_runtime::metadata::lean;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::request::{FIELD_MANAGER, RequestError, bounded};

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
    #[serde(default, deserialize_with = "lean")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

impl From<Raw> for ReadProfile {
    fn from(raw: Raw) -> Self {
        Self {
            metadata: raw.metadata,
            spec: decode(&raw.spec, "spec"),
            status: serde_json::from_value(raw.status).unwrap_or_default(),
        }
    }
}

/// Decodes a part of a Profile; an error names the field in which it is.
///
/// # Errors
/// As `<path of the field>: <what is wrong>`, the path starting with `part`.
pub(crate) fn decode<T: DeserializeOwned>(value: &Value, part: &str) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let below = if path == "." { String::new() } else { format!(".{path}") };
        format!("{part}{below}: {}", error.into_inner())
    })
}

impl ReadProfile {
    /// Whether it is being deleted.
    pub(crate) fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether it has changed since its status was last written.
    pub(crate) fn has_changed(&self) -> bool {
        self.status.observed_generation != self.metadata.generation
    }

    /// Whether the finalizer of the Go controller is there.
    pub(crate) fn has_finalizer(&self) -> bool {
        self.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
    }

    /// Whether this, the answer to a write of `part`, is otherwise what was looked at before: nobody has changed the Profile
    /// in between.
    pub(crate) fn is_as_looked_at(&self, before: &Self, part: Part) -> bool {
        let ours = |finalizer: &&String| matches!(part, Part::Metadata) && *finalizer == FINALIZER;
        let finalizers = |profile: &Self| -> Vec<String> {
            profile.finalizers().iter().filter(|finalizer| !ours(finalizer)).cloned().collect()
        };
        let (now, then) = (&self.metadata, &before.metadata);
        now.generation == then.generation
            && now.deletion_timestamp == then.deletion_timestamp
            && now.annotations == then.annotations
            && now.labels == then.labels
            && finalizers(self) == finalizers(before)
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

/// Writes a part of a Profile with a merge patch; the Profile as it is then.
pub(crate) async fn patch(
    client: &Client,
    profile: &ReadProfile,
    part: Part,
    body: Value,
) -> Result<ReadProfile, WriteError> {
    let api: Api<ReadProfile> = Api::all(client.clone());
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let name = profile.name_any();
    let patch = Patch::Merge(body);
    let answer = match part {
        Part::Metadata => bounded(api.patch(&name, &params, &patch)).await,
        Part::Status => bounded(api.patch_status(&name, &params, &patch)).await,
    };
    answer.map_err(|source| WriteError { profile: name, part, source })
}

impl WriteError {
    /// Whether the Profile is gone, so that there is nothing left to write.
    pub(crate) fn is_gone(&self) -> bool {
        self.source.status().is_some_and(|status| status.code == 404)
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
