//! What the controller promises, against a real control plane: one file a behaviour.

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
