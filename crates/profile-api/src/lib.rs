//! The Kubeflow `Profile` custom resource (`profiles.kubeflow.org`, cluster-scoped).
//!
//! A Profile gives a person or a team a namespace of its own on a shared Kubernetes cluster. This crate holds what a
//! user writes and reads: the types of its `spec` and `status`, the rules that the API server checks ([`crd`]), and the
//! names and labels that other programs rely on ([`names`]). It does no I/O and contains no client, and it does not
//! choose a Kubernetes version: the binary that uses it does, with a feature of `k8s-openapi`.
//!
//! ```
//! use profile_api::{Profile, ProfileSpec, Subject};
//!
//! let profile = Profile::new("jane", ProfileSpec::owned_by(Subject::user("jane@example.com")));
//! assert_eq!(profile.spec.owner.name, "jane@example.com");
//! ```

pub mod names;

mod crd;
mod profile;
mod quantity;
mod quota;
mod status;
mod subject;

pub use crd::{SERVED_VERSIONS, STORED_VERSION, crd};
pub use profile::{Plugin, Profile, ProfileSpec};
pub use quantity::{ParseQuantityError, Quantity};
pub use quota::ResourceQuotaSpec;
pub use status::{CONDITION_FALSE, CONDITION_TRUE, GrantRecord, GrantState, ProfileCondition, ProfileStatus};
pub use subject::{Subject, SubjectKind};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
