//! What a Profile should look like in the cluster, and how that differs from what is there.
//!
//! Everything here is a pure function: no client, no clock, no async. The steps, in order:
//!
//! 1. [`validate`] turns what a user wrote into a [`ValidProfile`], or says which field is wrong;
//! 2. [`ownership`] decides whether a namespace may be touched;
//! 3. [`render`] gives the objects that the Profile should have;
//! 4. [`plan`] compares one object with what is there and gives the one [`Change`](plan::Change) that is needed, if any.
//!
//! [`foresight`] tells what a change will have made of an object, for those who want to know before it is made.
//!
//! Access of those with whom an owner shares a namespace is rendered by [`contributor`].
//!
//! Which mesh is in use is known to [`mesh`] alone; which kinds of objects are owned, to [`OwnedKind`] alone.

pub mod config;
pub mod contributor;
pub mod foresight;
pub mod labels;
pub mod mesh;
pub mod ownership;
pub mod plan;

mod kinds;
mod manifest;
mod objects;
mod observed;
mod validate;

pub use config::PlatformConfig;
pub use kinds::{ObjectKey, OwnedKind};
pub use labels::NamespaceLabels;
pub use manifest::Manifest;
pub use objects::{EditorAnnotations, Object, Rendered, render};
pub use observed::Observed;
pub use validate::{InvalidField, Owner, Refusal, ValidProfile, validate};
