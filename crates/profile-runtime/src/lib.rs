//! What the binaries do alike: read their flags as Go programs do, log, serve HTTP, stop, and talk to the API server.
//!
//! It knows nothing of what they do with Profiles.

pub mod access_args;
pub mod bind_address;
pub mod client;
pub mod ends;
pub mod go_flags;
pub mod logging;
pub mod metadata;
pub mod metrics;
pub mod request;
pub mod resource_version;
pub mod server;
pub mod stop;
