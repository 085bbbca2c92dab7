//! What the controller promises, against a real control plane: one file a behaviour.

mod harness;

mod deletion;
mod objects;
mod request_counts;
mod takeover;
