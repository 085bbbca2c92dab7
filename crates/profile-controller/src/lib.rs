//! The controller: watches Profiles and what they own, compares, writes, reports.
//!
//! What should be and what differs is decided in `profile-render`. Here is the I/O around it, in the order in which a
//! Profile passes through: [`watches`] fill [`stores`], [`reconcile`] decides the steps, [`apply`] writes objects,
//! [`status`] says how it went. [`run`] puts the parts together.

mod apply;
mod backoff;
mod cli;
mod client;
mod context;
mod events;
mod finalizer;
mod go_flags;
mod labels_file;
mod leader;
mod logging;
mod metrics;
mod namespace;
mod problem;
mod profile;
mod reconcile;
mod render;
mod run;
mod server;
mod status;
mod stores;
mod watches;

pub use cli::main;
