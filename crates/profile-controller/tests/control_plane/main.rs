//! What the controller promises, against a real control plane: one file a behaviour.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod harness;

mod command_line;
mod deletion;
mod isolation;
mod objects;
mod old_objects;
mod request_counts;
mod servers;
mod status;
mod takeover;
mod validation;
mod without_istio;
