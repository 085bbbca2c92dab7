//! What connects a Profile to something outside the cluster, such as an identity in a cloud.
//!
//! A [`Plugin`] says what it wants of the cluster and of the world outside (pure), and makes and revokes that (I/O). A
//! [`Registry`] holds the plugins that a controller knows and turns the plugins of a Profile into a [`Plan`]. When a grant is
//! made, remembered and revoked is the controller's business: a plugin keeps no record.
//!
//! `docs/plugins.md` walks through writing one; `examples/door_badge.rs` is it, complete.

mod error;
mod plugin;
mod registry;

pub use error::{Cause, PluginError};
pub use plugin::{Account, InvalidSpec, Plugin, Wanted};
pub use registry::{AnyPlugin, InvalidPlugin, Plan, Registry, Request};
